//! A whole link, both engines in memory: a board with this stack as the client, Linux with rustls as the server.

use std::net::SocketAddr;
use std::pin::Pin;

use longcable::config::HostConfig;
use longcable::tls::{RustlsSession, TlsContext};
use longcable_core::control::{self, CELL, Protection};
use longcable_core::crypto::RustCrypto;
use longcable_core::options::{CertProfile, KeySource, LinkConfig};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX, Output, Peer};
use longcable_core::platform::Platform;
use longcable_core::time::{Duration, Instant};
use longcable_core::tls::Role;
use longcable_embassy::tls::{self, Credentials, EmbeddedTlsSession, Memory, PrivateKey, Room, check, decode_pem};
use rcgen::SignatureAlgorithm;

use crate::pair::TestRng;
use crate::pki::{ED25519, Identity, NOW, P256, Pki};

/// Longest list of certificates in bytes of DER.
const CERTIFICATES: usize = 1024;

struct Board;

impl Platform for Board {
    type Crypto = RustCrypto;
    type Rng = TestRng;
    type ReplayBits = [u64; 1];
    type Tls = EmbeddedTlsSession<'static>;
    type TlsSessions = [EmbeddedTlsSession<'static>; 2];
    type TlsMemory = control::Memory<RustCrypto, [u64; 1], [u8; 2 * 8 * CELL]>;
}

struct Linux;

impl Platform for Linux {
    type Crypto = RustCrypto;
    type Rng = TestRng;
    type ReplayBits = [u64; 1];
    type Tls = RustlsSession;
    type TlsSessions = [RustlsSession; 3];
    type TlsMemory = control::Memory<RustCrypto, [u64; 1], [u8; 3 * 18 * CELL]>;
}

/// One end, whatever its platform.
trait End {
    fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) -> Option<Vec<u8>>;
    fn handle_timeout(&mut self, now: Instant);
    fn drain(&mut self, now: Instant, datagrams: &mut Vec<Vec<u8>>, said: &mut Vec<String>) -> Option<Instant>;
    fn seal(&mut self, now: Instant, packet: &[u8]) -> Vec<u8>;
}

const ADDRESSES: [&str; 2] = ["192.0.2.1:1194", "192.0.2.2:1194"];

struct Engine<P: Platform>(Peer<'static, P>, SocketAddr);

impl<P: Platform<Crypto = RustCrypto, Rng = TestRng>> Engine<P> {
    fn new(
        number: usize,
        config: &'static LinkConfig<'static>,
        sessions: P::TlsSessions,
        memory: P::TlsMemory,
    ) -> Self {
        let protection = Protection::new(config, config.tls.role.unwrap()).unwrap();
        let keys = Keys::Tls { protection, sessions, memory };
        let now = Instant::from_millis(0);
        let mut peer = Peer::new(config, keys, TestRng(number as u64 * 1000), now, NOW).unwrap();
        let remote = ADDRESSES[1 - number].parse().unwrap();
        peer.connect(now, &[remote]);
        Self(peer, remote)
    }
}

impl<P: Platform> End for Engine<P> {
    fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) -> Option<Vec<u8>> {
        self.0.handle_datagram(now, self.1, datagram).unwrap().map(|packet| packet.to_vec())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn drain(&mut self, now: Instant, datagrams: &mut Vec<Vec<u8>>, said: &mut Vec<String>) -> Option<Instant> {
        let mut out = [0; OUTPUT_MAX];
        loop {
            match self.0.poll_output(now, &mut out) {
                Output::Transmit(sealed) => datagrams.push(sealed.datagram.to_vec()),
                Output::Event(event) => said.push(event.to_string()),
                Output::Timeout(wake) => return wake.map(|(at, _)| at),
            }
        }
    }

    fn seal(&mut self, now: Instant, packet: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
        buffer[HEADROOM..][..packet.len()].copy_from_slice(packet);
        let packet = PacketBuf::new(&mut buffer, HEADROOM, packet.len()).unwrap();
        self.0.seal(now, packet).unwrap().datagram.to_vec()
    }
}

/// Both ends, and a network without faults.
struct World {
    ends: [Box<dyn End>; 2],
    said: [Vec<String>; 2],
    received: [Vec<Vec<u8>>; 2],
    now: Instant,
}

impl World {
    fn run(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        loop {
            let mut wake = until;
            let mut quiet = true;
            for number in [0, 1] {
                let mut datagrams = Vec::new();
                let at = self.ends[number].drain(self.now, &mut datagrams, &mut self.said[number]);
                wake = wake.min(at.unwrap_or(until));
                for mut datagram in datagrams {
                    quiet = false;
                    self.received[1 - number].extend(self.ends[1 - number].handle_datagram(self.now, &mut datagram));
                }
            }
            if quiet && self.now == until {
                return;
            }
            if quiet {
                self.now = wake.max(self.now + Duration::from_millis(1)).min(until);
                self.ends.iter_mut().for_each(|end| end.handle_timeout(self.now));
            }
        }
    }

    fn send(&mut self, from: usize, packet: &[u8]) {
        let mut datagram = self.ends[from].seal(self.now, packet);
        self.received[1 - from].extend(self.ends[1 - from].handle_datagram(self.now, &mut datagram));
    }
}

fn config(role: &str, pki: &Pki, identity: &Identity, more: &str) -> &'static LinkConfig<'static> {
    let pem = |label: &str, der: &[u8]| {
        let body = String::from_utf8(crate::credentials::openssl("base64", der)).unwrap();
        format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
    };
    let text = format!(
        "dev tun\nifconfig 10.9.0.1 10.9.0.2\nremote 192.0.2.9\n{role}\n{more}\nremote-cert-tls {}\nreneg-sec 20\n\
         <tls-crypt>\n-----BEGIN OpenVPN Static key V1-----\n{}\n-----END OpenVPN Static key V1-----\n</tls-crypt>\n\
         <ca>\n{}</ca>\n<cert>\n{}</cert>\n<key>\n{}</key>\n",
        if role == "tls-client" { "server" } else { "client" },
        "5a".repeat(256),
        pem("CERTIFICATE", &pki.authority.der),
        pem("CERTIFICATE", &identity.der),
        identity.key.serialize_pem(),
    );
    Box::leak(Box::new(LinkConfig::parse(Box::leak(text.into_boxed_str())).unwrap()))
}

/// What a board's start does with a configuration.
fn board(config: &'static LinkConfig<'static>) -> Engine<Board> {
    check(config).unwrap();
    let inline = |source: Option<KeySource<'static>>| match source {
        Some(KeySource::Inline(text)) => text,
        other => panic!("{other:?}"),
    };
    let certificates = |source| {
        let mut memory = Box::leak(Box::new([0; CERTIFICATES])).as_mut_slice();
        decode_pem::<2>(inline(source), "CERTIFICATE", &mut memory).unwrap()
    };
    let roots: &'static heapless::Vec<&[u8], 2> = Box::leak(Box::new(certificates(config.tls.ca)));
    let key = Box::leak(Box::new(PrivateKey::parse(inline(config.tls.key).as_bytes()).unwrap()));
    let credentials = Credentials {
        roots,
        crls: &[],
        identity: Some(tls::Identity::new(certificates(config.tls.cert)[0], key).unwrap()),
        rules: &config.tls.peer,
        profile: CertProfile::Legacy,
    };
    let session = |seed| {
        let room = Box::leak(Box::new(Room::new(Box::leak(Box::new(Memory::new())), credentials, TestRng(seed))));
        let engine = Box::leak(Box::new(room.engine()));
        EmbeddedTlsSession::new(room, Pin::static_mut(engine))
    };
    Engine::new(0, config, [session(1), session(2)], control::Memory::new([0; 2 * 8 * CELL]))
}

fn linux(config: &'static LinkConfig<'static>) -> Engine<Linux> {
    assert_eq!(config.tls.role, Some(Role::Server));
    let context = TlsContext::load(config, &HostConfig::default()).unwrap();
    Engine::new(
        1,
        config,
        [context.session(), context.session(), context.session()],
        control::Memory::new([0; 3 * 18 * CELL]),
    )
}

fn link(algorithm: &'static SignatureAlgorithm, more: &str) {
    let pki = Pki::new(algorithm);
    let board = board(config("tls-client", &pki, &pki.client, more));
    let linux = linux(config("tls-server\ndh none", &pki, &pki.server, more));
    let mut world = World {
        ends: [Box::new(board), Box::new(linux)],
        said: Default::default(),
        received: Default::default(),
        now: Instant::from_millis(0),
    };
    world.run(2);
    let packet = [&[0x45][..], &[7; 900]].concat();
    // Through several renegotiations, in which the two sessions of the board take turns.
    for second in 0..130 {
        for from in [0, 1] {
            world.send(from, &packet);
            assert!(world.received[1 - from].pop().as_ref() == Some(&packet), "{second} {:?}", world.said);
        }
        world.run(1);
    }
    for said in world.said {
        let keys = said.iter().filter(|line| line.contains("Data Channel")).count();
        assert!(keys >= 6, "{said:#?}");
    }
}

#[test]
fn p256_with_aes() {
    link(P256, "data-ciphers AES-256-GCM");
}

#[test]
fn ed25519_with_chacha() {
    link(ED25519, "data-ciphers CHACHA20-POLY1305");
}
