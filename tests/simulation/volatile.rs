//! Gateways whose addresses change at any time, behind NATs, found by names that are late, stale or dead.

use std::collections::BTreeMap;

use longcable_core::crypto::StaticKey;
use longcable_core::options::{ControlKey, LinkConfig};
use longcable_core::time::Duration;
use longcable_core::tls::Role;

use crate::course::{Course, Habits, Recovery};
use crate::engine::with_static_key;
use crate::for_each_seed_of;
use crate::lines::Nat;
use crate::names::{ELSEWHERE, NAMES};
use crate::network::Faults;
use crate::node::End;
use crate::tls_links::with_ends;
use crate::world::{Dice, World};

/// Each one is hours or days of two gateways.
const SEEDS: u64 = 500;

const HOUR: u64 = 3_600_000;

const KEY: &str = include_str!("../vectors/count.key");

/// Hardly a network is better in fact.
const LOSSY: Faults = Faults { drop: 3, duplicate: 2, reorder: 10, corrupt: 1, truncate: 0, cut: false };

/// `ping` and `ping-restart`.
const KEEPALIVES: [(u32, u32); 5] = [(5, 30), (10, 60), (10, 120), (15, 120), (30, 300)];

#[test]
fn links_with_static_keys_come_back() {
    report(for_each_seed_of(SEEDS, |seed| static_course(seed, None, 48)));
}

#[test]
fn links_with_tls_come_back() {
    report(for_each_seed_of(SEEDS, |seed| tls_course(seed, None, 48)));
}

#[test]
fn a_day_of_flapping_leaves_a_link() {
    report(for_each_seed_of(8, |seed| static_course(seed, Some(0), 24)));
}

#[test]
fn a_day_of_flapping_leaves_a_link_with_tls() {
    report(for_each_seed_of(4, |seed| tls_course(seed, Some(0), 24)));
}

fn static_course(seed: u64, pace: Option<u64>, hours: u64) -> Vec<Recovery> {
    let mut dice = Dice::new(seed);
    let nats = nats(&mut dice);
    let key = StaticKey::parse(KEY).expect("the key file is well-formed");
    let stores = dice.percent(30);
    let floats = floats(&mut dice, nats);
    let keepalive = *dice.pick(&KEEPALIVES);
    let texts = [0, 1].map(|i| {
        let stores = if stores || dice.percent(20) { "replay-persist file\n" } else { "" };
        let lines = lines(&mut dice, i, keepalive, floats[i]);
        // One key for both ways would let anybody reflect packets.
        format!("dev tun\n{lines}{stores}cipher AES-128-CBC\nkey-direction {i}\n<secret>\n{KEY}</secret>\n")
    });
    let configs = texts.each_ref().map(|text| LinkConfig::parse(text).expect("the configuration is valid"));
    let ends = configs.each_ref().map(|config| End { config, start: with_static_key(config, &key) });
    run(dice, ends, nats, false, pace, hours)
}

fn tls_course(seed: u64, pace: Option<u64>, hours: u64) -> Vec<Recovery> {
    let mut dice = Dice::new(seed);
    let nats = nats(&mut dice);
    let floats = floats(&mut dice, nats);
    let keepalive = *dice.pick(&KEEPALIVES);
    let rules = |dice: &mut Dice, i| lines(dice, i, keepalive, floats[i]);
    with_ends(dice, false, rules, |dice, ends, is_checked| {
        // A server that knows no key before its client has come makes no mapping for it.
        let is_mute = |end: &End<'_>| {
            let tls = &end.config.tls;
            tls.role == Some(Role::Server) && matches!(tls.wrapping, ControlKey::CryptV2(_))
        };
        let is_shut = ends.iter().zip(nats).any(|(end, nat)| is_mute(end) && nat != Nat::Open);
        let nats = if is_shut { [Nat::Open; 2] } else { nats };
        run(dice, ends, nats, is_checked, pace, hours)
    })
}

fn run(
    mut dice: Dice,
    ends: [End<'_>; 2],
    nats: [Nat; 2],
    is_checked: bool,
    pace: Option<u64>,
    hours: u64,
) -> Vec<Recovery> {
    let replays = ends.iter().all(|end| end.config.tls.role.is_some() || end.config.replay_persist.is_some());
    let ping = ends.iter().map(|end| end.config.ping).max().expect("there are two");
    let idle = Duration::from_secs(u64::from(ping) + 10 + dice.below(300));
    let ttl = Duration::from_secs(*dice.pick(&[0, 5, 30, 60]));
    let is_lossy = dice.percent(30);
    let netlink = |dice: &mut Dice| dice.percent(60).then(|| Duration::from_millis(1 + dice.below(150)));
    let habits = Habits {
        notices: [netlink(&mut dice), netlink(&mut dice)],
        pace: pace.unwrap_or_else(|| *dice.pick(&[HOUR / 10, HOUR, 4 * HOUR, 24 * HOUR])),
        allowance: Duration::from_secs(if is_lossy { 60 } else { 0 }),
        is_busy: dice.percent(30),
    };
    let mut world = World::new(dice.split(), ends).with_short_packets().with_lines(nats, idle, ttl);
    if is_checked {
        world = world.with_checked_control();
    }
    if is_lossy {
        world = world.with_faults(LOSSY);
    }
    if replays {
        world.let_strangers_replay();
    }
    Course::new(world, dice, habits).run(Duration::from_secs(hours * 3600))
}

fn nats(dice: &mut Dice) -> [Nat; 2] {
    let open = [Nat::Open, Nat::Open];
    let mut nats = *dice.pick(&[
        open,
        open,
        [Nat::Open, Nat::Preserving],
        [Nat::Open, Nat::Symmetric],
        [Nat::Preserving, Nat::Preserving],
    ]);
    if dice.percent(50) {
        nats.reverse();
    }
    nats
}

/// Who is behind a NAT that chooses ports is found by what he sends, and only so.
fn floats(dice: &mut Dice, nats: [Nat; 2]) -> [bool; 2] {
    [0, 1].map(|i| nats[1 - i] == Nat::Symmetric || dice.percent(60))
}

/// What both kinds of links have in common.
fn lines(dice: &mut Dice, i: usize, (ping, restart): (u32, u32), floats: bool) -> String {
    let peer = NAMES[1 - i];
    // If both had a wrong one, they might never be at the right ones together.
    let mut lines = match dice.below(5) + 2 * i as u64 {
        0 => format!("remote {ELSEWHERE}\nremote {peer}\n"),
        1 => format!("remote {peer}\nremote nowhere.example\n"),
        _ => format!("remote {peer}\n"),
    };
    lines += &format!("ping {ping}\nping-restart {restart}\n");
    if floats {
        lines += "float\n";
    }
    for line in ["persist-tun", "persist-key", "persist-remote-ip", "persist-local-ip", "explicit-exit-notify 2"] {
        if dice.percent(40) {
            lines += &format!("{line}\n");
        }
    }
    lines += *dice.pick(&["", "resolv-retry infinite\n", "resolv-retry 20\n"]);
    lines
}

/// Tells how long links took to come back.
fn report(recoveries: Vec<Vec<Recovery>>) {
    let mut kinds = BTreeMap::<_, Vec<Duration>>::new();
    for (kind, length) in recoveries.into_iter().flatten() {
        kinds.entry(kind).or_default().push(length);
    }
    for (kind, mut lengths) in kinds {
        lengths.sort_unstable();
        let (count, median, worst) = (lengths.len(), lengths[lengths.len() / 2], lengths[lengths.len() - 1]);
        println!("{kind}: {count} times, median {median:?}, worst {worst:?}");
    }
}
