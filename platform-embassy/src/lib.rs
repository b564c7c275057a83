//! OpenVPN on a microcontroller: the engine of `longcable-core` without heap, under embassy or any other executor.
//!
//! [`tls`] is its TLS stack.
#![no_std]

pub mod tls;
