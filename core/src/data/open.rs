//! The receiving direction.

use crate::crypto::replay::ReplayWindow;
use crate::crypto::static_key::KeyHalf;
use crate::crypto::{CbcDecrypt, Cipher, Digest, Mac, Provider, Suite, Unsupported};
use crate::data::LONG_ID_LEN;
use crate::error::Discard;
use crate::time::Instant;

/// Opens the packets of one direction. `B` holds the bits of the replay window.
pub struct Opener<C: Provider, B> {
    cipher: Option<C::Decrypt>,
    mac: Option<C::Mac>,
    suite: Suite,
    window: Option<ReplayWindow<B>>,
}

impl<C: Provider, B: AsRef<[u64]> + AsMut<[u64]>> Opener<C, B> {
    /// An opener with one half of a static key. Without a window packets carry no ids (`no-replay`).
    ///
    /// # Errors
    /// The provider lacks the cipher or digest, or the cipher takes no key of this length.
    pub fn new(suite: Suite, key: KeyHalf<'_>, window: Option<ReplayWindow<B>>) -> Result<Self, Unsupported> {
        Ok(Self {
            cipher: match suite.cipher {
                Cipher::None => None,
                cipher => Some(C::Decrypt::new(cipher, key.cipher(suite.key_len))?),
            },
            mac: match suite.digest {
                Digest::None => None,
                digest => Some(C::Mac::new(digest, key.hmac(digest.tag_len()))?),
            },
            suite,
            window,
        })
    }

    /// The replay window, unless packets carry no ids.
    pub fn window(&self) -> Option<&ReplayWindow<B>> {
        self.window.as_ref()
    }

    /// The replay window, to be preset from a stored state.
    pub fn window_mut(&mut self) -> Option<&mut ReplayWindow<B>> {
        self.window.as_mut()
    }

    /// Authenticates, decrypts and checks a datagram, in place, and returns its payload.
    ///
    /// The order is fixed: tag, padding, packet id, replay. A datagram that is not authentic and new changes
    /// nothing.
    ///
    /// # Errors
    /// Why the datagram is not authentic, not new, or empty.
    pub fn open<'b>(&mut self, now: Instant, datagram: &'b mut [u8]) -> Result<&'b mut [u8], Discard> {
        let mut rest = datagram;
        if let Some(mac) = &self.mac {
            let (tag, message) = rest.split_at_mut_checked(self.suite.digest.tag_len()).ok_or(Discard::TooShort)?;
            if !mac.verify(&[message], tag) {
                return Err(Discard::Authentication);
            }
            rest = message;
        }
        if let Some(cipher) = &self.cipher {
            let block_len = self.suite.cipher.block_len();
            let (iv, blocks) = rest.split_at_mut_checked(self.suite.cipher.iv_len()).ok_or(Discard::TooShort)?;
            if blocks.is_empty() || blocks.len().checked_rem(block_len) != Some(0) {
                return Err(Discard::Decryption);
            }
            cipher.decrypt(iv, blocks);
            rest = unpad(blocks, block_len).ok_or(Discard::Decryption)?;
        }
        if let Some(window) = &mut self.window {
            let (field, payload) = rest.split_at_mut_checked(LONG_ID_LEN).ok_or(Discard::TooShort)?;
            let (id, time) = long_id(field).ok_or(Discard::TooShort)?;
            window.accept(id, time, now).map_err(|_| Discard::Replay { id, time })?;
            rest = payload;
        }
        if rest.is_empty() { Err(Discard::Empty) } else { Ok(rest) }
    }
}

fn long_id(field: &[u8]) -> Option<(u32, u32)> {
    let (id, time) = field.split_first_chunk()?;
    Some((u32::from_be_bytes(*id), u32::from_be_bytes(*time.first_chunk()?)))
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
