//! Two peers with TLS between them, without a network: every datagram passes through the test's hands. The TLS is a
//! toy, which only says hello and counts; real stacks are tried elsewhere.

mod batches;
mod busy_slots;
mod farewell;
mod greeting_elsewhere;
mod half_a_renegotiation;
mod late_client;
mod lifetimes;
mod old_keys;
mod recorded_greeting;
mod relayed_packet;
mod replay_persist;
mod sign_of_life;
mod two_lifetimes;
mod unfinished_session;
mod unproven_session;
mod wear;

use std::boxed::Box;
use std::collections::VecDeque;
use std::string::ToString;
use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::control::Protection;
use crate::crypto::{Rng, RustCrypto};
use crate::error::{Discard, NotReady};
use crate::packet::PacketBuf;
use crate::tls::{ExportUnsupported, Inside, Role, TlsFailure, TlsProgress, TlsSession};
use crate::wire::opcode::{Head, Opcode};
use crate::x509::PeerVerified;

const UNIX: u64 = 1_800_000_000;
/// Bytes of each flight: more than a control packet holds.
const FLIGHT: usize = 3000;

/// A client sends a flight, the server answers with one, and the client ends with a third.
pub(crate) struct Toy {
    role: Role,
    wire_in: VecDeque<u8>,
    wire_out: VecDeque<u8>,
    received: usize,
    secret: u8,
    /// The client's choice, the last byte of its flight: each session exports other keys.
    nonce: u8,
    verified: PeerVerified,
    established: bool,
    accepted: bool,
}

impl Toy {
    pub(crate) fn new() -> Self {
        Self {
            role: Role::Client,
            wire_in: VecDeque::new(),
            wire_out: VecDeque::new(),
            received: 0,
            secret: 0,
            nonce: 0,
            verified: PeerVerified::for_test("CN=toy"),
            established: false,
            accepted: false,
        }
    }
}

impl TlsSession for Toy {
    type Place<T> = Inside<T>;
    type Extra<T> = Inside<T>;

    const CAN_EXPORT: bool = true;

    fn start(&mut self, role: Role, unix_now: u64) -> Result<(), TlsFailure> {
        *self = Self { secret: self.secret, ..Self::new() };
        self.role = role;
        if role == Role::Client {
            self.nonce = unix_now as u8;
            self.wire_out.extend(vec![1; FLIGHT - 1]);
            self.wire_out.push_back(self.nonce);
        }
        Ok(())
    }

    fn stop(&mut self) {
        *self = Self { secret: self.secret, ..Self::new() };
    }

    fn read_tls(&mut self, wire: &[u8]) -> usize {
        self.wire_in.extend(wire);
        wire.len()
    }

    fn write_tls(&mut self, wire: &mut [u8]) -> usize {
        let len = wire.len().min(self.wire_out.len());
        for byte in &mut wire[..len] {
            *byte = self.wire_out.pop_front().unwrap();
        }
        len
    }

    fn read_plain(&mut self, out: &mut [u8]) -> usize {
        if !self.established || self.wire_in.len() < 2 {
            return 0;
        }
        let len = usize::from(self.wire_in[0]) << 8 | usize::from(self.wire_in[1]);
        if self.wire_in.len() < len + 2 {
            return 0;
        }
        self.wire_in.drain(..2);
        for byte in &mut out[..len] {
            *byte = self.wire_in.pop_front().unwrap();
        }
        len
    }

    fn write_plain(&mut self, plain: &[u8]) -> usize {
        self.wire_out.extend(&(plain.len() as u16).to_be_bytes());
        self.wire_out.extend(plain);
        plain.len()
    }

    fn step(&mut self) -> Result<TlsProgress<'_>, TlsFailure> {
        while !self.established && self.received < FLIGHT {
            let Some(byte) = self.wire_in.pop_front() else { return Ok(TlsProgress::Handshaking) };
            self.received += 1;
            match (self.role, byte) {
                (Role::Server, nonce) if self.received == FLIGHT => self.nonce = nonce,
                (Role::Client, 2) | (Role::Server, 1) => {}
                _ => return Err(TlsFailure::new("a byte that is none of ours", false)),
            }
            if self.received == FLIGHT {
                self.established = true;
                if self.role == Role::Server {
                    self.wire_out.extend(vec![2; FLIGHT]);
                }
            }
        }
        Ok(TlsProgress::Established(&self.verified))
    }

    fn accept(&mut self) {
        self.accepted = true;
    }

    fn export(&self, label: &str, out: &mut [u8]) -> Result<(), ExportUnsupported> {
        out.fill(label.len() as u8 ^ self.nonce);
        Ok(())
    }

    fn describe(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        out.write_str("toy")
    }
}

pub(crate) struct Test;

impl Platform for Test {
    type Crypto = RustCrypto;
    type Rng = Dice;
    type ReplayBits = [u64; 1];
    type Tls = Toy;
    type TlsSessions = Vec<Toy>;
    type TlsMemory = control::Memory<RustCrypto, [u64; 1], [u8; 3 * 8 * control::CELL]>;
}

pub(crate) struct Dice(pub(crate) u32);

impl Rng for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (self.0 >> 24) as u8;
        }
    }
}

struct End {
    peer: Box<Peer<'static, Test>>,
    address: SocketAddr,
    said: Vec<std::string::String>,
    received: Vec<u8>,
    ended: Option<Reason>,
    sent: usize,
}

impl End {
    fn new(number: u8, lines: &str, now: Instant) -> Self {
        Self::with_sessions(3, number, lines, now)
    }

    /// An end that has room for so many TLS sessions.
    fn with_sessions(sessions: usize, number: u8, lines: &str, now: Instant) -> Self {
        let text = format!("dev tun\nifconfig 10.9.0.{number} 10.9.0.{}\n", 3 - number);
        let mut config = LinkConfig::default();
        let mut checker = crate::options::Checker::new();
        let text: &'static str = Box::leak(format!("{text}{lines}").into_boxed_str());
        for directive in crate::options::Lexer::new(text.as_bytes()) {
            if let crate::options::Verdict::Apply(directive) = checker.check(directive.unwrap()).unwrap() {
                config.apply(&directive).unwrap();
            }
        }
        let role = if number == 1 { Role::Client } else { Role::Server };
        config.tls.role = Some(role);
        if !lines.contains("reneg-sec") {
            config.tls.reneg_sec = 20;
        }
        let config = Box::leak(Box::new(config));
        let sessions = (0..sessions).map(|_| Toy::new()).collect();
        let keys = Keys::Tls {
            protection: Protection::new(config, role).unwrap(),
            sessions,
            memory: control::Memory::new([0; 3 * 8 * control::CELL]),
        };
        let mut peer = Box::new(Peer::new(config, keys, Dice(number.into()), now, UNIX).unwrap());
        let remote = SocketAddr::from(([192, 0, 2, 3 - number], 1194));
        peer.connect(now, &[remote]);
        let address = SocketAddr::from(([192, 0, 2, number], 1194));
        Self { peer, address, said: Vec::new(), received: Vec::new(), ended: None, sent: 0 }
    }
}

struct Pair {
    ends: [End; 2],
    now: Instant,
    wire: Vec<(usize, SocketAddr, Vec<u8>)>,
    dice: Dice,
    loss: u8,
    /// Whether this datagram for the end of this number is lost.
    loses: fn(usize, &[u8]) -> bool,
    /// Nobody is there any more.
    left: Option<SocketAddr>,
}

impl Pair {
    fn new(lines: &str) -> Self {
        Self::with([lines, lines])
    }

    /// A client with the first lines, and a server with the others.
    fn with([client, server]: [&str; 2]) -> Self {
        let now = Instant::from_millis(1000);
        Self {
            ends: [End::new(1, client, now), End::new(2, server, now)],
            now,
            wire: Vec::new(),
            dice: Dice(99),
            loss: 0,
            loses: |_, _| false,
            left: None,
        }
    }

    fn drain(&mut self) -> Instant {
        let mut wake = self.now + Duration::from_secs(60);
        let addresses = self.ends.each_ref().map(|end| end.address);
        for (number, end) in self.ends.iter_mut().enumerate() {
            let mut out = [0; OUTPUT_MAX];
            loop {
                match end.peer.poll_output(self.now, &mut out) {
                    Output::Transmit(sealed) => {
                        end.sent += 1;
                        let is_for_peer = sealed.to == addresses[1 - number];
                        let max = usize::from(LinkConfig::default().tls.max_packet_size) - 28;
                        assert!(sealed.datagram.len() <= max, "{} bytes", sealed.datagram.len());
                        let mut dice = [0];
                        self.dice.fill(&mut dice);
                        if is_for_peer && dice[0] >= self.loss && !(self.loses)(1 - number, sealed.datagram) {
                            self.wire.push((1 - number, end.address, sealed.datagram.to_vec()));
                        }
                    }
                    Output::Event(event) => end.said.push(event.to_string()),
                    Output::Timeout(at) => {
                        wake = at.map_or(wake, |(at, _)| wake.min(at));
                        break;
                    }
                }
            }
            end.ended = end.ended.or(end.peer.take_end());
        }
        wake
    }

    fn run(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        loop {
            let wake = self.drain();
            if self.wire.is_empty() {
                if wake > until {
                    break;
                }
                self.now = wake.max(self.now + Duration::from_millis(1));
                for end in &mut self.ends {
                    end.peer.handle_timeout(self.now);
                }
                continue;
            }
            self.turn();
        }
        self.now = until;
    }

    /// One millisecond: what is under way arrives, and what is due is done.
    fn turn(&mut self) {
        self.drain();
        self.now = self.now + Duration::from_millis(1);
        for (to, from, mut datagram) in core::mem::take(&mut self.wire) {
            let end = &mut self.ends[to];
            match end.peer.handle_datagram(self.now, from, &mut datagram) {
                Ok(Some(packet)) => end.received.extend_from_slice(packet),
                Ok(None) => {}
                Err(discard) => end.said.push(format!("! {discard}")),
            }
        }
        for end in &mut self.ends {
            end.peer.handle_timeout(self.now);
        }
    }

    fn wait(&mut self, millis: u64) {
        for _ in 0..millis {
            self.turn();
        }
    }

    /// Waits until an end has said so, and gives the time.
    fn wait_for(&mut self, end: usize, what: &str) -> Instant {
        let before = self.count(end, what);
        let deadline = self.now + Duration::from_secs(60);
        while self.count(end, what) == before {
            assert!(self.now < deadline, "'{what}' is not said: {:#?}", self.said());
            self.turn();
        }
        self.now
    }

    /// Both ends send a packet every millisecond, and each is taken and arrives.
    fn talk(&mut self, millis: usize) {
        let received = |pair: &Self| pair.ends.each_ref().map(|end| end.received.len());
        let before = received(self);
        for milli in 1..=millis {
            for from in [0, 1] {
                self.send(from, b"").unwrap_or_else(|error| panic!("{from}: {error}: {:#?}", self.said()));
            }
            self.turn();
            assert_eq!(received(self), before.map(|count| count + milli), "{:#?}", self.said());
        }
    }

    fn said(&self) -> [&[std::string::String]; 2] {
        self.ends.each_ref().map(|end| &end.said[..])
    }

    /// How often an end has said so.
    fn count(&self, end: usize, what: &str) -> usize {
        self.ends[end].said.iter().filter(|line| line.contains(what)).count()
    }

    fn sessions(&mut self, end: usize) -> &[Toy] {
        self.ends[end].peer.link.tls_mut().expect("a link with TLS").tls()
    }

    fn send(&mut self, from: usize, text: &[u8]) -> Result<(), NotReady> {
        let mut buffer = vec![0; HEADROOM + text.len() + 1 + TAILROOM];
        buffer[HEADROOM] = 0x45;
        buffer[HEADROOM + 1..][..text.len()].copy_from_slice(text);
        let packet = PacketBuf::new(&mut buffer, HEADROOM, text.len() + 1).unwrap();
        let end = &mut self.ends[from];
        let sealed = end.peer.seal(self.now, packet)?;
        self.wire.push((1 - from, end.address, sealed.datagram.to_vec()));
        Ok(())
    }
}

#[test]
fn two_ends_negotiate_a_key_and_data_flows() {
    let mut pair = Pair::new("remote 192.0.2.9\nverb 3\n");
    pair.run(1);
    std::println!("{:#?}\n{:#?}", pair.ends[0].said, pair.ends[1].said);
    for from in [0, 1] {
        pair.send(from, b"hello").unwrap();
        pair.run(1);
        assert_eq!(pair.ends[1 - from].received, b"\x45hello");
    }
    assert!(pair.ends.iter().all(|end| end.sent < 20), "no packet is repeated without need");
}

#[test]
fn renegotiations_lose_no_packet() {
    let mut pair = Pair::new("remote 192.0.2.9\n");
    pair.run(1);
    let mut sent = [0, 0];
    for round in 0..300 {
        for from in [0, 1] {
            pair.send(from, b"x").unwrap_or_else(|error| panic!("{round}: {error}"));
            sent[from] += 2;
        }
        pair.run(0);
        if round % 3 == 0 {
            pair.run(1);
        }
    }
    pair.run(1);
    let renegotiated = pair.ends[0].said.iter().filter(|line| line.contains("Data Channel")).count();
    std::println!("{:#?}\n{:#?}", pair.ends[0].said, pair.ends[1].said);
    assert!(renegotiated >= 5, "{renegotiated}");
    assert_eq!([pair.ends[1].received.len(), pair.ends[0].received.len()], sent);
    assert!(pair.ends.iter().all(|end| end.ended.is_none()));
}

/// What the host knows about a peer counts when there is a key, and not when the peer has shown who it is.
#[test]
fn only_a_peer_that_has_a_key_is_accepted() {
    for (ciphers, accepted) in [(["AES-256-GCM", "AES-256-GCM"], 1), (["AES-256-GCM", "AES-128-GCM"], 0)] {
        let lines = ciphers.map(|cipher| format!("data-ciphers {cipher}\n"));
        let mut pair = Pair::with(lines.each_ref().map(|lines| lines.as_str()));
        pair.wait(500);
        for end in [0, 1] {
            assert_eq!(pair.count(end, "Control Channel"), 1);
            assert_eq!(pair.count(end, "Data Channel"), accepted, "{:#?}", pair.said());
            assert_eq!(pair.sessions(end).iter().filter(|session| session.accepted).count(), accepted);
        }
    }
}

#[test]
fn what_no_key_needs_is_wiped() {
    let mut pair = Pair::with(["reneg-sec 4\n", "reneg-sec 0\nhand-window 2\n"]);
    let live = |pair: &mut Pair, end: usize| {
        pair.sessions(end).iter().filter(|session| session.established || session.received > 0).count()
    };
    pair.run(1);
    assert_eq!(pair.count(0, "key 0"), 1);
    assert_eq!([live(&mut pair, 0), live(&mut pair, 1)], [1, 1]);
    pair.run(5);
    assert_eq!(pair.count(0, "key 1"), 1);
    assert_eq!([live(&mut pair, 0), live(&mut pair, 1)], [1, 1], "that of the key before");
    // The server hears one piece of the next handshake.
    pair.loses = |to, datagram| to == 0 && datagram[0] == (Opcode::Control as u8) << 3 | 2;
    pair.wait(3_500);
    assert_eq!(live(&mut pair, 1), 2);
    pair.loses = |_, _| true;
    pair.wait(2_000);
    assert_eq!(pair.count(1, "key negotiation failed"), 1, "{:#?}", pair.said());
    assert_eq!(live(&mut pair, 1), 1, "that of a negotiation that has failed");
}

#[test]
fn loss_only_delays() {
    let mut pair = Pair::new("remote 192.0.2.9\n");
    pair.loss = 77;
    pair.run(50);
    std::println!("{:#?}\n{:#?}", pair.ends[0].said, pair.ends[1].said);
    pair.loss = 0;
    pair.send(0, b"hello").unwrap();
    pair.run(1);
    assert_eq!(pair.ends[1].received, b"\x45hello");
}

/// Found by fuzzing: a packet that knows our session id took the place of the peer, was answered, and only then refused.
#[test]
fn a_newcomer_that_is_refused_leaves_no_trace() {
    let now = Instant::from_millis(1000);
    let mut end = End::new(1, "remote 192.0.2.9\n", now);
    let stranger = SocketAddr::from(([192, 0, 2, 2], 1194));
    let mut out = [0; OUTPUT_MAX];
    let Output::Transmit(reset) = end.peer.poll_output(now, &mut out) else { panic!("a reset") };
    let own = reset.datagram[1..9].to_vec();
    let mut try_packet = |first: u8, ack: u8, id: &[u8]| {
        let mut datagram = [&[first], &[9; 8][..], &[1, 0, 0, 0, ack], &own, id].concat();
        let result = end.peer.handle_datagram(now, stranger, &mut datagram).map(|_| ());
        let has_news = !matches!(end.peer.poll_output(now, &mut [0; OUTPUT_MAX]), Output::Timeout(_));
        (result.is_ok(), has_news)
    };
    assert_eq!(try_packet(0x20, 0, &[0; 4]), (false, false), "only a reset is the first");
    assert_eq!(try_packet(0x18, 0, &[0; 4]), (false, false), "there is nothing to renegotiate");
    assert_eq!(try_packet(0x20, 3, &[0, 0, 0, 1]), (false, false), "our reset is not acknowledged");
    assert_eq!(try_packet(0x20, 0, &[0, 0, 0, 1]), (true, true), "but a good one is heard");
}
