//! The list of options, as printed by `--help` and in the README.

use std::fmt::Write as _;
use std::io::{self, Write};

use longcable_core::options::{OptionInfo, State, TOPICS, Topic};

/// Prints all options by topic.
///
/// # Errors
/// If `out` cannot be written.
pub fn print_help(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "usage: longcable CONFIG-FILE")?;
    writeln!(out, "       longcable [--OPTION [ARGUMENTS]]...")?;
    writeln!(out, "       longcable demo [--tls]                    two gateways and a link on this machine")?;
    writeln!(out, "       longcable migrate STATIC.conf [DIRECTORY] from a static key to TLS: writes both configs")?;
    writeln!(out, "\nlongcable {}, an OpenVPN endpoint", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "All options may be given in a config file too, one on a line and without '--'.")?;
    for Topic { title, options } in TOPICS {
        let (listed, later) = split(options);
        if !listed.is_empty() {
            writeln!(out, "\n{title}:")?;
        }
        for OptionInfo { name, usage, help, state, .. } in listed {
            let space = if usage.is_empty() { "" } else { " " };
            let note = match state {
                State::Harmless(why) => format!(" (no effect: {why})"),
                _ => String::new(),
            };
            writeln!(out, "  --{name}{space}{usage}\n        {help}{note}")?;
        }
        if !later.is_empty() {
            writeln!(out, "{}", wrap(&format!("\n{title}, not supported yet: "), &later))?;
        }
    }
    Ok(())
}

/// All options as tables in Markdown, for the README.
pub fn options_markdown() -> String {
    let mut text = String::new();
    for Topic { title, options } in TOPICS {
        let (listed, later) = split(options);
        if listed.is_empty() && later.is_empty() {
            continue;
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "### {title}\n");
        if !listed.is_empty() {
            let _ = writeln!(text, "| option | arguments | meaning |\n|---|---|---|");
        }
        for OptionInfo { name, usage, help, state, .. } in &listed {
            let usage = if usage.is_empty() { String::new() } else { format!("`{}`", usage.replace('|', "\\|")) };
            let note = match state {
                State::Harmless(why) => format!(" (accepted, no effect: {why})"),
                _ => String::new(),
            };
            let _ = writeln!(text, "| `{name}` | {usage} | {}{note} |", help.replace('|', "\\|"));
        }
        if !listed.is_empty() {
            text.push('\n');
        }
        if !later.is_empty() {
            let names: Vec<_> = later.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(text, "Not supported yet: {}.\n", names.join(", "));
        }
    }
    text
}

/// The options that may be used, and the names of those that may not yet.
fn split(options: &'static [OptionInfo]) -> (Vec<&'static OptionInfo>, Vec<&'static str>) {
    let usable = |option: &&OptionInfo| matches!(option.state, State::Works | State::Harmless(_));
    let later = options.iter().filter(|option| option.state == State::NotYet).map(|option| option.name);
    (options.iter().filter(usable).collect(), later.collect())
}

/// Words after a heading in lines of at most 100 columns.
fn wrap(heading: &str, words: &[&str]) -> String {
    let mut text = heading.to_owned();
    let mut column = heading.len();
    for (index, word) in words.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        if column + separator.len() + word.len() > 100 {
            text.push_str(",\n  ");
            column = 2;
        } else {
            text.push_str(separator);
            column += separator.len();
        }
        text.push_str(word);
        column += word.len();
    }
    text
}
