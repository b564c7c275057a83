//! The ciphers that only a TLS link may use.

use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use aes_gcm::AeadInPlace;
use aes_gcm::aead::consts::{U12, U16};
use cbc::cipher::{
    AsyncStreamCipher, BlockCipher, BlockEncryptMut, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper,
};

use crate::crypto::{AEAD_TAG_LEN, Aead, Cipher, KeyStream, NONCE_LEN, Unsupported};

/// An AEAD key.
pub enum AeadKey {
    /// `AES-128-GCM`
    Aes128Gcm(aes_gcm::Aes128Gcm),
    /// `AES-192-GCM`
    Aes192Gcm(aes_gcm::AesGcm<aes::Aes192, U12>),
    /// `AES-256-GCM`
    Aes256Gcm(aes_gcm::Aes256Gcm),
    /// `CHACHA20-POLY1305`
    ChaCha20Poly1305(chacha20poly1305::ChaCha20Poly1305),
}

impl Aead for AeadKey {
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported> {
        match cipher {
            Cipher::Aes128Gcm => KeyInit::new_from_slice(key).map(Self::Aes128Gcm),
            Cipher::Aes192Gcm => KeyInit::new_from_slice(key).map(Self::Aes192Gcm),
            Cipher::Aes256Gcm => KeyInit::new_from_slice(key).map(Self::Aes256Gcm),
            Cipher::ChaCha20Poly1305 => KeyInit::new_from_slice(key).map(Self::ChaCha20Poly1305),
            _ => return Err(Unsupported),
        }
        .map_err(|_| Unsupported)
    }

    fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], payload: &mut [u8]) -> Option<[u8; AEAD_TAG_LEN]> {
        let nonce = nonce.into();
        match self {
            Self::Aes128Gcm(key) => key.encrypt_in_place_detached(nonce, aad, payload),
            Self::Aes192Gcm(key) => key.encrypt_in_place_detached(nonce, aad, payload),
            Self::Aes256Gcm(key) => key.encrypt_in_place_detached(nonce, aad, payload),
            Self::ChaCha20Poly1305(key) => key.encrypt_in_place_detached(nonce, aad, payload),
        }
        .ok()
        .map(Into::into)
    }

    fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], payload: &mut [u8], tag: &[u8; AEAD_TAG_LEN]) -> bool {
        let (nonce, tag) = (nonce.into(), tag.into());
        match self {
            Self::Aes128Gcm(key) => key.decrypt_in_place_detached(nonce, aad, payload, tag),
            Self::Aes192Gcm(key) => key.decrypt_in_place_detached(nonce, aad, payload, tag),
            Self::Aes256Gcm(key) => key.decrypt_in_place_detached(nonce, aad, payload, tag),
            Self::ChaCha20Poly1305(key) => key.decrypt_in_place_detached(nonce, aad, payload, tag),
        }
        .is_ok()
    }
}

/// A key of CFB or OFB mode.
pub enum StreamKey {
    /// `AES-128-CFB`
    Aes128Cfb(Aes128Enc),
    /// `AES-192-CFB`
    Aes192Cfb(Aes192Enc),
    /// `AES-256-CFB`
    Aes256Cfb(Aes256Enc),
    /// `AES-128-OFB`
    Aes128Ofb(Aes128Enc),
    /// `AES-192-OFB`
    Aes192Ofb(Aes192Enc),
    /// `AES-256-OFB`
    Aes256Ofb(Aes256Enc),
}

impl KeyStream for StreamKey {
    fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported> {
        match cipher {
            Cipher::Aes128Cfb => KeyInit::new_from_slice(key).map(Self::Aes128Cfb),
            Cipher::Aes192Cfb => KeyInit::new_from_slice(key).map(Self::Aes192Cfb),
            Cipher::Aes256Cfb => KeyInit::new_from_slice(key).map(Self::Aes256Cfb),
            Cipher::Aes128Ofb => KeyInit::new_from_slice(key).map(Self::Aes128Ofb),
            Cipher::Aes192Ofb => KeyInit::new_from_slice(key).map(Self::Aes192Ofb),
            Cipher::Aes256Ofb => KeyInit::new_from_slice(key).map(Self::Aes256Ofb),
            _ => return Err(Unsupported),
        }
        .map_err(|_| Unsupported)
    }

    fn encrypt(&self, iv: &[u8], payload: &mut [u8]) {
        match self {
            Self::Aes128Cfb(key) => encrypt_cfb(key, iv, payload),
            Self::Aes192Cfb(key) => encrypt_cfb(key, iv, payload),
            Self::Aes256Cfb(key) => encrypt_cfb(key, iv, payload),
            Self::Aes128Ofb(key) => apply_ofb(key, iv, payload),
            Self::Aes192Ofb(key) => apply_ofb(key, iv, payload),
            Self::Aes256Ofb(key) => apply_ofb(key, iv, payload),
        }
    }

    fn decrypt(&self, iv: &[u8], payload: &mut [u8]) {
        match self {
            Self::Aes128Cfb(key) => decrypt_cfb(key, iv, payload),
            Self::Aes192Cfb(key) => decrypt_cfb(key, iv, payload),
            Self::Aes256Cfb(key) => decrypt_cfb(key, iv, payload),
            // A key stream is the same both ways.
            Self::Aes128Ofb(_) | Self::Aes192Ofb(_) | Self::Aes256Ofb(_) => self.encrypt(iv, payload),
        }
    }
}

fn encrypt_cfb<C: BlockEncryptMut + BlockCipher + Clone>(cipher: &C, iv: &[u8], payload: &mut [u8]) {
    if let Ok(mode) = cfb_mode::Encryptor::inner_iv_slice_init(cipher.clone(), iv) {
        mode.encrypt(payload);
    }
}

fn decrypt_cfb<C: BlockEncryptMut + BlockCipher + Clone>(cipher: &C, iv: &[u8], payload: &mut [u8]) {
    if let Ok(mode) = cfb_mode::Decryptor::inner_iv_slice_init(cipher.clone(), iv) {
        mode.decrypt(payload);
    }
}

fn apply_ofb<C: BlockEncryptMut<BlockSize = U16> + BlockCipher + Clone>(cipher: &C, iv: &[u8], payload: &mut [u8]) {
    if let Ok(core) = ofb::OfbCore::inner_iv_slice_init(cipher.clone(), iv) {
        StreamCipherCoreWrapper::from_core(core).apply_keystream(payload);
    }
}
