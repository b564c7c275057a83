//! A place for one packet.

use smoltcp::wire::{IpAddress, Ipv4Address};

/// An IP packet of at most `MTU` bytes on its way.
pub(crate) struct Packet<const MTU: usize> {
    pub(crate) next_hop: IpAddress,
    len: usize,
    bytes: [u8; MTU],
}

impl<const MTU: usize> Packet<MTU> {
    pub(crate) const fn new() -> Self {
        Self { next_hop: IpAddress::Ipv4(Ipv4Address::UNSPECIFIED), len: 0, bytes: [0; MTU] }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Lets `write` write a packet and say how long it is. Returns whether there is one.
    pub(crate) fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        self.len = write(&mut self.bytes).unwrap_or(0);
        self.len > 0
    }

    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.next_hop = other.next_hop;
        self.fill(|bytes| {
            let from = other.bytes();
            bytes.get_mut(..from.len())?.copy_from_slice(from);
            Some(from.len())
        });
    }
}
