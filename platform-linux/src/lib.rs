//! longcable on Linux.

pub mod net;
