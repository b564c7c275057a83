//! The network between the two nodes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use longcable_core::time::{Duration, Instant};
use longcable_core::wire::opcode::Head;

use crate::lines::{Line, Strangers};
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
    /// The number of the packet that is sealed in it, as long as nobody has changed or recorded it.
    pub number: Option<u64>,
    /// When it was sent, likewise.
    pub sent: Option<Instant>,
}

impl Datagram {
    /// Whether it belongs to the control channel of a TLS link.
    pub fn is_control(&self) -> bool {
        self.bytes.first().copied().and_then(Head::parse).is_some_and(|head| !head.opcode.is_data())
    }
}

const RECORDED_MAX: usize = 1000;
/// Longer than any datagram is under way.
const LATE: Duration = Duration::from_millis(450);

#[derive(Default)]
pub struct Network {
    pub faults: Faults,
    /// Nothing but the checksum of UDP protects control packets, so it finds every damage.
    pub checks_control: bool,
    /// By arrival, then by the order of sending.
    under_way: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
    /// What an attacker could have recorded.
    pub recorded: Vec<Datagram>,
    /// What connects the nodes to the network; without any, they have their addresses themselves.
    pub lines: Vec<Line>,
    pub strangers: Strangers,
}

impl Network {
    pub fn send(&mut self, now: Instant, dice: &mut Dice, mut datagram: Datagram) {
        if let Some(line) = self.lines.iter_mut().find(|line| line.inside == datagram.from) {
            let Some(from) = line.leave(now, dice, datagram.to) else { return };
            datagram.from = from;
        }
        if self.lines.is_empty() && self.recorded.len() < RECORDED_MAX {
            self.recorded.push(Datagram { number: None, sent: None, ..datagram.clone() });
        }
        if self.faults.cut || dice.percent(self.faults.drop) {
            return;
        }
        let copies = if dice.percent(self.faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let mut datagram = datagram.clone();
            let mut is_damaged = false;
            if dice.percent(self.faults.corrupt) && !datagram.bytes.is_empty() {
                let at = dice.below(datagram.bytes.len() as u64) as usize;
                datagram.bytes[at] ^= 1 << dice.below(8);
                is_damaged = true;
            }
            if dice.percent(self.faults.truncate) {
                let len = dice.below(datagram.bytes.len() as u64) as usize;
                datagram.bytes.truncate(len);
                is_damaged = true;
            }
            let delay = if dice.percent(self.faults.reorder) { 20 + dice.below(400) } else { 10 };
            if is_damaged {
                (datagram.number, datagram.sent) = (None, None);
                if self.checks_control && datagram.is_control() {
                    continue;
                }
            }
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

    pub fn arrive(&mut self, now: Instant, dice: &mut Dice) -> Option<Datagram> {
        loop {
            let key = *self.under_way.keys().next().filter(|(at, _)| *at <= now)?;
            let datagram = self.under_way.remove(&key)?;
            if self.lines.is_empty() {
                return Some(datagram);
            }
            if let Some(to) = self.lines.iter().find_map(|line| line.enter(now, &datagram)) {
                return Some(Datagram { to, ..datagram });
            }
            if let Some(answer) = self.strangers.answer(dice, &datagram, &self.recorded) {
                // Later than anything that is under way, or it would be no replay.
                self.put(now + LATE, answer);
            }
        }
    }

    /// Strangers on old addresses know what was accepted. Anything else would be news from them, and who relays news is
    /// where the peer is.
    pub fn record_accepted(&mut self, dice: &mut Dice, datagram: &Datagram) {
        if self.lines.is_empty() {
            return;
        }
        let record = Datagram { number: None, sent: None, ..datagram.clone() };
        if self.recorded.len() < RECORDED_MAX {
            self.recorded.push(record);
        } else {
            let at = dice.below(RECORDED_MAX as u64) as usize;
            self.recorded[at] = record;
        }
    }
}
