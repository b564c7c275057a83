//! The formats that only a TLS link has: AEAD, with and without epochs.

use crate::crypto::replay::{ReplayBits, ReplayWindow};
use crate::crypto::static_key::KeyHalf;
use crate::crypto::{Provider, Suite, Unsupported};
use crate::data::Header;
use crate::data::aead::{AeadOpener, AeadSealer};
use crate::data::epoch::{EpochOpener, EpochSealer};
use crate::error::{Discard, NotReady};
use crate::packet::PacketBuf;
use crate::time::Instant;

/// The sending direction.
pub(super) enum TlsSealer<C: Provider> {
    Aead(AeadSealer<C>),
    Epoch(EpochSealer<C>),
}

/// The receiving direction.
pub(super) enum TlsOpener<C: Provider, B> {
    Aead(AeadOpener<C>),
    Epoch(EpochOpener<C, B>),
}

impl<C: Provider> TlsSealer<C> {
    pub(super) fn new(suite: Suite, key: KeyHalf<'_>, epoch: bool) -> Result<Self, Unsupported> {
        match epoch {
            false => AeadSealer::new(suite, key).map(Self::Aead),
            true => EpochSealer::new(suite, key).map(Self::Epoch),
        }
    }

    pub(super) fn is_worn_out(&self) -> bool {
        match self {
            Self::Aead(sealer) => sealer.is_worn_out(),
            Self::Epoch(sealer) => sealer.is_worn_out(),
        }
    }

    pub(super) fn raise_epoch(&mut self, epoch: u16) {
        if let Self::Epoch(sealer) = self {
            sealer.raise(epoch);
        }
    }

    pub(super) fn seal(&mut self, header: &Header, packet: &mut PacketBuf<'_>) -> Result<(), NotReady> {
        match self {
            Self::Aead(sealer) => sealer.seal(header, packet),
            Self::Epoch(sealer) => sealer.seal(header, packet),
        }
    }

    #[cfg(test)]
    pub(super) fn continue_after(&mut self, id: u32) {
        if let Self::Aead(sealer) = self {
            sealer.continue_after(id);
        }
    }

    #[cfg(test)]
    pub(super) fn wear(&mut self, left: u64) {
        if let Self::Aead(sealer) = self {
            sealer.wear(left);
        }
    }
}

impl<C: Provider, B: ReplayBits> TlsOpener<C, B> {
    pub(super) fn new(suite: Suite, key: KeyHalf<'_>, epoch: bool) -> Result<Self, Unsupported> {
        match epoch {
            false => AeadOpener::new(suite, key).map(Self::Aead),
            true => EpochOpener::new(suite, key).map(Self::Epoch),
        }
    }

    pub(super) fn epoch(&self) -> Option<u16> {
        match self {
            Self::Aead(_) => None,
            Self::Epoch(opener) => Some(opener.epoch()),
        }
    }

    pub(super) fn is_worn_out(&self) -> bool {
        match self {
            Self::Aead(opener) => opener.is_worn_out(),
            Self::Epoch(_) => false,
        }
    }

    pub(super) fn open<'b>(
        &mut self,
        header_len: usize,
        window: Option<&mut ReplayWindow<B>>,
        now: Instant,
        datagram: &'b mut [u8],
    ) -> Result<&'b mut [u8], Discard> {
        match self {
            Self::Aead(opener) => opener.open(header_len, window, now, datagram),
            Self::Epoch(opener) => opener.open(header_len, window, now, datagram),
        }
    }

    #[cfg(test)]
    pub(super) fn wear(&mut self, left: u64) {
        if let Self::Aead(opener) = self {
            opener.wear(left);
        }
    }
}
