//! OpenVPN on a microcontroller: the engine of `longcable-core` without heap, under embassy or any other executor.
//!
//! [`tls`] is its TLS stack.
#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should"))]

pub mod tls;
