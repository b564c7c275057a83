//! longcable, openvpn and others side by side on this machine, as it is in this minute.
//!
//! A machine's speed drifts, so the pairs of programs take turns within each round, and only ratios within one round
//! are compared. It is no test: it fails only when something could not be measured.

mod change;
mod chart;
mod contenders;
mod figures;
mod flood;
mod forwarder;
mod in_memory;
mod instructions;
mod kind;
mod machine;
mod options;
mod pair;
mod process;
mod recovery;
mod report;
mod study;
mod table;
mod targets;
mod tcp;
mod wireguard;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::Duration;

use longcable::demo::lab;

use contenders::{Installed, Program, Work};
use machine::{load, unix_time};
use options::{Length, Options, USAGE};
use pair::Bench;
use recovery::Recovery;
use report::Report;
use study::Study;
use wireguard::Keys;

/// A machine with more programs that want each processor is busy.
const BUSY: f64 = 0.3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [instructions::WORKER, rest @ ..] => return instructions::worker(rest),
        [forwarder::WORKER, rest @ ..] => return forwarder::worker(rest),
        _ => {}
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::parse(arguments)? else {
        print!("{USAGE}");
        return Ok(());
    };
    lab::catch_interrupts()?;
    if options.only_instructions {
        let counts = instructions::count(options.keep_instructions)?;
        println!("{}", counts.markdown());
        return counts
            .alarm()
            .map_or(Ok(()), |_| Err("packets cost another number of instructions than before".into()));
    }
    let installed = Installed::find(&options)?;
    lab::leave_the_network().map_err(|error| format!("cannot leave the network, run this as root: {error}"))?;
    let load = load()?;
    if load > BUSY {
        eprintln!("Other programs are busy (load {load:.1} a processor): the figures will be rough.");
    }
    let command = arguments.iter().map(|argument| format!(" {argument}")).collect::<String>();
    if options.recovery {
        recovery(options, &installed, &command, load)
    } else {
        compare(options, &installed, command, load)
    }
}

/// What links do while nothing happens to them.
fn compare(options: Options, installed: &Installed, command: String, load: f64) -> Result<(), Box<dyn Error>> {
    let bench = Bench::new(program("iperf3")?, installed.ethtool.clone().ok(), options.seconds())?;
    let (full, quick) = (options.length == Length::Full, options.length == Length::Quick);
    let rounds = options.rounds();
    let mut studies: Vec<Study> = (options.kinds.into_iter())
        .map(|kind| {
            let (mut pairs, missing) = match options.main_only {
                true => (installed.main(if quick { Work::Latency } else { Work::All }), Vec::new()),
                false => installed.pairs(kind.protection, quick),
            };
            if let Some(text) = &options.only {
                pairs.retain(|pair| pair.name == contenders::OPENVPN || pair.name.contains(text.as_str()));
            }
            for missing in &missing {
                eprintln!("{} is not measured: {}", missing.name, missing.reason);
            }
            Study { kind, pairs, missing, rounds: Vec::new() }
        })
        .collect();
    for number in 1..=rounds {
        for study in &mut studies {
            eprint!("round {number} of {rounds}, {}:", study.kind.protection.name());
            // A long transfer takes minutes: once is enough.
            study.measure(&bench, number, full && number == 1)?;
        }
    }
    let instructions = match options.instructions {
        true => Some(instructions::count(options.keep_instructions)?),
        false => None,
    };

    let report = Report { command, load, versions: installed.versions(), studies, instructions };
    println!("{}", report.markdown());
    eprintln!("raw figures: {}", report.keep()?.display());
    if options.readme {
        report.write_readme()?;
    }
    let alarms = report.alarms();
    if alarms.is_empty() { Ok(()) } else { Err(format!("take note\n{}", alarms.join("\n")).into()) }
}

/// How long they need to come back when something does.
fn recovery(mut options: Options, installed: &Installed, command: &str, load: f64) -> Result<(), Box<dyn Error>> {
    let rounds = options.rounds();
    let kind = options.kinds.swap_remove(0);
    let keepalive = if options.length == Length::Quick { "2 8" } else { "10 60" };
    let recovery = Recovery { kind, keepalive, rounds };
    let pairs = [("openvpn", installed.openvpn.as_path()), ("longcable", installed.longcable.as_path())];
    let recovered = recovery.measure(&pairs)?;
    let (mut text, figures) = (recovered.markdown(&recovery, &pairs), recovered.json(&recovery, &pairs));
    if load > BUSY {
        text += &format!("Other programs were busy (load {load:.1} a processor).\n");
    }
    println!("{text}");
    eprintln!("raw figures: {}", report::write_json(&unix_time().to_string(), &figures)?.display());
    if options.readme {
        report::write_json("recovery", &figures)?;
        report::into_readme("recovery", &format!("{text}\n`tests/bench/run{command}`\n"))?;
    }
    Ok(())
}

/// How long B runs before A is started, or a link before it changes. openvpn has a timer of a second, and the moment
/// decides how much of it must pass: rounds are spread evenly over that second, by the golden ratio.
fn lead(round: u32) -> Duration {
    Duration::from_millis(300) + Duration::from_secs_f64((f64::from(round) * 0.618_034).fract())
}

impl Installed {
    /// Looks for everybody.
    fn find(options: &Options) -> Result<Self, Box<dyn Error>> {
        let wireguard = |name: &str, arguments| {
            if let Some(reason) = excuse(name) {
                return Err(reason);
            }
            let daemon = program(name)?;
            if name == "wireguard-go" && has_offload(&daemon) == Some(false) {
                return Err("the one that is installed is too old to have segmentation offload".to_owned());
            }
            let keys = Keys::make(&program("wg")?).map_err(|error| error.to_string())?;
            Ok(Program::WireGuard { daemon, arguments, keys: Rc::new(keys) })
        };
        Ok(Self {
            openvpn: existing(&options.openvpn)?,
            longcable: existing(&options.longcable)?,
            longcable_config: options.longcable_config.clone(),
            wireguard_go: wireguard("wireguard-go", &["--foreground"]),
            boringtun: wireguard("boringtun-cli", &["--foreground", "--disable-drop-privileges"]),
            ethtool: program("ethtool"),
        })
    }

    /// As they call themselves.
    fn versions(&self) -> Vec<String> {
        let daemon = |program: &Result<Program, String>| match program {
            Ok(Program::WireGuard { daemon, .. }) => version(daemon),
            _ => None,
        };
        let all =
            [version(&self.openvpn), version(&self.longcable), daemon(&self.wireguard_go), daemon(&self.boringtun)];
        all.into_iter().flatten().collect()
    }
}

/// The first line of what a program says of its version.
fn version(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let first = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
    // What OpenVPN was built with is not of interest.
    Some(first.split_once(" [").map_or(first.clone(), |(name, _)| name.to_owned()))
}

/// Whether a wireguard-go, whose version ends in a date, has segmentation offload.
fn has_offload(wireguard_go: &Path) -> Option<bool> {
    const SINCE: u32 = 20_230_223;
    let date: u32 = version(wireguard_go)?.rsplit_once('.')?.1.parse().ok()?;
    Some(date >= SINCE)
}

/// Why whoever tried to install a program did not succeed. An older one that is there is not the one that was meant.
fn excuse(name: &str) -> Option<String> {
    env::var(format!("MISSING_{}", name.to_uppercase().replace('-', "_"))).ok()
}

/// Where a program of the system is, or what to do to have it.
fn program(name: &str) -> Result<PathBuf, String> {
    let package = if name == "wg" { "wireguard-tools" } else { name };
    lab::find_program(Path::new(name)).ok_or_else(|| match name {
        "boringtun-cli" => format!("{name} is not installed: cargo install {name}"),
        _ => format!("{name} is not installed: sudo apt install {package}"),
    })
}

/// Where a program is that was named, or what to do to have it.
fn existing(name: &Path) -> Result<PathBuf, String> {
    match name.to_str() {
        Some("openvpn") => program("openvpn"),
        _ => lab::find_program(name)
            .ok_or_else(|| format!("there is no {}: build it first, as tests/bench/run does", name.display())),
    }
}
