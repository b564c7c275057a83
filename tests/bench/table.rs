//! Rounds become a table and a record.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::figures::{Figure, Sample, median};
use crate::kind::Kind;
use crate::machine::{description, unix_time};

/// What was measured of one kind of link.
pub(crate) struct Study {
    pub(crate) kind: Kind,
    pub(crate) rounds: Vec<Round>,
}

/// Each pair's turn, in one stretch of time.
pub(crate) struct Round {
    /// Share of the processors that the hypervisor took.
    pub(crate) steal: f64,
    /// Whether it counts.
    pub(crate) clean: bool,
    /// The first is what the others are compared with.
    pub(crate) samples: Vec<(&'static str, Sample)>,
}

impl Round {
    fn value(&self, pair: usize, figure: Figure) -> Option<f64> {
        let (_, sample) = self.samples.get(pair)?;
        sample.iter().find(|(candidate, _)| *candidate == figure).map(|(_, value)| *value)
    }

    /// How often the first pair's value goes into that of another.
    fn ratio(&self, pair: usize, figure: Figure) -> Option<f64> {
        Some(self.value(pair, figure)? / self.value(0, figure).filter(|value| *value > 0.0)?)
    }
}

/// A table for each kind of link.
pub(crate) fn markdown(studies: &[Study]) -> String {
    let tables: Vec<String> =
        studies.iter().map(|study| format!("{}:\n\n{}", study.kind.title(), medians(&study.rounds))).collect();
    format!("{}\n\n{}", description(), tables.join("\n\n"))
}

/// Medians over the rounds that count, and the medians of the ratios within each of them.
fn medians(rounds: &[Round]) -> String {
    let clean: Vec<&Round> = rounds.iter().filter(|round| round.clean).collect();
    let (counted, note) = match (clean.len(), rounds.len() - clean.len()) {
        (0, dropped) => {
            (rounds.iter().collect(), format!("all {dropped} rounds had high steal: do not trust these figures"))
        }
        (count, 0) => (clean, format!("medians of {count} rounds, none dropped")),
        (count, dropped) => (clean, format!("medians of {count} rounds, {dropped} dropped for high steal")),
    };
    let names: Vec<&str> =
        rounds.first().map(|round| round.samples.iter().map(|(name, _)| *name).collect()).unwrap_or_default();
    let mut rows = vec![vec!["figure".to_owned()]];
    for (pair, name) in names.iter().enumerate() {
        rows[0].push((*name).to_owned());
        if pair > 0 {
            rows[0].push("ratio".to_owned());
        }
    }
    for figure in Figure::ALL {
        let mut row = vec![figure.label().to_owned()];
        for pair in 0..names.len() {
            let values = counted.iter().filter_map(|round| round.value(pair, figure)).collect();
            row.push(median(values).map_or("-".into(), digits));
            if pair > 0 {
                let ratios = counted.iter().filter_map(|round| round.ratio(pair, figure)).collect();
                row.push(median(ratios).map_or("-".into(), |ratio| format!("{ratio:.2}")));
            }
        }
        rows.push(row);
    }
    format!("{}\n{note}; a ratio is that to openvpn in the same round.", aligned(&rows))
}

/// Everything, for whoever wants to compute something else.
pub(crate) fn json(studies: &[Study]) -> Value {
    let sample = |sample: &Sample| -> Value {
        sample.iter().map(|(figure, value)| (figure.label().to_owned(), json!(value))).collect()
    };
    let round = |round: &Round| {
        let pairs: Value = round.samples.iter().map(|(name, values)| ((*name).to_owned(), sample(values))).collect();
        json!({ "steal": round.steal, "counted": round.clean, "pairs": pairs })
    };
    let link = |study: &Study| {
        json!({
            "protection": study.kind.protection.name(),
            "config": study.kind.config,
            "rounds": study.rounds.iter().map(round).collect::<Vec<_>>(),
        })
    };
    json!({
        "unix_time": unix_time(),
        "machine": description(),
        "links": studies.iter().map(link).collect::<Vec<_>>(),
    })
}

/// Three digits that matter.
fn digits(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A Markdown table that is also readable as it is: the first row is the heading, the first column text, the rest
/// numbers.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let mut table = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 { write!(table, "| {cell:<width$} |") } else { write!(table, " {cell:>width$} |") };
        }
        table.push('\n');
        if number == 0 {
            for (column, &width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width);
                table += &if column == 0 { format!("| {dashes} |") } else { format!(" {}: |", &dashes[1..]) };
            }
            table.push('\n');
        }
    }
    table
}
