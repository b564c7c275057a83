//! The TLS links that the runs take turns with: real config text, real certificates, real TLS stacks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::LazyLock;

use longcable::config::HostConfig;
use longcable::log;
use longcable::tls::TlsContext;
use longcable_core::crypto::tls_crypt_v2::{Metadata, ServerKey};
use longcable_core::options::{CertProfile, LinkConfig, PeerRules};
use longcable_core::tls::Role;
use longcable_embassy::tls::{Credentials, EmbeddedTlsSession, Engine, Identity, Memory, PrivateKey, Room, decode_pem};
use longcable_tests::support::pki;

use crate::engine::{Start, with_little_tls, with_tls};
use crate::node::End;
use crate::world::{Dice, World};

/// What both ends say about the wrapping of control packets, the client first.
static WRAPPINGS: LazyLock<[[String; 2]; 6]> = LazyLock::new(|| {
    let key = include_str!("../vectors/count.key");
    let auth = |lines: &str| format!("{lines}<tls-auth>\n{key}</tls-auth>\n");
    let crypt = || format!("<tls-crypt>\n{key}</tls-crypt>\n");
    let (mut client, mut server) = (String::new(), String::new());
    let server_key = ServerKey::generate(&mut Dice::new(0));
    let client_key = server_key.issue(&mut Dice::new(1), &Metadata::timestamp(0)).expect("SHA-256 is supported");
    client_key.write_to(&mut client).expect("a String takes it");
    server_key.write_to(&mut server).expect("a String takes it");
    let v2 = |key| format!("<tls-crypt-v2>\n{key}</tls-crypt-v2>\n");
    [
        [String::new(), String::new()],
        [auth(""), auth("")],
        [auth("key-direction 1\nauth SHA512\n"), auth("key-direction 0\nauth SHA512\n")],
        [crypt(), crypt()],
        [crypt(), crypt()],
        [v2(client), v2(server)],
    ]
});

const CIPHERS: [&str; 6] = [
    "",
    "data-ciphers CHACHA20-POLY1305\n",
    "data-ciphers AES-256-CBC\nauth SHA256\n",
    "data-ciphers AES-128-CFB\n",
    "data-ciphers AES-192-GCM:AES-128-GCM\n",
    "data-epoch\n",
];

/// Signatures by Ed25519 are of the same length each time.
static FILES: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(pki::ed25519);

fn file(name: &str) -> &'static str {
    std::str::from_utf8(&FILES[name]).expect("a text")
}

/// What a board has in its memory.
static BOARD: LazyLock<Credentials<'static>> = LazyLock::new(|| {
    let der = |name| -> &'static [u8] {
        decode_pem::<1>(file(name), "CERTIFICATE", &mut vec![0; 2048].leak()).expect("a certificate")[0]
    };
    let key = PrivateKey::parse(file("client.key").as_bytes()).expect("a key");
    Credentials {
        roots: Box::leak(Box::new([der("ca.crt")])),
        crls: &[],
        identity: Some(Identity::new(der("client.crt"), Box::leak(Box::new(key))).expect("a pair")),
        rules: Box::leak(Box::new(PeerRules { role: Some(Role::Server), ..PeerRules::default() })),
        profile: CertProfile::Legacy,
    }
});

/// A link that the seed picks; `rules` writes more options for each end.
pub fn with_link<T>(seed: u64, rules: impl Fn(&mut Dice) -> String, run: impl FnOnce(World<'_>) -> T) -> T {
    let rules = |dice: &mut Dice, i| format!("remote 192.0.2.{}\nfloat\nping 1\npersist-tun\n{}", 2 - i, rules(dice));
    with_ends(Dice::new(seed), true, rules, |dice, ends, is_checked| {
        let world = World::new(dice, ends).with_short_packets();
        run(if is_checked { world.with_checked_control() } else { world })
    })
}

/// Two ends that the dice pick, with stacks as on computers only or as on boards as well; `rules` writes more options for
/// each end. `run` is told whether nothing but the checksum of UDP protects control packets.
pub fn with_ends<T>(
    mut dice: Dice,
    has_boards: bool,
    rules: impl Fn(&mut Dice, usize) -> String,
    run: impl FnOnce(Dice, [End<'_>; 2], bool) -> T,
) -> T {
    // rustls' checks tell the log of each certificate.
    log::set_verb(0);
    let wrapping = dice.pick(&*WRAPPINGS);
    let cipher = *dice.pick(&CIPHERS);
    let version = *dice.pick(&["", "", "tls-version-max 1.2\n"]);
    let client = dice.below(2) as usize;
    // TLS 1.3 is all that boards know.
    let is_board = has_boards && version.is_empty() && dice.percent(50);
    let texts = [0, 1].map(|i| {
        let role = usize::from(i != client);
        let (own, other) = [("client", "server"), ("server", "client")][role];
        format!(
            "dev tun\ntls-{own}\nremote-cert-tls {other}\n\
             max-packet-size {}\n{cipher}{version}{}{}<ca>\n{}</ca>\n<cert>\n{}</cert>\n<key>\n{}</key>\n",
            dice.pick(&[500, 700, 1250, 1250]),
            wrapping[role],
            rules(&mut dice, i),
            file("ca.crt"),
            file(&format!("{own}.crt")),
            file(&format!("{own}.key")),
        )
    });
    let configs = texts.each_ref().map(|text| LinkConfig::parse(text).expect("the configuration is valid"));
    let memories: [_; 8] = std::array::from_fn(|_| Memory::new());
    let rooms = memories.each_ref().map(|memory| Room::new(memory, *BOARD, dice.split()));
    let mut engines: Vec<Pin<Box<dyn Engine + '_>>> = rooms.iter().map(|room| Box::pin(room.engine()) as _).collect();
    let sessions = rooms.iter().zip(&mut engines).map(|(room, engine)| EmbeddedTlsSession::new(room, engine.as_mut()));
    let sessions = RefCell::new(sessions.collect::<Vec<_>>());

    let ends = configs.each_ref().map(|config| {
        let start: Start<'_> = if is_board && config.tls.role == Some(Role::Client) {
            with_little_tls(config, || sessions.borrow_mut().pop().expect("no process starts so often"))
        } else {
            let context = TlsContext::load(config, &HostConfig::default()).expect("certificates and keys are good");
            let session = move || context.session();
            if dice.percent(30) { with_little_tls(config, session) } else { with_tls(config, session) }
        };
        End { config, start }
    });
    run(dice, ends, wrapping[0].is_empty())
}
