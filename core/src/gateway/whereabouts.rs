//! Where the peer is: lookups of its name when the link starts and while it stands.

use core::net::{IpAddr, SocketAddr};

use super::{Gateway, State};
use crate::crypto::Rng;
use crate::event::{Cause, Reason, Signal};
use crate::gateway::output::{Lookup, Step};
use crate::log::debug;
use crate::options::{Connection, Family, Remote, ResolvRetry};
use crate::peer::ADDRESSES_MAX;
use crate::platform::Platform;
use crate::time::{Duration, Instant, Timer};

/// Distance of the attempts to resolve a name, however long a lookup takes to fail: the next one may ask another server.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);

/// Strangers cause lookups at this distance.
const STRANGER_INTERVAL: Duration = Duration::from_secs(2);

impl<'c, P: Platform> Gateway<'c, P> {
    /// The answer to [`Output::Resolve`](super::Output::Resolve): the addresses in the order of preference. An answer to an earlier lookup
    /// is ignored.
    pub fn resolved(&mut self, now: Instant, lookup: u32, addresses: Result<&[SocketAddr], ()>) {
        let (after, pending) = (lookup.wrapping_sub(self.answered), self.lookup.wrapping_sub(self.answered));
        if after == 0 || after > pending {
            return;
        }
        self.answered = lookup;
        let since = match self.state {
            State::Resolving(since) => since,
            State::Running => return self.followed(now, addresses.unwrap_or_default()),
            _ => return,
        };
        match addresses {
            Ok(addresses) if !addresses.is_empty() => {
                self.found(addresses);
                self.bind();
            }
            _ if self.bind_without_answer() => {}
            _ => match self.config.resolv_retry {
                ResolvRetry::Seconds(0) => self.exit(Reason::soft(Signal::Term, Cause::Resolve)),
                ResolvRetry::Seconds(n) if now.since(since) < Duration::from_secs(n.into()) => {
                    self.timers.set(Timer::Resolve, now.max(self.asked + RESOLVE_INTERVAL));
                }
                _ => self.restart(now, Reason::soft(Signal::Usr1, Cause::Resolve)),
            },
        }
    }

    pub(super) fn remote(&self) -> Option<&'c Remote<'c>> {
        self.config.remotes.get(self.remotes.index())
    }

    /// Where the present remote was heard last.
    pub(super) fn last_known(&self) -> Option<SocketAddr> {
        let (remote, address) = self.known?;
        (remote == self.remotes.index()).then_some(address)
    }

    /// The address that `persist-remote-ip` holds on to.
    pub(super) fn kept_address(&self) -> Option<SocketAddr> {
        let holds = self.config.persist_remote_ip && !(self.kept_in_vain && self.config.follow_name);
        self.last_known().filter(|_| holds)
    }

    /// What is better than nothing if the remote's name does not resolve.
    pub(super) fn known_address(&self) -> Option<SocketAddr> {
        self.last_known().filter(|_| self.config.follow_name)
    }

    /// Whether somebody whose name does not resolve can be waited for: what authenticates him is his key.
    pub(super) fn may_be_called(&self) -> bool {
        let asks_again = self.config.follow_name && self.config.probe_interval > 0;
        asks_again && self.connection().float && self.config.resolv_retry != ResolvRetry::Seconds(0)
    }

    /// Goes on although the remote's name does not resolve, if that makes sense.
    pub(super) fn bind_without_answer(&mut self) -> bool {
        let known = self.known_address();
        let goes_on = known.is_some() || self.may_be_called();
        if goes_on {
            self.addresses = known.into_iter().collect();
            self.bind();
        }
        goes_on
    }

    /// Where the present remote is; where it was heard last, or what has not been tried yet, comes first.
    fn found(&mut self, addresses: &[SocketAddr]) {
        self.addresses = addresses.iter().copied().take(ADDRESSES_MAX).collect();
        debug!("{} address(es) for remote {}", self.addresses.len(), self.remotes.index());
        let known = self.addresses.iter().position(|address| Some(*address) == self.last_known());
        self.addresses.rotate_left(known.unwrap_or(0));
        let next = self.remotes.next_of(self.addresses.len());
        self.addresses.rotate_left(next);
    }

    pub(super) fn resolve(&mut self, now: Instant) {
        let Some(remote) = self.remote() else { return };
        self.asked = now;
        let connection = self.connection();
        let label = self.config.remote_random_hostname.then(|| {
            let mut label = [0; 6];
            self.peer.rng().fill(&mut label);
            label
        });
        let (port, family) = (connection.port_of(remote), connection.family_of(remote));
        self.lookup = self.lookup.wrapping_add(1);
        self.push(Step::Resolve(self.lookup, Lookup { host: remote.host, label, port, family }));
        if matches!(self.state, State::Resolving(_)) && self.config.resolv_retry != ResolvRetry::Seconds(0) {
            self.timers.set(Timer::Resolve, now + RESOLVE_INTERVAL);
        }
    }

    pub(super) fn bind(&mut self) {
        self.timers.stop(Timer::Resolve);
        self.state = State::Binding;
        self.push(Step::Bind(self.addresses.first().copied()));
    }

    /// Looks for the peer if it is silent.
    pub(super) fn follow(&mut self, now: Instant) {
        let (round, next) = self.follow.due(now, self.peer.last_heard(), self.peer.rhythm());
        if let Some(at) = next {
            self.timers.set(Timer::Follow, at);
        }
        if let Some(round) = round {
            self.peer.probe(now, &self.addresses, round.greet);
            if round.look_up {
                self.look_up(now);
            }
        }
    }

    /// Looks up where the peer is now, while the link stands.
    fn look_up(&mut self, now: Instant) {
        let is_name = self.remote().is_some_and(|remote| literal(self.connection(), remote).is_none());
        if self.config.follow_name && is_name {
            self.resolve(now);
        }
    }

    /// Where the peer's name leads to now.
    fn followed(&mut self, now: Instant, addresses: &[SocketAddr]) {
        if addresses.is_empty() {
            return;
        }
        if self.addresses.is_empty() && !self.peer.has_answered() {
            // Nobody has called meanwhile.
            self.found(addresses);
            return self.connect(now);
        }
        let before = core::mem::take(&mut self.addresses);
        self.addresses = addresses.iter().copied().take(ADDRESSES_MAX).collect();
        self.peer.expect(&self.addresses);
        let mut new = self.addresses.iter().filter(|address| !before.contains(address));
        // A stranger at an address that the name has now is none.
        if new.any(|address| self.follow.is_asking() || self.stranger.is_some_and(|(_, from)| from == *address)) {
            self.peer.probe(now, &self.addresses, true);
        }
    }

    /// Somebody sends from an address that is not the peer's, as far as is known.
    pub(super) fn stranger_came(&mut self, now: Instant, from: SocketAddr) {
        if self.state == State::Running && self.stranger.is_none_or(|(at, _)| now.since(at) >= STRANGER_INTERVAL) {
            self.stranger = Some((now, from));
            self.look_up(now);
        }
    }
}

/// The address of a remote that is no name.
pub(super) fn literal(connection: &Connection<'_>, remote: &Remote<'_>) -> Option<SocketAddr> {
    let ip: IpAddr = remote.host.as_str()?.parse().ok()?;
    let fits = match connection.family_of(remote) {
        Family::Any => true,
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
    };
    fits.then(|| SocketAddr::new(ip, connection.port_of(remote)))
}
