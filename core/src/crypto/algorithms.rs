//! Ciphers and digests by openvpn's names (protocol section 1.2).

/// A data-channel cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cipher {
    /// `AES-128-GCM`.
    Aes128Gcm,
    /// `AES-192-GCM`.
    Aes192Gcm,
    /// `AES-256-GCM`.
    Aes256Gcm,
    /// `CHACHA20-POLY1305`.
    ChaCha20Poly1305,
    /// `AES-128-CBC`.
    Aes128Cbc,
    /// `AES-192-CBC`.
    Aes192Cbc,
    /// `AES-256-CBC`.
    Aes256Cbc,
    /// `BF-CBC`: Blowfish, what openvpn uses if no cipher is configured. 64-bit blocks.
    BfCbc,
    /// `DES-EDE3-CBC`: triple DES with three keys. 64-bit blocks.
    DesEde3Cbc,
    /// `DES-EDE-CBC`: triple DES with two keys. 64-bit blocks.
    DesEdeCbc,
    /// `CAMELLIA-128-CBC`.
    Camellia128Cbc,
    /// `CAMELLIA-192-CBC`.
    Camellia192Cbc,
    /// `CAMELLIA-256-CBC`.
    Camellia256Cbc,
    /// `AES-128-CFB`.
    Aes128Cfb,
    /// `AES-192-CFB`.
    Aes192Cfb,
    /// `AES-256-CFB`.
    Aes256Cfb,
    /// `AES-128-OFB`.
    Aes128Ofb,
    /// `AES-192-OFB`.
    Aes192Ofb,
    /// `AES-256-OFB`.
    Aes256Ofb,
    /// `none`: packets travel in the clear.
    None,
}

/// How a cipher makes a packet of a payload (protocol sections 2.2 to 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Encryption and authentication in one; TLS only.
    Aead,
    /// Whole blocks under a random initialisation vector, with HMAC.
    Cbc,
    /// A key stream from the packet id, with HMAC; TLS only.
    Cfb,
    /// A key stream from the packet id, with HMAC; TLS only.
    Ofb,
    /// No encryption.
    None,
}

impl Mode {
    /// Whether a link with a static key cannot use it, because its packet ids must not start again.
    pub const fn needs_tls(self) -> bool {
        matches!(self, Self::Aead | Self::Cfb | Self::Ofb)
    }
}

impl Cipher {
    /// Every cipher, strongest family first.
    pub const ALL: [Self; 20] = [
        Self::Aes128Gcm,
        Self::Aes192Gcm,
        Self::Aes256Gcm,
        Self::ChaCha20Poly1305,
        Self::Aes128Cbc,
        Self::Aes192Cbc,
        Self::Aes256Cbc,
        Self::Camellia128Cbc,
        Self::Camellia192Cbc,
        Self::Camellia256Cbc,
        Self::BfCbc,
        Self::DesEdeCbc,
        Self::DesEde3Cbc,
        Self::Aes128Cfb,
        Self::Aes192Cfb,
        Self::Aes256Cfb,
        Self::Aes128Ofb,
        Self::Aes192Ofb,
        Self::Aes256Ofb,
        Self::None,
    ];

    /// The cipher that `name` means to openvpn. Letter case does not matter, except for `none`.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == Self::None.name() {
            return Some(Self::None);
        }
        let known = |cipher: &Self| cipher.aliases().iter().any(|alias| alias.eq_ignore_ascii_case(name));
        Self::ALL.into_iter().find(known)
    }

    /// openvpn's spelling, as in a config file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Cbc => "AES-128-CBC",
            Self::Aes192Cbc => "AES-192-CBC",
            Self::Aes256Cbc => "AES-256-CBC",
            Self::BfCbc => "BF-CBC",
            Self::DesEde3Cbc => "DES-EDE3-CBC",
            Self::DesEdeCbc => "DES-EDE-CBC",
            Self::Camellia128Cbc => "CAMELLIA-128-CBC",
            Self::Camellia192Cbc => "CAMELLIA-192-CBC",
            Self::Camellia256Cbc => "CAMELLIA-256-CBC",
            Self::Aes128Gcm => "AES-128-GCM",
            Self::Aes192Gcm => "AES-192-GCM",
            Self::Aes256Gcm => "AES-256-GCM",
            Self::ChaCha20Poly1305 => "CHACHA20-POLY1305",
            Self::Aes128Cfb => "AES-128-CFB",
            Self::Aes192Cfb => "AES-192-CFB",
            Self::Aes256Cfb => "AES-256-CFB",
            Self::Aes128Ofb => "AES-128-OFB",
            Self::Aes192Ofb => "AES-192-OFB",
            Self::Aes256Ofb => "AES-256-OFB",
            Self::None => "none",
        }
    }

    /// The name in options strings and logs, where `none` has another spelling.
    pub const fn occ_name(self) -> &'static str {
        match self {
            Self::None => "[null-cipher]",
            _ => self.name(),
        }
    }

    /// How it makes a packet of a payload.
    pub const fn mode(self) -> Mode {
        match self {
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => Mode::Aead,
            Self::Aes128Cfb | Self::Aes192Cfb | Self::Aes256Cfb => Mode::Cfb,
            Self::Aes128Ofb | Self::Aes192Ofb | Self::Aes256Ofb => Mode::Ofb,
            Self::None => Mode::None,
            _ => Mode::Cbc,
        }
    }

    /// Key length in bytes unless `keysize` sets another.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Cbc | Self::Camellia128Cbc | Self::BfCbc | Self::DesEdeCbc => 16,
            Self::Aes128Gcm | Self::Aes128Cfb | Self::Aes128Ofb => 16,
            Self::Aes192Cbc | Self::Camellia192Cbc | Self::DesEde3Cbc => 24,
            Self::Aes192Gcm | Self::Aes192Cfb | Self::Aes192Ofb => 24,
            Self::Aes256Cbc | Self::Camellia256Cbc => 32,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 | Self::Aes256Cfb | Self::Aes256Ofb => 32,
            Self::None => 0,
        }
    }

    /// Whether a key of `len` bytes is possible: only Blowfish has a choice (4 to 56 bytes).
    pub const fn accepts_key_len(self, len: usize) -> bool {
        match self {
            Self::BfCbc => 4 <= len && len <= 56,
            _ => len == self.key_len(),
        }
    }

    /// Block length in bytes as openvpn counts it; 0 for `none`, 1 for the key streams of CFB, OFB and ChaCha20.
    pub const fn block_len(self) -> usize {
        match self.mode() {
            Mode::None => 0,
            Mode::Cfb | Mode::Ofb => 1,
            Mode::Aead => match self {
                Self::ChaCha20Poly1305 => 1,
                _ => 16,
            },
            Mode::Cbc => match self {
                Self::BfCbc | Self::DesEde3Cbc | Self::DesEdeCbc => 8,
                _ => 16,
            },
        }
    }

    /// Length of the initialisation vector in bytes: one block of the cipher, or 12 with AEAD.
    pub const fn iv_len(self) -> usize {
        match self.mode() {
            Mode::Aead => 12,
            Mode::Cfb | Mode::Ofb => 16,
            Mode::Cbc | Mode::None => self.block_len(),
        }
    }

    /// Whether blocks are so short that much traffic under one key leaks plaintext (SWEET32).
    pub const fn is_64_bit_block(self) -> bool {
        self.block_len() == 8
    }

    const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Aes128Cbc => &["AES-128-CBC", "AES128"],
            Self::Aes192Cbc => &["AES-192-CBC", "AES192"],
            Self::Aes256Cbc => &["AES-256-CBC", "AES256"],
            Self::BfCbc => &["BF-CBC", "BF", "BLOWFISH"],
            Self::DesEde3Cbc => &["DES-EDE3-CBC", "DES3"],
            Self::DesEdeCbc => &["DES-EDE-CBC"],
            Self::Camellia128Cbc => &["CAMELLIA-128-CBC", "CAMELLIA128"],
            Self::Camellia192Cbc => &["CAMELLIA-192-CBC", "CAMELLIA192"],
            Self::Camellia256Cbc => &["CAMELLIA-256-CBC", "CAMELLIA256"],
            Self::Aes128Gcm => &["AES-128-GCM", "id-aes128-GCM"],
            Self::Aes192Gcm => &["AES-192-GCM", "id-aes192-GCM"],
            Self::Aes256Gcm => &["AES-256-GCM", "id-aes256-GCM"],
            Self::ChaCha20Poly1305 => &["CHACHA20-POLY1305"],
            Self::Aes128Cfb => &["AES-128-CFB"],
            Self::Aes192Cfb => &["AES-192-CFB"],
            Self::Aes256Cfb => &["AES-256-CFB"],
            Self::Aes128Ofb => &["AES-128-OFB"],
            Self::Aes192Ofb => &["AES-192-OFB"],
            Self::Aes256Ofb => &["AES-256-OFB"],
            Self::None => &[],
        }
    }
}

/// A digest for HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digest {
    /// `MD5`.
    Md5,
    /// `SHA1`, what openvpn uses if no digest is configured.
    Sha1,
    /// `SHA224`.
    Sha224,
    /// `SHA256`.
    Sha256,
    /// `SHA384`.
    Sha384,
    /// `SHA512`.
    Sha512,
    /// `RIPEMD160`.
    Ripemd160,
    /// `none`: packets are not authenticated.
    None,
}

impl Digest {
    /// Every digest.
    pub const ALL: [Self; 8] =
        [Self::Md5, Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512, Self::Ripemd160, Self::None];

    /// Longest tag in bytes.
    pub const TAG_MAX: usize = 64;

    /// The digest that `name` means to openvpn. Letter case does not matter, except for `none`.
    ///
    /// Signature names such as `RSA-SHA1` mean their digest, as with the OpenSSL of openvpn 2.4 and before.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == Self::None.name() {
            return Some(Self::None);
        }
        let known = |digest: &Self| digest.aliases().iter().any(|alias| alias.eq_ignore_ascii_case(name));
        Self::ALL.into_iter().find(known)
    }

    /// openvpn's spelling, as in a config file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha224 => "SHA224",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
            Self::Ripemd160 => "RIPEMD160",
            Self::None => "none",
        }
    }

    /// The name in options strings and logs, where `none` has another spelling.
    pub const fn occ_name(self) -> &'static str {
        match self {
            Self::None => "[null-digest]",
            _ => self.name(),
        }
    }

    /// Length in bytes of the tag, which is also that of the HMAC key; 0 for `none`.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 | Self::Ripemd160 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
            Self::None => 0,
        }
    }

    const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Md5 => &["MD5", "SSL3-MD5", "RSA-MD5"],
            Self::Sha1 => &["SHA1", "SHA-1", "SSL3-SHA1", "RSA-SHA1", "RSA-SHA1-2"],
            Self::Sha224 => &["SHA224", "SHA-224", "SHA2-224", "RSA-SHA224"],
            Self::Sha256 => &["SHA256", "SHA-256", "SHA2-256", "RSA-SHA256"],
            Self::Sha384 => &["SHA384", "SHA-384", "SHA2-384", "RSA-SHA384"],
            Self::Sha512 => &["SHA512", "SHA-512", "SHA2-512", "RSA-SHA512"],
            Self::Ripemd160 => &["RIPEMD160", "RIPEMD-160", "RIPEMD", "RMD160", "RSA-RIPEMD160"],
            Self::None => &[],
        }
    }
}

/// What both ends of a link must agree on to understand each other's packets, besides the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// The cipher.
    pub cipher: Cipher,
    /// Length of the cipher key in bytes (`keysize`).
    pub key_len: usize,
    /// The digest.
    pub digest: Digest,
}

impl Suite {
    /// The suite with the cipher's usual key length.
    pub const fn new(cipher: Cipher, digest: Digest) -> Self {
        Self { cipher, key_len: cipher.key_len(), digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_understood_in_any_case() {
        for cipher in Cipher::ALL {
            assert_eq!(Cipher::from_name(cipher.name()), Some(cipher));
            assert!(cipher.accepts_key_len(cipher.key_len()));
            let lower = cipher.name().to_lowercase();
            assert_eq!(Cipher::from_name(&lower), Some(cipher));
        }
        for digest in Digest::ALL {
            assert_eq!(Digest::from_name(digest.name()), Some(digest));
            let lower = digest.name().to_lowercase();
            assert_eq!(Digest::from_name(&lower), Some(digest));
            assert!(digest.tag_len() <= Digest::TAG_MAX);
        }
    }

    #[test]
    fn names_are_compared_as_openvpn_does() {
        for (name, cipher) in [
            ("blowfish", Some(Cipher::BfCbc)),
            ("bf", Some(Cipher::BfCbc)),
            ("aes256", Some(Cipher::Aes256Cbc)),
            ("DES3", Some(Cipher::DesEde3Cbc)),
            ("camellia128", Some(Cipher::Camellia128Cbc)),
            ("none", Some(Cipher::None)),
            ("NONE", None),
            ("AES-256", None),
            ("AES-256-CBC ", None),
            ("[null-cipher]", None),
            ("", None),
        ] {
            assert_eq!(Cipher::from_name(name), cipher, "{name}");
        }
        for (name, digest) in [
            ("RSA-SHA1", Some(Digest::Sha1)),
            ("rsa-md5", Some(Digest::Md5)),
            ("sha-256", Some(Digest::Sha256)),
            ("SHA2-512", Some(Digest::Sha512)),
            ("rmd160", Some(Digest::Ripemd160)),
            ("None", None),
            ("SHA", None),
            ("", None),
        ] {
            assert_eq!(Digest::from_name(name), digest, "{name}");
        }
    }
}
