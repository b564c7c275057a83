//! Bytes to values and back, without any state.

pub mod compress;
pub mod control;
pub mod internal;
pub mod ip;
pub mod key_method2;
pub mod opcode;
pub mod peer_info;
pub mod tcp_stream;
pub mod text;
