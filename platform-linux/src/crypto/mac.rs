//! HMAC keys that sign one message or several at a time, whichever is faster.

use std::array::from_fn;

use longcable_core::crypto::rustcrypto::HmacKey;
use longcable_core::crypto::{Digest, Mac, Unsupported};
use subtle::ConstantTimeEq;

use super::lanes::HmacLanes;

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
    use longcable_core::crypto::Rng;

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
