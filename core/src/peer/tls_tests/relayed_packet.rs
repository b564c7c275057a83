//! The client's first packet was lost, and its repetition went through. Later somebody who had recorded the lost one sent
//! it from his own address. It is authentic, and it has not been seen before, so all control packets of the server went
//! to him from then on, and renegotiations failed. A packet that brings nothing new says nothing about where the peer is.

use super::*;

#[test]
fn a_lost_packet_from_elsewhere_moves_nothing() {
    const KEY: &str = include_str!("../../../../tests/vectors/count.key");
    let lines = |seconds| format!("reneg-sec {seconds}\nfloat\n<tls-auth>\n{KEY}</tls-auth>\n");
    let mut pair = Pair::with([&lines(0), &lines(4)]);
    pair.drain();
    let (_, _, mut lost) = pair.wire.remove(0);
    pair.run(1);
    let stranger = SocketAddr::from(([203, 0, 113, 66], 6666));
    assert_eq!(pair.ends[1].peer.handle_datagram(pair.now, stranger, &mut lost), Ok(None));
    pair.talk(10_000);
    assert_eq!(pair.count(0, "key 2"), 1, "{:#?}", pair.said());
}
