//! What takes the place of data epochs in a build without them: nothing, so that they need no code and no memory.

use core::convert::Infallible;
use core::marker::PhantomData;

use crate::crypto::replay::ReplayWindow;
use crate::crypto::static_key::KeyHalf;
use crate::crypto::{Suite, Unsupported};
use crate::data::Header;
use crate::error::{Discard, NotReady};
use crate::packet::PacketBuf;
use crate::time::Instant;

/// The sending direction.
pub(super) struct EpochSealer<C>(Infallible, PhantomData<C>);

/// The receiving direction.
pub(super) struct EpochOpener<C, B>(Infallible, PhantomData<(C, B)>);

impl<C> EpochSealer<C> {
    pub(super) fn new(_suite: Suite, _key: KeyHalf<'_>) -> Result<Self, Unsupported> {
        Err(Unsupported)
    }

    pub(super) fn is_worn_out(&self) -> bool {
        match self.0 {}
    }

    pub(super) fn raise(&mut self, _epoch: u16) {
        match self.0 {}
    }

    pub(super) fn seal(&mut self, _header: &Header, _packet: &mut PacketBuf<'_>) -> Result<(), NotReady> {
        match self.0 {}
    }
}

impl<C, B> EpochOpener<C, B> {
    pub(super) fn new(_suite: Suite, _key: KeyHalf<'_>) -> Result<Self, Unsupported> {
        Err(Unsupported)
    }

    pub(super) fn epoch(&self) -> u16 {
        match self.0 {}
    }

    pub(super) fn open<'b>(
        &mut self,
        _header_len: usize,
        _window: Option<&mut ReplayWindow<B>>,
        _now: Instant,
        _datagram: &'b mut [u8],
    ) -> Result<&'b mut [u8], Discard> {
        match self.0 {}
    }
}
