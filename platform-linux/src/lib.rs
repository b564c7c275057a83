//! longcable on Linux.

pub mod crypto;
pub mod daemon;
pub mod demo;
pub mod environment;
pub mod link;
pub mod local_time;
pub mod log;
pub mod net;
pub mod privileges;
pub mod resolver;
pub mod scripts;
pub mod signals;
pub mod standalone;
pub mod status;
mod sys;
mod sys_process;
#[cfg(test)]
mod testing;
pub mod tun;
