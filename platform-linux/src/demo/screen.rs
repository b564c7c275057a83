//! Progress on the terminal: one line a step, and colour only where somebody looks.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// Columns of a line up to the verdict.
const WIDTH: usize = 62;

/// Standard output. That nobody reads it any more is no reason to stop before everything is tidied up, so errors of
/// writing are of no interest.
#[derive(Debug)]
pub(super) struct Screen {
    colour: bool,
    steps: u32,
    started: Option<Instant>,
}

impl Screen {
    /// Plain unless standard output is a terminal that is not dumb, and `NO_COLOR` is not set.
    pub(super) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: io::stdout().is_terminal() && !dumb && !unwanted, steps: 0, started: None }
    }

    /// One line of text.
    pub(super) fn line(&self, text: impl Display) {
        self.write(format_args!("{text}\n"));
    }

    /// One line that stands out.
    pub(super) fn title(&self, text: &str) {
        self.write(format_args!("{}\n", self.painted("1", text)));
    }

    /// Announces what is being done now; [`Self::done`] or [`Self::failed`] finishes the line.
    pub(super) fn step(&mut self, text: &str) {
        self.steps += 1;
        self.started = Some(Instant::now());
        let start = format!("{:2}. {text} ", self.steps);
        self.write(format_args!("{start:.<WIDTH$} "));
    }

    /// The step has worked.
    pub(super) fn done(&mut self) {
        if let Some(started) = self.started.take() {
            self.write(format_args!("{} {:7.3} s\n", self.painted("32", "ok"), started.elapsed().as_secs_f64()));
        }
    }

    /// The step, if there is one under way, has not worked.
    pub(super) fn failed(&mut self) {
        if self.started.take().is_some() {
            self.write(format_args!("{}\n", self.painted("31", "failed")));
        }
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn write(&self, text: std::fmt::Arguments<'_>) {
        let mut out = io::stdout().lock();
        let _ = out.write_fmt(text).and_then(|()| out.flush());
    }
}
