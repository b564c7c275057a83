//! What is said of a run, and what is kept of it.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::instructions::Counts;
use crate::machine::{description, unix_time};
use crate::study::Study;
use crate::{chart, table, targets};

/// Everything that a run has shown.
pub(crate) struct Report {
    /// The options of the run.
    pub(crate) command: String,
    /// How busy the machine was before.
    pub(crate) load: f64,
    /// Who was measured.
    pub(crate) versions: Vec<String>,
    pub(crate) studies: Vec<Study>,
    pub(crate) instructions: Option<Counts>,
}

impl Report {
    /// Targets and all figures.
    pub(crate) fn markdown(&self) -> String {
        let figures: Vec<String> = self.studies.iter().map(table::figures).collect();
        let instructions = self.instructions.as_ref().map(Counts::markdown).unwrap_or_default();
        format!("{}\n{}\n{instructions}", self.summary(), figures.join("\n"))
    }

    /// What must not be overlooked among all that.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let failures = self.studies.iter().flat_map(|study| {
            let link = study.kind.short_title();
            let line = |error: &str| error.lines().next().unwrap_or_default().to_owned();
            study.failures().into_iter().map(move |(name, error)| format!("{link}: {name} failed: {}", line(error)))
        });
        failures.chain(self.instructions.as_ref().and_then(Counts::alarm)).collect()
    }

    /// Keeps everything below `tests/bench/results`, under a name that no other run has; returns the name of the raw
    /// figures.
    pub(crate) fn keep(&self) -> Result<PathBuf, Box<dyn Error>> {
        self.write(&unix_time().to_string())
    }

    /// Writes the targets into the README, and what belongs to them beside the other results.
    pub(crate) fn write_readme(&self) -> Result<(), Box<dyn Error>> {
        self.write("readme")?;
        let text = format!(
            "{}\n![Speed of longcable and others](tests/bench/results/readme.svg)\n\n\
             All figures of that run are in [tests/bench/results/readme.md](tests/bench/results/readme.md).\n",
            self.summary()
        );
        into_readme("bench", &text)
    }

    /// The table of targets, and under which circumstances it came about.
    fn summary(&self) -> String {
        let mut text = format!("{}\n", targets::table(&self.studies));
        let _ = writeln!(text, "`tests/bench/run{}` on {}.", self.command, description());
        for version in &self.versions {
            let _ = writeln!(text, "- {version}");
        }
        for study in &self.studies {
            let _ = writeln!(text, "- {}: {}", study.kind.short_title(), study.note());
            for missing in &study.missing {
                let _ = writeln!(text, "- {}: not measured, {}", missing.name, missing.reason);
            }
        }
        if self.load > crate::BUSY {
            let _ = writeln!(text, "- other programs were busy (load {:.1} a processor): rough figures", self.load);
        }
        text
    }

    fn write(&self, name: &str) -> Result<PathBuf, Box<dyn Error>> {
        let results = results()?;
        fs::write(results.join(name).with_extension("md"), self.markdown())?;
        fs::write(results.join(name).with_extension("svg"), chart::svg(&self.studies))?;
        write_json(name, &self.json())
    }

    fn json(&self) -> Value {
        json!({
            "unix_time": unix_time(),
            "command": self.command.trim(),
            "machine": description(),
            "load": self.load,
            "versions": self.versions,
            "links": self.studies.iter().map(Study::json).collect::<Vec<_>>(),
            "instructions": self.instructions.as_ref().map(Counts::json),
        })
    }
}

/// Puts a text between two marks of the README, in the place of what is there.
pub(crate) fn into_readme(mark: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path)?;
    let [begin, end] = ["begin", "end"].map(|place| format!("<!-- {mark}: {place} -->\n"));
    let (before, rest) = readme.split_once(&begin).ok_or_else(|| format!("the README has no mark '{begin}'"))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| format!("the README has no mark '{end}'"))?;
    Ok(fs::write(&path, format!("{before}{begin}{text}{end}{after}"))?)
}

/// Keeps raw figures.
pub(crate) fn write_json(name: &str, figures: &Value) -> Result<PathBuf, Box<dyn Error>> {
    let file = results()?.join(name).with_extension("json");
    fs::write(&file, format!("{figures:#}\n"))?;
    Ok(file)
}

fn results() -> Result<PathBuf, Box<dyn Error>> {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    fs::create_dir_all(&results)?;
    Ok(results)
}
