//! CBC, CFB, OFB and `none`: the cipher text is signed with an HMAC, which does not cover the header (protocol
//! sections 2.2 and 2.3).

use heapless::Vec;

use crate::crypto::replay::{PacketIdSender, ReplayWindow};
use crate::crypto::static_key::KeyHalf;
use crate::crypto::{
    CbcDecrypt, CbcEncrypt, CbcPacket, Digest, KeyStream, Mac, Mode, Provider, Rng, Suite, Unsupported,
};
use crate::data::batch::{BATCH, Outgoing, for_each};
use crate::data::{Header, LONG_ID_LEN, PACKET_ID_RENEW, SHORT_ID_LEN};
use crate::error::{Discard, NotReady};
use crate::packet::PacketBuf;
use crate::time::Instant;

/// The sending direction.
pub(super) struct MacSealer<C: Provider> {
    cipher: CipherKey<C::Encrypt, C::KeyStream>,
    mac: Option<C::Mac>,
    suite: Suite,
    ids: Ids,
}

/// The receiving direction.
pub(super) struct MacOpener<C: Provider> {
    cipher: CipherKey<C::Decrypt, C::KeyStream>,
    mac: Option<C::Mac>,
    suite: Suite,
    id_len: usize,
}

/// What a cipher's mode asks for.
enum CipherKey<B, S> {
    None,
    Blocks(B),
    Stream(S),
}

/// The packet ids of sent packets. Those of a key stream are in its initialisation vector, others are encrypted.
pub(super) enum Ids {
    Absent,
    Short(PacketIdSender),
    /// Without a sequence until the first packet tells the time.
    Long(Option<PacketIdSender>),
}

impl Ids {
    pub(super) fn long(first_time: Option<u32>) -> Self {
        first_time.map_or(Self::Absent, |time| Self::Long(Some(PacketIdSender::new(time))))
    }

    pub(super) const fn short(wanted: bool) -> Self {
        if wanted { Self::Short(PacketIdSender::short()) } else { Self::Absent }
    }

    /// The next id as it is sent, left-aligned, and its length.
    fn next(&mut self, unix_now: u32) -> Result<([u8; LONG_ID_LEN], usize), NotReady> {
        let (next, len) = match self {
            Self::Absent => return Ok(([0; LONG_ID_LEN], 0)),
            Self::Short(sender) => (sender.next(0), SHORT_ID_LEN),
            Self::Long(sender) => {
                (sender.get_or_insert_with(|| PacketIdSender::new(unix_now)).next(unix_now), LONG_ID_LEN)
            }
        };
        let (id, time) = next.map_err(|_| NotReady::PacketIdsExhausted)?;
        Ok(((u64::from(id) << 32 | u64::from(time)).to_be_bytes(), len))
    }
}

impl<C: Provider> MacSealer<C> {
    pub(super) fn new(suite: Suite, key: KeyHalf<'_>, ids: Ids) -> Result<Self, Unsupported> {
        let cipher_key = key.cipher(suite.key_len);
        let cipher = match suite.cipher.mode() {
            Mode::None => CipherKey::None,
            Mode::Cbc => CipherKey::Blocks(C::Encrypt::new(suite.cipher, cipher_key)?),
            Mode::Cfb | Mode::Ofb => CipherKey::Stream(C::KeyStream::new(suite.cipher, cipher_key)?),
            Mode::Aead => return Err(Unsupported),
        };
        Ok(Self { cipher, mac: mac_key(suite, key)?, suite, ids })
    }

    #[cfg(test)]
    pub(super) fn continue_after(&mut self, id: u32) {
        match &mut self.ids {
            Ids::Absent => {}
            Ids::Short(sender) => *sender = PacketIdSender::after(id, 0),
            Ids::Long(sender) => *sender = sender.as_ref().map(|sender| PacketIdSender::after(id, sender.time())),
        }
    }

    pub(super) fn sequence_time(&self) -> Option<u32> {
        match &self.ids {
            Ids::Long(sender) => sender.as_ref().map(PacketIdSender::time),
            Ids::Absent | Ids::Short(_) => None,
        }
    }

    pub(super) fn is_worn_out(&self) -> bool {
        match &self.ids {
            Ids::Short(sender) | Ids::Long(Some(sender)) => sender.last() >= PACKET_ID_RENEW,
            Ids::Absent | Ids::Long(None) => false,
        }
    }

    pub(super) fn seal(
        &mut self,
        header: &Header,
        unix_now: u32,
        rng: &mut impl Rng,
        packet: &mut PacketBuf<'_>,
    ) -> Result<(), NotReady> {
        self.prepare(unix_now, rng, packet)?;
        if let CipherKey::Blocks(key) = &self.cipher {
            let (iv, blocks) = split_iv(packet, self.suite).ok_or(NotReady::NoRoom)?;
            key.encrypt(iv, blocks);
        }
        if let Some(mac) = &self.mac {
            let mut tag = [0; Digest::TAG_MAX];
            let tag = tag.get_mut(..self.suite.digest.tag_len()).ok_or(NotReady::NoRoom)?;
            mac.sign(&[packet.as_slice()], tag);
            prepend(packet, tag)?;
        }
        prepend(packet, header.as_slice())
    }

    /// Seals up to [`BATCH`] packets, each step for all of them.
    pub(super) fn seal_batch(
        &mut self,
        header: &Header,
        unix_now: u32,
        rng: &mut impl Rng,
        packets: &mut [Outgoing<'_>],
    ) {
        for_each(packets, |packet| self.prepare(unix_now, rng, packet));
        if let CipherKey::Blocks(key) = &self.cipher {
            // None is left out: whatever is prepared has a vector.
            let split = packets.iter_mut().flatten().filter_map(|packet| split_iv(packet, self.suite));
            let mut blocks: Vec<CbcPacket<'_>, BATCH> = split.take(BATCH).collect();
            key.encrypt_many(&mut blocks);
        }
        if let Some(mac) = &self.mac {
            let tag_len = self.suite.digest.tag_len();
            let mut tags = [[0; Digest::TAG_MAX]; BATCH];
            let messages = packets.iter().flatten().map(PacketBuf::as_slice);
            let rooms = tags.iter_mut().map(|tag| tag.get_mut(..tag_len).unwrap_or_default());
            let mut signed: Vec<_, BATCH> = messages.zip(rooms).collect();
            mac.sign_many(&mut signed);
            drop(signed);
            let mut tags = tags.iter().map(|tag| tag.get(..tag_len).unwrap_or_default());
            for_each(packets, |packet| prepend(packet, tags.next().ok_or(NotReady::NoRoom)?));
        }
        for_each(packets, |packet| prepend(packet, header.as_slice()));
    }

    /// Adds all that is encrypted besides the payload, and the initialisation vector. What is not encrypted in blocks
    /// is encrypted.
    fn prepare(&mut self, unix_now: u32, rng: &mut impl Rng, packet: &mut PacketBuf<'_>) -> Result<(), NotReady> {
        let (id, id_len) = self.ids.next(unix_now)?;
        let id = id.get(..id_len).unwrap_or_default();
        let iv_len = self.suite.cipher.iv_len();
        match &self.cipher {
            CipherKey::None => prepend(packet, id),
            CipherKey::Blocks(_) => {
                prepend(packet, id)?;
                pad(packet, self.suite.cipher.block_len()).ok_or(NotReady::NoRoom)?;
                rng.fill(packet.prepend(iv_len).ok_or(NotReady::NoRoom)?);
                Ok(())
            }
            CipherKey::Stream(key) => {
                let zeros = iv_len.checked_sub(id_len).ok_or(NotReady::NoRoom)?;
                packet.prepend(zeros).ok_or(NotReady::NoRoom)?.fill(0);
                prepend(packet, id)?;
                let (iv, payload) = split_iv(packet, self.suite).ok_or(NotReady::NoRoom)?;
                key.encrypt(iv, payload);
                Ok(())
            }
        }
    }
}

impl<C: Provider> MacOpener<C> {
    /// `id_len` is the length in bytes of packet ids, if there are any.
    pub(super) fn new(suite: Suite, key: KeyHalf<'_>, id_len: usize) -> Result<Self, Unsupported> {
        let cipher_key = key.cipher(suite.key_len);
        let cipher = match suite.cipher.mode() {
            Mode::None => CipherKey::None,
            Mode::Cbc => CipherKey::Blocks(C::Decrypt::new(suite.cipher, cipher_key)?),
            Mode::Cfb | Mode::Ofb => CipherKey::Stream(C::KeyStream::new(suite.cipher, cipher_key)?),
            Mode::Aead => return Err(Unsupported),
        };
        Ok(Self { cipher, mac: mac_key(suite, key)?, suite, id_len })
    }

    /// Whether the tags of up to [`BATCH`] packets are right, of which these are what follows the header; `None` if they
    /// have no tags.
    pub(super) fn verify_batch<'d>(&self, bodies: impl Iterator<Item = &'d [u8]>) -> Option<[bool; BATCH]> {
        let mac = self.mac.as_ref()?;
        let tag_len = self.suite.digest.tag_len();
        let split = bodies.map(|body| body.split_at_checked(tag_len).map(|(tag, message)| (message, tag)));
        let messages: Vec<_, BATCH> = split.map(Option::unwrap_or_default).take(BATCH).collect();
        let mut verdicts = [false; BATCH];
        mac.verify_many(&messages, &mut verdicts);
        Some(verdicts)
    }

    /// Opens what follows the header. `verdict` is the one about its tag if that has been verified.
    pub(super) fn open<'b, B: AsRef<[u64]> + AsMut<[u64]>>(
        &self,
        window: Option<&mut ReplayWindow<B>>,
        now: Instant,
        verdict: Option<bool>,
        body: &'b mut [u8],
    ) -> Result<&'b mut [u8], Discard> {
        let mut rest = body;
        if let Some(mac) = &self.mac {
            let (tag, message) = rest.split_at_mut_checked(self.suite.digest.tag_len()).ok_or(Discard::TooShort)?;
            if !verdict.unwrap_or_else(|| mac.verify(&[message], tag)) {
                return Err(Discard::Authentication);
            }
            rest = message;
        }
        let (iv, rest) = rest.split_at_mut_checked(self.suite.cipher.iv_len()).ok_or(Discard::TooShort)?;
        let (id, payload) = match &self.cipher {
            CipherKey::None => split_id(rest, self.id_len, window.is_some())?,
            CipherKey::Blocks(key) => {
                let block_len = self.suite.cipher.block_len();
                if rest.is_empty() || rest.len().checked_rem(block_len) != Some(0) {
                    return Err(Discard::Decryption);
                }
                key.decrypt(iv, rest);
                let plain = unpad(rest, block_len).ok_or(Discard::Decryption)?;
                split_id(plain, self.id_len, window.is_some())?
            }
            CipherKey::Stream(key) => {
                key.decrypt(iv, rest);
                (split_id(iv, self.id_len, true)?.0, rest)
            }
        };
        if let Some(window) = window {
            let (id, time) = parse_id(id).ok_or(Discard::TooShort)?;
            window.accept(id, time, now).map_err(|_| Discard::Replay { id, time })?;
        }
        if payload.is_empty() { Err(Discard::Empty) } else { Ok(payload) }
    }
}

fn mac_key<M: Mac>(suite: Suite, key: KeyHalf<'_>) -> Result<Option<M>, Unsupported> {
    match suite.digest {
        Digest::None => Ok(None),
        digest => M::new(digest, key.hmac(digest.tag_len())).map(Some),
    }
}

fn prepend(packet: &mut PacketBuf<'_>, bytes: &[u8]) -> Result<(), NotReady> {
    packet.prepend_bytes(bytes).ok_or(NotReady::NoRoom)
}

/// The initialisation vector and what follows.
fn split_iv<'p>(packet: &'p mut PacketBuf<'_>, suite: Suite) -> Option<CbcPacket<'p>> {
    let (iv, rest) = packet.as_mut_slice().split_at_mut_checked(suite.cipher.iv_len())?;
    Some((iv, rest))
}

/// The packet id, if there is one, and what follows.
fn split_id(bytes: &mut [u8], id_len: usize, present: bool) -> Result<(&mut [u8], &mut [u8]), Discard> {
    bytes.split_at_mut_checked(if present { id_len } else { 0 }).ok_or(Discard::TooShort)
}

/// Id and time of a packet id; short ones have time 0.
fn parse_id(field: &[u8]) -> Option<(u32, u32)> {
    let (id, time) = field.split_first_chunk()?;
    Some((u32::from_be_bytes(*id), time.first_chunk().map_or(0, |time| u32::from_be_bytes(*time))))
}

/// PKCS#7: always 1 to `block_len` bytes, each their number.
fn pad(packet: &mut PacketBuf<'_>, block_len: usize) -> Option<()> {
    let missing = block_len.checked_sub(packet.len().checked_rem(block_len)?)?;
    packet.append(missing)?.fill(u8::try_from(missing).ok()?);
    Some(())
}

/// Removes PKCS#7 padding; `None` if it is malformed.
///
/// The packet is authentic by now (or the operator chose `auth none`), so the time that this takes
/// tells nobody anything.
fn unpad(blocks: &mut [u8], block_len: usize) -> Option<&mut [u8]> {
    let count = usize::from(*blocks.last()?);
    if count == 0 || count > block_len {
        return None;
    }
    let (plain, padding) = blocks.split_at_mut_checked(blocks.len().checked_sub(count)?)?;
    padding.iter().all(|byte| usize::from(*byte) == count).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Cipher, RustCrypto};
    use crate::data::Format;
    use crate::data::tests::{Dice, keys};
    use crate::packet::{HEADROOM, TAILROOM};
    use crate::tls::Role;

    const UNIX: u32 = 1000;

    fn sealer(cipher: Cipher, ids: Ids) -> MacSealer<RustCrypto> {
        MacSealer::new(Suite::new(cipher, Digest::Sha1), keys().keys(Role::Client).send, ids).unwrap()
    }

    fn seal(sealer: &mut MacSealer<RustCrypto>, unix_now: u32) -> Result<(), NotReady> {
        let mut buffer = [0; HEADROOM + 1 + TAILROOM];
        let mut packet = PacketBuf::new(&mut buffer, HEADROOM, 1).unwrap();
        sealer.seal(&Header::new(Format::V1 { key_id: 0 }), unix_now, &mut Dice(1), &mut packet)
    }

    #[test]
    fn short_packet_ids_wear_out_and_never_wrap() {
        for cipher in [Cipher::Aes128Cbc, Cipher::None] {
            let mut sealer = sealer(cipher, Ids::Short(PacketIdSender::after(0xfeff_fffe, 0)));
            assert_eq!(seal(&mut sealer, UNIX), Ok(()));
            assert!(!sealer.is_worn_out());
            assert_eq!(seal(&mut sealer, UNIX), Ok(()));
            assert!(sealer.is_worn_out());
            sealer.ids = Ids::Short(PacketIdSender::after(u32::MAX - 1, 0));
            assert_eq!(seal(&mut sealer, UNIX), Ok(()));
            for unix_now in [UNIX, UNIX + 1, u32::MAX] {
                assert_eq!(seal(&mut sealer, unix_now), Err(NotReady::PacketIdsExhausted));
            }
        }
    }

    #[test]
    fn a_key_stream_never_starts_again() {
        let mut sealer = sealer(Cipher::Aes128Ofb, Ids::Long(None));
        assert_eq!(sealer.sequence_time(), None);
        assert_eq!(seal(&mut sealer, UNIX), Ok(()));
        assert_eq!(seal(&mut sealer, UNIX + 1), Ok(()));
        assert_eq!(sealer.sequence_time(), Some(UNIX));
        sealer.ids = Ids::Long(Some(PacketIdSender::after(u32::MAX, UNIX)));
        assert!(sealer.is_worn_out());
        assert_eq!(seal(&mut sealer, UNIX), Err(NotReady::PacketIdsExhausted));
        assert_eq!(seal(&mut sealer, UNIX + 1), Ok(()));
        assert_eq!(sealer.sequence_time(), Some(UNIX + 1));
    }

    #[test]
    fn padding_is_exact() {
        for (len, padding) in [(1, 15), (15, 1), (16, 16), (17, 15)] {
            let mut buffer = [0; 64];
            let mut packet = PacketBuf::new(&mut buffer, 8, len).unwrap();
            pad(&mut packet, 16).unwrap();
            assert_eq!(packet.len(), len + padding);
            assert_eq!(unpad(packet.as_mut_slice(), 16).unwrap().len(), len);
            packet.as_mut_slice()[len] ^= 0x40;
            assert!(unpad(packet.as_mut_slice(), 16).is_none(), "{len}");
        }
        assert!(unpad(&mut [0; 16], 16).is_none());
        assert!(unpad(&mut [17; 32], 16).is_none());
        assert!(unpad(&mut [], 16).is_none());
    }
}
