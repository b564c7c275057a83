//! Rounds become tables.

use std::fmt::Write;

use crate::figures::Figure;
use crate::study::Study;

/// All figures of all pairs: a row for each figure that was measured, with the ratio to the first pair.
pub(crate) fn figures(study: &Study) -> String {
    let mut rows = vec![vec!["figure".to_owned()]];
    for (place, pair) in study.pairs.iter().enumerate() {
        rows[0].push(pair.name.to_owned());
        if place > 0 {
            rows[0].push("ratio".to_owned());
        }
    }
    for figure in Figure::ALL {
        let mut row = vec![figure.label().to_owned()];
        for place in 0..study.pairs.len() {
            row.push(study.median(place, &[figure]).map_or("-".into(), digits));
            if place > 0 {
                row.push(study.ratio(place, 0, &[figure]).map_or("-".into(), |ratio| format!("{ratio:.2}")));
            }
        }
        if row.iter().skip(1).any(|cell| cell != "-") {
            rows.push(row);
        }
    }
    let mut text = format!("{}:\n\n{}", study.kind.title(), aligned(&rows));
    let _ = writeln!(text, "\n{}; a ratio is that to openvpn in the same round, `-` was not measured.", study.note());
    for missing in &study.missing {
        let _ = writeln!(text, "\n**{} was not measured: {}.**", missing.name, missing.reason);
    }
    for (name, error) in study.failures() {
        let _ = writeln!(text, "\n**{name} failed: {}.**", error.lines().next().unwrap_or_default());
    }
    text
}

/// Three digits that matter.
pub(crate) fn digits(value: f64) -> String {
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
