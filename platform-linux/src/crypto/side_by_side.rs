//! Keys that work on several packets at a time.

use std::array::from_fn;

use aes::cipher::typenum::U16;
use aes::cipher::{Block, BlockEncrypt, BlockSizeUser};
use longcable_core::crypto::rustcrypto::{Encrypt, HmacKey};
use longcable_core::crypto::{CbcEncrypt, CbcPacket, Cipher, Digest, Mac, Unsupported};
use subtle::ConstantTimeEq;

use super::lanes::HmacLanes;

/// Blocks that a processor with AES instructions has under way at a time.
const LANES: usize = 8;
/// Length of a block of AES in bytes.
const BLOCK: usize = 16;

/// A key that encrypts. On the heap: Blowfish's schedule has 4 KB, and without this every key of every cipher would have
/// room for it.
pub struct EncryptKey(Box<Encrypt>);

impl CbcEncrypt for EncryptKey {
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported> {
        Encrypt::new(cipher, key).map(|key| Self(Box::new(key)))
    }

    fn encrypt(&self, iv: &[u8], blocks: &mut [u8]) {
        self.0.encrypt(iv, blocks);
    }

    fn encrypt_many(&self, packets: &mut [CbcPacket<'_>]) {
        match &*self.0 {
            Encrypt::Aes128Cbc(cipher) => encrypt_in_step(cipher, packets),
            Encrypt::Aes192Cbc(cipher) => encrypt_in_step(cipher, packets),
            Encrypt::Aes256Cbc(cipher) => encrypt_in_step(cipher, packets),
            other => other.encrypt_many(packets),
        }
    }
}

/// The n-th blocks of all packets together: they do not wait for each other.
fn encrypt_in_step<C: BlockEncrypt + BlockSizeUser<BlockSize = U16>>(cipher: &C, packets: &mut [CbcPacket<'_>]) {
    for packets in packets.chunks_mut(LANES) {
        let count = packets.len();
        // What each packet's next block is mixed with. Where there is no block, it is encrypted in vain.
        let mut chains: [Block<C>; LANES] = from_fn(|_| Block::<C>::default());
        let mut lanes: [&mut [[u8; BLOCK]]; LANES] = from_fn(|_| Default::default());
        for (nth, (iv, bytes)) in packets.iter_mut().enumerate() {
            if let (blocks, []) = bytes.as_chunks_mut()
                && iv.len() == BLOCK
            {
                chains[nth].copy_from_slice(iv);
                lanes[nth] = blocks;
            }
        }
        for nth in 0..lanes.iter().map(|blocks| blocks.len()).max().unwrap_or(0) {
            for (blocks, chain) in lanes.iter().zip(&mut chains) {
                if let Some(block) = blocks.get(nth) {
                    let mixed = u128::from_ne_bytes((*chain).into()) ^ u128::from_ne_bytes(*block);
                    *chain = mixed.to_ne_bytes().into();
                }
            }
            cipher.encrypt_blocks(&mut chains[..count]);
            for (blocks, chain) in lanes.iter_mut().zip(&chains) {
                if let Some(block) = blocks.get_mut(nth) {
                    *block = (*chain).into();
                }
            }
        }
    }
}

/// An HMAC key.
pub struct MacKey {
    one: HmacKey,
    several: Option<HmacLanes>,
    tag_len: usize,
}

impl Mac for MacKey {
    fn new(digest: Digest, key: &[u8]) -> Result<Self, Unsupported> {
        let one = HmacKey::new(digest, key)?;
        Ok(Self { one, several: HmacLanes::new(digest, key), tag_len: digest.tag_len() })
    }

    fn sign(&self, parts: &[&[u8]], tag: &mut [u8]) {
        self.one.sign(parts, tag);
    }

    fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.one.verify(parts, tag)
    }

    fn sign_many(&self, messages: &mut [(&[u8], &mut [u8])]) {
        for messages in messages.chunks_mut(HmacLanes::most()) {
            let Some(several) = self.several.as_ref().filter(|lanes| messages.len() >= lanes.fewest()) else {
                self.one.sign_many(messages);
                continue;
            };
            let all: [&[u8]; HmacLanes::most()] =
                from_fn(|nth| messages.get(nth).map_or(&[][..], |(message, _)| message));
            let tags = several.sign(&all[..messages.len()]);
            for ((_, tag), right) in messages.iter_mut().zip(tags) {
                if tag.len() == self.tag_len {
                    tag.copy_from_slice(&right[..self.tag_len]);
                }
            }
        }
    }

    fn verify_many(&self, messages: &[(&[u8], &[u8])], verdicts: &mut [bool]) {
        let most = HmacLanes::most();
        for (messages, verdicts) in messages.chunks(most).zip(verdicts.chunks_mut(most)) {
            let Some(several) = self.several.as_ref().filter(|lanes| messages.len() >= lanes.fewest()) else {
                self.one.verify_many(messages, verdicts);
                continue;
            };
            let all: [&[u8]; HmacLanes::most()] =
                from_fn(|nth| messages.get(nth).map_or(&[][..], |(message, _)| message));
            let tags = several.sign(&all[..messages.len()]);
            for (((_, tag), right), verdict) in messages.iter().zip(tags).zip(verdicts) {
                *verdict = right[..self.tag_len].ct_eq(tag).into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::FastRng;
    use longcable_core::crypto::{Mode, Rng};

    /// Bytes that depend on where they are.
    fn random(lens: &[usize]) -> Vec<Vec<u8>> {
        let mut rng = FastRng::new();
        let filled = |len: &usize| {
            let mut bytes = vec![0; *len];
            rng.fill(&mut bytes);
            bytes
        };
        lens.iter().map(filled).collect()
    }

    /// Whatever their number and lengths.
    #[test]
    fn packets_side_by_side_become_what_each_becomes_alone() {
        for cipher in Cipher::ALL.into_iter().filter(|cipher| cipher.mode() == Mode::Cbc) {
            let key = EncryptKey::new(cipher, &random(&[cipher.key_len()])[0]).ok().unwrap();
            for count in 0..=2 * LANES + 1 {
                let lens: Vec<_> = (0..count).map(|nth| cipher.block_len() * (nth * 7 % 5)).collect();
                let (ivs, mut alone) = (random(&vec![cipher.iv_len(); count]), random(&lens));
                let mut together = alone.clone();
                for (iv, blocks) in ivs.iter().zip(&mut alone) {
                    key.encrypt(iv, blocks);
                }
                let mut packets: Vec<_> = ivs.iter().zip(&mut together).map(|(iv, b)| (&iv[..], &mut b[..])).collect();
                key.encrypt_many(&mut packets);
                assert_eq!(together, alone, "{cipher:?}, {count} packets");
            }
        }
    }

    #[test]
    fn wrong_lengths_do_nothing_beside_right_ones() {
        let key = EncryptKey::new(Cipher::Aes128Cbc, &[1; 16]).ok().unwrap();
        let (mut odd, mut right, mut short_iv) = ([9; 31], [9; 32], [9; 32]);
        let mut expected = right;
        key.encrypt(&[3; 16], &mut expected);
        key.encrypt_many(&mut [(&[3; 16], &mut odd), (&[3; 16], &mut right), (&[3; 15], &mut short_iv)]);
        assert_eq!((odd, right, short_iv), ([9; 31], expected, [9; 32]));
    }

    #[test]
    fn tags_side_by_side_are_what_each_is_alone() {
        for digest in Digest::ALL.into_iter().filter(|digest| *digest != Digest::None) {
            let key = random(&[digest.tag_len()]).remove(0);
            let mut keys = vec![MacKey::new(digest, &key).ok().unwrap()];
            keys.extend(
                HmacLanes::for_test(digest, &key)
                    .map(|lanes| MacKey { several: Some(lanes), ..MacKey::new(digest, &key).ok().unwrap() }),
            );
            for key in keys {
                for count in 0..=19 {
                    let messages = random(&(0..count).map(|nth| nth * 211 % 1500).collect::<Vec<_>>());
                    let mut tags = vec![vec![0; digest.tag_len()]; count];
                    let mut pairs: Vec<_> = messages.iter().zip(&mut tags).map(|(m, t)| (&m[..], &mut t[..])).collect();
                    key.sign_many(&mut pairs);
                    assert!(messages.iter().zip(&tags).all(|(m, t)| key.verify(&[m], t)), "{digest:?}, {count}");

                    // Every third tag is wrong in one bit or too short.
                    for (nth, tag) in tags.iter_mut().enumerate().filter(|(nth, _)| nth % 3 == 1) {
                        match nth % 2 {
                            0 => tag[nth % digest.tag_len()] ^= 0x10,
                            _ => tag.truncate(nth % digest.tag_len()),
                        }
                    }
                    let pairs: Vec<_> = messages.iter().zip(&tags).map(|(m, t)| (&m[..], &t[..])).collect();
                    let mut verdicts = vec![false; count];
                    key.verify_many(&pairs, &mut verdicts);
                    let expected: Vec<_> = (0..count).map(|nth| nth % 3 != 1).collect();
                    assert_eq!(verdicts, expected, "{digest:?}");
                }
            }
        }
    }
}
