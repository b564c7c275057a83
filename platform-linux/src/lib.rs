//! longcable on Linux.

pub mod link;
pub mod net;
pub mod resolver;
mod sys;
pub mod tun;
