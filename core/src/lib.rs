//! The OpenVPN protocol as a pure engine: it is handed time, bytes and randomness, and hands back
//! bytes and events. No heap, no sockets, no clock, no globals.
#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should"))]

#[cfg(test)]
extern crate std;

pub mod crypto;
pub mod data;
pub mod error;
pub mod event;
pub mod gateway;
pub mod options;
pub mod packet;
pub mod peer;
pub mod time;
pub mod wire;
