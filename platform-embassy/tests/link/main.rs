//! Links of boards over a network in memory: device and runner as an application has them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

mod ends;
mod flash;
#[cfg(feature = "tls")]
#[allow(dead_code, reason = "it serves the tests of TLS too")]
#[path = "../tls/pki.rs"]
mod pki;
mod start;
mod static_key;
#[cfg(feature = "tls")]
mod tls;
mod world;
