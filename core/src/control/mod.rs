//! The control channel of a TLS link.

pub mod negotiation;
