//! Data keys that follow from one another without a handshake (protocol section 2.6).

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::static_key::KeyHalf;
use crate::crypto::{NONCE_LEN, Unsupported};

const SECRET_LEN: usize = 32;

/// Yields the keys of epoch 1, 2 and so on for one direction. Wiped from memory when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EpochSchedule {
    /// The epoch whose keys were yielded last; 0 at first.
    epoch: u16,
    /// The secret of the epoch after it.
    secret: [u8; SECRET_LEN],
}

/// The keys of one epoch and direction. Wiped from memory when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EpochKeys {
    /// Its number; never 0.
    pub epoch: u16,
    /// What is combined with the counter of a packet to its nonce.
    pub implicit_iv: [u8; NONCE_LEN],
    cipher_key: [u8; SECRET_LEN],
    cipher_key_len: usize,
}

impl EpochSchedule {
    /// The schedule that starts from one half of the data keys.
    ///
    /// # Errors
    /// Never with a whole key half.
    pub fn new(key: KeyHalf<'_>) -> Result<Self, Unsupported> {
        let secret = *key.cipher(SECRET_LEN).first_chunk().ok_or(Unsupported)?;
        Ok(Self { epoch: 0, secret })
    }

    /// The keys of the next epoch, for a cipher with keys of `cipher_key_len` bytes, at most 32.
    ///
    /// # Errors
    /// There is no epoch after 65,535, or the key is too long.
    pub fn next_keys(&mut self, cipher_key_len: usize) -> Result<EpochKeys, Unsupported> {
        let mut keys = EpochKeys {
            epoch: self.epoch.checked_add(1).ok_or(Unsupported)?,
            implicit_iv: [0; NONCE_LEN],
            cipher_key: [0; SECRET_LEN],
            cipher_key_len,
        };
        expand(&self.secret, "data_key", keys.cipher_key.get_mut(..cipher_key_len).ok_or(Unsupported)?)?;
        expand(&self.secret, "data_iv", &mut keys.implicit_iv)?;
        let mut secret = [0; SECRET_LEN];
        expand(&self.secret, "datakey upd", &mut secret)?;
        self.epoch = keys.epoch;
        self.secret = secret;
        secret.zeroize();
        Ok(keys)
    }
}

impl EpochKeys {
    /// The key for the cipher.
    pub fn cipher_key(&self) -> &[u8] {
        self.cipher_key.get(..self.cipher_key_len).unwrap_or_default()
    }
}

/// HKDF-Expand with SHA-256 and a label in the manner of TLS 1.3.
fn expand(secret: &[u8; SECRET_LEN], label: &str, out: &mut [u8]) -> Result<(), Unsupported> {
    const PREFIX: &str = "ovpn ";
    let out_len = u16::try_from(out.len()).map_err(|_| Unsupported)?.to_be_bytes();
    let label_len = PREFIX.len().checked_add(label.len()).and_then(|len| u8::try_from(len).ok()).ok_or(Unsupported)?;
    let no_context = [0];
    let info: [&[u8]; 5] = [&out_len, &[label_len], PREFIX.as_bytes(), label.as_bytes(), &no_context];
    let hkdf = Hkdf::<Sha256>::from_prk(secret).map_err(|_| Unsupported)?;
    hkdf.expand_multi_info(&info, out).map_err(|_| Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_ends_with_the_last_number() {
        let mut schedule = EpochSchedule::new(KeyHalf::new(&[3; 128])).unwrap();
        assert!(schedule.next_keys(33).is_err());
        for epoch in 1..=u16::MAX {
            assert_eq!(schedule.next_keys(16).unwrap().epoch, epoch);
        }
        assert!(schedule.next_keys(16).is_err());
    }

    #[test]
    fn the_length_of_a_key_is_part_of_its_derivation() {
        let keys = |len| EpochSchedule::new(KeyHalf::new(&[3; 128])).unwrap().next_keys(len).unwrap();
        let (short, long) = (keys(16), keys(32));
        assert_eq!((short.cipher_key().len(), long.cipher_key().len()), (16, 32));
        assert_ne!(short.cipher_key(), &long.cipher_key()[..16]);
        assert_eq!(short.implicit_iv, long.implicit_iv);
    }
}
