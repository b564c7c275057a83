//! One gateway, its host, and a peer whom it hears when a test wants it.

use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use super::super::*;
use crate::control::{CELL, Memory, Protection};
use crate::crypto::StaticKey;
use crate::event::Event;
use crate::options::{Checker, Lexer, Verdict};
use crate::packet::{HEADROOM, TAILROOM};
use crate::peer::OUTPUT_MAX;
use crate::peer::tls_tests::{Dice, Test, Toy};
use crate::wire::opcode::Head;

const UNIX: u64 = 1_800_000_000;

/// What the gateway did.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Did {
    /// A data packet.
    Sent(SocketAddr),
    /// The offer of a TLS session.
    Greeted(SocketAddr),
    LookedUp(String),
    Bound(Option<SocketAddr>),
    Rebound,
    Said(String),
}

/// What becomes of lookups.
#[derive(Clone, Debug)]
pub(super) enum Names {
    Hang,
    Fail,
    Lead(Vec<SocketAddr>),
}

pub(super) struct Scene {
    pub(super) gateway: Box<Gateway<'static, Test>>,
    pub(super) now: Instant,
    pub(super) names: Names,
    /// What it did, and when, in ms.
    pub(super) did: Vec<(u64, Did)>,
    /// The numbers of the lookups.
    pub(super) lookups: Vec<u32>,
    /// What it sent and nobody has taken.
    pub(super) sent: Vec<(SocketAddr, Vec<u8>)>,
    pub(super) exited: Option<Reason>,
    wake: Option<Instant>,
    peer: Box<Peer<'static, Test>>,
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn lead(addresses: &[&str]) -> Names {
    Names::Lead(addresses.iter().map(|text| address(text)).collect())
}

/// Without what needs files.
fn config(lines: &str) -> &'static LinkConfig<'static> {
    let text: &'static str = Box::leak(format!("dev tun\ncipher AES-128-CBC\n{lines}").into_boxed_str());
    let (mut config, mut checker) = (LinkConfig::default(), Checker::new());
    for directive in Lexer::new(text.as_bytes()) {
        if let Verdict::Apply(directive) = checker.check(directive.unwrap()).unwrap() {
            config.apply(&directive).unwrap();
        }
    }
    Box::leak(Box::new(config))
}

fn keys(config: &LinkConfig<'_>) -> Keys<Test> {
    match config.tls.role {
        None => Keys::Static(StaticKey::generate(&mut Dice(1))),
        Some(role) => {
            let sessions = [Toy::new(), Toy::new(), Toy::new()];
            Keys::Tls {
                protection: Protection::new(config, role).unwrap(),
                sessions: sessions.into(),
                memory: Memory::new([0; 3 * 8 * CELL]),
            }
        }
    }
}

impl Scene {
    /// A link with a static key, unless the lines give it a TLS role. Time starts at 0.
    pub(super) fn new(lines: &str, names: Names) -> Self {
        Self::with_dice(lines, names, 5)
    }

    pub(super) fn with_dice(lines: &str, names: Names, dice: u32) -> Self {
        let now = Instant::from_millis(0);
        let (own, other) = (config(lines), config("float"));
        let mut scene = Self {
            gateway: Box::new(Gateway::new(own, keys(own), Dice(dice), now, UNIX).unwrap()),
            now,
            names,
            did: Vec::new(),
            lookups: Vec::new(),
            sent: Vec::new(),
            exited: None,
            wake: None,
            peer: Box::new(Peer::new(other, keys(other), Dice(2), now, UNIX).unwrap()),
        };
        scene.peer.connect(now, &[]);
        scene.drain();
        scene
    }

    fn note(&mut self, did: Did) {
        self.did.push((self.now.as_millis(), did));
    }

    pub(super) fn drain(&mut self) {
        let mut out = [0; OUTPUT_MAX];
        let is_tls = self.gateway.config.tls.role.is_some();
        for _ in 0..1000 {
            let did = match self.gateway.poll_output(self.now, &mut out) {
                Output::Transmit(sealed) => {
                    let head = sealed.datagram.first().copied().and_then(Head::parse);
                    let greets = head.is_some_and(|head| head.opcode.is_hard_reset());
                    self.sent.push((sealed.to, sealed.datagram.to_vec()));
                    if is_tls && greets { Did::Greeted(sealed.to) } else { Did::Sent(sealed.to) }
                }
                Output::Resolve(number, lookup) => {
                    let name = lookup.to_string();
                    self.lookups.push(number);
                    match self.names.clone() {
                        Names::Hang => {}
                        Names::Fail => self.gateway.resolved(self.now, number, Err(())),
                        Names::Lead(addresses) => self.gateway.resolved(self.now, number, Ok(&addresses)),
                    }
                    Did::LookedUp(name)
                }
                Output::Bind(address) => {
                    self.gateway.bound(self.now, UNIX + self.now.as_millis() / 1000, Ok(()));
                    Did::Bound(address)
                }
                Output::Rebind => Did::Rebound,
                Output::OpenTunnel => {
                    self.gateway.tunnel_opened(self.now);
                    continue;
                }
                // Too many, and none of them matters here.
                Output::Event(Event::PeerSilent { .. }) => continue,
                Output::Event(event) => Did::Said(event.to_string()),
                Output::Exit(reason) => {
                    self.exited = Some(reason);
                    continue;
                }
                Output::Timeout(wake) => {
                    self.wake = wake.map(|(at, _)| at);
                    return;
                }
                _ => continue,
            };
            self.note(did);
        }
        panic!("it never comes to rest: {:?}", self.did);
    }

    /// Lets the time go on to this moment, in ms.
    pub(super) fn until(&mut self, millis: u64) {
        let end = Instant::from_millis(millis);
        while let Some(at) = self.wake.filter(|at| *at <= end && self.exited.is_none()) {
            self.now = at.max(self.now);
            self.gateway.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// A packet of the peer comes from there.
    pub(super) fn hear(&mut self, from: &str) -> Result<(), Discard> {
        let mut buffer = vec![0x45; HEADROOM + 40 + TAILROOM];
        let packet = PacketBuf::new(&mut buffer, HEADROOM, 40).unwrap();
        self.peer.set_unix_time(self.now, UNIX + self.now.as_millis() / 1000);
        // Somebody without an address seals nothing.
        self.peer.connect(self.now, &[address("192.0.2.250:1")]);
        let mut datagram = self.peer.seal(self.now, packet).unwrap().datagram.to_vec();
        let result = self.gateway.handle_datagram(self.now, address(from), &mut datagram).map(drop);
        self.drain();
        result
    }

    /// Something that is no packet of the peer comes from there.
    pub(super) fn noise(&mut self, from: &str) {
        let _ = self.gateway.handle_datagram(self.now, address(from), &mut [7; 60]);
        self.drain();
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.gateway.signal(self.now, signal);
        self.drain();
    }

    pub(super) fn local_changed(&mut self) {
        self.gateway.local_changed(self.now);
        self.drain();
    }

    /// When it did this since that moment, in ms.
    pub(super) fn times(&self, since: u64, wanted: impl Fn(&Did) -> bool) -> Vec<u64> {
        self.did.iter().filter(|(at, did)| *at >= since && wanted(did)).map(|(at, _)| *at).collect()
    }

    pub(super) fn lookups_since(&self, since: u64) -> Vec<u64> {
        self.times(since, |did| matches!(did, Did::LookedUp(_)))
    }

    pub(super) fn sent_since(&self, since: u64, to: &str) -> Vec<u64> {
        self.times(since, |did| *did == Did::Sent(address(to)))
    }

    pub(super) fn greeted_since(&self, since: u64, to: &str) -> Vec<u64> {
        self.times(since, |did| *did == Did::Greeted(address(to)))
    }

    /// Where it went, one start after the other.
    pub(super) fn bound(&self) -> Vec<String> {
        let bound = self.did.iter().filter_map(|(_, did)| match did {
            Did::Bound(address) => Some(address.map_or("anywhere".to_string(), |address| address.to_string())),
            _ => None,
        });
        bound.collect()
    }

    /// What it said that begins so, without that.
    pub(super) fn said(&self, start: &str) -> Vec<String> {
        let said = self.did.iter().filter_map(|(_, did)| match did {
            Did::Said(text) => Some(text.strip_prefix(start)?.to_string()),
            _ => None,
        });
        said.collect()
    }

    /// The pauses before restarts, in seconds.
    pub(super) fn pauses(&self) -> Vec<u32> {
        let pauses = self.said("Restart pause, ");
        pauses.iter().map(|pause| pause.strip_suffix(" second(s)").unwrap().parse().unwrap()).collect()
    }
}

/// Carries what two ends send between them, each at its address, until there is no more.
pub(super) fn carry(ends: [&mut Scene; 2], at: [&str; 2]) {
    let [one, other] = ends;
    for _ in 0..100 {
        pass(one, other, at);
        pass(other, one, [at[1], at[0]]);
        if one.sent.is_empty() && other.sent.is_empty() {
            return;
        }
    }
    panic!("they never come to rest");
}

fn pass(sender: &mut Scene, receiver: &mut Scene, [from, to]: [&str; 2]) {
    let sent: Vec<_> = sender.sent.drain(..).collect();
    for (_, mut datagram) in sent.into_iter().filter(|(target, _)| *target == address(to)) {
        let _ = receiver.gateway.handle_datagram(receiver.now, address(from), &mut datagram);
        receiver.drain();
    }
}
