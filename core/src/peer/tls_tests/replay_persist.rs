//! With `replay-persist` the newest control packet outlives the program (protocol section 2.7): what was recorded before a
//! restart begins no session after it. It was stored for static keys only at first, and nothing said so.

use super::*;

#[test]
fn recorded_greetings_are_worthless_after_a_restart() {
    const KEY: &str = include_str!("../../../../tests/vectors/count.key");
    let lines = format!("replay-persist file\n<tls-auth>\n{KEY}</tls-auth>\n");
    let mut pair = Pair::new(&lines);
    pair.drain();
    let recorded = pair.wire.iter().find(|(to, ..)| *to == 1).expect("a greeting").2.clone();
    pair.run(1);
    let (id, time) = pair.ends[1].peer.replay_state().expect("the link stands");
    assert!(id > 1 && u64::from(time) >= UNIX, "{id} of {time}");

    let greet = |end: &mut End, mut greeting: Vec<u8>, now| {
        end.peer.handle_datagram(now, SocketAddr::from(([192, 0, 2, 1], 1194)), &mut greeting).map(drop)
    };
    pair.now = pair.now + Duration::from_secs(10);
    let mut forgetful = End::new(2, &lines, pair.now);
    assert_eq!(greet(&mut forgetful, recorded.clone(), pair.now), Ok(()));
    let mut end = End::new(2, &lines, pair.now);
    end.peer.preset_replay(id, time);
    assert!(matches!(greet(&mut end, recorded, pair.now), Err(Discard::ControlReplay { .. })));

    // The peer itself is let in: it begins a new sequence.
    pair.ends = [End::new(1, &lines, pair.now), end];
    pair.ends[0].peer.set_unix_time(pair.now, UNIX + 10);
    pair.ends[0].peer.connect(pair.now, &[pair.ends[1].address]);
    pair.run(5);
    pair.talk(100);
    assert!(pair.ends[1].peer.replay_state().is_some_and(|(_, later)| later > time));
}
