//! What the tests share.

pub mod support;
pub mod vectors;
