//! Whole links as the Linux host runs them, with its TLS and its cryptography, but with a clock and a network in the
//! test's hands.

use std::net::SocketAddr;

use longcable::config::HostConfig;
use longcable::crypto::FastRng;
use longcable::event_loop::{Linux, tls_memory};
use longcable::tls::{RustlsSession, TlsContext};
use longcable_core::control::Protection;
use longcable_core::error::{Discard, NotReady};
use longcable_core::event::{Event, Reason};
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::LinkConfig;
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX};
use longcable_core::time::{Duration, Instant};
use longcable_core::tls::Role;

use super::pki::{self, Issued, TRUSTED};

/// Unix time (s) at the clock's 0: a day when the certificates are valid.
pub const EPOCH: u64 = 1_800_000_000;

/// Index of the ends in [`World::ends`] of a pair, and their addresses.
pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;
pub const ADDRESSES: [&str; 2] = ["192.0.2.1:1194", "192.0.2.2:1194"];
/// Somebody else.
pub const STRANGER: &str = "203.0.113.66:6666";

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The configuration of one end with a certificate, for the life of the test.
pub fn config(role: Role, identity: &Issued, lines: &str) -> &'static LinkConfig<'static> {
    let (word, own, peer) = match role {
        Role::Client => ("client", 1, 2),
        Role::Server => ("server", 2, 1),
    };
    let (ca, Issued { cert, key }) = (&TRUSTED.cert, identity);
    let text = format!(
        "dev tun\nifconfig 10.9.0.{own} 10.9.0.{peer}\ntls-{word}\n{lines}\n\
         <ca>\n{ca}</ca>\n<cert>\n{cert}</cert>\n<key>\n{key}</key>\n"
    );
    let text: &'static str = Box::leak(text.into_boxed_str());
    let config = LinkConfig::parse(text).unwrap_or_else(|error| panic!("{error:?}: {text}"));
    Box::leak(Box::new(config))
}

pub fn context(config: &LinkConfig<'_>) -> TlsContext {
    TlsContext::load(config, &HostConfig::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// One gateway and its host.
pub struct End {
    gateway: Box<Gateway<'static, Linux<RustlsSession>>>,
    config: &'static LinkConfig<'static>,
    role: Role,
    context: TlsContext,
    pub address: SocketAddr,
    wake: Option<Instant>,
    /// Its log.
    pub said: Vec<String>,
    /// What came out of the tunnel.
    pub received: Vec<Vec<u8>>,
    pub refused: Vec<Discard>,
    /// Everything that it ever sent.
    pub sent: Vec<Datagram>,
    /// How much of it is on the wire.
    collected: usize,
    pub restarts: Vec<Reason>,
    pub exit: Option<Reason>,
    /// How often a timer woke it.
    pub wakes: usize,
}

impl End {
    /// The end with this role, its good certificate and these lines of configuration.
    pub fn new(role: Role, lines: &str) -> Self {
        Self::with(role, pki::good(role), lines, Instant::from_millis(0))
    }

    fn with(role: Role, identity: &Issued, lines: &str, now: Instant) -> Self {
        let config = config(role, identity, lines);
        let context = context(config);
        Self {
            gateway: gateway(config, role, &context, now),
            config,
            role,
            context,
            address: address(ADDRESSES[role as usize]),
            wake: None,
            said: Vec::new(),
            received: Vec::new(),
            refused: Vec::new(),
            sent: Vec::new(),
            collected: 0,
            restarts: Vec::new(),
            exit: None,
            wakes: 0,
        }
    }

    /// The process is killed and started again, at this address.
    pub fn reboot(&mut self, now: Instant, address: SocketAddr) {
        self.gateway = gateway(self.config, self.role, &self.context, now);
        self.address = address;
    }

    /// Forgets what it has sent.
    pub fn forget(&mut self) {
        self.sent.clear();
        self.collected = 0;
    }

    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.gateway.peer().address()
    }

    /// How many lines of its log have this in them.
    pub fn count(&self, text: &str) -> usize {
        self.said.iter().filter(|line| line.contains(text)).count()
    }

    pub fn discarded(&self) -> u64 {
        self.gateway.counters().discarded
    }

    /// Hands over one datagram, and does what follows from it. `Some` is what came out of the tunnel.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Result<Option<Vec<u8>>, Discard> {
        let mut bytes = bytes.to_vec();
        let result =
            self.gateway.handle_datagram(now, from, &mut bytes).map(|packet| packet.map(|packet| packet.to_vec()));
        match &result {
            Ok(Some(packet)) => self.received.push(packet.clone()),
            Ok(None) => {}
            Err(discard) => self.refused.push(*discard),
        }
        if self.gateway.has_output(now) {
            self.drain(now);
        }
        result
    }

    /// An IP packet from the tunnel device, as a datagram.
    pub fn seal(&mut self, now: Instant, packet: &[u8]) -> Result<Datagram, NotReady> {
        let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
        buffer[HEADROOM..HEADROOM + packet.len()].copy_from_slice(packet);
        let packet = PacketBuf::new(&mut buffer, HEADROOM, packet.len()).expect("it fits");
        let sealed = self.gateway.seal(now, packet)?;
        Ok(Datagram { from: self.address, to: sealed.to, bytes: sealed.datagram.to_vec() })
    }

    /// Does what the gateway asks for.
    pub fn drain(&mut self, now: Instant) {
        let mut out = [0; OUTPUT_MAX];
        loop {
            match self.gateway.poll_output(now, &mut out) {
                Output::Transmit(sealed) => {
                    self.sent.push(Datagram { from: self.address, to: sealed.to, bytes: sealed.datagram.to_vec() });
                }
                Output::Event(event) => {
                    if let Event::Restarting(reason) = event {
                        self.restarts.push(reason);
                    }
                    self.said.push(event.to_string());
                }
                Output::Bind(_) => self.gateway.bound(now, EPOCH + now.as_millis() / 1000, Ok(())),
                Output::OpenTunnel => self.gateway.tunnel_opened(now),
                Output::Exit(reason) => self.exit = Some(reason),
                Output::Timeout(wake) => {
                    self.wake = wake.map(|(at, _)| at);
                    return;
                }
                Output::Resolve(..) => panic!("the remotes are addresses"),
                Output::AddRoutes
                | Output::CloseSocket
                | Output::Rebind
                | Output::RestartDown(_)
                | Output::RestartUp
                | Output::CloseTunnel(_)
                | Output::PeerAddress(_) => {}
            }
        }
    }

    fn wake(&mut self, now: Instant) {
        if self.wake.is_some_and(|at| at <= now) {
            self.wakes += 1;
        }
        self.gateway.handle_timeout(now);
        self.drain(now);
    }
}

fn gateway(
    config: &'static LinkConfig<'static>,
    role: Role,
    context: &TlsContext,
    now: Instant,
) -> Box<Gateway<'static, Linux<RustlsSession>>> {
    let protection = Protection::new(config, role).unwrap_or_else(|error| panic!("{error}"));
    let sessions = [context.session(), context.session(), context.session()];
    let unix_now = EPOCH + now.as_millis() / 1000;
    let keys = Keys::Tls { protection, sessions, memory: tls_memory() };
    Box::new(Gateway::new(config, keys, FastRng::new(), now, unix_now).unwrap_or_else(|error| panic!("{error}")))
}

type Attack = Box<dyn FnMut(&mut End, Instant)>;

/// Ends, and the network between them.
pub struct World {
    pub now: Instant,
    pub ends: Vec<End>,
    /// What is under way to an end.
    wire: Vec<Datagram>,
    /// What was sent to nobody that is here.
    pub elsewhere: Vec<Datagram>,
    /// Sees each datagram before it arrives; false if it never does.
    pub passes: Box<dyn FnMut(&Datagram) -> bool>,
    /// Happens to an end before each datagram that it gets.
    pub attack: Option<Attack>,
}

impl World {
    pub fn new(ends: Vec<End>) -> Self {
        let (now, wire, elsewhere) = (Instant::from_millis(0), Vec::new(), Vec::new());
        Self { now, ends, wire, elsewhere, passes: Box::new(|_| true), attack: None }
    }

    /// A client and a server with these lines that know each other's address.
    pub fn pair(lines: &str) -> Self {
        Self::pair_of(lines, lines)
    }

    pub fn pair_of(client: &str, server: &str) -> Self {
        let client = End::new(Role::Client, &format!("remote 192.0.2.2\n{client}"));
        let server = End::new(Role::Server, &format!("remote 192.0.2.1\n{server}"));
        Self::new(vec![client, server])
    }

    /// A pair whose link stands.
    pub fn connected(lines: &str) -> Self {
        let mut world = Self::pair(lines);
        world.run(500);
        world.assert_works();
        world
    }

    /// Lets time pass, in ms.
    pub fn run(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 200_000, "the ends never come to rest: {:?}", self.ends[0].said);
            self.collect();
            if !self.wire.is_empty() {
                self.now = self.now + Duration::from_millis(1);
                self.deliver();
                continue;
            }
            let wake = self.ends.iter().filter_map(|end| end.wake).min();
            match wake {
                Some(at) if at <= until => self.now = at.max(self.now + Duration::from_millis(1)),
                _ => break,
            }
            for end in &mut self.ends {
                end.wake(self.now);
            }
        }
        self.now = until.max(self.now);
    }

    fn collect(&mut self) {
        let addresses: Vec<_> = self.ends.iter().map(|end| end.address).collect();
        for end in &mut self.ends {
            end.drain(self.now);
            for datagram in end.sent.iter().skip(end.collected).cloned() {
                if addresses.contains(&datagram.to) {
                    self.wire.push(datagram);
                } else {
                    self.elsewhere.push(datagram);
                }
            }
            end.collected = end.sent.len();
        }
    }

    fn deliver(&mut self) {
        for datagram in std::mem::take(&mut self.wire) {
            if (self.passes)(&datagram)
                && let Some(end) = self.ends.iter_mut().find(|end| end.address == datagram.to)
            {
                if let Some(attack) = &mut self.attack {
                    attack(end, self.now);
                }
                let _ = end.receive(self.now, datagram.from, &datagram.bytes);
            }
        }
    }

    /// Sends an IP packet through the tunnel; whether it came out at the other end.
    pub fn passes_from(&mut self, from: usize) -> bool {
        let packet = [&[0x45][..], &self.now.as_millis().to_be_bytes(), &[7; 31]].concat();
        let Ok(datagram) = self.ends[from].seal(self.now, &packet) else { return false };
        let to = &mut self.ends[1 - from];
        datagram.to == to.address && to.receive(self.now, datagram.from, &datagram.bytes) == Ok(Some(packet))
    }

    /// # Panics
    /// Packets do not pass both ways.
    #[track_caller]
    pub fn assert_works(&mut self) {
        for from in [CLIENT, SERVER] {
            assert!(
                self.passes_from(from),
                "no packet passes from {from}\nclient: {:#?}\nserver: {:#?}",
                self.ends[CLIENT].said,
                self.ends[SERVER].said
            );
        }
    }
}
