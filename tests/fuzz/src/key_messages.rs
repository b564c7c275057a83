//! Key messages of a peer that has proven itself, and what is agreed on because of them.

use std::sync::LazyLock;

use longcable_core::control::negotiation::{PeerId, agree};
use longcable_core::crypto::Mode;
use longcable_core::options::LinkConfig;
use longcable_core::tls::Role;
use longcable_core::wire::internal::OPTIONS_MAX;
use longcable_core::wire::key_method2::KeyMessage;
use longcable_core::wire::peer_info::{PeerInfo, iv_proto};

use crate::input::Input;
use crate::{assert_harmless, vectors};

const BASE: &str = "dev tun\nifconfig 10.1.0.1 10.1.0.2\ntls-client\nca a\ncert c\nkey k\n";

static CONFIGS: LazyLock<Vec<LinkConfig<'static>>> = LazyLock::new(|| {
    let lines = [
        "",
        "data-epoch\ndata-ciphers CHACHA20-POLY1305:AES-128-CBC:AES-256-OFB\n",
        "cipher AES-192-CBC\nauth SHA512\n",
        "compat-mode 2.3.0\ncipher BF-CBC\n",
        "data-ciphers AES-256-GCM\ndata-ciphers-fallback AES-128-CFB\n",
    ];
    let parse = |lines| LinkConfig::parse(format!("{BASE}{lines}").leak());
    lines.into_iter().map(|lines| parse(lines).unwrap_or_else(|error| panic!("{lines}: {error}"))).collect()
});

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let config = &CONFIGS[input.below(CONFIGS.len())];
    let choices = input.byte();
    let (role, can_export) = (if choices & 1 == 0 { Role::Client } else { Role::Server }, choices & 2 == 0);
    let record = input.rest();
    let Ok(message) = KeyMessage::parse(record, role.other()) else { return };

    assert!((1..OPTIONS_MAX).contains(&message.options.len()));
    assert_harmless(message.options);
    let texts = [message.username, message.password, message.peer_info];
    assert!(texts.iter().all(|text| !text.contains(&0)));
    if let [Ok(username), Ok(password), Ok(peer_info)] = texts.map(std::str::from_utf8) {
        let mut out = vec![0; record.len() + 2 * texts.len()];
        let len =
            KeyMessage::write(&message.source, role.other(), message.options, username, password, peer_info, &mut out);
        let again = KeyMessage::parse(&out[..len.expect("there is room")], role.other()).expect("it was written");
        assert_eq!(again.source.pre_master, message.source.pre_master);
        assert_eq!((again.source.random1, again.source.random2), (message.source.random1, message.source.random2));
        assert_eq!((again.options, [again.username, again.password, again.peer_info]), (message.options, texts));
    }
    check_agreement(config, role, &message, can_export);
}

/// Nothing is agreed on that one of the ends has not offered.
fn check_agreement(config: &LinkConfig<'_>, role: Role, message: &KeyMessage<'_>, can_export: bool) {
    let info = PeerInfo::new(message.peer_info);
    for (name, value) in info.iter() {
        assert!(name.len() > 3 && (name.starts_with("IV_") || name.starts_with("UV_")));
        assert!(name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()));
        assert_harmless(&value.to_string());
    }
    let agreed = match agree(config, role, message.peer_info, message.options, can_export) {
        Ok(agreed) => agreed,
        Err(error) => return assert_harmless(&error.to_string()),
    };
    let proto = if info.iv_proto() & iv_proto::P2P_NEGOTIATION == 0 { 0 } else { info.iv_proto() };
    let cipher = agreed.suite.cipher;
    assert!(config.tls.data_ciphers.contains(&cipher) || config.fallback_cipher() == Some(cipher));
    assert!(cipher.accepts_key_len(agreed.suite.key_len));
    for (is_agreed, bit) in [
        (agreed.peer_id != PeerId::None, iv_proto::DATA_V2),
        (agreed.export_keys, iv_proto::TLS_KEY_EXPORT),
        (agreed.exit_message, iv_proto::EXIT_MESSAGE),
        (agreed.dynamic_tls_crypt, iv_proto::DYNAMIC_TLS_CRYPT),
        (agreed.epoch, iv_proto::DATA_EPOCH),
    ] {
        assert!(!is_agreed || proto & bit != 0);
    }
    assert!(can_export || !(agreed.export_keys || agreed.dynamic_tls_crypt || agreed.epoch));
    assert!(!agreed.epoch || (config.tls.data_epoch && agreed.export_keys && cipher.mode() == Mode::Aead));
}

pub fn seeds() -> Vec<Vec<u8>> {
    let from_client = ["client", "p2p_tls_client"];
    let from_server = ["server", "p2p_tls_server"];
    let with = |names: [&str; 2], role: u8| {
        names.map(|name| vectors::bytes(vectors::KEY_MESSAGES, name)).map(|record| [&[0, role][..], &record].concat())
    };
    let mut seeds = [with(from_client, 1), with(from_server, 0)].concat();
    let texts = "\0\x12V4,cipher BF-CBC \0\0\0\0\0\0\x58IV_NCP=2\nIV_CIPHERS=CHACHA20-POLY1305:AES-128-CBC\n\
                 IV_PROTO=2046\nUV_A=b\nIV_VER=2.7_longer\0";
    for config in 0..5 {
        seeds.push([&[config, 0, 0, 0, 0, 0, 2][..], &[7; 64], texts.as_bytes()].concat());
    }
    seeds
}
