//! What takes the place of the formats with a cipher and an HMAC: nothing, so that they need no code and no memory.

use core::convert::Infallible;
use core::marker::PhantomData;

use crate::crypto::replay::ReplayWindow;
use crate::crypto::static_key::KeyHalf;
use crate::crypto::{Rng, Suite, Unsupported};
use crate::data::Header;
use crate::data::batch::{BATCH, Outgoing};
use crate::error::{Discard, NotReady};
use crate::packet::PacketBuf;
use crate::time::Instant;

/// The sending direction.
pub(super) struct MacSealer<C>(Infallible, PhantomData<C>);

/// The receiving direction.
pub(super) struct MacOpener<C>(Infallible, PhantomData<C>);

/// The packet ids of sent packets.
pub(super) enum Ids {
    Long(Option<Infallible>),
}

impl Ids {
    pub(super) const fn long(_first_time: Option<u32>) -> Self {
        Self::Long(None)
    }

    pub(super) const fn short(_wanted: bool) -> Self {
        Self::Long(None)
    }
}

impl<C> MacSealer<C> {
    pub(super) fn new(_suite: Suite, _key: KeyHalf<'_>, _ids: Ids) -> Result<Self, Unsupported> {
        Err(Unsupported)
    }

    pub(super) fn sequence_time(&self) -> Option<u32> {
        match self.0 {}
    }

    pub(super) fn is_worn_out(&self) -> bool {
        match self.0 {}
    }

    pub(super) fn seal(
        &mut self,
        _header: &Header,
        _unix_now: u32,
        _rng: &mut impl Rng,
        _packet: &mut PacketBuf<'_>,
    ) -> Result<(), NotReady> {
        match self.0 {}
    }

    pub(super) fn seal_batch(
        &mut self,
        _header: &Header,
        _unix_now: u32,
        _rng: &mut impl Rng,
        _packets: &mut [Outgoing<'_>],
    ) {
        match self.0 {}
    }
}

impl<C> MacOpener<C> {
    pub(super) fn new(_suite: Suite, _key: KeyHalf<'_>, _id_len: usize) -> Result<Self, Unsupported> {
        Err(Unsupported)
    }

    pub(super) fn open<'b, B>(
        &mut self,
        _window: Option<&mut ReplayWindow<B>>,
        _now: Instant,
        _verdict: Option<bool>,
        _body: &'b mut [u8],
    ) -> Result<&'b mut [u8], Discard> {
        match self.0 {}
    }

    pub(super) fn verify_batch<'d>(&self, _bodies: impl Iterator<Item = &'d [u8]>) -> Option<[bool; BATCH]> {
        match self.0 {}
    }
}
