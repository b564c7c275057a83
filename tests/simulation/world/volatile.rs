//! What happens to gateways whose addresses do not last.

use std::net::Ipv4Addr;

use longcable_core::event::Signal;
use longcable_core::options::{ControlKey, LinkConfig};
use longcable_core::time::{Duration, Instant};
use longcable_core::tls::Role;

use super::{Happening, World};
use crate::lines::{Line, Nat};
use crate::names::Names;

impl<'c> World<'c> {
    /// Both ends are behind such lines, and their names lead to them. Nothing is sent through the tunnel.
    pub fn with_lines(mut self, nats: [Nat; 2], idle: Duration, ttl: Duration) -> Self {
        self.names.ttl = ttl;
        for (i, nat) in nats.into_iter().enumerate() {
            let address = self.next_address();
            self.network.lines.push(Line::new(self.nodes[i].address, address, nat, idle));
            self.names.publish(i, Instant::from_millis(0), vec![address]);
        }
        self.set_traffic(None);
        self
    }

    fn next_address(&mut self) -> Ipv4Addr {
        self.moves = self.moves.wrapping_add(1);
        let [high, low] = self.moves.to_be_bytes();
        Ipv4Addr::new(198, 18, high, low)
    }

    /// A packet through the tunnel each way so often, the first ones now.
    pub fn set_traffic(&mut self, interval: Option<Duration>) {
        self.traffic_interval = interval.unwrap_or(Duration::from_secs(1_000_000_000));
        self.next_traffic = if interval.is_some() { self.now } else { self.now + self.traffic_interval };
    }

    /// The provider of this node gives it a new address. Its name follows after a while, and may lead to the old address
    /// as well for a while more.
    pub fn readdress(&mut self, i: usize, published: Duration, stale: Option<Duration>, is_reused: bool) {
        let address = self.next_address();
        let old = self.network.lines[i].readdress(address);
        let at = self.now + published;
        if let Some(stale) = stale {
            self.names.publish(i, at, vec![address, old]);
            self.names.publish(i, at + stale, vec![address]);
        } else {
            self.names.publish(i, at, vec![address]);
        }
        if is_reused {
            self.network.strangers.move_in(old);
        }
        let (now, node) = (self.now, &mut self.nodes[i]);
        node.log.push((now, format!("(moved from {old} to {address}, its name in {published:?})")));
    }

    fn plan(&mut self, delay: Duration, happening: Happening) {
        self.planned += 1;
        self.agenda.insert((self.now + delay, self.planned), happening);
    }

    /// Nothing passes the line of this node for so long.
    pub fn break_line(&mut self, i: usize, length: Duration) {
        self.nodes[i].log.push((self.now, format!("(line down for {length:?})")));
        self.network.lines[i].is_up = false;
        self.plan(length, Happening::Line(i, true));
    }

    /// The system of this node notices what has happened to its address.
    pub fn notice(&mut self, i: usize, delay: Duration) {
        self.plan(delay, Happening::Notice(i));
    }

    /// This node has no power for so long.
    pub fn cut_power(&mut self, i: usize, length: Duration, clock_behind: u64) {
        self.nodes[i].power_off(self.now, clock_behind);
        self.plan(length, Happening::PowerOn(i));
    }

    /// This node is told to exit, and is started again after so long.
    pub fn terminate(&mut self, i: usize, length: Duration) {
        self.nodes[i].signal(self.now, Signal::Term);
        self.plan(length, Happening::PowerOn(i));
    }

    pub fn names(&mut self) -> &mut Names {
        &mut self.names
    }

    pub fn let_strangers_replay(&mut self) {
        self.network.strangers.replay = true;
    }

    pub fn nat(&self, i: usize) -> Nat {
        self.network.lines[i].nat
    }

    pub fn config(&self, i: usize) -> &'c LinkConfig<'c> {
        self.nodes[i].end.config
    }

    /// Whether each node has got something authentic that the other one has sent since then.
    pub fn have_met_since(&self, time: Instant) -> bool {
        self.nodes.iter().all(|node| node.heard.is_some_and(|sent| sent >= time))
    }

    pub fn restarts_of(&self, i: usize) -> usize {
        self.nodes[i].restarts
    }

    /// How often a node looked up names, and how many messages it sent on its own.
    pub fn activity(&self, i: usize) -> (usize, usize) {
        (self.nodes[i].lookups_made, self.nodes[i].messages)
    }

    /// How many packets each node has got through the tunnel.
    pub fn received(&self) -> [usize; 2] {
        [0, 1].map(|i: usize| self.nodes[i].received.len())
    }

    /// From when on one node is surely told where the other one is.
    pub fn fresh(&self, asks: usize, of: usize) -> Instant {
        self.names.is_fresh_from(asks, of)
    }

    /// Since when, or from when on, the resolver of a node gives answers, if it ever failed.
    pub fn resolver_works_from(&self, i: usize) -> Option<Instant> {
        self.names.works_from(i)
    }

    /// Whether it knows no key before its client has come.
    pub fn is_v2_server(&self, i: usize) -> bool {
        let tls = &self.nodes[i].end.config.tls;
        tls.role == Some(Role::Server) && matches!(tls.wrapping, ControlKey::CryptV2(_))
    }

    /// When one of them last began a session, or had one.
    pub fn negotiates(&self) -> Option<Instant> {
        self.nodes.iter().filter_map(|node| node.negotiates).max()
    }

    /// A node that exits, or has no power, cannot be told to exit.
    pub fn is_leaving(&self, i: usize) -> bool {
        self.nodes[i].is_off()
    }

    pub fn say(&mut self, line: String) {
        self.nodes[0].log.push((self.now, line));
    }
}
