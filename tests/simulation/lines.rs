//! The lines by which volatile gateways reach the network: an address that their provider changes, perhaps a NAT, and the
//! strangers that get the addresses afterwards.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use longcable_core::time::{Duration, Instant};

use crate::network::Datagram;
use crate::world::Dice;

const PORT: u16 = 1194;

/// What stands between a gateway and its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nat {
    /// Nothing, or a port that is forwarded.
    Open,
    /// Only who has been sent to may answer, but the port stays the same.
    Preserving,
    /// Each destination sees another port, and only it may answer.
    Symmetric,
}

pub struct Line {
    /// The gateway's address behind it.
    pub inside: SocketAddr,
    pub address: Ipv4Addr,
    pub nat: Nat,
    /// A mapping that is not used for so long is forgotten.
    pub idle: Duration,
    pub is_up: bool,
    mappings: HashMap<SocketAddr, (u16, Instant)>,
}

impl Line {
    pub fn new(inside: SocketAddr, address: Ipv4Addr, nat: Nat, idle: Duration) -> Self {
        Self { inside, address, nat, idle, is_up: true, mappings: HashMap::new() }
    }

    /// The provider gives a new address; no mapping survives that.
    pub fn readdress(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        self.mappings.clear();
        std::mem::replace(&mut self.address, address)
    }

    /// The source that a datagram to `to` gets, if it gets out.
    pub fn leave(&mut self, now: Instant, dice: &mut Dice, to: SocketAddr) -> Option<SocketAddr> {
        let fresh = if self.nat == Nat::Symmetric { 20_000 + dice.below(40_000) as u16 } else { PORT };
        let idle = self.idle;
        let known = self.mappings.get(&to).filter(|(_, used)| now.since(*used) < idle);
        let port = known.map_or(fresh, |(port, _)| *port);
        if !self.is_up {
            return None;
        }
        self.mappings.insert(to, (port, now));
        Some(SocketAddr::from((self.address, port)))
    }

    /// The gateway's own address if a datagram gets in.
    pub fn enter(&self, now: Instant, datagram: &Datagram) -> Option<SocketAddr> {
        if !self.is_up || datagram.to.ip() != IpAddr::V4(self.address) {
            return None;
        }
        let expects = |(port, used): &(u16, Instant)| *port == datagram.to.port() && now.since(*used) < self.idle;
        let may = match self.nat {
            Nat::Open => datagram.to.port() == PORT,
            Nat::Preserving | Nat::Symmetric => self.mappings.get(&datagram.from).is_some_and(expects),
        };
        may.then_some(self.inside)
    }
}

/// Who has got an address that a gateway had before.
#[derive(Default)]
pub struct Strangers {
    addresses: Vec<IpAddr>,
    /// They have recorded what was sent, and send it again.
    pub replay: bool,
}

impl Strangers {
    pub fn move_in(&mut self, address: Ipv4Addr) {
        self.addresses.push(address.into());
    }

    /// What a stranger says to a datagram that was not meant for him, if he says anything. Among themselves they would
    /// never come to an end; nor with a gateway that says two things to each of theirs.
    pub fn answer(&self, dice: &mut Dice, datagram: &Datagram, recorded: &[Datagram]) -> Option<Datagram> {
        let is_one = |address: SocketAddr| self.addresses.contains(&address.ip());
        if !is_one(datagram.to) || is_one(datagram.from) || dice.percent(60) {
            return None;
        }
        let bytes = if self.replay && !recorded.is_empty() && dice.percent(70) {
            dice.pick(recorded).bytes.clone()
        } else {
            (0..dice.below(200)).map(|_| dice.next() as u8).collect()
        };
        Some(Datagram { from: datagram.to, to: datagram.from, bytes, number: None, sent: None })
    }
}
