//! The provider made of the RustCrypto crates: runs everywhere, uses the CPU's AES and SHA
//! instructions where they are found.
//!
//! Without the feature `legacy` Blowfish, DES, Camellia, MD5 and RIPEMD-160 are unsupported, without `tls` all ciphers
//! but CBC, and without `cbc` all but AEAD.

#[cfg(not(feature = "tls"))]
#[path = "rustcrypto/no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
mod tls;

use core::array;

use aes::{Aes128Dec, Aes128Enc, Aes192Dec, Aes192Enc, Aes256Dec, Aes256Enc};
use cbc::cipher::inout::InOutBuf;
use cbc::cipher::typenum::{U16, Unsigned};
use cbc::cipher::{
    Block, BlockBackend, BlockCipher, BlockClosure, BlockDecrypt, BlockDecryptMut, BlockEncrypt, BlockEncryptMut,
    BlockSizeUser, InnerIvInit, KeyInit, ParBlocks,
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
        let is_aead = matches!(cipher.mode(), Mode::Aead);
        (cfg!(feature = "tls") || !of_tls)
            && (cfg!(feature = "cbc") || is_aead)
            && (cfg!(feature = "legacy") || !is_legacy)
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
     $($(#[$gate:meta])* $variant:ident($cipher:ty),)+ { $($more:tt)* }) => {
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

            $($more)*
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
    {
        fn encrypt_many(&self, packets: &mut [CbcPacket<'_>]) {
            match self {
                Self::Aes128Cbc(cipher) => encrypt_in_step(cipher, packets),
                Self::Aes192Cbc(cipher) => encrypt_in_step(cipher, packets),
                Self::Aes256Cbc(cipher) => encrypt_in_step(cipher, packets),
                #[cfg(feature = "legacy")]
                _ => packets.iter_mut().for_each(|(iv, blocks)| self.encrypt(iv, blocks)),
            }
        }
    }
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
    {}
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

/// How many packets are encrypted in step at most: a processor with AES instructions has so many blocks under way.
const IN_STEP_MAX: usize = 8;

fn encrypt_in_step<C: BlockEncrypt<BlockSize = U16> + BlockCipher>(cipher: &C, packets: &mut [CbcPacket<'_>]) {
    for packets in packets.chunks_mut(IN_STEP_MAX) {
        match packets {
            // In step they would take longer: lanes without a packet are encrypted in vain.
            [_] | [_, _] => packets.iter_mut().for_each(|(iv, blocks)| encrypt_blocks(cipher, iv, blocks)),
            several => cipher.encrypt_with_backend(InStep { packets: several }),
        }
    }
}

/// The n-th blocks of as many packets together as the backend works on at a time: they do not wait for each other.
struct InStep<'s, 'p> {
    packets: &'s mut [CbcPacket<'p>],
}

impl BlockSizeUser for InStep<'_, '_> {
    type BlockSize = U16;
}

impl BlockClosure for InStep<'_, '_> {
    #[inline(always)]
    fn call<B: BlockBackend<BlockSize = U16>>(self, backend: &mut B) {
        for packets in self.packets.chunks_mut(B::ParBlocksSize::USIZE.min(IN_STEP_MAX)) {
            // What each packet's next block is mixed with. Where there is no block, it is encrypted in vain.
            let mut chains = ParBlocks::<B>::default();
            let mut lanes: [&mut [Block<Self>]; IN_STEP_MAX] = array::from_fn(|_| <&mut [_]>::default());
            for (((iv, bytes), lane), chain) in packets.iter_mut().zip(&mut lanes).zip(&mut chains) {
                let (blocks, rest) = InOutBuf::from(&mut **bytes).into_chunks();
                if rest.is_empty() && iv.len() == chain.len() {
                    chain.copy_from_slice(iv);
                    *lane = blocks.into_out();
                }
            }
            for nth in 0..lanes.iter().map(|lane| lane.len()).max().unwrap_or(0) {
                for (lane, chain) in lanes.iter().zip(&mut chains) {
                    if let Some(block) = lane.get(nth) {
                        chain.iter_mut().zip(block).for_each(|(mixed, byte)| *mixed ^= byte);
                    }
                }
                backend.proc_par_blocks((&mut chains).into());
                for (lane, chain) in lanes.iter_mut().zip(&chains) {
                    if let Some(block) = lane.get_mut(nth) {
                        *block = *chain;
                    }
                }
            }
        }
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
