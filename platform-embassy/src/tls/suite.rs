//! The cipher suite TLS_AES_128_GCM_SHA256, which also guards embedded-tls against what it would panic on.
//!
//! embedded-tls parses whatever a record holds once it is decrypted, and some of it ends in a panic. Its cipher is a
//! type parameter, so the check happens here, between decryption and parser. A cipher has no state and is not told
//! whether the handshake is over; but the version in a record's header, which is always 0x0303 on the wire, passes
//! through embedded-tls unread to the cipher: [`HANDSHAKE`] and [`ESTABLISHED`] travel there.

use aes_gcm::aead::consts::{U0, U12, U16, U54};
use aes_gcm::aead::{AeadCore, AeadInPlace, Buffer, Error, Key, KeyInit, KeySizeUser, Nonce, Result, Tag};
use aes_gcm::{Aes128Gcm, aead};
use embedded_tls::TlsCipherSuite;
use sha2::Sha256;

/// Header of a record during the handshake, in place of its version.
pub(super) const HANDSHAKE: [u8; 2] = VERSION;
/// Header of a record of an established session, in place of its version.
pub(super) const ESTABLISHED: [u8; 2] = [0, 0];

/// What is on the wire as a record's version (RFC 8446 section 5.2).
const VERSION: [u8; 2] = [3, 3];

/// Content types of records (RFC 8446 section 5.1).
pub(super) mod content {
    pub(in crate::tls) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(in crate::tls) const ALERT: u8 = 21;
    pub(in crate::tls) const HANDSHAKE: u8 = 22;
    pub(in crate::tls) const APPLICATION_DATA: u8 = 23;
}

/// Types of handshake messages (RFC 8446 section 4).
pub(super) mod message {
    pub(in crate::tls) const NEW_SESSION_TICKET: u8 = 4;
    pub(in crate::tls) const KEY_UPDATE: u8 = 24;
    pub(super) const ENCRYPTED_EXTENSIONS: u8 = 8;
    pub(super) const CERTIFICATE: u8 = 11;
    pub(super) const CERTIFICATE_REQUEST: u8 = 13;
    pub(super) const CERTIFICATE_VERIFY: u8 = 15;
    pub(super) const FINISHED: u8 = 20;
}

/// The suite that every implementation of TLS 1.3 must have (RFC 8446 section 9.1).
pub(super) struct Suite;

impl TlsCipherSuite for Suite {
    const CODE_POINT: u16 = 0x1301;
    type Cipher = GuardedCipher;
    type KeyLen = U16;
    type IvLen = U12;
    type Hash = Sha256;
    type LabelBufferSize = U54;
}

/// AES-128-GCM that lets nothing pass which embedded-tls cannot stand.
///
/// Of a record of an established session it makes application data that ends with the record's true content type:
/// embedded-tls then hands out all records as they are.
pub(super) struct GuardedCipher(Aes128Gcm);

impl KeySizeUser for GuardedCipher {
    type KeySize = U16;
}

impl KeyInit for GuardedCipher {
    fn new(key: &Key<Self>) -> Self {
        Self(Aes128Gcm::new(key))
    }
}

impl AeadCore for GuardedCipher {
    type NonceSize = U12;
    type TagSize = U16;
    type CiphertextOverhead = U0;
}

impl AeadInPlace for GuardedCipher {
    fn encrypt_in_place_detached(&self, nonce: &Nonce<Self>, aad: &[u8], bytes: &mut [u8]) -> Result<Tag<Self>> {
        self.0.encrypt_in_place_detached(nonce, aad, bytes)
    }

    fn decrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        aad: &[u8],
        bytes: &mut [u8],
        tag: &Tag<Self>,
    ) -> Result<()> {
        self.0.decrypt_in_place_detached(nonce, aad, bytes, tag)
    }

    fn decrypt_in_place(&self, nonce: &Nonce<Self>, header: &[u8], record: &mut dyn Buffer) -> aead::Result<()> {
        let &[kind, v0, v1, l0, l1] = header else { return Err(Error) };
        self.0.decrypt_in_place(nonce, &[kind, VERSION[0], VERSION[1], l0, l1], record)?;

        // Behind the content is its type, and behind that are zeros of any number.
        let end = record.as_ref().iter().rposition(|&byte| byte != 0).ok_or(Error)?;
        record.truncate(end.saturating_add(1));
        if [v0, v1] == ESTABLISHED {
            return record.extend_from_slice(&[content::APPLICATION_DATA]);
        }
        match record.as_ref() {
            [messages @ .., content::HANDSHAKE] if !messages.is_empty() && is_server_flight(messages) => Ok(()),
            [_, _, content::ALERT] => Ok(()),
            _ => Err(Error),
        }
    }
}

/// Whether these are whole messages with nothing behind them, of which the last one alone may be Finished.
///
/// embedded-tls goes by the lengths inside the messages and not by those in their headers: where the two differ, it
/// would see messages that are not looked at here.
fn is_server_flight(mut messages: &[u8]) -> bool {
    while let Some((kind, body, rest)) = split_message(messages) {
        let end = match kind {
            message::ENCRYPTED_EXTENSIONS => skip_vector(body, 2),
            message::CERTIFICATE_REQUEST => skip_vector(body, 1).and_then(|body| skip_vector(body, 2)),
            message::CERTIFICATE => skip_vector(body, 1).and_then(|body| skip_vector(body, 3)),
            message::CERTIFICATE_VERIFY => body.get(2..).and_then(|body| skip_vector(body, 2)),
            message::FINISHED if rest.is_empty() => body.get(32..),
            _ => None,
        };
        if end.is_none_or(|end| !end.is_empty()) {
            return false;
        }
        messages = rest;
    }
    messages.is_empty()
}

/// Type and body of the first handshake message, and what is behind it.
pub(super) fn split_message(messages: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&kind, messages) = messages.split_first()?;
    let (body, rest) = split_vector(messages, 3)?;
    Some((kind, body, rest))
}

fn skip_vector(bytes: &[u8], length_bytes: usize) -> Option<&[u8]> {
    split_vector(bytes, length_bytes).map(|(_, rest)| rest)
}

/// A vector with a length of so many bytes before it, and what is behind it.
fn split_vector(bytes: &[u8], length_bytes: usize) -> Option<(&[u8], &[u8])> {
    let (length, bytes) = bytes.split_at_checked(length_bytes)?;
    let length = length.iter().fold(0, |length: usize, &byte| length.wrapping_shl(8) | usize::from(byte));
    bytes.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    const KEY: [u8; 16] = [7; 16];
    const NONCE: [u8; 12] = [9; 12];

    /// Decrypts a record with this inner plaintext, marked as coming in this phase.
    fn open(phase: [u8; 2], inner: &[u8]) -> Result<Vec<u8>> {
        let length = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let header = |version: [u8; 2]| [content::APPLICATION_DATA, version[0], version[1], length[0], length[1]];
        let mut record = inner.to_vec();
        let tag =
            Aes128Gcm::new(&KEY.into()).encrypt_in_place_detached(&NONCE.into(), &header([3, 3]), &mut record).unwrap();
        record.extend_from_slice(&tag);
        GuardedCipher::new(&KEY.into()).decrypt_in_place(&NONCE.into(), &header(phase), &mut record)?;
        Ok(record)
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0, 0, u8::try_from(body.len()).unwrap()], body].concat()
    }

    #[test]
    fn established_records_keep_their_type_at_the_end() {
        assert_eq!(open(ESTABLISHED, b"data\x17").unwrap(), b"data\x17\x17");
        assert_eq!(open(ESTABLISHED, b"\x01\x00\x15\0\0\0").unwrap(), b"\x01\x00\x15\x17");
        assert_eq!(open(ESTABLISHED, &[&message(20, &[0; 32])[..], &[22]].concat()).unwrap().last(), Some(&23));
    }

    #[test]
    fn a_record_without_content_type_is_refused() {
        for phase in [HANDSHAKE, ESTABLISHED] {
            assert!(open(phase, b"").is_err());
            assert!(open(phase, &[0; 40]).is_err());
        }
    }

    #[test]
    fn a_server_flight_passes() {
        let flight = [
            message(8, &[0, 2, 1, 1]),
            message(13, &[1, 7, 0, 0]),
            message(11, &[0, 0, 0, 2, 5, 5]),
            message(15, &[4, 3, 0, 1, 9]),
            message(20, &[1; 32]),
        ]
        .concat();
        let inner = [&flight[..], &[22, 0, 0]].concat();
        assert_eq!(open(HANDSHAKE, &inner).unwrap(), inner[..inner.len() - 2]);
    }

    #[test]
    fn messages_out_of_place_are_refused() {
        let finished = message(20, &[1; 32]);
        let hidden = message(11, &[0, 0, 0, 0]);
        for messages in [
            // Behind Finished.
            [&finished[..], &hidden].concat(),
            // Behind the end of the extensions, but inside the message by its header.
            message(8, &[&[0, 0][..], &hidden].concat()),
            message(11, &[&[0, 0, 0, 0][..], &hidden].concat()),
            // Longer inside than outside.
            message(8, &[0, 9, 1]),
            message(15, &[4, 3, 0, 9, 1]),
            message(20, &[1; 31]),
            message(20, &[1; 33]),
            // A piece of a message, and messages that a server does not send here.
            finished[..20].to_vec(),
            message(1, &[]),
            message(2, &[]),
            message(4, &[]),
            message(24, &[0]),
        ] {
            assert!(open(HANDSHAKE, &[&messages[..], &[22]].concat()).is_err(), "{messages:?}");
        }
        assert!(open(HANDSHAKE, &[22]).is_err());
        assert!(open(HANDSHAKE, b"early data\x17").is_err());
    }

    #[test]
    fn the_mark_is_no_part_of_what_is_authenticated_but_the_rest_is() {
        let mut record = Vec::from([0_u8; 20]);
        assert!(
            GuardedCipher::new(&KEY.into()).decrypt_in_place(&NONCE.into(), &[23, 3, 3, 0, 20], &mut record).is_err()
        );
        assert!(GuardedCipher::new(&KEY.into()).decrypt_in_place(&NONCE.into(), &[23], &mut record).is_err());
    }
}
