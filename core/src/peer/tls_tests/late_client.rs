//! A server that waits for its client, because it does not know the address or has a tls-crypt-v2 key, had started a
//! second after the client had lost it. Half a minute later the client gave the silent link up, began again after a
//! second, and in the midst of the handshake the server found that it had heard nothing for half a minute and started
//! anew, too. So it went on for ever, for both have the same rhythm. A handshake is no silence.

use super::*;

#[test]
fn ping_restart_does_not_break_a_handshake() {
    let mut pair = Pair::new("ping 5\nping-restart 30\n");
    pair.ends[0].peer.disconnect();
    pair.ends[1].peer.connect(pair.now, &[]);
    pair.wait(29_998);
    pair.ends[0].peer.connect(pair.now, &[pair.ends[1].address]);
    pair.wait(100);
    assert_eq!(pair.ends[1].ended, None);
    pair.talk(1_000);
}
