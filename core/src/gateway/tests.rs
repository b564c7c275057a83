//! Each signal in each state: whatever happens, the host's socket and tunnel are what the gateway thinks they are.

mod follow;
mod remotes;
mod scene;

use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::crypto::StaticKey;
use crate::crypto::{Rng, RustCrypto};
use crate::packet::{HEADROOM, TAILROOM};
use crate::peer::OUTPUT_MAX;
use crate::tls::NoTls;

const UNIX: u64 = 1_800_000_000;
const PEER: SocketAddr = SocketAddr::V4(core::net::SocketAddrV4::new(core::net::Ipv4Addr::new(192, 0, 2, 2), 1194));

struct Test;

impl Platform for Test {
    type Crypto = RustCrypto;
    type Rng = Fixed;
    type ReplayBits = [u64; 1];
    type Tls = NoTls;
    type TlsSessions = [NoTls; 1];
    type TlsMemory = ();
}

struct Fixed;

impl Rng for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// A host that does what it is asked for, or takes its time for one kind of it.
struct Host {
    gateway: Gateway<'static, Test>,
    peer: Gateway<'static, Test>,
    now: Instant,
    slow: &'static str,
    waits: Option<u32>,
    socket: bool,
    tunnel: bool,
    routes: usize,
    exited: Option<Reason>,
    said: Vec<String>,
}

fn gateway(lines: &str, now: Instant) -> Gateway<'static, Test> {
    let text = format!("dev tun\nsecret key\ncipher AES-128-CBC\n{lines}");
    let config = LinkConfig::parse(Box::leak(text.into_boxed_str())).unwrap();
    let key = StaticKey::generate(&mut Fixed);
    Gateway::new(Box::leak(Box::new(config)), Keys::Static(key), Fixed, now, UNIX).unwrap()
}

impl Host {
    fn new(lines: &str, slow: &'static str) -> Self {
        let now = Instant::from_millis(0);
        let mut host = Self {
            gateway: gateway(lines, now),
            peer: gateway("float", now),
            now,
            slow,
            waits: None,
            socket: false,
            tunnel: false,
            routes: 0,
            exited: None,
            said: Vec::new(),
        };
        host.peer.peer_mut().connect(now, &[]);
        host.drain();
        host
    }

    fn drain(&mut self) {
        let mut out = [0; OUTPUT_MAX];
        for _ in 0..100 {
            match self.gateway.poll_output(self.now, &mut out) {
                Output::Timeout(_) => {
                    assert!(!self.gateway.has_output(self.now), "it says that it has more");
                    return;
                }
                Output::Event(event) => self.said.push(event.to_string()),
                Output::Transmit(_) => assert!(self.socket, "nothing is sent without a socket"),
                Output::Resolve(lookup, _) if self.slow == "resolve" => self.waits = Some(lookup),
                Output::Resolve(lookup, _) => self.gateway.resolved(self.now, lookup, Ok(&[PEER])),
                Output::Bind(_) if self.slow == "bind" => self.waits = Some(0),
                Output::Bind(_) => self.bind(),
                Output::OpenTunnel if self.slow == "open" => self.waits = Some(0),
                Output::OpenTunnel => self.open(),
                Output::CloseSocket => assert!(core::mem::replace(&mut self.socket, false), "it was not open"),
                Output::CloseTunnel(_) => {
                    assert!(core::mem::replace(&mut self.tunnel, false), "it was not open");
                    self.routes = 0;
                }
                Output::AddRoutes => {
                    assert!(self.tunnel, "routes need a device");
                    self.routes += 1;
                    assert_eq!(self.routes, 1, "they are there already");
                }
                Output::Rebind => assert!(self.socket, "there is none to open anew"),
                Output::RestartDown(_) | Output::RestartUp => assert!(self.tunnel, "it is kept over a restart"),
                Output::PeerAddress(_) => {}
                Output::Exit(reason) => self.exited = Some(reason),
            }
        }
        panic!("it never comes to rest: {:?}", self.said);
    }

    fn bind(&mut self) {
        assert!(!core::mem::replace(&mut self.socket, true), "it is open already");
        self.gateway.bound(self.now, UNIX, Ok(()));
    }

    fn open(&mut self) {
        assert!(!core::mem::replace(&mut self.tunnel, true), "it is open already");
        self.gateway.tunnel_opened(self.now);
    }

    /// The slow thing is done at last.
    fn finish(&mut self) {
        let Some(lookup) = self.waits.take() else { return };
        match core::mem::take(&mut self.slow) {
            "resolve" => self.gateway.resolved(self.now, lookup, Ok(&[PEER])),
            "bind" => self.bind(),
            _ => self.open(),
        }
        self.drain();
    }

    fn signal(&mut self, signal: Signal) {
        self.gateway.signal(self.now, signal);
        self.drain();
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            self.gateway.handle_timeout(self.now);
            self.drain();
        }
    }

    /// A packet from the peer.
    fn hear(&mut self) {
        self.peer.handle_timeout(self.now);
        let mut buffer = vec![0x45; HEADROOM + 40 + TAILROOM];
        let packet = PacketBuf::new(&mut buffer, HEADROOM, 40).unwrap();
        // The peer learns an address by itself only from a packet; here it is told one.
        self.peer.peer_mut().connect(self.now, &[PEER]);
        let mut datagram = self.peer.seal(self.now, packet).unwrap().datagram.to_vec();
        let _ = self.gateway.handle_datagram(self.now, PEER, &mut datagram);
        self.drain();
    }

    fn says(&self, text: &str) -> usize {
        self.said.iter().filter(|said| said.contains(text)).count()
    }
}

const SLOW: [&str; 4] = ["", "resolve", "bind", "open"];
const LINES: [&str; 5] = ["", "persist-tun", "persist-tun\nup-restart", "up-delay", "route-delay 2\npersist-tun"];

#[test]
fn every_signal_in_every_state_leaves_host_and_gateway_of_one_mind() {
    for lines in LINES {
        let lines = format!("remote office.example\n{lines}\nping-restart 10");
        for slow in SLOW {
            for signal in [Signal::Usr1, Signal::Hup, Signal::Term, Signal::Int] {
                for heard in [false, true] {
                    for finishes_before_the_pause_ends in [false, true] {
                        let mut host = Host::new(&lines, slow);
                        if heard {
                            host.hear();
                        }
                        host.signal(signal);
                        if finishes_before_the_pause_ends {
                            host.finish();
                        }
                        host.wait(2);
                        host.finish();
                        host.wait(2);
                        if signal == Signal::Usr1 {
                            host.hear();
                            host.finish();
                            host.wait(3);
                            assert_eq!(host.exited, None);
                            assert!(host.socket && host.tunnel, "{lines}, slow {slow}, heard {heard}: it runs again");
                            assert_eq!(host.routes, 1, "{lines}, slow {slow}");
                        } else {
                            assert_eq!(host.exited, Some(Reason::hard(signal)), "{lines}, slow {slow}");
                            assert!(!host.socket && !host.tunnel, "{lines}, slow {slow}: nothing stays open");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_peer_is_announced_once_per_start() {
    let mut host = Host::new("remote 192.0.2.2\nping-restart 5", "");
    assert_eq!(host.says("Initialization Sequence Completed"), 0, "nobody has been heard");
    host.hear();
    host.hear();
    assert_eq!(host.says("Peer Connection Initiated with [AF_INET]192.0.2.2:1194"), 1);
    assert_eq!(host.says("Initialization Sequence Completed"), 1);
    host.wait(8);
    assert_eq!(host.says("SIGUSR1[soft,ping-restart] received, process restarting"), 1);
    assert_eq!(host.says("Initialization Sequence Completed"), 1);
    host.hear();
    assert_eq!(host.says("Initialization Sequence Completed"), 2);
}

#[test]
fn an_exit_that_tells_the_peer_is_an_exit_whatever_comes() {
    let lines = "remote 192.0.2.2\nexplicit-exit-notify 3\nping-restart 2";
    for disturb in [Signal::Usr1, Signal::Hup] {
        let mut host = Host::new(lines, "");
        host.wait(1);
        host.signal(Signal::Term);
        host.signal(disturb);
        assert_eq!(host.exited, None, "the peer is being told");
        host.wait(4);
        assert_eq!(host.exited.map(|reason| reason.signal), Some(Signal::Term));
    }
    let mut impatient = Host::new(lines, "");
    impatient.signal(Signal::Term);
    impatient.signal(Signal::Term);
    assert_eq!(impatient.exited, Some(Reason::hard(Signal::Term)), "the second signal does not wait");
}

#[test]
fn each_address_of_a_name_and_then_each_remote_gets_its_turn() {
    let first: SocketAddr = "[2001:db8::1]:1194".parse().unwrap();
    let mut gateway = gateway("remote one.example\nremote 192.0.2.9\nping-restart 3", Instant::from_millis(0));
    let mut out = [0; OUTPUT_MAX];
    let mut tried = Vec::new();
    for step in 0..200u64 {
        let now = Instant::from_millis(step * 500);
        gateway.handle_timeout(now);
        loop {
            match gateway.poll_output(now, &mut out) {
                Output::Timeout(_) => break,
                Output::Resolve(lookup, _) => gateway.resolved(now, lookup, Ok(&[first, PEER])),
                Output::Bind(remote) => {
                    tried.push(remote.unwrap());
                    gateway.bound(now, UNIX, Ok(()));
                }
                Output::OpenTunnel => gateway.tunnel_opened(now),
                _ => {}
            }
        }
    }
    assert_eq!(tried[..4], [first, PEER, "192.0.2.9:1194".parse().unwrap(), first]);
}

#[test]
fn a_name_that_does_not_resolve_is_tried_as_resolv_retry_says() {
    for (retry, lookups_in_30_s, ends) in
        [("resolv-retry infinite", 16, false), ("resolv-retry 10", 8, false), ("resolv-retry 0", 1, true)]
    {
        let mut gateway = gateway(&format!("remote nowhere.example\n{retry}"), Instant::from_millis(0));
        let mut out = [0; OUTPUT_MAX];
        let (mut lookups, mut exited) = (0, false);
        for second in 0..30u64 {
            let now = Instant::from_millis(second * 1000);
            gateway.handle_timeout(now);
            loop {
                match gateway.poll_output(now, &mut out) {
                    Output::Timeout(_) => break,
                    Output::Resolve(lookup, _) => {
                        lookups += 1;
                        gateway.resolved(now, lookup, Err(()));
                    }
                    Output::Exit(_) => exited = true,
                    _ => {}
                }
            }
        }
        assert_eq!(exited, ends, "{retry}");
        assert!(lookups >= lookups_in_30_s && lookups <= 30, "{retry}: {lookups} lookups");
    }
}

#[test]
fn what_is_sent_is_later_than_before_whatever_the_clock_says() {
    let now = Instant::from_millis(0);
    for (before, expected) in [(UNIX + 86_400, UNIX + 86_401), (UNIX - 1, UNIX)] {
        let mut gateway = gateway("", now);
        gateway.peer_mut().preset_sent(u32::try_from(before).unwrap(), UNIX);
        gateway.peer_mut().connect(now, &[PEER]);
        assert_eq!(gateway.peer().sent_sequence().map(u64::from), Some(expected));
    }
}
