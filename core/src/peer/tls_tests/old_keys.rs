//! What an end does with a key that has a successor (protocol section 3.13).

use super::*;

/// The datagram in which an end sends a packet now; it is not on its way.
fn sealed(pair: &mut Pair, from: usize) -> Vec<u8> {
    pair.send(from, b"x").unwrap_or_else(|error| panic!("{from}: {error}: {:#?}", pair.said()));
    pair.wire.pop().unwrap().2
}

/// Packets that were sent under the old key arrive late, one before its time is over, and one after that.
#[test]
fn the_old_key_opens_packets_until_tran_window_is_over() {
    let window = "hand-window 5\ntran-window 20\n";
    let mut pair = Pair::with([&format!("reneg-sec 30\n{window}"), &format!("reneg-sec 0\n{window}")]);
    pair.run(1);
    let late = [0, 1].map(|from| [(); 2].map(|()| sealed(&mut pair, from)));
    pair.wait_for(0, "soft reset");
    let arrive = |pair: &mut Pair, which: usize| {
        [0, 1].map(|from: usize| {
            let mut datagram = late[from][which].clone();
            let address = pair.ends[from].address;
            pair.ends[1 - from].peer.handle_datagram(pair.now, address, &mut datagram).map(|packet| packet.is_some())
        })
    };
    pair.run(19);
    assert_eq!([pair.count(0, "key 1"), pair.count(1, "key 1")], [1, 1]);
    assert_eq!(arrive(&mut pair, 0), [Ok(true); 2], "{:#?}", pair.said());
    pair.run(2);
    assert_eq!(arrive(&mut pair, 1), [Err(Discard::UnknownKey(0)); 2]);
    assert_eq!([pair.count(0, "key 2"), pair.count(1, "key 2")], [0, 0]);
}

/// The key ids of what an end sends half a second and so many whole seconds after the request for the key 1. What it
/// sends arrives if `arrives`.
fn key_ids(lines: [&str; 2], from: usize, arrives: bool) -> [u8; 5] {
    let mut pair = Pair::with(lines);
    let key_id = |datagram: &[u8]| Head::parse(datagram[0]).unwrap().key_id.get();
    pair.run(1);
    assert_eq!(key_id(&sealed(&mut pair, from)), 0);
    pair.wait_for(0, "soft reset");
    pair.wait(500);
    [(); 5].map(|()| {
        assert_eq!([pair.count(0, "key 1"), pair.count(1, "key 1")], [1, 1], "both ends have the new key");
        let datagram = sealed(&mut pair, from);
        let id = key_id(&datagram);
        if arrives {
            pair.wire.push((1 - from, pair.ends[from].address, datagram));
        }
        pair.wait(1000);
        id
    })
}

/// A key that is older than the switch-over time is used until its successor is, too; a younger one is not.
#[test]
fn the_older_of_two_settled_keys_is_sent_with_until_the_new_one_is_settled() {
    // Half of `reneg-sec` is 4 s, so 8 s are more, and the new key wins after 4 s.
    assert_eq!(key_ids(["reneg-sec 8\n", "reneg-sec 0\n"], 0, true), [0, 0, 0, 0, 1]);
    // `hand-window` counts if it is shorter.
    assert_eq!(key_ids(["reneg-sec 20\nhand-window 4\n", "reneg-sec 0\n"], 0, true), [0, 0, 0, 0, 1]);
    // 60 s, as long as `hand-window`: the old key has not reached that age.
    assert_eq!(key_ids(["reneg-sec 6\n", "reneg-sec 0\n"], 1, true), [1; 5]);
    assert_eq!(key_ids(["reneg-sec 6\n", "reneg-sec 0\nhand-window 4\n"], 1, true), [0, 0, 0, 0, 1]);
}

#[test]
fn an_end_whose_peer_uses_the_new_key_uses_it_as_well() {
    let mut pair = Pair::with(["reneg-sec 6\n", "reneg-sec 0\n"]);
    pair.run(1);
    pair.wait_for(0, "soft reset");
    pair.wait(500);
    assert_eq!(sealed(&mut pair, 0)[0] & 7, 0);
    pair.send(1, b"x").unwrap();
    pair.turn();
    assert_eq!(sealed(&mut pair, 0)[0] & 7, 1);
}

/// The server does not know yet that the client has the key, as it would never learn if that used the old one for ever.
#[test]
fn a_client_whose_last_acknowledgement_is_lost_goes_on_with_the_old_key() {
    fn is_for_key_1(to: usize, datagram: &[u8]) -> bool {
        to == 1 && datagram[0] == (Opcode::Ack as u8) << 3 | 1
    }
    let mut pair = Pair::with(["reneg-sec 0\n", "reneg-sec 6\n"]);
    pair.run(1);
    pair.wait_for(0, "soft reset");
    pair.loses = is_for_key_1;
    pair.wait_for(0, "key 1");
    for _ in 0..20 {
        assert_eq!(sealed(&mut pair, 0)[0] & 7, 0);
        pair.wait(100);
    }
    pair.loses = |_, _| false;
    pair.wait(1_500);
    assert_eq!(sealed(&mut pair, 0)[0] & 7, 1, "nobody uses the new key, but the time is over");
    pair.talk(100);
}
