//! Two peers without a network between them: every datagram passes through the test's hands.

use std::net::SocketAddr;

use longcable_core::crypto::{Rng, RustCrypto, StaticKey};
use longcable_core::error::{Discard, NotReady};
use longcable_core::event::{Event, Reason, Signal};
use longcable_core::options::LinkConfig;
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX, Output, Peer};
use longcable_core::platform::Platform;
use longcable_core::time::{Duration, Instant};
use longcable_core::tls::NoTls;

pub const SUITES: [&str; 4] = [
    "cipher AES-256-CBC\nauth SHA1",
    "cipher BF-CBC\nauth MD5\ncomp-lzo",
    "cipher none\nauth SHA256\ncompress",
    "cipher CAMELLIA-128-CBC\nauth SHA512\ncompress stub-v2",
];

/// Address of A; B's remote.
pub const OTHER: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(192, 0, 2, 1), 1194));
/// What lies in a buffer around the packet.
pub const FILLER: u8 = 0xe7;
/// Start of an options string from the peer.
pub const OCC_REPLY: [u8; 17] =
    [0x28, 0x7f, 0x34, 0x6b, 0xd4, 0xef, 0x7a, 0x81, 0x2d, 0x56, 0xb8, 0xd3, 0xaf, 0xc5, 0x45, 0x9c, 1];

const KEY: &str = include_str!("../vectors/count.key");
const UNIX: u64 = 1_795_000_000;

struct Test;

impl Platform for Test {
    type Crypto = RustCrypto;
    type Rng = Counter;
    type ReplayBits = [u64; 1];
    type Tls = NoTls;
    type TlsSessions = [NoTls; 1];
    type TlsMemory = ();
}

/// Not random at all, which is enough here.
struct Counter(u8);

impl Rng for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(5).wrapping_add(3);
            *byte = self.0;
        }
    }
}

pub struct Link {
    pub a: End,
    pub b: End,
}

impl Link {
    /// Both ends with these lines of configuration.
    pub fn new(lines: &str) -> Self {
        Self { a: End::new(lines, 2), b: End::new(lines, 1) }
    }

    /// Lets time pass at both ends.
    pub fn wait(&mut self, seconds: u64) {
        for end in [&mut self.a, &mut self.b] {
            end.now = end.now + Duration::from_secs(seconds);
            end.peer.handle_timeout(end.now);
        }
    }
}

/// A configuration with these lines, for the life of the test.
pub fn config(lines: &str) -> &'static LinkConfig<'static> {
    // Nothing but the tests' own packets uses packet ids.
    let text = format!("dev tun\nprobe-interval 0\n{lines}\n<secret>\n{KEY}</secret>\n");
    let config = LinkConfig::parse(Box::leak(text.into_boxed_str())).expect("the configuration is valid");
    Box::leak(Box::new(config))
}

pub struct End {
    peer: Peer<'static, Test>,
    remote: SocketAddr,
    now: Instant,
}

impl End {
    fn new(lines: &str, remote: u8) -> Self {
        let config = config(&format!("remote 192.0.2.{remote}\n{lines}"));
        let key = StaticKey::parse(KEY).expect("the key is well-formed");
        let now = Instant::from_millis(5_000);
        let peer = Peer::new(config, Keys::Static(key), Counter(remote), now, UNIX).expect("the suite is supported");
        let mut end = Self { peer, remote: SocketAddr::from(([192, 0, 2, remote], 1194)), now };
        end.reconnect();
        end
    }

    pub fn seal(&mut self, payload: &[u8]) -> Result<Vec<u8>, NotReady> {
        let mut buffer = vec![FILLER; HEADROOM + payload.len() + TAILROOM];
        buffer[HEADROOM..HEADROOM + payload.len()].copy_from_slice(payload);
        let packet = PacketBuf::new(&mut buffer, HEADROOM, payload.len()).expect("it fits");
        self.peer.seal(self.now, packet).map(|sealed| sealed.datagram.to_vec())
    }

    pub fn open(&mut self, datagram: &[u8]) -> Result<Option<Vec<u8>>, Discard> {
        self.open_from(self.remote, datagram)
    }

    pub fn open_from(&mut self, from: SocketAddr, datagram: &[u8]) -> Result<Option<Vec<u8>>, Discard> {
        let mut datagram = datagram.to_vec();
        let packet = self.peer.handle_datagram(self.now, from, &mut datagram)?;
        Ok(packet.map(|packet| packet.to_vec()))
    }

    /// The text of all that comes out; datagrams as `datagram`.
    pub fn drain(&mut self) -> Vec<String> {
        self.peer.handle_timeout(self.now);
        let mut all = Vec::new();
        if let Some(address) = self.peer.take_new_address() {
            all.push(Event::PeerConnected(address).to_string());
        }
        let mut out = [0; OUTPUT_MAX];
        loop {
            match self.peer.poll_output(self.now, &mut out) {
                Output::Event(event) => all.push(event.to_string()),
                Output::Transmit(_) => all.push("datagram".into()),
                Output::Timeout(_) => return all,
            }
        }
    }

    /// Ends the link and gives the datagrams that tell the peer.
    pub fn say_goodbye(&mut self) -> Vec<Vec<u8>> {
        self.peer.leave(self.now, Reason::hard(Signal::Term));
        let mut farewell = Vec::new();
        let mut out = [0; OUTPUT_MAX];
        for _ in 0..10 {
            loop {
                match self.peer.poll_output(self.now, &mut out) {
                    Output::Transmit(sealed) => farewell.push(sealed.datagram.to_vec()),
                    Output::Event(_) => {}
                    Output::Timeout(_) => break,
                }
            }
            self.now = self.now + Duration::from_secs(1);
            self.peer.handle_timeout(self.now);
        }
        farewell
    }

    /// Restarts the link, as after SIGUSR1.
    pub fn reconnect(&mut self) {
        self.peer.disconnect();
        self.peer.connect(self.now, &[self.remote]);
    }

    pub fn preset_replay(&mut self, id: u32, time: u32) {
        self.peer.preset_replay(id, time);
    }

    pub fn replay_state(&self) -> Option<(u32, u32)> {
        self.peer.replay_state()
    }

    pub fn take_end(&mut self) -> Option<Reason> {
        self.peer.take_end()
    }

    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer.address()
    }

    pub fn discarded(&self) -> u64 {
        self.peer.counters().discarded
    }

    /// What a dropped datagram must not change.
    pub fn state(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        (
            self.peer.address(),
            self.peer.replay_state(),
            self.peer.counters().authentic_read,
            self.peer.has_output(self.now),
        )
    }
}
