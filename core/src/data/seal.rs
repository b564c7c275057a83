//! The sending direction.

use crate::crypto::replay::PacketIdSender;
use crate::crypto::static_key::KeyHalf;
use crate::crypto::{CbcEncrypt, Cipher, Digest, Mac, Provider, Rng, Suite, Unsupported};
use crate::data::TAG_MAX;
use crate::error::NotReady;
use crate::packet::PacketBuf;

/// Seals the packets of one direction.
pub struct Sealer<C: Provider> {
    cipher: Option<C::Encrypt>,
    mac: Option<C::Mac>,
    suite: Suite,
    ids: Option<PacketIdSender>,
}

impl<C: Provider> Sealer<C> {
    /// A sealer with one half of a static key. `first_time` is the unix time (s) of the first
    /// sequence of packet ids; `None` leaves packet ids out (`no-replay`).
    ///
    /// # Errors
    /// The provider lacks the cipher or digest, or the cipher takes no key of this length.
    pub fn new(suite: Suite, key: KeyHalf<'_>, first_time: Option<u32>) -> Result<Self, Unsupported> {
        Ok(Self {
            cipher: match suite.cipher {
                Cipher::None => None,
                cipher => Some(C::Encrypt::new(cipher, key.cipher(suite.key_len))?),
            },
            mac: match suite.digest {
                Digest::None => None,
                digest => Some(C::Mac::new(digest, key.hmac(digest.tag_len()))?),
            },
            suite,
            ids: first_time.map(PacketIdSender::new),
        })
    }

    /// The unix time (s) of the current sequence of packet ids.
    pub fn sequence_time(&self) -> Option<u32> {
        self.ids.as_ref().map(PacketIdSender::time)
    }

    /// Turns the payload into a datagram, in place. `unix_now` is in seconds and only used when
    /// packet ids wrap.
    ///
    /// # Errors
    /// The packet is empty, its buffer has no room, or packet ids are used up.
    pub fn seal(&mut self, unix_now: u32, rng: &mut impl Rng, packet: &mut PacketBuf<'_>) -> Result<(), NotReady> {
        if packet.is_empty() {
            return Err(NotReady::NoRoom);
        }
        if let Some(ids) = &mut self.ids {
            let (id, time) = ids.next(unix_now).map_err(|_| NotReady::PacketIdsExhausted)?;
            let field = packet.prepend(super::LONG_ID_LEN).ok_or(NotReady::NoRoom)?;
            let (id_field, time_field) = field.split_at_mut(size_of::<u32>());
            id_field.copy_from_slice(&id.to_be_bytes());
            time_field.copy_from_slice(&time.to_be_bytes());
        }
        if let Some(cipher) = &self.cipher {
            pad(packet, self.suite.cipher.block_len()).ok_or(NotReady::NoRoom)?;
            let iv_len = self.suite.cipher.iv_len();
            rng.fill(packet.prepend(iv_len).ok_or(NotReady::NoRoom)?);
            let (iv, blocks) = packet.as_mut_slice().split_at_mut_checked(iv_len).ok_or(NotReady::NoRoom)?;
            cipher.encrypt(iv, blocks);
        }
        if let Some(mac) = &self.mac {
            let mut tag = [0; TAG_MAX];
            let tag = tag.get_mut(..self.suite.digest.tag_len()).ok_or(NotReady::NoRoom)?;
            mac.sign(&[packet.as_slice()], tag);
            packet.prepend(tag.len()).ok_or(NotReady::NoRoom)?.copy_from_slice(tag);
        }
        Ok(())
    }
}

/// PKCS#7: always 1 to `block_len` bytes, each their number.
fn pad(packet: &mut PacketBuf<'_>, block_len: usize) -> Option<()> {
    let missing = block_len.checked_sub(packet.len().checked_rem(block_len)?)?;
    packet.append(missing)?.fill(u8::try_from(missing).ok()?);
    Some(())
}
