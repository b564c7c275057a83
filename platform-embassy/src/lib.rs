//! OpenVPN on a microcontroller: the engine of `longcable-core` without heap, under embassy or any other executor.
//!
//! [`tls`] is its TLS stack; [`router`] makes the board a way for others to the tunnel.
#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should"))]

#[cfg(test)]
extern crate std;

pub mod router;
pub mod tls;
