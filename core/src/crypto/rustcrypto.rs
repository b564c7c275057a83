//! The provider made of the RustCrypto crates: runs everywhere, uses the CPU's AES and SHA
//! instructions where they are found.
//!
//! Without the feature `legacy` Blowfish, DES, Camellia, MD5 and RIPEMD-160 are unsupported.

use aes::{Aes128Dec, Aes128Enc, Aes192Dec, Aes192Enc, Aes256Dec, Aes256Enc};
use aes_gcm::AeadInPlace;
use aes_gcm::aead::consts::{U12, U16};
use cbc::cipher::inout::InOutBuf;
use cbc::cipher::{
    AsyncStreamCipher, BlockCipher, BlockDecrypt, BlockDecryptMut, BlockEncrypt, BlockEncryptMut, InnerIvInit, KeyInit,
    StreamCipher, StreamCipherCoreWrapper,
};
use hmac::{Hmac, Mac as _};

use crate::crypto::{
    AEAD_TAG_LEN, Aead, CbcDecrypt, CbcEncrypt, Cipher, Digest, KeyStream, Mac, NONCE_LEN, Provider, Unsupported,
};

/// The RustCrypto provider.
#[derive(Clone, Copy, Debug)]
pub struct RustCrypto;

impl Provider for RustCrypto {
    type Aead = AeadKey;
    type KeyStream = StreamKey;
    type Encrypt = Encrypt;
    type Decrypt = Decrypt;
    type Mac = HmacKey;
}

macro_rules! cbc_key {
    ($(#[$doc:meta])* $name:ident: $direction:ident by $method:ident with $run:ident,
     $($(#[$gate:meta])* $variant:ident($cipher:ty),)+) => {
        $(#[$doc])*
        pub enum $name {
            $($(#[$gate])* #[doc = concat!("`", stringify!($cipher), "`")] $variant($cipher),)+
        }

        impl $direction for $name {
            fn new(cipher: Cipher, key: &[u8]) -> Result<Self, Unsupported> {
                match cipher {
                    $($(#[$gate])* Cipher::$variant => <$cipher>::new_from_slice(key).map(Self::$variant),)+
                    _ => return Err(Unsupported),
                }
                .map_err(|_| Unsupported)
            }

            fn $method(&self, iv: &[u8], blocks: &mut [u8]) {
                match self {
                    $($(#[$gate])* Self::$variant(cipher) => $run(cipher, iv, blocks),)+
                }
            }
        }
    };
}

cbc_key! {
    /// A key that encrypts.
    Encrypt: CbcEncrypt by encrypt with encrypt_blocks,
    Aes128Cbc(Aes128Enc),
    Aes192Cbc(Aes192Enc),
    Aes256Cbc(Aes256Enc),
    #[cfg(feature = "legacy")] BfCbc(blowfish::Blowfish),
    #[cfg(feature = "legacy")] DesEde3Cbc(des::TdesEde3),
    #[cfg(feature = "legacy")] DesEdeCbc(des::TdesEde2),
    #[cfg(feature = "legacy")] Camellia128Cbc(camellia::Camellia128),
    #[cfg(feature = "legacy")] Camellia192Cbc(camellia::Camellia192),
    #[cfg(feature = "legacy")] Camellia256Cbc(camellia::Camellia256),
}

cbc_key! {
    /// A key that decrypts.
    Decrypt: CbcDecrypt by decrypt with decrypt_blocks,
    Aes128Cbc(Aes128Dec),
    Aes192Cbc(Aes192Dec),
    Aes256Cbc(Aes256Dec),
    #[cfg(feature = "legacy")] BfCbc(blowfish::Blowfish),
    #[cfg(feature = "legacy")] DesEde3Cbc(des::TdesEde3),
    #[cfg(feature = "legacy")] DesEdeCbc(des::TdesEde2),
    #[cfg(feature = "legacy")] Camellia128Cbc(camellia::Camellia128),
    #[cfg(feature = "legacy")] Camellia192Cbc(camellia::Camellia192),
    #[cfg(feature = "legacy")] Camellia256Cbc(camellia::Camellia256),
}

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

macro_rules! hmac_key {
    ($($(#[$gate:meta])* $variant:ident($digest:ty),)+) => {
        /// An HMAC key, kept as the digest's state after the padded key, so that each packet starts there.
        pub enum HmacKey {
            $($(#[$gate])* #[doc = concat!("HMAC with `", stringify!($digest), "`")] $variant(Hmac<$digest>),)+
        }

        impl Mac for HmacKey {
            fn new(digest: Digest, key: &[u8]) -> Result<Self, Unsupported> {
                if key.len() != digest.tag_len() {
                    return Err(Unsupported);
                }
                match digest {
                    $($(#[$gate])* Digest::$variant => {
                        <Hmac<$digest> as KeyInit>::new_from_slice(key).map(Self::$variant)
                    })+
                    _ => return Err(Unsupported),
                }
                .map_err(|_| Unsupported)
            }

            fn sign(&self, parts: &[&[u8]], tag: &mut [u8]) {
                match self {
                    $($(#[$gate])* Self::$variant(keyed) => {
                        let whole = fed(keyed, parts).finalize().into_bytes();
                        if tag.len() == whole.len() {
                            tag.copy_from_slice(&whole);
                        }
                    })+
                }
            }

            fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
                match self {
                    $($(#[$gate])* Self::$variant(keyed) => fed(keyed, parts).verify_slice(tag).is_ok(),)+
                }
            }
        }
    };
}

hmac_key! {
    #[cfg(feature = "legacy")] Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha224(sha2::Sha224),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
    #[cfg(feature = "legacy")] Ripemd160(ripemd::Ripemd160),
}

fn fed<M: hmac::Mac + Clone>(keyed: &M, parts: &[&[u8]]) -> M {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part);
    }
    mac
}

fn encrypt_blocks<C: BlockEncrypt + BlockCipher>(cipher: &C, iv: &[u8], blocks: &mut [u8]) {
    let Ok(mut mode) = cbc::Encryptor::inner_iv_slice_init(cipher, iv) else { return };
    let (blocks, rest) = InOutBuf::from(blocks).into_chunks();
    if rest.is_empty() {
        mode.encrypt_blocks_inout_mut(blocks);
    }
}

fn decrypt_blocks<C: BlockDecrypt + BlockCipher>(cipher: &C, iv: &[u8], blocks: &mut [u8]) {
    let Ok(mut mode) = cbc::Decryptor::inner_iv_slice_init(cipher, iv) else { return };
    let (blocks, rest) = InOutBuf::from(blocks).into_chunks();
    if rest.is_empty() {
        mode.decrypt_blocks_inout_mut(blocks);
    }
}

#[cfg(test)]
mod tests;
