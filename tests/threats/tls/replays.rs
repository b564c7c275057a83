//! Recorded packets, and packets from elsewhere.

use longcable_core::error::Discard;
use longcable_core::tls::Role;
use longcable_core::wire::opcode::Opcode;

use super::hostile::{Forger, hard_reset, head};
use super::world::{ADDRESSES, CLIENT, Datagram, SERVER, STRANGER, World, address};
use super::wrappings;

const PACKET: [u8; 40] = {
    let mut packet = [7; 40];
    packet[0] = 0x45;
    packet
};

fn is_data(datagram: &Datagram) -> bool {
    matches!(datagram.bytes[0] >> 3, 6 | 9)
}

/// Repeats everything that an end has ever sent to its peer, from this address; returns how many the peer took.
fn repeat(world: &mut World, sender: usize, from: &str) -> usize {
    let recorded = world.ends[sender].sent.clone();
    let (now, victim) = (world.now, &mut world.ends[1 - sender]);
    recorded.iter().filter(|datagram| victim.receive(now, address(from), &datagram.bytes).is_ok()).count()
}

/// A recorded handshake against the live session it led to, against the next one, and from elsewhere.
#[test]
fn a_recorded_handshake_disturbs_no_live_session() {
    for lines in wrappings::ALL.iter() {
        let mut world = lines.with("float").world();
        world.run(500);
        world.assert_works();
        let old = world.ends[CLIENT].sent.clone();
        // The client restarts: now the recording is of an earlier session.
        let now = world.now;
        world.run(5_000);
        let home = address(ADDRESSES[CLIENT]);
        world.ends[CLIENT].reboot(now, home);
        world.ends[CLIENT].forget();
        world.run(5_000);
        world.assert_works();
        let sessions = world.ends[SERVER].count("Data Channel");
        for sender in [CLIENT, SERVER] {
            for from in [ADDRESSES[sender], STRANGER] {
                let answers = world.ends[1 - sender].sent.len();
                let recorded = world.ends[sender].sent.len();
                let taken = repeat(&mut world, sender, from);
                // The server's greeting of the session before is unknown to this one.
                let most = if sender == SERVER { 1 } else { 0 };
                assert!(lines.is_open() || taken <= most, "{}: {taken} repeated packets are taken", lines.name);
                assert!(world.ends[1 - sender].sent.len() - answers <= recorded, "{}: many answers", lines.name);
                world.assert_works();
            }
        }
        for from in [ADDRESSES[CLIENT], STRANGER] {
            let answers = world.ends[SERVER].sent.len();
            for datagram in &old {
                let _ = world.ends[SERVER].receive(world.now, address(from), &datagram.bytes);
                world.assert_works();
            }
            // The reset is answered, and the answer repeated until the time for it is over.
            world.run(70_000);
            let answers = world.ends[SERVER].sent.len() - answers;
            assert!(answers <= 10, "{}: {answers} answers", lines.name);
            assert_eq!(world.ends[SERVER].peer_address(), Some(home), "{}", lines.name);
            world.assert_works();
        }
        // At the most the two ends themselves have begun another session.
        let sessions = world.ends[SERVER].count("Data Channel") - sessions;
        assert!(sessions <= 2, "{}: {sessions} sessions", lines.name);
        for end in &world.ends {
            assert_eq!(end.restarts, [], "{}", lines.name);
        }
    }
}

/// A repeated control packet is refused where it is authenticated, and acknowledged again where it is not.
#[test]
fn a_repeated_control_packet_changes_nothing() {
    for lines in wrappings::ALL.iter() {
        let mut world = lines.world();
        let mut repeated = 0;
        let is_open = lines.is_open();
        // Every packet of the handshake arrives twice.
        for _ in 0..400 {
            world.run(1);
            for sender in [CLIENT, SERVER] {
                let Some(last) = world.ends[sender].sent.last().cloned() else { continue };
                let now = world.now;
                let result = world.ends[1 - sender].receive(now, last.from, &last.bytes);
                if let Err(Discard::ControlReplay { id, .. }) = result {
                    assert!(id > 0);
                    repeated += 1;
                }
            }
        }
        assert_eq!(repeated > 100, !is_open, "{}: {repeated} refused", lines.name);
        world.assert_works();
        for end in &world.ends {
            assert_eq!((end.count("Data Channel"), end.count("Error")), (1, 0), "{}: {:?}", lines.name, end.said);
        }
    }
}

/// The window of the data channel: 64 packets, 15 s.
#[test]
fn data_is_taken_once_and_not_too_late() {
    for cipher in ["AES-256-GCM", "CHACHA20-POLY1305", "AES-256-CBC", "AES-128-CFB"] {
        let mut world = World::connected(&format!("data-ciphers {cipher}\nauth SHA256"));
        let mut packets = Vec::new();
        for _ in 0..130 {
            packets.push(world.ends[CLIENT].seal(world.now, &PACKET).unwrap());
        }
        let open = |world: &mut World, number: usize| {
            let now = world.now;
            world.ends[SERVER].receive(now, packets[number].from, &packets[number].bytes)
        };
        let is_replay = |result| matches!(result, Err(Discard::Replay { .. }));
        assert!(open(&mut world, 100).is_ok());
        assert!(open(&mut world, 37).is_ok(), "{cipher}: 63 behind the highest");
        assert!(is_replay(open(&mut world, 36)), "{cipher}: 64 behind");
        for again in [100, 37] {
            assert!(is_replay(open(&mut world, again)), "{cipher}");
        }
        assert!(open(&mut world, 129).is_ok());
        assert!(open(&mut world, 101).is_ok());
        assert!(is_replay(open(&mut world, 65)), "{cipher}: 64 behind");
        world.run(16_000);
        assert!(is_replay(open(&mut world, 102)), "{cipher}: its time in the window is over");
        world.assert_works();
    }
}

/// The window of the control channel, at its edges: an attacker who holds packets back.
#[test]
fn control_packets_are_taken_once_and_not_too_late() {
    for lines in wrappings::keyed() {
        let mut world = lines.with("reneg-sec 0\nprobe-interval 0").world();
        world.run(500);
        world.assert_works();
        // The client repeats its greeting with a new packet id each time, as nobody answers.
        world.passes = Box::new(|_| false);
        let (now, home) = (world.now, address(ADDRESSES[CLIENT]));
        world.ends[CLIENT].reboot(now, home);
        world.ends[CLIENT].forget();
        world.run(40_000);
        let greetings = world.ends[CLIENT].sent.clone();
        assert_eq!(greetings.len(), 5, "{}", lines.name);
        let open = |world: &mut World, number: usize| {
            let now = world.now;
            world.ends[SERVER].receive(now, home, &greetings[number].bytes)
        };
        let is_replay = |result| matches!(result, Err(Discard::ControlReplay { .. }));
        assert!(open(&mut world, 2).is_ok(), "{}", lines.name);
        assert!(open(&mut world, 0).is_ok(), "{}: late, but not too late", lines.name);
        for again in [2, 0] {
            assert!(is_replay(open(&mut world, again)), "{}", lines.name);
        }
        assert!(open(&mut world, 4).is_ok());
        world.run(16_000);
        assert!(is_replay(open(&mut world, 3)), "{}: its time in the window is over", lines.name);
    }
}

/// Unauthenticated float, and another one's peer id.
#[test]
fn a_peer_is_followed_only_after_an_authentic_and_new_packet() {
    for (lines, is_covered) in [("", true), ("data-ciphers AES-256-CBC", false)] {
        let mut world = World::connected(&format!("float\n{lines}"));
        let home = Some(address(ADDRESSES[CLIENT]));
        let first = world.ends[CLIENT].seal(world.now, &PACKET).unwrap();
        let open = |world: &mut World, bytes: &[u8]| {
            let now = world.now;
            world.ends[SERVER].receive(now, address(STRANGER), bytes)
        };
        // As it went by.
        let (now, from) = (world.now, first.from);
        world.ends[SERVER].receive(now, from, &first.bytes).unwrap();
        assert!(matches!(open(&mut world, &first.bytes), Err(Discard::Replay { .. })));
        let next = world.ends[CLIENT].seal(world.now, &PACKET).unwrap();
        for bit in 0..next.bytes.len() * 8 {
            let mut changed = next.bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let result = open(&mut world, &changed);
            assert!(result.is_err(), "bit {bit}: {result:?}");
            assert_eq!(world.ends[SERVER].peer_address(), home, "bit {bit}");
        }
        // Another peer's id, none, and no room for one.
        let mut headers = vec![vec![0x48, 0, 0, 0], vec![0x48, 0, 0, 1]];
        if is_covered {
            headers.extend([vec![0x48, 0xff, 0xff, 0xff], vec![0x30]]);
        }
        for header in headers {
            let result = open(&mut world, &[&header, &next.bytes[4..]].concat());
            assert!(matches!(result, Err(Discard::UnknownKey(0) | Discard::Authentication)), "{header:?} {result:?}");
            assert_eq!(world.ends[SERVER].peer_address(), home);
        }
        // Control packets as well.
        for _ in 0..2 {
            repeat(&mut world, CLIENT, STRANGER);
            assert_eq!(world.ends[SERVER].peer_address(), home);
        }
        world.assert_works();
        // The peer itself has moved.
        let moved = world.ends[CLIENT].seal(world.now, &PACKET).unwrap();
        open(&mut world, &moved.bytes).unwrap();
        assert_eq!(world.ends[SERVER].peer_address(), Some(address(STRANGER)));
    }
}

/// Without `float`, nothing from elsewhere is even looked at.
#[test]
fn without_float_another_address_is_refused_before_any_cryptography() {
    for lines in wrappings::ALL.iter() {
        let mut world = lines.world();
        world.run(500);
        let packet = world.ends[CLIENT].seal(world.now, &PACKET).unwrap();
        let reset = Forger::plain(*b"attacker").reset(Opcode::HardResetClientV2);
        for bytes in [&packet.bytes, &reset, &world.ends[CLIENT].sent[0].bytes.clone()] {
            let now = world.now;
            assert_eq!(world.ends[SERVER].receive(now, address(STRANGER), bytes), Err(Discard::Source));
        }
        let now = world.now;
        assert!(world.ends[SERVER].receive(now, packet.from, &packet.bytes).is_ok(), "its packet id is not used up");
    }
}

/// Reflection: an end's own packets, also with a key without a direction.
#[test]
fn an_ends_own_packets_are_refused() {
    for lines in wrappings::ALL.iter() {
        for when in [1, 3, 500] {
            let mut world = lines.world();
            world.run(when);
            for end in [CLIENT, SERVER] {
                let (now, from) = (world.now, address(ADDRESSES[1 - end]));
                let mut own = world.ends[end].sent.clone();
                own.extend(world.ends[end].seal(now, &PACKET));
                for datagram in own {
                    let before = world.ends[end].sent.len();
                    let result = world.ends[end].receive(now, from, &datagram.bytes);
                    assert!(
                        matches!(
                            result,
                            Err(Discard::Role(_)
                                | Discard::UnknownSession
                                | Discard::UnknownKey(_)
                                | Discard::Authentication
                                | Discard::ControlAuthentication
                                | Discard::ControlMalformed)
                        ),
                        "{}: {result:?}",
                        lines.name
                    );
                    assert_eq!(world.ends[end].sent.len(), before, "an answer");
                }
            }
            world.run(1_000);
            world.assert_works();
        }
    }
}

/// A stranger who only pretends to be at the peer's address gets no more out of an end than a few packets.
#[test]
fn an_unproven_address_gets_few_packets() {
    for (end, role) in [(CLIENT, Role::Server), (SERVER, Role::Client)] {
        let mut world = World::connected("float");
        let before = world.ends[end].sent.len();
        let mut forger = Forger::plain(*b"attacker");
        let question = forger.reset(hard_reset(role));
        world.run(5_000);
        for id in 1..50 {
            let data = forger.packet(head(Opcode::Control, 0), &[], None, Some(id), &[0x16; 1_200]);
            let now = world.now;
            let _ = world.ends[end].receive(now, address(STRANGER), &question);
            let _ = world.ends[end].receive(now, address(STRANGER), &data);
        }
        world.run(58_000);
        let answers = &world.ends[end].sent[before..];
        let to_stranger = answers.iter().filter(|datagram| datagram.to == address(STRANGER));
        let bytes: usize = to_stranger.clone().map(|datagram| datagram.bytes.len()).sum();
        assert!(to_stranger.count() <= 60 && bytes < 60 * 30, "{bytes} bytes");
        assert!(answers.iter().filter(|datagram| is_data(datagram)).all(|datagram| datagram.to != address(STRANGER)));
        world.assert_works();
    }
}
