//! How many instructions a packet costs. Unlike times they are nearly the same in each run, so that a change that makes
//! packets dearer is seen on a noisy machine.

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use longcable::demo::lab::{Scratch, find_program};
use serde_json::{Map, Value, json};

use crate::in_memory::{self, InMemory, Packet};
use crate::table::aligned;

/// The first argument of this program when it only moves packets, to be counted.
pub(crate) const WORKER: &str = "--move-packets";

/// What is kept in the tree.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/results/instructions.json");

/// A difference of more than that is said loudly.
const TOLERANCE: f64 = 0.05;

const SIZES: [usize; 2] = [64, 1420];

/// Packets in a measurement: enough that what else happens in the program does not matter.
const PACKETS: usize = 4_000;

/// Counted now, and what is kept of earlier.
pub(crate) struct Counts {
    rows: Vec<Count>,
    compiler: String,
    kept_compiler: String,
}

struct Count {
    what: String,
    now: f64,
    kept: Option<f64>,
}

/// Counts, and compares with what is kept; `keep` keeps it from now on, as does the first time.
pub(crate) fn count(keep: bool) -> Result<Counts, Box<dyn Error>> {
    let valgrind = find_program(Path::new("valgrind")).ok_or("valgrind is not installed: sudo apt install valgrind")?;
    let kept = fs::read(KEPT).ok().map(|text| serde_json::from_slice::<Value>(&text)).transpose()?;
    let scratch = Scratch::create(false)?;
    let mut rows = Vec::new();
    for (name, configs) in [
        ("TLS, AES-256-GCM", in_memory::tls("AES-256-GCM")),
        ("static key, AES-256-CBC, SHA1", in_memory::static_key("AES-256-CBC", "SHA1")),
    ] {
        for (config, file) in configs.iter().zip(["a.conf", "b.conf"]) {
            fs::write(scratch.path().join(file), config)?;
        }
        let run = |size, sealed, opened| instructions(&valgrind, scratch.path(), [size, sealed, opened]);
        // What it takes until the link stands differs from run to run, but little against so many packets.
        let nothing = run(0, 0, 0)?;
        for size in SIZES {
            let (sealed, both) = (run(size, PACKETS, 0)?, run(size, PACKETS, PACKETS)?);
            for (what, more, less) in [("seal", sealed, nothing), ("open", both, sealed)] {
                let what = format!("{name}, {what} {size} bytes");
                let kept = kept.as_ref().and_then(|kept| kept["instructions"][&what].as_f64());
                rows.push(Count { now: (more - less) / PACKETS as f64, what, kept });
            }
        }
    }
    let kept_compiler = kept.as_ref().and_then(|kept| kept["compiler"].as_str()).unwrap_or_default().to_owned();
    let counts = Counts { rows, compiler: compiler(), kept_compiler };
    if keep || kept.is_none() {
        fs::create_dir_all(Path::new(KEPT).parent().ok_or("a file in no directory")?)?;
        fs::write(KEPT, format!("{:#}\n", counts.json()))?;
        eprintln!("instructions per packet are kept: {KEPT}");
    }
    Ok(counts)
}

/// What runs under callgrind: `DIRECTORY SIZE SEALED OPENED`.
pub(crate) fn worker(arguments: &[&str]) -> ExitCode {
    let numbers: Vec<usize> = arguments.iter().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let ([directory, ..], [size, sealed, opened]) = (arguments, &numbers[..]) else { return ExitCode::FAILURE };
    let read = |name| fs::read_to_string(Path::new(directory).join(name)).unwrap_or_default();
    let mut link = InMemory::new(&[read("a.conf"), read("b.conf")]);
    let mut packet = Packet::new(*size);
    for number in 0..*sealed {
        link.seal(&mut packet);
        if number < *opened {
            link.open(&mut packet);
        }
    }
    ExitCode::SUCCESS
}

impl Counts {
    /// A table, and what must not be overlooked.
    pub(crate) fn markdown(&self) -> String {
        let heading = ["instructions per packet", "kept", "now", "difference"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(self.rows.iter().map(|row| {
            let kept = row.kept.map_or("-".to_owned(), |kept| format!("{kept:.0}"));
            let difference = row.difference().map_or("-".to_owned(), |share| format!("{:+.1} %", share * 100.0));
            vec![row.what.clone(), kept, format!("{:.0}", row.now), difference]
        }));
        format!("{}\n{}", aligned(&rows), self.alarm().unwrap_or_default())
    }

    /// What has become dearer or cheaper by so much that somebody has to know.
    pub(crate) fn alarm(&self) -> Option<String> {
        let changed: Vec<String> = (self.rows.iter())
            .filter_map(|row| {
                let share = row.difference().filter(|share| share.abs() > TOLERANCE)?;
                let how = if share > 0.0 { "MORE" } else { "fewer" };
                Some(format!("{}: {:.1} % {how} INSTRUCTIONS THAN KEPT", row.what, share.abs() * 100.0))
            })
            .collect();
        let compilers = if self.kept_compiler == self.compiler {
            String::new()
        } else {
            format!("\n(kept with {}, now {})", self.kept_compiler, self.compiler)
        };
        let advice = "If that is intended: tests/bench/run --keep-instructions, and commit the file.";
        (!changed.is_empty()).then(|| format!("!!! {}{compilers}\n{advice}\n", changed.join("\n!!! ")))
    }

    pub(crate) fn json(&self) -> Value {
        let counts: Map<String, Value> =
            self.rows.iter().map(|row| (row.what.clone(), json!(row.now.round()))).collect();
        json!({ "compiler": self.compiler, "instructions": counts })
    }
}

impl Count {
    fn difference(&self) -> Option<f64> {
        self.kept.filter(|kept| *kept > 0.0).map(|kept| self.now / kept - 1.0)
    }
}

/// Instructions of one run of the worker.
fn instructions(valgrind: &Path, directory: &Path, [size, sealed, opened]: [usize; 3]) -> Result<f64, Box<dyn Error>> {
    let mut command = Command::new(valgrind);
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe()?).arg(WORKER);
    command.arg(directory).args([size, sealed, opened].map(|number| number.to_string()));
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.filter(|_| output.status.success()).ok_or_else(|| format!("callgrind: {said}").into())
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.map_or("an unknown compiler".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
