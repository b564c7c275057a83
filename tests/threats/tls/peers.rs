//! Peers who speak TLS and mean harm: without a good certificate, or with one.

use longcable_core::error::{Discard, NotReady};
use longcable_core::event::{Cause, Reason, Signal};
use longcable_core::tls::Role;
use longcable_core::wire::internal::Message;
use longcable_core::wire::opcode::Opcode;
use rcgen::DnType;

use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, SupportedProtocolVersion};

use super::hostile::{Hostile, OPTIONS, PEER_INFO, head, seal};
use super::pki::{self, IMPOSTOR, TRUSTED};
use super::world::{End, World};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

const ONLY_1_2: &[&SupportedProtocolVersion] = &[&TLS12];
const ONLY_1_3: &[&SupportedProtocolVersion] = &[&TLS13];

const PACKET: [u8; 40] = {
    let mut packet = [7; 40];
    packet[0] = 0x45;
    packet
};

/// An end whose peer has this role and is somebody else's business.
fn victim_of(role: Role, lines: &str) -> World {
    let remote = match role {
        Role::Client => "192.0.2.1",
        Role::Server => "192.0.2.2",
    };
    World::new(vec![End::new(role.other(), &format!("remote {remote}\nfloat\n{lines}"))])
}

/// Data of the hostile end in both formats, as often as it takes; all of it must be dropped.
#[track_caller]
fn assert_data_is_dropped(world: &mut World, hostile: &Hostile, what: &str) {
    for has_peer_id in [true, false] {
        let mut sealer = hostile.sealer(has_peer_id);
        for _ in 0..3 {
            let result = hostile.inject(world, &seal(&mut sealer, &PACKET));
            let is_dropped =
                matches!(result, Err(Discard::UnknownKey(_) | Discard::NotReady | Discard::Authentication));
            assert!(is_dropped, "{what}: {result:?}");
        }
    }
}

/// Nothing in the log may steer a terminal or begin a line of its own.
#[track_caller]
fn assert_log_is_clean(end: &End) {
    for line in &end.said {
        assert!(line.chars().all(|character| !character.is_control()), "{line:?}");
        assert!(line.len() < 1_000, "{} bytes: {line}", line.len());
    }
}

/// Data before authentication: with a certificate that is refused there is never a key, in either role.
#[test]
fn a_peer_with_a_bad_certificate_gets_no_data_through() {
    for role in ROLES {
        for (version, versions) in [("1.2", ONLY_1_2), ("1.3", ONLY_1_3)] {
            for (authority, name) in [(&IMPOSTOR, "right"), (&TRUSTED, "wrong")] {
                let what = format!("{role:?}, TLS {version}, {name} name");
                let own_name = if name == "right" { "peer" } else { "somebody" };
                let identity = authority.issue(role, &[(DnType::CommonName, own_name)]);
                let mut world = victim_of(role, "verify-x509-name peer name");
                let mut hostile = Hostile::new(role, &identity);
                hostile.pose_as(&identity, versions);
                hostile.eager = hostile.key_message(OPTIONS, "", "", PEER_INFO);
                hostile.start_key(0, super::hostile::hard_reset(role));
                for _ in 0..40 {
                    hostile.run(&mut world, 5);
                    assert_data_is_dropped(&mut world, &hostile, &what);
                    let now = world.now;
                    let sealed = world.ends[0].seal(now, &PACKET);
                    assert!(matches!(sealed, Err(NotReady::Negotiating | NotReady::Down)), "{what}: {sealed:?}");
                }
                // Only a client of TLS 1.3 believes for a moment that it is in.
                assert_eq!(hostile.had_tls(), role == Role::Client && version == "1.3", "{what}");
                let victim = &world.ends[0];
                assert!(victim.count("VERIFY ERROR") >= 1, "{what}: {:?}", victim.said);
                assert_eq!(victim.count("Data Channel") + victim.count("Initiated"), 0, "{what}");
            }
        }
    }
}

/// Somebody with a bad certificate who tries again and again, beside a live link that takes packets from anywhere.
#[test]
fn a_refused_peer_does_not_disturb_a_live_link() {
    let mut world = World::connected("float\nreneg-sec 30");
    let identity = IMPOSTOR.issue(Role::Client, &[(DnType::CommonName, "client")]);
    world.ends.swap(0, 1);
    for _ in 0..40 {
        let mut hostile = Hostile::new(Role::Client, &identity);
        hostile.address = super::world::address(super::world::STRANGER);
        hostile.start_key(0, super::hostile::hard_reset(Role::Client));
        hostile.run(&mut world, 3_000);
        assert_data_is_dropped(&mut world, &hostile, "beside a live link");
    }
    let [server, client] = &world.ends[..] else { panic!("two ends") };
    for end in [client, server] {
        assert_eq!((end.restarts.len(), end.count("Initiated")), (0, 1), "{:?}", end.said);
        assert!(end.count("Data Channel") >= 4, "{:?}", end.said);
    }
    let attempts = server.count("VERIFY ERROR");
    assert!((20..=60).contains(&attempts), "{attempts} attempts in two minutes");
    assert!(server.said.len() < 50 + 2 * attempts, "{} lines", server.said.len());
    assert_eq!(server.peer_address(), Some(client.address));
    world.ends.swap(0, 1);
    world.assert_works();
    // And the peer may come back meanwhile.
    let (now, home) = (world.now, world.ends[0].address);
    world.ends[0].reboot(now, home);
    world.run(10_000);
    world.assert_works();
}

/// Data between TLS and the key messages, and before anything at all.
#[test]
fn data_before_the_keys_are_agreed_on_is_dropped() {
    for role in ROLES {
        let mut world = victim_of(role, "");
        world.run(10);
        let mut hostile = Hostile::new(role, pki::good(role));
        hostile.start_key(0, super::hostile::hard_reset(role));
        assert_data_is_dropped(&mut world, &hostile, "before the handshake");
        hostile.run(&mut world, 100);
        assert!(hostile.had_tls());
        assert_eq!(world.ends[0].count("Control Channel"), 1);
        assert_data_is_dropped(&mut world, &hostile, "before the key message");
        let now = world.now;
        assert!(matches!(world.ends[0].seal(now, &PACKET), Err(NotReady::Negotiating)));
        // Text in the place of the key message.
        hostile.say(b"EXIT\0");
        hostile.run(&mut world, 100);
        assert_data_is_dropped(&mut world, &hostile, "after something else");
        assert_eq!(world.ends[0].count("Data Channel"), 0);
    }
}

/// A renegotiation with another good certificate than that of the session.
#[test]
fn a_session_does_not_change_hands() {
    for role in ROLES {
        let mut world = victim_of(role, "");
        let mut hostile = Hostile::connected(role, pki::good(role), PEER_INFO, &mut world);
        let mut sealer = hostile.sealer(true);
        assert!(hostile.inject(&mut world, &seal(&mut sealer, &PACKET)).is_ok());
        world.ends[0].received.clear();
        hostile.run(&mut world, 1_000);
        let other = TRUSTED.issue(role, &[(DnType::CommonName, "another")]);
        hostile.pose_as(&other, ALL_VERSIONS);
        hostile.eager = hostile.key_message(OPTIONS, "", "", PEER_INFO);
        hostile.start_key(1, Opcode::SoftReset);
        hostile.run(&mut world, 200);
        assert!(hostile.had_tls());
        assert_eq!(world.ends[0].count("another than before"), 1, "{:?}", world.ends[0].said);
        assert_data_is_dropped(&mut world, &hostile, "under the second key");
        assert_eq!(world.ends[0].count("Data Channel"), 1);
        assert!(hostile.inject(&mut world, &seal(&mut sealer, &PACKET)).is_ok(), "the first key serves on");
    }
}

/// Control characters in control messages, and in everything else that a peer says.
#[test]
fn what_a_peer_says_is_disarmed() {
    let info = "IV_CIPHERS=AES-256-GCM\nIV_PROTO=234\nIV_VER=2\x1b[2J\r\nIV_A B=1\nPATH=/\n";
    for role in ROLES {
        let mut world = victim_of(role, "");
        let subject = [(DnType::OrganizationName, "O\n2026-11-22 VERIFY OK"), (DnType::CommonName, "na\x1b[2Jme\r\n")];
        let mut hostile = Hostile::connected(role, &TRUSTED.issue(role, &subject), info, &mut world);
        assert_eq!(world.ends[0].count("Data Channel"), 1, "{:?}", world.ends[0].said);
        for message in [
            &b"EXIT\n\x1b[2J\0"[..],
            b"\x07EXIT\0",
            b"EX\x7fIT\0",
            b"EXIT\rAUTH_FAILED\0",
            b"AUTH_FAILED,\x1b]0;owned\x07\0",
            b"PUSH_REPLY,route 0.0.0.0 0.0.0.0\nup /bin/sh\0",
        ] {
            hostile.say(message);
            hostile.run(&mut world, 20);
        }
        assert_eq!(world.ends[0].count("forbidden characters"), 6, "{:?}", world.ends[0].said);
        for message in [
            &b"RESTART\0"[..],
            b"HALT,now\0",
            b"AUTH_FAILED,no\0",
            b"PUSH_REPLY,ifconfig 1.2.3.4 1.2.3.5,up /bin/sh,script-security 3,tun-mtu 68\0",
            b"AUTH_PENDING,timeout 100000\0",
            b"INFO,OPEN_URL:http://example.net\0",
            b"EXITX\0",
            b"\xff\xfe\0",
            &[b'A'; 2000],
            &[0; 2000],
        ] {
            hostile.say(message);
            hostile.run(&mut world, 20);
        }
        assert_eq!((world.ends[0].restarts.len(), world.ends[0].exit), (0, None), "{:?}", world.ends[0].said);
        let data = seal(&mut hostile.sealer(true), &PACKET);
        assert!(hostile.inject(&mut world, &data).is_ok(), "the link goes on");
        assert_log_is_clean(&world.ends[0]);
        // Line ends after a message are common.
        hostile.say(b"EXIT\r\n\0");
        hostile.run(&mut world, 20);
        assert_eq!(world.ends[0].restarts, [Reason::soft(Signal::Usr1, Cause::RemoteExit)]);
        assert_log_is_clean(&world.ends[0]);
    }
}

/// An options string that would be a line of a log of its own.
#[test]
fn a_key_message_with_control_characters_is_refused() {
    for role in ROLES {
        for hostile_text in ["V4,cipher AES-256-GCM\n2026", "V4,cipher \x1b[2J", "V4,cipher \u{9b}2J"] {
            let mut world = victim_of(role, "");
            let mut hostile = Hostile::greeted(role, pki::good(role), &mut world);
            hostile.say(&hostile.key_message(hostile_text, "", "", PEER_INFO));
            hostile.run(&mut world, 100);
            assert_eq!(world.ends[0].count("Data Channel"), 0);
            assert!(world.ends[0].count("TLS Error") >= 1);
            assert_data_is_dropped(&mut world, &hostile, hostile_text);
            assert_log_is_clean(&world.ends[0]);
        }
    }
}

/// A peer that asks for new keys, in every way and without end.
#[test]
fn a_flood_of_soft_resets_begins_few_negotiations() {
    for role in ROLES {
        let mut world = victim_of(role, "");
        let mut hostile = Hostile::connected(role, pki::good(role), PEER_INFO, &mut world);
        hostile.run(&mut world, 1_000);
        let mut sealer = hostile.sealer(true);
        let sent = world.ends[0].sent.len();
        for round in 0..1_000 {
            let reset = hostile.forger.packet(head(Opcode::SoftReset, (round % 8) as u8), &[], None, Some(0), &[]);
            let _ = hostile.inject(&mut world, &reset);
            if round % 100 == 0 {
                assert!(hostile.inject(&mut world, &seal(&mut sealer, &PACKET)).is_ok(), "the live key serves on");
            }
        }
        assert_eq!(world.ends[0].count("soft reset by the peer"), 1);
        assert!(world.ends[0].sent.len() - sent <= 1_000, "more answers than questions");
        for _ in 0..600 {
            let reset = hostile.forger.packet(head(Opcode::SoftReset, 1), &[], None, Some(0), &[]);
            let _ = hostile.inject(&mut world, &reset);
            world.run(100);
        }
        assert!(hostile.inject(&mut world, &seal(&mut sealer, &PACKET)).is_ok(), "the live key serves on");
        let asked = world.ends[0].count("soft reset");
        assert!(asked <= 3, "{asked} negotiations in a minute");
        assert_eq!(world.ends[0].restarts, []);
    }
}

/// A peer that really renegotiates, as fast as it can.
#[test]
fn renegotiations_have_their_distance() {
    let mut world = victim_of(Role::Client, "");
    let mut hostile = Hostile::connected(Role::Client, pki::good(Role::Client), PEER_INFO, &mut world);
    hostile.eager = hostile.key_message(OPTIONS, "", "", PEER_INFO);
    let (mut id, end) = (1, world.now.as_millis() + 5_000);
    while world.now.as_millis() < end {
        hostile.start_key(id, Opcode::SoftReset);
        let keys = world.ends[0].count("Data Channel");
        while world.ends[0].count("Data Channel") == keys && world.now.as_millis() < end {
            hostile.resend();
            hostile.run(&mut world, 5);
        }
        id = id % 7 + 1;
    }
    hostile.run(&mut world, 3_000);
    let keys = world.ends[0].count("Data Channel");
    assert!((5..=22).contains(&keys), "{keys} keys in 5 s: {:?}", world.ends[0].said.last());
    let data = seal(&mut hostile.sealer(true), &PACKET);
    assert!(hostile.inject(&mut world, &data).is_ok());
}

/// The peer's exit messages: handled once, however many come and however they come.
#[test]
fn a_flood_of_exit_messages_causes_one_restart() {
    for role in ROLES {
        let mut world = victim_of(role, "");
        let mut hostile = Hostile::connected(role, pki::good(role), PEER_INFO, &mut world);
        let mut sealer = hostile.sealer(true);
        let mut farewell = [0; 64];
        let len = Message::OccExit.write(&mut farewell).expect("it fits");
        let farewells: Vec<_> = (0..50).map(|_| seal(&mut sealer, &farewell[..len])).collect();
        for _ in 0..200 {
            hostile.say(b"EXIT\0EXIT\0EXIT\0");
        }
        hostile.run(&mut world, 100);
        for farewell in &farewells {
            let _ = hostile.inject(&mut world, farewell);
        }
        hostile.run(&mut world, 20_000);
        for farewell in &farewells {
            let _ = hostile.inject(&mut world, farewell);
        }
        world.run(10_000);
        assert_eq!(world.ends[0].restarts, [Reason::soft(Signal::Usr1, Cause::RemoteExit)], "{role:?}");
    }
}

/// A farewell, or any packet, of the session before that was held back on its way: the new one does not end, and is
/// not led elsewhere.
#[test]
fn a_late_farewell_does_not_end_the_next_session() {
    for role in ROLES {
        let mut world = victim_of(role, "");
        let before = Hostile::connected(role, pki::good(role), PEER_INFO, &mut world);
        let mut sealer = before.sealer(true);
        let mut farewell = [0; 64];
        let len = Message::OccExit.write(&mut farewell).expect("it fits");
        let (farewell, late) = (seal(&mut sealer, &farewell[..len]), seal(&mut sealer, &PACKET));
        world.run(3_000);
        world.elsewhere.clear();
        let after = Hostile::connected(role, pki::good(role), PEER_INFO, &mut world);
        assert_eq!(world.ends[0].count("Data Channel"), 2, "{:?}", world.ends[0].said);
        let (now, stranger) = (world.now, super::world::address(super::world::STRANGER));
        assert_eq!(world.ends[0].receive(now, stranger, &farewell), Ok(None));
        assert_eq!(world.ends[0].receive(now, stranger, &late), Ok(Some(PACKET.to_vec())), "it was under way");
        assert_eq!(world.ends[0].peer_address(), Some(after.address));
        assert_eq!(world.ends[0].restarts, []);
        assert!(after.inject(&mut world, &seal(&mut after.sealer(true), &PACKET)).is_ok());
    }
}

/// NUL in certificate subjects, and texts that are too long for what they are put into.
#[test]
fn certificates_with_hostile_subjects_are_refused() {
    let long = "x".repeat(5_000);
    for role in ROLES {
        for (subject, rule) in [
            (&[(DnType::CommonName, "peer\0.evil.example")][..], "name"),
            (&[(DnType::CommonName, "peer\0")], "name"),
            (&[(DnType::CommonName, "\0peer")], "name"),
            (&[(DnType::CommonName, "peer"), (DnType::OrganizationName, "a\0b")], "name"),
            (&[(DnType::CommonName, "peer\0x")], "name-prefix"),
            (&[(DnType::CommonName, "")], "name-prefix"),
            (&[(DnType::CommonName, &long)], "name-prefix"),
            (
                &[(DnType::CommonName, "peerxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")],
                "name-prefix",
            ),
            (&[(DnType::CommonName, "CN=peer, O=x")], "name"),
            (&[(DnType::CommonName, "peer ")], "name"),
        ] {
            let what = format!("{role:?} {:?}", subject[0].1.get(..20).unwrap_or(subject[0].1));
            let mut world = victim_of(role, &format!("verify-x509-name peer {rule}"));
            let mut hostile = Hostile::new(role, &TRUSTED.issue(role, subject));
            hostile.eager = hostile.key_message(OPTIONS, "", "", PEER_INFO);
            hostile.start_key(0, super::hostile::hard_reset(role));
            hostile.run(&mut world, 100);
            assert_data_is_dropped(&mut world, &hostile, &what);
            assert!(world.ends[0].count("VERIFY ERROR") >= 1, "{what}: {:?}", world.ends[0].said);
            assert_eq!(world.ends[0].count("Data Channel"), 0, "{what}");
            assert_log_is_clean(&world.ends[0]);
        }
        // Long, but nowhere where it does harm.
        let subject = [(DnType::OrganizationName, &*long), (DnType::CommonName, "peer")];
        let mut world = victim_of(role, "verify-x509-name peer name");
        Hostile::connected(role, &TRUSTED.issue(role, &subject), PEER_INFO, &mut world);
        assert_eq!(world.ends[0].count("Data Channel"), 1);
        assert_log_is_clean(&world.ends[0]);
    }
}

/// User names and passwords: what is too long is refused, and nothing after it is read askew.
#[test]
fn over_long_credentials_are_refused() {
    for role in ROLES {
        for (user, password, is_fine) in
            [(127, 127, true), (128, 0, false), (0, 128, false), (1_500, 0, false), (4_000, 4_000, false)]
        {
            let mut world = victim_of(role, "");
            let mut hostile = Hostile::greeted(role, pki::good(role), &mut world);
            hostile.say(&hostile.key_message(OPTIONS, &"u".repeat(user), &"p".repeat(password), PEER_INFO));
            hostile.run(&mut world, 100);
            let keys = world.ends[0].count("Data Channel");
            assert_eq!(keys, usize::from(is_fine), "{role:?} {user} {password}: {:?}", world.ends[0].said);
            assert_log_is_clean(&world.ends[0]);
            if !is_fine {
                assert_data_is_dropped(&mut world, &hostile, "long credentials");
                assert!(world.ends[0].count("TLS Error") >= 1);
            }
        }
    }
}

/// Every length in a key message that can lie does so.
#[test]
fn key_messages_that_lie_about_their_lengths_are_refused() {
    for role in ROLES {
        let whole = Hostile::new(role, pki::good(role)).key_message("V4,cipher AES-256-GCM", "joe", "pw", "IV_X=1\n");
        let texts = whole.windows(4).position(|window| window == b"V4,c").expect("the options") - 2;
        let mut lies: Vec<Vec<u8>> = Vec::new();
        for length in [0_u16, 1, 21, 23, 512, 513, 2_048, 0x7fff, 0xffff] {
            let mut lie = whole.clone();
            lie[texts..texts + 2].copy_from_slice(&length.to_be_bytes());
            lies.push(lie);
        }
        lies.push(whole[..texts + 10].to_vec());
        lies.push(whole[..4].to_vec());
        lies.push(vec![0xff; 2_000]);
        lies.push([&whole[..texts], b"\0\x03V4\0\0\x04j\0e\0"].concat());
        for lie in lies {
            let mut world = victim_of(role, "");
            let mut hostile = Hostile::greeted(role, pki::good(role), &mut world);
            hostile.say(&lie);
            hostile.run(&mut world, 100);
            assert_eq!(world.ends[0].count("Data Channel"), 0, "{lie:x?}");
            assert!(world.ends[0].count("TLS Error") >= 1, "{lie:x?}");
            assert_data_is_dropped(&mut world, &hostile, "a lie");
        }
    }
}
