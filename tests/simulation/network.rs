//! The network between the two nodes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use longcable_core::time::{Duration, Instant};

use crate::world::Dice;

/// What the network does to packets, in percent of them.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub drop: u64,
    pub duplicate: u64,
    pub reorder: u64,
    pub corrupt: u64,
    pub truncate: u64,
    pub cut: bool,
}

/// A datagram under way.
#[derive(Clone)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

#[derive(Default)]
pub struct Network {
    pub faults: Faults,
    /// By arrival, then by the order of sending.
    under_way: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
    /// What an attacker could have recorded.
    pub recorded: Vec<Datagram>,
}

impl Network {
    pub fn send(&mut self, now: Instant, dice: &mut Dice, datagram: Datagram) {
        if self.recorded.len() < 200 {
            self.recorded.push(datagram.clone());
        }
        if self.faults.cut || dice.percent(self.faults.drop) {
            return;
        }
        let copies = if dice.percent(self.faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let mut datagram = datagram.clone();
            if dice.percent(self.faults.corrupt) && !datagram.bytes.is_empty() {
                let at = dice.below(datagram.bytes.len() as u64) as usize;
                datagram.bytes[at] ^= 1 << dice.below(8);
            }
            if dice.percent(self.faults.truncate) {
                let len = dice.below(datagram.bytes.len() as u64 + 1) as usize;
                datagram.bytes.truncate(len);
            }
            let delay = if dice.percent(self.faults.reorder) { 20 + dice.below(400) } else { 10 };
            self.put(now + Duration::from_millis(delay), datagram);
        }
    }

    /// Puts a datagram on the wire as it is.
    pub fn put(&mut self, arrival: Instant, datagram: Datagram) {
        self.sent += 1;
        self.under_way.insert((arrival, self.sent), datagram);
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    pub fn arrive(&mut self, now: Instant) -> Option<Datagram> {
        let key = *self.under_way.keys().next().filter(|(at, _)| *at <= now)?;
        self.under_way.remove(&key)
    }
}
