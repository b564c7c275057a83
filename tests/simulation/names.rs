//! Names that lead to volatile gateways: dynamic DNS that learns of a change late, resolvers that keep what they have
//! been told, that are dead or deny everything for a while.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use longcable_core::time::{Duration, Instant};

use crate::world::Dice;

/// What a lookup gives.
pub type Answer = Result<Vec<SocketAddr>, ()>;

/// How long a dead resolver takes to be given up.
pub const DEAD_DELAY: Duration = Duration::from_secs(5);

const PORT: u16 = 1194;

/// The names of the two nodes.
pub const NAMES: [&str; 2] = ["a.example", "b.example"];
/// A name that leads to somebody else.
pub const ELSEWHERE: &str = "elsewhere.example";
const ELSEWHERE_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);

/// One node's resolver.
#[derive(Default)]
struct Resolver {
    cache: HashMap<String, (Instant, Vec<Ipv4Addr>)>,
    dead_until: Option<Instant>,
    denies_until: Option<Instant>,
}

#[derive(Default)]
pub struct Names {
    /// Since when each node's name has led where.
    records: [Vec<(Instant, Vec<Ipv4Addr>)>; 2],
    resolvers: [Resolver; 2],
    pub ttl: Duration,
}

impl Names {
    /// From `at` on the name of this node leads there.
    pub fn publish(&mut self, node: usize, at: Instant, addresses: Vec<Ipv4Addr>) {
        self.records[node].retain(|(from, _)| *from < at);
        self.records[node].push((at, addresses));
    }

    /// The resolver of this node does not answer until then.
    pub fn die(&mut self, node: usize, until: Instant) {
        self.resolvers[node].dead_until = Some(until);
    }

    /// The resolver of this node knows no name until then.
    pub fn deny(&mut self, node: usize, until: Instant) {
        self.resolvers[node].denies_until = Some(until);
    }

    /// When the resolver of this node has ceased to fail, or will.
    pub fn works_from(&self, node: usize) -> Option<Instant> {
        let resolver = &self.resolvers[node];
        resolver.dead_until.max(resolver.denies_until)
    }

    /// From when on what `asks` is told of `of` is surely up to date.
    pub fn is_fresh_from(&self, asks: usize, of: usize) -> Instant {
        let (published, _) = self.records[of].last().expect("it has a record");
        let fresh = *published + self.ttl;
        self.works_from(asks).map_or(fresh, |works| works.max(fresh))
    }

    /// Looks a name up: after how long there is an answer, and which.
    pub fn ask(&mut self, now: Instant, dice: &mut Dice, asks: usize, name: &str) -> (Duration, Answer) {
        let resolver = &mut self.resolvers[asks];
        let soon = Duration::from_millis(5 + dice.below(45));
        if resolver.dead_until.is_some_and(|until| now < until) {
            return (DEAD_DELAY, Err(()));
        }
        if resolver.denies_until.is_some_and(|until| now < until) {
            return (soon, Err(()));
        }
        let cached = resolver.cache.get(name).filter(|(until, _)| now < *until);
        let addresses = match (cached, NAMES.iter().position(|known| *known == name)) {
            (Some((_, addresses)), _) => addresses.clone(),
            (None, Some(node)) => {
                let current = self.records[node].iter().rev().find(|(from, _)| *from <= now);
                current.map(|(_, addresses)| addresses.clone()).unwrap_or_default()
            }
            (None, None) if name == ELSEWHERE => vec![ELSEWHERE_ADDRESS],
            (None, None) => return (soon, Err(())),
        };
        if cached.is_none() {
            resolver.cache.insert(name.to_owned(), (now + self.ttl, addresses.clone()));
        }
        // Servers take turns with what they begin with.
        let mut addresses: Vec<SocketAddr> = addresses.iter().map(|ip| SocketAddr::from((*ip, PORT))).collect();
        if dice.percent(50) {
            addresses.reverse();
        }
        (soon, if addresses.is_empty() { Err(()) } else { Ok(addresses) })
    }
}
