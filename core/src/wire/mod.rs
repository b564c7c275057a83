//! Bytes to values and back, without state.

pub mod compress;
pub mod internal;
pub mod ip;
