//! What can be wrong with an option.

use core::fmt;

use super::word::Word;

/// An option that cannot be used as it stands. `Display` is one sentence with the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConfigError<'a> {
    /// The option's name.
    pub option: Word<'a>,
    /// The word of the directive that is wrong: 0 is the name, 1 the first argument.
    pub word: usize,
    /// What is wrong with it.
    pub problem: Problem<'a>,
}

/// The ways in which an option can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Problem<'a> {
    /// No option has this name; perhaps this one was meant.
    UnknownOption {
        /// The option with the most similar name.
        nearest: Option<&'static str>,
    },
    /// openvpn had this option once.
    Removed {
        /// What to do now, as "use ..." or "leave it out: ...".
        instead: &'static str,
    },
    /// The option exists and is not supported yet.
    NotYet,
    /// The option is supported, but not yet with this value.
    ValueNotYet {
        /// The value.
        value: Word<'a>,
        /// What is supported; empty without the feature `host`.
        supported: &'static str,
    },
    /// Too few or too many arguments.
    WrongArgumentCount {
        /// How many there are.
        given: usize,
        /// What the option takes, as in "n \[t\]".
        usage: &'static str,
    },
    /// The option cannot be given as an inline block.
    NoInline,
    /// The option is not one of those that a `<connection>` block may have.
    NotInConnection,
    /// The option has no such value.
    BadValue {
        /// The value.
        value: Word<'a>,
        /// What is valid, as in "a time in seconds"; empty without the feature `host`.
        valid: &'static str,
    },
    /// The option does not go with others.
    Conflict {
        /// Why not, and what to do; mostly empty without the feature `host`.
        why: &'static str,
    },
    /// The option is missing, or needs another one.
    Missing {
        /// What is missing and how to give it; mostly empty without the feature `host`.
        remedy: &'static str,
    },
    /// There are more of these than fit.
    TooMany {
        /// How many fit.
        limit: usize,
    },
}

impl<'a> ConfigError<'a> {
    pub(super) fn new(option: Word<'a>, word: usize, problem: Problem<'a>) -> Self {
        Self { option, word, problem }
    }

    /// An error that no single line is to blame for.
    pub(super) fn of(option: &'static str, problem: Problem<'a>) -> Self {
        Self { option: Word::literal(option), word: 0, problem }
    }
}

/// A text about what is valid or missing: a board has no room for these.
pub(super) const fn on_a_host(text: &'static str) -> &'static str {
    if cfg!(feature = "host") { text } else { "" }
}

impl fmt::Display for ConfigError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, word: _, problem } = self;
        match problem {
            Problem::UnknownOption { nearest: Some(nearest) } => {
                write!(f, "there is no option '{option}'; did you mean '{nearest}'?")
            }
            Problem::UnknownOption { nearest: None } if cfg!(feature = "host") => {
                write!(f, "there is no option '{option}'; --help lists all options")
            }
            Problem::UnknownOption { nearest: None } => {
                write!(f, "there is no option '{option}' in this firmware, or its feature is left out")
            }
            Problem::Removed { instead } => write!(f, "option '{option}' was removed from openvpn: {instead}"),
            Problem::NotYet if *option == "client" || *option == "pull" => write!(
                f,
                "option '{option}' is not supported yet; on a link between two gateways write 'tls-client' and 'ifconfig' \
                 in its place"
            ),
            Problem::NotYet => write!(
                f,
                "option '{option}' is not supported yet; leave it out, or write 'ignore-unknown-option {option}' above \
                 it if the link works without it"
            ),
            Problem::ValueNotYet { value, supported: "" } => write!(f, "'{option} {value}' is not supported yet"),
            Problem::ValueNotYet { value, supported } => {
                write!(f, "'{option} {value}' is not supported yet; supported is {supported}")
            }
            Problem::WrongArgumentCount { given, usage: "" } => {
                write!(f, "option '{option}' takes no argument, not {given}")
            }
            Problem::WrongArgumentCount { given, usage } => {
                let plural = if *given == 1 { "" } else { "s" };
                write!(f, "'{option}' with {given} argument{plural}; write '{option} {usage}'")
            }
            Problem::NoInline => write!(f, "option '{option}' cannot be an inline block; write it on one line"),
            Problem::NotInConnection => {
                write!(f, "option '{option}' cannot stand in a <connection> block; write it outside of the block")
            }
            Problem::BadValue { value, valid: "" } => write!(f, "'{value}' is no value for '{option}'"),
            Problem::BadValue { value, valid } => {
                write!(f, "'{value}' is no value for '{option}', which takes {valid}")
            }
            Problem::Conflict { why: "" } => write!(f, "option '{option}' does not go with the others"),
            Problem::Missing { remedy: "" } => write!(f, "option '{option}' is missing, or an argument of it"),
            Problem::Conflict { why } => write!(f, "option '{option}': {why}"),
            Problem::Missing { remedy } => f.write_str(remedy),
            Problem::TooMany { limit } => write!(f, "more than {limit} times '{option}'"),
        }
    }
}
