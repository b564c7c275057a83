//! Known answers: the key messages of real openvpn are read, and written to the same bytes again.

use longcable_core::control::negotiation::{PeerId, agree, write_peer_info};
use longcable_core::crypto::Cipher;
use longcable_core::options::{LinkConfig, Side, options_string};
use longcable_core::tls::Role;
use longcable_core::wire::key_method2::{KeyMessage, KeyMessageError};
use longcable_core::wire::peer_info::PeerInfo;

const MESSAGES: &str = include_str!("key_method2.vec");

/// The captured message of this name.
fn record(name: &str) -> Vec<u8> {
    let value = |line: &'static str| line.split_once(" = ").filter(|(known, _)| *known == name);
    let (_, digits) = MESSAGES.lines().find_map(value).expect("a message of this name");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn every_message_is_read_and_written_to_the_same_bytes() {
    const LIST: &str = "IV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\n";
    for (name, role, user, options_end, info_len, proto) in [
        ("client", Role::Client, ("joe", "secret"), ",tls-client", 172, 990),
        ("server", Role::Server, ("", ""), ",tls-server", 0, 0),
        ("p2p_tls_client", Role::Client, ("", ""), ",tls-client", 66, 746),
        ("p2p_tls_server", Role::Server, ("", ""), ",tls-server", 66, 746),
    ] {
        let record = record(name);
        let message = KeyMessage::parse(&record, role).expect("a key message");
        assert!(
            message.options.starts_with("V4,dev-type tun,link-mtu 1541,") && message.options.ends_with(options_end),
            "{name}"
        );
        assert_eq!((text(message.username), text(message.password)), user, "{name}");
        assert_eq!(message.peer_info.len(), info_len, "{name}");
        assert_eq!(text(message.peer_info).contains(LIST), info_len > 0, "{name}");
        assert_eq!(PeerInfo::new(message.peer_info).iv_proto(), proto, "{name}");
        assert_eq!(message.source.pre_master == [0; 48], role == Role::Server, "{name}");

        let mut out = [0; 1024];
        let info = text(message.peer_info);
        let len = KeyMessage::write(&message.source, role, message.options, user.0, user.1, info, &mut out);
        assert_eq!(&out[..len.expect("there is room")], record, "{name}");
    }
}

#[test]
fn a_message_that_is_cut_off_is_refused() {
    let record = record("p2p_tls_client");
    for len in 0..record.len() {
        let parsed = KeyMessage::parse(&record[..len], Role::Client);
        // The last three texts may be missing: empty user name and password, and 67 bytes of peer info.
        if [2 + 67, 4 + 67, 6 + 67].contains(&(record.len() - len)) {
            assert!(parsed.expect("an old peer's message").peer_info.is_empty());
        } else {
            assert_eq!(parsed.err(), Some(KeyMessageError::Short), "cut at {len}");
        }
    }
}

#[test]
fn in_the_place_of_either_peer_we_would_say_the_same_and_agree() {
    for (role, own, peer, ifconfig) in [
        (Role::Client, "p2p_tls_client", "p2p_tls_server", "10.9.0.2 10.9.0.1"),
        (Role::Server, "p2p_tls_server", "p2p_tls_client", "10.9.0.1 10.9.0.2"),
    ] {
        let (own, peer) = (record(own), record(peer));
        let own = KeyMessage::parse(&own, role).expect("a key message");
        let peer = KeyMessage::parse(&peer, role.other()).expect("a key message");
        let words = format!("dev tun\nsecret key\nifconfig {ifconfig}");
        let mut config = LinkConfig::parse(&words).expect("a configuration");
        config.secret = None;
        config.tls.role = Some(role);

        for (side, options) in [(Side::Local, own.options), (Side::Remote, peer.options)] {
            let mut string = String::new();
            options_string(&config, side, &mut string).expect("a string grows");
            assert_eq!(string, options);
        }

        let mut info = String::new();
        write_peer_info(&config, true, &mut info).expect("a string grows");
        assert_eq!(info.lines().next(), text(own.peer_info).lines().next());
        // Without the one bit that says something about pushed options.
        assert_eq!(PeerInfo::new(info.as_bytes()).iv_proto(), 746 - 64);

        let agreed = agree(&config, role, peer.peer_info, peer.options, true).expect("a shared cipher");
        assert_eq!((agreed.suite.cipher, agreed.peer_id), (Cipher::Aes256Gcm, PeerId::FromExporter));
    }
}
