//! Cryptography behind traits, so that a host may bring a faster provider.

pub mod algorithms;
pub mod base64;
pub mod epoch;
pub mod key_derivation;
pub mod replay;
pub mod rustcrypto;
pub mod static_key;
pub mod tls_crypt;
pub mod tls_crypt_v2;

pub use algorithms::{Cipher, Digest, Mode, Suite};
pub use key_derivation::KeyMaterial;
pub use rustcrypto::RustCrypto;
pub use static_key::{Direction, StaticKey};

/// A source of unpredictable bytes.
pub trait Rng {
    /// Fills `bytes` with random bytes fit for keys and initialisation vectors.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The provider does not have this algorithm, or the key has the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported;

/// An initialisation vector of one block, and whole blocks that are already padded.
pub type CbcPacket<'p> = (&'p [u8], &'p mut [u8]);

/// One key that encrypts in CBC mode.
pub trait CbcEncrypt: Sized {
    /// `key` is as many bytes as the cipher takes (protocol section 1.2).
    ///
    /// # Errors
    /// The provider lacks the cipher, or the key has another length.
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported>;
    /// Encrypts whole blocks in place. `iv` is one block; `blocks` a multiple of it, already padded.
    /// Does nothing if the lengths are wrong.
    fn encrypt(&self, iv: &[u8], blocks: &mut [u8]);
    /// Encrypts several packets, each as [`CbcEncrypt::encrypt`] would.
    ///
    /// A block waits for the one before it, but not for those of other packets: a provider may work on all at once.
    fn encrypt_many(&self, packets: &mut [CbcPacket<'_>]) {
        for (iv, blocks) in packets {
            self.encrypt(iv, blocks);
        }
    }
}

/// One key that decrypts in CBC mode.
pub trait CbcDecrypt: Sized {
    /// `key` is as many bytes as the cipher takes (protocol section 1.2).
    ///
    /// # Errors
    /// The provider lacks the cipher, or the key has another length.
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported>;
    /// Decrypts whole blocks in place, padding included. Does nothing if the lengths are wrong.
    fn decrypt(&self, iv: &[u8], blocks: &mut [u8]);
}

/// One HMAC key.
pub trait Mac: Sized {
    /// `key` is as many bytes as the digest's tag (protocol section 1.2).
    ///
    /// # Errors
    /// The provider lacks the digest, or the key has another length.
    fn new(digest: Digest, key: &[u8]) -> Result<Self, Unsupported>;
    /// Writes the tag of the concatenated `parts`; `tag` is exactly as long as the digest's output.
    fn sign(&self, parts: &[&[u8]], tag: &mut [u8]);
    /// Whether `tag` is right, in time that does not depend on where it differs.
    fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool;
    /// Writes the tags of several messages; each pair is a message and room for its tag.
    fn sign_many(&self, messages: &mut [(&[u8], &mut [u8])]) {
        for (message, tag) in messages {
            self.sign(&[message], tag);
        }
    }
    /// Says of each message and its tag whether the tag is right, as [`Mac::verify`] does.
    fn verify_many(&self, messages: &[(&[u8], &[u8])], verdicts: &mut [bool]) {
        for ((message, tag), verdict) in messages.iter().zip(verdicts) {
            *verdict = self.verify(&[message], tag);
        }
    }
}

/// Length of an AEAD nonce in bytes.
pub const NONCE_LEN: usize = 12;
/// Length of an AEAD tag in bytes.
pub const AEAD_TAG_LEN: usize = 16;

/// One AEAD key, for either way.
pub trait Aead: Sized {
    /// `key` is as many bytes as the cipher takes.
    ///
    /// # Errors
    /// The provider lacks the cipher, or the key has another length.
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported>;
    /// Encrypts `payload` in place and returns its tag, which covers `aad` as well. `None`: it is too long.
    fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], payload: &mut [u8]) -> Option<[u8; AEAD_TAG_LEN]>;
    /// Decrypts `payload` in place; false if `tag` is not right, and then `payload` is worthless.
    fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], payload: &mut [u8], tag: &[u8; AEAD_TAG_LEN]) -> bool;
}

/// One key of CFB or OFB mode, for either way (protocol section 2.3).
pub trait KeyStream: Sized {
    /// `key` is as many bytes as the cipher takes.
    ///
    /// # Errors
    /// The provider lacks the cipher, or the key has another length.
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported>;
    /// Encrypts in place; `iv` is 16 bytes. Does nothing if its length is wrong.
    fn encrypt(&self, iv: &[u8], payload: &mut [u8]);
    /// Decrypts in place; `iv` is 16 bytes. Does nothing if its length is wrong.
    fn decrypt(&self, iv: &[u8], payload: &mut [u8]);
}

/// A set of implementations.
pub trait Provider {
    /// AEAD, both ways.
    type Aead: Aead;
    /// CFB and OFB, both ways.
    type KeyStream: KeyStream;
    /// CBC encryption.
    type Encrypt: CbcEncrypt;
    /// CBC decryption.
    type Decrypt: CbcDecrypt;
    /// HMAC.
    type Mac: Mac;
}
