//! Static keys: their file format and which part of them is used where (protocol sections 1.1 and 1.2).

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::{Rng, Suite};

const HEADER: &str = "-----BEGIN OpenVPN Static key V1-----";
const FOOTER: &str = "-----END OpenVPN Static key V1-----";

/// Length of a key file's content in bytes: two keys.
pub const STATIC_KEY_LEN: usize = 256;

/// Length in bytes of one key: a cipher area and an HMAC area of half the length each.
pub const KEY_LEN: usize = 128;
const AREA_LEN: usize = 64;

/// Bytes in one line of a key file.
const LINE_LEN: usize = 16;

/// Which of the two keys in a file is for sending (`key-direction`); the peer has the other one.
///
/// Without a direction both ends use the first key both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `0`: sends with the first key, receives with the second.
    Normal,
    /// `1`: sends with the second key, receives with the first.
    Inverse,
}

/// The secret that both ends of a static-key link share. Wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct StaticKey {
    keys: [[u8; KEY_LEN]; 2],
}

impl StaticKey {
    /// Reads the text of a key file.
    ///
    /// What stands before the header line is ignored, as is everything between the last byte needed
    /// and the footer line.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, StaticKeyError> {
        let mut key = Self { keys: [[0; KEY_LEN]; 2] };
        let mut nibbles = 0_usize;
        let mut line = 0_usize;
        let (mut within, mut ended) = (false, false);
        for content in text.as_bytes().split(|byte| *byte == b'\n') {
            line = line.saturating_add(1);
            if !within {
                within = content.starts_with(HEADER.as_bytes());
                continue;
            }
            if content.starts_with(FOOTER.as_bytes()) {
                return match nibbles / 2 {
                    STATIC_KEY_LEN => Ok(key),
                    bytes => Err(StaticKeyError::TooShort { bytes }),
                };
            }
            ended |= content.starts_with(b"-");
            let mut rest = if ended { &[] } else { content };
            while let Some((character, others)) = rest.split_first() {
                let Some(byte) = key.keys.as_flattened_mut().get_mut(nibbles / 2) else { break };
                if let Some(Ok(digit)) = char::from(*character).to_digit(16).map(u8::try_from) {
                    *byte = *byte << 4 | digit;
                    nibbles = nibbles.saturating_add(1);
                } else if !is_c_space(char::from(*character)) {
                    let character = str::from_utf8(rest).ok().and_then(|rest| rest.chars().next()).unwrap_or_default();
                    return Err(StaticKeyError::BadCharacter { line, character });
                }
                rest = others;
            }
        }
        Err(if within { StaticKeyError::NoFooter } else { StaticKeyError::NoHeader })
    }

    /// Makes a new key.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut key = Self { keys: [[0; KEY_LEN]; 2] };
        rng.fill(key.keys.as_flattened_mut());
        key
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: &[u8; STATIC_KEY_LEN]) -> Self {
        let mut key = Self { keys: [[0; KEY_LEN]; 2] };
        key.keys.as_flattened_mut().copy_from_slice(bytes);
        key
    }

    /// Its bytes. Wiped from memory when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; STATIC_KEY_LEN]> {
        let mut bytes = Zeroizing::new([0; STATIC_KEY_LEN]);
        bytes.copy_from_slice(self.keys.as_flattened());
        bytes
    }

    /// Writes the text of a key file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write!(out, "#\n# {} bit OpenVPN static key\n#\n{HEADER}\n", STATIC_KEY_LEN * 8)?;
        for line in self.keys.as_flattened().chunks(LINE_LEN) {
            for byte in line {
                write!(out, "{byte:02x}")?;
            }
            out.write_char('\n')?;
        }
        writeln!(out, "{FOOTER}")
    }

    /// The keys for each way as `direction` assigns them.
    pub fn keys(&self, direction: Option<Direction>) -> KeyPair<'_> {
        let [first, second] = &self.keys;
        let (send, receive) = match direction {
            None => (first, first),
            Some(Direction::Normal) => (first, second),
            Some(Direction::Inverse) => (second, first),
        };
        KeyPair { send: KeyHalf::new(send), receive: KeyHalf::new(receive) }
    }

    /// Refuses a file in which either cipher key is all zero, whichever is used, as openvpn does.
    ///
    /// # Errors
    /// [`StaticKeyError::ZeroKey`].
    pub fn check(&self, suite: Suite) -> Result<(), StaticKeyError> {
        for (number, key) in (1..).zip(&self.keys) {
            let cipher_key = KeyHalf::new(key).cipher(suite.key_len);
            if !cipher_key.is_empty() && cipher_key.iter().all(|byte| *byte == 0) {
                return Err(StaticKeyError::ZeroKey { number });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticKey(..)")
    }
}

/// A static key as one end uses it.
#[derive(Clone, Copy, Debug)]
pub struct KeyPair<'k> {
    /// Encrypts and signs what leaves.
    pub send: KeyHalf<'k>,
    /// Verifies and decrypts what arrives.
    pub receive: KeyHalf<'k>,
}

/// The key material for one way.
#[derive(Clone, Copy)]
pub struct KeyHalf<'k> {
    key: &'k [u8; KEY_LEN],
}

impl<'k> KeyHalf<'k> {
    /// One of the two keys in a static key or in data keys.
    pub const fn new(key: &'k [u8; KEY_LEN]) -> Self {
        Self { key }
    }

    /// The cipher key of `len` bytes; at most 64.
    pub fn cipher(self, len: usize) -> &'k [u8] {
        let (area, _) = self.key.split_at(AREA_LEN);
        area.get(..len).unwrap_or(area)
    }

    /// The HMAC key of `len` bytes, which is the length of the digest; at most 64.
    pub fn hmac(self, len: usize) -> &'k [u8] {
        let (_, area) = self.key.split_at(AREA_LEN);
        area.get(..len).unwrap_or(area)
    }
}

impl fmt::Debug for KeyHalf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHalf(..)")
    }
}

/// A text is not a usable static key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StaticKeyError {
    /// No line starts with the header.
    NoHeader,
    /// There is something else than hexadecimal digits and white space between header and footer.
    BadCharacter {
        /// Line in the text, from 1.
        line: usize,
        /// What stands there.
        character: char,
    },
    /// There are too few digits.
    TooShort {
        /// Whole bytes found.
        bytes: usize,
    },
    /// No line after the header starts with the footer.
    NoFooter,
    /// A cipher key is all zero.
    ZeroKey {
        /// Which key of the file, 1 or 2.
        number: usize,
    },
}

impl fmt::Display for StaticKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => {
                write!(f, "no line starts with '{HEADER}': not a static key file; make one with --genkey secret FILE")
            }
            Self::BadCharacter { line, character } => write!(
                f,
                "non-hex character '{}' in line {line} of the static key: copy the file again from the peer",
                character.escape_default()
            ),
            Self::TooShort { bytes } => write!(
                f,
                "the static key has {bytes} of {STATIC_KEY_LEN} bytes: part of it is missing; copy the file again \
                 from the peer"
            ),
            Self::NoFooter => write!(
                f,
                "no line starts with '{FOOTER}': the end of the static key is missing; copy the file again from the \
                 peer"
            ),
            Self::ZeroKey { number } => {
                write!(f, "key #{number} of the static key is all zero: make a new one with --genkey secret FILE")
            }
        }
    }
}

impl core::error::Error for StaticKeyError {}

/// White space as C sees it.
fn is_c_space(character: char) -> bool {
    character.is_ascii_whitespace() || character == '\x0b'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Cipher, Digest};
    use std::format;
    use std::string::String;

    struct Counter(u8);

    impl Rng for Counter {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
        }
    }

    fn counting() -> StaticKey {
        StaticKey::generate(&mut Counter(0))
    }

    fn text() -> String {
        let mut text = String::new();
        counting().write_to(&mut text).unwrap();
        text
    }

    #[test]
    fn writes_the_file_that_openvpn_writes_and_reads_it_back() {
        let text = text();
        let lines: std::vec::Vec<_> = text.lines().collect();
        assert_eq!(lines[..5], ["#", "# 2048 bit OpenVPN static key", "#", HEADER, "000102030405060708090a0b0c0d0e0f"]);
        assert_eq!(lines[19..], ["f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", FOOTER]);
        assert!(text.ends_with("-----\n"));
        assert_eq!(StaticKey::parse(&text).unwrap().keys, counting().keys);
    }

    /// Each verdict was checked with openvpn 2.6.14.
    #[test]
    fn accepts_what_openvpn_accepts() {
        let good = text();
        for odd in [
            good.replace('\n', "\r\n"),
            String::from(good.trim_end()),
            good.replace(HEADER, &format!("{HEADER}xyz")),
            good.replace(HEADER, &format!("-----BEGIN \nzz\n{HEADER}")),
            good.replace(FOOTER, &format!("{FOOTER}xyz")),
            good.replace(FOOTER, &format!("-----END wrong\n{FOOTER}")),
            good.replace(FOOTER, &format!("ffee\nzz\n{FOOTER}")),
            good.replace("aaab", "AAAB"),
            good.replace("03", " 0\t\x0b\x0c3 "),
            good.replace("0f\n10", "0f10"),
            format!("{good}{}", good.replace("0001", "ffff")),
        ] {
            assert_eq!(StaticKey::parse(&odd).unwrap().keys, counting().keys, "{odd}");
        }
    }

    #[test]
    fn refuses_what_openvpn_refuses() {
        let good = text();
        let last = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
        for (bad, error) in [
            (String::new(), StaticKeyError::NoHeader),
            (good.replace(HEADER, ""), StaticKeyError::NoHeader),
            (good.replace(HEADER, &format!(" {HEADER}")), StaticKeyError::NoHeader),
            (good.replace(HEADER, &HEADER.to_lowercase()), StaticKeyError::NoHeader),
            (good.replace(&format!("#\n{HEADER}"), &format!("\u{feff}{HEADER}")), StaticKeyError::NoHeader),
            (good.replace("0304", "0g04"), StaticKeyError::BadCharacter { line: 5, character: 'g' }),
            (good.replace("1314", "1-14"), StaticKeyError::BadCharacter { line: 6, character: '-' }),
            (good.replace("0304", "03\u{e9}4"), StaticKeyError::BadCharacter { line: 5, character: '\u{e9}' }),
            (good.replace("0304", "03\x0004"), StaticKeyError::BadCharacter { line: 5, character: '\0' }),
            (good.replace(last, ""), StaticKeyError::TooShort { bytes: 240 }),
            (good.replace(last, &last[1..]), StaticKeyError::TooShort { bytes: 255 }),
            (good.replace(HEADER, &format!("{HEADER}\n{HEADER}")), StaticKeyError::TooShort { bytes: 0 }),
            (good.replace(FOOTER, ""), StaticKeyError::NoFooter),
            (good.replace(FOOTER, "-----END wrong-----"), StaticKeyError::NoFooter),
            (good.replace(FOOTER, &format!(" {FOOTER}")), StaticKeyError::NoFooter),
            (good.replace(&format!("\n{FOOTER}"), FOOTER), StaticKeyError::NoFooter),
        ] {
            assert_eq!(StaticKey::parse(&bad).unwrap_err(), error, "{bad}");
        }
    }

    #[test]
    fn directions_swap_the_keys() {
        let key = counting();
        let starts = |direction| {
            let pair = key.keys(direction);
            [pair.send.cipher(32)[0], pair.send.hmac(20)[0], pair.receive.cipher(32)[0], pair.receive.hmac(20)[0]]
        };
        assert_eq!(starts(None), [0x00, 0x40, 0x00, 0x40]);
        assert_eq!(starts(Some(Direction::Normal)), [0x00, 0x40, 0x80, 0xc0]);
        assert_eq!(starts(Some(Direction::Inverse)), [0x80, 0xc0, 0x00, 0x40]);
        assert_eq!(key.keys(None).send.hmac(65).len(), 64);
    }

    #[test]
    fn a_zero_cipher_key_is_refused_whichever_is_used() {
        let suite = Suite::new(Cipher::Aes256Cbc, Digest::Sha1);
        for number in [1, 2] {
            let mut key = counting();
            key.keys[number - 1][..31].fill(0);
            assert_eq!(key.check(suite), Ok(()));
            key.keys[number - 1][..32].fill(0);
            assert_eq!(key.check(suite), Err(StaticKeyError::ZeroKey { number }));
            assert_eq!(key.check(Suite::new(Cipher::None, Digest::Sha1)), Ok(()));
        }
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        let key = counting();
        assert_eq!(format!("{key:?} {:?}", key.keys(None).send), "StaticKey(..) KeyHalf(..)");
    }
}
