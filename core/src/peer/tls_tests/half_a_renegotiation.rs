//! A renegotiation ended at the server, but its key message never reached the client. In the end the client gave up,
//! and acknowledged the next repetition of that message all the same, as those of a key that is long gone. Thus the
//! server took the key for agreed and used it, and the client could open nothing.
//!
//! Before, the server had asked for the next key in vain, when the client was not even done with this one. And when
//! the client began another session, neither end sent anything until that was acknowledged, although the old keys
//! worked, or they sent with a key that one end never had.

use super::*;

#[test]
fn a_key_that_one_end_lacks_is_not_used_and_the_link_heals() {
    let mut pair = Pair::with(["reneg-sec 4\nhand-window 10\n", "reneg-sec 6 6\nhand-window 10\n"]);
    pair.run(1);
    // Of what the server sends under the key 2, its key message is shorter than the pieces of the handshake.
    const SHORT: usize = 600;
    pair.loses = |to, datagram| to == 0 && datagram[0] == (Opcode::Control as u8) << 3 | 2 && datagram.len() < SHORT;
    pair.talk(17_000);
    assert_eq!((pair.count(0, "key 2"), pair.count(1, "key 2")), (0, 1));
    assert_eq!(pair.count(1, "soft reset, a new key"), 0, "the client could not follow");
    // The client gives up, and the key message gets through; its new session does not, at first.
    pair.loses = |_, datagram| Head::parse(datagram[0]).is_some_and(|head| head.opcode.is_hard_reset());
    pair.talk(5_500);
    assert_eq!(pair.count(0, "key negotiation failed"), 1);
    pair.loses = |_, _| false;
    pair.talk(10_000);
    assert_eq!((pair.count(0, "key 0"), pair.count(1, "key 0")), (2, 2), "there is another session");
    assert!(pair.ends.iter().all(|end| end.ended.is_none()));
}
