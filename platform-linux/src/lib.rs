//! longcable on Linux.

pub mod link;
pub mod net;
mod sys;
pub mod tun;
