//! The life of one point-to-point link: resolve, bind, open the tunnel, run, restart, exit.
//!
//! ```text
//! Resolving --resolved--> Binding --bound--> OpeningTunnel --tunnel_opened--> Running
//!     ^                                                                         |
//!     +------------------------------- Pausing <-------- ping-restart, SIGUSR1 -+
//! ```

mod follow;

use core::net::{IpAddr, SocketAddr};

use heapless::{Deque, Vec};

use crate::error::{Discard, NotReady};
use crate::event::{Cause, Event, Reason, Signal};
use crate::log::debug;
use crate::options::{Family, LinkConfig, Remote, ResolvRetry};
use crate::packet::PacketBuf;
use crate::peer::{self, ADDRESSES_MAX, Counters, Keys, Peer, Sealed, SetupError};
use crate::platform::Platform;
use crate::time::{Duration, Instant, Timer, TimerTable};

use follow::Follow;

/// Distance of the attempts to resolve a name with `resolv-retry n`.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);

/// A link that has stood before does not wait longer for its peer's name: the peer may still be where it was.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(2);

/// Strangers cause lookups at this distance.
const STRANGER_INTERVAL: Duration = Duration::from_secs(2);

/// What the host is to do next.
#[derive(Debug)]
pub enum Output<'o> {
    /// Send this datagram.
    Transmit(Sealed<'o>),
    /// Tell the operator.
    Event(Event<'o>),
    /// Look up the addresses of this remote and call [`Gateway::resolved`] with this number. Nothing waits for it.
    Resolve(u32, Remote<'o>),
    /// Open the socket and call [`Gateway::bound`]. The address, if one is known, tells the family.
    Bind(Option<SocketAddr>),
    /// This end has moved. A socket that is bound to an address that may be gone is to be opened anew; nothing waits for
    /// that.
    Rebind,
    /// Close the socket.
    CloseSocket,
    /// Open and configure the tunnel device, run `up`, and call [`Gateway::tunnel_opened`].
    OpenTunnel,
    /// Add the routes and run `route-up`.
    AddRoutes,
    /// The device stays open over a restart, but `up-restart` wants the script `down` to know.
    RestartDown(Reason),
    /// The link is about to run again; `up-restart` wants the script `up` to know.
    RestartUp,
    /// Remove the routes, run `route-pre-down` and `down`, close the device.
    CloseTunnel(Reason),
    /// The peer has a new address: run `ipchange`.
    PeerAddress(SocketAddr),
    /// The link has ended; the gateway is not to be used any more.
    Exit(Reason),
    /// Nothing more now; call [`Gateway::handle_timeout`] at this time.
    Timeout(Option<(Instant, Timer)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waiting for the addresses of the remote, since then.
    Resolving(Instant),
    Binding,
    OpeningTunnel,
    Running,
    Pausing,
    Exited,
}

/// One link and everything that happens to it.
pub struct Gateway<'c, P: Platform> {
    config: &'c LinkConfig<'c>,
    peer: Peer<'c, P>,
    state: State,
    /// Index into `config.remotes`.
    remote: usize,
    /// The addresses of that remote, the one to try first.
    addresses: Vec<SocketAddr, ADDRESSES_MAX>,
    /// How many of them have been tried in vain.
    attempt: usize,
    /// Number of the last lookup.
    lookup: u32,
    /// Answers up to this number come too late: there is a later one, or they are for another remote.
    answered: u32,
    /// When a stranger last caused one, and from where.
    stranger: Option<(Instant, SocketAddr)>,
    socket_open: bool,
    tunnel_open: bool,
    routes_added: bool,
    /// The peer has been heard since the last start or restart.
    connected: bool,
    follow: Follow,
    /// Which remote was heard last, and where.
    known: Option<(usize, SocketAddr)>,
    /// What the host is to do, in this order, before anything else.
    steps: Deque<Output<'c>, 12>,
    timers: TimerTable,
}

impl<'c, P: Platform> Gateway<'c, P> {
    /// A link that starts at once; call [`Gateway::poll_output`] next. `unix_now` is the time of day
    /// at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// The key must not be used or is not of the configured mode, or the platform lacks the cipher or digest.
    pub fn new(
        config: &'c LinkConfig<'c>,
        keys: Keys<P>,
        rng: P::Rng,
        now: Instant,
        unix_now: u64,
    ) -> Result<Self, SetupError> {
        let mut gateway = Self {
            config,
            peer: Peer::new(config, keys, rng, now, unix_now)?,
            state: State::Resolving(now),
            remote: 0,
            addresses: Vec::new(),
            attempt: 0,
            lookup: 0,
            answered: 0,
            stranger: None,
            socket_open: false,
            tunnel_open: false,
            routes_added: false,
            connected: false,
            follow: Follow::new(config),
            known: None,
            steps: Deque::new(),
            timers: TimerTable::new(),
        };
        gateway.start(now);
        Ok(gateway)
    }

    /// The peer behind the link.
    pub fn peer(&self) -> &Peer<'c, P> {
        &self.peer
    }

    /// The peer behind the link, to preset its replay window.
    pub fn peer_mut(&mut self) -> &mut Peer<'c, P> {
        &mut self.peer
    }

    /// Opens one datagram in place; see [`Peer::handle_datagram`].
    ///
    /// # Errors
    /// Why the datagram was dropped.
    pub fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Result<Option<&'b mut [u8]>, Discard> {
        let opened = self.peer.handle_datagram(now, from, datagram);
        if opened == Err(Discard::Source) {
            self.stranger_came(now, from);
        }
        opened
    }

    /// Seals one packet in place; see [`Peer::seal`].
    ///
    /// # Errors
    /// Why the packet was dropped.
    pub fn seal<'b>(&mut self, now: Instant, packet: PacketBuf<'b>) -> Result<Sealed<'b>, NotReady> {
        self.peer.seal(now, packet)
    }

    /// The answer to [`Output::Resolve`]: the addresses in the order of preference. An answer to an earlier lookup
    /// is ignored.
    pub fn resolved(&mut self, now: Instant, lookup: u32, addresses: Result<&[SocketAddr], ()>) {
        let (after, pending) = (lookup.wrapping_sub(self.answered), self.lookup.wrapping_sub(self.answered));
        if after == 0 || after > pending {
            return;
        }
        self.answered = lookup;
        let since = match self.state {
            State::Resolving(since) => since,
            State::Running => return self.followed(addresses.unwrap_or_default()),
            _ => return,
        };
        match addresses {
            Ok(addresses) if !addresses.is_empty() => {
                self.addresses = addresses.iter().copied().take(ADDRESSES_MAX).collect();
                debug!("{} address(es) for remote {}, attempt {}", self.addresses.len(), self.remote, self.attempt);
                let next = self.attempt.checked_rem(self.addresses.len()).unwrap_or(0);
                self.addresses.rotate_left(next);
                self.bind();
            }
            _ if self.bind_to_known() => {}
            _ => match self.config.resolv_retry {
                ResolvRetry::Seconds(0) => self.exit(Reason::soft(Signal::Term, Cause::Resolve)),
                ResolvRetry::Seconds(n) if now.since(since) < Duration::from_secs(n.into()) => {
                    self.timers.set(Timer::Resolve, now + RESOLVE_INTERVAL);
                }
                _ => self.restart(now, Reason::soft(Signal::Usr1, Cause::Resolve)),
            },
        }
    }

    /// The answer to [`Output::Bind`]; `unix_now` is the time of day, in seconds since 1970. After a failure the link
    /// is restarted.
    pub fn bound(&mut self, now: Instant, unix_now: u64, result: Result<(), ()>) {
        self.socket_open |= result.is_ok();
        if self.state != State::Binding {
            // Nobody wants it any more.
            return self.close_socket();
        }
        self.peer.set_unix_time(now, unix_now);
        match result {
            Ok(()) if self.tunnel_open => {
                if self.config.up_restart {
                    self.push(Output::RestartUp);
                }
                self.add_routes_unless_delayed();
                self.run(now);
            }
            Ok(()) if self.config.up_delay => self.run(now),
            Ok(()) => {
                self.state = State::OpeningTunnel;
                self.push(Output::OpenTunnel);
            }
            Err(()) => self.restart(now, Reason::soft(Signal::Usr1, Cause::Socket)),
        }
    }

    /// The answer to [`Output::OpenTunnel`]; a host whose device cannot be opened gives up instead.
    pub fn tunnel_opened(&mut self, now: Instant) {
        self.tunnel_open = true;
        match self.state {
            State::OpeningTunnel => {
                self.add_routes_unless_delayed();
                self.run(now);
            }
            State::Running => {
                self.add_routes_unless_delayed();
                self.initialized(now);
            }
            State::Exited => self.push(Output::CloseTunnel(Reason::hard(Signal::Term))),
            State::Resolving(_) | State::Binding | State::Pausing => {}
        }
    }

    /// The address or the route of this end towards the peer has changed, or the line is up again.
    pub fn local_changed(&mut self, now: Instant) {
        match self.state {
            State::Running if self.config.follow_link => {
                self.push(Output::Rebind);
                if let Some(at) = self.follow.moved(now) {
                    self.timers.set(Timer::Follow, at);
                }
            }
            // What has failed may succeed now.
            State::Pausing if self.config.follow_link => self.timers.set(Timer::Restart, now),
            State::Resolving(_) if self.config.follow_link => self.resolve(),
            _ => {}
        }
    }

    /// A signal from outside.
    pub fn signal(&mut self, now: Instant, signal: Signal) {
        let signal = match (signal, self.config.remap_usr1) {
            (Signal::Usr1, Some(other)) => other,
            _ => signal,
        };
        let reason = Reason::hard(signal);
        match signal {
            // What has been asked for is under way.
            Signal::Usr1 | Signal::Hup if self.peer.is_leaving() => {}
            // A lookup goes on until it is answered (protocol section 5.3).
            Signal::Usr1 if matches!(self.state, State::Resolving(_)) => {}
            Signal::Usr1 => self.restart(now, reason),
            Signal::Hup => self.exit(reason),
            Signal::Term | Signal::Int if self.state == State::Running => self.peer.leave(now, reason),
            Signal::Term | Signal::Int => self.exit(reason),
        }
    }

    /// Does what has become due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::Restart => self.start(now),
                Timer::Resolve if matches!(self.state, State::Resolving(_)) && self.bind_to_known() => {}
                Timer::Resolve => self.resolve(),
                Timer::Follow => self.follow(now),
                Timer::RouteDelay => {
                    self.add_routes();
                    self.push(Output::Event(Event::Initialized));
                }
                _ => {}
            }
        }
        self.peer.handle_timeout(now);
    }

    /// The next thing for the host to do; to be called until it says `Timeout`, after every other
    /// call. `out` holds at least [`peer::OUTPUT_MAX`] bytes.
    pub fn poll_output<'o>(&'o mut self, now: Instant, out: &'o mut [u8]) -> Output<'o> {
        if self.state == State::Running {
            if let Some(event) = self.peer.take_event() {
                // What the peer has to say comes before the consequences.
                return Output::Event(event);
            } else if let Some(address) = self.peer.take_new_address() {
                self.peer_connected(now, address);
            } else if let Some(reason) = self.peer.take_end() {
                self.ended(now, reason);
            }
        }
        if let Some(step) = self.steps.pop_front() {
            return step;
        }
        let own = self.timers.next();
        match self.peer.poll_output(now, out) {
            peer::Output::Transmit(sealed) => Output::Transmit(sealed),
            peer::Output::Event(event) => Output::Event(event),
            peer::Output::Timeout(peers) => Output::Timeout(own.into_iter().chain(peers).min_by_key(|(at, _)| *at)),
        }
    }

    /// Whether [`Gateway::poll_output`] has more to say than its time-out. A host that moves data
    /// asks this after each packet and drains only if it must.
    pub fn has_output(&self, now: Instant) -> bool {
        !self.steps.is_empty() || self.peer.has_output(now)
    }

    /// What has passed so far.
    pub fn counters(&self) -> Counters {
        self.peer.counters()
    }

    fn start(&mut self, now: Instant) {
        self.connected = false;
        let kept = if self.config.persist_remote_ip { self.peer.proven_address() } else { None };
        self.addresses.clear();
        let Some(remote) = self.config.remotes.get(self.remote) else { return self.bind() };
        if let Some(address) = kept.or_else(|| literal(self.config, remote)) {
            let _ = self.addresses.push(address);
            return self.bind();
        }
        self.state = State::Resolving(now);
        self.answered = self.lookup;
        self.resolve();
        if self.known_address().is_some() {
            self.timers.set(Timer::Resolve, now + RESOLVE_PATIENCE);
        }
    }

    /// Where this remote was heard last: better than nothing if its name does not resolve.
    fn known_address(&self) -> Option<SocketAddr> {
        let (remote, address) = self.known.filter(|_| self.config.follow_name)?;
        (remote == self.remote).then_some(address)
    }

    fn bind_to_known(&mut self) -> bool {
        let Some(address) = self.known_address() else { return false };
        self.addresses = [address].into_iter().collect();
        self.bind();
        true
    }

    fn resolve(&mut self) {
        if let Some(remote) = self.config.remotes.get(self.remote) {
            self.lookup = self.lookup.wrapping_add(1);
            self.push(Output::Resolve(self.lookup, *remote));
        }
    }

    fn bind(&mut self) {
        self.timers.stop(Timer::Resolve);
        self.state = State::Binding;
        self.push(Output::Bind(self.addresses.first().copied()));
    }

    fn run(&mut self, now: Instant) {
        self.state = State::Running;
        self.peer.connect(now, &self.addresses);
        if let Some(at) = self.follow.start(now) {
            self.timers.set(Timer::Follow, at);
        }
    }

    /// Looks for the peer if it is silent.
    fn follow(&mut self, now: Instant) {
        let (round, next) = self.follow.due(now, self.peer.last_heard());
        if let Some(at) = next {
            self.timers.set(Timer::Follow, at);
        }
        if let Some(round) = round {
            self.peer.probe(&self.addresses, round.greet);
            self.look_up();
        }
    }

    /// Looks up where the peer is now, while the link stands.
    fn look_up(&mut self) {
        let is_name = self.config.remotes.get(self.remote).is_some_and(|remote| literal(self.config, remote).is_none());
        if self.config.follow_name && is_name {
            self.resolve();
        }
    }

    /// Where the peer's name leads to now.
    fn followed(&mut self, addresses: &[SocketAddr]) {
        if addresses.is_empty() {
            return;
        }
        let before = core::mem::take(&mut self.addresses);
        self.addresses = addresses.iter().copied().take(ADDRESSES_MAX).collect();
        self.peer.expect(&self.addresses);
        let mut new = self.addresses.iter().filter(|address| !before.contains(address));
        // A stranger at an address that the name has now is none.
        if new.any(|address| self.follow.is_asking() || self.stranger.is_some_and(|(_, from)| from == *address)) {
            self.peer.probe(&self.addresses, true);
        }
    }

    /// Somebody sends from an address that is not the peer's, as far as is known.
    fn stranger_came(&mut self, now: Instant, from: SocketAddr) {
        if self.state == State::Running && self.stranger.is_none_or(|(at, _)| now.since(at) >= STRANGER_INTERVAL) {
            self.stranger = Some((now, from));
            self.look_up();
        }
    }

    fn peer_connected(&mut self, now: Instant, address: SocketAddr) {
        self.known = Some((self.remote, address));
        self.push(Output::Event(Event::PeerConnected(address)));
        self.push(Output::PeerAddress(address));
        if self.connected {
            return;
        }
        self.connected = true;
        self.follow(now);
        self.attempt = 0;
        if self.tunnel_open { self.initialized(now) } else { self.push(Output::OpenTunnel) }
    }

    fn add_routes_unless_delayed(&mut self) {
        if self.config.route_delay.is_none() {
            self.add_routes();
        }
    }

    fn add_routes(&mut self) {
        if !self.routes_added {
            self.routes_added = true;
            self.push(Output::AddRoutes);
        }
    }

    fn initialized(&mut self, now: Instant) {
        match self.config.route_delay.filter(|_| !self.routes_added) {
            Some(seconds) => self.timers.set(Timer::RouteDelay, now + Duration::from_secs(seconds.into())),
            None => self.push(Output::Event(Event::Initialized)),
        }
    }

    fn ended(&mut self, now: Instant, reason: Reason) {
        if let Some(cause) = reason.cause {
            self.push(Output::Event(Event::Ending(cause)));
        }
        match (reason.signal, self.config.remap_usr1) {
            (Signal::Usr1, None) => self.restart(now, reason),
            (Signal::Usr1, Some(signal)) => self.exit(Reason { signal, ..reason }),
            _ => self.exit(reason),
        }
    }

    fn restart(&mut self, now: Instant, reason: Reason) {
        if matches!(self.state, State::Exited | State::Pausing) {
            return;
        }
        self.shut_down();
        if self.tunnel_open {
            match (self.config.persist_tun, self.config.up_restart) {
                (false, _) => self.close_tunnel(reason),
                (true, true) => self.push(Output::RestartDown(reason)),
                (true, false) => {}
            }
        }
        if !self.connected {
            self.attempt = self.attempt.saturating_add(1);
            if self.attempt >= self.addresses.len() {
                self.attempt = 0;
                self.remote = self.remote.saturating_add(1).checked_rem(self.config.remotes.len()).unwrap_or(0);
            }
        }
        let (pause, _) = self.config.connect_retry;
        self.push(Output::Event(Event::Restarting(reason)));
        if reason.cause != Some(Cause::Resolve) {
            self.push(Output::Event(Event::Pause(pause.into())));
        }
        self.timers.set(Timer::Restart, now + Duration::from_secs(pause.into()));
        self.state = State::Pausing;
    }

    fn exit(&mut self, reason: Reason) {
        if self.state == State::Exited {
            return;
        }
        self.shut_down();
        if self.tunnel_open {
            self.close_tunnel(reason);
        }
        self.push(Output::Exit(reason));
        self.state = State::Exited;
    }

    /// Stops the peer and closes the socket; what was about to be opened is not opened.
    fn shut_down(&mut self) {
        self.peer.disconnect();
        self.timers.stop_all();
        for _ in 0..self.steps.len() {
            match self.steps.pop_front() {
                Some(Output::Resolve(..) | Output::Bind(_) | Output::Rebind | Output::OpenTunnel) | None => {}
                Some(step) => self.push(step),
            }
        }
        self.close_socket();
    }

    fn close_socket(&mut self) {
        if self.socket_open {
            self.socket_open = false;
            self.push(Output::CloseSocket);
        }
    }

    fn close_tunnel(&mut self, reason: Reason) {
        self.tunnel_open = false;
        self.routes_added = false;
        self.push(Output::CloseTunnel(reason));
    }

    /// There is never more than one life's worth of steps, which fits.
    fn push(&mut self, step: Output<'c>) {
        let _ = self.steps.push_back(step);
    }
}

/// The address of a remote that is no name.
fn literal(config: &LinkConfig<'_>, remote: &Remote<'_>) -> Option<SocketAddr> {
    let ip: IpAddr = remote.host.as_str()?.parse().ok()?;
    let fits = match remote.family.unwrap_or(config.family) {
        Family::Any => true,
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
    };
    fits.then(|| SocketAddr::new(ip, remote.port.unwrap_or(config.remote_port)))
}

#[cfg(test)]
mod tests;
