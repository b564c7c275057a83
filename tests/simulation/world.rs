//! Both nodes, the network and the clock.

use std::net::SocketAddr;

use longcable_core::crypto::StaticKey;
use longcable_core::options::LinkConfig;
use longcable_core::time::{Duration, Instant};

use crate::network::{Datagram, Faults, Network};
use crate::node::Node;

/// Unix time at `Instant` 0.
pub const EPOCH: u64 = 1_795_000_000;
/// A packet through the tunnel each way, this often.
const TRAFFIC_INTERVAL: Duration = Duration::from_millis(100);

/// A small deterministic generator (splitmix64): repeatable on every machine.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
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
}

#[derive(Clone, Copy, PartialEq)]
pub enum Disturbance {
    Nothing,
    /// Loss, duplicates, reordering, corruption, truncation.
    Everything,
    /// A perfect network and somebody who replays what was sent, from wherever, and sends junk.
    Attacker,
}

pub struct World {
    now: Instant,
    dice: Dice,
    seed: u64,
    configs: [&'static LinkConfig<'static>; 2],
    key: &'static StaticKey,
    nodes: [Node; 2],
    network: Network,
    attacker: bool,
    next_traffic: Instant,
    next_number: u64,
    moves: u16,
    /// Received packets before this index of each node were there at the last look.
    seen: [usize; 2],
}

impl World {
    pub fn new(seed: u64, disturbance: Disturbance) -> Self {
        let mut dice = Dice::new(seed);
        let (configs, key) = crate::configs::pick(&mut dice);
        let now = Instant::from_millis(dice.below(1_000_000));
        let nodes = [0, 1].map(|i: usize| {
            let address = SocketAddr::from(([192, 0, 2, 1 + i as u8], 1194));
            Node::new(configs[i], key, address, now, EPOCH + now.as_millis() / 1000, Dice::new(dice.next()))
        });
        let mut network = Network::default();
        if disturbance == Disturbance::Everything {
            network.faults = Faults { drop: 10, duplicate: 10, reorder: 20, corrupt: 5, truncate: 5, cut: false };
        }
        Self {
            now,
            dice,
            seed,
            configs,
            key,
            nodes,
            network,
            attacker: disturbance == Disturbance::Attacker,
            next_traffic: now + Duration::from_millis(50),
            next_number: 0,
            moves: 0,
            seen: [0; 2],
        }
    }

    pub fn run_seconds(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        self.seen = [0, 1].map(|i: usize| self.nodes[i].received.len());
        loop {
            for node in &mut self.nodes {
                node.drain(self.now, &mut self.dice, &mut self.network);
            }
            let wakes = self.nodes.iter().filter_map(|node| node.wake);
            let next = wakes.chain(self.network.next_arrival()).chain([self.next_traffic]).min();
            match next {
                Some(next) if next < end => self.now = self.now.max(next),
                _ => break,
            }
            self.step();
        }
        self.now = end;
    }

    fn step(&mut self) {
        while let Some(datagram) = self.network.arrive(self.now) {
            if let Some(node) = self.nodes.iter_mut().find(|node| node.address == datagram.to) {
                node.receive(self.now, datagram);
                node.drain(self.now, &mut self.dice, &mut self.network);
            }
        }
        for node in &mut self.nodes {
            node.handle_timeout(self.now);
        }
        if self.now >= self.next_traffic {
            self.next_traffic = self.now + TRAFFIC_INTERVAL;
            for node in &mut self.nodes {
                let len = self.dice.below(1400) as usize;
                node.send(self.now, self.next_number, len, &mut self.dice, &mut self.network);
                self.next_number += 1;
            }
            if self.attacker {
                self.attack();
            }
        }
    }

    /// One replay and one piece of junk, from the true address or from elsewhere.
    fn attack(&mut self) {
        let arrival = self.now + Duration::from_millis(20);
        let elsewhere = SocketAddr::from(([203, 0, 113, 66], 6666));
        if !self.network.recorded.is_empty() {
            let which = self.dice.below(self.network.recorded.len() as u64) as usize;
            let mut replay = self.network.recorded[which].clone();
            if self.dice.percent(50) {
                replay.from = elsewhere;
            }
            // A little later, so that it is a replay and not the original overtaken.
            self.network.put(arrival, replay);
        }
        let to = self.nodes[self.dice.below(2) as usize].address;
        let bytes = (0..self.dice.below(200)).map(|_| self.dice.below(256) as u8).collect();
        self.network.put(arrival, Datagram { from: elsewhere, to, bytes });
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

    /// One node's process is started anew, or restarted by a signal.
    pub fn restart_a_node(&mut self) {
        if self.dice.percent(50) {
            self.signal_a_node();
        } else {
            let unix_now = EPOCH + self.now.as_millis() / 1000;
            let dice = Dice::new(self.dice.next());
            self.nodes[1].reboot(self.configs[1], self.key, self.now, unix_now, dice);
        }
    }

    pub fn restarts(&self) -> usize {
        self.nodes.iter().map(|node| node.restarts).sum()
    }

    /// No packet was accepted twice, and none that was not sent.
    pub fn check_deliveries(&self) {
        for (node, other) in [(0, 1), (1, 0)] {
            let mut seen = std::collections::HashSet::new();
            for number in &self.nodes[node].received {
                assert!(self.nodes[other].sent.contains(number), "packet {number} was never sent");
                assert!(seen.insert(number), "packet {number} was accepted twice");
            }
        }
    }

    pub fn expect_everything_delivered_in_order(&self) {
        for (node, other) in [(0, 1), (1, 0)] {
            let received = &self.nodes[node].received;
            assert!(received.is_sorted(), "packets were reordered");
            // The last ones may still be under way, the first ones went out before the peer listened.
            let missing = self.nodes[other].sent.len() - received.len();
            assert!(missing <= 2, "{missing} packets are missing (seed {})", self.seed);
        }
    }

    /// In the last run both nodes received packets.
    pub fn expect_traffic_both_ways(&self) {
        for (i, node) in self.nodes.iter().enumerate() {
            let new = node.received.len() - self.seen[i];
            assert!(new >= 10, "only {new} packets reached node {i} (seed {})", self.seed);
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
