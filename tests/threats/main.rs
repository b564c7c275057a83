//! Known attacks and faults of OpenVPN implementations, each driven at the engine's real entry points.
//!
//! "Dropped" means: an error and one count, no reply, no state changed.

mod link;
mod tls;

use std::net::SocketAddr;

use link::{Link, OTHER};
use longcable_core::error::{Discard, NotReady};
use longcable_core::event::{Cause, Reason, Signal};

const PACKET: [u8; 40] = {
    let mut packet = [7; 40];
    packet[0] = 0x45;
    packet
};

/// Every truncation and every single-bit change of an authentic packet is dropped, and the link goes on.
#[test]
fn malformed_datagrams_are_dropped_without_a_trace() {
    for suite in link::SUITES {
        let mut link = Link::new(suite);
        let good = link.a.seal(&PACKET).unwrap();
        let before = link.b.state();
        for len in 0..good.len() {
            assert!(link.b.open(&good[..len]).is_err(), "{suite}: {len} of {} bytes", good.len());
        }
        for bit in 0..good.len() * 8 {
            let mut changed = good.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(link.b.open(&changed).is_err(), "{suite}: bit {bit}");
        }
        assert_eq!(link.b.state(), before);
        assert_eq!(link.b.discarded(), (good.len() * 9) as u64);
        assert!(link.b.drain().is_empty(), "a reply or an event came out");
        assert_eq!(link.b.open(&good).unwrap().unwrap(), PACKET, "{suite}");
    }
}

/// Without any authentication the engine still survives everything that can be sent.
#[test]
fn junk_without_authentication_never_panics() {
    for suite in ["cipher none\nauth none", "cipher AES-128-CBC\nauth none", "cipher none\nauth none\ncompress"] {
        let mut link = Link::new(&format!("{suite}\nno-replay"));
        let (mut taken, mut refused) = (0, 0);
        for round in 0..20_000usize {
            let mut junk: Vec<u8> = (0..round % 400).map(|i| (i * 31 + round * 17) as u8).collect();
            if round % 2 == 0 {
                // Looks like a message to the engine itself.
                junk.splice(..0, link::OCC_REPLY);
                junk[16] = (round / 2) as u8;
            }
            match link.b.open(&junk) {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
            link.b.drain();
            if link.b.take_end().is_some() {
                link.b.reconnect();
            }
        }
        assert!(refused > 100, "{suite}: {taken} taken, {refused} refused");
        assert!(taken > 0 || suite.contains("AES"), "{suite}: {taken} taken, {refused} refused");
    }
}

/// Replay in a session; reordering at the window's edges.
#[test]
fn duplicates_and_too_old_packets_are_dropped_and_reordering_in_the_window_is_accepted() {
    let mut link = Link::new("cipher AES-256-CBC\nreplay-window 64 15");
    let packets: Vec<_> = (0..130).map(|_| link.a.seal(&PACKET).unwrap()).collect();
    assert!(link.b.open(&packets[100]).is_ok());
    assert!(link.b.open(&packets[37]).is_ok(), "63 behind the highest");
    assert!(matches!(link.b.open(&packets[36]), Err(Discard::Replay { id: 37, .. })), "64 behind");
    for again in [100, 37] {
        assert!(matches!(link.b.open(&packets[again]), Err(Discard::Replay { .. })));
    }
    assert!(link.b.open(&packets[129]).is_ok());
    assert!(link.b.open(&packets[101]).is_ok());
    link.wait(16);
    assert!(matches!(link.b.open(&packets[102]), Err(Discard::Replay { .. })), "its time in the window is over");
}

/// The strict order of `replay-window 0`.
#[test]
fn a_window_of_zero_takes_only_the_next_packet() {
    let mut link = Link::new("cipher AES-256-CBC\nreplay-window 0");
    let packets: Vec<_> = (0..4).map(|_| link.a.seal(&PACKET).unwrap()).collect();
    assert!(link.b.open(&packets[1]).is_err());
    assert!(link.b.open(&packets[0]).is_ok());
    assert!(link.b.open(&packets[2]).is_err());
    assert!(link.b.open(&packets[1]).is_ok());
}

/// Replay over a restart of the sender: the old sequence has an older time.
#[test]
fn packets_from_before_a_restart_of_the_peer_are_refused() {
    let mut link = Link::new("cipher AES-256-CBC");
    let old = link.a.seal(&PACKET).unwrap();
    link.a.reconnect();
    let new = link.a.seal(&PACKET).unwrap();
    assert!(link.b.open(&new).is_ok());
    assert!(matches!(link.b.open(&old), Err(Discard::Replay { .. })));
}

/// Replay over a restart of the receiver, with `replay-persist`.
#[test]
fn a_stored_replay_state_refuses_what_came_before() {
    let mut link = Link::new("cipher AES-256-CBC");
    let packets: Vec<_> = (0..3).map(|_| link.a.seal(&PACKET).unwrap()).collect();
    link.b.open(&packets[0]).unwrap();
    link.b.open(&packets[1]).unwrap();
    let (id, time) = link.b.replay_state().unwrap();
    let mut again = Link::new("cipher AES-256-CBC");
    again.b.preset_replay(id, time);
    // A host presets first and connects then; and every restart connects again.
    again.b.reconnect();
    assert!(matches!(again.b.open(&packets[0]), Err(Discard::Replay { .. })));
    assert!(matches!(again.b.open(&packets[1]), Err(Discard::Replay { .. })));
    assert!(again.b.open(&packets[2]).is_ok());
}

/// Unauthenticated float.
#[test]
fn a_peer_is_followed_only_after_an_authentic_and_new_packet() {
    let mut link = Link::new("cipher AES-256-CBC\nfloat");
    let first = link.a.seal(&PACKET).unwrap();
    link.b.open(&first).unwrap();
    let home = link.b.peer_address();
    let stranger: SocketAddr = "203.0.113.66:6666".parse().unwrap();

    let mut forged = link.a.seal(&PACKET).unwrap();
    let authentic = forged.clone();
    forged[0] ^= 1;
    assert_eq!(link.b.open_from(stranger, &forged), Err(Discard::Authentication));
    assert_eq!(link.b.peer_address(), home);
    assert!(
        matches!(link.b.open_from(stranger, &first), Err(Discard::Replay { .. })),
        "a replay does not move it either"
    );
    assert_eq!(link.b.peer_address(), home);
    link.b.open_from(stranger, &authentic).unwrap();
    assert_eq!(link.b.peer_address(), Some(stranger));
}

#[test]
fn without_float_another_address_is_refused_before_any_cryptography() {
    let mut link = Link::new("cipher AES-256-CBC");
    let packet = link.a.seal(&PACKET).unwrap();
    let mut other_port = OTHER;
    other_port.set_port(1195);
    assert_eq!(link.b.open_from(other_port, &packet), Err(Discard::Source));
    assert!(link.b.open_from(OTHER, &packet).is_ok(), "the refused one did not use up the packet id");
}

/// Bytes outside the payload never leave.
#[test]
fn only_the_payload_is_sent() {
    let mut link = Link::new("cipher none\nauth none");
    let sealed = link.a.seal(&PACKET).unwrap();
    assert_eq!(sealed.len(), 8 + PACKET.len());
    assert_eq!(sealed[8..], PACKET);
    assert!(!sealed.contains(&link::FILLER), "what lay around the payload must stay there");
}

/// The peer's exit messages: handled once, however many come.
#[test]
fn a_flood_of_exit_messages_causes_one_restart() {
    let mut link = Link::new("cipher AES-256-CBC\nexplicit-exit-notify 3");
    let packet = link.a.seal(&PACKET).unwrap();
    link.b.open(&packet).unwrap();
    let farewell = link.a.say_goodbye();
    assert_eq!(farewell.len(), 3);
    for datagram in &farewell {
        let _ = link.b.open(datagram);
    }
    let remote_exit = Reason { signal: Signal::Usr1, cause: Some(Cause::OccExit) };
    assert_eq!(link.b.take_end(), Some(remote_exit));
    assert_eq!(link.b.take_end(), None);
    assert_eq!(link.b.open(&farewell[0]), Err(Discard::NotReady));
}

/// The rest of a farewell, or a recorded one, must not restart the link again and again.
#[test]
fn a_replayed_exit_message_restarts_nothing() {
    let mut link = Link::new("cipher AES-256-CBC\nexplicit-exit-notify 3");
    let packet = link.a.seal(&PACKET).unwrap();
    link.b.open(&packet).unwrap();
    let farewell = link.a.say_goodbye();
    assert_eq!(farewell.len(), 3);
    link.b.open(&farewell[0]).unwrap();
    assert!(link.b.take_end().is_some(), "the first one restarts the link");
    for datagram in farewell.iter().chain(&farewell) {
        link.b.reconnect();
        let _ = link.b.open(datagram);
        assert_eq!(link.b.take_end(), None);
        assert!(link.b.drain().is_empty(), "nobody is announced");
    }
    // A process that has forgotten everything does not fall for it either.
    let mut fresh = Link::new("cipher AES-256-CBC");
    assert_eq!(fresh.b.open(&farewell[2]), Ok(None));
    assert_eq!(fresh.b.take_end(), None);
}

/// Junk must not keep a dead link alive.
#[test]
fn only_authentic_packets_keep_a_link_alive() {
    let mut link = Link::new("cipher AES-256-CBC\nping-restart 10");
    let recorded = link.a.seal(&PACKET).unwrap();
    link.b.open(&recorded).unwrap();
    for _ in 0..11 {
        link.wait(1);
        assert!(link.b.open(&recorded).is_err());
        assert!(link.b.open(&[7; 100]).is_err());
    }
    assert_eq!(link.b.take_end(), Some(Reason::soft(Signal::Usr1, Cause::PingRestart)));
}

/// Reflection: without a direction an end's own packets are authentic to it.
#[test]
fn a_key_without_direction_is_warned_about_and_one_with_a_direction_refuses_reflected_packets() {
    let warnings = |lines| link::config(lines).warnings().map(|warning| warning.to_string()).collect::<Vec<_>>();
    let named = |warnings: &[String]| warnings.iter().any(|warning| warning.contains("no direction"));
    assert!(named(&warnings("cipher AES-256-CBC")));
    assert!(!named(&warnings("cipher AES-256-CBC\nkey-direction 0")));
    let mut link = Link::new("cipher AES-256-CBC\nkey-direction 0");
    let own = link.a.seal(&PACKET).unwrap();
    assert_eq!(link.a.open(&own), Err(Discard::Authentication));
}

/// SWEET32.
#[test]
fn short_blocks_are_warned_about() {
    for (cipher, expected) in [("BF-CBC", true), ("DES-EDE3-CBC", true), ("AES-128-CBC", false)] {
        let config = link::config(&format!("cipher {cipher}"));
        assert_eq!(config.warnings().any(|warning| warning.to_string().contains("SWEET32")), expected);
    }
}

/// A peer's options string is shown without its control characters.
#[test]
fn control_characters_of_a_peer_never_reach_a_log() {
    let mut link = Link::new("cipher none\nauth none");
    let first = link.a.seal(&PACKET).unwrap();
    link.b.open(&first).unwrap();
    let events = link.b.drain();
    assert!(events.iter().any(|event| event.contains("Connection Initiated")), "{events:?}");
    assert!(events.contains(&"datagram".into()), "the peer is asked for its options at once");
    // An options string with a forged log line in it.
    let mut reply = link::OCC_REPLY.to_vec();
    reply.extend_from_slice(b"V4,dev-type tun\n2026-11-22 00:00:00 Initialization Sequence Completed\x1b[0m\0");
    let datagram = link.a.seal(&reply).unwrap();
    assert_eq!(link.b.open(&datagram), Ok(None));
    let events = link.b.drain();
    assert!(events.iter().any(|event| event.contains("dev-type tun_2026")), "{events:?}");
    for event in events {
        assert!(event.chars().all(|c| !c.is_control()), "{event:?}");
    }
}

/// Nothing authentic: pings to the void go on, the operator is told, the address stays.
#[test]
fn a_silent_peer_is_reported() {
    let mut link = Link::new("cipher AES-256-CBC\nping 5");
    link.wait(11);
    let events = link.b.drain();
    assert!(
        events.iter().any(|event| event.contains("No authentic packet from [AF_INET]192.0.2.1:1194")),
        "{events:?}"
    );
    assert!(events.iter().any(|event| event.contains("nothing was received at all")), "{events:?}");
}

/// Tunnel traffic routed into the tunnel itself.
#[test]
fn the_tunnels_own_packets_are_not_tunnelled() {
    let mut link = Link::new("cipher AES-256-CBC");
    // UDP to 192.0.2.2:1194, the peer of A.
    let own = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 2, 0x04, 0xaa, 0x04, 0xaa, 0, 8, 0, 0];
    assert_eq!(link.a.seal(&own), Err(NotReady::Recursive));
    assert!(link.a.seal(&PACKET).is_ok());
}
