//! Ciphers and digests by openvpn's names.

/// A data-channel cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {}

/// A digest for HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {}
