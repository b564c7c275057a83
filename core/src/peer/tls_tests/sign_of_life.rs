//! The server's last message of another session was lost, again and again, until the client gave that session up for a
//! renegotiation of the one before. The server had taken over already. The client used the old key, which the server
//! opened and did not count: it restarted a link that worked.

use super::*;

/// Bytes of the server's last message, and of nothing else on the way to the client.
const SHORT: usize = 600;

#[test]
fn data_of_the_session_before_counts_until_the_peer_has_the_live_one() {
    let lines = "float\nping-restart 10\nhand-window 30\nping 1\n";
    let client = format!("{lines}reneg-sec 9\n");
    let server = format!("{lines}reneg-sec 0\n");
    let mut pair = Pair::with([&client, &server]);
    pair.ends = [(1, &client), (2, &server)].map(|(number, lines)| End::with_sessions(1, number, lines, pair.now));
    pair.run(1);
    // The keys of the two sessions differ by their numbers only.
    pair.talk(10_000);
    assert_eq!((pair.count(0, "key 1"), pair.count(1, "key 1")), (1, 1), "{:#?}", pair.said());
    pair.loses = |to, datagram| to == 0 && datagram[0] == (Opcode::Control as u8) << 3 && datagram.len() < SHORT;
    let remote = pair.ends[0].address;
    pair.ends[1].peer.probe(pair.now, &[remote], true);
    pair.talk(12_000);
    assert_eq!((pair.count(0, "key 0"), pair.count(1, "key 0")), (1, 2), "{:#?}", pair.said());
    assert_eq!(pair.count(0, "soft reset, a new key"), 2, "{:#?}", pair.said());
    pair.talk(25_000);
    assert!(pair.ends.iter().all(|end| end.ended.is_none()), "{:#?}", pair.said());
    pair.loses = |_, _| false;
    pair.talk(25_000);
    assert_eq!((pair.count(0, "key 0"), pair.count(1, "key 0")), (2, 3), "the client asks for another session");
    assert!(pair.ends.iter().all(|end| end.ended.is_none()), "{:#?}", pair.said());
}

/// The client moved before the server's last message came, and went on with the session before. Its packets are what shows
/// where it is; not at once, because some of them may have been under way when it moved.
#[test]
fn who_still_uses_the_session_before_is_followed() {
    let lines = "float\nreneg-sec 0\n";
    let mut pair = Pair::with([lines, lines]);
    pair.run(1);
    pair.talk(2_000);
    pair.loses = |to, datagram| to == 0 && datagram[0] == (Opcode::Control as u8) << 3 && datagram.len() < SHORT;
    let before = pair.ends[0].address;
    pair.ends[1].peer.probe(pair.now, &[before], true);
    pair.wait(500);
    assert_eq!((pair.count(0, "key 0"), pair.count(1, "key 0")), (1, 2), "{:#?}", pair.said());
    pair.loses = |_, _| false;
    let after = "203.0.113.9:1194".parse().unwrap();
    pair.ends[0].address = after;
    for (pause, place) in [(100, before), (3_000, after)] {
        pair.wait(pause);
        pair.talk(10);
        assert_eq!(pair.ends[1].peer.address(), Some(place), "after {pause} ms");
    }
}
