//! longcable on Linux.
#![deny(unsafe_code)]

pub mod cli;
pub mod config;
pub mod credentials;
pub mod crypto;
pub mod daemon;
pub mod demo;
pub mod environment;
pub mod event_loop;
pub mod failure;
pub mod link;
pub mod local_time;
pub mod log;
pub mod memory;
pub mod migrate;
pub mod net;
pub mod offload;
pub mod privileges;
pub mod replay_file;
pub mod resolver;
pub mod scripts;
pub mod signals;
pub mod standalone;
pub mod status;
#[allow(unsafe_code, reason = "system calls that no crate offers")]
mod sys;
mod sys_process;
pub mod systemd;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod tun;
pub mod tunnel;
