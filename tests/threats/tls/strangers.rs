//! Attackers without any key, who record, repeat, forge and flood.

use std::net::SocketAddr;

use longcable_core::event::{Cause, Reason, Signal};
use longcable_core::tls::Role;
use longcable_core::wire::control::SessionId;
use longcable_core::wire::opcode::Opcode;

use super::hostile::{Forger, hard_reset, head};
use super::world::{ADDRESSES, CLIENT, End, SERVER, STRANGER, World, address};
use super::wrappings;

const GARBAGE: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// The role of the peer of an end.
const PEER: [Role; 2] = [Role::Server, Role::Client];

fn peer_of(end: usize) -> SocketAddr {
    address(ADDRESSES[1 - end])
}

/// A new session id each time.
fn sid(number: u64) -> [u8; 8] {
    (number + 1).to_be_bytes()
}

/// What one end has sent first: its hard reset.
fn first_datagram(end: &End) -> Vec<u8> {
    end.sent.first().expect("it has begun").bytes.clone()
}

/// The session ids of a pair without a wrapping, client first.
fn session_ids(world: &World) -> [SessionId; 2] {
    [CLIENT, SERVER].map(|end| {
        let control = world.ends[end].sent.iter().rfind(|datagram| datagram.bytes[0] >> 3 == 4).expect("a handshake");
        SessionId::new(control.bytes[1..9].try_into().unwrap()).unwrap()
    })
}

/// Somebody who can fake a sender's address says hello before the peer does, and goes on with rubbish.
#[test]
fn rubbish_before_the_handshake_does_not_spoil_it() {
    for victim in [CLIENT, SERVER] {
        let mut world = World::pair("");
        world.ends[victim].drain(world.now);
        let mut forger = Forger::plain(*b"attacker");
        let hello = forger.reset(hard_reset(PEER[victim]));
        let rubbish = forger.packet(head(Opcode::Control, 0), &[], None, Some(1), GARBAGE);
        for datagram in [hello, rubbish] {
            let _ = world.ends[victim].receive(world.now, peer_of(victim), &datagram);
        }
        world.run(3_000);
        world.assert_works();
        for end in &world.ends {
            assert_eq!((end.count("TLS Error"), end.restarts.len()), (0, 0), "{victim}: {:?}", end.said);
        }
    }
}

/// A forged answer while the server is away must not make the client's own greeting worthless.
#[test]
fn a_forged_answer_does_not_keep_a_client_from_its_server() {
    let mut world = World::pair_of("", "");
    world.ends[SERVER] = End::new(Role::Server, "");
    world.passes = Box::new(|_| false);
    world.run(100);
    let answer = Forger::plain(*b"attacker").reset(Opcode::HardResetServerV2);
    let _ = world.ends[CLIENT].receive(world.now, peer_of(CLIENT), &answer);
    world.run(4_000);
    world.passes = Box::new(|_| true);
    world.run(20_000);
    assert!(world.ends[CLIENT].restarts.is_empty(), "{:?}", world.ends[CLIENT].said);
    world.assert_works();
}

/// Somebody says hello, always under another name, before every datagram of the real peer, who starts at the same
/// time or restarts.
#[test]
fn a_flood_of_resets_does_not_keep_the_peer_out() {
    for victim in [CLIENT, SERVER] {
        let mut world = World::pair("");
        let mut number = 0;
        world.attack = Some(Box::new(move |end, now| {
            if end.address == address(ADDRESSES[victim]) {
                number += 1;
                let forged = Forger::plain(sid(number)).reset(hard_reset(PEER[victim]));
                let _ = end.receive(now, peer_of(victim), &forged);
            }
        }));
        world.run(10_000);
        world.assert_works();
        for _ in 0..2 {
            let (now, peer) = (world.now, 1 - victim);
            let home = world.ends[peer].address;
            world.ends[peer].reboot(now, home);
            world.run(10_000);
            world.assert_works();
        }
    }
}

/// What the host learns of the peer's address, for its scripts, is where the handshake is made.
#[test]
fn a_greeting_from_elsewhere_is_not_taken_for_the_peers() {
    let mut world = World::pair_of("", "float");
    world.attack = Some(Box::new(|end, now| {
        if end.address == address(ADDRESSES[SERVER]) {
            let _ = end.receive(now, address(STRANGER), &Forger::plain(*b"attacker").reset(Opcode::HardResetClientV2));
        }
    }));
    world.run(10_000);
    world.assert_works();
    let told: Vec<_> = world.ends[SERVER].said.iter().filter(|line| line.contains("Initial packet")).collect();
    assert!(told.first().is_some_and(|line| line.contains("[AF_INET]203.0.113.66:6666")), "{told:?}");
    assert!(told.last().is_some_and(|line| line.contains("[AF_INET]192.0.2.1:1194")), "{told:?}");
}

/// The same with a key for the control channel: then a stranger has only recordings.
#[test]
fn a_flood_of_recorded_resets_does_not_keep_the_peer_out() {
    for lines in wrappings::keyed() {
        let mut world = lines.world();
        let mut recorded = Vec::new();
        for _ in 0..4 {
            world.run(2_000);
            recorded.push(first_datagram(&world.ends[CLIENT]));
            let (now, client) = (world.now, &mut world.ends[CLIENT]);
            client.reboot(now, client.address);
            client.forget();
        }
        world.run(1_000);
        world.assert_works();
        let mut turn = 0;
        world.attack = Some(Box::new(move |end, now| {
            if end.address == address(ADDRESSES[SERVER]) {
                turn += 1;
                let _ = end.receive(now, peer_of(SERVER), &recorded[turn % recorded.len()]);
            }
        }));
        for _ in 0..2 {
            let (now, client) = (world.now, &mut world.ends[CLIENT]);
            client.reboot(now, client.address);
            world.run(10_000);
            world.assert_works();
        }
    }
}

/// Greetings from nowhere, one each `interval` ms.
fn greet_for(world: &mut World, seconds: u64, interval: u64, victims: &[usize]) {
    for number in 0..seconds * 1000 / interval {
        for &victim in victims {
            let forged = Forger::plain(sid(number)).reset(hard_reset(PEER[victim]));
            let now = world.now;
            let _ = world.ends[victim].receive(now, peer_of(victim), &forged);
        }
        world.run(interval);
    }
}

/// What is answered to strangers must not count as a sign of life to the peer.
#[test]
fn greetings_do_not_silence_the_pings_of_a_live_link() {
    let mut world = World::connected("ping 5\nping-restart 20");
    greet_for(&mut world, 90, 1_000, &[CLIENT, SERVER]);
    for end in &world.ends {
        assert_eq!(end.restarts, []);
    }
    world.assert_works();
}

/// And a stranger's packets are no sign of life of the peer.
#[test]
fn forged_control_packets_do_not_keep_a_dead_link_alive() {
    let mut world = World::connected("ping 5\nping-restart 20");
    let [client, server] = session_ids(&world);
    world.passes = Box::new(|_| false);
    let mut forger = Forger::plain(*client.as_bytes());
    for _ in 0..25 {
        let (now, ack) = (world.now, forger.packet(head(Opcode::Ack, 0), &[0], Some(server), None, &[]));
        let _ = world.ends[SERVER].receive(now, peer_of(SERVER), &ack);
        world.run(1_000);
    }
    assert_eq!(world.ends[SERVER].restarts, [Reason::soft(Signal::Usr1, Cause::PingRestart)]);
}

/// A live link goes on renewing its keys, whoever wants a session beside it.
#[test]
fn greetings_do_not_keep_a_live_link_from_new_keys() {
    for victims in [&[CLIENT][..], &[SERVER], &[CLIENT, SERVER]] {
        let mut world = World::connected("reneg-sec 20");
        greet_for(&mut world, 100, 1_000, victims);
        for end in &world.ends {
            assert!(end.count("Data Channel") >= 4, "{:?}", end.said);
            assert_eq!(end.restarts, []);
        }
        world.assert_works();
    }
}

/// A forged greeting of a server makes its client greet the real one, which leads to a new session: one a second at most.
#[test]
fn greetings_lead_to_few_new_sessions() {
    for (victim, most) in [(CLIENT, 22), (SERVER, 1)] {
        let mut world = World::connected("");
        greet_for(&mut world, 20, 10, &[victim]);
        for end in &world.ends {
            let sessions = end.count("Data Channel");
            assert!(sessions <= most, "{sessions} sessions in 20 s");
        }
        world.assert_works();
    }
}

/// Nobody can fill the disk by saying hello.
#[test]
fn a_flood_of_greetings_leaves_few_lines_in_the_log_and_starts_nothing() {
    for live in [false, true] {
        // Own greetings would hide what is answered to others.
        let mut world = World::pair("probe-interval 0");
        if live {
            world.run(500);
        } else {
            world.passes = Box::new(|_| false);
            world.run(1);
        }
        let (now, victim) = (world.now, &mut world.ends[SERVER]);
        let (lines, sent) = (victim.said.len(), victim.sent.len());
        for number in 0..1_000 {
            let forged = Forger::plain(sid(number)).reset(Opcode::HardResetClientV2);
            let _ = victim.receive(now, peer_of(SERVER), &forged);
        }
        assert!(victim.said.len() - lines <= 2, "{:?}", &victim.said[lines..]);
        assert!(victim.sent.len() - sent <= 1_000, "more answers than questions");
        if live {
            world.assert_works();
        }
        let victim = &mut world.ends[SERVER];
        let sent = victim.sent.len();
        world.run(59_000);
        assert!(world.ends[SERVER].sent.len() - sent <= 6, "what nobody asks for any more is repeated");
        if live {
            world.assert_works();
        }
    }
}

/// On the path and without a key in its way, an attacker can break TLS; then a new session is negotiated, and an end
/// that cannot reach its peer waits for that without working.
#[test]
fn broken_tls_is_mended_without_haste() {
    for cut_off in [false, true] {
        let mut world = World::connected("");
        let [client, server] = session_ids(&world);
        let mut forger = Forger::plain(*client.as_bytes());
        let (now, end) = (world.now, &mut world.ends[SERVER]);
        for id in 1..20 {
            let rubbish = forger.packet(head(Opcode::Control, 0), &[0], Some(server), Some(id), GARBAGE);
            let _ = end.receive(now, peer_of(SERVER), &rubbish);
        }
        assert_eq!(end.count("TLS Error"), 1, "{:?}", end.said);
        world.assert_works();
        if cut_off {
            world.passes = Box::new(|_| false);
        }
        let wakes = world.ends[SERVER].wakes;
        world.run(30_000);
        let wakes = world.ends[SERVER].wakes - wakes;
        assert!(wakes < 60, "woken {wakes} times in 30 s");
        world.assert_works();
        if !cut_off {
            assert_eq!(world.ends[SERVER].count("Data Channel"), 2, "{:?}", world.ends[SERVER].said);
        }
    }
}
