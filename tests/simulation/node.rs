//! A host without an operating system: it does what the gateway asks and notes what comes out.

use std::collections::HashSet;
use std::net::SocketAddr;

use longcable_core::crypto::{Rng, RustCrypto, StaticKey};
use longcable_core::event::{Event, Signal};
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::LinkConfig;
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX};
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use longcable_core::tls::NoTls;

use crate::network::{Datagram, Network};
use crate::world::{Dice, EPOCH};

pub struct SimPlatform;

impl Platform for SimPlatform {
    type Crypto = RustCrypto;
    type Rng = Dice;
    type ReplayBits = [u64; 1];
    type Tls = NoTls;
    type TlsSessions = [NoTls; 1];
    type ControlMemory = [u8; 0];
    const CONTROL_MEMORY: [u8; 0] = [];
}

impl Rng for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.below(256) as u8;
        }
    }
}

pub struct Node {
    gateway: Gateway<'static, SimPlatform>,
    pub address: SocketAddr,
    socket_open: bool,
    pub wake: Option<Instant>,
    /// Numbers of the packets sent and received through the tunnel.
    pub sent: HashSet<u64>,
    pub received: Vec<u64>,
    pub restarts: usize,
    /// Everything that came out, for comparison.
    pub trace: Vec<u8>,
}

impl Node {
    pub fn new(
        config: &'static LinkConfig<'static>,
        key: &StaticKey,
        address: SocketAddr,
        now: Instant,
        unix_now: u64,
        dice: Dice,
    ) -> Self {
        let gateway =
            Gateway::new(config, Keys::Static(key.clone()), dice, now, unix_now).expect("the suite is supported");
        Self {
            gateway,
            address,
            socket_open: false,
            wake: None,
            sent: HashSet::new(),
            received: Vec::new(),
            restarts: 0,
            trace: Vec::new(),
        }
    }

    /// Starts the process again; what it has seen stays for the checks.
    pub fn reboot(
        &mut self,
        config: &'static LinkConfig<'static>,
        key: &StaticKey,
        now: Instant,
        unix_now: u64,
        dice: Dice,
    ) {
        self.gateway =
            Gateway::new(config, Keys::Static(key.clone()), dice, now, unix_now).expect("the suite is supported");
        self.socket_open = false;
    }

    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.gateway.peer().address()
    }

    /// Does all that the gateway asks for.
    pub fn drain(&mut self, now: Instant, dice: &mut Dice, network: &mut Network) {
        let mut out = [0; OUTPUT_MAX];
        loop {
            match self.gateway.poll_output(now, &mut out) {
                Output::Transmit(sealed) => {
                    assert!(self.socket_open, "nothing is sent without a socket");
                    self.trace.extend_from_slice(sealed.datagram);
                    let datagram = Datagram { from: self.address, to: sealed.to, bytes: sealed.datagram.to_vec() };
                    network.send(now, dice, datagram);
                }
                Output::Event(event) => {
                    self.trace.extend_from_slice(event.to_string().as_bytes());
                    if let Event::Restarting(_) = event {
                        self.restarts += 1;
                    }
                }
                Output::Bind(_) => {
                    self.socket_open = true;
                    self.gateway.bound(now, EPOCH + now.as_millis() / 1000, Ok(()));
                }
                Output::CloseSocket => self.socket_open = false,
                Output::OpenTunnel => self.gateway.tunnel_opened(now),
                Output::Timeout(wake) => {
                    self.wake = wake.map(|(at, _)| at);
                    return;
                }
                Output::Exit(reason) => panic!("the link must not end: {reason}"),
                Output::Resolve(..) => panic!("the remotes are addresses"),
                Output::AddRoutes
                | Output::RestartDown(_)
                | Output::RestartUp
                | Output::CloseTunnel(_)
                | Output::PeerAddress(_) => {}
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.gateway.handle_timeout(now);
    }

    pub fn restart(&mut self, now: Instant) {
        self.gateway.signal(now, Signal::Usr1);
    }

    /// Hands a datagram to the engine.
    pub fn receive(&mut self, now: Instant, mut datagram: Datagram) {
        if !self.socket_open {
            return;
        }
        if let Ok(Some(packet)) = self.gateway.handle_datagram(now, datagram.from, &mut datagram.bytes) {
            self.trace.extend_from_slice(packet);
            self.received.push(read_packet(packet));
        }
    }

    /// Sends packet `number` through the tunnel.
    pub fn send(&mut self, now: Instant, number: u64, len: usize, dice: &mut Dice, network: &mut Network) {
        let packet = write_packet(number, len);
        let mut buffer = vec![0xee; HEADROOM + packet.len() + TAILROOM];
        buffer[HEADROOM..HEADROOM + packet.len()].copy_from_slice(&packet);
        let packet = PacketBuf::new(&mut buffer, HEADROOM, packet.len()).expect("it fits");
        if let Ok(sealed) = self.gateway.seal(now, packet) {
            self.sent.insert(number);
            let datagram = Datagram { from: self.address, to: sealed.to, bytes: sealed.datagram.to_vec() };
            network.send(now, dice, datagram);
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
