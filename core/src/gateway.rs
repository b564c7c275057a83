//! The life of one point-to-point link: resolve, bind, open the tunnel, run, restart, exit.
//!
//! ```text
//! Resolving --resolved--> Binding --bound--> OpeningTunnel --tunnel_opened--> Running
//!     ^                                                                         |
//!     +------------------------------- Pausing <-------- ping-restart, SIGUSR1 -+
//! ```

mod follow;
mod output;
mod remotes;
mod whereabouts;

use core::net::SocketAddr;

use heapless::{Deque, Vec};

use crate::data::{Incoming, Outgoing};
use crate::error::{Discard, NotReady};
use crate::event::{Cause, Reason, Signal};
use crate::options::{Connection, LinkConfig};
use crate::packet::PacketBuf;
use crate::peer::{self, ADDRESSES_MAX, Counters, Keys, Link, Peer, Sealed, SetupError};
use crate::platform::Platform;
use crate::time::{Duration, Instant, Timer, TimerTable};

use follow::Follow;
use output::Step;
use remotes::Remotes;
use whereabouts::literal;

pub use output::{Lookup, Output};

/// The longest pause after a name that does not resolve, in seconds.
const RESOLVE_PAUSE_MAX: u32 = 5;

/// A link does not wait longer for its peer's name if the peer may still be where it was, or may call.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(2);

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
    remotes: Remotes,
    /// The addresses of the present remote, the one to try first.
    addresses: Vec<SocketAddr, ADDRESSES_MAX>,
    /// Number of the last lookup.
    lookup: u32,
    /// When it was asked for.
    asked: Instant,
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
    /// A start with the address that `persist-remote-ip` keeps has failed: where names are followed, they are again.
    kept_in_vain: bool,
    /// What the host is to do, in this order, before anything else.
    steps: Deque<Step<'c>, 12>,
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
        match Link::new(config, keys, unix_now) {
            Ok(link) => Self::on(config, link, rng, now, unix_now),
            Err(error) => Err(error),
        }
    }

    /// A gateway on this link. It is started where it lies: on the way there, its size would be needed of the stack.
    fn on(
        config: &'c LinkConfig<'c>,
        link: Link<P>,
        mut rng: P::Rng,
        now: Instant,
        unix_now: u64,
    ) -> Result<Self, SetupError> {
        let remotes = Remotes::new(config, &mut rng);
        let mut gateway = Ok(Self {
            config,
            peer: Peer::on(config, link, rng, now, unix_now),
            state: State::Resolving(now),
            remotes,
            addresses: Vec::new(),
            lookup: 0,
            asked: now,
            answered: 0,
            stranger: None,
            socket_open: false,
            tunnel_open: false,
            routes_added: false,
            connected: false,
            follow: Follow::new(config),
            known: None,
            kept_in_vain: false,
            steps: Deque::new(),
            timers: TimerTable::new(),
        });
        if let Ok(gateway) = &mut gateway {
            gateway.start(now);
        }
        gateway
    }

    /// The peer behind the link.
    pub fn peer(&self) -> &Peer<'c, P> {
        &self.peer
    }

    /// The peer behind the link, to preset its replay window.
    pub fn peer_mut(&mut self) -> &mut Peer<'c, P> {
        &mut self.peer
    }

    /// The settings for the present remote.
    pub fn connection(&self) -> &'c Connection<'c> {
        self.config.connection_of(self.remotes.index())
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

    /// Opens datagrams in place; see [`Peer::open_batch`].
    pub fn open_batch(&mut self, now: Instant, from: SocketAddr, datagrams: &mut [Incoming<'_>]) {
        self.peer.open_batch(now, from, datagrams);
        if datagrams.contains(&Err(Discard::Source)) {
            self.stranger_came(now, from);
        }
    }

    /// Seals packets in place; see [`Peer::seal_batch`].
    pub fn seal_batch(&mut self, now: Instant, packets: &mut [Outgoing<'_>]) -> Option<SocketAddr> {
        self.peer.seal_batch(now, packets)
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
                    self.push(Step::RestartUp);
                }
                self.add_routes_unless_delayed();
                self.run(now);
            }
            Ok(()) if self.config.up_delay => self.run(now),
            Ok(()) => {
                self.state = State::OpeningTunnel;
                self.push(Step::OpenTunnel);
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
            State::Exited => self.push(Step::CloseTunnel(Reason::hard(Signal::Term))),
            State::Resolving(_) | State::Binding | State::Pausing => {}
        }
    }

    /// The address or the route of this end towards the peer has changed, or the line is up again.
    pub fn local_changed(&mut self, now: Instant) {
        match self.state {
            State::Running if self.config.follow_link => {
                self.push(Step::Rebind);
                if let Some(at) = self.follow.moved(now) {
                    self.timers.set(Timer::Follow, at);
                }
            }
            // What has failed may succeed now.
            State::Pausing if self.config.follow_link => self.timers.set(Timer::Restart, now),
            State::Resolving(_) if self.config.follow_link => self.resolve(now),
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
                Timer::Resolve if matches!(self.state, State::Resolving(_)) && self.bind_without_answer() => {}
                Timer::Resolve => self.resolve(now),
                Timer::Follow => self.follow(now),
                Timer::Connect if !self.peer.has_answered() && !self.peer.is_leaving() => {
                    self.ended(now, Reason::soft(Signal::Usr1, Cause::ServerPoll));
                }
                Timer::RouteDelay => {
                    self.add_routes();
                    self.push(Step::Initialized);
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
            return step.output();
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
        self.addresses.clear();
        if !self.remotes.begin(self.config) {
            self.push(Step::RetriesUsedUp(self.config.connect_retry_max));
            return self.exit(Reason::soft(Signal::Term, Cause::RetriesUsedUp));
        }
        let Some(remote) = self.remote() else { return self.bind() };
        if let Some(address) = self.kept_address().or_else(|| literal(self.connection(), remote)) {
            let _ = self.addresses.push(address);
            return self.bind();
        }
        self.state = State::Resolving(now);
        self.answered = self.lookup;
        self.resolve(now);
        if self.known_address().is_some() || self.may_be_called() {
            self.timers.set(Timer::Resolve, now + RESOLVE_PATIENCE);
        }
    }

    fn run(&mut self, now: Instant) {
        self.state = State::Running;
        self.peer.set_connection(self.connection());
        self.connect(now);
        if let Some(at) = self.follow.start(now) {
            self.timers.set(Timer::Follow, at);
        }
    }

    fn connect(&mut self, now: Instant) {
        self.peer.connect(now, &self.addresses);
        let timeout = self.connection().connect_timeout;
        // With a static key, and for somebody who waits to be called, silence is no failure.
        if self.config.tls.role.is_some() && !self.addresses.is_empty() && timeout > 0 {
            self.timers.set(Timer::Connect, now + Duration::from_secs(timeout.into()));
        }
    }

    fn peer_connected(&mut self, now: Instant, address: SocketAddr) {
        self.known = Some((self.remotes.index(), address));
        self.kept_in_vain = false;
        self.push(Step::PeerConnected(address));
        self.push(Step::PeerAddress(address));
        if self.connected {
            return;
        }
        self.connected = true;
        self.follow(now);
        self.remotes.succeeded();
        if self.tunnel_open { self.initialized(now) } else { self.push(Step::OpenTunnel) }
    }

    fn add_routes_unless_delayed(&mut self) {
        if self.config.route_delay.is_none() {
            self.add_routes();
        }
    }

    fn add_routes(&mut self) {
        if !self.routes_added {
            self.routes_added = true;
            self.push(Step::AddRoutes);
        }
    }

    fn initialized(&mut self, now: Instant) {
        match self.config.route_delay.filter(|_| !self.routes_added) {
            Some(seconds) => self.timers.set(Timer::RouteDelay, now + Duration::from_secs(seconds.into())),
            None => self.push(Step::Initialized),
        }
    }

    fn ended(&mut self, now: Instant, reason: Reason) {
        if let Some(cause) = reason.cause {
            self.push(Step::Ending(cause));
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
                (true, true) => self.push(Step::RestartDown(reason)),
                (true, false) => {}
            }
        }
        let pause = match reason.cause {
            // That was pause enough.
            Some(Cause::ServerPoll) => 0,
            // A name server is no peer that must be spared; it may come back at any moment.
            Some(Cause::Resolve) if self.config.follow_name => {
                self.remotes.pause(self.config, self.connection()).min(RESOLVE_PAUSE_MAX)
            }
            _ => self.remotes.pause(self.config, self.connection()),
        };
        match (self.connected, self.kept_address()) {
            (true, _) => {}
            (false, Some(_)) => {
                self.kept_in_vain = true;
                self.remotes.failed_and_stays();
            }
            (false, None) => self.remotes.failed(self.addresses.len()),
        }
        self.push(Step::Restarting(reason));
        if pause > 0 && reason.cause != Some(Cause::Resolve) {
            self.push(Step::Pause(pause));
        }
        let since = if reason.cause == Some(Cause::Resolve) { self.asked } else { now };
        self.timers.set(Timer::Restart, now.max(since + Duration::from_secs(pause.into())));
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
        self.push(Step::Exit(reason));
        self.state = State::Exited;
    }

    /// Stops the peer and closes the socket; what was about to be opened is not opened.
    fn shut_down(&mut self) {
        self.peer.disconnect();
        self.timers.stop_all();
        for _ in 0..self.steps.len() {
            match self.steps.pop_front() {
                Some(step) if !step.opens_something() => self.push(step),
                _ => {}
            }
        }
        self.close_socket();
    }

    fn close_socket(&mut self) {
        if self.socket_open {
            self.socket_open = false;
            self.push(Step::CloseSocket);
        }
    }

    fn close_tunnel(&mut self, reason: Reason) {
        self.tunnel_open = false;
        self.routes_added = false;
        self.push(Step::CloseTunnel(reason));
    }

    /// There is never more than one life's worth of steps, which fits.
    fn push(&mut self, step: Step<'c>) {
        let _ = self.steps.push_back(step);
    }
}

#[cfg(test)]
mod tests;
