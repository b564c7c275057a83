//! The server had all it needed for a key, and the last message of the negotiation, its own, was lost again and again. It
//! heard nothing under that key, took the client for silent and offered it another session, which took the place of the
//! one that the client was still waiting to end. On a network that loses a third of all packets, that went on until
//! `ping-restart`. The repetition of a message that is lost is what helps.

use super::*;
use crate::wire::opcode::Opcode;

#[test]
fn a_session_that_one_end_has_not_finished_is_not_replaced_by_a_greeting() {
    let mut pair = Pair::new("ping 1\nreneg-sec 3600\n");
    // The key message is shorter than the pieces of the handshake.
    const SHORT: usize = 600;
    pair.loses = |to, datagram| to == 0 && datagram[0] >> 3 == Opcode::Control as u8 && datagram.len() < SHORT;
    pair.wait(6_000);
    assert_eq!((pair.count(0, "Data Channel"), pair.count(1, "Data Channel")), (0, 1));
    let client = pair.ends[0].address;
    pair.ends[1].peer.probe(pair.now, &[client], true);
    pair.wait(500);
    pair.loses = |_, _| false;
    pair.wait(20_000);
    assert_eq!((pair.count(0, "Data Channel: "), pair.count(0, "Initial packet")), (1, 1), "{:#?}", pair.said());
}
