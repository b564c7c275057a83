//! A host without an operating system: it does what the gateway asks and notes what comes out.

use std::collections::HashSet;
use std::net::SocketAddr;

use longcable_core::event::{Cause, Event, Signal};
use longcable_core::gateway::Output;
use longcable_core::options::LinkConfig;
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::OUTPUT_MAX;
use longcable_core::time::Instant;

use crate::engine::{Engine, Start, Stored};
use crate::names::Answer;
use crate::network::{Datagram, Network};
use crate::world::{Dice, unix_time};

/// Bytes of the IPv4 and UDP headers, which `max-packet-size` counts.
const OUTER_HEADERS: usize = 28;
/// More than this comes out of no gateway at once, and it does not wake up more often in a second.
const OUTPUTS_MAX: usize = 100;
const WAKE_UPS_MAX: usize = 60;

/// One end of the link.
pub struct End<'c> {
    pub config: &'c LinkConfig<'c>,
    pub start: Start<'c>,
}

pub struct Node<'c> {
    pub end: End<'c>,
    engine: Box<dyn Engine + 'c>,
    pub address: SocketAddr,
    socket_open: bool,
    pub wake: Option<Instant>,
    /// How often it woke up in this second.
    wake_ups: (u64, usize),
    /// Numbers of the packets sent and received through the tunnel.
    pub sent: HashSet<u64>,
    pub received: Vec<u64>,
    /// Numbers of the packets whose datagrams arrived, sound and when the link was up.
    pub arrived: HashSet<u64>,
    pub is_up: bool,
    /// Packets have been taken since then.
    takes_packets: bool,
    /// How many were not taken after others were.
    pub refused: usize,
    pub restarts: usize,
    /// How many data keys were negotiated.
    pub keys: usize,
    /// How often a session took over from another, whose packets looked the same or not.
    pub takeovers: usize,
    pub is_ambiguous: bool,
    pub renegotiations: usize,
    /// The machine is without power.
    is_off: bool,
    /// Its clock is so many seconds behind.
    clock_behind: u64,
    /// What is on its disk.
    stored: Stored,
    /// It was told to exit, and the process is gone.
    pub has_exited: bool,
    /// Names to be looked up, and how many there were so far.
    pub lookups: Vec<(u32, String)>,
    pub lookups_made: usize,
    /// Messages of the gateway itself to its peer: pings, probes, options; no control packets.
    pub messages: usize,
    /// When a session was last begun or completed.
    pub negotiates: Option<Instant>,
    /// The last authentic datagram from the peer was sent then, or a new key agreed on.
    pub heard: Option<Instant>,
    pub log: Vec<(Instant, String)>,
    /// Everything that came out, for comparison.
    pub trace: Vec<u8>,
}

impl<'c> Node<'c> {
    pub fn new(end: End<'c>, address: SocketAddr, now: Instant, dice: Dice) -> Self {
        Self {
            engine: (end.start)(now, unix_time(now), dice),
            end,
            address,
            socket_open: false,
            wake: None,
            wake_ups: (0, 0),
            sent: HashSet::new(),
            received: Vec::new(),
            arrived: HashSet::new(),
            is_up: false,
            takes_packets: false,
            refused: 0,
            restarts: 0,
            keys: 0,
            takeovers: 0,
            is_ambiguous: false,
            renegotiations: 0,
            is_off: false,
            clock_behind: 0,
            stored: Stored::default(),
            has_exited: false,
            lookups: Vec::new(),
            lookups_made: 0,
            messages: 0,
            negotiates: None,
            heard: None,
            log: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// Starts the process again; what it has seen stays for the checks.
    pub fn reboot(&mut self, now: Instant, dice: Dice) {
        let unix_now = self.unix_now(now);
        self.engine = (self.end.start)(now, unix_now, dice);
        if self.end.config.replay_persist.is_some() {
            self.engine.restore(self.stored, unix_now);
        }
        self.log.push((now, "(the process starts anew)".to_owned()));
        (self.socket_open, self.is_up, self.takes_packets) = (false, false, false);
        (self.is_off, self.has_exited) = (false, false);
    }

    /// The machine has no power until the next [`Node::reboot`]; it may not know then what time it is.
    pub fn power_off(&mut self, now: Instant, clock_behind: u64) {
        self.log.push((now, format!("(no power; the clock will be {clock_behind} s behind)")));
        (self.is_off, self.socket_open, self.is_up, self.takes_packets) = (true, false, false, false);
        (self.wake, self.clock_behind) = (None, clock_behind);
        self.lookups.clear();
    }

    fn unix_now(&self, now: Instant) -> u64 {
        unix_time(now) - self.clock_behind
    }

    pub fn is_off(&self) -> bool {
        self.is_off || self.has_exited
    }

    /// The answer to a lookup.
    pub fn resolved(&mut self, now: Instant, lookup: u32, addresses: &Answer) {
        self.log.push((now, format!("(lookup {lookup}: {addresses:?})")));
        self.engine.resolved(now, lookup, addresses.as_deref().map_err(|error| *error));
    }

    /// The operating system says that the address has changed.
    pub fn notice_change(&mut self, now: Instant) {
        self.log.push((now, "(the system tells of a new address)".to_owned()));
        self.engine.local_changed(now);
    }

    pub fn signal(&mut self, now: Instant, signal: Signal) {
        self.log.push((now, format!("({} from outside)", signal.name())));
        self.engine.signal(now, signal);
    }

    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.engine.peer_address()
    }

    /// Does all that the gateway asks for.
    pub fn drain(&mut self, now: Instant, dice: &mut Dice, network: &mut Network) {
        if self.is_off() {
            return;
        }
        let mut out = [0; OUTPUT_MAX];
        for _ in 0..OUTPUTS_MAX {
            match self.engine.poll_output(now, &mut out) {
                Output::Transmit(sealed) => {
                    assert!(self.socket_open, "nothing is sent without a socket");
                    let bytes = sealed.datagram.to_vec();
                    let datagram = Datagram { from: self.address, to: sealed.to, bytes, number: None, sent: Some(now) };
                    let max = usize::from(self.end.config.tls.max_packet_size) - OUTER_HEADERS;
                    if self.is_tls() && datagram.is_control() {
                        assert!(datagram.bytes.len() <= max, "a control packet has {} bytes", datagram.bytes.len());
                    }
                    self.note(now, &datagram.bytes);
                    self.messages += usize::from(!self.is_tls() || !datagram.is_control());
                    network.send(now, dice, datagram);
                }
                Output::Event(event) => {
                    self.is_up |= event == Event::Initialized;
                    if matches!(event, Event::InitialPacket { .. } | Event::DataChannel { key_id: 0, .. }) {
                        self.negotiates = Some(now);
                    }
                    if let Event::DataChannel { key_id, exported, .. } = event {
                        let takes_over = key_id == 0 && self.is_up;
                        // It comes of what the peer has just said.
                        self.heard = if key_id == 0 { Some(now) } else { self.heard };
                        self.takeovers += usize::from(takes_over);
                        self.is_ambiguous |= takes_over && !exported;
                        self.keys += 1;
                    }
                    self.renegotiations += usize::from(matches!(event, Event::Renegotiating { .. }));
                    if let Event::Restarting(_) = event {
                        self.restarts += 1;
                        (self.is_up, self.takes_packets) = (false, false);
                    }
                    self.log.push((now, event.to_string()));
                }
                Output::Bind(_) => {
                    self.socket_open = true;
                    self.engine.bound(now, self.unix_now(now));
                }
                Output::CloseSocket => self.socket_open = false,
                Output::OpenTunnel => self.engine.tunnel_opened(now),
                Output::Timeout(wake) => {
                    self.wake = wake.map(|(at, _)| at);
                    let is_due = self.wake.is_some_and(|at| at <= now);
                    assert!(is_due || !self.engine.has_output(now), "it says that it has more");
                    if self.end.config.replay_persist.is_some() {
                        self.stored = self.engine.stored();
                    }
                    return;
                }
                Output::Exit(reason) => {
                    let is_wanted = reason.cause.is_none_or(|cause| cause == Cause::ExitNotified);
                    assert!(is_wanted, "the link must not end: {reason}");
                    self.log.push((now, reason.to_string()));
                    (self.has_exited, self.is_up, self.takes_packets, self.wake) = (true, false, false, None);
                    return;
                }
                Output::Resolve(lookup, remote) => {
                    self.lookups_made += 1;
                    self.lookups.push((lookup, remote.to_string()));
                }
                Output::AddRoutes
                | Output::Rebind
                | Output::RestartDown(_)
                | Output::RestartUp
                | Output::CloseTunnel(_)
                | Output::PeerAddress(_) => {}
            }
        }
        panic!("there is no end of what the gateway has to say");
    }

    /// Calls the gateway if it wanted to be woken by now.
    pub fn wake_up(&mut self, now: Instant, dice: &mut Dice, network: &mut Network) {
        if self.is_off() || self.wake.is_none_or(|at| at > now) {
            return;
        }
        let second = now.as_millis() / 1000;
        let before = if self.wake_ups.0 == second { self.wake_ups.1 } else { 0 };
        assert!(before < WAKE_UPS_MAX, "it wakes up again and again");
        self.wake_ups = (second, before + 1);
        self.engine.handle_timeout(now);
        self.drain(now, dice, network);
    }

    pub fn restart(&mut self, now: Instant) {
        self.engine.signal(now, Signal::Usr1);
    }

    /// Hands a datagram to the engine.
    pub fn receive(&mut self, now: Instant, mut datagram: Datagram, dice: &mut Dice, network: &mut Network) {
        if !self.socket_open || self.is_off() {
            return;
        }
        let is_data = !self.is_tls() || !datagram.is_control();
        if let Some(number) = datagram.number.filter(|_| self.is_up) {
            self.arrived.insert(number);
        }
        let original = datagram.clone();
        let opened = self.engine.handle_datagram(now, datagram.from, &mut datagram.bytes);
        if opened.is_ok() {
            network.record_accepted(dice, &original);
        }
        if opened.is_ok() && is_data {
            self.heard = self.heard.max(datagram.sent);
        }
        match opened {
            Ok(Some(packet)) => {
                let number = read_packet(packet);
                self.received.push(number);
                self.note(now, &number.to_be_bytes());
                // A host that moves many packets asks before it looks for what there is to do.
                if !self.engine.has_output(now) {
                    return;
                }
            }
            Ok(None) => {}
            Err(discard) => {
                // A duplicate is refused, of course.
                let number = datagram.number.filter(|number| !self.received.contains(number));
                let is_news = self.log.last().is_none_or(|(_, line)| !line.starts_with('!'));
                if let Some(number) = number.filter(|_| is_news) {
                    self.log.push((now, format!("! packet {number}: {discard}")));
                }
            }
        }
        self.drain(now, dice, network);
    }

    /// Sends packet `number` through the tunnel.
    pub fn send(&mut self, now: Instant, number: u64, len: usize, dice: &mut Dice, network: &mut Network) {
        if self.is_off() {
            return;
        }
        let packet = write_packet(number, len);
        let mut buffer = vec![0xee; HEADROOM + packet.len() + TAILROOM];
        buffer[HEADROOM..HEADROOM + packet.len()].copy_from_slice(&packet);
        let packet = PacketBuf::new(&mut buffer, HEADROOM, packet.len()).expect("it fits");
        match self.engine.seal(now, packet) {
            Ok(sealed) => {
                self.sent.insert(number);
                self.takes_packets = true;
                let bytes = sealed.datagram.to_vec();
                let datagram =
                    Datagram { from: self.address, to: sealed.to, bytes, number: Some(number), sent: Some(now) };
                network.send(now, dice, datagram);
            }
            Err(error) if self.takes_packets => {
                self.refused += 1;
                self.log.push((now, format!("! {error}")));
            }
            Err(_) => {}
        }
        if self.engine.has_output(now) {
            self.drain(now, dice, network);
        }
    }

    fn is_tls(&self) -> bool {
        self.end.config.tls.role.is_some()
    }

    /// Notes what came out. What TLS stacks say is random, but never when and how much.
    fn note(&mut self, now: Instant, bytes: &[u8]) {
        if self.is_tls() {
            self.trace.extend_from_slice(&now.as_millis().to_be_bytes());
            self.trace.extend_from_slice(&bytes.len().to_be_bytes());
        } else {
            self.trace.extend_from_slice(bytes);
        }
    }
}

/// An IPv4-looking packet whose every byte follows from its number.
fn write_packet(number: u64, len: usize) -> Vec<u8> {
    let mut packet = vec![0x45];
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&(len as u16).to_be_bytes());
    packet.extend((0..len).map(|i| filler(number, i)));
    packet
}

/// The number of a packet, after a look at every byte.
fn read_packet(packet: &[u8]) -> u64 {
    let number = u64::from_be_bytes(packet[1..9].try_into().expect("eight bytes"));
    let len = usize::from(u16::from_be_bytes([packet[9], packet[10]]));
    assert_eq!(packet.len(), 11 + len, "packet {number} changed its length");
    assert!(packet[11..].iter().enumerate().all(|(i, byte)| *byte == filler(number, i)), "packet {number} was changed");
    number
}

fn filler(number: u64, i: usize) -> u8 {
    (number as u8).wrapping_mul(31).wrapping_add(i as u8)
}
