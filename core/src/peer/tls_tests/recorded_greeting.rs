//! The client had lost its power. The server, behind a NAT that lets nobody in, looked for it. Somebody at the client's old
//! address repeated a greeting that had been recorded there, which was taken for the answer. From then on the server's
//! greetings acknowledged it, and the client, a new process at a new address, refused them all for the hand-window.

use super::*;

#[test]
fn a_recorded_greeting_does_not_spoil_those_of_the_server() {
    let mut before = Pair::new("float\n");
    before.ends[0].peer.rng = Dice(55);
    before.ends[0].peer.connect(before.now, &[before.ends[1].address]);
    before.drain();
    let mut recorded = before.wire.iter().find(|(to, ..)| *to == 1).expect("a greeting").2.clone();

    let mut pair = Pair::new("float\n");
    pair.run(1);
    pair.wait(4_000);
    let old = pair.ends[0].address;
    pair.ends[0] = End::new(1, "float\n", pair.now);
    pair.ends[0].peer.rng = Dice(77);
    pair.ends[0].address = SocketAddr::from(([192, 0, 2, 77], 1194));
    let [client, server] = pair.ends.each_ref().map(|end| end.address);
    pair.ends[0].peer.connect(pair.now, &[server]);
    // The NAT.
    pair.loses = |to, _| to == 1;

    pair.ends[1].peer.probe(pair.now, &[old], true);
    pair.turn();
    assert_eq!(pair.ends[1].peer.handle_datagram(pair.now, old, &mut recorded).map(drop), Ok(()));
    pair.turn();
    assert_eq!(pair.count(1, "TLS: Initial packet from [AF_INET]192.0.2.1:1194"), 2);
    pair.wait(3_500);
    let refused = pair.count(0, "Unroutable control packet");
    pair.loses = |_, _| false;
    pair.ends[1].peer.probe(pair.now, &[client], true);
    pair.wait(100);
    assert_eq!(pair.count(0, "Unroutable control packet"), refused, "{:#?}", pair.said());
    assert_eq!((pair.count(0, "Data Channel"), pair.count(1, "Data Channel")), (1, 2), "{:#?}", pair.said());
}
