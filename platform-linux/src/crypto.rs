//! Cryptography and randomness for the engine.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "what only some processors have, and vectors made of integers")]
mod lanes;
#[cfg(not(target_arch = "x86_64"))]
#[path = "crypto/no_lanes.rs"]
mod lanes;
mod mac;

use longcable_core::crypto::rustcrypto;
use longcable_core::crypto::{
    AEAD_TAG_LEN, Aead, CbcDecrypt, CbcEncrypt, CbcPacket, Cipher, NONCE_LEN, Provider, Rng, RustCrypto, Unsupported,
};
use rand::rngs::StdRng;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

pub use mac::MacKey;

/// The fastest implementation of each algorithm: ring's AEAD, RustCrypto's everything else, and where it helps for
/// several packets at a time.
#[derive(Clone, Copy, Debug)]
pub struct Fast;

impl Provider for Fast {
    type Aead = AeadKey;
    type KeyStream = <RustCrypto as Provider>::KeyStream;
    type Encrypt = Boxed<<RustCrypto as Provider>::Encrypt>;
    type Decrypt = Boxed<<RustCrypto as Provider>::Decrypt>;
    type Mac = MacKey;
}

/// A key on the heap. Blowfish's schedule has 4 KB, and without this every key of every cipher would have room for it.
pub struct Boxed<K>(Box<K>);

impl<K: CbcEncrypt> CbcEncrypt for Boxed<K> {
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported> {
        K::new(cipher, key).map(|key| Self(Box::new(key)))
    }

    fn encrypt(&self, iv: &[u8], blocks: &mut [u8]) {
        self.0.encrypt(iv, blocks);
    }

    fn encrypt_many(&self, packets: &mut [CbcPacket<'_>]) {
        self.0.encrypt_many(packets);
    }
}

impl<K: CbcDecrypt> CbcDecrypt for Boxed<K> {
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported> {
        K::new(cipher, key).map(|key| Self(Box::new(key)))
    }

    fn decrypt(&self, iv: &[u8], blocks: &mut [u8]) {
        self.0.decrypt(iv, blocks);
    }
}

/// An AEAD key.
pub struct AeadKey(Implementation);

#[expect(clippy::large_enum_variant, reason = "a key is used for every packet: no pointer in between")]
enum Implementation {
    Ring(LessSafeKey),
    /// AES-192-GCM, which ring lacks.
    RustCrypto(rustcrypto::AeadKey),
}

impl Aead for AeadKey {
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported> {
        let algorithm = match cipher {
            Cipher::Aes128Gcm => &AES_128_GCM,
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            _ => return rustcrypto::AeadKey::new(cipher, key).map(|key| Self(Implementation::RustCrypto(key))),
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| Unsupported)?;
        Ok(Self(Implementation::Ring(LessSafeKey::new(key))))
    }

    fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], payload: &mut [u8]) -> Option<[u8; AEAD_TAG_LEN]> {
        match &self.0 {
            Implementation::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(*nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), payload).ok()?;
                tag.as_ref().try_into().ok()
            }
            Implementation::RustCrypto(key) => key.seal(nonce, aad, payload),
        }
    }

    fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], payload: &mut [u8], tag: &[u8; AEAD_TAG_LEN]) -> bool {
        match &self.0 {
            Implementation::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(*nonce);
                key.open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), payload, 0..).is_ok()
            }
            Implementation::RustCrypto(key) => key.open(nonce, aad, payload, tag),
        }
    }
}

/// A generator fit for keys that asks the kernel only once, so that a packet costs no system call.
pub struct FastRng(StdRng);

impl FastRng {
    /// A generator seeded by the kernel.
    ///
    /// # Panics
    /// The kernel gives no random bytes: nothing can be encrypted then.
    pub fn new() -> Self {
        Self(rand::make_rng())
    }
}

impl Default for FastRng {
    fn default() -> Self {
        Self::new()
    }
}

impl Rng for FastRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        rand::Rng::fill_bytes(&mut self.0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ring and RustCrypto are two independent implementations.
    #[test]
    fn aead_keys_agree_with_rustcrypto() {
        let mut rng = FastRng::new();
        for cipher in [Cipher::Aes128Gcm, Cipher::Aes192Gcm, Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
            let mut key = vec![0; cipher.key_len()];
            rng.fill(&mut key);
            let fast = AeadKey::new(cipher, &key).ok().unwrap();
            let portable = rustcrypto::AeadKey::new(cipher, &key).ok().unwrap();
            assert_eq!(matches!(fast.0, Implementation::RustCrypto(_)), cipher == Cipher::Aes192Gcm);
            for len in [1, 15, 16, 17, 255, 1400, 9000] {
                let (mut nonce, aad, mut plain) = ([0; NONCE_LEN], b"12345678", vec![0; len]);
                rng.fill(&mut nonce);
                rng.fill(&mut plain);
                let (mut ours, mut theirs) = (plain.clone(), plain.clone());
                let tag = fast.seal(&nonce, aad, &mut ours).unwrap();
                assert_eq!(portable.seal(&nonce, aad, &mut theirs), Some(tag), "{cipher:?}, {len} bytes");
                assert_eq!(ours, theirs, "{cipher:?}, {len} bytes");
                assert!(fast.open(&nonce, aad, &mut ours, &tag));
                assert_eq!(ours, plain, "{cipher:?}, {len} bytes");
                let mut wrong = tag;
                wrong[15] ^= 0x80;
                assert!(!fast.open(&nonce, aad, &mut theirs.clone(), &wrong));
                assert!(!fast.open(&nonce, b"1234567", &mut theirs, &tag));
            }
            assert!(AeadKey::new(cipher, &key[1..]).is_err());
        }
        assert!(AeadKey::new(Cipher::Aes256Cbc, &[0; 32]).is_err());
    }

    #[test]
    fn two_generators_never_agree_and_one_never_repeats() {
        let mut drawn = [[0; 16]; 4];
        let (mut one, mut other) = (FastRng::new(), FastRng::new());
        let [a, b, c, d] = &mut drawn;
        one.fill(a);
        one.fill(b);
        other.fill(c);
        other.fill(d);
        let distinct: std::collections::HashSet<_> = drawn.iter().collect();
        assert_eq!(distinct.len(), drawn.len());
    }
}
