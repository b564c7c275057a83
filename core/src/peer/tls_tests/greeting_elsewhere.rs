//! The server had lost its power and come back with another address, which the client's resolver did not know yet. It
//! greeted the client, and the client answered. At that moment the client's next round of greetings was due, and it took
//! the session that was being negotiated to the old address: what the server said was refused from then on, for it came
//! from elsewhere. Each round did so again, as long as the name led to the old address.
//!
//! Also, a greeting when the handshake had begun had nothing to send, and those to other addresses waited behind it.

use super::*;

/// The server at another address, with the client looking for it.
fn pair() -> (Pair, [SocketAddr; 3]) {
    let mut pair = Pair::new("float\n");
    pair.run(1);
    pair.wait(4_000);
    let old = pair.ends[1].address;
    pair.left = Some(old);
    pair.ends[0].peer.probe(pair.now, &[old], true);
    pair.turn();
    pair.ends[1] = End::new(2, "float\n", pair.now);
    // It does not draw the same session id again.
    pair.ends[1].peer.rng = Dice(77);
    let client = pair.ends[0].address;
    pair.ends[1].peer.connect(pair.now, &[client]);
    pair.ends[1].address = SocketAddr::from(([192, 0, 2, 77], 1194));
    (pair, [4, 5, 6].map(|last| SocketAddr::from(([192, 0, 2, last], 1194))))
}

#[test]
fn a_session_that_is_negotiated_stays_where_its_peer_is() {
    for millis in 1..10 {
        let (mut pair, _) = pair();
        pair.wait(millis);
        pair.ends[0].peer.probe(pair.now, &[pair.left.unwrap()], true);
        pair.wait(1_000);
        assert_eq!(
            (pair.count(0, "Data Channel"), pair.count(1, "Data Channel")),
            (2, 1),
            "{millis}: {:#?}",
            pair.said()
        );
    }
}

#[test]
fn greetings_that_have_nothing_to_send_are_done_at_once() {
    let (mut pair, others) = pair();
    pair.wait(5);
    pair.ends[0].peer.probe(pair.now, &others, true);
    pair.ends[0].peer.outbox.probes.clear();
    pair.drain();
    assert!(pair.ends[0].peer.outbox.greetings.is_empty(), "some wait for the next occasion");
}
