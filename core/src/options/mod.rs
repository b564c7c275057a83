//! The configuration language: text to words, words to options, options to a typed configuration.
//!
//! ```
//! use longcable_core::options::{KeySource, LinkConfig};
//!
//! let config = LinkConfig::parse("dev tun\nremote office.example.net\nsecret static.key 1\nkeepalive 10 60")?;
//! assert_eq!(config.remotes[0].host, "office.example.net");
//! assert_eq!(config.ping, 10);
//! assert!(matches!(config.secret, Some(KeySource::File(file)) if file == "static.key"));
//! # Ok::<(), longcable_core::options::ParseError>(())
//! ```

mod args;
mod check;
mod error;
mod lexer;
mod link;
mod options_string;
#[cfg(feature = "host")]
mod table;
mod word;

pub use args::{Args, Refused};
pub use check::{Checker, Verdict};
pub use error::{ConfigError, Problem};
pub use lexer::{Directive, LINE_MAX, Lexer, Position, SyntaxError, SyntaxProblem, WORDS_MAX, words};
pub use link::{
    Applied, BLOCKS_MAX, CertProfile, Connection, ControlKey, DATA_CIPHERS_MAX, DeviceKind, FINGERPRINTS_MAX, Family,
    Fingerprint, Ifconfig, IfconfigIpv6, Inactive, KEY_USAGES_MAX, KeySource, LinkConfig, Mssfix, NameKind, ParseError,
    PeerRules, REMOTES_MAX, ROUTES_MAX, ReceiveTimeout, Remote, ResolvRetry, RevocationList, Route, RouteIpv6,
    TlsOptions, TlsVersion, Topology, USER_NAME_FIELDS_MAX, Warning,
};
pub use options_string::{Mismatch, Mismatches, Side, options_string};
#[cfg(feature = "host")]
pub use table::{Context, OptionInfo, State, TOPICS, Topic, lookup, nearest, options};
pub use word::Word;
