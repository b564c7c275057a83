//! Two gateways under one virtual clock, and a network that does its worst.
//!
//! Every run is decided by its seed: the same seed gives the same trace. `SIMULATION_SEEDS=FIRST..END`
//! chooses other seeds than the 1,000 of a normal run.

mod configs;
mod network;
mod node;
mod world;

use std::ops::Range;

use world::{Disturbance, World};

/// The seeds of this run.
fn seeds() -> Range<u64> {
    let Ok(range) = std::env::var("SIMULATION_SEEDS") else { return 0..1000 };
    let (first, end) = range.split_once("..").expect("SIMULATION_SEEDS is FIRST..END");
    first.parse().expect("a number")..end.parse().expect("a number")
}

/// Runs `scenario` for each seed; a failure names the seed.
fn for_each_seed(scenario: impl Fn(u64) + std::panic::RefUnwindSafe) {
    for seed in seeds() {
        if let Err(panic) = std::panic::catch_unwind(|| scenario(seed)) {
            eprintln!("seed {seed} failed; repeat it with SIMULATION_SEEDS={seed}..{}", seed + 1);
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn a_bad_network_loses_packets_but_never_repeats_or_changes_one() {
    for_each_seed(|seed| {
        let mut world = World::new(seed, Disturbance::Everything);
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
        let mut world = World::new(seed, Disturbance::Nothing);
        world.run_seconds(20);
        world.expect_everything_delivered_in_order();
        assert_eq!(world.restarts(), 0);
    });
}

#[test]
fn a_peer_that_moves_is_followed_and_its_restart_heals() {
    for_each_seed(|seed| {
        let mut world = World::new(seed, Disturbance::Nothing);
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
        let mut world = World::new(seed, Disturbance::Attacker);
        world.run_seconds(20);
        world.check_deliveries();
        world.expect_everything_delivered_in_order();
        world.expect_peer_addresses_unmoved();
    });
}

#[test]
fn recorded_packets_are_worthless_after_a_restart_too() {
    for_each_seed(|seed| {
        let mut world = World::new(seed, Disturbance::Attacker);
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
        let mut world = World::new(seed, Disturbance::Nothing);
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
            let mut world = World::new(seed, Disturbance::Everything);
            world.run_seconds(30);
            world.trace()
        };
        assert_eq!(trace(), trace());
    }
}
