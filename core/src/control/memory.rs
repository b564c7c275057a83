//! What the host gives to a link with TLS: memory for its data keys and control packets.

use core::fmt;

use heapless::Vec;

use crate::crypto::Provider;
use crate::crypto::replay::ReplayBits;
use crate::data::DataKey;

/// Data keys that may exist at the same time: of the live session the latest and the one before, two of the session
/// before that, and a new one.
pub const DATA_KEYS: usize = 5;

/// Data keys in their places. A place is a vector because that is empty when all its bytes are zero: a static takes no
/// flash only if this holds for all of it.
pub type DataKeys<C, B> = [Vec<DataKey<C, B>, 1>];

/// Memory for the data keys and control packets of a link: a [`Memory`], a reference to one that lies elsewhere, or `()`
/// where there is no TLS.
pub trait LinkMemory<C: Provider, B: ReplayBits> {
    /// Places of [`DATA_KEYS`] data keys.
    fn keys(&self) -> &DataKeys<C, B>;

    /// Place of the control packets that wait to be acknowledged or came out of order. It is divided equally among the TLS
    /// sessions; a share is a multiple of [`CELL`](crate::control::CELL) bytes, three of them at least.
    fn packets(&self) -> &[u8];

    /// Both, to be changed.
    fn parts(&mut self) -> (&mut DataKeys<C, B>, &mut [u8]);
}

/// The memory itself; `M` holds the packets.
pub struct Memory<C: Provider, B, M> {
    keys: [Vec<DataKey<C, B>, 1>; DATA_KEYS],
    packets: M,
}

impl<C: Provider, B, M> Memory<C, B, M> {
    /// Memory without keys.
    pub const fn new(packets: M) -> Self {
        Self { keys: [const { Vec::new() }; DATA_KEYS], packets }
    }
}

impl<C: Provider, B: ReplayBits, M: AsRef<[u8]> + AsMut<[u8]>> LinkMemory<C, B> for Memory<C, B, M> {
    fn keys(&self) -> &DataKeys<C, B> {
        &self.keys
    }

    fn packets(&self) -> &[u8] {
        self.packets.as_ref()
    }

    fn parts(&mut self) -> (&mut DataKeys<C, B>, &mut [u8]) {
        (&mut self.keys, self.packets.as_mut())
    }
}

impl<C: Provider, B: ReplayBits, T: LinkMemory<C, B> + ?Sized> LinkMemory<C, B> for &mut T {
    fn keys(&self) -> &DataKeys<C, B> {
        (**self).keys()
    }

    fn packets(&self) -> &[u8] {
        (**self).packets()
    }

    fn parts(&mut self) -> (&mut DataKeys<C, B>, &mut [u8]) {
        (**self).parts()
    }
}

impl<C: Provider, B: ReplayBits> LinkMemory<C, B> for () {
    fn keys(&self) -> &DataKeys<C, B> {
        &[]
    }

    fn packets(&self) -> &[u8] {
        &[]
    }

    fn parts(&mut self) -> (&mut DataKeys<C, B>, &mut [u8]) {
        (&mut [], &mut [])
    }
}

impl<C: Provider, B, M> fmt::Debug for Memory<C, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
