//! One word of a configuration.

use core::fmt::{self, Write};
use core::str::FromStr;

/// How a word was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Without quotes; a backslash escapes.
    Bare,
    /// In double quotes; a backslash escapes.
    Double,
    /// In single quotes; nothing escapes.
    Single,
    /// Not from a config text: nothing escapes.
    Literal,
}

/// A word that borrows the text it stands in. Escapes are resolved when it is read.
#[derive(Clone, Copy)]
pub struct Word<'a> {
    raw: &'a str,
    column: u16,
    quoting: Quoting,
}

impl<'a> Word<'a> {
    pub(super) fn new(raw: &'a str, quoting: Quoting, column: u16) -> Self {
        Self { raw, column, quoting }
    }

    /// A word that means itself, such as an argument of the command line.
    pub const fn literal(text: &'a str) -> Self {
        Self { raw: text, column: 1, quoting: Quoting::Literal }
    }

    /// The word as text if it was written without escapes; nearly every word is.
    pub fn as_str(&self) -> Option<&'a str> {
        (!self.has_escapes()).then_some(self.raw)
    }

    /// Whether the word begins so.
    pub fn starts_with(&self, prefix: &str) -> bool {
        let mut chars = self.chars();
        prefix.chars().all(|c| chars.next() == Some(c))
    }

    /// The characters of the word.
    pub fn chars(&self) -> impl Iterator<Item = char> + use<'a> {
        let escapes = self.has_escapes();
        let mut raw = self.raw.chars();
        core::iter::from_fn(move || match raw.next()? {
            '\\' if escapes => raw.next(),
            other => Some(other),
        })
    }

    /// The word as a number, address or the like; `None` if it is none.
    pub fn parse<T: FromStr>(&self) -> Option<T> {
        self.as_str()?.parse().ok()
    }

    /// The word as a decimal number, as openvpn reads it except that trailing text is refused:
    /// a negative number is 0. `None` if it is no number or larger than 2^64-1.
    pub fn parse_number(&self) -> Option<u64> {
        let text = self.as_str()?;
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let number = if digits.starts_with('+') { None } else { digits.parse::<u64>().ok() };
        number.map(|number| if negative { 0 } else { number })
    }

    /// Byte in its line at which the word starts, its opening quote included, counted from 1.
    pub fn column(&self) -> u16 {
        self.column
    }

    /// Length of the word as it is written, quotes included, in characters.
    pub fn width(&self) -> usize {
        let quotes = match self.quoting {
            Quoting::Bare | Quoting::Literal => 0,
            Quoting::Double | Quoting::Single => 2,
        };
        self.raw.chars().count().saturating_add(quotes)
    }

    /// The word without the `--` that may stand before an option's name.
    pub(super) fn without_dashes(self) -> Self {
        match self.raw.strip_prefix("--") {
            Some(raw) if !raw.is_empty() => Self { raw, column: self.column.saturating_add(2), ..self },
            _ => self,
        }
    }

    /// The word `<tag>` without its brackets.
    pub(super) fn within_brackets(self, tag: &'a str) -> Self {
        Self { raw: tag, column: self.column.saturating_add(1), ..self }
    }

    fn has_escapes(&self) -> bool {
        matches!(self.quoting, Quoting::Bare | Quoting::Double) && self.raw.contains('\\')
    }
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => f.write_str(text),
            None => self.chars().try_for_each(|c| f.write_char(c)),
        }
    }
}

impl fmt::Debug for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Word<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        // As it is written, escapes and all.
        defmt::write!(f, "{=str}", self.raw);
    }
}

/// Words are equal if they mean the same, wherever and however they are written.
impl PartialEq for Word<'_> {
    #[inline(never)]
    fn eq(&self, other: &Self) -> bool {
        match (self.as_str(), other.as_str()) {
            (Some(text), Some(other)) => text == other,
            _ => self.chars().eq(other.chars()),
        }
    }
}

impl Eq for Word<'_> {}

impl PartialEq<str> for Word<'_> {
    fn eq(&self, other: &str) -> bool {
        *self == Word::literal(other)
    }
}

impl PartialEq<&str> for Word<'_> {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_openvpn_reads_them_but_nonsense_is_none() {
        for (text, number) in [
            ("0", Some(0)),
            ("0010", Some(10)),
            ("+5", Some(5)),
            ("-3", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("abc", None),
            ("10s", None),
            ("", None),
            ("-", None),
            ("++5", None),
            ("-+5", None),
            ("1 0", None),
        ] {
            assert_eq!(Word::literal(text).parse_number(), number, "{text}");
        }
    }

    #[test]
    fn words_compare_by_meaning() {
        let escaped = Word::new(r"a\ b", Quoting::Bare, 1);
        assert_eq!(escaped.as_str(), None);
        assert_eq!(escaped, "a b");
        assert_eq!(escaped, Word::new("a b", Quoting::Single, 9));
        assert_ne!(escaped, Word::literal(r"a\ b"));
        assert_eq!(Word::literal("10.0.0.1").parse(), Some(core::net::Ipv4Addr::new(10, 0, 0, 1)));
    }
}
