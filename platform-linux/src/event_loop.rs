//! The only place that owns file descriptors and calls the engine.
//!
//! One turn: do what the engine asks, sleep until something is ready, move a burst of packets each way.

use std::marker::PhantomData;
use std::mem::{Discriminant, discriminant};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant as Clock, SystemTime, UNIX_EPOCH};

use longcable_core::control::CELL;
use longcable_core::error::{Discard, NotReady};
use longcable_core::event::{Address, Event, Reason, Signal};
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::{Connection, Family, LinkConfig, ReceiveTimeout};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX, Sealed};
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use longcable_core::tls::TlsSession;
use longcable_core::wire::compress::Framing;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::config::HostConfig;
use crate::crypto::{Fast, FastRng};
use crate::failure::Fatal;
use crate::link::udp::{self, Received, SendOutcome, UdpLink, UdpOptions};
use crate::log::{self, Burst, Omitted};
use crate::memory::OnDemand;
use crate::net::PathWatch;
use crate::replay_file::ReplayFile;
use crate::resolver::{self, IpVersion, Resolver};
use crate::signals::{Request, Signals};
use crate::status::{Compression, Counters, Statistics, StatusFile};
use crate::tls::{SESSIONS, TlsStack};
use crate::tunnel::Tunnel;

/// Packets that one direction may move before the other gets its turn.
const BURST: usize = 64;

/// The largest datagram or packet, in bytes.
const PACKET_MAX: usize = 65_535;

/// A cause of packet errors is logged once in this time, with a count of the others.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A reason why a name does not resolve is logged once in this time: that may take days.
const LOOKUP_LOG_INTERVAL: Duration = Duration::from_secs(300);

/// Addresses and routes change in several steps; after so long it is looked at what has become of them.
const SETTLING: Duration = Duration::from_millis(20);

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
    /// As many packets as a peer may send before it waits for an answer, and our own.
    type ControlMemory = OnDemand<u8, { 18 * CELL }>;
    const CONTROL_MEMORY: Self::ControlMemory = OnDemand::EMPTY;
}

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
    Status,
    ReplayFile,
}

/// One link and its descriptors.
pub struct EventLoop<'c, S: TlsStack> {
    config: &'c LinkConfig<'c>,
    host: &'c HostConfig,
    /// On the heap: it is large, and whatever is moved on the way leaves its stack behind as used memory.
    gateway: Box<Gateway<'c, Linux<S::Session<'c>>>>,
    started: Clock,
    tunnel: Tunnel<'c>,
    /// What all TLS sessions share; none with a static key.
    tls: Option<S>,
    settle: Option<Settle<'c>>,
    socket: Option<UdpLink>,
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
    /// Somebody deleted the interface.
    device_gone: bool,
    /// Room for one packet and everything that grows around it.
    buffer: Box<[u8]>,
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
        keys: Keys<Linux<S::Session<'c>>>,
        tls: Option<S>,
        tunnel: Tunnel<'c>,
        settle: Settle<'c>,
    ) -> Result<Self, Fatal> {
        let started = Clock::now();
        let now = Instant::from_millis(0);
        let mut gateway = gateway(config, keys)?;
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
            local: None,
            remote: None,
            bound_before: false,
            resolver: Resolver::new().map_err(Fatal::new)?,
            watch: watch(config),
            settled: None,
            status,
            replay_file,
            replay_due: now + REPLAY_INTERVAL,
            wake: None,
            device_gone: false,
            buffer: vec![0; HEADROOM + PACKET_MAX + TAILROOM].into_boxed_slice(),
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
        let result = loop {
            match self.turn(signals, check) {
                Ok(()) => {}
                Err(Stop::Exit(reason)) => break Ok(reason),
                Err(Stop::Failed(fatal)) => {
                    self.tunnel.close(&Reason::hard(Signal::Term));
                    break Err(fatal);
                }
            }
        };
        self.save_replay_state();
        if let Some(Err(error)) = self.status.as_ref().map(|status| status.write(&self.counters())) {
            log::warning(format_args!("Cannot write the status file: {error}"));
        }
        result
    }

    fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn turn(&mut self, signals: &mut Signals, check: &Check<'_>) -> Result<(), Stop> {
        self.drain()?;
        let ready = self.sleep(signals);
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
                self.resolved(answer);
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
                self.drain()?;
            }
        }
        if ready.device {
            self.transmit();
        }
        if std::mem::take(&mut self.device_gone) {
            log::error(format_args!("ERROR: the tunnel device was deleted; it is opened anew"));
            self.tunnel.close(&Reason::hard(Signal::Usr1));
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
        let meant = self.config.remap_usr1.filter(|_| signal == Signal::Usr1).unwrap_or(signal);
        let problem = if meant == Signal::Hup { check().err() } else { None };
        match problem {
            Some(fatal) => {
                for line in fatal.to_string().lines() {
                    log::error(format_args!("{line}"));
                }
                log::error(format_args!("The new configuration cannot be used: the link goes on with the old one"));
            }
            None => self.gateway.signal(self.now(), signal),
        }
    }

    /// Does what the engine asks for until it only waits.
    fn drain(&mut self) -> Result<(), Stop> {
        let mut out = [0; OUTPUT_MAX];
        let mut settled = false;
        loop {
            let now = self.now();
            match self.gateway.poll_output(now, &mut out) {
                Output::Transmit(sealed) => {
                    if let Some(socket) = &self.socket {
                        send(socket, &sealed, now, &mut self.complaints);
                    }
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
                    if event == Event::Initialized {
                        announce_settings(self.config);
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
                    self.socket = None;
                }
                Output::OpenTunnel => {
                    self.tunnel.open(self.remote)?;
                    self.gateway.tunnel_opened(now);
                    settled = true;
                }
                Output::AddRoutes => self.tunnel.add_routes(self.remote),
                Output::RestartDown(reason) => self.tunnel.restart_down(&reason)?,
                Output::RestartUp => self.tunnel.restart_up()?,
                Output::CloseTunnel(reason) => self.tunnel.close(&reason),
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

    fn bind(&mut self, remote: Option<SocketAddr>) -> Result<(), Stop> {
        self.remote = remote;
        match self.open_socket(remote) {
            Ok(socket) => {
                self.announce(&socket, remote);
                self.tunnel.restore_routes();
                if let Some(remote) = remote {
                    self.tunnel.keep_path_to(remote);
                }
                self.socket = Some(socket);
                self.bound_before = true;
                if let Some(watch) = &mut self.watch {
                    watch.remember(remote.map(|remote| remote.ip()));
                }
                self.gateway.bound(self.now(), unix_now(), Ok(()));
            }
            Err(error) if self.bound_before => {
                log::error(format_args!("{error}"));
                self.gateway.bound(self.now(), unix_now(), Err(()));
            }
            Err(error) => return Err(Stop::Failed(error)),
        }
        Ok(())
    }

    /// This end has moved. A socket that is bound to no address follows by itself.
    fn rebind(&mut self) {
        log::line(1, format_args!("The local address or route has changed: telling the peer"));
        self.tunnel.restore_routes();
        if let Some(remote) = self.remote {
            self.tunnel.keep_path_to(remote);
        }
        if self.gateway.connection().local.is_none() && self.host.bind_dev.is_none() {
            return;
        }
        // It has to go first: the port is the same.
        self.socket = None;
        match self.open_socket(self.remote) {
            Ok(socket) => {
                self.announce(&socket, self.remote);
                self.socket = Some(socket);
            }
            Err(error) => {
                log::error(format_args!("{error}"));
                self.gateway.signal(self.now(), Signal::Usr1);
            }
        }
    }

    fn open_socket(&mut self, remote: Option<SocketAddr>) -> Result<UdpLink, Fatal> {
        let options = self.udp_options(remote)?;
        self.local = options.local.map(|local| (self.gateway.connection(), local));
        UdpLink::open(&options).map_err(Fatal::new)
    }

    /// Addresses or routes have changed.
    fn look_at_path(&mut self) {
        let peer = self.gateway.peer().address().or(self.remote).map(|address| address.ip());
        self.tunnel.restore_lost_routes();
        if self.watch.as_mut().is_some_and(|watch| watch.has_moved(peer)) {
            self.gateway.local_changed(self.now());
        }
    }

    /// What the configuration says about the socket towards `remote`.
    fn udp_options(&self, remote: Option<SocketAddr>) -> Result<UdpOptions, Fatal> {
        let (connection, host) = (self.gateway.connection(), self.host);
        let only = connection.ipv6_only;
        let family = match (connection.family, remote) {
            (Family::V4, _) | (Family::Any, Some(SocketAddr::V4(_))) => udp::Family::V4,
            (Family::V6, _) | (Family::Any, Some(SocketAddr::V6(_))) => udp::Family::V6 { only },
            (Family::Any, None) => udp::Family::Any,
        };
        let unspecified = match family {
            udp::Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            udp::Family::V6 { .. } | udp::Family::Any => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let kept = self.local.filter(|(owner, _)| self.config.persist_local_ip && std::ptr::eq(*owner, connection));
        let local = match (connection.local, kept) {
            (Some(_), Some((_, kept))) => Some(kept),
            (Some(word), None) => Some(local_address(&word.to_string(), connection.local_port, family)?),
            (None, _) => connection.bind.then(|| SocketAddr::new(unspecified, connection.local_port)),
        };
        Ok(UdpOptions {
            family,
            local,
            sndbuf: host.sndbuf,
            rcvbuf: host.rcvbuf,
            mark: host.mark,
            bind_device: host.bind_dev.clone(),
            mtu_discovery: host.mtu_disc,
        })
    }

    fn announce(&self, socket: &UdpLink, remote: Option<SocketAddr>) {
        let protocol = socket.protocol();
        log::line(3, format_args!("{}", socket.buffers()));
        let connection = self.gateway.connection();
        match (socket.local_addr(), connection.bind || connection.local.is_some()) {
            (Ok(local), true) => log::line(1, format_args!("{protocol} link local (bound): {}", Address(local))),
            _ => log::line(1, format_args!("{protocol} link local: (not bound)")),
        }
        match remote {
            Some(remote) => log::line(1, format_args!("{protocol} link remote: {}", Address(remote))),
            None => log::line(1, format_args!("{protocol} link remote: [AF_UNSPEC]")),
        }
        if self.config.remotes.is_empty() {
            log::line(1, format_args!("NOTE: no 'remote' is configured: this end waits for the peer to call"));
        }
    }

    fn resolved(&mut self, answer: resolver::Answer) {
        let (now, lookup) = (self.now(), answer.id as u32);
        match answer.result {
            Ok(addresses) => self.gateway.resolved(now, lookup, Ok(&addresses)),
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
    }

    /// Waits for a descriptor or the next deadline.
    fn sleep(&self, signals: &Signals) -> Ready {
        let save = self.replay_file.is_some().then_some(self.replay_due);
        let status = self.status.as_ref().and_then(StatusFile::due);
        let deadline = [self.wake, self.settled, status, save].into_iter().flatten().min();
        let timeout = match deadline {
            // One more, so that the deadline has really come.
            Some(at) => PollTimeout::try_from(at.since(self.now()) + Duration::from_millis(1)),
            None => Ok(PollTimeout::NONE),
        };
        fn entry(fd: BorrowedFd<'_>) -> PollFd<'_> {
            PollFd::new(fd, PollFlags::POLLIN)
        }
        // Asks for nothing: it keeps the place of a descriptor that is not there.
        let absent = PollFd::new(signals.as_fd(), PollFlags::empty());
        let socket = self.socket.as_ref().map(AsFd::as_fd);
        let device = self.tunnel.tun().map(AsFd::as_fd);
        let watch = self.watch.as_ref().map(AsFd::as_fd);
        let mut entries = [
            entry(signals.as_fd()),
            entry(self.resolver.as_fd()),
            watch.map_or(absent.clone(), entry),
            socket.map_or(absent.clone(), entry),
            device.map_or(absent, entry),
        ];
        // Interrupted or out of memory: as if nothing were ready.
        let _ = poll(&mut entries, timeout.unwrap_or(PollTimeout::MAX));
        let [signal, resolver, network, socket, device] = entries.map(|entry| entry.any().unwrap_or(false));
        Ready { signal, resolver, network, socket, device }
    }

    /// Network to tunnel.
    fn receive(&mut self) {
        let Some(socket) = &self.socket else { return };
        let now = self.now();
        for _ in 0..BURST {
            let (length, from) = match socket.receive(&mut self.buffer) {
                Received::Datagram { length, from } => (length, from),
                Received::WouldBlock => break,
                Received::Failed(error) => {
                    complain(&mut self.complaints, now, Complaint::Socket(error.errno), |omitted| {
                        log::error(format_args!("{error}{omitted}"));
                        if error.errno == Errno::ECONNREFUSED {
                            say_refused(error.destination);
                        }
                    });
                    continue;
                }
            };
            log::traffic('R');
            let Some(datagram) = self.buffer.get_mut(..length) else { break };
            let first_byte = datagram.first().copied();
            match self.gateway.handle_datagram(now, from, datagram) {
                Ok(Some(packet)) => {
                    let Some(tun) = self.tunnel.tun() else { continue };
                    log::traffic('w');
                    if let Err(error) = tun.write(packet) {
                        self.device_gone |= error.is_gone();
                        complain(&mut self.complaints, now, Complaint::Device, |omitted| {
                            log::warning(format_args!("{error}{omitted}"));
                        });
                    }
                }
                Ok(None) => {}
                Err(Discard::Replay { .. }) if self.config.mute_replay_warnings => {}
                Err(discard) => {
                    complain(&mut self.complaints, now, Complaint::Discarded(discriminant(&discard)), |more| {
                        say_discarded(discard, from, self.gateway.peer().address(), more);
                        if let Some(hint) = discard.hint(self.config, first_byte) {
                            log::error(format_args!("{hint} (datagram from {})", Address(from)));
                        }
                    })
                }
            }
        }
    }

    /// Tunnel to network.
    fn transmit(&mut self) {
        let Some(tun) = self.tunnel.tun() else { return };
        let now = self.now();
        for _ in 0..BURST {
            let Some(room) = self.buffer.get_mut(HEADROOM..HEADROOM + PACKET_MAX) else { return };
            let len = match tun.read(room) {
                Ok(Some(len)) => len,
                Ok(None) => return,
                Err(error) => {
                    self.device_gone |= error.is_gone();
                    complain(&mut self.complaints, now, Complaint::Device, |omitted| {
                        log::warning(format_args!("{error}{omitted}"));
                    });
                    return;
                }
            };
            log::traffic('r');
            let Some(packet) = PacketBuf::new(&mut self.buffer, HEADROOM, len) else { return };
            let tos = if self.host.passtos { type_of_service(packet.as_slice()) } else { None };
            match self.gateway.seal(now, packet) {
                Ok(sealed) => {
                    let Some(socket) = &self.socket else { continue };
                    // A kernel that refuses the type of service still sends the packet.
                    let _ = tos.map(|tos| socket.set_tos(tos));
                    send(socket, &sealed, now, &mut self.complaints);
                }
                // Before the peer is known there is nothing to say about each packet.
                Err(NotReady::NoPeer | NotReady::Down) => {}
                Err(reason @ NotReady::Negotiating) => {
                    complain(&mut self.complaints, now, Complaint::NotSealed(reason), |omitted| {
                        log::line(4, format_args!("{reason}{omitted}"));
                    });
                }
                Err(reason) => complain(&mut self.complaints, now, Complaint::NotSealed(reason), |omitted| {
                    log::warning(format_args!("{reason}{omitted}"));
                }),
            }
        }
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
        // Before the first packet of a sequence is sent: after a power cut it would be missed.
        let sent = self.replay_file.as_mut().zip(self.gateway.peer().sent_sequence());
        if let Some(Err(error)) = sent.map(|(file, time)| file.save_sent(time)) {
            complain(&mut self.complaints, now, Complaint::ReplayFile, |omitted| {
                log::warning(format_args!("Cannot write the replay-persist file: {error}{omitted}"));
            });
        }
        if now >= self.replay_due {
            self.replay_due = now + REPLAY_INTERVAL;
            self.save_replay_state();
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

/// On the heap: it is large.
fn gateway<'c, T: TlsSession>(
    config: &'c LinkConfig<'c>,
    keys: Keys<Linux<T>>,
) -> Result<Box<Gateway<'c, Linux<T>>>, Fatal> {
    Gateway::new(config, keys, FastRng::new(), Instant::from_millis(0), unix_now())
        .map(Box::new)
        .map_err(|error| Fatal::new(format!("Options error: {error}")))
}

/// Whether a link can be made of these.
///
/// # Errors
/// The cipher or digest is not supported, or the key must not be used.
pub fn check<'c, T: TlsSession>(config: &'c LinkConfig<'c>, keys: Keys<Linux<T>>) -> Result<(), Fatal> {
    gateway(config, keys).map(drop)
}

fn watch(config: &LinkConfig<'_>) -> Option<PathWatch> {
    let opened = config.follow_link.then(PathWatch::open)?;
    opened.inspect_err(|error| log::warning(format_args!("Changes of the local address go unnoticed: {error}"))).ok()
}

/// What openvpn tells about the link once it is up.
fn announce_settings(config: &LinkConfig<'_>) {
    let suite = config.suite();
    let (cipher, digest) = (suite.cipher.name(), suite.digest.name());
    // With TLS the cipher is negotiated, and each key says which.
    if config.tls.role.is_none() {
        log::line(3, format_args!("Data Channel: cipher '{cipher}', auth '{digest}'"));
    }
    let timeout = match config.receive_timeout {
        ReceiveTimeout::None => String::new(),
        ReceiveTimeout::Restart(seconds) => format!(", ping-restart {seconds}"),
        ReceiveTimeout::Exit(seconds) => format!(", ping-exit {seconds}"),
    };
    log::line(3, format_args!("Timers: ping {}{timeout}", config.ping));
}

/// The type of service of an IPv4 packet, the traffic class of an IPv6 packet.
fn type_of_service(packet: &[u8]) -> Option<u8> {
    match packet {
        [first, second, ..] if first >> 4 == 6 => Some(first << 4 | second >> 4),
        [_, second, ..] => Some(*second),
        _ => None,
    }
}

/// Seconds since 1970.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The address of `local`, which may be a name: looked up at the start and after restarts, mostly in `/etc/hosts`.
fn local_address(host: &str, port: u16, family: udp::Family) -> Result<SocketAddr, Fatal> {
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| Fatal::new(format!("RESOLVE: Cannot resolve host address: {host} ({error}), from 'local'")))?;
    let fits = |address: &SocketAddr| match family {
        udp::Family::V4 => address.is_ipv4(),
        udp::Family::V6 { .. } => address.is_ipv6(),
        udp::Family::Any => true,
    };
    let mut found = found.into_iter().filter(fits);
    found.next().ok_or_else(|| Fatal::new(format!("Options error: 'local {host}' has no address of the right family")))
}

/// What descriptors have something for us.
struct Ready {
    signal: bool,
    resolver: bool,
    network: bool,
    socket: bool,
    device: bool,
}

fn say_discarded(discard: Discard, from: SocketAddr, expected: Option<SocketAddr>, omitted: Omitted) {
    match (discard, expected) {
        (Discard::Source, Some(expected)) => log::error(format_args!(
            "TCP/UDP: Incoming packet rejected from {}[{}], expected peer address: {} (allow this incoming source \
             address/port by removing --remote or adding --float){omitted}",
            Address(from),
            if from.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 },
            Address(expected)
        )),
        _ => log::error(format_args!("{discard}{omitted}")),
    }
}

fn say_refused(destination: Option<SocketAddr>) {
    let hint = "nothing listens there: is the peer running, and is its 'port' the one in 'remote' here?";
    match destination {
        Some(to) => log::error(format_args!("Hint: datagrams to {} are refused, {hint}", Address(to))),
        None => log::error(format_args!("Hint: datagrams to the peer are refused, {hint}")),
    }
}

/// Sends a datagram; if that fails it is lost, like any on its way.
fn send(socket: &UdpLink, sealed: &Sealed<'_>, now: Instant, complaints: &mut Burst<Complaint>) {
    log::traffic('W');
    match socket.send(sealed.datagram, sealed.to) {
        SendOutcome::Sent => {}
        SendOutcome::Failed(error) => complain(complaints, now, Complaint::Socket(error.errno), |omitted| {
            log::error(format_args!("{error}{omitted}"));
        }),
        SendOutcome::WouldBlock => complain(complaints, now, Complaint::Socket(Errno::EAGAIN), |omitted| {
            log::warning(format_args!("write: the send buffer is full, packets are dropped{omitted}"));
        }),
    }
}

fn complain<C: PartialEq>(complaints: &mut Burst<C>, now: Instant, cause: C, write: impl FnOnce(Omitted)) {
    if let Some(omitted) = complaints.admit(now, cause) {
        write(omitted);
    }
}
