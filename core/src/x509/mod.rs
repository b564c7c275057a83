//! The peer's certificate: who signed it, what it is for, whose it is, whether it may be used today
//! (protocol section 6.7). One verifier for every TLS stack, so that none is less strict.
//!
//! ```text
//! presented chain --Verifier::verify--> ChainVerified --prove (handshake signature)--> PeerVerified
//! ```

mod verified;

pub use verified::{ChainVerified, PeerVerified, Reason, Refusal};
