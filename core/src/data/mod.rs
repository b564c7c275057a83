//! The data channel: packets sealed and opened where they lie (protocol section 2.2).
//!
//! ```text
//! static key:  HMAC | IV | CBC( packet id 4 | time 4 | payload | padding )
//! ```
//! The two directions share nothing, so a host may run them on two threads.

mod key;
mod open;
mod seal;

pub use key::{Budget, DataKey};
pub use open::Opener;
pub use seal::Sealer;

/// Length of a long-form packet id in bytes: id and unix time (protocol section 2.2).
const LONG_ID_LEN: usize = 8;

/// Longest tag in bytes (SHA-512).
const TAG_MAX: usize = 64;
