//! The OpenVPN protocol as a pure engine: it is handed time, bytes and randomness, and hands back
//! bytes and events. No heap, no sockets, no clock, no globals.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod time;
pub mod error;
pub mod packet;
pub mod event;
pub mod wire;
pub mod crypto;
pub mod options;
pub mod data;
