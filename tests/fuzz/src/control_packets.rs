//! Control packets by themselves: their wrappings, what is inside, early negotiation.

use std::sync::LazyLock;

use longcable_core::control::HEADROOM;
use longcable_core::control::wrapping::{Wrapping, peek};
use longcable_core::crypto::replay::PacketIdSender;
use longcable_core::crypto::tls_crypt_v2::split_wkc;
use longcable_core::crypto::{Digest, Direction, RustCrypto, StaticKey};
use longcable_core::packet::PacketBuf;
use longcable_core::tls::Role;
use longcable_core::wire::control::{EarlyNegotiation, MESSAGE_HEADER_MAX, Message, SessionId, write_header};
use longcable_core::wire::opcode::{Head, Opcode};

use crate::input::Input;
use crate::vectors;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let [sender, receiver] = &WRAPPINGS[input.below(2 * KINDS)];
    if input.byte().is_multiple_of(2) {
        strange(input.rest(), sender, receiver);
    } else {
        authentic(&mut input, sender, receiver);
    }
}

/// A datagram of anybody: it is what its sender would have sent again, or it is refused.
fn strange(datagram: &[u8], sender: &Wrapping<RustCrypto>, receiver: &Wrapping<RustCrypto>) {
    let peeked = peek(datagram);
    let mut copy = datagram.to_vec();
    if let Ok((packet, wrapped)) = split_wkc(&mut copy) {
        assert_eq!([packet, wrapped].concat(), datagram);
    }
    let Ok(opened) = receiver.open(&mut copy) else { return };
    assert_eq!(peeked, Some((opened.head, opened.sid)));
    assert!(!opened.head.opcode.is_data());
    assert_eq!(opened.packet_id.is_some(), receiver.key().is_some());
    read(opened.head.opcode, opened.body);
    let (id, time) = opened.packet_id.unwrap_or((1, 0));
    if let Some(before) = id.checked_sub(1) {
        assert_eq!(seal(sender, (before, time), opened.head, opened.sid, opened.body), datagram);
    }
}

/// A packet of somebody who has the key, with anything in it; then the same with a fault.
fn authentic(input: &mut Input<'_>, sender: &Wrapping<RustCrypto>, receiver: &Wrapping<RustCrypto>) {
    let Some(head) = Head::parse(input.byte()).filter(|head| !head.opcode.is_data()) else { return };
    let flipped = usize::from(input.u16());
    let body = input.rest();
    let sid = SessionId::new(*b"session!").expect("it is not zero");
    let datagram = seal(sender, (6, 1000), head, sid, body);

    let mut copy = datagram.clone();
    let opened = receiver.open(&mut copy).expect("it is authentic");
    assert_eq!((opened.head, opened.sid, &*opened.body), (head, sid, body));
    read(head.opcode, opened.body);
    if receiver.key().is_some() {
        assert_eq!(opened.packet_id, Some((7, 1000)));
        let mut forged = datagram.clone();
        forged[flipped / 8 % datagram.len()] ^= 1 << (flipped % 8);
        assert!(receiver.open(&mut forged).is_err(), "forged");
        assert!(receiver.open(&mut datagram[..flipped % datagram.len()].to_vec()).is_err(), "cut");
    }
}

/// What is read is written again as it was.
fn read(opcode: Opcode, body: &[u8]) {
    let Ok(message) = Message::parse(opcode, body) else { return };
    let mut buffer = [&[0; MESSAGE_HEADER_MAX][..], message.payload].concat();
    let mut packet = PacketBuf::new(&mut buffer, MESSAGE_HEADER_MAX, message.payload.len()).expect("it fits");
    write_header(&mut packet, &message.acks, message.peer, message.id).expect("there is room");
    assert_eq!(packet.as_slice(), body);
    if let Ok(early) = EarlyNegotiation::parse(message.payload) {
        let mut payload = [0; EarlyNegotiation::LEN];
        let len = early.write(&mut payload);
        assert_eq!(EarlyNegotiation::parse(&payload[..len]), Ok(early));
    }
}

fn seal(
    sender: &Wrapping<RustCrypto>,
    (last_id, time): (u32, u32),
    head: Head,
    sid: SessionId,
    body: &[u8],
) -> Vec<u8> {
    let mut buffer = [&[0; HEADROOM][..], body].concat();
    let mut packet = PacketBuf::new(&mut buffer, HEADROOM, body.len()).expect("it fits");
    sender.seal(&mut PacketIdSender::after(last_id, time), time, head, sid, &mut packet).expect("there is room");
    packet.into_slice().to_vec()
}

const KINDS: usize = 7;

/// Two ends that fit each other, sender and receiver; the second half of the list has the TLS server as the sender.
static WRAPPINGS: LazyLock<Vec<[Wrapping<RustCrypto>; 2]>> = LazyLock::new(|| {
    let key = StaticKey::parse(vectors::COUNT_KEY).expect("a key file");
    let client_key = StaticKey::from_bytes(&array(&vectors::bytes(vectors::TLS_CRYPT_V2, "Kc")));
    let dynamic_key = StaticKey::from_bytes(&array(&vectors::bytes(vectors::DYNAMIC, "reneg_key2")));
    let [normal, inverse] = [Some(Direction::Normal), Some(Direction::Inverse)];
    let auth = |digest, directions: [Option<Direction>; 2]| {
        directions.map(|direction| Wrapping::tls_auth(&key, digest, direction).expect("the digest is there"))
    };
    let mut all = Vec::new();
    for (roles, directions) in
        [([Role::Client, Role::Server], [inverse, normal]), ([Role::Server, Role::Client], [normal, inverse])]
    {
        let crypt = |key| roles.map(|role| Wrapping::tls_crypt(key, role).expect("SHA-256 is there"));
        all.extend([
            [Wrapping::None, Wrapping::None],
            auth(Digest::Sha1, directions),
            auth(Digest::Sha512, [None, None]),
            auth(Digest::Md5, directions),
            crypt(&key),
            crypt(&client_key),
            crypt(&dynamic_key),
        ]);
    }
    all
});

fn array(bytes: &[u8]) -> [u8; 256] {
    bytes.try_into().expect("a key")
}

pub fn seeds() -> Vec<Vec<u8>> {
    let captures = [(1, vectors::TLS_AUTH), (4, vectors::TLS_CRYPT), (5, vectors::TLS_CRYPT_V2), (6, vectors::DYNAMIC)];
    let mut seeds = Vec::new();
    for (kind, text) in captures {
        let senders = vectors::values(text).filter(|(name, _)| name.ends_with(".sender"));
        for ((_, sender), wire) in senders.zip(vectors::all(text, ".wire")) {
            let choice = if sender == "client" { kind } else { kind + KINDS as u8 };
            seeds.push([&[choice, 0][..], &wire].concat());
        }
        for (number, plain) in vectors::all(text, ".plain").enumerate() {
            let opcode = [7, 8, 4, 5, 3, 10, 11][number % 7];
            seeds.push([&[0, 1, opcode << 3, 0, 9][..], &plain].concat());
            seeds.push([&[0, 0, opcode << 3][..], b"session!", &plain].concat());
        }
    }
    seeds
}
