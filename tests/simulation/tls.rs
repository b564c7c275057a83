//! Links with TLS: rustls at both ends, or the boards' stack as the client; computers with room for three TLS sessions
//! and boards with room for two; every wrapping, data-channel format and packet size.
//!
//! A lost control packet is repeated after 2 s, then after 4, 8, 16 and 32 s more, until `hand-window` is over. The link
//! is restarted then, or, if it is live, a new session is begun beside it.

use crate::for_each_seed;
use crate::tls_links::with_link;
use crate::world::{Dice, TERRIBLE, World};

/// How long it takes from nothing to a link over a perfect network, in seconds, at the most.
const AT_ONCE: u64 = 5;

const PING_RESTART: u64 = 30;

/// A link that renegotiates every few seconds, at the wish of either end.
fn restless(dice: &mut Dice) -> String {
    format!("reneg-sec {}\nping-restart {PING_RESTART}\n", 2 + dice.below(8))
}

/// Brings the link up over a perfect network.
fn connect(world: &mut World<'_>) {
    assert!(world.run_until(AT_ONCE, World::is_up), "the link is not up");
}

#[test]
fn handshakes_complete_on_a_terrible_network() {
    const HAND_WINDOW: u64 = 60;
    /// One handshake in several fails; so many in a row do not.
    const ATTEMPTS: u64 = 8;
    let attempts = for_each_seed(|seed| {
        with_link(
            seed,
            |_| format!("ping-restart 120\nhand-window {HAND_WINDOW}\n"),
            |mut world| {
                world.set_faults(TERRIBLE);
                let begin = world.now();
                let most = ATTEMPTS * (HAND_WINDOW + 1);
                assert!(world.run_until(most, World::is_up), "the link is not up after {most} s");
                let attempts = world.now().since(begin).as_secs() / HAND_WINDOW;
                world.run_seconds(10);
                world.check_deliveries();
                world.expect_traffic_both_ways();
                attempts
            },
        )
    });
    let at_once = attempts.iter().filter(|attempts| **attempts == 0).count();
    assert!(at_once * 10 >= attempts.len() * 8, "of {} handshakes only {at_once} fit into a window", attempts.len());
}

#[test]
fn renegotiations_lose_no_packet() {
    for_each_seed(|seed| {
        with_link(seed, restless, |mut world| {
            connect(&mut world);
            world.run_seconds(30);
            world.expect_losses_by_the_network_only();
            world.expect_everything_delivered_in_order();
            assert_eq!(world.restarts(), 0);
            assert!(world.keys() >= 2 * 3, "only {} keys were negotiated", world.keys());
        });
    });
}

#[test]
fn a_terrible_network_delays_renegotiations_and_loses_nothing_else() {
    let keys = for_each_seed(|seed| {
        with_link(seed, restless, |mut world| {
            connect(&mut world);
            world.set_faults(TERRIBLE);
            let before = world.keys();
            world.run_seconds(150);
            let keys = world.keys() - before;
            world.calm_down();
            world.run_seconds(10);
            world.expect_losses_by_the_network_only();
            world.expect_traffic_both_ways();
            assert_eq!(world.restarts(), 0);
            keys
        })
    });
    // Of a single link, some handshakes in a row may fail. At both ends it is about 15 keys, not 32 to 150.
    let all: usize = keys.iter().sum();
    assert!(all >= keys.len() * 10, "only {all} keys were negotiated over {} links", keys.len());
}

#[test]
fn an_end_that_starts_anew_is_taken_back() {
    for_each_seed(|seed| {
        with_link(seed, restless, |mut world| {
            connect(&mut world);
            world.run_seconds(5);
            world.run_millis_below(3000);
            world.restart_a_node();
            // At the latest when the other end gives the silent link up.
            assert!(world.run_until(PING_RESTART + AT_ONCE, World::has_traffic_both_ways), "no traffic");
            world.run_seconds(10);
            world.check_deliveries();
            world.expect_traffic_both_ways();
        });
    });
}

#[test]
fn a_stranger_with_recorded_packets_changes_nothing() {
    for_each_seed(|seed| {
        with_link(seed, restless, |mut world| {
            connect(&mut world);
            world.run_seconds(8);
            world.restart_a_node();
            assert!(world.run_until(100, World::has_traffic_both_ways), "no traffic");
            world.forget_losses();
            let (restarts, keys) = (world.restarts(), world.keys());
            world.let_attack(true);
            world.run_seconds(30);
            world.expect_losses_by_the_network_only();
            world.expect_peer_addresses_unmoved();
            assert_eq!(world.restarts(), restarts);
            assert!(world.keys() >= keys + 2 * 3, "only {} keys were negotiated", world.keys() - keys);
        });
    });
}

#[test]
fn a_peer_that_moves_during_a_renegotiation_is_followed() {
    for_each_seed(|seed| {
        with_link(seed, restless, |mut world| {
            connect(&mut world);
            for _ in 0..3 {
                world.run_seconds(2);
                world.run_until_renegotiation();
                world.move_node_to_new_address();
                world.run_seconds(5);
                world.expect_traffic_both_ways();
            }
            world.expect_losses_by_the_network_only();
            world.expect_peer_addresses_unmoved();
            assert_eq!(world.restarts(), 0);
        });
    });
}

#[test]
fn the_same_seed_gives_the_same_course() {
    for seed in 0..20 {
        let course = || {
            with_link(seed, restless, |mut world| {
                world.set_faults(TERRIBLE);
                world.run_seconds(60);
                world.trace()
            })
        };
        assert_eq!(course(), course(), "seed {seed}");
    }
}
