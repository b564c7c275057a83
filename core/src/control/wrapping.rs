//! What protects control packets before TLS does: nothing, `tls-auth` or `tls-crypt` (protocol sections 3.2 to 3.5).

use zeroize::Zeroizing;

use crate::crypto::replay::PacketIdSender;
use crate::crypto::static_key::STATIC_KEY_LEN;
use crate::crypto::tls_crypt::{KEY_LEN, TAG_LEN, TlsCryptKey};
use crate::crypto::{Digest, Direction, Mac, Provider, StaticKey, Unsupported};
use crate::error::Discard;
use crate::packet::PacketBuf;
use crate::tls::Role;
use crate::wire::control::SessionId;
use crate::wire::opcode::Head;

/// Length of the clear header in bytes: opcode with key id, and the sender's session id.
const HEADER_LEN: usize = 1 + SessionId::LEN;

/// Length of the long packet id in bytes.
const PACKET_ID_LEN: usize = 8;

/// Most bytes that [`Wrapping::seal`] adds.
pub const OVERHEAD_MAX: usize = HEADER_LEN + Digest::TAG_MAX + PACKET_ID_LEN;

/// The protection of control packets.
pub enum Wrapping<C: Provider> {
    /// Only TLS protects what is inside.
    None,
    /// `tls-auth`: packets are authenticated.
    TlsAuth(TlsAuth<C::Mac>),
    /// `tls-crypt`: packets are authenticated and encrypted. tls-crypt-v2 and its like use it, too.
    TlsCrypt(TlsCrypt<C::Mac>),
}

/// The keys of `tls-auth`.
pub struct TlsAuth<M> {
    key: Zeroizing<[u8; STATIC_KEY_LEN]>,
    digest: Digest,
    send: M,
    receive: M,
}

/// The keys of `tls-crypt`.
pub struct TlsCrypt<M> {
    key: Zeroizing<[u8; STATIC_KEY_LEN]>,
    send: TlsCryptKey<M>,
    receive: TlsCryptKey<M>,
}

/// A control packet without its wrapping. Its packet id has not been looked at.
#[derive(Debug)]
pub struct Opened<'b> {
    /// What the packet is.
    pub head: Head,
    /// The sender's session id.
    pub sid: SessionId,
    /// Id and unix time (s) of the packet's sequence, against replay; `None` without wrapping.
    pub packet_id: Option<(u32, u32)>,
    /// What [`Message::parse`](crate::wire::control::Message::parse) reads.
    pub body: &'b mut [u8],
}

impl<C: Provider> Wrapping<C> {
    /// `tls-auth` with this end's `direction`.
    ///
    /// # Errors
    /// The provider lacks the digest.
    pub fn tls_auth(key: &StaticKey, digest: Digest, direction: Option<Direction>) -> Result<Self, Unsupported> {
        let keys = key.keys(direction);
        let mac = |key| C::Mac::new(digest, key);
        Ok(Self::TlsAuth(TlsAuth {
            digest,
            send: mac(keys.send.hmac(digest.tag_len()))?,
            receive: mac(keys.receive.hmac(digest.tag_len()))?,
            key: key.to_bytes(),
        }))
    }

    /// `tls-crypt`, or `tls-crypt-v2` with the client's own key.
    ///
    /// # Errors
    /// The provider lacks SHA-256.
    pub fn tls_crypt(key: &StaticKey, role: Role) -> Result<Self, Unsupported> {
        let keys = key.keys(Some(match role {
            Role::Server => Direction::Normal,
            Role::Client => Direction::Inverse,
        }));
        Ok(Self::TlsCrypt(TlsCrypt {
            send: TlsCryptKey::new(keys.send.cipher(KEY_LEN), keys.send.hmac(KEY_LEN))?,
            receive: TlsCryptKey::new(keys.receive.cipher(KEY_LEN), keys.receive.hmac(KEY_LEN))?,
            key: key.to_bytes(),
        }))
    }

    /// Dynamic tls-crypt: for all packets of later keys, with what the first key's TLS session `exported` and the
    /// [`Wrapping::key`] of the `original` wrapping.
    ///
    /// # Errors
    /// The provider lacks SHA-256.
    pub fn dynamic(
        exported: &[u8; STATIC_KEY_LEN],
        original: Option<&[u8; STATIC_KEY_LEN]>,
        role: Role,
    ) -> Result<Self, Unsupported> {
        let mut key = Zeroizing::new(*exported);
        for (byte, other) in key.iter_mut().zip(original.into_iter().flatten()) {
            *byte ^= other;
        }
        Self::tls_crypt(&StaticKey::from_bytes(&key), role)
    }

    /// The whole key file, as [`Wrapping::dynamic`] needs it.
    pub fn key(&self) -> Option<&[u8; STATIC_KEY_LEN]> {
        match self {
            Self::None => None,
            Self::TlsAuth(auth) => Some(&auth.key),
            Self::TlsCrypt(crypt) => Some(&crypt.key),
        }
    }

    /// How many bytes [`Wrapping::seal`] adds.
    pub const fn overhead(&self) -> usize {
        match self {
            Self::None => HEADER_LEN,
            Self::TlsAuth(auth) => HEADER_LEN.saturating_add(auth.digest.tag_len()).saturating_add(PACKET_ID_LEN),
            Self::TlsCrypt(_) => HEADER_LEN + PACKET_ID_LEN + TAG_LEN,
        }
    }

    /// Makes the datagram of the body in `packet`: acknowledgements, id and payload. `own` is this end's session id.
    ///
    /// `None` if there is no room, or the packet ids are used up.
    pub fn seal(
        &self,
        ids: &mut PacketIdSender,
        unix_now: u32,
        head: Head,
        own: SessionId,
        packet: &mut PacketBuf<'_>,
    ) -> Option<()> {
        let header = header(head, own);
        match self {
            Self::None => {}
            Self::TlsAuth(auth) => {
                let id = packet_id(ids, unix_now)?;
                let mut tag = [0; Digest::TAG_MAX];
                let tag = tag.get_mut(..auth.digest.tag_len())?;
                auth.send.sign(&[&id, &header, packet.as_slice()], tag);
                packet.prepend(id.len())?.copy_from_slice(&id);
                packet.prepend(tag.len())?.copy_from_slice(tag);
            }
            Self::TlsCrypt(crypt) => {
                let id = packet_id(ids, unix_now)?;
                let tag = crypt.send.seal([&header, &id], packet.as_mut_slice());
                packet.prepend(tag.len())?.copy_from_slice(&tag);
                packet.prepend(id.len())?.copy_from_slice(&id);
            }
        }
        packet.prepend(header.len())?.copy_from_slice(&header);
        Some(())
    }

    /// Authenticates and decrypts a datagram in place, without looking whether it is repeated.
    ///
    /// # Errors
    /// [`Discard::ControlWrapping`], [`Discard::ControlAuthentication`], or [`Discard::ControlMalformed`] if the
    /// datagram is no control packet.
    pub fn open<'b>(&self, datagram: &'b mut [u8]) -> Result<Opened<'b>, Discard> {
        let (head, sid) = peek(datagram).filter(|(head, _)| !head.opcode.is_data()).ok_or(Discard::ControlMalformed)?;
        let (header, rest) = datagram.split_at_mut_checked(HEADER_LEN).ok_or(Discard::ControlMalformed)?;
        let (packet_id, body) = match self {
            Self::None => (None, rest),
            Self::TlsAuth(auth) => {
                let cut = rest.split_at_mut_checked(auth.digest.tag_len());
                let (tag, rest) = cut.ok_or(Discard::ControlWrapping)?;
                let (id, body) = rest.split_first_chunk_mut().ok_or(Discard::ControlWrapping)?;
                if !auth.receive.verify(&[id, header, body], tag) {
                    return Err(Discard::ControlAuthentication);
                }
                (Some(id), body)
            }
            Self::TlsCrypt(crypt) => {
                let (id, rest) = rest.split_first_chunk_mut().ok_or(Discard::ControlWrapping)?;
                let (tag, body) = rest.split_first_chunk_mut().ok_or(Discard::ControlWrapping)?;
                if !crypt.receive.open([header, id], body, tag) {
                    return Err(Discard::ControlAuthentication);
                }
                (Some(id), body)
            }
        };
        let packet_id = packet_id.map(|[a, b, c, d, e, f, g, h]: &mut [u8; PACKET_ID_LEN]| {
            (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]))
        });
        Ok(Opened { head, sid, packet_id, body })
    }
}

/// What every control packet says in the clear: what it is, and the sender's session id. Nothing vouches for it.
pub fn peek(datagram: &[u8]) -> Option<(Head, SessionId)> {
    let (first, rest) = datagram.split_first()?;
    Some((Head::parse(*first)?, SessionId::new(*rest.first_chunk()?)?))
}

fn header(head: Head, own: SessionId) -> [u8; HEADER_LEN] {
    let [a, b, c, d, e, f, g, h] = *own.as_bytes();
    [head.byte(), a, b, c, d, e, f, g, h]
}

fn packet_id(ids: &mut PacketIdSender, unix_now: u32) -> Option<[u8; PACKET_ID_LEN]> {
    let (id, time) = ids.next(unix_now).ok()?;
    let ([a, b, c, d], [e, f, g, h]) = (id.to_be_bytes(), time.to_be_bytes());
    Some([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::RustCrypto;
    use crate::wire::opcode::{KeyId, Opcode};
    use proptest::prelude::*;
    use std::vec::Vec;

    const HEAD: Head = Head { opcode: Opcode::Control, key_id: KeyId::FIRST };

    fn key() -> StaticKey {
        let mut count = 0_u8;
        StaticKey::from_bytes(&[(); STATIC_KEY_LEN].map(|()| {
            count = count.wrapping_add(1);
            count
        }))
    }

    fn own() -> SessionId {
        SessionId::new(*b"ownowner").unwrap()
    }

    fn wrappings(role: Role) -> Vec<Wrapping<RustCrypto>> {
        let direction = if role == Role::Server { Direction::Normal } else { Direction::Inverse };
        let mut all = std::vec![Wrapping::None, Wrapping::tls_crypt(&key(), role).unwrap()];
        for digest in [Digest::Sha1, Digest::Sha256, Digest::Sha512] {
            all.push(Wrapping::tls_auth(&key(), digest, None).unwrap());
            all.push(Wrapping::tls_auth(&key(), digest, Some(direction)).unwrap());
        }
        let originals: Vec<_> = all.iter().map(|original| original.key().copied()).collect();
        all.extend(originals.iter().map(|original| Wrapping::dynamic(&[7; 256], original.as_ref(), role).unwrap()));
        all
    }

    fn sealed(wrapping: &Wrapping<RustCrypto>, ids: &mut PacketIdSender, body: &[u8]) -> Vec<u8> {
        let mut buffer = [&[0; OVERHEAD_MAX][..], body].concat();
        let mut packet = PacketBuf::new(&mut buffer, OVERHEAD_MAX, body.len()).unwrap();
        wrapping.seal(ids, 1000, HEAD, own(), &mut packet).unwrap();
        packet.as_slice().to_vec()
    }

    #[test]
    fn the_other_end_opens_what_one_end_seals() {
        for (server, client) in wrappings(Role::Server).iter().zip(wrappings(Role::Client)) {
            for (from, to) in [(server, &client), (&client, server)] {
                let mut ids = PacketIdSender::new(1000);
                for id in 1..3 {
                    let mut datagram = sealed(from, &mut ids, b"what it says");
                    assert_eq!(datagram.len(), 12 + from.overhead());
                    assert_eq!(peek(&datagram), Some((HEAD, own())));
                    let opened = to.open(&mut datagram).unwrap();
                    assert_eq!((opened.head, opened.sid), (HEAD, own()));
                    assert_eq!(opened.packet_id, from.key().map(|_| (id, 1000)));
                    assert_eq!(opened.body, b"what it says");
                }
            }
        }
    }

    #[test]
    fn nothing_leaves_when_the_packet_ids_are_used_up_or_there_is_no_room() {
        for wrapping in wrappings(Role::Client).iter().skip(1) {
            let mut ids = PacketIdSender::after(u32::MAX, 1000);
            let mut buffer = [0; OVERHEAD_MAX];
            let mut packet = PacketBuf::new(&mut buffer, OVERHEAD_MAX, 0).unwrap();
            assert_eq!(wrapping.seal(&mut ids, 1000, HEAD, own(), &mut packet), None);
            let mut packet = PacketBuf::new(&mut buffer, wrapping.overhead() - 1, 0).unwrap();
            assert_eq!(wrapping.seal(&mut ids, 1001, HEAD, own(), &mut packet), None);
        }
    }

    #[test]
    fn data_and_packets_from_nobody_are_no_control_packets() {
        let open = |datagram: &mut [u8]| Wrapping::<RustCrypto>::None.open(datagram).map(|_| ());
        let mut datagram = sealed(&Wrapping::None, &mut PacketIdSender::new(0), &[0; 5]);
        assert_eq!(open(&mut datagram), Ok(()));
        datagram[1..9].fill(0);
        assert_eq!(open(&mut datagram), Err(Discard::ControlMalformed));
        datagram[1..9].fill(1);
        for opcode in [Opcode::DataV1, Opcode::DataV2] {
            datagram[0] = Head { opcode, key_id: KeyId::FIRST }.byte();
            assert_eq!(open(&mut datagram), Err(Discard::ControlMalformed));
        }
        let auth = Wrapping::<RustCrypto>::tls_auth(&key(), Digest::Sha1, None).unwrap();
        datagram[0] = HEAD.byte();
        assert_eq!(
            auth.open(&mut datagram).map(|_| ()),
            Err(Discard::ControlWrapping),
            "the peer does not use tls-auth"
        );
        assert!(Wrapping::<RustCrypto>::tls_auth(&key(), Digest::None, None).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(mut datagram in proptest::collection::vec(any::<u8>(), 0..120), first in 0x08_u8..0x60) {
            if let Some(byte) = datagram.first_mut() {
                *byte = first;
            }
            for (index, wrapping) in wrappings(Role::Server).iter().enumerate() {
                let opened = wrapping.open(&mut datagram.clone()).is_ok();
                prop_assert!(!opened || index == 0);
            }
            peek(&datagram);
        }
    }
}
