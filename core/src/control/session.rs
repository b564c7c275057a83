//! One TLS session with a peer: its ids, its keys, and what the two ends have agreed on
//! (protocol sections 3.10 to 3.14).

use core::net::SocketAddr;

use crate::control::context::{Context, Stack};
use crate::control::key_state::{Identity, KeyState, LONG_PATIENCE, PATIENCE, Stage};
use crate::control::negotiation::Agreed;
use crate::control::protection::{Guard, Protection};
use crate::control::wrapping::Wrapping;
use crate::error::Discard;
use crate::event::Event;
use crate::options::LinkConfig;
use crate::platform::Platform;
use crate::time::{Duration, Instant};
use crate::tls::{Place, Role, TlsFailure, TlsSession};
use crate::wire::control::{EarlyNegotiation, Message, SessionId};
use crate::wire::opcode::{Head, KeyId, Opcode};

/// A new key is asked for this long after the peer has the last one.
const SETTLING: Duration = Duration::from_secs(1);
/// The peer may ask for a new key this often.
const RENEGOTIATION_INTERVAL: Duration = Duration::from_millis(250);

pub(super) type Extra<P, T> = <<P as Platform>::Tls as TlsSession>::Extra<T>;
type Dynamic<C> = (Wrapping<C>, Guard);

/// A data key, and what decides when it is used.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// Its place in the link's memory.
    pub(super) place: usize,
    /// When its negotiation began.
    pub(super) since: Instant,
    /// The peer is known to have the key.
    pub(super) confirmed: bool,
    /// The peer uses the key, or negotiates its successor already.
    pub(super) in_use: bool,
    /// When it must not be used any more; `None` until a successor is negotiated.
    pub(super) expires: Option<Instant>,
}

/// A key that stands: its control state, for text messages, and its data.
pub(super) struct Current {
    pub(super) control: KeyState,
    pub(super) data: Key,
    /// When a new key is to be negotiated, if there is a time for that.
    pub(super) renewal: Option<Instant>,
}

impl Current {
    /// Notes if the peer has turned out to have the key. Packets under the one before may still be under way then.
    pub(super) fn confirm(&mut self, now: Instant) {
        let reliability = &self.control.reliability;
        // Whoever sent the last key message learns by our acknowledgement that the key is to be used.
        let is_agreed = reliability.is_all_acked() && !reliability.has_pending_acks();
        if !self.data.confirmed && (self.data.in_use || is_agreed) {
            self.data.confirmed = true;
            self.renewal = self.renewal.map(|at| at.max(now + SETTLING));
        }
    }
}

pub(super) struct Session<P: Platform> {
    pub(super) own: SessionId,
    pub(super) peer: Option<SessionId>,
    /// `peer` is not the first that greeted, and the host has not been told of it.
    pub(super) displaced: bool,
    pub(super) address: SocketAddr,
    /// This end has begun it.
    pub(super) ours: bool,
    /// It is for a peer that has fallen silent, and may have lost its keys.
    pub(super) is_greeting: bool,
    guard: Guard,
    /// With a tls-crypt-v2 server key: what this one client's packets are wrapped with.
    own_protection: Option<Extra<P, Protection<P::Crypto>>>,
    /// With a tls-crypt-v2 client key: the server wants to see it again.
    pub(super) resend_key: bool,
    /// Wraps everything from the second key on.
    pub(super) dynamic: Option<Extra<P, Dynamic<P::Crypto>>>,
    pub(super) agreed: Option<Agreed>,
    pub(super) peer_id: Option<u32>,
    /// Who the first key was negotiated with.
    pub(super) identity: Option<Identity>,
    pub(super) current: Option<Current>,
    pub(super) next: Option<KeyState>,
    pub(super) lame_duck: Option<Key>,
    /// A repeated packet of a key that is gone; it is acknowledged all the same, or the peer repeats it for ever.
    pub(super) stray: Option<(KeyId, u32)>,
}

impl<P: Platform> Session<P> {
    /// A session that begins with our hard reset.
    pub(super) fn begin(
        cx: &mut Context<'_, P>,
        protection: &Protection<P::Crypto>,
        address: SocketAddr,
        (tls, memory): (usize, &mut [u8]),
        ours: bool,
    ) -> Self {
        let reset = match cx.role {
            Role::Server => Opcode::HardResetServerV2,
            Role::Client if protection.is_v2_client() => Opcode::HardResetClientV3,
            Role::Client => Opcode::HardResetClientV2,
        };
        let key = KeyState::start(KeyId::FIRST, reset, ours, tls, memory, timeout(cx.config), cx.now);
        Self {
            own: SessionId::generate(cx.rng),
            peer: None,
            displaced: false,
            address,
            ours,
            is_greeting: false,
            guard: protection.guard(cx.config, cx.unix_now),
            own_protection: None,
            resend_key: false,
            dynamic: None,
            agreed: None,
            peer_id: None,
            identity: None,
            current: None,
            next: Some(key),
            lame_duck: None,
            stray: None,
        }
    }

    /// The newest packet of this session that came with an id and a time.
    pub(super) fn newest(&self) -> Option<(u32, u32)> {
        self.guard.window.highest()
    }

    /// Whether packets with this session id are of this session.
    pub(super) fn is_with(&self, peer: SessionId) -> bool {
        self.peer == Some(peer)
    }

    /// Whether a hard reset of any peer may become the answer to ours: nobody has shown yet to know of it.
    pub(super) fn awaits_answer(&self) -> bool {
        self.next.as_ref().is_some_and(|key| !key.is_open()) && self.current.is_none()
    }

    /// Until when its first negotiation goes before those of newcomers: without an answer to our reset it may be a
    /// recording, and more recordings give it no more time.
    pub(super) fn patience_ends(&self) -> Option<Instant> {
        let key = self.next.as_ref()?;
        Some(if key.is_open() { key.heard } else { key.started } + PATIENCE)
    }

    /// Until when it is not given up for something else that this end may want, if it can come to something at all.
    pub(super) fn goes_on_until(&self) -> Option<Instant> {
        let key = self.next.as_ref().filter(|key| !key.has_failed())?;
        if key.is_open() && (self.ours || self.identity.is_some()) {
            return Some(key.heard + LONG_PATIENCE);
        }
        self.patience_ends()
    }

    /// Whether a new key of the live session goes before its first one. Whoever asks for that is the peer, and still
    /// has that session; this one may be anybody's until TLS has shown whose it is.
    pub(super) fn gives_way(&self, now: Instant) -> bool {
        self.identity.is_none() || self.patience_ends().is_none_or(|at| at <= now)
    }

    /// Whether a peer has been heard lately that is still to answer our reset, the only one that was heard.
    pub(super) fn is_in_talk(&self, now: Instant) -> bool {
        let is_recent = |key: &KeyState| now.since(key.heard) < PATIENCE && !key.has_failed();
        self.peer.is_some() && !self.displaced && self.next.as_ref().is_some_and(is_recent)
    }

    /// Sends its greeting there, now. Who has answered it and nothing more is forgotten: the greeting would be for him
    /// alone, and he may be a recording.
    pub(super) fn greet(&mut self, to: SocketAddr) {
        self.address = to;
        let is_news = self.peer.take().is_some();
        if let Some(key) = &mut self.next {
            if is_news {
                key.reliability.forget_received();
                key.stage = Stage::Reset { answered: false };
            }
            key.reliability.resend_now();
        }
        if is_news {
            (self.displaced, self.own_protection) = (false, None);
        }
    }

    /// Since when a key is being negotiated.
    pub(super) fn negotiates_since(&self) -> Option<Instant> {
        self.next.as_ref().map(|key| key.started)
    }

    /// Goes on with an attempt that began then.
    pub(super) fn began(&mut self, since: Option<Instant>) {
        if let (Some(key), Some(since)) = (&mut self.next, since) {
            key.started = since;
        }
    }

    /// Whether this is our id.
    pub(super) fn is(&self, own: SessionId) -> bool {
        self.own == own
    }

    /// Whether one of its keys uses this TLS session.
    pub(super) fn uses_tls(&self, slot: usize) -> bool {
        self.keys().any(|key| key.tls == Some(slot))
    }

    /// Those with a control channel.
    pub(super) fn keys(&self) -> impl Iterator<Item = &KeyState> {
        self.next.iter().chain(self.current.as_ref().map(|current| &current.control))
    }

    /// When its first negotiation is over, one way or the other.
    pub(super) fn deadline(&self, window: Duration) -> Option<Instant> {
        self.next.as_ref()?.deadline(window)
    }

    /// When it has work.
    pub(super) fn next_deadline(&self, window: Duration) -> Option<Instant> {
        self.keys()
            .flat_map(|key| [key.next_due(), key.deadline(window)])
            .flatten()
            .chain(self.data_keys().filter_map(|key| key.expires))
            .min()
    }

    /// The time for its first key is over.
    pub(super) fn report_timeout(&self, cx: &mut Context<'_, P>) {
        if !self.next.as_ref().is_some_and(KeyState::has_failed) {
            cx.notify(Event::HandshakeTimeout(cx.config.tls.hand_window));
        }
    }

    /// Whether data can flow.
    pub(super) fn is_live(&self) -> bool {
        self.current.is_some()
    }

    /// Whether its newest key began to be negotiated less than `age` ago.
    pub(super) fn is_younger(&self, age: Duration, now: Instant) -> bool {
        self.current.as_ref().is_some_and(|current| now.since(current.data.since) < age)
    }

    /// Whether the peer has not shown yet to have the newest key, and may still do so.
    pub(super) fn is_settling(&self, now: Instant) -> bool {
        let current = self.current.as_ref().filter(|current| !current.data.confirmed);
        current.is_some_and(|current| now.since(current.control.heard) < LONG_PATIENCE)
    }

    /// Takes a peer's first packet that counts; unless it is a reset, that has come before. `guard` has seen it
    /// already.
    pub(super) fn adopt(
        &mut self,
        cx: &mut Context<'_, P>,
        peer: SessionId,
        from: SocketAddr,
        guard: Guard,
        own_protection: Option<Extra<P, Protection<P::Crypto>>>,
        is_reset: bool,
    ) {
        if self.peer.is_some() {
            // Another peer than the one that answered first: what that one sent is forgotten. A stranger can send
            // thousands of greetings, so this is told when there is an answer to ours.
            self.displaced = true;
            if let Some(key) = &mut self.next {
                key.reliability.forget_received();
            }
        } else {
            cx.notify(Event::InitialPacket { from, session: peer });
        }
        self.peer = Some(peer);
        self.address = from;
        self.guard.window = guard.window;
        if let Some(key) = &mut self.next {
            key.reliability.resend_now();
            if !is_reset {
                key.stage = Stage::Reset { answered: true };
                // It is in order, and needs no memory.
                key.reliability.receive(&mut [], 0, &[], &mut |_, _| {});
            }
        }
        if is_reset || own_protection.is_some() {
            self.own_protection = own_protection;
        }
    }

    /// Whether the peer is known to have one of [`Session::data_keys`].
    pub(super) fn has_confirmed_key(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.data.confirmed) || self.lame_duck.is_some()
    }

    /// Its data keys, the newest first.
    pub(super) fn data_keys(&self) -> impl Iterator<Item = &Key> {
        self.current.iter().map(|current| &current.data).chain(&self.lame_duck)
    }

    pub(super) fn protection<'a>(&'a self, shared: &'a Protection<P::Crypto>) -> &'a Protection<P::Crypto> {
        self.own_protection.as_ref().map_or(shared, Place::get)
    }

    /// What packets of a key are wrapped with, and their packet ids.
    pub(super) fn wrapping<'a>(
        &'a mut self,
        shared: &'a Protection<P::Crypto>,
        id: KeyId,
    ) -> Option<(&'a Wrapping<P::Crypto>, &'a mut Guard)> {
        match self.dynamic.as_mut().filter(|_| id != KeyId::FIRST).map(Place::get_mut) {
            Some((wrapping, guard)) => Some((wrapping, guard)),
            None => Some((self.own_protection.as_ref().map_or(shared, Place::get).wrapping()?, &mut self.guard)),
        }
    }

    /// Handles a packet of this session.
    pub(super) fn handle(
        &mut self,
        cx: &mut Context<'_, P>,
        stack: &mut Stack<'_, P>,
        from: SocketAddr,
        head: Head,
        datagram: &mut [u8],
    ) -> Result<(), Discard> {
        // Without a wrapping, session ids are all that a stranger must guess.
        if from != self.address && !self.protection(stack.protection).is_authentic() {
            return Err(Discard::Source);
        }
        let (wrapping, guard) = self.wrapping(stack.protection, head.key_id).ok_or(Discard::NotReady)?;
        let opened = wrapping.open(datagram)?;
        guard.accept(opened.packet_id, cx.now)?;
        let is_authentic = opened.packet_id.is_some();
        self.accepted(cx, stack, from, head, Message::parse(head.opcode, opened.body)?)?;
        cx.outcome.heard |= is_authentic && self.is_live();
        Ok(())
    }

    /// Handles what an authentic packet says.
    pub(super) fn accepted(
        &mut self,
        cx: &mut Context<'_, P>,
        stack: &mut Stack<'_, P>,
        from: SocketAddr,
        head: Head,
        message: Message<'_>,
    ) -> Result<(), Discard> {
        if message.peer.is_some_and(|peer| peer != self.own) {
            return Err(Discard::UnknownSession);
        }
        if head.opcode == Opcode::SoftReset {
            self.soft_reset(cx, stack, head.key_id)?;
        }
        let is_first = self.current.is_none();
        let negotiates = self.next.as_ref().is_some_and(|key| key.id == head.key_id);
        if let Some(current) = self.current.as_mut().filter(|_| negotiates) {
            current.data.in_use = true;
        }
        let key = match (&mut self.next, &mut self.current) {
            (Some(next), _) if negotiates => next,
            (_, Some(current)) if current.control.id == head.key_id => &mut current.control,
            (_, current) => {
                // What belongs to a negotiation that has failed is not acknowledged: the peer would think it had not.
                let is_gone = current.as_ref().is_some_and(|current| head.key_id != current.control.id.next());
                self.stray = message.id.filter(|_| is_gone).map(|id| (head.key_id, id));
                return if self.stray.is_some() { Ok(()) } else { Err(Discard::UnknownKey(head.key_id.get())) };
            }
        };
        let under_way = key.reliability.under_way();
        key.reliability.acked(&message.acks);
        let mut news = key.reliability.under_way() < under_way;
        // Who has not seen our reset yet may be anybody, at anybody's address: TLS does not listen to that.
        let is_known = !is_first || key.reliability.is_all_acked() || key.is_open();
        if !is_known && message.id.is_some_and(|id| id > 0) {
            return Err(Discard::UnknownSession);
        }
        let Some(slot) = key.tls else {
            // Nobody can read it any more; the peer need not repeat it.
            self.stray = message.id.map(|id| (head.key_id, id));
            return Ok(());
        };
        let (session, memory) = stack.slot(slot).ok_or(Discard::NotReady)?;
        let failed = key.has_failed();
        let (mut answered, mut resend_key, mut stuck) = (false, false, false);
        if let Some(id) = message.id {
            key.reliability.receive(memory, id, message.payload, &mut |id, payload| {
                news = true;
                match id {
                    _ if failed => {}
                    0 => {
                        answered = true;
                        resend_key = EarlyNegotiation::parse(payload).is_ok_and(|early| early.resend_wkc);
                    }
                    _ => stuck |= feed(session, payload).is_none(),
                }
            });
        }
        // A repetition that was lost on its way may be anybody's recording.
        if news {
            key.heard = cx.now;
            self.address = from;
        }
        self.resend_key |= resend_key;
        match &mut key.stage {
            Stage::Reset { answered: before } => *before |= answered,
            Stage::Failed { .. } => {
                self.flush(cx, stack, negotiates);
                return Ok(());
            }
            Stage::Dead => return Ok(()),
            _ => {}
        }
        if stuck {
            self.fail(cx, negotiates, TlsFailure::new("the peer sends more than a handshake can hold", false));
            return Ok(());
        }
        self.advance(cx, stack, negotiates);
        Ok(())
    }

    /// The peer wants a new key, or answers our wish for one.
    fn soft_reset(&mut self, cx: &mut Context<'_, P>, stack: &mut Stack<'_, P>, id: KeyId) -> Result<(), Discard> {
        let Some(current) = &self.current else { return Err(Discard::NotReady) };
        if self.next.as_ref().is_some_and(|next| next.id == id) || current.control.id == id {
            return Ok(());
        }
        if self.next.is_some() || id != current.control.id.next() {
            return Err(Discard::UnknownKey(id.get()));
        }
        if cx.now.since(current.data.since) < RENEGOTIATION_INTERVAL {
            return Err(Discard::TooOften);
        }
        self.renegotiate(cx, stack, false).ok_or(Discard::Busy)
    }

    /// Starts to negotiate the next key; `None` if there is no TLS session to spare.
    pub(super) fn renegotiate(&mut self, cx: &mut Context<'_, P>, stack: &mut Stack<'_, P>, ours: bool) -> Option<()> {
        let current = self.current.as_mut()?;
        let slot = stack.spare?;
        let (session, memory) = stack.slot(slot)?;
        let id = current.control.id.next();
        cx.notify(Event::Renegotiating { ours });
        if ours {
            current.data.expires.get_or_insert(cx.now + expiry(cx.config));
        }
        current.control.release_tls(slot);
        let mut key = KeyState::start(id, Opcode::SoftReset, ours, slot, memory, timeout(cx.config), cx.now);
        if let Err(failure) = session.start(cx.role, cx.unix_now) {
            cx.notify(Event::TlsFailed(failure));
            key.fail(cx.now);
        }
        self.next = Some(key);
        Some(())
    }

    /// Lets one key's TLS move on as far as it can, and takes what it has to send.
    pub(super) fn advance(&mut self, cx: &mut Context<'_, P>, stack: &mut Stack<'_, P>, negotiates: bool) {
        let Some(slot) = self.key(negotiates).and_then(|key| key.tls) else { return };
        let Some(session) = stack.tls.get_mut(slot) else { return };
        if let Err(failure) = self.negotiate(cx, stack.protection, stack.keys, session, negotiates) {
            self.fail(cx, negotiates, failure);
        }
        // The negotiated key may have become the current one.
        self.flush(cx, stack, negotiates && self.next.is_some());
    }

    pub(super) fn key(&mut self, negotiates: bool) -> Option<&mut KeyState> {
        if negotiates { self.next.as_mut() } else { self.current.as_mut().map(|current| &mut current.control) }
    }

    fn fail(&mut self, cx: &mut Context<'_, P>, negotiates: bool, failure: TlsFailure) {
        cx.notify(Event::TlsFailed(failure));
        let now = cx.now;
        if let Some(key) = self.key(negotiates) {
            key.fail(now);
        }
    }
}

/// Hands all bytes to TLS; `None` if it does not take them.
fn feed(tls: &mut impl TlsSession, mut bytes: &[u8]) -> Option<()> {
    let mut stepped = false;
    while !bytes.is_empty() {
        let taken = tls.read_tls(bytes);
        bytes = bytes.get(taken..)?;
        if taken == 0 && stepped {
            return None;
        }
        // What goes wrong here shows at the next step.
        stepped = !bytes.is_empty() && tls.step().is_ok();
        if !bytes.is_empty() && !stepped {
            return Some(());
        }
    }
    Some(())
}

fn timeout(config: &LinkConfig<'_>) -> Duration {
    seconds(config.tls.timeout)
}

/// How long a key may still be used once its successor is negotiated: long enough for that.
pub(super) fn expiry(config: &LinkConfig<'_>) -> Duration {
    seconds(config.tls.tran_window.max(config.tls.hand_window))
}

pub(super) fn seconds(n: u32) -> Duration {
    Duration::from_secs(n.into())
}
