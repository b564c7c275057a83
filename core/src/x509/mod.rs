//! The peer's certificate: who signed it, what it is for, whose it is, whether it may be used today
//! (protocol section 6.7). One verifier for every TLS stack, so that none is less strict.
//!
//! ```text
//! presented chain --Verifier::verify--> ChainVerified --prove (handshake signature)--> PeerVerified
//! ```

mod certificate;
mod crl;
mod der_input;
mod extension;
mod name;
mod oid;
mod profile;
mod rules;
#[cfg(test)]
mod tests;
mod verified;
mod verifier;

pub use certificate::{Certificate, Serial, Unreadable, Validity};
pub use crl::Crl;
pub use name::{Attribute, Name, Text};
pub use rules::user_name;
pub use verified::{COMMON_NAME_MAX, ChainVerified, PeerVerified, Reason, Refusal, SUBJECT_MAX, USER_NAME_MAX};
pub use verifier::{CHAIN_MAX, Observer, Verifier};
