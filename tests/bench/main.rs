//! longcable and openvpn side by side on this machine, as it is in this minute.
//!
//! A machine's speed drifts, so the pairs of programs take turns within each round, and only ratios within one round
//! are compared. It is no test: nothing here passes or fails.

mod figures;
mod flood;
mod kind;
mod machine;
mod pair;
mod recovery;
mod table;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use longcable::demo::lab;
use serde_json::Value;

use kind::{Kind, Protection};
use machine::{Steal, load, unix_time};
use pair::{Bench, Pair};
use recovery::Recovery;
use table::{Round, Study};

const USAGE: &str = "\
Usage: tests/bench/run [OPTION]...

  --static            only links with a static key
  --tls               only links with TLS
  --recovery          how long links need to come back when addresses change, in the place of all else; with TLS
                      when nothing else is said, and without the mixed pair
  --quick             under two minutes for both, rougher; recovery: under four, with keepalive 2 8 and not 10 60
  --rounds N          how often each pair has its turn (default: 4, quick: 2; recovery: 20, quick: 5)
  --longcable PATH    the program to measure (default: the one built beside this)
  --openvpn PATH      what to measure it against (default: openvpn)
  --cipher NAME       with a static key (default: AES-256-CBC)
  --auth NAME         with a static key (default: SHA1)
  --data-cipher NAME  with TLS (default: AES-256-GCM)
  --config LINE       one more config line for all; may be repeated
  --no-mixed          without the pair of longcable and openvpn
";

/// A round in which the hypervisor took more than this share of the processors is not counted.
const MOST_STEAL: f64 = 0.03;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::parse()? else {
        print!("{USAGE}");
        return Ok(());
    };
    let openvpn = installed(&options.openvpn)?;
    let longcable = installed(&options.longcable)?;
    lab::catch_interrupts()?;
    lab::leave_the_network().map_err(|error| format!("cannot leave the network, run this as root: {error}"))?;

    let mut pairs = vec![
        Pair { name: "openvpn", a: openvpn.clone(), b: openvpn.clone() },
        Pair { name: "longcable", a: longcable.clone(), b: longcable.clone() },
    ];
    if options.mixed && !options.recovery {
        pairs.push(Pair { name: "mixed", a: longcable, b: openvpn });
    }
    let load = load()?;
    if load > 0.3 {
        eprintln!("Other programs are busy (load {load:.1} a processor): the figures will be rough.");
    }
    if options.recovery { recovery(options, &pairs) } else { compare(options, &pairs) }
}

/// What links do while nothing happens to them.
fn compare(options: Options, pairs: &[Pair]) -> Result<(), Box<dyn Error>> {
    let bench = Bench::new(installed(Path::new("iperf3"))?, options.seconds)?;
    let mut studies: Vec<Study> = options.kinds.into_iter().map(|kind| Study { kind, rounds: Vec::new() }).collect();
    for number in 1..=options.rounds {
        for Study { kind, rounds } in &mut studies {
            eprint!("round {number} of {}, {}:", options.rounds, kind.protection.name());
            let round = measure(&bench, kind, pairs, lead(number))?;
            eprintln!(", steal {:.1} %{}", round.steal * 100.0, if round.clean { "" } else { ": dropped" });
            rounds.push(round);
        }
    }

    println!("{}", table::markdown(&studies));
    record(&table::json(&studies))
}

/// How long they need to come back when something does.
fn recovery(mut options: Options, pairs: &[Pair]) -> Result<(), Box<dyn Error>> {
    let kind = options.kinds.pop().ok_or("no kind of link")?;
    let keepalive = if options.quick { "2 8" } else { "10 60" };
    let recovery = Recovery { kind, keepalive, rounds: options.rounds };
    let recovered = recovery.measure(pairs)?;
    println!("{}", recovered.markdown(&recovery, pairs));
    record(&recovered.json(&recovery, pairs))
}

/// Keeps everything that was measured.
fn record(figures: &Value) -> Result<(), Box<dyn Error>> {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    fs::create_dir_all(&results)?;
    let file = results.join(format!("{}.json", unix_time()));
    fs::write(&file, serde_json::to_vec_pretty(figures)?)?;
    eprintln!("raw figures: {}", file.display());
    Ok(())
}

/// How long B runs before A is started, or a link before it changes. openvpn has a timer of a second, and the moment
/// decides how much of it must pass: rounds are spread evenly over that second, by the golden ratio.
fn lead(round: u32) -> Duration {
    Duration::from_millis(300) + Duration::from_secs_f64((f64::from(round) * 0.618_034).fract())
}

/// Each pair has its turn.
fn measure(bench: &Bench, kind: &Kind, pairs: &[Pair], lead: Duration) -> Result<Round, Box<dyn Error>> {
    let steal = Steal::start()?;
    let mut samples = Vec::new();
    for pair in pairs {
        eprint!(" {}", pair.name);
        let sample = bench.measure(kind, pair, lead).map_err(|error| format!("{}: {error}", pair.name))?;
        samples.push((pair.name, sample));
    }
    let steal = steal.share()?;
    Ok(Round { steal, clean: steal <= MOST_STEAL, samples })
}

struct Options {
    rounds: u32,
    seconds: Duration,
    openvpn: PathBuf,
    longcable: PathBuf,
    kinds: Vec<Kind>,
    mixed: bool,
    recovery: bool,
    quick: bool,
}

impl Options {
    /// None when help is wanted.
    fn parse() -> Result<Option<Self>, Box<dyn Error>> {
        let beside = env::current_exe()?.with_file_name("longcable");
        let (mut openvpn, mut longcable, mut mixed) = (PathBuf::from("openvpn"), beside, true);
        let (mut recovery, mut quick, mut rounds) = (false, false, None);
        let mut wanted = [Protection::Static, Protection::Tls].to_vec();
        let (mut cipher, mut auth) = ("AES-256-CBC".to_owned(), "SHA1".to_owned());
        let (mut data_cipher, mut config) = ("AES-256-GCM".to_owned(), String::new());
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--recovery" => recovery = true,
                "--quick" => quick = true,
                "--static" => wanted.retain(|protection| *protection == Protection::Static),
                "--tls" => wanted.retain(|protection| *protection == Protection::Tls),
                "--no-mixed" => mixed = false,
                "--rounds" => rounds = Some(value()?.parse()?),
                "--longcable" => longcable = value()?.into(),
                "--openvpn" => openvpn = value()?.into(),
                "--cipher" => cipher = value()?,
                "--auth" => auth = value()?,
                "--data-cipher" => data_cipher = value()?,
                "--config" => config = format!("{config}{}\n", value()?),
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("{argument} is no option\n\n{USAGE}").into()),
            }
        }
        if wanted.is_empty() {
            return Err("--static and --tls exclude each other".into());
        }
        let kind = |protection| {
            let lines = match protection {
                Protection::Static => format!("cipher {cipher}\nauth {auth}\n{config}"),
                Protection::Tls => format!("data-ciphers {data_cipher}\n{config}"),
            };
            Kind { protection, config: lines }
        };
        Ok(Some(Self {
            rounds: rounds.unwrap_or(match (recovery, quick) {
                (false, true) => 2,
                (false, false) => 4,
                (true, true) => 5,
                (true, false) => 20,
            }),
            seconds: Duration::from_secs(if quick { 1 } else { 2 }),
            kinds: wanted.into_iter().map(kind).collect(),
            openvpn,
            longcable,
            mixed,
            recovery,
            quick,
        }))
    }
}

/// Where a program is, or what to do to have it.
fn installed(name: &Path) -> Result<PathBuf, String> {
    lab::find_program(name).ok_or_else(|| match name.to_str() {
        Some("openvpn" | "iperf3") => format!("{0} is not installed: sudo apt install {0}", name.display()),
        _ => format!("there is no {}: build it first, as tests/bench/run does", name.display()),
    })
}
