//! What comes from a peer: data is for the tunnel, the rest for the engine itself.

use core::net::SocketAddr;

use super::{Link, Peer, Phase};
use crate::control::Sign;
use crate::data::{BATCH, Incoming, header_len};
use crate::error::Discard;
use crate::event::{Cause, Reason, Signal};
use crate::log::debug;
use crate::options::DeviceKind;
use crate::platform::Platform;
use crate::time::{Instant, Timer};
use crate::tls::Place;
use crate::wire::internal::Payload;
use crate::wire::ip;
use crate::wire::opcode::Head;

impl<P: Platform> Peer<'_, P> {
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
        self.handle(now, from, None, datagram)
    }

    /// Opens datagrams that have come from one address, in their order and in place, each as
    /// [`Peer::handle_datagram`] would. With an HMAC several data packets of one key take less time together.
    pub fn open_batch(&mut self, now: Instant, from: SocketAddr, datagrams: &mut [Incoming<'_>]) {
        for datagrams in datagrams.chunks_mut(BATCH) {
            let verdicts = self.verify_batch(from, datagrams);
            for (nth, slot) in datagrams.iter_mut().enumerate() {
                if let Ok(datagram) = slot
                    && let Some(datagram) = datagram.take()
                {
                    let verdict = verdicts.and_then(|verdicts| verdicts.get(nth).copied());
                    *slot = self.handle(now, from, verdict, datagram);
                }
            }
        }
    }

    /// Whether the HMACs of up to [`BATCH`] datagrams are right. `None` unless the same key will decide on all of them,
    /// whatever the first ones bring about: a control packet may put another key in its place.
    fn verify_batch(&self, from: SocketAddr, datagrams: &[Incoming<'_>]) -> Option<[bool; BATCH]> {
        if !matches!(self.phase, Phase::Up | Phase::Leaving(_)) || !self.addresses.accepts(from) {
            return None;
        }
        let whole = datagrams.iter().map(|slot| slot.as_ref().ok().and_then(Option::as_deref).unwrap_or_default());
        match &self.link {
            Link::Static(link) => link.opener.verify_batch(whole),
            Link::Tls(link) => {
                let first = whole.clone().next()?;
                let header = first.get(..header_len(first)?)?;
                let is_same = |datagram: &[u8]| datagram.is_empty() || datagram.starts_with(header);
                whole.clone().all(is_same).then(|| link.get().verify_batch(whole))?
            }
        }
    }

    /// `verdict` is the one about the datagram's HMAC if that has been verified.
    fn handle<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        verdict: Option<bool>,
        datagram: &'b mut [u8],
    ) -> Result<Option<&'b mut [u8]>, Discard> {
        self.counters.link_read = self.counters.link_read.saturating_add(datagram.len() as u64);
        let opened = self.open(now, from, verdict, datagram);
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
        verdict: Option<bool>,
        datagram: &'b mut [u8],
    ) -> Result<Option<&'b mut [u8]>, Discard> {
        if !matches!(self.phase, Phase::Up | Phase::Leaving(_)) {
            return Err(Discard::NotReady);
        }
        if !self.addresses.accepts(from) {
            return Err(Discard::Source);
        }
        let quiet_since = self.keepalive.is_overdue(now).then(|| self.newest_data()).flatten();
        let (payload, sign) = match &mut self.link {
            Link::Static(link) => (link.opener.open_verified(now, verdict, datagram)?, Sign::Live),
            Link::Tls(link) => {
                let head = datagram.first().copied().and_then(Head::parse).ok_or(Discard::ControlMalformed)?;
                if head.opcode.is_hard_reset() && matches!(self.phase, Phase::Leaving(_)) {
                    // A session that is gone in a moment would keep the peer from looking for the next process.
                    return Err(Discard::NotReady);
                }
                if !head.opcode.is_data() {
                    let handled = self.with_tls(now, |link, cx| link.handle_control(cx, from, datagram));
                    return handled.unwrap_or(Err(Discard::NotReady)).map(|()| None);
                }
                link.get_mut().open(now, verdict, datagram)?
            }
        };
        self.counters.authentic_read = self.counters.authentic_read.saturating_add(payload.len() as u64);
        let first = self.timers.get(Timer::Silence).is_some();
        let unframed = self.config.framing.open(payload);
        if (first || sign != Sign::Live) && matches!(unframed.as_deref().map(Payload::parse), Ok(Payload::OccExit)) {
            // The rest of the farewell that caused this restart, or a recorded one.
            return Ok(None);
        }
        match sign {
            Sign::Live => {
                if let Some((id, time)) = quiet_since
                    && self.newest_data() == Some((id.saturating_add(1), time))
                {
                    // Nothing was lost: there was nothing.
                    let asked = self.probed.is_some_and(|at| at > self.keepalive.last_received());
                    self.keepalive.was_quiet(now, asked);
                }
                self.heard(now, from, first);
            }
            Sign::Life => self.keepalive.received(now),
            Sign::None => {}
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

    /// Id and time of the newest data packet under the key that is used now.
    fn newest_data(&self) -> Option<(u32, u32)> {
        match &self.link {
            Link::Static(link) => link.opener.window()?.highest(),
            Link::Tls(link) => link.get().newest_data(),
        }
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
}
