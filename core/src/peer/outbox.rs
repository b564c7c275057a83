//! What a peer sends: packets of the tunnel, control packets, and the messages of the engine itself.

use core::mem::take;
use core::net::SocketAddr;
use core::ops::Range;
use core::slice;

use heapless::{String, Vec};

use super::{Link, Output, PROBES_MAX, Peer, Phase, Sealed, occ};
use crate::error::NotReady;
use crate::packet::{HEADROOM, PacketBuf};
use crate::platform::Platform;
use crate::time::{Instant, Timer};
use crate::tls::Place;
use crate::wire::internal::{Message, OPTIONS_MAX};
use crate::wire::ip;

/// Messages that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) exit: bool,
    pub(super) occ_reply: bool,
    pub(super) occ_request: bool,
    pub(super) ping: bool,
    /// The peer is asked for a sign of life there.
    pub(super) probes: Vec<SocketAddr, PROBES_MAX>,
    /// A TLS session is offered there.
    pub(super) greetings: Vec<SocketAddr, PROBES_MAX>,
}

impl<P: Platform> Peer<'_, P> {
    /// Seals one packet from the tunnel device in place.
    ///
    /// # Errors
    /// Why the packet was dropped.
    pub fn seal<'b>(&mut self, now: Instant, mut packet: PacketBuf<'b>) -> Result<Sealed<'b>, NotReady> {
        let to = self.seal_all(now, slice::from_mut(&mut packet))?;
        Ok(Sealed { to, datagram: packet.into_slice() })
    }

    /// Seals packets of one flow in place and in their order: they become datagrams for the address that is returned.
    /// With CBC several take less time together.
    ///
    /// # Errors
    /// Why they were dropped, all of them.
    pub fn seal_all(&mut self, now: Instant, packets: &mut [PacketBuf<'_>]) -> Result<SocketAddr, NotReady> {
        if !matches!(self.phase, Phase::Up | Phase::Leaving(_)) {
            return Err(NotReady::Down);
        }
        let len = total(packets);
        self.counters.tunnel_read = self.counters.tunnel_read.saturating_add(len as u64);
        let to = self.addresses.current().ok_or(NotReady::NoPeer)?;
        for packet in packets.iter_mut() {
            if !self.config.allow_recursive_routing && ip::is_udp_to(packet.as_slice(), to) {
                return Err(NotReady::Recursive);
            }
            if let Some(max) = self.addresses.mss() {
                ip::clamp_mss(packet.as_mut_slice(), max);
            }
        }
        self.seal_payloads(now, packets)?;
        self.keepalive.active(now, len);
        Ok(to)
    }

    /// Framing, cipher and tag around any payload, and the note that something was sent.
    fn seal_payloads(&mut self, now: Instant, packets: &mut [PacketBuf<'_>]) -> Result<(), NotReady> {
        for packet in packets.iter_mut() {
            self.config.framing.seal(packet).ok_or(NotReady::NoRoom)?;
        }
        let unix_now = u32::try_from(self.unix_time(now)).unwrap_or(u32::MAX);
        match &mut self.link {
            Link::Static(link) => link.sealer.seal_all(unix_now, &mut self.rng, packets)?,
            Link::Tls(link) => link.get_mut().seal(self.config, now, unix_now, &mut self.rng, packets)?,
        }
        self.counters.link_write = self.counters.link_write.saturating_add(total(packets) as u64);
        self.keepalive.sent(now);
        Ok(())
    }

    /// The next thing for the host to do; to be called until it says `Timeout`, after every other
    /// call. `out` holds at least [`OUTPUT_MAX`](super::OUTPUT_MAX) bytes.
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
            if self.seal_payloads(now, slice::from_mut(&mut packet)).is_ok() {
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
}

/// Length of all together, in bytes.
fn total(packets: &[PacketBuf<'_>]) -> usize {
    packets.iter().map(PacketBuf::len).fold(0, usize::saturating_add)
}
