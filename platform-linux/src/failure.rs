//! What ends the program with status 1.

use std::fmt;

/// One clear sentence, with the remedy where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal(String);

impl Fatal {
    /// A failure in these words.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fatal {}
