//! Key method 2: what the two ends tell each other inside TLS before data can flow (protocol section 3.11).

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::Rng;

/// Random bytes that one end contributes to the data keys. Wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeySource {
    /// Only the TLS client's counts; the TLS server's is not sent.
    pub pre_master: [u8; 48],
    /// Goes into the master secret.
    pub random1: [u8; 32],
    /// Goes into the key expansion.
    pub random2: [u8; 32],
}

impl KeySource {
    /// A new contribution.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut source = Self { pre_master: [0; 48], random1: [0; 32], random2: [0; 32] };
        rng.fill(&mut source.pre_master);
        rng.fill(&mut source.random1);
        rng.fill(&mut source.random2);
        source
    }
}
