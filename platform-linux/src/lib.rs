//! longcable on Linux.

pub mod demo;
pub mod net;
