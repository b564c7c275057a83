//! What takes the place of the ciphers that only a TLS link may use: nothing, so that no code of theirs is linked.

use crate::crypto::{AEAD_TAG_LEN, Aead, Cipher, KeyStream, NONCE_LEN, Unsupported};

/// No AEAD key: the feature `tls` is off.
pub enum AeadKey {}

impl Aead for AeadKey {
    fn new(_cipher: Cipher, _key: &[u8]) -> Result<Self, Unsupported> {
        Err(Unsupported)
    }

    fn seal(&self, _nonce: &[u8; NONCE_LEN], _aad: &[u8], _payload: &mut [u8]) -> Option<[u8; AEAD_TAG_LEN]> {
        match *self {}
    }

    fn open(&self, _nonce: &[u8; NONCE_LEN], _aad: &[u8], _payload: &mut [u8], _tag: &[u8; AEAD_TAG_LEN]) -> bool {
        match *self {}
    }
}

/// No key of CFB or OFB mode: the feature `tls` is off.
pub enum StreamKey {}

impl KeyStream for StreamKey {
    fn new(_cipher: Cipher, _key: &[u8]) -> Result<Self, Unsupported> {
        Err(Unsupported)
    }

    fn encrypt(&self, _iv: &[u8], _payload: &mut [u8]) {
        match *self {}
    }

    fn decrypt(&self, _iv: &[u8], _payload: &mut [u8]) {
        match *self {}
    }
}
