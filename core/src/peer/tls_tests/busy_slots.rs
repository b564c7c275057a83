//! Boards have room for one TLS session. Whatever holds it, a peer that has started anew is greeted; and one that is
//! still there is not made to take another session.

use super::*;

const LINES: &str = "float\nreneg-sec 0\nhand-window 60\n";

/// Two ends with room for one TLS session each, the client with these lines; they have met.
fn boards(client: &str) -> Pair {
    let mut pair = Pair::with([client, LINES]);
    pair.ends = [(1, client), (2, LINES)].map(|(number, lines)| End::with_sessions(1, number, lines, pair.now));
    pair.run(1);
    assert_eq!((pair.count(0, "Data Channel"), pair.count(1, "Data Channel")), (1, 1));
    pair
}

/// The server is a new process, which cannot call.
fn reboot_server(pair: &mut Pair) {
    pair.ends[1] = End::with_sessions(1, 2, LINES, pair.now);
    pair.ends[1].peer.rng = Dice(77);
    pair.ends[1].peer.connect(pair.now, &[]);
}

#[test]
fn a_new_process_is_greeted_although_a_renegotiation_waits_for_the_old_one() {
    // Nothing of the renegotiation has come through, or a part of the handshake.
    let losses: [fn(usize, &[u8]) -> bool; 2] =
        [|_, datagram| datagram[0] & 7 == 1, |to, datagram| to == 0 && datagram[0] == (Opcode::Control as u8) << 3 | 1];
    for loses in losses {
        let mut pair = boards("float\nreneg-sec 4\nhand-window 60\n");
        pair.loses = loses;
        pair.talk(4_000);
        assert_eq!(pair.count(0, "soft reset, a new key"), 1);
        reboot_server(&mut pair);
        pair.loses = |_, _| false;
        pair.wait(5_000);
        let remote = pair.ends[1].address;
        pair.ends[0].peer.probe(pair.now, &[remote], true);
        pair.wait(100);
        assert_eq!((pair.count(0, "Data Channel"), pair.count(1, "Data Channel")), (2, 1), "{:#?}", pair.said());
        pair.talk(100);
    }
}

/// A server with `tls-crypt-v2` cannot greet: it is called. As long as its peer is heard, no caller is the peer.
#[test]
fn a_new_process_that_calls_is_answered_although_a_renegotiation_waits_for_the_old_one() {
    for (is_silent, sessions) in [(true, (2, 1)), (false, (1, 0))] {
        let mut pair = boards("float\nreneg-sec 4\nhand-window 60\nping 1\n");
        pair.loses = |_, datagram| datagram[0] & 7 == 1;
        pair.talk(4_000);
        assert_eq!(pair.count(0, "soft reset, a new key"), 1);
        pair.wait(if is_silent { 2_100 } else { 500 });
        reboot_server(&mut pair);
        let there = pair.ends[0].address;
        pair.ends[1].peer.connect(pair.now, &[there]);
        pair.loses = |_, _| false;
        pair.wait(1_000);
        assert_eq!((pair.count(0, "Data Channel"), pair.count(1, "Data Channel")), sessions, "{:#?}", pair.said());
    }
}

#[test]
fn a_new_process_is_greeted_although_the_old_one_had_begun_with_another_session() {
    let mut pair = boards(LINES);
    pair.loses = |to, datagram| to == 0 && datagram[0] == (Opcode::Control as u8) << 3;
    let remote = pair.ends[1].address;
    pair.ends[0].peer.probe(pair.now, &[remote], true);
    pair.wait(1_000);
    reboot_server(&mut pair);
    pair.loses = |_, _| false;
    for _ in 0..2 {
        pair.wait(4_000);
        pair.ends[0].peer.probe(pair.now, &[remote], true);
    }
    pair.wait(100);
    assert_eq!((pair.count(0, "Data Channel"), pair.count(1, "Data Channel")), (2, 1), "{:#?}", pair.said());
}

#[test]
fn a_peer_that_is_still_there_keeps_its_session() {
    let mut pair = boards("float\nreneg-sec 4\nhand-window 60\n");
    // The line is down while a new key is due.
    pair.loses = |_, _| true;
    pair.wait(6_000);
    let remote = pair.ends[1].address;
    pair.ends[0].peer.probe(pair.now, &[remote], true);
    pair.wait(3_000);
    assert_eq!(pair.count(0, "soft reset, a new key"), 1);
    // The peer is heard before the greeting is repeated.
    pair.loses = |_, _| false;
    pair.talk(100);
    assert_eq!(pair.count(0, "soft reset, a new key"), 2, "it is negotiated anew at once: {:#?}", pair.said());
    assert_eq!((pair.count(0, "key 1"), pair.count(1, "key 1")), (1, 1));
    pair.talk(20_000);
    assert_eq!(pair.count(0, "key 0") + pair.count(1, "key 0"), 2, "there is one session: {:#?}", pair.said());
}

#[test]
fn a_long_silence_of_the_line_brings_no_other_session() {
    let mut pair = Pair::new(LINES);
    pair.run(1);
    pair.loses = |_, _| true;
    let remote = pair.ends[1].address;
    for _ in 0..30 {
        pair.ends[0].peer.probe(pair.now, &[remote], true);
        pair.wait(5_000);
    }
    pair.loses = |_, _| false;
    for _ in 0..80 {
        pair.talk(100);
        pair.wait(900);
    }
    assert_eq!(pair.count(0, "key 0") + pair.count(1, "key 0"), 2, "there is one session: {:#?}", pair.said());
}

#[test]
fn a_process_that_dies_young_is_replaced_at_the_first_repetition() {
    // It has just met the peer, and repeats its greeting as early as openvpn may.
    let mut pair = Pair::new(LINES);
    pair.wait(100);
    assert_eq!((pair.count(0, "Data Channel"), pair.count(1, "Data Channel")), (1, 1));
    let now = pair.now;
    pair.ends[0] = End::with_sessions(1, 1, "float\nreneg-sec 0\ntls-timeout 1\n", now);
    pair.ends[0].peer.rng = Dice(78);
    let remote = pair.ends[1].address;
    pair.ends[0].peer.connect(now, &[remote]);
    pair.wait(1_100);
    assert_eq!((pair.count(0, "Data Channel"), pair.count(1, "Data Channel")), (1, 2), "{:#?}", pair.said());
}
