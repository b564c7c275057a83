//! One remote peer: the data channel, the control channel if there is one, keepalive and options, towards one address.

mod address;
mod inbox;
mod keepalive;
mod link;
mod occ;
mod outbox;
mod static_link;

use core::net::SocketAddr;

use heapless::{Deque, Vec};

use crate::control::{self, Context, Outcome, TlsLink};
use crate::crypto::replay::ReplayWindow;
use crate::crypto::tls_crypt_v2::WRAPPED_MAX;
use crate::event::{Cause, Event, Reason, Signal};
use crate::options::{Connection, LinkConfig};
use crate::packet::{HEADROOM, TAILROOM};
use crate::platform::Platform;
use crate::time::{Duration, Instant, Timer, TimerTable};
use crate::tls::Place;
use crate::wire::internal::OPTIONS_MAX;

use address::Addresses;
use keepalive::{Due, Keepalive};
pub(crate) use link::Link;
use occ::Occ;
use outbox::Outbox;

pub(crate) use keepalive::LATENESS;

pub use address::ADDRESSES_MAX;
pub use link::{Keys, SetupError};

/// Room that [`Peer::poll_output`] needs, in bytes: the largest control packet, with a wrapped key behind it; without the
/// feature `tls` the largest message.
pub const OUTPUT_MAX: usize = if cfg!(feature = "tls") { CONTROL_MAX } else { MESSAGE_MAX };
const CONTROL_MAX: usize = control::HEADROOM.saturating_add(control::CELL).saturating_add(WRAPPED_MAX);
const MESSAGE_MAX: usize = HEADROOM + OPTIONS_MAX + 32 + TAILROOM;
const _: () = assert!(CONTROL_MAX >= MESSAGE_MAX);

/// After this long without an authentic packet the operator is told, and again at this distance.
const SILENCE: Duration = Duration::from_secs(10);
const SILENCE_AGAIN: Duration = Duration::from_secs(60);

/// The present address, and all that the name has.
const PROBES_MAX: usize = ADDRESSES_MAX.saturating_add(1);
/// With a static key nobody is greeted.
const GREETINGS_MAX: usize = if cfg!(feature = "tls") { PROBES_MAX } else { 0 };

/// Distance of the exit notifications.
const NOTIFY_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that have passed, since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Read from the tunnel device.
    pub tunnel_read: u64,
    /// Written to the tunnel device.
    pub tunnel_write: u64,
    /// Received from the network.
    pub link_read: u64,
    /// Sent to the network.
    pub link_write: u64,
    /// Payload that was received and authentic.
    pub authentic_read: u64,
    /// Datagrams (not bytes) that were discarded.
    pub discarded: u64,
}

/// A datagram for the peer.
#[derive(Debug)]
pub struct Sealed<'b> {
    /// Where to send it.
    pub to: SocketAddr,
    /// What to send.
    pub datagram: &'b mut [u8],
}

/// What [`Peer::poll_output`] hands to the host.
#[derive(Debug)]
pub enum Output<'o> {
    /// Send this datagram.
    Transmit(Sealed<'o>),
    /// Something happened.
    Event(Event<'o>),
    /// Nothing more now; call [`Peer::handle_timeout`] at this time.
    Timeout(Option<(Instant, Timer)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down,
    Up,
    /// Telling the peer that we exit, this many more times.
    Leaving(u8),
    /// The reason has still to be told to the host.
    Ended(Reason),
}

/// One remote peer.
pub struct Peer<'c, P: Platform> {
    config: &'c LinkConfig<'c>,
    /// The settings for the present remote.
    connection: &'c Connection<'c>,
    link: Link<P>,
    rng: P::Rng,
    /// Unix time (s) at `Instant` 0.
    epoch: u64,
    phase: Phase,
    addresses: Addresses,
    keepalive: Keepalive,
    occ: Occ,
    timers: TimerTable,
    outbox: Outbox,
    events: Deque<Event<'static>, 8>,
    /// The peer was heard from here for the first time; to be told.
    new_address: Option<SocketAddr>,
    /// When the peer was last asked for a sign of life.
    probed: Option<Instant>,
    started: Instant,
    discarded_before: u64,
    /// Something acceptable has come since the start, if only a greeting.
    answered: bool,
    /// The control channel has told the peer that this end exits.
    told: bool,
    counters: Counters,
}

impl<'c, P: Platform> Peer<'c, P> {
    /// A peer that is not connected yet. `unix_now` is the time of day at `now`, in seconds since
    /// 1970.
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
        Ok(Self::on(config, Link::new(config, keys, unix_now)?, rng, now, unix_now))
    }

    /// A peer on this link. It is made where it is to lie: on the way, its size would be needed of the stack.
    #[inline(always)]
    pub(crate) fn on(config: &'c LinkConfig<'c>, link: Link<P>, rng: P::Rng, now: Instant, unix_now: u64) -> Self {
        let epoch = unix_now.saturating_sub(now.as_millis() / 1000);
        let mut timers = TimerTable::new();
        let keepalive = Keepalive::start(config, now, &mut timers);
        timers.stop_all();
        Self {
            config,
            connection: &config.connection,
            link,
            rng,
            epoch,
            phase: Phase::Down,
            addresses: Addresses::new(config),
            keepalive,
            occ: Occ::default(),
            timers,
            outbox: Outbox::default(),
            events: Deque::new(),
            new_address: None,
            probed: None,
            started: now,
            discarded_before: 0,
            answered: false,
            told: false,
            counters: Counters::default(),
        }
    }

    /// What is special about the remote that the next [`Peer::connect`] is for.
    pub fn set_connection(&mut self, connection: &'c Connection<'c>) {
        self.connection = connection;
    }

    /// Randomness of the platform.
    pub(crate) fn rng(&mut self) -> &mut P::Rng {
        &mut self.rng
    }

    /// Starts the link towards `remotes`, the addresses of the one peer; none means that the first
    /// authentic packet tells the address.
    pub fn connect(&mut self, now: Instant, remotes: &[SocketAddr]) {
        let unix_now = self.unix_time(now);
        self.phase = Phase::Up;
        self.addresses.start(remotes, self.connection.float);
        self.outbox = Outbox::default();
        self.timers.stop_all();
        self.keepalive = Keepalive::start(self.config, now, &mut self.timers);
        let asks = matches!(self.link, Link::Static(_)) && self.addresses.current().is_some();
        self.occ = Occ::start(self.config, now, asks, &mut self.timers);
        self.started = now;
        self.discarded_before = self.counters.discarded;
        (self.answered, self.told) = (false, false);
        self.timers.set(Timer::Silence, now + SILENCE);
        match &mut self.link {
            Link::Static(link) => {
                link.restart(self.config, unix_now, self.counters.link_write > 0);
                if self.config.probe_interval > 0 {
                    self.probe(now, remotes, false);
                }
            }
            Link::Tls(link) => {
                link.get_mut().stop();
                let remote = self.addresses.current();
                self.with_tls(now, |link, cx| {
                    if let Some(remote) = remote {
                        link.begin(cx, remote);
                    }
                });
                // The first one is greeted last: what is repeated goes there.
                self.outbox.greet(remotes);
            }
        }
    }

    /// Lets the control channel work on something and does what follows from it.
    fn with_tls<T>(&mut self, now: Instant, work: impl FnOnce(&mut TlsLink<P>, &mut Context<'_, P>) -> T) -> Option<T> {
        let unix_now = self.unix_time(now);
        let link = self.link.tls_mut()?;
        let mut outcome = Outcome::default();
        let mut cx = Context {
            config: self.config,
            role: link.role(),
            now,
            unix_now,
            is_silent: self.keepalive.is_overdue(now),
            rng: &mut self.rng,
            events: &mut self.events,
            outcome: &mut outcome,
        };
        let result = work(link, &mut cx);
        self.follow_up(now, outcome);
        Some(result)
    }

    fn follow_up(&mut self, now: Instant, outcome: Outcome) {
        let Outcome { connected, peer_options, peer_left, failed, heard } = outcome;
        if heard || connected.is_some() {
            self.answered = true;
            self.keepalive.received(now);
        }
        if let Some((address, agreed)) = connected {
            self.timers.stop(Timer::Silence);
            self.addresses.heard_from(address);
            self.addresses.set_suite(self.config, &agreed);
            self.new_address = Some(address);
        }
        if let Some(options) = peer_options {
            self.occ.told(self.config, options.as_bytes(), &mut self.timers);
        }
        if peer_left {
            self.end(Reason::soft(Signal::Usr1, Cause::RemoteExit));
        } else if failed {
            let signal = if self.config.tls.tls_exit { Signal::Term } else { Signal::Usr1 };
            self.end(Reason::soft(signal, Cause::Tls));
        }
    }

    /// Tells the time of day anew: `unix_now` seconds since 1970 at `now`. Negotiations and [`Peer::connect`] use it.
    pub fn set_unix_time(&mut self, now: Instant, unix_now: u64) {
        self.epoch = unix_now.saturating_sub(now.as_millis() / 1000);
    }

    /// Accepts authentic packets from these addresses: the peer's name has them now. Without `float` it is followed to
    /// no others.
    pub fn expect(&mut self, addresses: &[SocketAddr]) {
        self.addresses.expect(addresses);
    }

    /// Asks the peer for a sign of life, at its present address and at these; where it answers from, it is followed.
    /// With `greet`, a TLS session is offered there as well: the peer may have lost its keys. What stands is kept.
    pub fn probe(&mut self, now: Instant, addresses: &[SocketAddr], greet: bool) {
        let mut wanted = Vec::<SocketAddr, PROBES_MAX>::new();
        for address in self.addresses.current().iter().chain(addresses) {
            if !wanted.contains(address) {
                // More are ignored, as elsewhere.
                let _ = wanted.push(*address);
            }
        }
        if greet && matches!(self.link, Link::Tls(_)) {
            self.outbox.greet(&wanted);
        }
        self.outbox.probes = wanted;
        self.probed = Some(now);
    }

    /// Whether the peer has shown itself since the start: on a TLS link its first control packet is enough.
    pub fn has_answered(&self) -> bool {
        self.answered
    }

    /// How long the peer is used to say nothing, if it is expected to ping.
    pub(crate) fn rhythm(&self) -> Option<Duration> {
        self.keepalive.rhythm()
    }

    /// When the last authentic packet came, if one has come since the start.
    pub fn last_heard(&self) -> Option<Instant> {
        self.timers.get(Timer::Silence).is_none().then(|| self.keepalive.last_received())
    }

    /// Stops the link; nothing is sent or accepted until [`Peer::connect`].
    pub fn disconnect(&mut self) {
        self.phase = Phase::Down;
        if let Some(link) = self.link.tls_mut() {
            link.stop();
        }
        self.timers.stop_all();
        self.outbox = Outbox::default();
        self.occ = Occ::default();
        self.events.clear();
        self.new_address = None;
    }

    /// Ends the link in an orderly way: tells the peer first if `explicit-exit-notify` asks for it. Asked a second
    /// time, it ends at once.
    pub fn leave(&mut self, now: Instant, reason: Reason) {
        let left = self.connection.explicit_exit_notify;
        if self.phase == Phase::Up && left > 0 && self.addresses.current().is_some() {
            self.phase = Phase::Leaving(left.saturating_sub(1));
            self.told = self.with_tls(now, |link, cx| link.say_exit(cx)).unwrap_or(false);
            self.outbox.exit = !self.told;
            self.timers.set(Timer::ExitNotify, now + NOTIFY_INTERVAL);
            self.notify(Event::NotifyingPeer);
        } else {
            self.phase = Phase::Ended(reason);
            self.timers.stop_all();
        }
    }

    /// Whether the peer is being told that this end exits.
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_))
    }

    /// Does what has become due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::Control => {
                    self.with_tls(now, |link, cx| link.handle_timeout(cx));
                }
                Timer::OccRequest => {
                    if self.occ.peer_is_deaf() {
                        self.notify(Event::PeerDeaf);
                    }
                    if self.occ.ask_again(now, &mut self.timers) {
                        self.outbox.occ_request = true;
                    } else {
                        self.notify(Event::OptionsUnknown);
                    }
                }
                Timer::Silence => {
                    self.timers.set(Timer::Silence, now + SILENCE_AGAIN);
                    self.report_silence(now);
                }
                Timer::ExitNotify => match self.phase {
                    Phase::Leaving(0) => self.end(Reason::soft(Signal::Term, Cause::ExitNotified)),
                    Phase::Leaving(left) => {
                        self.phase = Phase::Leaving(left.saturating_sub(1));
                        self.outbox.exit = !self.told;
                        self.timers.set(Timer::ExitNotify, now + NOTIFY_INTERVAL);
                    }
                    _ => {}
                },
                timer => {
                    let known = self.addresses.current().is_some();
                    match self.keepalive.expired(timer, now, known, &mut self.timers) {
                        Some(Due::Ping) => self.outbox.ping = true,
                        Some(Due::End(reason)) => {
                            if timer == Timer::Receive && self.timers.get(Timer::Silence).is_some() {
                                self.report_silence(now);
                            }
                            self.end(reason);
                        }
                        None => {}
                    }
                }
            }
        }
    }

    /// The peer's address, once after each time that it turned out to be a new one.
    pub fn take_new_address(&mut self) -> Option<SocketAddr> {
        self.new_address.take()
    }

    /// The next event that needs no borrowed memory; [`Peer::poll_output`] hands them out as well.
    pub fn take_event(&mut self) -> Option<Event<'static>> {
        self.events.pop_front()
    }

    /// Why the link is to restart or to end, once. The peer is down from then on.
    pub fn take_end(&mut self) -> Option<Reason> {
        let Phase::Ended(reason) = self.phase else { return None };
        self.disconnect();
        Some(reason)
    }

    /// The address from which the last authentic packet came.
    pub fn proven_address(&self) -> Option<SocketAddr> {
        self.addresses.proven()
    }

    /// The address that packets are sent to, once one is known.
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses.current()
    }

    /// What has passed so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Refuses everything up to packet `id` of the sequence `time` (unix time in seconds), as stored by an earlier
    /// process: data packets with a static key, control packets with TLS.
    pub fn preset_replay(&mut self, id: u32, time: u32) {
        match &mut self.link {
            Link::Static(link) => {
                if let Some(window) = link.opener.window_mut() {
                    window.resume(id, time);
                }
            }
            Link::Tls(link) => link.get_mut().preset_replay(id, time),
        }
    }

    /// What is sent counts as a sequence later than `time` (unix time in seconds), as stored by an earlier process: the
    /// clock may have been later then.
    pub fn preset_sent(&mut self, time: u32, unix_now: u64) {
        if let Link::Static(link) = &mut self.link {
            link.start_sequence(self.config, unix_now.max(u64::from(time).saturating_add(1)));
        }
    }

    /// The time of the sequence that is being sent, to be stored for the next start.
    pub fn sent_sequence(&self) -> Option<u32> {
        match &self.link {
            Link::Static(link) => link.sealer.sequence_time(),
            Link::Tls(_) => None,
        }
    }

    /// The highest packet id received and the time of its sequence, to be stored for the next start.
    pub fn replay_state(&self) -> Option<(u32, u32)> {
        match &self.link {
            Link::Static(link) => link.opener.window().and_then(ReplayWindow::highest),
            Link::Tls(link) => link.get().replay_state(),
        }
    }

    fn unix_time(&self, now: Instant) -> u64 {
        self.epoch.saturating_add(now.as_millis() / 1000)
    }

    /// From within: a link that is about to exit exits all the same.
    fn end(&mut self, reason: Reason) {
        if let Link::Static(link) = &mut self.link {
            link.forget_replays |= reason.cause == Some(Cause::PingRestart);
        }
        self.phase = match self.phase {
            Phase::Up => Phase::Ended(reason),
            Phase::Leaving(_) => Phase::Ended(Reason::soft(Signal::Term, Cause::ExitNotified)),
            phase => phase,
        };
        self.timers.stop_all();
    }

    /// Nothing authentic has come since the start.
    fn report_silence(&mut self, now: Instant) {
        self.notify(Event::PeerSilent {
            address: self.addresses.current(),
            seconds: now.since(self.started).as_secs(),
            discarded: self.counters.discarded.saturating_sub(self.discarded_before),
            accepted: self.answered,
        });
    }

    /// A full queue drops the newest event: the oldest tells the cause.
    fn notify(&mut self, event: Event<'static>) {
        let _ = self.events.push_back(event);
    }
}

#[cfg(test)]
pub(crate) mod tls_tests;
