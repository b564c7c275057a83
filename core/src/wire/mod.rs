//! Bytes to values and back, without state.

pub mod internal;
pub mod ip;
