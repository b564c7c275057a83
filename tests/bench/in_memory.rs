//! Two gateways with the cryptography of the Linux program, and nothing between them: what a packet costs without any
//! system call.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use longcable::config::HostConfig;
use longcable::crypto::FastRng;
use longcable::event_loop::{Linux, tls_memory};
use longcable::log::{self, LogOptions};
use longcable::tls::{RustlsSession, TlsContext};
use longcable_core::control::Protection;
use longcable_core::crypto::StaticKey;
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::{KeySource, LinkConfig};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX};
use longcable_core::time::{Duration, Instant};
use longcable_tests::support::pki;

const ADDRESSES: [&str; 2] = ["192.0.2.1:1194", "192.0.2.2:1194"];

/// Configs of both ends of a TLS link with this data cipher.
pub(crate) fn tls(cipher: &str) -> [String; 2] {
    ends(["client", "server"].map(|role| {
        let file = |block: &str, name: &str| format!("<{block}>\n{}\n</{block}>\n", pki::text(name).trim_end());
        let files = [file("ca", "ca.crt"), file("cert", &format!("{role}.crt")), file("key", &format!("{role}.key"))];
        format!("tls-{role}\ndata-ciphers {cipher}\n{}", files.concat())
    }))
}

/// Configs of both ends of a link with a static key.
pub(crate) fn static_key(cipher: &str, auth: &str) -> [String; 2] {
    let mut key = String::new();
    StaticKey::generate(&mut FastRng::new()).write_to(&mut key).expect("a string takes any text");
    ends([0, 1].map(|direction| {
        format!("cipher {cipher}\nauth {auth}\nkey-direction {direction}\n<secret>\n{}\n</secret>\n", key.trim_end())
    }))
}

fn ends([a, b]: [String; 2]) -> [String; 2] {
    // Packets of 9,000 bytes are measured as well.
    let end = |own, peer, lines: String| {
        format!("dev tun\ntun-mtu 9000\nmssfix 0\nremote 192.0.2.{peer}\nifconfig 10.1.0.{own} 10.1.0.{peer}\n{lines}")
    };
    [end(1, 2, a), end(2, 1, b)]
}

/// A link that stands; the first end seals, the second opens.
pub(crate) struct InMemory {
    ends: [End; 2],
    now: Instant,
}

/// Room for one packet and everything that grows around it.
pub(crate) struct Packet {
    buffer: Vec<u8>,
    size: usize,
    /// Where the datagram lies, once it is sealed.
    sealed: std::ops::Range<usize>,
}

struct End {
    gateway: Box<Gateway<'static, Linux<RustlsSession>>>,
    address: SocketAddr,
}

impl InMemory {
    /// Brings up a link between ends with these configs.
    pub(crate) fn new(configs: &[String; 2]) -> Self {
        // Whom the two ends trust is of no interest.
        log::init(LogOptions { verb: 0, ..LogOptions::default() }).expect("standard output is there");
        let now = Instant::from_millis(0);
        let end = |number: usize| End {
            gateway: gateway(&configs[number], now),
            address: ADDRESSES[number].parse().expect("an address"),
        };
        let mut link = Self { ends: [end(0), end(1)], now };
        for _ in 0..5_000 {
            link.turn();
            let mut packet = Packet::new(64);
            if link.try_seal(&mut packet) && link.try_open(&mut packet) == Some(64) {
                return link;
            }
            link.now = link.now + Duration::from_millis(1);
        }
        panic!("a link in memory does not come up");
    }

    /// Seals a packet where it lies, as the event loop does.
    pub(crate) fn seal(&mut self, packet: &mut Packet) {
        assert!(self.try_seal(packet), "a link that stands seals");
    }

    /// Opens what was sealed where it lies, as the event loop does.
    pub(crate) fn open(&mut self, packet: &mut Packet) {
        assert_eq!(self.try_open(packet), Some(packet.size), "a sealed packet opens");
    }

    fn try_seal(&mut self, packet: &mut Packet) -> bool {
        let start = packet.buffer.as_ptr().addr();
        let Some(room) = PacketBuf::new(&mut packet.buffer, HEADROOM, packet.size) else { return false };
        let Ok(sealed) = self.ends[0].gateway.seal(self.now, room) else { return false };
        let from = sealed.datagram.as_ptr().addr() - start;
        packet.sealed = from..from + sealed.datagram.len();
        true
    }

    fn try_open(&mut self, packet: &mut Packet) -> Option<usize> {
        let from = self.ends[0].address;
        let datagram = packet.buffer.get_mut(packet.sealed.clone())?;
        self.ends[1].gateway.handle_datagram(self.now, from, datagram).ok()?.map(|packet| packet.len())
    }

    /// Each end does what it wants, and its datagrams arrive at once.
    fn turn(&mut self) {
        for number in 0..2 {
            let [a, b] = &mut self.ends;
            let (here, there) = if number == 0 { (a, b) } else { (b, a) };
            here.gateway.handle_timeout(self.now);
            for mut datagram in here.drain(self.now) {
                // What one end does not like yet it is sent again.
                let _ = there.gateway.handle_datagram(self.now, here.address, &mut datagram);
            }
        }
    }
}

impl Packet {
    /// An IPv4 packet of so many bytes, which is what a tunnel carries.
    pub(crate) fn new(size: usize) -> Self {
        let mut buffer = vec![0x6c; HEADROOM + size + TAILROOM];
        let header = [0x45, 0, (size >> 8) as u8, size as u8, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2];
        buffer[HEADROOM..HEADROOM + header.len()].copy_from_slice(&header);
        Self { buffer, size, sealed: 0..0 }
    }
}

impl End {
    /// Does what the gateway asks for; the datagrams that it sends.
    fn drain(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let (mut out, mut sent) = ([0; OUTPUT_MAX], Vec::new());
        loop {
            match self.gateway.poll_output(now, &mut out) {
                Output::Transmit(sealed) => sent.push(sealed.datagram.to_vec()),
                Output::Bind(_) => self.gateway.bound(now, unix_now(), Ok(())),
                Output::OpenTunnel => self.gateway.tunnel_opened(now),
                Output::Timeout(_) => return sent,
                Output::Exit(reason) => panic!("a link in memory ends: {reason:?}"),
                _ => {}
            }
        }
    }
}

fn gateway(config: &str, now: Instant) -> Box<Gateway<'static, Linux<RustlsSession>>> {
    let config = LinkConfig::parse(Box::leak(config.to_owned().into_boxed_str())).expect("our own config");
    let config: &'static LinkConfig<'static> = Box::leak(Box::new(config));
    let keys = match (config.role(), config.secret) {
        (Some(role), _) => {
            let context = TlsContext::load(config, &HostConfig::default()).unwrap_or_else(|error| panic!("{error}"));
            let protection = Protection::new(config, role).unwrap_or_else(|error| panic!("{error}"));
            Keys::Tls { protection, sessions: std::array::from_fn(|_| context.session()), memory: tls_memory() }
        }
        (None, Some(KeySource::Inline(text))) => Keys::Static(StaticKey::parse(text).expect("our own key")),
        (None, _) => panic!("our own config has a key in it"),
    };
    let gateway = Gateway::new(config, keys, FastRng::new(), now, unix_now());
    Box::new(gateway.unwrap_or_else(|error| panic!("{error}")))
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
