//! The TLS stack of the boards against other stacks, through its byte interface alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

mod attacks;
mod credentials;
mod handshake;
mod hostile;
mod link;
mod openssl;
mod pair;
mod pki;
mod refusals;
mod rogue;
