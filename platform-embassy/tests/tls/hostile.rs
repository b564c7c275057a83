//! Damage at every point: whatever comes, the session fails or waits.

use longcable_core::crypto::Rng as _;
use longcable_core::tls::{Role, TlsProgress, TlsSession as _};

use crate::pair::{Rustls, TestRng, connect, with_session};
use crate::pki::{NOW, P256, Pki};
use crate::rogue::{Flight, Peer as _, Rogue};

/// Runs the handshake with a server whose first flight passes through `damage`. Whether it was established.
fn survives(
    pki: &Pki,
    session: &mut longcable_embassy::tls::EmbeddedTlsSession<'_>,
    damage: impl FnOnce(&mut Vec<u8>),
) -> bool {
    let mut server = Rogue::new(|flight| honest(flight, pki));
    session.start(Role::Client, NOW).unwrap();
    let mut hello = [0; 1100];
    let len = session.write_tls(&mut hello);
    server.receive(&hello[..len]);
    let mut wire = std::mem::take(server.output());
    damage(&mut wire);
    for piece in wire.chunks(500) {
        session.read_tls(piece);
        if session.step().is_err() {
            // What is left over is an alert.
            let len = session.write_tls(&mut hello);
            assert!(matches!(hello[..len], [] | [21, 3, 3, 0, 2, 2, _]), "{:?}", &hello[..len]);
            return false;
        }
    }
    matches!(session.step(), Ok(TlsProgress::Established(_)))
}

fn honest(flight: &mut Flight, pki: &Pki) {
    flight.extensions();
    flight.request();
    flight.certificate(&[&pki.server]);
    flight.verify(&pki.server);
    flight.finished();
}

#[test]
fn every_byte_changed() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| {
        let mut length = 0;
        assert!(survives(&pki, session, |wire| length = wire.len()));
        let mut accepted = Vec::new();
        // In the ServerHello and the headers every byte counts; of what is encrypted a part is enough.
        for at in (0..length - 8).filter(|at| *at < 220 || at % 7 == 0) {
            if survives(&pki, session, |wire| wire[at] ^= 0x41) {
                accepted.push(at);
            }
        }
        // The versions of plain records and of encrypted ones mean nothing (RFC 8446 section 5.1), and the
        // transcript covers the rest.
        assert!(accepted.len() <= 12, "{accepted:?}");
    });
}

#[test]
fn cut_off_anywhere() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| {
        let mut length = 0;
        assert!(survives(&pki, session, |wire| length = wire.len()));
        // A signature may be a few bytes shorter the next time.
        for at in (0..length - 8).step_by(3) {
            assert!(!survives(&pki, session, |wire| wire.truncate(at)));
            assert!(!survives(&pki, session, |wire| _ = wire.remove(at)));
        }
    });
}

#[test]
fn garbage() {
    let pki = Pki::new(P256);
    let mut rng = TestRng(99);
    with_session(&pki, |session| {
        for _ in 0..300 {
            assert!(!survives(&pki, session, |wire| {
                let mut choice = [0; 2];
                rng.fill(&mut choice);
                let start = usize::from(u16::from_be_bytes(choice)) % wire.len();
                rng.fill(&mut wire[start..]);
            }));
        }
    });
}

#[test]
fn an_established_session_under_garbage() {
    let pki = Pki::new(P256);
    let mut rng = TestRng(7);
    with_session(&pki, |session| {
        for round in 0..40_usize {
            let mut server = Rustls::new(&[&pki.server], None);
            connect(session, &mut server).unwrap();
            let mut garbage = vec![0; 40 + round];
            rng.fill(&mut garbage);
            // Half of it looks like a record.
            if round % 2 == 0 {
                garbage[..5].copy_from_slice(&[23, 3, 3, 0, 20]);
            }
            session.read_tls(&garbage);
            assert!(session.step().is_err());
        }
    });
}
