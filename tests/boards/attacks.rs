//! A server that has the key of the link's `tls-crypt` and attacks the board's TLS stack: it leaves out what would show
//! who it is. Another attack that embedded-tls alone does not withstand, a certificate that another leaf has signed,
//! needs no more than openvpn: see [`certificates`](crate::certificates).

#[allow(dead_code, reason = "the tests of the TLS stack know more attacks")]
#[path = "../../platform-embassy/tests/tls/rogue.rs"]
mod rogue;

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longcable::crypto::FastRng;
use longcable_core::control::{CELL, Memory, Protection};
use longcable_core::crypto::RustCrypto;
use longcable_core::options::LinkConfig;
use longcable_core::peer::{Keys, OUTPUT_MAX, Output, Peer};
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use longcable_core::tls::{Inside, Role, TlsFailure, TlsProgress, TlsSession};
use longcable_tests::support::board::{BOARD_PATIENCE, Board, Firmware, UP, inline};
use longcable_tests::support::volatile::meanwhile;
use longcable_tests::support::{Lab, pki as files, poll, tls_end};
use rcgen::KeyPair;
use rogue::{ALERT, DATA, Flight, Peer as _, Rogue};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::certificates::CRYPT;

mod pki {
    /// A certificate and the key to it.
    pub(crate) struct Identity {
        pub(crate) der: Vec<u8>,
        pub(crate) key: rcgen::KeyPair,
    }
}

/// What a server says after its ServerHello.
type Script = fn(&mut Flight, &pki::Identity);

/// Content types and contents of what a client has sent in TLS records.
type Received = Arc<Mutex<Vec<(u8, Vec<u8>)>>>;

#[test]
fn the_server_of_these_tests_is_believed_when_it_is_honest() {
    let honest: Script = |flight, identity| {
        flight.extensions();
        flight.certificate(&[identity]);
        flight.verify(identity);
        flight.finished();
    };
    against(honest, |board, received| {
        let key = poll(BOARD_PATIENCE, || received.lock().unwrap().iter().any(|(kind, _)| *kind == DATA).then_some(()));
        assert!(key.is_some(), "the board does not send its part of the data key");
        assert_eq!(board.count("TlsFailed("), 0);
    });
}

#[test]
fn no_certificate_and_no_signature() {
    refused("the peer sent no certificate", |flight, _| {
        flight.extensions();
        flight.finished();
    });
    // Nor does it learn who the board is.
    refused("the peer sent no certificate", |flight, _| {
        flight.extensions();
        flight.request();
        flight.finished();
    });
}

#[test]
fn no_signature() {
    refused("has not shown that it has the key", |flight, identity| {
        flight.extensions();
        flight.certificate(&[identity]);
        flight.finished();
    });
}

/// The board says so, and sends nothing but alerts.
fn refused(cause: &str, script: Script) {
    against(script, |board, received| {
        let refusal = board.wait_for("TlsFailed(");
        println!("{refusal}");
        assert!(refusal.contains(cause), "{refusal}");
        // It tries again.
        board.wait_for_count("TlsFailed(", 2);
        let received = received.lock().unwrap();
        assert!(received.iter().all(|(kind, content)| *kind == ALERT && content.len() == 2), "{received:?}");
    });
}

fn against(script: Script, check: impl FnOnce(&Board, &Received)) {
    let lab = Lab::new();
    files::write(&lab);
    let text = inline(&lab, &tls_end(&lab.right, &lab.left, Role::Server, CRYPT));
    let received = Received::default();
    let socket = lab.right.namespace.inside(|| UdpSocket::bind((lab.right.outside, 1194))).expect("a free port");
    let client = SocketAddr::from((lab.left.outside, 1194));
    let config = tls_end(&lab.left, &lab.right, Role::Client, CRYPT);
    let mut board = Board::start(&lab, &lab.left, Firmware::Tls, &config);
    let serve = |goes_on: &dyn Fn() -> bool| Server::new(&text, script, &received).run(&socket, client, goes_on);
    meanwhile(serve, || check(&board, &received));
    assert_eq!(board.count(UP), 0);
    board.must_be_well();
}

/// OpenVPN's control channel under the rogue's TLS.
struct Server(Peer<'static, Hostile>);

impl Server {
    fn new(config: &str, script: Script, received: &Received) -> Self {
        let config = Box::leak(Box::new(LinkConfig::parse(config.to_owned().leak()).expect("a usual config")));
        let session = || RogueSession { rogue: Rogue::new(|_| ()), script, received: Arc::clone(received) };
        let protection = Protection::new(config, Role::Server).expect("a usual key");
        let sessions = [session(), session(), session()];
        let keys = Keys::Tls { protection, sessions, memory: Memory::new([0; 3 * 18 * CELL]) };
        Self(Peer::new(config, keys, FastRng::new(), Instant::from_millis(0), unix_now()).expect("a usual config"))
    }

    fn run(mut self, socket: &UdpSocket, client: SocketAddr, goes_on: &dyn Fn() -> bool) {
        let start = std::time::Instant::now();
        let now = || Instant::from_millis(u64::try_from(start.elapsed().as_millis()).expect("a short test"));
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time limit");
        self.0.connect(now(), &[client]);
        let (mut datagram, mut out) = ([0; 2048], [0; OUTPUT_MAX]);
        while goes_on() {
            self.0.handle_timeout(now());
            loop {
                match self.0.poll_output(now(), &mut out) {
                    // The board may not be there yet.
                    Output::Transmit(sealed) => _ = socket.send_to(sealed.datagram, client),
                    Output::Event(event) => println!("server: {event}"),
                    Output::Timeout(_) => break,
                }
            }
            if let Ok((length, from)) = socket.recv_from(&mut datagram) {
                let _ = self.0.handle_datagram(now(), from, &mut datagram[..length]);
            }
        }
    }
}

fn unix_now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

struct Hostile;

impl Platform for Hostile {
    type Crypto = RustCrypto;
    type Rng = FastRng;
    type ReplayBits = [u64; 1];
    type Tls = RogueSession;
    type TlsSessions = [RogueSession; 3];
    type TlsMemory = Memory<RustCrypto, [u64; 1], [u8; 3 * 18 * CELL]>;
}

/// Never established: the engine has to carry the handshake, no more.
struct RogueSession {
    rogue: Rogue<'static>,
    script: Script,
    received: Received,
}

impl TlsSession for RogueSession {
    type Place<T> = Inside<T>;
    type Extra<T> = Inside<T>;

    fn start(&mut self, _role: Role, _unix_now: u64) -> Result<(), TlsFailure> {
        let text = |name: &str| files::text(&format!("server{name}"));
        let der = CertificateDer::from_pem_slice(text(".crt").as_bytes()).expect("a certificate").to_vec();
        let identity = pki::Identity { der, key: KeyPair::from_pem(&text(".key")).expect("a key") };
        let script = self.script;
        self.rogue = Rogue::new(move |flight| script(flight, &identity));
        Ok(())
    }

    fn stop(&mut self) {
        self.rogue = Rogue::new(|_| ());
    }

    fn read_tls(&mut self, wire: &[u8]) -> usize {
        self.rogue.receive(wire);
        if let Some(flight) = &mut self.rogue.flight {
            self.received.lock().expect("nobody panics").append(&mut flight.received);
        }
        wire.len()
    }

    fn write_tls(&mut self, wire: &mut [u8]) -> usize {
        let output = self.rogue.output();
        let length = output.len().min(wire.len());
        wire[..length].copy_from_slice(&output[..length]);
        output.drain(..length);
        length
    }

    fn read_plain(&mut self, _out: &mut [u8]) -> usize {
        0
    }

    fn write_plain(&mut self, _plain: &[u8]) -> usize {
        0
    }

    fn step(&mut self) -> Result<TlsProgress<'_>, TlsFailure> {
        Ok(TlsProgress::Handshaking)
    }

    fn describe(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("a rogue's")
    }
}
