//! Keys that wear out.

use longcable_core::error::{Discard, NotReady};
use longcable_core::tls::Role;
use longcable_core::wire::opcode::Opcode;

use super::hostile::{Hostile, OPTIONS, PEER_INFO, hard_reset, seal};
use super::pki;
use super::world::{CLIENT, End, SERVER, World, config};

const PACKET: [u8; 40] = {
    let mut packet = [7; 40];
    packet[0] = 0x45;
    packet
};

fn keys(end: &End) -> usize {
    end.count("Data Channel")
}

/// SWEET32: 64 MB under a key with short blocks, and no more.
#[test]
fn short_blocks_are_warned_about_and_get_a_new_key_after_64_megabytes() {
    let lines = "data-ciphers BF-CBC\nallow-recursive-routing";
    let warnings = |role| config(role, pki::good(role), lines).warnings().map(|it| it.to_string()).collect::<Vec<_>>();
    assert!(warnings(Role::Client).iter().any(|warning| warning.contains("SWEET32")), "{:?}", warnings(Role::Client));
    for (more, renews) in [("", true), ("reneg-bytes 0", false), ("data-ciphers AES-128-CBC", false)] {
        let mut world = World::connected(&format!("{lines}\n{more}"));
        let packet = [&[0x45][..], &[7; 65_000]].concat();
        let mut sent = 0;
        while sent + packet.len() < 64 << 20 {
            world.ends[CLIENT].seal(world.now, &packet).unwrap();
            sent += packet.len();
        }
        world.run(1_000);
        assert_eq!(keys(&world.ends[CLIENT]), 1, "{more}: after {sent} bytes");
        for _ in 0..3 {
            world.ends[CLIENT].seal(world.now, &packet).unwrap();
        }
        world.run(1_000);
        assert_eq!(keys(&world.ends[CLIENT]), if renews { 2 } else { 1 }, "{more}");
        world.assert_works();
    }
}

/// What is received counts as well, for the peer may not keep count.
#[test]
fn received_data_wears_a_key_out() {
    let mut world = World::connected("reneg-sec 0");
    let mut limited = World::pair_of("reneg-sec 0", "reneg-sec 0\nreneg-pkts 500");
    limited.run(500);
    for world in [&mut world, &mut limited] {
        for _ in 0..600 {
            assert!(world.passes_from(CLIENT));
        }
        world.run(1_000);
        world.assert_works();
    }
    assert_eq!([keys(&world.ends[CLIENT]), keys(&world.ends[SERVER])], [1, 1]);
    assert_eq!([keys(&limited.ends[CLIENT]), keys(&limited.ends[SERVER])], [2, 2]);
}

/// A peer whose packet ids run out and wrap: its next packets are repetitions.
#[test]
fn packet_ids_of_a_peer_do_not_wrap() {
    for role in [Role::Client, Role::Server] {
        let remote = if role == Role::Client { "192.0.2.1" } else { "192.0.2.2" };
        let lines = format!("remote {remote}\ndata-ciphers AES-256-CBC\nauth none\ncipher none");
        let mut world = World::new(vec![End::new(role.other(), &format!("{lines}\ndata-ciphers none"))]);
        let mut hostile = Hostile::new(role, pki::good(role));
        let info = PEER_INFO.replace("AES-256-GCM", "none");
        hostile.eager = hostile.key_message(OPTIONS, "", "", &info);
        hostile.start_key(0, hard_reset(role));
        hostile.run(&mut world, 100);
        assert_eq!(keys(&world.ends[0]), 1, "{:?}", world.ends[0].said);
        // Without cipher and digest, a packet is its id and its payload.
        let mut send = |id: u32| {
            let bytes = [&[(Opcode::DataV1 as u8) << 3][..], &id.to_be_bytes(), &PACKET].concat();
            hostile.inject(&mut world, &bytes)
        };
        assert!(send(1).is_ok());
        assert!(send(0xff00_0000).is_ok());
        assert!(send(u32::MAX).is_ok());
        for id in [0, 1, 2, 0xff00_0000, u32::MAX - 64, u32::MAX] {
            assert_eq!(send(id), Err(Discard::Replay { id, time: 0 }), "{role:?}: {id:#x}");
        }
        assert!(send(u32::MAX - 1).is_ok(), "in the window");
    }
}

/// A peer that never goes along when a new key is wanted: data flows on under the old one, and ends with it.
#[test]
fn a_key_that_cannot_be_renewed_is_given_up() {
    let mut world = World::new(vec![End::new(
        Role::Server,
        "remote 192.0.2.1\nreneg-pkts 100\nhand-window 20\ntran-window 90\nsingle-session",
    )]);
    let hostile = Hostile::connected(Role::Client, pki::good(Role::Client), PEER_INFO, &mut world);
    let mut sealer = hostile.sealer(true);
    for _ in 0..120 {
        assert!(hostile.inject(&mut world, &seal(&mut sealer, &PACKET)).is_ok());
    }
    let mut lived = 0;
    while world.ends[0].restarts.is_empty() {
        world.run(1_000);
        lived += 1;
        assert!(lived < 200, "{:?}", world.ends[0].said);
        let result = hostile.inject(&mut world, &seal(&mut sealer, &PACKET));
        assert!(result.is_ok() || !world.ends[0].restarts.is_empty() || lived >= 89, "{result:?} after {lived} s");
    }
    assert!((85..=95).contains(&lived), "{lived} s");
    let now = world.now;
    assert!(matches!(world.ends[0].seal(now, &PACKET), Err(NotReady::Down | NotReady::Negotiating)));
}
