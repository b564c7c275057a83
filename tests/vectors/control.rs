//! Known answers of the control channel: every captured packet opens to what openvpn sent, and is sealed to the same
//! bytes again.

use longcable_core::control::wrapping::{Wrapping, peek};
use longcable_core::crypto::replay::PacketIdSender;
use longcable_core::crypto::tls_crypt_v2::{Metadata, ServerKey, split_wkc};
use longcable_core::crypto::{Digest, Direction, Rng, RustCrypto, StaticKey};
use longcable_core::error::Discard;
use longcable_core::packet::PacketBuf;
use longcable_core::tls::Role;
use longcable_core::wire::control::{EarlyNegotiation, Message, write_header};
use longcable_core::wire::opcode::Opcode;
use longcable_tests::vectors::{COUNT_KEY, decode};

const TLS_AUTH: &str = include_str!("tls_auth.vec");
const TLS_CRYPT: &str = include_str!("tls_crypt.vec");
const TLS_CRYPT_V2: &str = include_str!("tls_crypt_v2.vec");
const DYNAMIC: &str = include_str!("dynamic_tls_crypt.vec");

#[test]
fn tls_auth_packets() {
    let key = count_key();
    let end = |direction| Wrapping::tls_auth(&key, Digest::Sha1, Some(direction)).expect("SHA-1");
    let [server, client] = [end(Direction::Normal), end(Direction::Inverse)];
    assert_eq!(check(TLS_AUTH, &server, &client), 14);
}

#[test]
fn tls_crypt_packets() {
    let key = count_key();
    let [server, client] = [Role::Server, Role::Client].map(|role| Wrapping::tls_crypt(&key, role).expect("SHA-256"));
    assert_eq!(check(TLS_CRYPT, &server, &client), 14);
}

#[test]
fn tls_crypt_v2_packets_and_keys() {
    let server_key = ServerKey::generate(&mut Drawn(value(TLS_CRYPT_V2, "server_key")));
    let metadata = Metadata::timestamp(0x6b02_f9fd);
    let client_key = server_key.issue(&mut Drawn(value(TLS_CRYPT_V2, "Kc")), &metadata).expect("SHA-256");
    assert_eq!(client_key.wrapped(), bytes(value(TLS_CRYPT_V2, "WKc")));
    let file = [&client_key.key().to_bytes()[..], client_key.wrapped()].concat();
    assert_eq!(file, bytes(value(TLS_CRYPT_V2, "client_key_file_blob")));

    let (key, found) = server_key.unwrap(client_key.wrapped()).expect("it is this server's");
    assert_eq!(key.to_bytes(), client_key.key().to_bytes());
    assert_eq!((found.kind(), found.time()), (Some(1), Some(0x6b02_f9fd)));
    assert_eq!(bytes(value(TLS_CRYPT_V2, "metadata")), [&[1], found.data()].concat());
    assert_eq!(server_key.wrap(&key, &found).expect("SHA-256"), client_key.wrapped());

    let [server, client] = [Role::Server, Role::Client].map(|role| Wrapping::tls_crypt(&key, role).expect("SHA-256"));
    assert_eq!(check(TLS_CRYPT_V2, &server, &client), 14);
}

#[test]
fn dynamic_tls_crypt_packets() {
    let original = Wrapping::<RustCrypto>::tls_crypt(&count_key(), Role::Server).expect("SHA-256");
    let exported = bytes(value(DYNAMIC, "ekm_dynamic_tls_crypt")).try_into().expect("256 bytes");
    let [server, client] =
        [Role::Server, Role::Client].map(|role| Wrapping::dynamic(&exported, original.key(), role).expect("SHA-256"));
    assert_eq!(server.key().expect("there is one")[..], bytes(value(DYNAMIC, "reneg_key2")));
    assert_eq!(check(DYNAMIC, &server, &client), 12);
}

/// Opens and seals every packet, and puts together again what is inside. Returns the number of packets.
fn check(text: &'static str, server: &Wrapping<RustCrypto>, client: &Wrapping<RustCrypto>) -> usize {
    let mut count = 0;
    while let Some(sender) = find(text, &format!("pkt{count}.sender")) {
        let wire = bytes(value(text, &format!("pkt{count}.wire")));
        let (sending, receiving) = if sender == "client" { (client, server) } else { (server, client) };
        let mut datagram = wire.clone();
        let (head, sid) = peek(&datagram).expect("a control packet");
        let has_key = matches!(head.opcode, Opcode::HardResetClientV3 | Opcode::ControlWkc);
        let (packet, wkc) =
            if has_key { split_wkc(&mut datagram).expect("a wrapped key") } else { (&mut datagram[..], &[][..]) };
        assert_eq!(wkc.is_empty(), !has_key);
        let sealed = wire.strip_suffix(wkc).expect("it is behind the packet");

        refuses_everything_else(sealed, receiving, sending);
        let opened = receiving.open(packet).expect("it opens");
        assert_eq!((opened.head, opened.sid), (head, sid));
        if let Some(plain) = find(text, &format!("pkt{count}.plain")) {
            assert_eq!(opened.body, bytes(plain), "packet {count}");
        }
        let message = Message::parse(head.opcode, opened.body).expect("a message");
        assert!(message.peer.is_some() || message.acks.is_empty());
        if head.opcode == Opcode::HardResetServerV2 {
            let early = EarlyNegotiation::parse(message.payload).expect("early negotiation");
            assert_eq!(early.resend_wkc, text == TLS_CRYPT_V2);
            let mut payload = [0; EarlyNegotiation::LEN];
            let len = early.write(&mut payload);
            assert_eq!(payload[..len], *message.payload);
        }

        let mut buffer = vec![0; longcable_core::control::HEADROOM + message.payload.len()];
        let start = longcable_core::control::HEADROOM;
        buffer[start..].copy_from_slice(message.payload);
        let mut packet = PacketBuf::new(&mut buffer, start, message.payload.len()).expect("it fits");
        write_header(&mut packet, &message.acks, message.peer, message.id).expect("there is room");
        assert_eq!(packet.as_slice(), opened.body, "packet {count}");
        let body_len = packet.len();
        let (id, time) = opened.packet_id.expect("it is wrapped");
        if head.opcode == Opcode::HardResetClientV3 {
            assert!(EarlyNegotiation::is_understood(id));
        }
        sending.seal(&mut PacketIdSender::after(id - 1, time), time, head, sid, &mut packet).expect("there is room");
        assert_eq!(packet.as_slice(), sealed, "packet {count}");
        assert_eq!(packet.len(), body_len + sending.overhead());
        count += 1;
    }
    count
}

/// Every changed byte and every cut is refused, and so is the sender's own packet.
fn refuses_everything_else(sealed: &[u8], receiving: &Wrapping<RustCrypto>, sending: &Wrapping<RustCrypto>) {
    for index in 0..sealed.len() {
        let mut forged = sealed.to_vec();
        forged[index] ^= 1;
        let refused = receiving.open(&mut forged).expect_err("it is forged");
        assert_eq!(refused, Discard::ControlAuthentication, "byte {index}");
        let refused = receiving.open(&mut sealed[..index].to_vec()).expect_err("it is cut");
        assert!(
            matches!(refused, Discard::ControlAuthentication | Discard::ControlWrapping | Discard::ControlMalformed),
            "cut at {index}"
        );
    }
    assert_eq!(sending.open(&mut sealed.to_vec()).map(|_| ()), Err(Discard::ControlAuthentication), "reflected");
}

#[test]
fn a_changed_or_cut_wrapped_key_is_refused() {
    let server_key = ServerKey::generate(&mut Drawn(value(TLS_CRYPT_V2, "server_key")));
    let good = bytes(value(TLS_CRYPT_V2, "WKc"));
    for index in 0..good.len() {
        let mut forged = good.clone();
        forged[index] ^= 1;
        assert!(server_key.unwrap(&forged).is_err(), "byte {index}");
        assert!(server_key.unwrap(&good[..index]).is_err(), "cut at {index}");
        assert!(server_key.unwrap(&good[index + 1..]).is_err(), "cut before {index}");
    }
    // Whatever length a stranger writes at the end.
    let mut datagram = bytes(value(TLS_CRYPT_V2, "pkt0.wire"));
    let end = datagram.len();
    for len in 0..=u16::MAX {
        datagram[end - 2..].copy_from_slice(&len.to_be_bytes());
        let possible = (290..=1024).contains(&usize::from(len)) && usize::from(len) <= end;
        assert_eq!(split_wkc(&mut datagram).is_ok(), possible, "{len}");
    }
}

fn count_key() -> StaticKey {
    StaticKey::parse(COUNT_KEY).expect("a static key")
}

fn value(text: &'static str, name: &str) -> &'static str {
    find(text, name).unwrap_or_else(|| panic!("no value is called {name}"))
}

fn find(text: &'static str, name: &str) -> Option<&'static str> {
    let mut values = text.lines().filter_map(|line| line.split_once(" = "));
    values.find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; text.len() / 2];
    decode(text, &mut bytes);
    bytes
}

/// "Random" bytes: what openvpn drew.
struct Drawn(&'static str);

impl Rng for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) {
        assert_eq!(bytes.len() * 2, self.0.len());
        decode(self.0, bytes);
    }
}
