//! How tls-crypt makes one secret of authenticity and confidentiality: the tag of the plain text is the IV under which
//! it is encrypted (protocol sections 3.4 and 3.5).

use aes::Aes256Enc;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroizing;

use crate::crypto::{Digest, Mac, Unsupported};

/// Length of the tag in bytes.
pub const TAG_LEN: usize = 32;

/// Length in bytes of the cipher key, and of the HMAC key.
pub const KEY_LEN: usize = 32;

const IV_LEN: usize = 16;

/// One key, for either way.
pub struct TlsCryptKey<M> {
    cipher: Zeroizing<[u8; KEY_LEN]>,
    mac: M,
}

impl<M: Mac> TlsCryptKey<M> {
    /// The key made of a cipher key and an HMAC key of [`KEY_LEN`] bytes each.
    ///
    /// # Errors
    /// The provider lacks SHA-256, or a key has another length.
    pub fn new(cipher: &[u8], hmac: &[u8]) -> Result<Self, Unsupported> {
        let cipher = cipher.try_into().map_err(|_| Unsupported)?;
        Ok(Self { cipher: Zeroizing::new(cipher), mac: M::new(Digest::Sha256, hmac)? })
    }

    /// Encrypts `text` in place and returns its tag, which covers both parts of the header as well.
    pub fn seal(&self, [first, second]: [&[u8]; 2], text: &mut [u8]) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        self.mac.sign(&[first, second, text], &mut tag);
        self.apply_key_stream(&tag, text);
        tag
    }

    /// Decrypts `text` in place; false if `tag` is not right, and then `text` is worthless.
    pub fn open(&self, [first, second]: [&[u8]; 2], text: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        self.apply_key_stream(tag, text);
        self.mac.verify(&[first, second, text], tag)
    }

    fn apply_key_stream(&self, tag: &[u8; TAG_LEN], text: &mut [u8]) {
        let Some(iv) = tag.first_chunk::<IV_LEN>() else { return };
        Ctr128BE::<Aes256Enc>::new((&*self.cipher).into(), iv.into()).apply_keystream(text);
    }
}
