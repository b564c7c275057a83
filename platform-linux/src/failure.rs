//! What ends the program with status 1.

use std::fmt;

/// One clear sentence, with the remedy where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal {
    text: String,
    /// The option to blame.
    option: Option<String>,
    /// Where that stands, as in `home.conf:3`.
    place: Option<String>,
}

impl Fatal {
    /// A failure in these words.
    pub fn new(text: impl fmt::Display) -> Self {
        Self { text: text.to_string(), option: None, place: None }
    }

    /// What is wrong with an option.
    pub fn of_option(option: &str, problem: impl fmt::Display) -> Self {
        Self { option: Some(option.to_owned()), ..Self::new(format_args!("option '{option}': {problem}")) }
    }

    /// The same, with the place of the option, if there is one to blame and `place` knows where it stands.
    pub fn at(self, place: impl FnOnce(&str) -> Option<String>) -> Self {
        let place = self.option.as_deref().and_then(place);
        Self { place, ..self }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.option.is_some() {
            f.write_str("Options error: ")?;
        }
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fatal {}
