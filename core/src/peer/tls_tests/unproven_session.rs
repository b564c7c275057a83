//! A gateway with room for one TLS session beside the live key had one that somebody had begun and kept alive with
//! a byte now and then. There was no room for the peer, who asked for a new key as its clock said, for as long as a
//! handshake may take; and then somebody began anew.

use super::*;

const LINES: &str = "float\nreneg-sec 0\n";

/// A server with room for one TLS session, and a client that wants new keys.
fn pair() -> Pair {
    let mut pair = Pair::with(["reneg-sec 4\n", LINES]);
    pair.ends[1] = End::with_sessions(1, 2, LINES, pair.now);
    pair.run(1);
    pair
}

/// Somebody who wants a session beside the peer's.
struct Somebody(End);

impl Somebody {
    fn new(now: Instant) -> Self {
        let mut end = End::new(1, "remote 192.0.2.2\n", now);
        end.address = SocketAddr::from(([203, 0, 113, 66], 6666));
        // The first session id is the same as the peer's.
        end.peer.connect(now, &[SocketAddr::from(([192, 0, 2, 2], 1194))]);
        Self(end)
    }

    /// Carries what the two have to say, of which `passes` lets through what goes to the server.
    fn talk(&mut self, pair: &mut Pair, mut passes: impl FnMut(&[u8]) -> bool) {
        fn said(end: &mut End, now: Instant) -> Vec<Vec<u8>> {
            let mut said = Vec::new();
            loop {
                match end.peer.poll_output(now, &mut [0; OUTPUT_MAX]) {
                    Output::Transmit(sealed) => said.push(sealed.datagram.to_vec()),
                    Output::Event(event) => end.said.push(event.to_string()),
                    Output::Timeout(_) => return said,
                }
            }
        }
        pair.drain();
        loop {
            let to_server: Vec<_> = said(&mut self.0, pair.now).into_iter().filter(|packet| passes(packet)).collect();
            for mut datagram in to_server {
                let _ = pair.ends[1].peer.handle_datagram(pair.now, self.0.address, &mut datagram);
            }
            let to_somebody = said(&mut pair.ends[1], pair.now);
            if to_somebody.is_empty() {
                return;
            }
            for mut datagram in to_somebody {
                let _ = self.0.peer.handle_datagram(pair.now, pair.ends[1].address, &mut datagram);
            }
        }
    }
}

fn is_tls(datagram: &[u8]) -> bool {
    Head::parse(datagram[0]).is_some_and(|head| head.opcode == Opcode::Control)
}

#[test]
fn the_peers_new_key_goes_before_a_session_of_somebody_unproven() {
    let mut pair = pair();
    pair.wait(2_500);
    let mut somebody = Somebody::new(pair.now);
    let mut pieces = 0;
    somebody.talk(&mut pair, |datagram| {
        pieces += usize::from(is_tls(datagram));
        pieces < 2
    });
    assert_eq!(pair.count(1, "Initial packet"), 2, "{:#?}", pair.said());
    pair.talk(2_000);
    assert_eq!([pair.count(0, "key 1"), pair.count(1, "key 1")], [1, 1], "{:#?}", pair.said());
}

#[test]
fn the_peers_own_new_session_goes_before_its_old_one() {
    let mut pair = pair();
    pair.wait(2_500);
    let mut somebody = Somebody::new(pair.now);
    // Its key message is shorter than the pieces of the handshake.
    somebody.talk(&mut pair, |datagram| !is_tls(datagram) || datagram.len() > 600);
    assert_eq!(pair.count(1, "Control Channel"), 2, "{:#?}", pair.said());
    pair.talk(2_000);
    assert_eq!(pair.count(1, "key 1"), 0, "{:#?}", pair.said());
    assert!(pair.count(1, "put off") > 0);
    // But not for long, if nothing comes of it.
    pair.talk(8_000);
    assert_eq!(pair.count(1, "key 1"), 1, "{:#?}", pair.said());
}
