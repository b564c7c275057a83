//! The life of one point-to-point link: resolve, bind, open the tunnel, run, restart, exit.
//!
//! ```text
//! Resolving --resolved--> Binding --bound--> OpeningTunnel --tunnel_opened--> Running
//!     ^                                                                         |
//!     +------------------------------- Pausing <-------- ping-restart, SIGUSR1 -+
//! ```

use core::net::{IpAddr, SocketAddr};

use heapless::{Deque, Vec};

use crate::crypto::StaticKey;
use crate::error::{Discard, NotReady};
use crate::event::{Cause, Event, Reason, Signal};
use crate::options::{Family, LinkConfig, Remote, ResolvRetry};
use crate::packet::PacketBuf;
use crate::peer::{self, Counters, Peer, Platform, REMOTES_MAX, Sealed, SetupError};
use crate::time::{Duration, Instant, Timer, TimerTable};

/// Distance of the attempts to resolve a name with `resolv-retry n`.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);

/// What the host is to do next.
#[derive(Debug)]
pub enum Output<'o> {
    /// Send this datagram.
    Transmit(Sealed<'o>),
    /// Tell the operator.
    Event(Event<'o>),
    /// Look up the addresses of this remote and call [`Gateway::resolved`]. Nothing waits for it.
    Resolve(Remote<'o>),
    /// Open the socket and call [`Gateway::bound`]. The address, if one is known, tells the family.
    Bind(Option<SocketAddr>),
    /// Close the socket.
    CloseSocket,
    /// Open and configure the tunnel device, run `up`, and call [`Gateway::tunnel_opened`].
    OpenTunnel,
    /// Add the routes and run `route-up`.
    AddRoutes,
    /// The device stays open over a restart, but `up-restart` wants the scripts `down` and `up`.
    RestartTunnel(Reason),
    /// Remove the routes, run `route-pre-down` and `down`, close the device.
    CloseTunnel(Reason),
    /// The peer has a new address: run `ipchange`.
    PeerAddress(SocketAddr),
    /// The link has ended; the gateway is not to be used any more.
    Exit(Reason),
    /// Nothing more now; call [`Gateway::handle_timeout`] at this time.
    Timeout(Option<(Instant, Timer)>),
}

/// A thing to hand out that needs no borrowed memory.
#[derive(Debug)]
enum Step {
    Event(Event<'static>),
    Resolve,
    Bind,
    CloseSocket,
    OpenTunnel,
    AddRoutes,
    RestartTunnel(Reason),
    CloseTunnel(Reason),
    PeerAddress(SocketAddr),
    Exit(Reason),
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
    addresses: Vec<SocketAddr, REMOTES_MAX>,
    tunnel_open: bool,
    /// The peer has been heard since the last start or restart.
    connected: bool,
    steps: Deque<Step, 12>,
    timers: TimerTable,
}

impl<'c, P: Platform> Gateway<'c, P> {
    /// A link that starts at once; call [`Gateway::poll_output`] next. `unix_now` is the time of day
    /// at `now`, in seconds since 1970.
    pub fn new(
        config: &'c LinkConfig<'c>,
        key: StaticKey,
        rng: P::Rng,
        now: Instant,
        unix_now: u64,
    ) -> Result<Self, SetupError> {
        let mut gateway = Self {
            config,
            peer: Peer::new(config, key, rng, now, unix_now)?,
            state: State::Resolving(now),
            remote: 0,
            addresses: Vec::new(),
            tunnel_open: false,
            connected: false,
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
    pub fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Result<Option<&'b mut [u8]>, Discard> {
        self.peer.handle_datagram(now, from, datagram)
    }

    /// Seals one packet in place; see [`Peer::seal`].
    pub fn seal<'b>(&mut self, now: Instant, packet: PacketBuf<'b>) -> Result<Sealed<'b>, NotReady> {
        self.peer.seal(now, packet)
    }

    /// The answer to [`Output::Resolve`]: the addresses in the order of preference.
    pub fn resolved(&mut self, now: Instant, addresses: Result<&[SocketAddr], ()>) {
        let State::Resolving(since) = self.state else { return };
        match addresses {
            Ok(addresses) if !addresses.is_empty() => {
                self.addresses = addresses.iter().copied().take(REMOTES_MAX).collect();
                self.bind();
            }
            _ => match self.config.resolv_retry {
                ResolvRetry::Seconds(0) => self.exit(Reason::soft(Signal::Term, Cause::Resolve)),
                ResolvRetry::Seconds(n) if now.since(since) < Duration::from_secs(n.into()) => {
                    self.timers.set(Timer::Resolve, now + RESOLVE_INTERVAL);
                }
                _ => self.restart(now, Reason::soft(Signal::Usr1, Cause::Resolve)),
            },
        }
    }

    /// The answer to [`Output::Bind`]. After a failure the link is restarted.
    pub fn bound(&mut self, now: Instant, result: Result<(), ()>) {
        if self.state != State::Binding {
            return;
        }
        match result {
            Ok(()) if self.tunnel_open || self.config.up_delay => self.run(now),
            Ok(()) => self.open_tunnel(),
            Err(()) => self.restart(now, Reason::soft(Signal::Usr1, Cause::Socket)),
        }
    }

    /// The answer to [`Output::OpenTunnel`]; a host whose device cannot be opened gives up instead.
    pub fn tunnel_opened(&mut self, now: Instant) {
        self.tunnel_open = true;
        if self.config.route_delay.is_none() {
            self.push(Step::AddRoutes);
        }
        match self.state {
            State::OpeningTunnel => self.run(now),
            _ => self.initialized(now),
        }
    }

    /// A signal from outside.
    pub fn signal(&mut self, now: Instant, signal: Signal) {
        let reason = Reason::hard(signal);
        match signal {
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
                Timer::Resolve => self.push(Step::Resolve),
                Timer::RouteDelay => {
                    self.push(Step::AddRoutes);
                    self.push(Step::Event(Event::Initialized));
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
            if let Some(address) = self.peer.take_new_address() {
                self.peer_connected(now, address);
            } else if let Some(event) = self.peer.take_event() {
                // What the peer has to say comes before the consequences.
                return Output::Event(event);
            } else if let Some(reason) = self.peer.take_end() {
                self.ended(now, reason);
            }
        }
        if let Some(step) = self.steps.pop_front() {
            return match step {
                Step::Event(event) => Output::Event(event),
                Step::Resolve => match self.config.remotes.get(self.remote) {
                    Some(remote) => Output::Resolve(*remote),
                    None => Output::Timeout(None),
                },
                Step::Bind => Output::Bind(self.addresses.first().copied()),
                Step::CloseSocket => Output::CloseSocket,
                Step::OpenTunnel => Output::OpenTunnel,
                Step::AddRoutes => Output::AddRoutes,
                Step::RestartTunnel(reason) => Output::RestartTunnel(reason),
                Step::CloseTunnel(reason) => Output::CloseTunnel(reason),
                Step::PeerAddress(address) => Output::PeerAddress(address),
                Step::Exit(reason) => Output::Exit(reason),
            };
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
    pub fn has_output(&self) -> bool {
        !self.steps.is_empty() || self.peer.has_output()
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
        self.push(Step::Resolve);
    }

    fn bind(&mut self) {
        self.state = State::Binding;
        self.push(Step::Bind);
    }

    fn open_tunnel(&mut self) {
        self.state = State::OpeningTunnel;
        self.push(Step::OpenTunnel);
    }

    fn run(&mut self, now: Instant) {
        self.state = State::Running;
        self.peer.connect(now, &self.addresses);
    }

    fn peer_connected(&mut self, now: Instant, address: SocketAddr) {
        self.push(Step::Event(Event::PeerConnected(address)));
        self.push(Step::PeerAddress(address));
        if self.connected {
            return;
        }
        self.connected = true;
        if self.tunnel_open { self.initialized(now) } else { self.push(Step::OpenTunnel) }
    }

    fn initialized(&mut self, now: Instant) {
        match self.config.route_delay {
            Some(seconds) => self.timers.set(Timer::RouteDelay, now + Duration::from_secs(seconds.into())),
            None => self.push(Step::Event(Event::Initialized)),
        }
    }

    fn ended(&mut self, now: Instant, reason: Reason) {
        if let Some(cause) = reason.cause {
            self.push(Step::Event(Event::Ending(cause)));
        }
        match reason.signal {
            Signal::Usr1 => self.restart(now, reason),
            _ => self.exit(reason),
        }
    }

    fn restart(&mut self, now: Instant, reason: Reason) {
        if let Some(signal) = self.config.remap_usr1 {
            return self.exit(Reason { signal, ..reason });
        }
        if matches!(self.state, State::Exited | State::Pausing) {
            return;
        }
        self.shut_down(|gateway| match (gateway.config.persist_tun, gateway.config.up_restart) {
            (false, _) => {
                gateway.tunnel_open = false;
                gateway.push(Step::CloseTunnel(reason));
            }
            (true, true) => gateway.push(Step::RestartTunnel(reason)),
            (true, false) => {}
        });
        if !self.connected {
            self.remote = self.remote.saturating_add(1).checked_rem(self.config.remotes.len()).unwrap_or(0);
        }
        let (pause, _) = self.config.connect_retry;
        self.push(Step::Event(Event::Restarting(reason)));
        self.push(Step::Event(Event::Pause(pause.into())));
        self.timers.set(Timer::Restart, now + Duration::from_secs(pause.into()));
        self.state = State::Pausing;
    }

    fn exit(&mut self, reason: Reason) {
        if self.state == State::Exited {
            return;
        }
        self.shut_down(|gateway| gateway.push(Step::CloseTunnel(reason)));
        self.push(Step::Exit(reason));
        self.state = State::Exited;
    }

    /// Closes the socket, and the tunnel in the way that the caller wants.
    fn shut_down(&mut self, close_tunnel: impl FnOnce(&mut Self)) {
        self.peer.disconnect();
        self.timers.stop_all();
        if matches!(self.state, State::Running | State::OpeningTunnel) {
            self.push(Step::CloseSocket);
        }
        if self.tunnel_open {
            close_tunnel(self);
        }
    }

    /// There is never more than one life's worth of steps, which fits.
    fn push(&mut self, step: Step) {
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
