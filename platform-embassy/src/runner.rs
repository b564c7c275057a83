//! The task of a link: it owns the socket, and does what the engine asks.

use core::fmt;
use core::future::{pending, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;

use embassy_futures::poll_once;
use embassy_futures::select::{Either, select, select4};
use embassy_futures::yield_now;
#[cfg(feature = "ipv6")]
use embassy_net::StaticConfigV6;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Config, IpAddress, IpEndpoint, IpListenEndpoint, Stack, StaticConfigV4};
use embassy_net_driver::LinkState;
use embassy_net_driver_channel as channel;
use embassy_time::{Duration as Delay, Timer, with_timeout};
use longcable_core::crypto::Rng;
use longcable_core::error::NotReady;
use longcable_core::event::{Event, Reason};
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::LinkConfig;
use longcable_core::packet::{HEADROOM, PacketBuf};
use longcable_core::peer::{Keys, Sealed, SetupError};
use longcable_core::platform::Platform;
use longcable_core::time::{Duration, Instant};

use crate::addresses::net_config;
use crate::host::{Host, Shared};
use crate::log::{LOGS, note, warning};
use crate::platform::Board;
#[cfg(feature = "tls")]
use crate::platform::LinkMemory;
use crate::resolver::Resolver;
use crate::start;
use crate::state::{BUFFER_LEN, MTU_MAX};
use crate::store::{Remembered, Store};
#[cfg(feature = "tls")]
use crate::tls::{Credentials, EmbeddedTlsSession, Memory, Room};

/// Packets that one direction may move before the other, and other tasks, get their turn.
const BURST: usize = 4;

/// Datagrams whose addresses the socket remembers: many are shorter than the longest.
const DATAGRAMS: usize = 8;

/// How often it is looked whether the board has moved. The stack wakes one task only, which may be the application's.
const PATH_INTERVAL: Duration = Duration::from_millis(500);

/// A datagram waits so long for room in the socket; then it is lost, like any on its way.
const SEND_PATIENCE: Delay = Delay::from_millis(50);

/// So many sequences of packet ids are reserved by one write of the store. They advance by one a restart and by the seconds
/// between.
const AHEAD: u32 = 4096;

/// How often received packet ids are saved.
const REPLAY_INTERVAL: Duration = Duration::from_secs(60);

/// A packet error is logged once in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Runs a link.
pub struct Runner<R, S> {
    pub(crate) config: &'static LinkConfig<'static>,
    pub(crate) host: Host<R, S>,
    pub(crate) channel: channel::Runner<'static, MTU_MAX>,
    pub(crate) received: &'static mut [u8],
    pub(crate) sent: &'static mut [u8],
    pub(crate) buffer: &'static mut [u8; BUFFER_LEN],
    #[cfg(feature = "tls")]
    pub(crate) session: &'static Memory,
    #[cfg(feature = "tls")]
    pub(crate) credentials: Credentials<'static>,
    #[cfg(feature = "tls")]
    pub(crate) memory: &'static mut LinkMemory,
}

impl<R: Rng, S: Store> Runner<R, S> {
    /// What the configuration says, for applications that want to know.
    pub fn config(&self) -> &'static LinkConfig<'static> {
        self.config
    }

    /// The configuration for the network stack on the [`Device`](crate::Device): the addresses of `ifconfig` and
    /// `ifconfig-ipv6`, and the tunnel as the way to all others.
    pub fn net_config(&self) -> Config {
        // It has been checked.
        net_config(self.config).unwrap_or_default()
    }

    /// Runs the link over this network stack, for ever. After an exit (`ping-exit`, `inactive`, `connect-retry-max` and
    /// the like) the tunnel is down until the board is reset; [`Event::Exiting`] tells so.
    pub async fn run(self, stack: Stack<'_>) -> ! {
        let Host { ref rng, store, unix_time, on_event } = self.host;
        #[cfg(feature = "tls")]
        let room = Room::new(self.session, self.credentials, Shared(rng));
        #[cfg(feature = "tls")]
        let engine = core::pin::pin!(room.engine());
        let (mut received_from, mut sent_to) = ([PacketMetadata::EMPTY; DATAGRAMS], [PacketMetadata::EMPTY; DATAGRAMS]);
        let resolver = Resolver::new();
        // Nothing can succeed before.
        let path = Path::first(stack).await;
        let (now, unix_time) = (now(), unix_time.unwrap_or(|| 0));
        #[cfg(feature = "tls")]
        let tls = ([EmbeddedTlsSession::new(&room, engine)], self.memory);
        #[cfg(not(feature = "tls"))]
        let tls = ([], ());
        let mut gateway = gateway(self.config, tls, Shared(rng), now, unix_now(unix_time, now));
        // `new` has tried all of this.
        let Ok(gateway) = &mut gateway else { pending().await };
        let mut link = Link {
            config: self.config,
            gateway,
            stack,
            socket: UdpSocket::new(stack, &mut received_from, self.received, &mut sent_to, self.sent),
            channel: self.channel,
            buffer: self.buffer,
            resolver: &resolver,
            store,
            remembered: Remembered::default(),
            received_due: now,
            unix_time,
            on_event,
            path: Some(path),
            path_due: now,
            log_due: now,
            exited: false,
        };
        match select(resolver.run(stack), link.run()).await {
            Either::First(never) | Either::Second(never) => never,
        }
    }
}

impl<R, S> fmt::Debug for Runner<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

/// A link that runs.
struct Link<'g, 'a, R: Rng, S> {
    config: &'static LinkConfig<'static>,
    gateway: &'g mut Gateway<'static, Board<'a, R>>,
    stack: Stack<'g>,
    socket: UdpSocket<'g>,
    channel: channel::Runner<'static, MTU_MAX>,
    buffer: &'static mut [u8; BUFFER_LEN],
    resolver: &'g Resolver,
    store: S,
    /// What the store has.
    remembered: Remembered,
    received_due: Instant,
    unix_time: fn() -> u64,
    on_event: fn(&Event<'_>),
    path: Option<Path>,
    path_due: Instant,
    log_due: Instant,
    exited: bool,
}

impl<R: Rng, S: Store> Link<'_, '_, R, S> {
    async fn run(&mut self) -> ! {
        self.recall().await;
        loop {
            let wake = self.drain().await;
            if self.exited {
                pending::<()>().await;
            }
            self.sleep(wake).await;
            let now = now();
            if let Some(answer) = self.resolver.take() {
                let addresses = Some(answer.addresses.as_slice()).filter(|addresses| !addresses.is_empty());
                self.gateway.resolved(now, answer.number, addresses.ok_or(()));
            }
            self.receive(now);
            self.transmit(now).await;
            self.look_at_path(now);
            self.gateway.peer_mut().set_unix_time(now, unix_now(self.unix_time, now));
            self.gateway.handle_timeout(now);
            self.save_received(now).await;
            // Other tasks get their turn, whatever comes in.
            yield_now().await;
        }
    }

    /// Does what the engine asks for until it only waits; says until when.
    async fn drain(&mut self) -> Option<Instant> {
        loop {
            self.reserve().await;
            let now = now();
            match self.gateway.poll_output(now, self.buffer) {
                Output::Transmit(sealed) => send(&self.socket, &sealed).await,
                Output::Event(event) => {
                    // Keys stand; without TLS nothing can be known.
                    if event == Event::Initialized {
                        self.channel.set_link_state(LinkState::Up);
                    }
                    tell(self.on_event, &event);
                }
                Output::Resolve(number, lookup) => self.resolver.ask(number, &lookup),
                Output::Bind(_) => {
                    let bound = self.bind();
                    self.gateway.bound(now, unix_now(self.unix_time, now), bound);
                }
                // A socket that is bound to no address follows by itself.
                Output::Rebind => note!("The local address or route has changed: telling the peer"),
                Output::CloseSocket => self.socket.close(),
                Output::OpenTunnel => {
                    if self.config.role().is_none() {
                        self.channel.set_link_state(LinkState::Up);
                    }
                    self.gateway.tunnel_opened(now);
                }
                Output::CloseTunnel(_) => self.channel.set_link_state(LinkState::Down),
                Output::AddRoutes | Output::RestartDown(_) | Output::RestartUp | Output::PeerAddress(_) => {}
                Output::Exit(reason) => {
                    self.exit(reason);
                    return None;
                }
                Output::Timeout(wake) => return wake.map(|(at, _)| at),
            }
            yield_now().await;
        }
    }

    fn exit(&mut self, reason: Reason) {
        self.exited = true;
        self.socket.close();
        self.channel.set_link_state(LinkState::Down);
        tell(self.on_event, &Event::Exiting(reason));
    }

    fn bind(&mut self) -> Result<(), ()> {
        let connection = self.gateway.connection();
        let local = connection.local.and_then(|local| local.parse::<IpAddr>());
        let addr = local.map(|local| ip_address(local).ok_or(())).transpose()?;
        let port = if connection.bind { connection.local_port } else { 0 };
        self.socket.close();
        self.socket.bind(IpListenEndpoint { addr, port }).map_err(drop)
    }

    /// Waits for a datagram, a packet, an answer or the time.
    async fn sleep(&mut self, wake: Option<Instant>) {
        let wake = wake.map_or(self.path_due, |wake| wake.min(self.path_due));
        let (socket, channel) = (&self.socket, &mut self.channel);
        let packet = async {
            socket.wait_send_ready().await;
            poll_fn(|cx| channel.poll_tx_buf(cx).map(drop)).await;
        };
        let timer = Timer::at(embassy_time::Instant::from_millis(wake.as_millis()));
        select4(socket.wait_recv_ready(), packet, self.resolver.answered(), timer).await;
    }

    /// Network to tunnel.
    fn receive(&mut self, now: Instant) {
        for n in 0..BURST {
            // A packet for which there is no room is lost; better it waits in the socket. But control packets must pass.
            if n > 0 && self.channel.try_rx_buf().is_none() {
                return;
            }
            let (len, from) = match poll_once(self.socket.recv_from(self.buffer.as_mut_slice())) {
                Poll::Ready(Ok((len, meta))) => (len, socket_addr(meta.endpoint)),
                // It is too long to be one of the peer's.
                Poll::Ready(Err(_)) => continue,
                Poll::Pending => return,
            };
            let Some(datagram) = self.buffer.get_mut(..len) else { return };
            let first_byte = datagram.first().copied();
            match self.gateway.handle_datagram(now, from, datagram) {
                Ok(Some(packet)) => {
                    let room = self.channel.try_rx_buf().and_then(|room| room.get_mut(..packet.len()));
                    if let Some(room) = room {
                        room.copy_from_slice(packet);
                        self.channel.rx_done(packet.len());
                    }
                }
                Ok(None) => {}
                Err(discard) if LOGS && now >= self.log_due => {
                    self.log_due = now + LOG_INTERVAL;
                    warning!("{}", discard);
                    if let Some(hint) = discard.hint(self.config, first_byte) {
                        warning!("{}", hint);
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// Tunnel to network.
    async fn transmit(&mut self, now: Instant) {
        for _ in 0..BURST {
            if !self.socket.may_send() {
                return;
            }
            let Some(packet) = self.channel.try_tx_buf() else { return };
            let len = packet.len();
            if let Some(room) = self.buffer.get_mut(HEADROOM..).and_then(|room| room.get_mut(..len)) {
                room.copy_from_slice(packet);
            }
            self.channel.tx_done();
            let Some(packet) = PacketBuf::new(self.buffer, HEADROOM, len) else { return };
            match self.gateway.seal(now, packet) {
                Ok(sealed) => send(&self.socket, &sealed).await,
                Err(NotReady::PacketIdsExhausted) => self.begin_sequence(now).await,
                Err(NotReady::Down | NotReady::NoPeer | NotReady::Negotiating) => {}
                Err(reason) if LOGS && now >= self.log_due => {
                    self.log_due = now + LOG_INTERVAL;
                    warning!("{}", reason);
                }
                Err(_) => {}
            }
        }
    }

    fn look_at_path(&mut self, now: Instant) {
        if now < self.path_due {
            return;
        }
        self.path_due = now + PATH_INTERVAL;
        let path = Path::of(self.stack);
        if path != self.path {
            if path.is_some() {
                self.gateway.local_changed(now);
            }
            self.path = path;
        }
    }

    /// What was saved before the last reset.
    async fn recall(&mut self) {
        if !S::REMEMBERS {
            return;
        }
        self.remembered = self.store.load().await.unwrap_or_default();
        self.received_due = now() + REPLAY_INTERVAL;
        let Remembered { sent, received: (id, time) } = self.remembered;
        let unix_now = unix_now(self.unix_time, now());
        let peer = self.gateway.peer_mut();
        peer.preset_sent(sent, unix_now);
        if self.config.replay_persist.is_some() && id > 0 {
            peer.preset_replay(id, time);
        }
    }

    /// Sequences of packet ids are reserved before the first packet of one is sent: after a power cut they are missed.
    async fn reserve(&mut self) {
        match self.gateway.peer().sent_sequence() {
            Some(sent) if S::REMEMBERS && sent > self.remembered.sent => {
                self.save(Remembered { sent: sent.saturating_add(AHEAD), ..self.remembered }).await;
            }
            _ => {}
        }
    }

    /// The packet ids of a sequence are used up, of a static key: the next one begins.
    async fn begin_sequence(&mut self, now: Instant) {
        if let Some(sent) = self.gateway.peer().sent_sequence() {
            self.gateway.peer_mut().preset_sent(sent, unix_now(self.unix_time, now));
            self.reserve().await;
        }
    }

    async fn save_received(&mut self, now: Instant) {
        if !S::REMEMBERS || self.config.replay_persist.is_none() || now < self.received_due {
            return;
        }
        self.received_due = now + REPLAY_INTERVAL;
        if let Some(received) = self.gateway.peer().replay_state().filter(|state| *state != self.remembered.received) {
            self.save(Remembered { received, ..self.remembered }).await;
        }
    }

    async fn save(&mut self, remembered: Remembered) {
        self.remembered = remembered;
        if self.store.save(remembered).await.is_err() {
            warning!("Packet ids cannot be saved: after a reset the peer will take packets for replays");
        }
    }
}

/// Where the board is in its network, while it is connected.
#[derive(PartialEq)]
struct Path {
    v4: Option<StaticConfigV4>,
    #[cfg(feature = "ipv6")]
    v6: Option<StaticConfigV6>,
}

impl Path {
    /// Waits for it.
    async fn first(stack: Stack<'_>) -> Self {
        loop {
            Timer::after_millis(PATH_INTERVAL.as_millis() as u64 / 5).await;
            if let Some(path) = Self::of(stack) {
                return path;
            }
        }
    }

    fn of(stack: Stack<'_>) -> Option<Self> {
        (stack.is_link_up() && stack.is_config_up()).then(|| Self {
            v4: stack.config_v4(),
            #[cfg(feature = "ipv6")]
            v6: stack.config_v6(),
        })
    }
}

/// The engine. In a function of its own, because it is large: what is moved on the way lies on the stack only while it
/// runs, and nowhere in the task.
#[inline(never)]
fn gateway<'a, R: Rng>(
    config: &'static LinkConfig<'static>,
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "there are none"))] (sessions, memory): (
        <Board<'a, R> as Platform>::TlsSessions,
        <Board<'a, R> as Platform>::TlsMemory,
    ),
    rng: Shared<'a, R>,
    now: Instant,
    unix_now: u64,
) -> Result<Gateway<'static, Board<'a, R>>, SetupError> {
    // It has been tried before.
    const CANNOT_BE: SetupError = SetupError::Mode;
    let keys = match config.role() {
        #[cfg(feature = "tls")]
        Some(role) => {
            Keys::Tls { protection: start::protection(config, role).map_err(|_| CANNOT_BE)?, sessions, memory }
        }
        _ => Keys::Static(start::static_key(config).map_err(|_| CANNOT_BE)?),
    };
    Gateway::new(config, keys, rng, now, unix_now)
}

/// Sends a datagram; one that cannot be sent is lost.
async fn send(socket: &UdpSocket<'_>, sealed: &Sealed<'_>) {
    let Some(to) = ip_address(sealed.to.ip()) else { return };
    let to = IpEndpoint::new(to, sealed.to.port());
    let _ = with_timeout(SEND_PATIENCE, socket.send_to(sealed.datagram, to)).await;
}

fn tell(on_event: fn(&Event<'_>), event: &Event<'_>) {
    note!("{}", event);
    on_event(event);
}

/// An address as the stack has it, if it has that version of IP.
fn ip_address(ip: IpAddr) -> Option<IpAddress> {
    match ip {
        IpAddr::V4(ip) => Some(ip.into()),
        #[cfg(feature = "ipv6")]
        IpAddr::V6(ip) => Some(ip.into()),
        #[cfg(not(feature = "ipv6"))]
        IpAddr::V6(_) => None,
    }
}

fn socket_addr(endpoint: IpEndpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr.into(), endpoint.port)
}

fn now() -> Instant {
    Instant::from_millis(embassy_time::Instant::now().as_millis())
}

/// The time of day; without a clock, the uptime.
fn unix_now(unix_time: fn() -> u64, now: Instant) -> u64 {
    unix_time().max(now.as_millis() / 1000)
}
