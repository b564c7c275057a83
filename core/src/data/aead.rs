//! AEAD ciphers under one key (protocol section 2.5). The tag is before the payload.

use crate::crypto::replay::{PacketIdSender, ReplayWindow};
use crate::crypto::static_key::KeyHalf;
use crate::crypto::{AEAD_TAG_LEN, Aead, Cipher, NONCE_LEN, Provider, Suite, Unsupported};
use crate::data::{Header, PACKET_ID_RENEW, SHORT_ID_LEN, V1_LEN};
use crate::error::{Discard, NotReady};
use crate::packet::PacketBuf;
use crate::time::Instant;

/// The part of the nonce that is not sent.
const IMPLICIT_IV_LEN: usize = NONCE_LEN - SHORT_ID_LEN;

/// The sending direction.
pub(super) struct AeadSealer<C: Provider> {
    key: PacketKey<C>,
    ids: PacketIdSender,
}

/// The receiving direction.
pub(super) struct AeadOpener<C: Provider> {
    key: PacketKey<C>,
}

struct PacketKey<C: Provider> {
    aead: C::Aead,
    implicit_iv: [u8; IMPLICIT_IV_LEN],
    usage: Usage,
}

impl<C: Provider> AeadSealer<C> {
    pub(super) fn new(suite: Suite, key: KeyHalf<'_>) -> Result<Self, Unsupported> {
        Ok(Self { key: PacketKey::new(suite, key)?, ids: PacketIdSender::short() })
    }

    pub(super) fn is_worn_out(&self) -> bool {
        self.ids.last() >= PACKET_ID_RENEW || self.key.usage.is_spent()
    }

    pub(super) fn seal(&mut self, header: &Header, packet: &mut PacketBuf<'_>) -> Result<(), NotReady> {
        let (id, _) = self.ids.next(0).map_err(|_| NotReady::PacketIdsExhausted)?;
        let id = id.to_be_bytes();
        self.key.usage.count(packet.len());
        packet.prepend(AEAD_TAG_LEN).ok_or(NotReady::NoRoom)?;
        packet.prepend(SHORT_ID_LEN).ok_or(NotReady::NoRoom)?.copy_from_slice(&id);
        packet.prepend(header.len).ok_or(NotReady::NoRoom)?.copy_from_slice(header.as_slice());
        let (tag, aad, payload) = parts(header.len, packet.as_mut_slice()).ok_or(NotReady::NoRoom)?;
        *tag = self.key.aead.seal(&self.key.nonce(id), aad, payload).ok_or(NotReady::NoRoom)?;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn continue_after(&mut self, id: u32) {
        self.ids = PacketIdSender::after(id, 0);
    }

    #[cfg(test)]
    pub(super) fn wear(&mut self, left: u64) {
        self.key.usage.wear(left);
    }
}

impl<C: Provider> AeadOpener<C> {
    pub(super) fn new(suite: Suite, key: KeyHalf<'_>) -> Result<Self, Unsupported> {
        Ok(Self { key: PacketKey::new(suite, key)? })
    }

    pub(super) fn is_worn_out(&self) -> bool {
        self.key.usage.is_spent()
    }

    pub(super) fn open<'b, B: AsRef<[u64]> + AsMut<[u64]>>(
        &mut self,
        header_len: usize,
        window: Option<&mut ReplayWindow<B>>,
        now: Instant,
        datagram: &'b mut [u8],
    ) -> Result<&'b mut [u8], Discard> {
        let (tag, aad, payload) = parts(header_len, datagram).ok_or(Discard::TooShort)?;
        let id = *aad.last_chunk().ok_or(Discard::TooShort)?;
        if payload.is_empty() {
            return Err(Discard::TooShort);
        }
        if !self.key.aead.open(&self.key.nonce(id), aad, payload, tag) {
            return Err(Discard::Authentication);
        }
        self.key.usage.count(payload.len());
        let id = u32::from_be_bytes(id);
        match window.map(|window| window.accept(id, 0, now)) {
            Some(Err(_)) => Err(Discard::Replay { id, time: 0 }),
            Some(Ok(())) | None => Ok(payload),
        }
    }

    #[cfg(test)]
    pub(super) fn wear(&mut self, left: u64) {
        self.key.usage.wear(left);
    }
}

impl<C: Provider> PacketKey<C> {
    fn new(suite: Suite, key: KeyHalf<'_>) -> Result<Self, Unsupported> {
        Ok(Self {
            aead: C::Aead::new(suite.cipher, key.cipher(suite.key_len))?,
            implicit_iv: *key.hmac(IMPLICIT_IV_LEN).first_chunk().ok_or(Unsupported)?,
            usage: Usage::new(suite.cipher),
        })
    }

    fn nonce(&self, id: [u8; SHORT_ID_LEN]) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        let (explicit, implicit) = nonce.split_at_mut(SHORT_ID_LEN);
        explicit.copy_from_slice(&id);
        implicit.copy_from_slice(&self.implicit_iv);
        nonce
    }
}

type Parts<'b> = (&'b mut [u8; AEAD_TAG_LEN], &'b [u8], &'b mut [u8]);

/// The tag, what it covers besides the payload, and the payload. It covers the packet id and what `P_DATA_V2` has
/// before it, but not the opcode of `P_DATA_V1`.
fn parts(header_len: usize, datagram: &mut [u8]) -> Option<Parts<'_>> {
    let (head, rest) = datagram.split_at_mut_checked(header_len.checked_add(SHORT_ID_LEN)?)?;
    let (tag, payload) = rest.split_first_chunk_mut()?;
    let covered = if header_len == V1_LEN { head.get(V1_LEN..)? } else { head };
    Some((tag, covered, payload))
}

/// How much AES-GCM has been used with one key, in blocks and packets (protocol sections 2.6 and 2.7).
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    used: u64,
    limit: u64,
}

/// What is safe is 2^36; an eighth of it is left for the time in which a new key is agreed on.
const GCM_LIMIT: u64 = (1 << 36) / 8 * 7;

const GCM_BLOCK_LEN: usize = 16;

impl Usage {
    pub(super) const fn new(cipher: Cipher) -> Self {
        let limit = match cipher {
            Cipher::ChaCha20Poly1305 => u64::MAX,
            _ => GCM_LIMIT,
        };
        Self { used: 0, limit }
    }

    /// Counts a packet with a payload of `len` bytes.
    pub(super) fn count(&mut self, len: usize) {
        let blocks = len.div_ceil(GCM_BLOCK_LEN);
        self.used = self.used.saturating_add(1).saturating_add(u64::try_from(blocks).unwrap_or(u64::MAX));
    }

    pub(super) const fn is_spent(&self) -> bool {
        self.used >= self.limit
    }

    /// Leaves so many blocks and packets.
    #[cfg(test)]
    pub(super) fn wear(&mut self, left: u64) {
        self.used = self.limit - left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Digest, RustCrypto};
    use crate::data::Format;
    use crate::data::tests::keys;
    use crate::packet::{HEADROOM, TAILROOM};
    use crate::tls::Role;

    fn sealer(cipher: Cipher) -> AeadSealer<RustCrypto> {
        AeadSealer::new(Suite::new(cipher, Digest::None), keys().keys(Role::Client).send).unwrap()
    }

    fn seal(sealer: &mut AeadSealer<RustCrypto>, len: usize) -> Result<(), NotReady> {
        let mut buffer = [0; HEADROOM + 100 + TAILROOM];
        let mut packet = PacketBuf::new(&mut buffer, HEADROOM, len).unwrap();
        sealer.seal(&Header::new(Format::V1 { key_id: 0 }), &mut packet)
    }

    #[test]
    fn packet_ids_wear_out_and_never_wrap() {
        let mut sealer = sealer(Cipher::ChaCha20Poly1305);
        sealer.continue_after(0xfeff_fffe);
        assert_eq!(seal(&mut sealer, 1), Ok(()));
        assert!(!sealer.is_worn_out());
        assert_eq!(seal(&mut sealer, 1), Ok(()));
        assert!(sealer.is_worn_out());
        sealer.continue_after(u32::MAX - 1);
        assert_eq!(seal(&mut sealer, 1), Ok(()));
        for _ in 0..3 {
            assert_eq!(seal(&mut sealer, 1), Err(NotReady::PacketIdsExhausted));
        }
    }

    #[test]
    fn gcm_wears_out_with_blocks_and_packets() {
        let mut sealer = sealer(Cipher::Aes192Gcm);
        sealer.wear(9);
        // Three blocks and one packet, one block and one packet, and so on.
        for (len, worn_out) in [(33, false), (16, false), (1, false), (1, true)] {
            assert_eq!(seal(&mut sealer, len), Ok(()));
            assert_eq!(sealer.is_worn_out(), worn_out);
        }
        let mut other = self::sealer(Cipher::ChaCha20Poly1305);
        other.key.usage.used = GCM_LIMIT;
        assert_eq!(seal(&mut other, 100), Ok(()));
        assert!(!other.is_worn_out());
    }

    #[test]
    fn gcm_wears_out_by_what_is_received_too() {
        let keys = keys();
        let suite = Suite::new(Cipher::Aes128Gcm, Digest::None);
        let mut sealer = AeadSealer::<RustCrypto>::new(suite, keys.keys(Role::Client).send).unwrap();
        let mut opener = AeadOpener::<RustCrypto>::new(suite, keys.keys(Role::Server).receive).unwrap();
        opener.wear(2);
        let mut buffer = [0; HEADROOM + 10 + TAILROOM];
        let mut packet = PacketBuf::new(&mut buffer, HEADROOM, 10).unwrap();
        sealer.seal(&Header::new(Format::V1 { key_id: 0 }), &mut packet).unwrap();
        let window: Option<&mut ReplayWindow<[u64; 1]>> = None;
        assert!(!opener.is_worn_out());
        assert!(opener.open(V1_LEN, window, Instant::from_millis(0), packet.into_slice()).is_ok());
        assert!(opener.is_worn_out());
    }
}
