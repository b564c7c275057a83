//! Links with a static key. The same seed gives the same bytes.

use std::sync::OnceLock;

use longcable_core::crypto::StaticKey;
use longcable_core::options::LinkConfig;

use crate::engine::with_static_key;
use crate::for_each_seed;
use crate::node::End;
use crate::world::{BAD, Dice, World};

#[test]
fn a_bad_network_loses_packets_but_never_repeats_or_changes_one() {
    for_each_seed(|seed| {
        let mut world = world(seed).with_faults(BAD);
        world.run_seconds(30);
        world.check_deliveries();
        world.calm_down();
        world.run_seconds(30);
        world.check_deliveries();
        world.expect_traffic_both_ways();
    });
}

#[test]
fn a_perfect_network_delivers_every_packet_in_order_and_without_a_restart() {
    for_each_seed(|seed| {
        let mut world = world(seed);
        world.run_seconds(20);
        world.expect_everything_delivered_in_order();
        assert_eq!(world.restarts(), 0);
    });
}

#[test]
fn a_peer_that_moves_is_followed_and_its_restart_heals() {
    for_each_seed(|seed| {
        let mut world = world(seed);
        world.run_seconds(5);
        world.move_node_to_new_address();
        world.run_seconds(5);
        world.expect_traffic_both_ways();
        assert_eq!(world.restarts(), 0, "a floating peer is followed without a restart");
        world.restart_a_node();
        world.run_seconds(20);
        world.expect_traffic_both_ways();
        world.check_deliveries();
    });
}

#[test]
fn recorded_packets_and_junk_change_nothing() {
    for_each_seed(|seed| {
        let mut world = world(seed);
        world.let_attack(true);
        world.run_seconds(20);
        world.check_deliveries();
        world.expect_everything_delivered_in_order();
        world.expect_peer_addresses_unmoved();
    });
}

#[test]
fn recorded_packets_are_worthless_after_a_restart_too() {
    for_each_seed(|seed| {
        let mut world = world(seed);
        world.let_attack(true);
        for _ in 0..3 {
            world.run_seconds(4);
            world.signal_a_node();
        }
        world.run_seconds(10);
        world.check_deliveries();
        world.expect_traffic_both_ways();
        world.expect_peer_addresses_unmoved();
        assert_eq!(world.restarts(), 3, "nobody restarts a link but its owner");
    });
}

#[test]
fn a_silent_peer_causes_restarts_and_the_link_returns_by_itself() {
    for_each_seed(|seed| {
        let mut world = world(seed);
        world.run_seconds(3);
        world.cut();
        world.run_seconds(40);
        assert!(world.restarts() > 0, "ping-restart fires while the network is cut");
        world.calm_down();
        world.run_seconds(12);
        world.expect_traffic_both_ways();
        world.check_deliveries();
    });
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 7, 1234] {
        let trace = || {
            let mut world = world(seed).with_faults(BAD);
            world.run_seconds(30);
            world.trace()
        };
        assert_eq!(trace(), trace());
    }
}

const KEY: &str = include_str!("../vectors/count.key");

const SUITES: [&str; 5] = [
    "cipher AES-256-CBC",
    "cipher AES-128-CBC\nauth SHA256",
    "cipher BF-CBC\nauth MD5\ncomp-lzo",
    "cipher DES-EDE3-CBC\nauth SHA512\ncompress",
    "cipher none\nauth SHA224\ncompress stub-v2",
];

type Pair = [LinkConfig<'static>; 2];

/// Two ends with configurations that the seed picks: real config text, parsed once.
fn world(seed: u64) -> World<'static> {
    static PAIRS: OnceLock<(Vec<Pair>, StaticKey)> = OnceLock::new();
    let (pairs, key) = PAIRS.get_or_init(|| {
        let pairs = SUITES.iter().flat_map(|suite| {
            [None, Some([0, 1]), Some([1, 0])].map(|directions| {
                [0usize, 1].map(|i| {
                    let direction = directions.map(|d| format!("key-direction {}\n", d[i])).unwrap_or_default();
                    let text = format!(
                        "dev tun\nremote 192.0.2.{}\nfloat\nping 1\nping-restart 5\npersist-tun\n{suite}\n{direction}\
                         <secret>\n{KEY}</secret>\n",
                        2 - i
                    );
                    LinkConfig::parse(text.leak()).expect("the configuration is valid")
                })
            })
        });
        (pairs.collect(), StaticKey::parse(KEY).expect("the key file is well-formed"))
    });
    let mut dice = Dice::new(seed);
    let pair = dice.pick(pairs);
    World::new(dice, pair.each_ref().map(|config| End { config, start: with_static_key(config, key) }))
}
