//! The TLS sessions with one peer: the live one, one that is still to prove itself beside it, and the keys
//! (protocol sections 3.10 and 3.13).
//!
//! ```text
//! pending --authenticated--> active --replaced--> its key may still open packets that are under way
//! ```
//! A hard reset never touches the live session: it begins a pending one, which takes over when it has authenticated.

mod data_keys;

use core::net::SocketAddr;
use core::ops::Range;

use heapless::Vec;

use crate::control::context::{Context, Stack, part, part_mut};
use crate::control::key_state::Stage;
use crate::control::memory::LinkMemory;
use crate::control::protection::Protection;
use crate::control::session::{Current, Extra, Key, Session, seconds};
use crate::control::wrapping;
use crate::data::DataKey;
use crate::error::Discard;
use crate::event::Event;
use crate::options::LinkConfig;
use crate::platform::Platform;
use crate::time::{Duration, Instant};
use crate::tls::{Place, Role, TlsSession};
use crate::wire::control::{Message, SessionId};
use crate::wire::opcode::{Head, KeyId, Opcode};

pub(crate) use data_keys::Sign;

/// A live session is replaced this often at most: a forged greeting is enough to make two ends begin another one. The
/// first repetition of a refused greeting comes later than that, also from openvpn, which counts whole seconds.
const SESSION_INTERVAL: Duration = Duration::from_secs(1);

/// The control channel of one link.
pub struct TlsLink<P: Platform> {
    role: Role,
    protection: Protection<P::Crypto>,
    tls: P::TlsSessions,
    memory: P::TlsMemory,
    active: Option<Session<P>>,
    pending: Option<Session<P>>,
    /// Open what is still under way from the session before: its latest key, which the peer may not have, or may get
    /// only now, and the one before that.
    old: Vec<Key, 2>,
    /// When the next own session is begun although one is live.
    retry: Option<Instant>,
}

impl<P: Platform> TlsLink<P> {
    /// Sessions that are not started yet.
    pub(crate) fn new(
        role: Role,
        protection: Protection<P::Crypto>,
        tls: P::TlsSessions,
        memory: P::TlsMemory,
    ) -> Self {
        Self { role, protection, tls, memory, active: None, pending: None, old: Vec::new(), retry: None }
    }

    /// The role in the handshake.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Forgets every session and its keys.
    pub(crate) fn stop(&mut self) {
        (self.active, self.pending, self.retry) = (None, None, None);
        self.old.clear();
        self.memory.parts().0.iter_mut().for_each(Vec::clear);
        for session in self.tls.as_mut() {
            session.stop();
        }
    }

    /// Begins a session towards `remote`.
    pub(crate) fn begin(&mut self, cx: &mut Context<'_, P>, remote: SocketAddr) {
        // A tls-crypt-v2 server cannot speak first: it has no key yet.
        if !self.protection.is_v2_server() {
            self.pend(cx, remote, true);
        }
    }

    /// Sends a greeting to `to`, where the peer may be: that of the session that waits for an answer, or that of a new one
    /// beside the live one, which `single-session` forbids.
    pub(crate) fn greet(&mut self, cx: &mut Context<'_, P>, to: SocketAddr) {
        match &mut self.pending {
            _ if self.active.is_some() && cx.config.tls.single_session => {}
            _ if self.protection.is_v2_server() => {}
            // Its peer has come by itself; greetings may go to an address that it has left.
            Some(pending) if pending.is_in_talk(cx.now) => {}
            Some(pending) if pending.ours && pending.awaits_answer() => pending.greet(to),
            // That one is moved on, perhaps by the peer.
            Some(pending) if pending.goes_on_until().is_some_and(|at| cx.now < at) => {}
            // The end of the last negotiation may still be under way, and another one would take its place.
            None if self.active.as_ref().is_some_and(|active| active.is_settling(cx.now)) => {}
            _ => {
                self.make_room(cx.now);
                // Whoever has answered and then fallen silent has perhaps restarted; that takes no more time than one attempt.
                let since = self.pending.as_ref().filter(|_| self.active.is_none()).and_then(Session::negotiates_since);
                if let Some(session) = self.pend(cx, to, true) {
                    session.is_greeting = true;
                    session.began(since);
                }
            }
        }
    }

    /// Gives up a renegotiation that the silent peer does not answer if there is no other TLS session to greet it with, or
    /// to answer its greeting.
    fn make_room(&mut self, now: Instant) {
        let is_full = self.pending.is_none() && self.free_tls(now).is_none();
        let Some(active) = self.active.as_mut().filter(|_| is_full) else { return };
        if let Some(next) = active.next.take_if(|next| next.is_stuck(now))
            && next.is_open()
        {
            // The peer may be in the midst of it, and would not begin it again.
            self.retry = Some(now);
        }
    }

    /// The peer still uses the live session, so it has no need of another one, as long as it has not answered to that.
    fn withdraw_greeting(&mut self) {
        if self.pending.as_ref().is_some_and(|pending| pending.is_greeting && pending.awaits_answer()) {
            self.and_wipe(|link| link.pending = None);
        }
    }

    fn pend(&mut self, cx: &mut Context<'_, P>, address: SocketAddr, ours: bool) -> Option<&mut Session<P>> {
        self.pending = None;
        let slot = self.free_tls(cx.now)?;
        if let Some(current) = self.active.as_mut().and_then(|active| active.current.as_mut()) {
            current.control.release_tls(slot);
        }
        let session = self.tls.as_mut().get_mut(slot)?;
        if let Err(failure) = session.start(self.role, cx.unix_now) {
            session.stop();
            cx.notify(Event::TlsFailed(failure));
            cx.outcome.failed |= self.active.is_none();
            return None;
        }
        let memory = part_mut(self.memory.parts().1, self.tls.as_mut().len(), slot)?;
        self.pending = Some(Session::begin(cx, &self.protection, address, (slot, memory), ours));
        self.pending.as_mut()
    }

    fn sessions(&self) -> impl Iterator<Item = &Session<P>> {
        self.active.iter().chain(&self.pending)
    }

    /// The TLS sessions that keys use, as bits.
    fn used_tls(&self) -> u32 {
        self.sessions().flat_map(Session::keys).filter_map(|key| key.tls).fold(0, |used, slot| used | bit(slot))
    }

    /// The places of data keys in use, as bits.
    fn used_keys(&self) -> u32 {
        self.sessions().flat_map(Session::data_keys).chain(&self.old).fold(0, |used, key| used | bit(key.place))
    }

    /// A key itself.
    fn data(&self, key: &Key) -> Option<&DataKey<P::Crypto, P::ReplayBits>> {
        self.memory.keys().get(key.place)?.first()
    }

    /// A TLS session that nobody uses, or else that of the live key if this one can do without.
    fn free_tls(&mut self, now: Instant) -> Option<usize> {
        let used = self.used_tls();
        let unused = (0..self.tls.as_mut().len()).find(|slot| bit(*slot) & !used != 0);
        let current = self.active.as_ref().and_then(|active| active.current.as_ref());
        unused.or_else(|| current.filter(|current| current.control.can_do_without_tls(now))?.control.tls)
    }

    /// Does something, and wipes the TLS sessions and data keys that nobody uses after it.
    fn and_wipe<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.used_tls();
        let result = work(self);
        let unused = before & !self.used_tls();
        if unused != 0 {
            for (_, session) in self.tls.as_mut().iter_mut().enumerate().filter(|(slot, _)| bit(*slot) & unused != 0) {
                session.stop();
            }
        }
        let used = self.used_keys();
        for (_, key) in self.memory.parts().0.iter_mut().enumerate().filter(|(place, _)| bit(*place) & used == 0) {
            key.clear();
        }
        result
    }

    /// The TLS session for a renegotiation: a free one, or that of a pending session that gives way.
    fn spare_tls(&mut self, now: Instant) -> Option<usize> {
        let free = self.free_tls(now);
        free.or_else(|| self.pending.as_ref().filter(|pending| pending.gives_way(now))?.next.as_ref()?.tls)
    }

    /// Forgets the pending session if a renegotiation has taken its TLS session.
    fn clear_displaced(&mut self) {
        let slot = self.active.as_ref().and_then(|active| active.next.as_ref()).and_then(|key| key.tls);
        self.pending.take_if(|pending| slot.is_some_and(|slot| pending.uses_tls(slot)));
    }

    /// Whether the live session negotiates a new key.
    fn is_renegotiating(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.next.is_some())
    }

    /// Handles a control packet.
    ///
    /// # Errors
    /// Why it was dropped.
    pub(crate) fn handle_control(
        &mut self,
        cx: &mut Context<'_, P>,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Result<(), Discard> {
        self.and_wipe(|link| link.control(cx, from, datagram))
    }

    #[inline(never)] // as above
    fn control(&mut self, cx: &mut Context<'_, P>, from: SocketAddr, datagram: &mut [u8]) -> Result<(), Discard> {
        let (head, sid) = wrapping::peek(datagram).ok_or(Discard::TooShort)?;
        match (head.opcode, self.role) {
            (Opcode::HardResetClientV1 | Opcode::HardResetServerV1, _)
            | (Opcode::HardResetServerV2, Role::Server)
            | (Opcode::HardResetClientV2 | Opcode::HardResetClientV3 | Opcode::ControlWkc, Role::Client) => {
                return Err(Discard::Role(head.opcode as u8));
            }
            _ => {}
        }
        if head.opcode.is_hard_reset() && head.key_id != KeyId::FIRST {
            return Err(Discard::ControlMalformed);
        }
        let spare = self.spare_tls(cx.now);
        let was_renegotiating = self.is_renegotiating();
        let known = [&mut self.pending, &mut self.active].into_iter().flatten().find(|session| session.is_with(sid));
        if let Some(session) = known {
            let datagram = match head.opcode {
                Opcode::HardResetClientV3 | Opcode::ControlWkc => unwrap_client::<P>(&self.protection, datagram)?.1,
                _ => datagram,
            };
            let stack = &mut Stack::new(&self.protection, &mut self.tls, &mut self.memory, spare);
            session.handle(cx, stack, from, head, datagram)?;
            self.clear_displaced();
            if cx.outcome.heard {
                self.withdraw_greeting();
            }
            if was_renegotiating && !self.is_renegotiating() {
                // A new key is as good as a new session.
                self.retry = None;
            }
            self.promote(cx);
        } else {
            self.newcomer(cx, from, head, sid, datagram)?;
        }
        // As long as there is no live session, a peer that comes is not one that is silent.
        cx.outcome.heard |= self.active.is_none();
        Ok(())
    }

    /// A peer that is not known yet, or not any more, wants a session; or one that wanted it, and was displaced by
    /// others who wanted one as well, shows that it has seen our answer.
    #[inline(never)] // as above
    fn newcomer(
        &mut self,
        cx: &mut Context<'_, P>,
        from: SocketAddr,
        head: Head,
        sid: SessionId,
        datagram: &mut [u8],
    ) -> Result<(), Discard> {
        let is_reset = head.opcode.is_hard_reset();
        let awaited = self.pending.as_ref().filter(|pending| pending.awaits_answer());
        let may_answer = awaited.is_some() && head.key_id == KeyId::FIRST && head.opcode != Opcode::SoftReset;
        match &self.pending {
            _ if !is_reset && !may_answer => return Err(Discard::UnknownSession),
            _ if awaited.is_none() && self.active.is_some() && cx.config.tls.single_session => {
                return Err(Discard::SingleSession);
            }
            Some(pending) if awaited.is_none() && pending.patience_ends().is_some_and(|at| cx.now < at) => {
                return Err(Discard::Busy);
            }
            None if self.active.as_ref().is_some_and(|active| active.is_younger(SESSION_INTERVAL, cx.now)) => {
                return Err(Discard::TooOften);
            }
            _ => {}
        }
        let (own_protection, datagram) = match head.opcode {
            Opcode::HardResetClientV3 | Opcode::ControlWkc => unwrap_client::<P>(&self.protection, datagram)?,
            _ => (None, datagram),
        };
        let protection = match (&own_protection, awaited) {
            (Some(protection), _) => protection.get(),
            (None, Some(pending)) if !is_reset => pending.protection(&self.protection),
            _ => &self.protection,
        };
        let opened = protection.wrapping().ok_or(Discard::ControlAuthentication)?.open(datagram)?;
        let mut guard = self.protection.guard(cx.config, cx.unix_now);
        guard.accept(opened.packet_id, cx.now)?;
        let message = Message::parse(head.opcode, opened.body)?;
        match awaited {
            Some(pending)
                if message.peer.is_some_and(|peer| pending.is(peer)) && (is_reset || message.acks.contains(&0)) => {}
            Some(_) if is_reset && message.peer.is_none() => {}
            None if is_reset && message.peer.is_none() => {
                // Otherwise anybody with a recorded greeting could hinder it.
                if cx.is_silent {
                    self.make_room(cx.now);
                }
                self.pend(cx, from, false).ok_or(Discard::Busy)?;
            }
            // An answer to somebody else.
            _ => return Err(Discard::UnknownSession),
        }
        let Some(session) = &mut self.pending else { return Err(Discard::Busy) };
        session.adopt(cx, sid, from, guard, own_protection, is_reset);
        let stack = &mut Stack::new(&self.protection, &mut self.tls, &mut self.memory, None);
        session.accepted(cx, stack, from, head, message)
    }

    /// A pending session that has authenticated takes over.
    #[inline(never)] // as above
    fn promote(&mut self, cx: &mut Context<'_, P>) {
        if !self.pending.as_ref().is_some_and(Session::is_live) {
            return;
        }
        // In place: both hold the memory for their packets.
        core::mem::swap(&mut self.active, &mut self.pending);
        if let Some(before) = self.pending.take() {
            let expires = Some(cx.now + seconds(cx.config.tls.tran_window));
            // One that the peer is known to have is always kept: something must be sent with.
            self.old.retain(|key| key.confirmed && !before.has_confirmed_key());
            self.old.truncate(1);
            self.old.extend(before.data_keys().map(|key| Key { expires, ..*key }));
        }
        self.retry = None;
        self.protection.remember(self.active.as_ref().and_then(Session::newest));
    }

    /// With `replay-persist`, the newest control packet as the last session that came to life began: its id and time.
    pub(crate) fn replay_state(&self) -> Option<(u32, u32)> {
        self.protection.seen()
    }

    /// Control packets up to this one are replays.
    pub(crate) fn preset_replay(&mut self, id: u32, time: u32) {
        self.protection.remember(Some((id, time)));
    }

    /// Does what has become due, and begins renegotiations.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_, P>) {
        self.and_wipe(|link| link.time_has_passed(cx));
    }

    #[inline(never)] // so that the stack has what it needs only while it runs
    fn time_has_passed(&mut self, cx: &mut Context<'_, P>) {
        let (now, config) = (cx.now, cx.config);
        let window = seconds(config.tls.hand_window);
        let is_over = |key: &Key| key.expires.is_some_and(|at| at <= now);
        self.old.retain(|key| !is_over(key));
        if let Some(pending) = self.pending.take_if(|pending| pending.deadline(window).is_some_and(|at| at <= now)) {
            pending.report_timeout(cx);
            match (&self.active, pending.ours) {
                (None, true) => cx.outcome.failed = true,
                (None, false) if !config.remotes.is_empty() || config.tls.tls_exit => cx.outcome.failed = true,
                // Whatever refused it will refuse it again for a while.
                (Some(_), true) if !pending.is_greeting => self.retry = Some(now + window),
                _ => {}
            }
        }
        let Some(active) = &mut self.active else { return };
        active.lame_duck.take_if(|key| is_over(key));
        if active.current.as_ref().is_some_and(|current| is_over(&current.data)) {
            cx.outcome.failed = true;
            return;
        }
        if let Some(next) = active.next.take_if(|next| next.deadline(window).is_some_and(|at| at <= now)) {
            if !next.has_failed() {
                cx.notify(Event::HandshakeTimeout(config.tls.hand_window));
            }
            // Somebody who only asked for a key and then said nothing may not be the peer.
            if next.ours || next.is_open() {
                self.retry = Some(if next.has_failed() { now + window } else { now });
            }
        }
        // The key still serves, but there can be no next one: only a new session helps.
        if let Some(Current { control, .. }) = &mut active.current
            && control.has_failed()
            && control.deadline(window).is_some_and(|at| at <= now)
        {
            control.stage = Stage::Dead;
            self.retry = Some(now);
        }
        let address = active.address;
        if self.next_session().is_some_and(|at| at <= now) {
            // A tls-crypt-v2 server cannot begin one, and a new key may take the place of this one, and come to nothing.
            self.retry = Some(now + window);
            self.begin(cx, address);
        } else if self.renegotiation().is_some_and(|at| at <= now) {
            let spare = self.spare_tls(now);
            let stack = &mut Stack::new(&self.protection, &mut self.tls, &mut self.memory, spare);
            if let Some(active) = &mut self.active
                && active.renegotiate(cx, stack, true).is_none()
            {
                self.retry = Some(now + window);
            }
            self.clear_displaced();
        }
    }

    /// When the next own session is to be begun. Somebody who only said hello does not hinder it.
    fn next_session(&self) -> Option<Instant> {
        self.retry.filter(|_| self.pending.as_ref().is_none_or(|pending| !pending.ours && pending.awaits_answer()))
    }

    /// When the next key is to be negotiated, whoever wants a session beside the live one. Not as long as the peer lacks
    /// the current key: it could not follow.
    fn renegotiation(&self) -> Option<Instant> {
        // Whoever begins another session may be the peer, who would not follow then.
        let not_before = match &self.pending {
            _ if self.retry.is_some() => return None,
            Some(pending) if pending.ours => return None,
            Some(pending) => pending.goes_on_until(),
            None => None,
        };
        let active = self.active.as_ref().filter(|active| active.next.is_none())?;
        let is_ready = |current: &&Current| current.data.confirmed && !current.control.has_failed();
        let current = active.current.as_ref().filter(is_ready)?;
        let due = if self.data(&current.data).is_some_and(DataKey::is_worn_out) {
            current.data.since
        } else {
            current.renewal?
        };
        Some(due.max(not_before.unwrap_or(due)))
    }

    /// The next time at which [`TlsLink::handle_timeout`] or [`TlsLink::next_datagram`] has work.
    pub(crate) fn deadline(&self, config: &LinkConfig<'_>) -> Option<Instant> {
        let window = seconds(config.tls.hand_window);
        let expiry = |key: &Key| key.expires;
        self.sessions()
            .filter_map(|session| session.next_deadline(window))
            .chain(self.old.iter().filter_map(expiry))
            .chain(self.renegotiation())
            .chain(self.next_session())
            .min()
    }

    /// Writes the next control packet into `out`; says to whom, and where in it the datagram lies.
    pub(crate) fn next_datagram(
        &mut self,
        now: Instant,
        unix_now: u64,
        out: &mut [u8],
    ) -> Option<(SocketAddr, Range<usize>)> {
        let (memory, slots) = (self.memory.packets(), self.tls.as_mut().len());
        let memory = |slot| part(memory, slots, slot);
        for session in [&mut self.pending, &mut self.active].into_iter().flatten() {
            if let Some(datagram) = session.next_datagram(now, unix_now, &self.protection, memory, out) {
                return Some((session.address, datagram));
            }
        }
        None
    }

    /// Whether there is something to send or to do now.
    pub(crate) fn has_output(&self, now: Instant) -> bool {
        self.sessions().any(|session| session.has_output(now)) || self.renegotiation().is_some_and(|at| at <= now)
    }

    /// Data of the live session comes from this address now, so control packets go there.
    pub(crate) fn follow(&mut self, address: SocketAddr) {
        if let Some(active) = &mut self.active {
            active.address = address;
        }
    }

    /// The key that data is sealed with.
    #[cfg(test)]
    pub(crate) fn data_key(&mut self) -> Option<&mut DataKey<P::Crypto, P::ReplayBits>> {
        let place = self.active.as_ref()?.current.as_ref()?.data.place;
        self.memory.parts().0.get_mut(place)?.first_mut()
    }

    /// All TLS sessions.
    #[cfg(test)]
    pub(crate) fn tls(&mut self) -> &mut [P::Tls] {
        self.tls.as_mut()
    }

    /// Tells the peer that this end exits, by the control channel if that was agreed on. True if it was told. A session
    /// that waits beside the live one comes to nothing.
    pub(crate) fn say_exit(&mut self, cx: &mut Context<'_, P>) -> bool {
        self.and_wipe(|link| link.pending = None);
        let stack = &mut Stack::new(&self.protection, &mut self.tls, &mut self.memory, None);
        self.active.as_mut().is_some_and(|active| active.say_exit(cx, stack))
    }
}

type OwnProtection<'b, P> = (Option<Extra<P, Protection<<P as Platform>::Crypto>>>, &'b mut [u8]);

/// A client's own key, and its packet without it.
fn unwrap_client<'b, P: Platform>(
    protection: &Protection<P::Crypto>,
    datagram: &'b mut [u8],
) -> Result<OwnProtection<'b, P>, Discard> {
    // Only a server keeps such keys.
    if !<Extra<P, Protection<P::Crypto>> as Place<_>>::EXISTS {
        return Ok((None, datagram));
    }
    let (protection, datagram) = protection.unwrap_client(datagram)?;
    Ok((protection.and_then(Place::with), datagram))
}

/// What stands for a TLS session among others; none if there are too many.
fn bit(slot: usize) -> u32 {
    u32::try_from(slot).ok().and_then(|slot| 1_u32.checked_shl(slot)).unwrap_or(0)
}
