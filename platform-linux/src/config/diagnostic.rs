//! An error of the configuration, shown where it is.

use std::fmt;

use longcable_core::options::{ConfigError, Directive, SyntaxError, SyntaxProblem};

use super::sources::{Source, Text};

/// Why a configuration cannot be used. `Display` is some lines: what is wrong and what to do, starting with
/// `Options error:` and the place, then the line itself with a caret under the word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// As in `home.conf:3:6`; empty if no place is to blame.
    place: String,
    message: String,
    excerpt: Option<Excerpt>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    /// Number of the line; None on the command line.
    number: Option<u32>,
    line: String,
    /// Characters before the word.
    before: usize,
    /// Characters of the word.
    width: usize,
}

impl Diagnostic {
    /// An error without a place.
    pub(super) fn new(message: impl fmt::Display) -> Self {
        Self { place: String::new(), message: message.to_string(), excerpt: None }
    }

    /// An error in a whole file.
    pub(super) fn in_file(name: &str, message: impl fmt::Display) -> Self {
        Self { place: name.to_owned(), ..Self::new(message) }
    }

    /// An error of one word of a directive: 0 is its name, 1 its first argument.
    pub(super) fn at_word(source: &Source, directive: &Directive<'_>, word: usize, message: impl fmt::Display) -> Self {
        let found = directive.word(word).unwrap_or(directive.name);
        let excerpt = match &source.text {
            Text::CommandLine(_) => command_line_excerpt(directive, word),
            Text::File(text) => file_excerpt(text, directive.line, found.column(), found.width()),
        };
        let place = match &source.text {
            Text::CommandLine(_) => source.name.clone(),
            Text::File(_) => format!("{}:{}:{}", source.name, directive.line, found.column()),
        };
        Self { place, message: message.to_string(), excerpt }
    }

    /// The same, with the reason added.
    pub(super) fn because(&self, reason: impl fmt::Display) -> Self {
        Self { message: format!("{}: {reason}", self.message), ..self.clone() }
    }

    pub(super) fn of_option(source: &Source, directive: &Directive<'_>, error: &ConfigError<'_>) -> Self {
        Self::at_word(source, directive, error.word, error)
    }

    pub(super) fn of_syntax(name: &str, text: &[u8], error: SyntaxError) -> Self {
        let SyntaxError { position, problem } = error;
        let excerpt = match problem {
            // Such bytes do no good to a terminal, and they may stand in a key.
            SyntaxProblem::Nul | SyntaxProblem::NotUtf8 | SyntaxProblem::LineTooLong => None,
            _ => file_excerpt(text, position.line, position.column, 1),
        };
        Self { place: format!("{name}:{}:{}", position.line, position.column), message: problem.to_string(), excerpt }
    }
}

fn file_excerpt(text: &[u8], number: u32, column: u16, width: usize) -> Option<Excerpt> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let line = text.split(|byte| *byte == b'\n').nth(usize::try_from(number.checked_sub(1)?).ok()?)?;
    let before = String::from_utf8_lossy(line.get(..usize::from(column).checked_sub(1)?)?).chars().count();
    let line = String::from_utf8_lossy(line).trim_end().to_owned();
    Some(Excerpt { number: Some(number), line, before, width })
}

fn command_line_excerpt(directive: &Directive<'_>, word: usize) -> Option<Excerpt> {
    let mut line = String::from("--");
    let mut found = None;
    for index in 0.. {
        let Some(text) = directive.word(index) else { break };
        if index > 0 {
            line.push(' ');
        }
        if index == word {
            found = Some((line.chars().count(), text.width()));
        }
        line.push_str(&text.to_string());
    }
    found.map(|(before, width)| Excerpt { number: None, line, before, width })
}

impl std::error::Error for Diagnostic {}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Options error: ")?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)?;
        self.excerpt.as_ref().map_or(Ok(()), |excerpt| write!(f, "\n{excerpt}"))
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number.map(|number| number.to_string()).unwrap_or_default();
        let clean = |c: char| if c.is_control() && c != '\t' { '_' } else { c };
        let line: String = self.line.chars().map(clean).collect();
        // A tab before the word is a tab before the caret, so that both are equally wide.
        let indent: String = line.chars().take(self.before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{number:>5} | {line}")?;
        write!(f, "      | {indent}{}", "^".repeat(self.width.max(1)))
    }
}
