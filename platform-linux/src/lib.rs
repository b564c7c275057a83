//! longcable on Linux.

pub mod crypto;
pub mod demo;
pub mod net;
pub mod standalone;
