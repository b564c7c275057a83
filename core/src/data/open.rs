//! The receiving direction.

use crate::crypto::replay::{ReplayBits, ReplayWindow};
use crate::crypto::static_key::KeyHalf;
use crate::crypto::{Mode, Provider, Suite, Unsupported};
use crate::data::batch::BATCH;
use crate::data::encrypt_then_mac::MacOpener;
use crate::data::tls::TlsOpener;
use crate::data::{LONG_ID_LEN, SHORT_ID_LEN, header_len};
use crate::error::Discard;
use crate::time::Instant;

/// Opens the packets of one direction under one key. `B` holds the bits of the replay window.
pub struct Opener<C: Provider, B> {
    opening: Opening<C, B>,
    /// Static keys have none.
    has_header: bool,
    window: Option<ReplayWindow<B>>,
}

enum Opening<C: Provider, B> {
    Mac(MacOpener<C>),
    Tls(TlsOpener<C, B>),
}

impl<C: Provider, B: ReplayBits> Opener<C, B> {
    /// An opener with one half of a static key. Without a window packets carry no ids (`no-replay`).
    ///
    /// # Errors
    /// The provider lacks the cipher or digest, the cipher takes no key of this length, or it works with TLS only.
    pub fn new(suite: Suite, key: KeyHalf<'_>, window: Option<ReplayWindow<B>>) -> Result<Self, Unsupported> {
        if suite.cipher.mode().needs_tls() {
            return Err(Unsupported);
        }
        let opening = Opening::Mac(MacOpener::new(suite, key, LONG_ID_LEN)?);
        Ok(Self { opening, has_header: false, window })
    }

    /// An opener with one half of the keys that a TLS session brought about. `epoch` is set if keys are renewed
    /// without a handshake (protocol section 2.6). Without a window packets carry no ids (`no-replay`).
    ///
    /// # Errors
    /// As [`Opener::new`], or the format does not go with the cipher: epochs need AEAD, and only CBC and `none` can do
    /// without packet ids.
    pub fn for_tls(
        suite: Suite,
        key: KeyHalf<'_>,
        epoch: bool,
        window: Option<ReplayWindow<B>>,
    ) -> Result<Self, Unsupported> {
        let opening = match (suite.cipher.mode(), epoch) {
            (Mode::Cbc | Mode::None, false) => Opening::Mac(MacOpener::new(suite, key, SHORT_ID_LEN)?),
            (Mode::Cfb | Mode::Ofb, false) if window.is_some() => {
                Opening::Mac(MacOpener::new(suite, key, LONG_ID_LEN)?)
            }
            (Mode::Aead, false) if window.is_some() => Opening::Tls(TlsOpener::new(suite, key, false)?),
            (Mode::Aead, true) if window.is_some() => Opening::Tls(TlsOpener::new(suite, key, true)?),
            _ => return Err(Unsupported),
        };
        Ok(Self { opening, has_header: true, window })
    }

    /// The replay window, unless packets carry no ids.
    pub fn window(&self) -> Option<&ReplayWindow<B>> {
        self.window.as_ref()
    }

    /// The replay window, to be preset from a stored state.
    pub fn window_mut(&mut self) -> Option<&mut ReplayWindow<B>> {
        self.window.as_mut()
    }

    /// The peer's latest epoch, for [`Sealer::raise_epoch`](crate::data::Sealer::raise_epoch); `None` with other
    /// formats.
    pub fn epoch(&self) -> Option<u16> {
        match &self.opening {
            Opening::Tls(opener) => opener.epoch(),
            Opening::Mac(_) => None,
        }
    }

    /// Whether it is time for a new key, because AES-GCM has decrypted nearly as much as is safe. A peer that keeps
    /// count itself has asked for one before.
    pub fn is_worn_out(&self) -> bool {
        match &self.opening {
            Opening::Tls(opener) => opener.is_worn_out(),
            Opening::Mac(_) => false,
        }
    }

    /// Authenticates, decrypts and checks a whole datagram, in place, and returns its payload. With TLS either data
    /// opcode will do; key id and peer id have done their work when this opener was chosen by them.
    ///
    /// The order is fixed: length, tag, padding, packet id, replay. A datagram that is not authentic and new changes
    /// nothing.
    ///
    /// # Errors
    /// Why the datagram is not authentic, not new, or empty.
    pub fn open<'b>(&mut self, now: Instant, datagram: &'b mut [u8]) -> Result<&'b mut [u8], Discard> {
        self.open_verified(now, None, datagram)
    }

    /// As [`Opener::open`], but with what [`Opener::verify_batch`] has found, if it has.
    pub(crate) fn open_verified<'b>(
        &mut self,
        now: Instant,
        verdict: Option<bool>,
        datagram: &'b mut [u8],
    ) -> Result<&'b mut [u8], Discard> {
        let header_len = match self.has_header {
            true => header_len(datagram).ok_or(Discard::TooShort)?,
            false => 0,
        };
        let window = self.window.as_mut();
        match &mut self.opening {
            Opening::Mac(opener) => {
                opener.open(window, now, verdict, datagram.get_mut(header_len..).ok_or(Discard::TooShort)?)
            }
            Opening::Tls(opener) => opener.open(header_len, window, now, datagram),
        }
    }

    /// Whether the HMACs of up to [`BATCH`] datagrams are right, without a trace; several take less time together.
    /// `None` if that is decided when each is opened.
    pub(crate) fn verify_batch<'d>(&self, datagrams: impl Iterator<Item = &'d [u8]>) -> Option<[bool; BATCH]> {
        let Opening::Mac(opener) = &self.opening else { return None };
        let header_len = |datagram| if self.has_header { header_len(datagram) } else { Some(0) };
        let body = |datagram: &'d [u8]| datagram.get(header_len(datagram)?..);
        opener.verify_batch(datagrams.map(|datagram| body(datagram).unwrap_or_default()))
    }

    /// Leaves so many blocks and packets of AES-GCM.
    #[cfg(test)]
    pub(crate) fn wear(&mut self, left: u64) {
        if let Opening::Tls(opener) = &mut self.opening {
            opener.wear(left);
        }
    }
}
