//! Packets that are none, some 2,000 a second of them, from where the peer's packets come from: bytes at random, and
//! packets of the link that were changed, cut, made longer or sent again.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use longcable_tests::support::board::{Board, Firmware, UP, check_board, must_answer};
use longcable_tests::support::volatile::meanwhile;
use longcable_tests::support::{Daemon, Lab, Pinger, Program, Site, end};
use socket2::{Domain, Protocol, Socket, Type};

use crate::certificates::{self, CRYPT};

const DURATION: Duration = Duration::from_secs(8);
/// So many every ten milliseconds.
const BURST: usize = 20;
const PORT: u16 = 1194;
const UDP_HEADER: usize = 8;
/// The longest payload that needs no fragments.
const WHOLE: usize = 1472;

/// The key has directions: without them an end that is shown its own packets takes them for its peer's, and if its
/// session is the younger one, the peer's for replays. Such is the protocol.
#[test]
fn a_link_with_a_static_key() {
    let lab = Lab::new();
    let capture = Capture::start(&lab.left);
    let [left, right] = ["secret static.key 1", "secret static.key 0"];
    let mut peer = Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, right));
    let mut board = Board::start(&lab, &lab.left, Firmware::Static, &end(&lab.left, &lab.right, left));
    flood(&lab, capture, &mut board);
    assert!(peer.stop().success(), "exit status 0 after SIGTERM");
}

#[test]
fn a_link_with_certificates() {
    let lab = Lab::new();
    let capture = Capture::start(&lab.left);
    let (mut board, mut peer) = certificates::start(&lab, Program::Openvpn, [CRYPT; 2]);
    flood(&lab, capture, &mut board);
    assert!(peer.stop().success(), "exit status 0 after SIGTERM");
}

fn flood(lab: &Lab, capture: Capture, board: &mut Board) {
    check_board(&lab.right, &lab.left);
    let samples = capture.packets();
    assert!(samples.len() > 20, "{} packets captured", samples.len());
    let udp = lab.right.namespace.inside(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)));
    let udp = udp.expect("a raw socket");
    let (to, mut random, mut sent) = (lab.left.outside, Random(7), 0);
    let attack = |goes_on: &dyn Fn() -> bool| {
        let start = Instant::now();
        while goes_on() {
            for _ in 0..BURST {
                send(&udp, to, &random.packet(&samples));
                sent += 1;
            }
            thread::sleep(Duration::from_millis(10));
        }
        println!("{sent} packets in {:?}", start.elapsed());
    };
    meanwhile(attack, || {
        let (start, mut pinger) = (Instant::now(), Pinger::new(&lab.right, lab.left.inside));
        while start.elapsed() < DURATION {
            must_answer(&mut pinger, 100);
            thread::sleep(Duration::from_millis(100));
        }
    });
    check_board(&lab.right, &lab.left);
    assert_eq!(board.count(UP), 1, "the link does not restart");
    board.must_be_well();
}

/// Sends a datagram from the port where the peer is.
fn send(udp: &Socket, to: Ipv4Addr, payload: &[u8]) {
    let length = u16::try_from(UDP_HEADER + payload.len()).expect("a short packet");
    let header = [PORT.to_be_bytes(), PORT.to_be_bytes(), length.to_be_bytes(), [0; 2]].concat();
    // A queue may be full.
    let _ = udp.send_to(&[&header, payload].concat(), &SocketAddr::from((to, 0)).into());
}

/// Sees every packet of the link, since its start.
struct Capture(Socket);

impl Capture {
    fn start(site: &Site) -> Self {
        const EVERYTHING: i32 = 0x0003_u16.to_be() as i32;
        let open = || Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(EVERYTHING)));
        let socket = site.namespace.inside(open).expect("a packet socket");
        socket.set_nonblocking(true).expect("our own socket");
        Self(socket)
    }

    /// The payloads of some.
    fn packets(mut self) -> Vec<Vec<u8>> {
        let (mut packet, mut payloads) = ([0; 2048], Vec::new());
        while payloads.len() < 200 {
            let Ok(length) = self.0.read(&mut packet) else { break };
            // IPv4 without options, UDP, from and to the link's port.
            if let [0x45, .., 17] = packet[..10]
                && packet[20..24] == [PORT.to_be_bytes(); 2].concat()
            {
                payloads.push(packet[28..length].to_vec());
            }
        }
        payloads
    }
}

/// xorshift: reproducible.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    fn packet(&mut self, samples: &[Vec<u8>]) -> Vec<u8> {
        let mut packet = samples[self.below(samples.len())].clone();
        match self.below(6) {
            // As it was: a replay.
            0 => {}
            1 => packet.truncate(self.below(packet.len() + 1)),
            2 => packet.extend((0..self.below(64)).map(|byte| byte as u8)),
            3 => {
                packet = vec![0; self.below(1400)];
                packet.fill_with(|| self.below(256) as u8);
            }
            _ => {
                for _ in 0..=self.below(4) {
                    let place = self.below(packet.len());
                    packet[place] ^= 1 << self.below(8);
                }
            }
        }
        packet.truncate(WHOLE);
        packet
    }
}
