//! One remote peer: the data channel, the control channel if there is one, keepalive and options, towards one address.

mod address;
mod keepalive;
mod link;
mod occ;
mod static_link;

use core::mem::take;
use core::net::SocketAddr;
use core::ops::Range;

use heapless::{Deque, String, Vec};

use crate::control::{self, Context, Outcome, TlsLink};
use crate::crypto::replay::ReplayWindow;
use crate::crypto::tls_crypt_v2::WRAPPED_MAX;
use crate::error::{Discard, NotReady};
use crate::event::{Cause, Event, Reason, Signal};
use crate::log::debug;
use crate::options::{Connection, DeviceKind, LinkConfig};
use crate::packet::{HEADROOM, PacketBuf, TAILROOM};
use crate::platform::Platform;
use crate::time::{Duration, Instant, Timer, TimerTable};
use crate::tls::Place;
use crate::wire::internal::{Message, OPTIONS_MAX, Payload};
use crate::wire::ip;
use crate::wire::opcode::Head;

use address::Addresses;
use keepalive::{Due, Keepalive};
use link::Link;
use occ::Occ;

pub use address::ADDRESSES_MAX;
pub use link::{Keys, SetupError};

/// Room that [`Peer::poll_output`] needs, in bytes: the largest control packet, with a wrapped key behind it.
pub const OUTPUT_MAX: usize = control::HEADROOM.saturating_add(control::CELL).saturating_add(WRAPPED_MAX);
const _: () = assert!(OUTPUT_MAX >= HEADROOM + OPTIONS_MAX + 32 + TAILROOM);

/// After this long without an authentic packet the operator is told, and again at this distance.
const SILENCE: Duration = Duration::from_secs(10);
const SILENCE_AGAIN: Duration = Duration::from_secs(60);

/// The present address, and all that the name has.
const PROBES_MAX: usize = ADDRESSES_MAX.saturating_add(1);

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

/// Messages that wait to be sent.
#[derive(Debug, Default)]
struct Outbox {
    exit: bool,
    occ_reply: bool,
    occ_request: bool,
    ping: bool,
    /// The peer is asked for a sign of life there.
    probes: Vec<SocketAddr, PROBES_MAX>,
    /// A TLS session is offered there.
    greetings: Vec<SocketAddr, PROBES_MAX>,
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
        let epoch = unix_now.saturating_sub(now.as_millis() / 1000);
        let mut timers = TimerTable::new();
        let keepalive = Keepalive::start(config, now, &mut timers);
        timers.stop_all();
        let link = Link::new(config, keys, unix_now)?;
        Ok(Self {
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
            started: now,
            discarded_before: 0,
            answered: false,
            told: false,
            counters: Counters::default(),
        })
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
                    self.probe(remotes, false);
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
                self.outbox.greetings = remotes.iter().copied().take(ADDRESSES_MAX).collect();
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
    pub fn probe(&mut self, addresses: &[SocketAddr], greet: bool) {
        let mut wanted = Vec::<SocketAddr, PROBES_MAX>::new();
        for address in self.addresses.current().iter().chain(addresses) {
            if !wanted.contains(address) {
                // More are ignored, as elsewhere.
                let _ = wanted.push(*address);
            }
        }
        if greet && matches!(self.link, Link::Tls(_)) {
            self.outbox.greetings = wanted.clone();
        }
        self.outbox.probes = wanted;
    }

    /// Whether the peer has shown itself since the start: on a TLS link its first control packet is enough.
    pub fn has_answered(&self) -> bool {
        self.answered
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

    /// Opens one datagram in place. `Some` is a packet for the tunnel device; `None` was a message
    /// to the engine itself, which may have something to say now ([`Peer::poll_output`]).
    ///
    /// `from` becomes the peer's address only if the datagram is authentic and new.
    ///
    /// # Errors
    /// Why the datagram was dropped.
    pub fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Result<Option<&'b mut [u8]>, Discard> {
        self.counters.link_read = self.counters.link_read.saturating_add(datagram.len() as u64);
        let opened = self.open(now, from, datagram);
        match &opened {
            Ok(Some(packet)) => {
                self.counters.tunnel_write = self.counters.tunnel_write.saturating_add(packet.len() as u64)
            }
            Ok(None) => {}
            Err(_) => {
                self.counters.discarded = self.counters.discarded.saturating_add(1);
                debug!("discarded a datagram, the {}th of this process", self.counters.discarded);
            }
        }
        opened
    }

    fn open<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Result<Option<&'b mut [u8]>, Discard> {
        if !matches!(self.phase, Phase::Up | Phase::Leaving(_)) {
            return Err(Discard::NotReady);
        }
        if !self.addresses.accepts(from) {
            return Err(Discard::Source);
        }
        let (payload, is_live) = match &mut self.link {
            Link::Static(link) => (link.opener.open(now, datagram)?, true),
            Link::Tls(link) => {
                let head = datagram.first().copied().and_then(Head::parse).ok_or(Discard::ControlMalformed)?;
                if !head.opcode.is_data() {
                    let handled = self.with_tls(now, |link, cx| link.handle_control(cx, from, datagram));
                    return handled.unwrap_or(Err(Discard::NotReady)).map(|()| None);
                }
                link.get_mut().open(now, datagram)?
            }
        };
        self.counters.authentic_read = self.counters.authentic_read.saturating_add(payload.len() as u64);
        let first = self.timers.get(Timer::Silence).is_some();
        let unframed = self.config.framing.open(payload);
        if (first || !is_live) && matches!(unframed.as_deref().map(Payload::parse), Ok(Payload::OccExit)) {
            // The rest of the farewell that caused this restart, or a recorded one.
            return Ok(None);
        }
        if is_live {
            self.heard(now, from, first);
        }
        let payload = unframed?;
        match Payload::parse(payload) {
            Payload::Packet => {}
            Payload::Ping | Payload::OccMtu => return Ok(None),
            Payload::OccRequest => {
                self.outbox.occ_reply = true;
                return Ok(None);
            }
            Payload::OccReply(options) => {
                self.occ.received(options, &mut self.timers);
                return Ok(None);
            }
            Payload::OccExit => {
                self.end(Reason::soft(Signal::Usr1, Cause::OccExit));
                return Ok(None);
            }
            Payload::OccUnknown(opcode) => return Err(Discard::Occ(opcode)),
        }
        if self.config.device == DeviceKind::Tun {
            match payload.first().map(|byte| byte >> 4) {
                Some(4 | 6) => {}
                Some(version) => return Err(Discard::NotIp(version)),
                None => return Err(Discard::Empty),
            }
        }
        if let Some(max) = self.addresses.mss() {
            ip::clamp_mss(payload, max);
        }
        self.keepalive.active(now, payload.len());
        Ok(Some(payload))
    }

    /// Something authentic and new came from this address; `first` since the start.
    fn heard(&mut self, now: Instant, from: SocketAddr, first: bool) {
        self.answered = true;
        self.keepalive.received(now);
        if self.addresses.heard_from(from) {
            self.timers.stop(Timer::Silence);
            self.new_address = Some(from);
            // It learns at once that it is followed, and where to.
            self.outbox.ping |= !first;
            match &mut self.link {
                Link::Static(_) if first => self.occ.ask_now(now, &mut self.timers),
                Link::Static(_) => {}
                Link::Tls(link) => link.get_mut().follow(from),
            }
        }
    }

    /// Seals one packet from the tunnel device in place.
    ///
    /// # Errors
    /// Why the packet was dropped.
    pub fn seal<'b>(&mut self, now: Instant, mut packet: PacketBuf<'b>) -> Result<Sealed<'b>, NotReady> {
        if !matches!(self.phase, Phase::Up | Phase::Leaving(_)) {
            return Err(NotReady::Down);
        }
        let len = packet.len();
        self.counters.tunnel_read = self.counters.tunnel_read.saturating_add(len as u64);
        let to = self.addresses.current().ok_or(NotReady::NoPeer)?;
        if !self.config.allow_recursive_routing && ip::is_udp_to(packet.as_slice(), to) {
            return Err(NotReady::Recursive);
        }
        if let Some(max) = self.addresses.mss() {
            ip::clamp_mss(packet.as_mut_slice(), max);
        }
        self.seal_payload(now, &mut packet)?;
        self.keepalive.active(now, len);
        Ok(Sealed { to, datagram: packet.into_slice() })
    }

    /// Framing, cipher and tag around any payload, and the note that something was sent.
    fn seal_payload(&mut self, now: Instant, packet: &mut PacketBuf<'_>) -> Result<(), NotReady> {
        self.config.framing.seal(packet).ok_or(NotReady::NoRoom)?;
        let unix_now = u32::try_from(self.unix_time(now)).unwrap_or(u32::MAX);
        match &mut self.link {
            Link::Static(link) => link.sealer.seal(unix_now, &mut self.rng, packet)?,
            Link::Tls(link) => link.get_mut().seal(self.config, now, unix_now, &mut self.rng, packet)?,
        }
        self.counters.link_write = self.counters.link_write.saturating_add(packet.len() as u64);
        self.keepalive.sent(now);
        Ok(())
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

    /// The next thing for the host to do; to be called until it says `Timeout`, after every other
    /// call. `out` holds at least [`OUTPUT_MAX`] bytes.
    pub fn poll_output<'o>(&'o mut self, now: Instant, out: &'o mut [u8]) -> Output<'o> {
        if let Some(event) = self.take_event() {
            return Output::Event(event);
        }
        let datagram = self.next_control(now, out).or_else(|| self.next_message(now, out));
        if let Some((to, datagram)) = datagram {
            return match out.get_mut(datagram) {
                Some(datagram) => Output::Transmit(Sealed { to, datagram }),
                None => Output::Timeout(self.timers.next()),
            };
        }
        if self.occ.has_news() {
            return Output::Event(self.occ.next_event(self.config, out));
        }
        Output::Timeout(self.timers.next())
    }

    /// Writes the next control packet into `out`, or notes when there will be one.
    fn next_control(&mut self, now: Instant, out: &mut [u8]) -> Option<(SocketAddr, Range<usize>)> {
        if !matches!(self.phase, Phase::Up | Phase::Leaving(_)) {
            return None;
        }
        let unix_now = self.unix_time(now);
        let (to, datagram) = loop {
            let greeting = self.outbox.greetings.pop();
            if let Some(to) = greeting {
                self.with_tls(now, |link, cx| link.greet(cx, to));
            }
            let link = self.link.tls_mut()?;
            match (link.next_datagram(now, unix_now, out), greeting) {
                (Some(next), _) => break next,
                // There may be nothing to greet with.
                (None, Some(_)) => {}
                (None, None) => {
                    match link.deadline(self.config) {
                        Some(at) => self.timers.set(Timer::Control, at),
                        None => self.timers.stop(Timer::Control),
                    }
                    return None;
                }
            }
        };
        // It may be for anybody who asks for a session, so it does not take the place of a ping to the peer.
        self.counters.link_write = self.counters.link_write.saturating_add(datagram.len() as u64);
        Some((to, datagram))
    }

    /// Seals the next waiting message into `out` and says where in it the datagram lies.
    fn next_message(&mut self, now: Instant, out: &mut [u8]) -> Option<(SocketAddr, Range<usize>)> {
        let Some(current) = self.addresses.current() else {
            self.outbox = Outbox::default();
            return None;
        };
        loop {
            let mut options = String::<OPTIONS_MAX>::new();
            let Outbox { exit, occ_reply, occ_request, ping, probes, greetings: _ } = &mut self.outbox;
            let probe = probes.pop();
            let to = probe.unwrap_or(current);
            let message = if probe.is_some() {
                // Every OpenVPN answers this at once.
                if self.config.occ { Message::OccRequest } else { Message::Ping }
            } else if take(exit) {
                Message::OccExit
            } else if take(occ_reply) {
                occ::write_local(self.config, &mut options);
                Message::OccReply(&options)
            } else if take(occ_request) {
                Message::OccRequest
            } else if take(ping) {
                Message::Ping
            } else {
                return None;
            };
            let len = message.write(out.get_mut(HEADROOM..)?)?;
            let mut packet = PacketBuf::new(out, HEADROOM, len)?;
            // One that cannot be sealed is lost, like any on its way.
            if self.seal_payload(now, &mut packet).is_ok() {
                return Some((to, packet.range()));
            }
        }
    }

    /// Whether [`Peer::poll_output`] has more to say than its time-out.
    pub fn has_output(&self, now: Instant) -> bool {
        let Outbox { exit, occ_reply, occ_request, ping, ref probes, ref greetings } = self.outbox;
        exit || occ_reply
            || !probes.is_empty()
            || !greetings.is_empty()
            || self.link.tls().is_some_and(|link| link.has_output(now))
            || occ_request
            || ping
            || self.occ.has_news()
            || !self.events.is_empty()
            || self.new_address.is_some()
            || matches!(self.phase, Phase::Ended(_))
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
