//! An end left while the next key was being negotiated, and said so by the control channel under the current key. An
//! openvpn does not listen to that then, and took the end for one that had gone silent. Data packets always get through.

use super::*;

#[test]
fn an_exit_during_a_renegotiation_is_told_by_a_data_packet() {
    for (renegotiates, cause) in [(false, Cause::RemoteExit), (true, Cause::OccExit)] {
        for leaves in [0, 1] {
            let mut pair =
                Pair::with(["reneg-sec 4\nexplicit-exit-notify 2\n", "reneg-sec 0\nexplicit-exit-notify 2\n"]);
            pair.run(1);
            if renegotiates {
                pair.loses = |_, datagram| datagram[0] == (Opcode::Control as u8) << 3 | 1;
                pair.wait_for(leaves, "soft reset");
                pair.wait(100);
            }
            // Nobody ends of whom nothing was ever heard.
            pair.talk(1);
            pair.ends[leaves].peer.leave(pair.now, Reason::hard(Signal::Term));
            pair.wait(100);
            assert_eq!(pair.ends[1 - leaves].ended, Some(Reason::soft(Signal::Usr1, cause)), "{:#?}", pair.said());
            pair.wait(3_000);
            assert_eq!(pair.ends[leaves].ended, Some(Reason::soft(Signal::Term, Cause::ExitNotified)));
        }
    }
}

/// A board has room for one TLS session, and has given it to a greeting of a peer that had only been silent.
#[test]
fn an_exit_without_the_tls_session_is_told_by_a_data_packet() {
    let lines = "float\nreneg-sec 0\nexplicit-exit-notify 2\n";
    for (is_silent, cause) in [(false, Cause::RemoteExit), (true, Cause::OccExit)] {
        let mut pair = Pair::with([lines, lines]);
        pair.ends = [1, 2].map(|number| End::with_sessions(1, number, lines, pair.now));
        pair.run(1);
        if is_silent {
            pair.loses = |_, _| true;
            let remote = pair.ends[1].address;
            pair.wait(3_000);
            pair.ends[0].peer.probe(pair.now, &[remote], true);
            pair.wait(100);
            pair.loses = |_, _| false;
        }
        pair.talk(100);
        pair.ends[0].peer.leave(pair.now, Reason::hard(Signal::Term));
        pair.wait(100);
        assert_eq!(pair.ends[1].ended, Some(Reason::soft(Signal::Usr1, cause)), "{:#?}", pair.said());
        assert_eq!(pair.count(0, "Data Channel"), 1, "there is one session: {:#?}", pair.said());
    }
}

/// The peer hears the farewell and restarts at once, while this end still has a moment to live.
#[test]
fn who_leaves_takes_no_session() {
    let lines = "float\nexplicit-exit-notify 3\n";
    for leaves in [0, 1] {
        let mut pair = Pair::with([lines, lines]);
        pair.run(1);
        pair.talk(1);
        pair.ends[leaves].peer.leave(pair.now, Reason::hard(Signal::Term));
        pair.wait(100);
        assert!(pair.ends[1 - leaves].ended.is_some(), "{:#?}", pair.said());
        let there = pair.ends[leaves].address;
        pair.ends[1 - leaves].peer.connect(pair.now, &[there]);
        pair.wait(2_500);
        assert!(pair.ends[leaves].peer.is_leaving());
        assert_eq!(pair.count(1 - leaves, "Data Channel"), 1, "no second session: {:#?}", pair.said());
        pair.wait(1_000);
        assert_eq!(pair.ends[leaves].ended, Some(Reason::soft(Signal::Term, Cause::ExitNotified)));
    }
}
