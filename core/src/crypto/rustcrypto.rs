//! The provider made of the RustCrypto crates: runs everywhere, uses the CPU's AES and SHA
//! instructions where they are found.
//!
//! Without the feature `legacy` Blowfish, DES, Camellia, MD5 and RIPEMD-160 are unsupported, without `tls` all ciphers
//! but CBC.

#[cfg(not(feature = "tls"))]
#[path = "rustcrypto/no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
mod tls;

use core::array;

use aes::{Aes128Dec, Aes128Enc, Aes192Dec, Aes192Enc, Aes256Dec, Aes256Enc};
use cbc::cipher::inout::InOutBuf;
use cbc::cipher::{
    Block, BlockCipher, BlockDecrypt, BlockDecryptMut, BlockEncrypt, BlockEncryptMut, InnerIvInit, KeyInit,
};
use hmac::{Hmac, Mac as _};

use crate::crypto::{CbcDecrypt, CbcEncrypt, CbcPacket, Cipher, Digest, Mac, Mode, Provider, Unsupported};

pub use tls::{AeadKey, StreamKey};

/// The RustCrypto provider.
#[derive(Clone, Copy, Debug)]
pub struct RustCrypto;

impl RustCrypto {
    /// Whether this build has the cipher.
    pub const fn has_cipher(cipher: Cipher) -> bool {
        let of_tls = matches!(cipher.mode(), Mode::Aead | Mode::Cfb | Mode::Ofb);
        let is_legacy = matches!(
            cipher,
            Cipher::BfCbc
                | Cipher::DesEdeCbc
                | Cipher::DesEde3Cbc
                | Cipher::Camellia128Cbc
                | Cipher::Camellia192Cbc
                | Cipher::Camellia256Cbc
        );
        (cfg!(feature = "tls") || !of_tls) && (cfg!(feature = "legacy") || !is_legacy)
    }

    /// Whether this build has the digest.
    pub const fn has_digest(digest: Digest) -> bool {
        cfg!(feature = "legacy") || !matches!(digest, Digest::Md5 | Digest::Ripemd160)
    }
}

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

            fn $method(&self, packets: &mut [CbcPacket<'_>]) {
                match self {
                    $($(#[$gate])* Self::$variant(cipher) => $run(cipher, packets),)+
                }
            }
        }
    };
}

cbc_key! {
    /// A key that encrypts.
    Encrypt: CbcEncrypt by encrypt with encrypt_packets,
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
    Decrypt: CbcDecrypt by decrypt with decrypt_packets,
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

/// How many packets are encrypted side by side: as many blocks as processors with AES instructions have under way.
const LANES: usize = 8;

fn encrypt_packets<C: BlockEncrypt + BlockCipher>(cipher: &C, packets: &mut [CbcPacket<'_>]) {
    for packets in packets.chunks_mut(LANES) {
        match packets {
            [(iv, blocks)] => encrypt_alone(cipher, iv, blocks),
            several => encrypt_side_by_side(cipher, several),
        }
    }
}

fn encrypt_alone<C: BlockEncrypt + BlockCipher>(cipher: &C, iv: &[u8], blocks: &mut [u8]) {
    let Ok(mut mode) = cbc::Encryptor::inner_iv_slice_init(cipher, iv) else { return };
    let (blocks, rest) = InOutBuf::from(blocks).into_chunks();
    if rest.is_empty() {
        mode.encrypt_blocks_inout_mut(blocks);
    }
}

/// The n-th blocks of all packets together: they do not wait for each other.
fn encrypt_side_by_side<C: BlockEncrypt + BlockCipher>(cipher: &C, packets: &mut [CbcPacket<'_>]) {
    let size = C::block_size();
    // What each packet's next block depends on. Where there is no packet, it is encrypted in vain.
    let mut chains: [Block<C>; LANES] = array::from_fn(|_| Block::<C>::default());
    for ((iv, blocks), chain) in packets.iter().zip(&mut chains) {
        if iv.len() != size || blocks.len().checked_rem(size) != Some(0) {
            return;
        }
        chain.copy_from_slice(iv);
    }
    let longest = packets.iter().map(|(_, blocks)| blocks.len()).max().unwrap_or(0);
    for at in (0..longest).step_by(size) {
        let place = at..at.saturating_add(size);
        for ((_, blocks), chain) in packets.iter().zip(&mut chains) {
            let block = blocks.get(place.clone()).unwrap_or_default();
            chain.iter_mut().zip(block).for_each(|(chained, byte)| *chained ^= byte);
        }
        cipher.encrypt_blocks(&mut chains);
        for ((_, blocks), chain) in packets.iter_mut().zip(&chains) {
            if let Some(block) = blocks.get_mut(place.clone()) {
                block.copy_from_slice(chain);
            }
        }
    }
}

fn decrypt_packets<C: BlockDecrypt + BlockCipher>(cipher: &C, packets: &mut [CbcPacket<'_>]) {
    for (iv, blocks) in packets {
        let Ok(mut mode) = cbc::Decryptor::inner_iv_slice_init(cipher, iv) else { return };
        let (blocks, rest) = InOutBuf::from(&mut **blocks).into_chunks();
        if rest.is_empty() {
            mode.decrypt_blocks_inout_mut(blocks);
        }
    }
}

#[cfg(test)]
mod tests;
