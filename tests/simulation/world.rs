//! Both nodes, the network and the clock.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use longcable_core::time::{Duration, Instant};
use longcable_core::wire::opcode::Opcode;

use crate::names::{Answer, Names};
use crate::network::{Datagram, Faults, Network};
use crate::node::{End, Node};

/// Unix time at `Instant` 0.
const EPOCH: u64 = 1_795_000_000;
/// A packet through the tunnel each way, this often.
const TRAFFIC_INTERVAL: Duration = Duration::from_millis(100);

/// The most packets one way that the network delays at once.
const PACKETS_UNDER_WAY: usize = 5;

mod volatile;

/// The time of day, in seconds since 1970.
pub fn unix_time(now: Instant) -> u64 {
    EPOCH + now.as_millis() / 1000
}

/// A small deterministic generator (splitmix64): repeatable on every machine.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another one, which this one decides.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'t, T>(&mut self, choices: &'t [T]) -> &'t T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}

/// Loss, duplicates, reordering, corruption, truncation.
pub const BAD: Faults = Faults { drop: 10, duplicate: 10, reorder: 20, corrupt: 5, truncate: 5, cut: false };
/// The same, and hardly anything passes.
pub const TERRIBLE: Faults = Faults { drop: 30, duplicate: 10, reorder: 30, corrupt: 3, truncate: 1, cut: false };

/// What is to happen to a node, or to its line.
enum Happening {
    Answer(usize, u32, Answer),
    /// The operating system tells that something has changed.
    Notice(usize),
    /// The line goes down or comes up.
    Line(usize, bool),
    PowerOn(usize),
}

pub struct World<'c> {
    now: Instant,
    dice: Dice,
    nodes: [Node<'c>; 2],
    network: Network,
    attacker: bool,
    /// Packets are shorter than this.
    len_max: u64,
    traffic_interval: Duration,
    next_traffic: Instant,
    names: Names,
    /// What happens later, by time, then by number.
    agenda: BTreeMap<(Instant, u64), Happening>,
    planned: u64,
    next_number: u64,
    moves: u16,
    /// Received packets before this index of each node were there at the last look.
    seen: [usize; 2],
}

impl<'c> World<'c> {
    /// Two ends of a link, and a perfect network between them.
    pub fn new(mut dice: Dice, ends: [End<'c>; 2]) -> Self {
        let now = Instant::from_millis(dice.below(1_000_000));
        let mut last = 0;
        let nodes = ends.map(|end| {
            last += 1;
            Node::new(end, SocketAddr::from(([192, 0, 2, last], 1194)), now, dice.split())
        });
        Self {
            now,
            dice,
            nodes,
            network: Network::default(),
            attacker: false,
            len_max: 1400,
            traffic_interval: TRAFFIC_INTERVAL,
            next_traffic: now + Duration::from_millis(50),
            names: Names::default(),
            agenda: BTreeMap::new(),
            planned: 0,
            next_number: 0,
            moves: 0,
            seen: [0; 2],
        }
    }

    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.network.faults = faults;
        self
    }

    pub fn with_short_packets(mut self) -> Self {
        self.len_max = 100;
        self
    }

    /// Damage to control packets shows by the checksum of UDP, and by nothing else.
    pub fn with_checked_control(mut self) -> Self {
        self.network.checks_control = true;
        self
    }

    /// Runs for less than this, as long as the seed wants.
    pub fn run_millis_below(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(self.dice.below(millis));
        self.run_to(end, |_| false);
    }

    /// Runs until some packets into a renegotiation, as many as the seed wants.
    pub fn run_until_renegotiation(&mut self) {
        let before = self.renegotiations();
        assert!(self.run_until(30, |world| world.renegotiations() > before), "nobody renegotiates");
        self.run_millis_below(60);
    }

    pub fn run_seconds(&mut self, seconds: u64) {
        self.run_until(seconds, |_| false);
    }

    /// Runs until `condition` is true, but not longer; says whether it became true.
    pub fn run_until(&mut self, seconds: u64, condition: impl Fn(&Self) -> bool) -> bool {
        self.run_to(self.now + Duration::from_secs(seconds), condition)
    }

    /// The same, to the millisecond.
    pub fn run_until_after(&mut self, length: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        self.run_to(self.now + length, condition)
    }

    fn run_to(&mut self, end: Instant, condition: impl Fn(&Self) -> bool) -> bool {
        self.seen = [0, 1].map(|i: usize| self.nodes[i].received.len());
        for node in &mut self.nodes {
            node.drain(self.now, &mut self.dice, &mut self.network);
        }
        self.look_up();
        while !condition(self) {
            let wakes = self.nodes.iter().filter_map(|node| node.wake);
            match wakes
                .chain(self.network.next_arrival())
                .chain([self.next_traffic])
                .chain(self.agenda.keys().next().map(|(at, _)| *at))
                .min()
            {
                Some(next) if next < end => self.now = self.now.max(next),
                _ => {
                    self.now = end;
                    return false;
                }
            }
            self.step();
        }
        true
    }

    fn step(&mut self) {
        let Self { now, dice, nodes, network, agenda, .. } = self;
        while let Some(next) = agenda.first_entry().filter(|next| next.key().0 <= *now) {
            match next.remove() {
                Happening::Answer(i, lookup, addresses) if !nodes[i].is_off() => {
                    nodes[i].resolved(*now, lookup, &addresses);
                    nodes[i].drain(*now, dice, network);
                }
                Happening::Notice(i) if !nodes[i].is_off() => {
                    nodes[i].notice_change(*now);
                    nodes[i].drain(*now, dice, network);
                }
                Happening::Line(i, is_up) => network.lines[i].is_up = is_up,
                Happening::PowerOn(i) => {
                    nodes[i].reboot(*now, dice.split());
                    nodes[i].drain(*now, dice, network);
                }
                _ => {}
            }
        }
        while let Some(datagram) = network.arrive(*now, dice) {
            if let Some(node) = nodes.iter_mut().find(|node| node.address == datagram.to) {
                node.receive(*now, datagram, dice, network);
            }
        }
        for node in nodes.iter_mut() {
            node.wake_up(*now, dice, network);
        }
        self.look_up();
        let Self { now, dice, nodes, network, .. } = self;
        if *now >= self.next_traffic {
            self.next_traffic = *now + self.traffic_interval;
            for node in nodes {
                let len = dice.below(self.len_max) as usize;
                node.send(*now, self.next_number, len, dice, network);
                self.next_number += 1;
            }
            if self.attacker {
                self.attack();
            }
        }
    }

    /// Passes on the lookups that the nodes have asked for.
    fn look_up(&mut self) {
        for (i, node) in self.nodes.iter_mut().enumerate() {
            for (lookup, name) in node.lookups.drain(..) {
                let (delay, addresses) = self.names.ask(self.now, &mut self.dice, i, &name);
                self.planned += 1;
                self.agenda.insert((self.now + delay, self.planned), Happening::Answer(i, lookup, addresses));
            }
        }
    }

    /// Replays, a forged reset and a piece of junk, from the true address or from elsewhere.
    fn attack(&mut self) {
        // A little later, so that it is a replay and not the original overtaken.
        let arrival = self.now + Duration::from_millis(20);
        let elsewhere = SocketAddr::from(([203, 0, 113, 66], 6666));
        let control = (0..8).map(|_| self.dice.pick(&self.network.recorded)).find(|datagram| datagram.is_control());
        let any = self.dice.pick(&self.network.recorded);
        let replays: Vec<Datagram> = control.into_iter().chain([any]).cloned().collect();
        for replay in replays {
            let from = if self.dice.percent(50) { elsewhere } else { replay.from };
            self.network.put(arrival, Datagram { from, ..replay });
        }
        let to = self.dice.below(2) as usize;
        let from = if self.dice.percent(50) { elsewhere } else { self.nodes[1 - to].address };
        let to = self.nodes[to].address;
        let junk = (0..self.dice.below(200)).map(|_| self.dice.next() as u8).collect();
        for bytes in [junk, self.forged_reset()] {
            self.network.put(arrival, Datagram { from, to, bytes, number: None, sent: None });
        }
    }

    /// A reset of a session and a key that do not exist.
    fn forged_reset(&mut self) -> Vec<u8> {
        let resets = [Opcode::HardResetClientV2, Opcode::HardResetServerV2, Opcode::SoftReset];
        let first = (*self.dice.pick(&resets) as u8) << 3 | self.dice.below(3) as u8;
        [&[first][..], &self.dice.next().to_be_bytes(), &[0; 5]].concat()
    }

    /// Somebody replays what was sent so far and forges what he can.
    pub fn let_attack(&mut self, attacks: bool) {
        self.attacker = attacks;
    }

    pub fn set_faults(&mut self, faults: Faults) {
        self.network.faults = faults;
    }

    /// Ends all faults of the network.
    pub fn calm_down(&mut self) {
        self.network.faults = Faults::default();
    }

    /// Nothing passes any more.
    pub fn cut(&mut self) {
        self.network.faults.cut = true;
    }

    /// One node gets a new address and port, as from its provider.
    pub fn move_node_to_new_address(&mut self) {
        self.moves += 1;
        self.nodes[1].address = SocketAddr::from(([198, 51, 100, 7], 20_000 + self.moves));
    }

    /// One node's link is restarted by a signal.
    pub fn signal_a_node(&mut self) {
        self.nodes[1].restart(self.now);
    }

    /// One node's process is started anew.
    pub fn reboot_a_node(&mut self) {
        let dice = self.dice.split();
        self.nodes[1].reboot(self.now, dice);
    }

    /// One node's process is started anew, or restarted by a signal.
    pub fn restart_a_node(&mut self) {
        if self.dice.percent(50) {
            self.signal_a_node();
        } else {
            self.reboot_a_node();
        }
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    pub fn restarts(&self) -> usize {
        self.nodes.iter().map(|node| node.restarts).sum()
    }

    /// The renegotiations that began so far.
    fn renegotiations(&self) -> usize {
        self.nodes.iter().map(|node| node.renegotiations).sum()
    }

    /// Losses up to now do not count.
    pub fn forget_losses(&mut self) {
        for node in &mut self.nodes {
            node.arrived.clear();
            (node.refused, node.takeovers, node.is_ambiguous) = (0, 0, false);
        }
    }

    /// The data keys of both nodes so far.
    pub fn keys(&self) -> usize {
        self.nodes.iter().map(|node| node.keys).sum()
    }

    pub fn is_up(&self) -> bool {
        self.nodes.iter().all(|node| node.is_up)
    }

    /// Whether both nodes have received packets since the last run began.
    pub fn has_traffic_both_ways(&self) -> bool {
        self.nodes.iter().zip(self.seen).all(|(node, seen)| node.received.len() >= seen + 10)
    }

    /// No packet was accepted twice, and none that was not sent.
    pub fn check_deliveries(&self) {
        for (node, other) in [(0, 1), (1, 0)] {
            let mut seen = HashSet::new();
            for number in &self.nodes[node].received {
                assert!(self.nodes[other].sent.contains(number), "packet {number} was never sent");
                assert!(seen.insert(number), "packet {number} was accepted twice");
            }
        }
    }

    /// Each packet was taken since the link is up, and accepted if its datagram arrived. Only when a session takes over
    /// from another, what is under way may be lost, for its key may be forgotten; and without an exporter more may be
    /// lost, for nothing but the first packet under the new key tells the two sessions apart.
    pub fn expect_losses_by_the_network_only(&self) {
        self.check_deliveries();
        for node in &self.nodes {
            assert_eq!(node.refused, 0, "packets were not taken");
            let received: HashSet<u64> = node.received.iter().copied().collect();
            let mut missing: Vec<&u64> = node.arrived.difference(&received).collect();
            missing.sort_unstable();
            let tolerable = node.is_ambiguous || missing.len() <= PACKETS_UNDER_WAY * node.takeovers;
            assert!(tolerable, "packets arrived and were not accepted: {missing:?}");
        }
    }

    pub fn expect_everything_delivered_in_order(&self) {
        for (node, other) in [(0, 1), (1, 0)] {
            let received = &self.nodes[node].received;
            assert!(received.is_sorted(), "packets were reordered");
            // The last ones may still be under way, the first ones went out before the peer listened.
            let missing = self.nodes[other].sent.len() - received.len();
            assert!(missing <= 2, "{missing} packets are missing");
        }
    }

    /// In the last run both nodes received packets.
    pub fn expect_traffic_both_ways(&self) {
        for (i, node) in self.nodes.iter().enumerate() {
            let new = node.received.len() - self.seen[i];
            assert!(new >= 10, "only {new} packets reached node {i}");
        }
    }

    pub fn expect_peer_addresses_unmoved(&self) {
        for (node, other) in [(0, 1), (1, 0)] {
            assert_eq!(self.nodes[node].peer_address(), Some(self.nodes[other].address));
        }
    }

    pub fn trace(&self) -> Vec<u8> {
        self.nodes.iter().flat_map(|node| node.trace.iter().copied()).collect()
    }
}

impl Drop for World<'_> {
    /// Tells what has happened if a check has failed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = |(i, node): (usize, &Node<'_>)| {
                let log = node.log.iter().skip(node.log.len().saturating_sub(60));
                log.map(|(at, line)| (*at, format!("{:10} ms, node {i}: {line}", at.as_millis()))).collect::<Vec<_>>()
            };
            let mut lines: Vec<_> = self.nodes.iter().enumerate().flat_map(last).collect();
            lines.sort_by_key(|(at, _)| *at);
            for (_, line) in lines {
                eprintln!("{line}");
            }
            eprintln!("{:10} ms: a check fails", self.now.as_millis());
        }
    }
}
