//! The keys in use, shown with `verb 7` so that two ends can be compared.

use std::fmt::Write;

use longcable_core::crypto::static_key::KeyHalf;
use longcable_core::crypto::{Cipher, Digest, Direction, StaticKey, Suite};

/// `verb` levels from which on the algorithms and the keys themselves are shown.
const ALGORITHM_LEVEL: u8 = 4;
const KEY_LEVEL: u8 = 7;

/// The lines that list the keys for each way, in the words of the OpenVPN FAQ, each with its `verb` level.
pub fn key_listing(suite: Suite, key: &StaticKey, direction: Option<Direction>) -> Vec<(u8, String)> {
    let pair = key.keys(direction);
    let mut lines = Vec::new();
    list_half(&mut lines, suite, "Static Encrypt", pair.send);
    list_half(&mut lines, suite, "Static Decrypt", pair.receive);
    lines
}

fn list_half(lines: &mut Vec<(u8, String)>, suite: Suite, way: &str, half: KeyHalf<'_>) {
    if suite.cipher != Cipher::None {
        let (name, bits) = (suite.cipher.name(), suite.key_len * 8);
        lines.push((ALGORITHM_LEVEL, format!("{way}: Cipher '{name}' initialized with {bits} bit key")));
        lines.push((KEY_LEVEL, format!("{way}: CIPHER KEY: {}", words(half.cipher(suite.key_len)))));
    }
    if suite.digest != Digest::None {
        let (name, len) = (suite.digest.name(), suite.digest.tag_len());
        let bits = len * 8;
        lines.push((ALGORITHM_LEVEL, format!("{way}: Using {bits} bit message hash '{name}' for HMAC authentication")));
        lines.push((KEY_LEVEL, format!("{way}: HMAC KEY: {}", words(half.hmac(len)))));
    }
}

/// Hexadecimal digits in groups of four bytes.
fn words(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        let gap = if index > 0 && index % 4 == 0 { " " } else { "" };
        let _ = write!(text, "{gap}{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAQ_KEY: &str = include_str!("../../../tests/vectors/faq.key");

    /// The listings that the FAQ prints for its sample key.
    #[test]
    fn lists_the_faq_key_as_the_faq_does() {
        let first = ["eac9ae92 cd73c5c2 d6a2338b 5a22263a", "f702cb04 c7d15ff2 606736c1 825e830a 7e30a796"];
        let second = ["2c2cef8a c550ed15 213b216b 825ab31e", "adddb889 b8173ac7 9b426132 8770bbbe 74294bc7"];
        let key = StaticKey::parse(FAQ_KEY).unwrap();
        let suite = Suite::new(Cipher::BfCbc, Digest::Sha1);
        for (direction, encrypt, decrypt) in
            [(None, first, first), (Some(Direction::Normal), first, second), (Some(Direction::Inverse), second, first)]
        {
            let expected = [("Static Encrypt", encrypt), ("Static Decrypt", decrypt)].map(|(way, [cipher, hmac])| {
                format!(
                    "{way}: Cipher 'BF-CBC' initialized with 128 bit key\n\
                     {way}: CIPHER KEY: {cipher}\n\
                     {way}: Using 160 bit message hash 'SHA1' for HMAC authentication\n\
                     {way}: HMAC KEY: {hmac}\n"
                )
            });
            let listing = key_listing(suite, &key, direction);
            let text: String = listing.iter().map(|(_, line)| format!("{line}\n")).collect();
            assert_eq!(text, expected.concat(), "{direction:?}");
            assert!(listing.iter().all(|(level, line)| (*level == KEY_LEVEL) == line.contains("KEY:")));
        }
        assert!(key_listing(Suite::new(Cipher::None, Digest::None), &key, None).is_empty());
    }
}
