//! One negotiated data-channel key: both directions, and what decides when it must be replaced.

use crate::crypto::Provider;
use crate::crypto::replay::ReplayBits;
use crate::data::{Opener, Sealer};

/// A key of a TLS link, ready for data.
pub struct DataKey<C: Provider, B> {
    /// Its number in packets, 0 to 7.
    pub key_id: u8,
    /// The number that packets with a long header carry, if one is agreed on.
    pub peer_id: Option<u32>,
    /// The sending direction.
    pub sealer: Sealer<C>,
    /// The receiving direction.
    pub opener: Opener<C, B>,
    /// Bytes and packets that may still pass before a new key is wanted.
    pub budget: Budget,
}

/// What may still pass under a key, both ways together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

impl Budget {
    /// Notes that a packet of `bytes` bytes passed.
    pub fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes as u64);
        self.packets = self.packets.saturating_sub(1);
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.bytes == 0 || self.packets == 0
    }
}

impl<C: Provider, B: ReplayBits> DataKey<C, B> {
    /// Whether a successor should be negotiated because of what has passed.
    pub fn is_worn_out(&self) -> bool {
        self.budget.is_spent() || self.sealer.is_worn_out() || self.opener.is_worn_out()
    }

    /// Whether packets with this header may be for this key.
    pub fn matches(&self, key_id: u8, peer_id: Option<u32>) -> bool {
        self.key_id == key_id && (peer_id.is_none() || self.peer_id.is_none() || self.peer_id == peer_id)
    }
}
