//! The data keys of a TLS link (protocol section 3.12).

use core::fmt;

use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::static_key::{KEY_LEN, KeyHalf, KeyPair};
use crate::tls::Role;
use crate::wire::control::SessionId;
use crate::wire::key_method2::KeySource;

/// The label under which TLS exports data keys, without a context.
pub const EXPORT_LABEL: &str = "EXPORTER-OpenVPN-datakeys";

const MASTER_LABEL: &str = "OpenVPN master secret";
const EXPANSION_LABEL: &str = "OpenVPN key expansion";
const MASTER_LEN: usize = 48;

/// The data keys for both directions of one key id. Wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyMaterial {
    /// From the TLS client to the TLS server, and back.
    keys: [[u8; KEY_LEN]; 2],
}

impl KeyMaterial {
    /// Keys from what the two ends told each other inside TLS: the pseudo-random function of TLS 1.0. Client and
    /// server are the TLS roles.
    pub fn from_prf(client: &KeySource, server: &KeySource, client_sid: SessionId, server_sid: SessionId) -> Self {
        let mut master = Zeroizing::new([0; MASTER_LEN]);
        let seed: [&[u8]; 3] = [MASTER_LABEL.as_bytes(), &client.random1, &server.random1];
        prf(&client.pre_master, &seed, master.as_mut_slice());
        let mut material = Self { keys: [[0; KEY_LEN]; 2] };
        let (client_sid, server_sid) = (client_sid.as_bytes(), server_sid.as_bytes());
        let seed: [&[u8]; 5] = [EXPANSION_LABEL.as_bytes(), &client.random2, &server.random2, client_sid, server_sid];
        prf(&master, &seed, material.keys.as_flattened_mut());
        material
    }

    /// Keys from the TLS session: `export` fills the buffer for the label, as
    /// [`TlsSession::export`](crate::tls::TlsSession::export) does.
    ///
    /// # Errors
    /// Those of `export`.
    pub fn from_export<E>(export: impl FnOnce(&str, &mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut material = Self { keys: [[0; KEY_LEN]; 2] };
        export(EXPORT_LABEL, material.keys.as_flattened_mut())?;
        Ok(material)
    }

    /// The keys for each way as the end with this role uses them: a TLS client sends with the first.
    pub const fn keys(&self, role: Role) -> KeyPair<'_> {
        let [client, server] = &self.keys;
        let (send, receive) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        KeyPair { send: KeyHalf::new(send), receive: KeyHalf::new(receive) }
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMaterial(..)")
    }
}

/// The pseudo-random function of TLS 1.0 (RFC 2246, section 5): one hash for each half of the secret, combined.
fn prf(secret: &[u8; MASTER_LEN], seed: &[&[u8]], out: &mut [u8]) {
    let (first, second) = secret.split_at(MASTER_LEN / 2);
    out.fill(0);
    combine_expansion::<Hmac<Md5>>(first, seed, out);
    combine_expansion::<Hmac<Sha1>>(second, seed, out);
}

/// Combines `out` with P_hash of RFC 2246, section 5.
fn combine_expansion<M: Mac + hmac::digest::KeyInit + Clone>(secret: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    // An HMAC takes a key of any length.
    let Ok(keyed) = <M as hmac::digest::KeyInit>::new_from_slice(secret) else { return };
    let fed = |start: &[u8], seed: &[&[u8]]| {
        let mut mac = keyed.clone();
        mac.update(start);
        for part in seed {
            mac.update(part);
        }
        mac.finalize().into_bytes()
    };
    let mut a = fed(&[], seed);
    for chunk in out.chunks_mut(a.len()) {
        let block = fed(&a, seed);
        for (byte, mask) in chunk.iter_mut().zip(&block) {
            *byte ^= mask;
        }
        a = fed(&a, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn a_tls_client_sends_with_the_first_key() {
        let material = KeyMaterial::from_export(|label, out| {
            assert_eq!(label, "EXPORTER-OpenVPN-datakeys");
            for (byte, value) in out.iter_mut().zip(0..=u8::MAX) {
                *byte = value;
            }
            Ok::<_, ()>(())
        })
        .unwrap();
        let starts = |role| {
            let pair = material.keys(role);
            [pair.send.cipher(32)[0], pair.send.hmac(20)[0], pair.receive.cipher(32)[0], pair.receive.hmac(20)[0]]
        };
        assert_eq!(starts(Role::Client), [0x00, 0x40, 0x80, 0xc0]);
        assert_eq!(starts(Role::Server), [0x80, 0xc0, 0x00, 0x40]);
        assert_eq!(format!("{material:?}"), "KeyMaterial(..)");
        assert_eq!(KeyMaterial::from_export(|_, _| Err("no exporter")).unwrap_err(), "no exporter");
    }
}
