//! `--test-crypto`: packets of every length through the same code that a link uses.

use std::io::{self, Write};

use longcable_core::crypto::replay::ReplayWindow;
use longcable_core::crypto::{Cipher, Direction, Rng, StaticKey, Suite};
use longcable_core::data::{Opener, Sealer};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::time::{Duration, Instant};

use crate::crypto::{Fast, FastRng};

/// The longest packet in bytes: what openvpn tests at its default MTU.
const LEN_MAX: usize = 1768;

/// Seals and opens random packets of 1 to 1,768 bytes and prints each step as openvpn does.
///
/// # Errors
/// A packet did not come back as it was, or the suite is not supported; the message says which.
pub fn test_crypto(
    suite: Suite,
    key: &StaticKey,
    direction: Option<Direction>,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "Entering OpenVPN crypto self-test mode.")?;
    let unsupported = |_| failure(format_args!("the cipher or digest is not supported with this key length"));
    // The receiver is the peer, which receives with the key that this end sends with.
    let half = key.keys(direction).send;
    let window = ReplayWindow::new([0], 64, Duration::from_secs(15));
    let mut sealer = Sealer::<Fast>::new(suite, half, Some(1)).map_err(unsupported)?;
    let mut opener = Opener::<Fast, [u64; 1]>::new(suite, half, Some(window)).map_err(unsupported)?;
    let mut rng = FastRng::new();
    let (mut payload, mut buffer) = ([0; LEN_MAX], [0; HEADROOM + LEN_MAX + TAILROOM]);
    for len in 1..=LEN_MAX {
        writeln!(out, "TESTING ENCRYPT/DECRYPT of packet length={len}")?;
        let payload = &mut payload[..len];
        rng.fill(payload);
        buffer[HEADROOM..HEADROOM + len].copy_from_slice(payload);
        let mut packet = PacketBuf::new(&mut buffer, HEADROOM, len)
            .ok_or_else(|| failure(format_args!("packet length {len}: no room")))?;
        sealer.seal(1, &mut rng, &mut packet).map_err(|error| failure(format_args!("packet length {len}: {error}")))?;
        let datagram = packet.into_slice();
        // A shorter payload may occur in the datagram by chance.
        if suite.cipher != Cipher::None && len >= 16 && datagram.windows(len).any(|part| part == payload) {
            return Err(failure(format_args!("packet length {len}: it was not encrypted")));
        }
        let opened = opener
            .open(Instant::from_millis(0), datagram)
            .map_err(|error| failure(format_args!("packet length {len}: {error}")))?;
        if opened != payload {
            return Err(failure(format_args!("packet length {len}: it came back changed")));
        }
    }
    writeln!(out, "OpenVPN crypto self-test mode SUCCEEDED.")
}

fn failure(cause: std::fmt::Arguments<'_>) -> io::Error {
    io::Error::other(format!("OpenVPN crypto self-test mode FAILED: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use longcable_core::crypto::Digest;

    const KEY: &str = include_str!("../../../tests/vectors/count.key");

    #[test]
    fn every_suite_passes() {
        let key = StaticKey::parse(KEY).unwrap();
        let (known, tls_only): (Vec<_>, Vec<_>) =
            Cipher::ALL.into_iter().partition(|cipher| !cipher.mode().needs_tls());
        let ciphers = known.into_iter().map(|cipher| Suite::new(cipher, Digest::Sha1));
        let digests = Digest::ALL.map(|digest| Suite::new(Cipher::Aes128Cbc, digest));
        for suite in ciphers.into_iter().chain(digests) {
            let mut out = Vec::new();
            test_crypto(suite, &key, Some(Direction::Inverse), &mut out).unwrap();
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out.lines().count(), LEN_MAX + 2, "{suite:?}");
            assert!(out.ends_with("length=1768\nOpenVPN crypto self-test mode SUCCEEDED.\n"));
        }
        assert_eq!(tls_only.len(), 10);
        for cipher in tls_only {
            let suite = Suite::new(cipher, Digest::Sha1);
            let error = test_crypto(suite, &key, Some(Direction::Inverse), &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains("is not supported"), "{cipher:?}: {error}");
        }
    }

    #[test]
    fn an_impossible_key_length_fails() {
        let suite = Suite { key_len: 5, ..Suite::new(Cipher::Aes256Cbc, Digest::Sha1) };
        let error = test_crypto(suite, &StaticKey::parse(KEY).unwrap(), None, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("OpenVPN crypto self-test mode FAILED: the cipher"), "{error}");
    }
}
