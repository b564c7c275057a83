//! The only place that owns file descriptors and calls the engine.
//!
//! One turn: do what the engine asks, sleep until something is ready, move a burst of packets each way.

mod arrival;
mod departure;
mod outgoing;
mod sender;
mod settings;
mod sleep;
mod socket;

use std::marker::PhantomData;
use std::mem::Discriminant;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::{Duration, Instant as Clock, SystemTime, UNIX_EPOCH};

use longcable_core::control::{CELL, Memory};
use longcable_core::error::{Discard, NotReady};
use longcable_core::event::{Cause, Event, Reason, Signal};
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::{Connection, Family, LinkConfig};
use longcable_core::peer::{Keys, OUTPUT_MAX};
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use longcable_core::tls::TlsSession;
use longcable_core::wire::compress::Framing;
use nix::errno::Errno;
use nix::sys::epoll::Epoll;
use parking_lot::{ArcMutexGuard, Mutex, RawMutex};

use crate::config::HostConfig;
use crate::crypto::{Fast, FastRng};
use crate::failure::Fatal;
use crate::link::udp::UdpLink;
use crate::log::{self, Burst, Omitted};
use crate::memory::OnDemand;
use crate::net::PathWatch;
use crate::replay_file::ReplayFile;
use crate::resolver::{self, IpVersion, Resolver};
use crate::signals::{Request, Signals};
use crate::status::{Compression, Counters, Statistics, StatusFile};
use crate::sys_process::give_back_start;
use crate::tls::{SESSIONS, TlsStack};
use crate::tunnel::Tunnel;

use departure::Departure;
use outgoing::taken;
pub use sender::Sender;
use sender::Work;
use sleep::Seldom;
use socket::Opening;

/// As many bytes as one call receives.
const RECEIVED_MAX: usize = 65_535;

/// Room for what several calls receive, which is handed on together.
const INCOMING_LEN: usize = RECEIVED_MAX + (32 << 10);

/// A cause of packet errors is logged once in this time, with a count of the others.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A reason why a name does not resolve is logged once in this time: that may take days.
const LOOKUP_LOG_INTERVAL: Duration = Duration::from_secs(300);

/// Addresses and routes change in several steps; after so long it is looked at what has become of them.
const SETTLING: Duration = Duration::from_millis(20);

/// What one direction may move before the other gets its turn: so many times whatever the kernel hands over at once,
/// and so many bytes.
const BURST: usize = 64;
const BURST_LEN: usize = 256 << 10;

/// How often the replay state is saved.
const REPLAY_INTERVAL: Duration = Duration::from_secs(60);

/// What Linux brings to the engine, with TLS sessions of this kind.
pub struct Linux<T>(PhantomData<T>);

impl<T: TlsSession> Platform for Linux<T> {
    type Crypto = Fast;
    type Rng = FastRng;
    /// Windows of up to 65,536 packets, as many as `replay-window` allows.
    type ReplayBits = OnDemand<u64, 1024>;
    type Tls = T;
    type TlsSessions = [T; SESSIONS];
    type TlsMemory = TlsMemory;
}

/// For each TLS session, as many packets as a peer may send before it waits for an answer, and our own.
pub type TlsMemory = Memory<Fast, OnDemand<u64, 1024>, OnDemand<u8, { SESSIONS * 18 * CELL }>>;

/// Memory for a link with TLS.
pub const fn tls_memory() -> TlsMemory {
    Memory::new(OnDemand::EMPTY)
}

/// A gateway is on the heap: it is large, and whatever is moved on the way leaves its stack behind as used memory.
pub type SharedGateway<'c, P> = Arc<Mutex<Box<Gateway<'c, P>>>>;

/// It in the hands of one thread, which lets the other one in while it is in the kernel: see [`apart`].
type Engine<'c, P> = ArcMutexGuard<RawMutex, Box<Gateway<'c, P>>>;

/// What is done once, when the link is first set up: privileges are dropped then.
pub type Settle<'c> = Box<dyn FnOnce() -> Result<(), Fatal> + 'c>;

/// Says whether the configuration, read anew, would do.
pub type Check<'c> = Box<dyn Fn() -> Result<(), Fatal> + 'c>;

/// Causes of packet errors, each logged at a limited rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Complaint {
    Discarded(Discriminant<Discard>),
    /// A message of this kind on the control channel.
    MessageIgnored(&'static str),
    MessageRefused,
    NotSealed(NotReady),
    Socket(Errno),
    Device,
    /// What the device gives cannot be cut.
    Malformed,
    Status,
    ReplayFile,
}

/// One link and its descriptors.
pub struct EventLoop<'c, S: TlsStack> {
    config: &'c LinkConfig<'c>,
    host: &'c HostConfig,
    gateway: Engine<'c, Linux<S::Session<'c>>>,
    started: Clock,
    tunnel: Tunnel<'c>,
    /// What all TLS sessions share; none with a static key.
    tls: Option<S>,
    settle: Option<Settle<'c>>,
    socket: Option<Arc<UdpLink>>,
    /// Number of the last lookup of the name in `local`, and what waits for its answer.
    opening: Option<(u64, Option<Opening>)>,
    /// The peer's name has led to IPv6 addresses.
    both_families: bool,
    /// Where the socket was bound last, and with whose settings.
    local: Option<(&'c Connection<'c>, SocketAddr)>,
    /// Where the peer is, or is expected.
    remote: Option<SocketAddr>,
    /// The first socket could be opened: a later failure is waited out.
    bound_before: bool,
    resolver: Resolver,
    /// Where there is none, a change of this end's address is found when the peer falls silent.
    watch: Option<PathWatch>,
    /// When to see what has changed.
    settled: Option<Instant>,
    status: Option<StatusFile>,
    replay_file: Option<ReplayFile>,
    /// When the replay state is saved next.
    replay_due: Instant,
    wake: Option<Instant>,
    /// What is seldom ready.
    seldom: Epoll,
    /// Somebody deleted the interface.
    device_gone: bool,
    /// What was received.
    incoming: Box<[u8]>,
    /// The way from the tunnel to the network; None while the other thread has it.
    departure: Option<Departure>,
    /// That thread, from the first packet on.
    sender: Option<Sender>,
    complaints: Burst<Complaint>,
    /// Reasons why names do not resolve.
    lookups: Burst<String>,
}

/// Why the loop stops.
enum Stop {
    Exit(Reason),
    Failed(Fatal),
}

impl From<Fatal> for Stop {
    fn from(fatal: Fatal) -> Self {
        Self::Failed(fatal)
    }
}

impl<'c, S: TlsStack> EventLoop<'c, S> {
    /// A link that is not started yet; `settle` is called once, when its tunnel is open.
    ///
    /// # Errors
    /// The cipher or digest is not supported, or the status file cannot be written.
    pub fn new(
        config: &'c LinkConfig<'c>,
        host: &'c HostConfig,
        keys: Box<Keys<Linux<S::Session<'c>>>>,
        tls: Option<S>,
        tunnel: Tunnel<'c>,
        settle: Settle<'c>,
    ) -> Result<Self, Fatal> {
        let started = Clock::now();
        let now = Instant::from_millis(0);
        let mut gateway = Arc::new(Mutex::new(gateway(config, keys)?)).lock_arc();
        let replay_file = host.replay_persist.as_deref().map(|path| {
            ReplayFile::open(path)
                .map_err(|error| Fatal::new(format!("Options error: --replay-persist {}: {error}", path.display())))
        });
        let replay_file = replay_file.transpose()?;
        if let Some((id, time)) = replay_file.as_ref().and_then(ReplayFile::saved) {
            gateway.peer_mut().preset_replay(id, time);
        }
        if let Some(time) = replay_file.as_ref().and_then(ReplayFile::sent) {
            gateway.peer_mut().preset_sent(time, unix_now());
        }
        let (resolver, watch) = (Resolver::new().map_err(Fatal::new)?, watch(config));
        let seldom = sleep::seldom(&resolver, watch.as_ref())
            .map_err(|error| Fatal::new(format!("Cannot wait for names and addresses: {error}")))?;
        let status =
            match &host.status {
                Some(status) => Some(StatusFile::open(&status.path, status.interval, now).map_err(|error| {
                    Fatal::new(format!("Options error: --status {}: {error}", status.path.display()))
                })?),
                None => None,
            };
        Ok(Self {
            config,
            host,
            gateway,
            started,
            tunnel,
            tls,
            settle: Some(settle),
            socket: None,
            opening: None,
            both_families: false,
            local: None,
            remote: None,
            bound_before: false,
            resolver,
            watch,
            settled: None,
            status,
            replay_file,
            replay_due: now + REPLAY_INTERVAL,
            wake: None,
            seldom,
            device_gone: false,
            incoming: taken(INCOMING_LEN, INCOMING_LEN),
            departure: Some(Departure::new(started, host.passtos)),
            sender: None,
            complaints: Burst::new(LOG_INTERVAL),
            lookups: Burst::new(LOOKUP_LOG_INTERVAL),
        })
    }

    /// Runs the link to its end. Returns why it ended. It goes on when it is asked to read its configuration anew and
    /// that would not do.
    ///
    /// # Errors
    /// What makes the link impossible: the device, the first socket, a script.
    pub fn run(&mut self, signals: &mut Signals, check: &Check<'_>) -> Result<Reason, Fatal> {
        sleep::add(&self.seldom, signals, Seldom::Signal)
            .map_err(|error| Fatal::new(format!("Cannot wait for signals: {error}")))?;
        let result = thread::scope(|scope| {
            let stop = loop {
                if let Err(stop) = self.turn(scope, signals, check) {
                    break stop;
                }
            };
            self.stop_sending();
            self.sender = None;
            match stop {
                Stop::Exit(reason) => Ok(reason),
                Stop::Failed(fatal) => {
                    self.tunnel.close(&Reason::hard(Signal::Term));
                    Err(fatal)
                }
            }
        });
        self.save_replay_state();
        if let Some(Err(error)) = self.status.as_ref().map(|status| status.write(&self.counters())) {
            log::warning(format_args!("Cannot write the status file: {error}"));
        }
        result
    }

    fn now(&self) -> Instant {
        since(self.started)
    }

    fn turn<'s>(&mut self, scope: &'s Scope<'s, '_>, signals: &mut Signals, check: &Check<'_>) -> Result<(), Stop>
    where
        'c: 's,
    {
        self.drain(check)?;
        self.start_sending(scope)?;
        let ready = self.sleep();
        if ready.signal {
            for request in signals.by_ref() {
                match request {
                    Request::Link(signal) => self.signal(signal, check),
                    Request::Statistics => Statistics::now(&self.counters()).log(),
                }
            }
        }
        if ready.resolver {
            while let Some(answer) = self.resolver.poll() {
                self.resolved(answer)?;
            }
        }
        if ready.network {
            let down = self.watch.as_ref().map(PathWatch::read).unwrap_or_default();
            self.tunnel.links_were_down(&down);
            self.settled.get_or_insert(self.now() + SETTLING);
        }
        if ready.socket {
            self.receive();
            // A key is known to the peer when its last message is acknowledged: that goes before data under this key.
            if self.gateway.has_output(self.now()) {
                self.drain(check)?;
            }
        }
        if ready.device
            && let Some(departure) = &mut self.departure
        {
            let (tun, socket) = (self.tunnel.tun().map(Arc::as_ref), self.socket.as_deref());
            self.device_gone |= departure.transmit(&mut self.gateway, tun, socket).is_err();
        }
        if ready.sender {
            self.device_gone |= self.sender.as_ref().is_some_and(Sender::heard);
        }
        if std::mem::take(&mut self.device_gone) {
            log::error(format_args!("ERROR: the tunnel device was deleted; it is opened anew"));
            self.close_tunnel(&Reason::hard(Signal::Usr1));
            self.tunnel.open(self.remote)?;
            self.tunnel.add_routes(self.remote);
        }
        // The clock may be set at any time, on a router long after the start.
        let now = self.now();
        self.gateway.peer_mut().set_unix_time(now, unix_now());
        self.gateway.handle_timeout(now);
        self.housekeeping();
        Ok(())
    }

    fn signal(&mut self, signal: Signal, check: &Check<'_>) {
        let signal = if signal == Signal::Usr1 && self.host.restart_reads_anew { Signal::Hup } else { signal };
        if signal != Signal::Hup || usable(check) {
            self.gateway.signal(since(self.started), signal);
        }
    }

    /// Does what the engine asks for until it only waits.
    fn drain(&mut self, check: &Check<'_>) -> Result<(), Stop> {
        let mut out = [0; OUTPUT_MAX];
        let mut settled = false;
        let mut anew = None;
        loop {
            let now = self.now();
            self.save_sent_sequence(now);
            match self.gateway.poll_output(now, &mut out) {
                Output::Transmit(sealed) => {
                    if let Some(socket) = &self.socket {
                        departure::send(socket, &sealed, now, &mut self.complaints);
                    }
                }
                Output::CloseTunnel(reason)
                | Output::RestartDown(reason)
                | Output::Event(Event::Restarting(reason))
                    if self.host.restart_reads_anew
                        && is_restart(&reason)
                        && *anew.get_or_insert_with(|| usable(check)) =>
                {
                    let reason = Reason { signal: Signal::Hup, ..reason };
                    self.close_tunnel(&reason);
                    return Err(Stop::Exit(reason));
                }
                Output::Event(event) => {
                    // What a peer can say without end.
                    let complaint = match event {
                        Event::MessageIgnored(kind) => Some(Complaint::MessageIgnored(kind)),
                        Event::MessageRefused => Some(Complaint::MessageRefused),
                        _ => None,
                    };
                    let level = event.level();
                    match complaint {
                        Some(complaint) => complain(&mut self.complaints, now, complaint, |omitted| {
                            log::line(level, format_args!("{event}{omitted}"));
                        }),
                        None => log::line(level, format_args!("{event}")),
                    }
                    if let (Event::InitialPacket { from, .. }, Some(tls)) = (&event, &self.tls) {
                        self.tunnel.set_untrusted(*from);
                        tls.set_environment(self.tunnel.environment().clone());
                    }
                    // A start or a handshake goes deep; what follows does not.
                    if matches!(event, Event::Initialized | Event::DataChannel { .. }) {
                        give_back_start();
                    }
                    if event == Event::Initialized {
                        self.announce_settings();
                    }
                }
                Output::Resolve(number, lookup) => {
                    let version = match lookup.family {
                        Family::Any => IpVersion::Any,
                        Family::V4 => IpVersion::V4,
                        Family::V6 => IpVersion::V6,
                    };
                    self.resolver.request(number.into(), &lookup.to_string(), lookup.port, version);
                }
                Output::Bind(remote) => self.bind(remote)?,
                Output::Rebind => self.rebind(),
                Output::CloseSocket => {
                    log::line(3, format_args!("TCP/UDP: Closing socket"));
                    self.close_socket();
                }
                Output::OpenTunnel => {
                    self.tunnel.open(self.remote)?;
                    self.gateway.tunnel_opened(now);
                    settled = true;
                }
                Output::AddRoutes => self.tunnel.add_routes(self.remote),
                Output::RestartDown(reason) => self.tunnel.restart_down(&reason)?,
                Output::RestartUp => self.tunnel.restart_up()?,
                Output::CloseTunnel(reason) => self.close_tunnel(&reason),
                Output::PeerAddress(address) => {
                    self.remote = Some(address);
                    if let Some(variables) = self.tls.as_ref().and_then(TlsStack::take_variables) {
                        self.tunnel.set_variables(variables);
                    }
                    self.tunnel.keep_path_to(address);
                    if let Some(watch) = &mut self.watch {
                        watch.remember(Some(address.ip()));
                    }
                    self.tunnel.peer_address(address);
                }
                Output::Exit(reason) => return Err(Stop::Exit(reason)),
                Output::Timeout(wake) => {
                    self.wake = wake.map(|(at, _)| at);
                    break;
                }
            }
        }
        // After the tunnel and its routes are set up for the first time, privileges go.
        if let Some(settle) = self.settle.take_if(|_| settled) {
            settle()?;
        }
        Ok(())
    }

    /// Hands the way to the network over to a thread of its own, if that is wanted and both ends of it are open.
    fn start_sending<'s>(&mut self, scope: &'s Scope<'s, '_>) -> Result<(), Fatal>
    where
        'c: 's,
    {
        if self.host.threads < 2 || self.departure.is_none() {
            return Ok(());
        }
        let (Some(tun), Some(socket)) = (self.tunnel.tun(), &self.socket) else { return Ok(()) };
        let (tun, socket) = (Arc::clone(tun), Arc::clone(socket));
        let sender = match &self.sender {
            Some(sender) => sender,
            None => {
                let gateway = Arc::clone(ArcMutexGuard::mutex(&self.gateway));
                let sender = S::start_sender(scope, gateway, self.host.spin)?;
                sleep::add(&self.seldom, &sender, Seldom::Sender)
                    .map_err(|error| Fatal::new(format!("Cannot wait for a thread: {error}")))?;
                self.sender.insert(sender)
            }
        };
        if let Some(departure) = self.departure.take() {
            sender.go(Work { tun, socket, departure });
        }
        Ok(())
    }

    /// Takes it back, before one of its ends is closed.
    fn stop_sending(&mut self) {
        let Some(sender) = self.sender.as_ref().filter(|_| self.departure.is_none()) else { return };
        let departure = ArcMutexGuard::unlocked(&mut self.gateway, || sender.stop());
        self.departure = departure.or_else(|| Some(Departure::new(self.started, self.host.passtos)));
    }

    fn close_tunnel(&mut self, reason: &Reason) {
        self.stop_sending();
        self.tunnel.close(reason);
    }

    fn close_socket(&mut self) {
        self.stop_sending();
        self.socket = None;
        // What was to take its place is not wanted any more either.
        if let Some((_, opening)) = &mut self.opening {
            *opening = None;
        }
    }

    fn resolved(&mut self, answer: resolver::Answer) -> Result<(), Stop> {
        if let Some(bound) = self.local_resolved(&answer) {
            return bound;
        }
        let (now, lookup) = (self.now(), answer.id as u32);
        match answer.result {
            Ok(addresses) => {
                self.reach(&addresses);
                self.gateway.resolved(now, lookup, Ok(&addresses));
            }
            Err(error) => {
                complain(&mut self.lookups, now, error.reason.clone(), |omitted| {
                    log::warning(format_args!("{error}{omitted}"));
                    if self.host.chroot.is_some() {
                        log::warning(format_args!("Hint: names are looked up with the files in 'chroot'"));
                    }
                });
                self.gateway.resolved(now, lookup, Err(()));
            }
        }
        Ok(())
    }

    /// What is due besides packets.
    fn housekeeping(&mut self) {
        let now = self.now();
        let counters = self.counters();
        if let Some(Err(error)) = self.status.as_mut().map(|status| status.tick(now, &counters)) {
            complain(&mut self.complaints, now, Complaint::Status, |omitted| {
                log::warning(format_args!("Cannot write the status file: {error}{omitted}"));
            });
        }
        if self.settled.take_if(|at| *at <= now).is_some() {
            self.look_at_path();
        }
        if now >= self.replay_due {
            self.replay_due = now + REPLAY_INTERVAL;
            self.save_replay_state();
        }
    }

    /// Before the first packet of a sequence is sent: whenever the power goes then, no other packet gets its number.
    fn save_sent_sequence(&mut self, now: Instant) {
        let sent = self.replay_file.as_mut().zip(self.gateway.peer().sent_sequence());
        if let Some(Err(error)) = sent.map(|(file, time)| file.save_sent(time)) {
            complain(&mut self.complaints, now, Complaint::ReplayFile, |omitted| {
                log::warning(format_args!("Cannot write the replay-persist file: {error}{omitted}"));
            });
        }
    }

    fn save_replay_state(&mut self) {
        let state = self.gateway.peer().replay_state();
        let saved = self.replay_file.as_mut().zip(state).map(|(file, (id, time))| file.save(id, time));
        if let Some(Err(error)) = saved {
            log::warning(format_args!("Cannot write the replay-persist file: {error}"));
        }
    }

    fn counters(&self) -> Counters {
        let passed = self.gateway.counters();
        Counters {
            tun_read: passed.tunnel_read,
            tun_write: passed.tunnel_write,
            link_read: passed.link_read,
            link_write: passed.link_write,
            auth_read: passed.authentic_read,
            // Nothing is ever compressed.
            compression: (self.config.framing != Framing::None).then(Compression::default),
        }
    }
}

/// Whether the configuration, read anew, would do. If not, the log says why.
fn usable(check: &Check<'_>) -> bool {
    let Err(fatal) = check() else { return true };
    for line in fatal.to_string().lines() {
        log::error(format_args!("{line}"));
    }
    log::error(format_args!("The new configuration cannot be used: the link goes on with the old one"));
    false
}

/// Whether a link that stood restarts: what failed to start is tried again with the same configuration.
fn is_restart(reason: &Reason) -> bool {
    reason.signal == Signal::Usr1 && !matches!(reason.cause, Some(Cause::Resolve | Cause::Socket))
}

/// On the heap: it is large. Nor do the keys have room in the frame of a caller, which would stay taken.
#[inline(never)]
#[allow(clippy::boxed_local, reason = "that is where they are")]
fn gateway<'c, T: TlsSession>(
    config: &'c LinkConfig<'c>,
    keys: Box<Keys<Linux<T>>>,
) -> Result<Box<Gateway<'c, Linux<T>>>, Fatal> {
    Gateway::new(config, *keys, FastRng::new(), Instant::from_millis(0), unix_now())
        .map(Box::new)
        .map_err(|error| Fatal::new(format!("Options error: {error}")))
}

/// Whether a link can be made of these.
///
/// # Errors
/// The cipher or digest is not supported, or the key must not be used.
pub fn check<'c, T: TlsSession>(config: &'c LinkConfig<'c>, keys: Box<Keys<Linux<T>>>) -> Result<(), Fatal> {
    gateway(config, keys).map(drop)
}

fn watch(config: &LinkConfig<'_>) -> Option<PathWatch> {
    let opened = config.follow_link.then(PathWatch::open)?;
    opened.inspect_err(|error| log::warning(format_args!("Changes of the local address go unnoticed: {error}"))).ok()
}

/// Seconds since 1970.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The time since the start.
fn since(started: Clock) -> Instant {
    Instant::from_millis(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// Lets the other thread have the engine while this one is in the kernel, unless it has something to say: nothing may come
/// before that.
fn apart<P: Platform, R>(engine: &mut Engine<'_, P>, now: Instant, work: impl FnOnce() -> R) -> R {
    if engine.has_output(now) { work() } else { ArcMutexGuard::unlocked(engine, work) }
}

fn complain<C: PartialEq>(complaints: &mut Burst<C>, now: Instant, cause: C, write: impl FnOnce(Omitted)) {
    if let Some(omitted) = complaints.admit(now, cause) {
        write(omitted);
    }
}
