//! A host without secrets: randomness that repeats, and a TLS that anybody can speak, for links under attack.
//!
//! Its records are a kind, a length of two bytes, and contents. A client says hello, a server answers with hello, and
//! both are established; data follows in the clear. A record of any other kind is a failure. What is exported depends
//! on what the two said with their hello.

use std::collections::VecDeque;
use std::fmt;
use std::mem::take;
use std::net::SocketAddr;
use std::sync::LazyLock;

use longcable_core::control::{CELL, Memory, Protection};
use longcable_core::crypto::tls_crypt_v2::{ClientKey, Metadata, ServerKey};
use longcable_core::crypto::{Rng, RustCrypto};
use longcable_core::options::{CertProfile, LinkConfig, PeerRules};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX, Output, Peer};
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use longcable_core::tls::{ExportUnsupported, Inside, Role, TlsFailure, TlsProgress, TlsSession};
use longcable_core::x509::{Certificate, PeerVerified, Verifier};

use crate::input::chunk;
use crate::vectors::COUNT_KEY;
use crate::{assert_harmless, certificates};

pub struct Host;

impl Platform for Host {
    type Crypto = RustCrypto;
    type Rng = Dice;
    type ReplayBits = [u64; 1];
    type Tls = Toy;
    type TlsSessions = [Toy; 3];
    type TlsMemory = Memory<RustCrypto, [u64; 1], [u8; 3 * 4 * CELL]>;
}

/// The same numbers for the same start.
pub struct Dice(pub u32);

impl Rng for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (self.0 >> 24) as u8;
        }
    }
}

pub const HELLO: u8 = 1;
pub const DATA: u8 = 2;

/// A record as it is sent.
pub fn record(kind: u8, contents: &[u8]) -> Vec<u8> {
    [&[kind], &chunk(contents)[..]].concat()
}

/// What a session with these two greetings exports.
pub fn export(client: &[u8], server: &[u8], label: &str, out: &mut [u8]) {
    let mut hash = 0x811c_9dc5_u32;
    for byte in [client, &[0], server, label.as_bytes()].concat() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    Dice(hash).fill(out);
}

/// More than this is not taken before a step.
const WIRE_MAX: usize = 4096;

#[derive(Default)]
pub struct Toy {
    /// The contents of its hello.
    pub greeting: Vec<u8>,
    peer_greeting: Vec<u8>,
    role: Option<Role>,
    wire_in: VecDeque<u8>,
    wire_out: VecDeque<u8>,
    plain: VecDeque<Vec<u8>>,
    established: bool,
}

static VERIFIED: LazyLock<PeerVerified> = LazyLock::new(|| {
    let leaf = &certificates::SAMPLES[0];
    let mut rules = PeerRules::default();
    rules.peer.extend([Certificate::parse(leaf).expect("a certificate").sha256()]);
    let verifier = Verifier {
        roots: &[],
        crls: &[],
        rules: &rules,
        profile: CertProfile::Legacy,
        peer_role: Role::Server,
        algorithms: &[],
        unix_now: None,
    };
    verifier.verify(leaf, &[], &mut ()).expect("trusted by its fingerprint").prove(|| Ok::<_, ()>(())).expect("proven")
});

impl Toy {
    fn next_record(&mut self) -> Option<(u8, Vec<u8>)> {
        let [kind, high, low] = [0, 1, 2].map(|at| self.wire_in.get(at).copied());
        let end = 3 + usize::from(u16::from_be_bytes([high?, low?]));
        if self.wire_in.len() < end {
            return None;
        }
        let record: Vec<u8> = self.wire_in.drain(..end).collect();
        Some((kind?, record[3..].to_vec()))
    }
}

impl TlsSession for Toy {
    type Place<T> = Inside<T>;
    type Extra<T> = Inside<T>;

    const CAN_EXPORT: bool = true;

    fn start(&mut self, role: Role, _unix_now: u64) -> Result<(), TlsFailure> {
        self.stop();
        self.role = Some(role);
        // Another one for each session.
        self.greeting.iter_mut().take(1).for_each(|count| *count = count.wrapping_add(1));
        if role == Role::Client {
            self.wire_out.extend(record(HELLO, &self.greeting));
        }
        Ok(())
    }

    fn stop(&mut self) {
        *self = Self { greeting: take(&mut self.greeting), ..Self::default() };
    }

    fn read_tls(&mut self, wire: &[u8]) -> usize {
        assert!(self.role.is_some(), "a session that was started");
        let taken = wire.len().min(WIRE_MAX.saturating_sub(self.wire_in.len()));
        self.wire_in.extend(&wire[..taken]);
        taken
    }

    fn write_tls(&mut self, wire: &mut [u8]) -> usize {
        let len = wire.len().min(self.wire_out.len());
        wire.iter_mut().zip(self.wire_out.drain(..len)).for_each(|(to, from)| *to = from);
        len
    }

    fn read_plain(&mut self, out: &mut [u8]) -> usize {
        let plain = self.plain.pop_front().unwrap_or_default();
        let len = plain.len().min(out.len());
        out[..len].copy_from_slice(&plain[..len]);
        len
    }

    fn write_plain(&mut self, plain: &[u8]) -> usize {
        self.wire_out.extend(record(DATA, plain));
        plain.len()
    }

    fn step(&mut self) -> Result<TlsProgress<'_>, TlsFailure> {
        while let Some((kind, contents)) = self.next_record() {
            match kind {
                HELLO if !self.established => {
                    (self.established, self.peer_greeting) = (true, contents);
                    if self.role == Some(Role::Server) {
                        self.wire_out.extend(record(HELLO, &self.greeting));
                    }
                }
                DATA if self.established && !contents.is_empty() => self.plain.push_back(contents),
                _ => return Err(TlsFailure::new("no record of ours", kind % 2 == 0)),
            }
        }
        Ok(if self.established { TlsProgress::Established(&VERIFIED) } else { TlsProgress::Handshaking })
    }

    fn export(&self, label: &str, out: &mut [u8]) -> Result<(), ExportUnsupported> {
        let (client, server) = match self.role {
            Some(Role::Server) => (&self.peer_greeting, &self.greeting),
            _ => (&self.greeting, &self.peer_greeting),
        };
        export(client, server, label, out);
        Ok(())
    }

    fn describe(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("toy")
    }
}

/// What protects the control channel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    None,
    TlsAuth,
    TlsCrypt,
    TlsCryptV2,
}

impl Guard {
    pub const ALL: [Self; 4] = [Self::None, Self::TlsAuth, Self::TlsCrypt, Self::TlsCryptV2];

    /// The lines that configure it.
    fn lines(self, role: Role) -> String {
        let (direction, v2_key) = match role {
            Role::Client => (1, written(|out| CLIENT_KEY.write_to(out))),
            Role::Server => (0, written(|out| SERVER_KEY.write_to(out))),
        };
        match self {
            Self::None => String::new(),
            Self::TlsAuth => format!("key-direction {direction}\n<tls-auth>\n{COUNT_KEY}</tls-auth>\n"),
            Self::TlsCrypt => format!("<tls-crypt>\n{COUNT_KEY}</tls-crypt>\n"),
            Self::TlsCryptV2 => format!("<tls-crypt-v2>\n{v2_key}</tls-crypt-v2>\n"),
        }
    }
}

pub static SERVER_KEY: LazyLock<ServerKey> = LazyLock::new(|| ServerKey::generate(&mut Dice(1)));
pub static CLIENT_KEY: LazyLock<ClientKey> =
    LazyLock::new(|| SERVER_KEY.issue(&mut Dice(2), &Metadata::timestamp(UNIX)).expect("SHA-256 is there"));

fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    write(&mut text).expect("there is room");
    text
}

/// The configuration of one end, for as long as the program lives.
pub fn config(role: Role, guard: Guard, lines: &str) -> LinkConfig<'static> {
    let (name, addresses) = match role {
        Role::Client => ("tls-client", "10.1.0.1 10.1.0.2"),
        Role::Server => ("tls-server", "10.1.0.2 10.1.0.1"),
    };
    let guard = guard.lines(role);
    let text = format!("dev tun\n{name}\nifconfig {addresses}\nca a\ncert c\nkey k\nremote 192.0.2.1\n{guard}{lines}");
    LinkConfig::parse(text.leak()).unwrap_or_else(|error| panic!("{lines}: {error}"))
}

/// Seconds since 1970 at the start of every link.
pub const UNIX: u64 = 1_800_000_000;

/// One end of a link.
pub struct End {
    pub peer: Box<Peer<'static, Host>>,
    remote: SocketAddr,
}

impl End {
    /// An end that looks for its peer at `remote`. `greeting` is what its TLS sessions say.
    pub fn new(config: &'static LinkConfig<'static>, remote: SocketAddr, greeting: &[u8], now: Instant) -> Self {
        let role = config.tls.role.expect("a TLS link");
        let protection = Protection::new(config, role).expect("the keys are there");
        let sessions = [0, 1, 2].map(|_| Toy { greeting: greeting.to_vec(), ..Toy::default() });
        let keys = Keys::Tls { protection, sessions, memory: Memory::new([0; 3 * 4 * CELL]) };
        let mut peer = Box::new(Peer::new(config, keys, Dice(role as u32), now, UNIX).expect("a good configuration"));
        peer.connect(now, &[remote]);
        Self { peer, remote }
    }

    /// Does what is due and takes everything that it has to send now; also says when it has more. Begins anew if it has
    /// ended.
    pub fn settle(&mut self, now: Instant) -> (Vec<Vec<u8>>, Option<Instant>) {
        let mut sent = Vec::new();
        let mut out = [0; OUTPUT_MAX];
        let mut wakes = 0;
        for _ in 0..OUTPUTS_MAX {
            if self.peer.take_end().is_some() {
                self.peer.connect(now, &[self.remote]);
            }
            match self.peer.poll_output(now, &mut out) {
                Output::Transmit(sealed) => sent.push(sealed.datagram.to_vec()),
                Output::Event(event) => assert_harmless(&event.to_string()),
                Output::Timeout(Some((at, timer))) if at <= now => {
                    wakes += 1;
                    assert!(wakes <= WAKES_MAX, "it wakes up for nothing: {timer:?}");
                    self.peer.handle_timeout(now);
                }
                Output::Timeout(wake) => return (sent, wake.map(|(at, _)| at)),
            }
        }
        panic!("it does not stop talking");
    }

    /// A packet from the tunnel.
    pub fn seal(&mut self, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = [&[0; HEADROOM][..], packet, &[0; TAILROOM]].concat();
        let packet = PacketBuf::new(&mut buffer, HEADROOM, packet.len()).expect("it fits");
        self.peer.seal(now, packet).ok().map(|sealed| sealed.datagram.to_vec())
    }
}

/// More than an end may ever have to say at once.
const OUTPUTS_MAX: usize = 200;
/// More than can be due at once.
const WAKES_MAX: usize = 20;
