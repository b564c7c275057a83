//! The sending direction.

use crate::crypto::static_key::KeyHalf;
use crate::crypto::{Mode, Provider, Rng, Suite, Unsupported};
use crate::data::batch::{BATCH, Outgoing, for_each};
use crate::data::encrypt_then_mac::{Ids, MacSealer};
use crate::data::tls::TlsSealer;
use crate::data::{Format, Header};
use crate::error::NotReady;
use crate::packet::PacketBuf;

/// Seals the packets of one direction under one key.
pub struct Sealer<C: Provider> {
    header: Header,
    sealing: Sealing<C>,
}

enum Sealing<C: Provider> {
    Mac(MacSealer<C>),
    Tls(TlsSealer<C>),
}

impl<C: Provider> Sealer<C> {
    /// A sealer with one half of a static key. `first_time` is the unix time (s) of the first
    /// sequence of packet ids; `None` leaves packet ids out (`no-replay`).
    ///
    /// # Errors
    /// The provider lacks the cipher or digest, the cipher takes no key of this length, or it works with TLS only.
    pub fn new(suite: Suite, key: KeyHalf<'_>, first_time: Option<u32>) -> Result<Self, Unsupported> {
        if suite.cipher.mode().needs_tls() {
            return Err(Unsupported);
        }
        let sealer = MacSealer::new(suite, key, Ids::long(first_time))?;
        Ok(Self { header: Header::new(Format::Static), sealing: Sealing::Mac(sealer) })
    }

    /// A sealer with one half of the keys that a TLS session brought about. `packet_ids` unset leaves packet ids out
    /// (`no-replay`).
    ///
    /// # Errors
    /// As [`Sealer::new`], or the format does not go with the cipher: epochs need AEAD, and only CBC and `none` can do
    /// without packet ids.
    pub fn for_tls(suite: Suite, key: KeyHalf<'_>, format: Format, packet_ids: bool) -> Result<Self, Unsupported> {
        let sealing = match (suite.cipher.mode(), format) {
            (_, Format::Static) => return Err(Unsupported),
            (Mode::Aead, Format::Epoch { .. }) if packet_ids => Sealing::Tls(TlsSealer::new(suite, key, true)?),
            (_, Format::Epoch { .. }) => return Err(Unsupported),
            (Mode::Aead, _) if packet_ids => Sealing::Tls(TlsSealer::new(suite, key, false)?),
            (Mode::Cfb | Mode::Ofb, _) if packet_ids => Sealing::Mac(MacSealer::new(suite, key, Ids::Long(None))?),
            (Mode::Cbc | Mode::None, _) => Sealing::Mac(MacSealer::new(suite, key, Ids::short(packet_ids))?),
            (Mode::Aead | Mode::Cfb | Mode::Ofb, _) => return Err(Unsupported),
        };
        Ok(Self { header: Header::new(format), sealing })
    }

    /// The unix time (s) of the current sequence of packet ids, if they have one.
    pub fn sequence_time(&self) -> Option<u32> {
        match &self.sealing {
            Sealing::Mac(sealer) => sealer.sequence_time(),
            Sealing::Tls(_) => None,
        }
    }

    /// Whether it is time for a new key: packet ids or epochs run out, or AES-GCM has encrypted nearly as much as is
    /// safe (protocol section 2.7). Packets can still be sealed.
    pub fn is_worn_out(&self) -> bool {
        match &self.sealing {
            Sealing::Mac(sealer) => sealer.is_worn_out(),
            Sealing::Tls(sealer) => sealer.is_worn_out(),
        }
    }

    /// Follows the peer to `epoch`, if that is later than ours; does nothing with other formats.
    pub fn raise_epoch(&mut self, epoch: u16) {
        if let Sealing::Tls(sealer) = &mut self.sealing {
            sealer.raise_epoch(epoch);
        }
    }

    /// Turns the payload into a datagram, header included, in place. `unix_now` is in seconds; only long packet ids
    /// need it.
    ///
    /// # Errors
    /// The packet is empty, its buffer has no room, or packet ids are used up: short ones are never used twice.
    pub fn seal(&mut self, unix_now: u32, rng: &mut impl Rng, packet: &mut PacketBuf<'_>) -> Result<(), NotReady> {
        if packet.is_empty() {
            return Err(NotReady::NoRoom);
        }
        match &mut self.sealing {
            Sealing::Mac(sealer) => sealer.seal(&self.header, unix_now, rng, packet),
            Sealing::Tls(sealer) => sealer.seal(&self.header, packet),
        }
    }

    /// Seals packets in their order, each as [`Sealer::seal`] would; with CBC several take less time together.
    pub fn seal_batch(&mut self, unix_now: u32, rng: &mut impl Rng, packets: &mut [Outgoing<'_>]) {
        match &mut self.sealing {
            Sealing::Mac(sealer) => {
                for packets in packets.chunks_mut(BATCH) {
                    for_each(packets, |packet| if packet.is_empty() { Err(NotReady::NoRoom) } else { Ok(()) });
                    sealer.seal_batch(&self.header, unix_now, rng, packets);
                }
            }
            Sealing::Tls(_) => for_each(packets, |packet| self.seal(unix_now, rng, packet)),
        }
    }

    /// Goes on after this packet id.
    #[cfg(test)]
    pub(crate) fn continue_after(&mut self, id: u32) {
        match &mut self.sealing {
            Sealing::Mac(sealer) => sealer.continue_after(id),
            Sealing::Tls(sealer) => sealer.continue_after(id),
        }
    }

    /// Leaves so many blocks and packets of AES-GCM.
    #[cfg(test)]
    pub(crate) fn wear(&mut self, left: u64) {
        if let Sealing::Tls(sealer) = &mut self.sealing {
            sealer.wear(left);
        }
    }
}
