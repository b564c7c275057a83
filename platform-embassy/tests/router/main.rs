//! The subnet router between a wire with hosts and a tunnel with a peer, all in memory and on a clock that the tests
//! move.
//!
//! 192.168.1.7 and fd00:1::7 are a host on the wire, 192.168.1.1 and fd00:1::1 the board there, 10.8.0.2 and fd00:8::2
//! the board in the tunnel, and 10.20.0.1 and fd00:2::1 a host behind the peer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

mod network;
mod packets;
mod stacks;
mod world;
