//! What a peer sends: packets of the tunnel, control packets, and the messages of the engine itself.

use core::mem::take;
use core::net::SocketAddr;
use core::ops::Range;

use heapless::{String, Vec};

use super::{GREETINGS_MAX, Link, Output, PROBES_MAX, Peer, Phase, Sealed, occ};
use crate::data::{BATCH, Outgoing, for_each};
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
    pub(super) greetings: Vec<SocketAddr, GREETINGS_MAX>,
}

impl Outbox {
    /// Greets these in the reverse order, as many as there is room for.
    pub(super) fn greet(&mut self, remotes: &[SocketAddr]) {
        self.greetings = remotes.iter().copied().take(GREETINGS_MAX).collect();
    }
}

impl<P: Platform> Peer<'_, P> {
    /// Seals one packet from the tunnel device in place.
    ///
    /// # Errors
    /// Why the packet was dropped.
    pub fn seal<'b>(&mut self, now: Instant, mut packet: PacketBuf<'b>) -> Result<Sealed<'b>, NotReady> {
        let len = packet.len();
        let to = self.admit(&mut packet)?;
        self.seal_payload(now, &mut packet)?;
        self.keepalive.active(now, len);
        Ok(Sealed { to, datagram: packet.into_slice() })
    }

    /// Seals packets from the tunnel device in their order and in place, each as [`Peer::seal`] would; with CBC several
    /// take less time together. Returns where to send those that are not `Err` then.
    pub fn seal_batch(&mut self, now: Instant, packets: &mut [Outgoing<'_>]) -> Option<SocketAddr> {
        let unix_now = u32::try_from(self.unix_time(now)).unwrap_or(u32::MAX);
        for packets in packets.chunks_mut(BATCH) {
            let mut lens = [0; BATCH];
            for (packet, len) in packets.iter().zip(&mut lens) {
                *len = packet.as_ref().map_or(0, PacketBuf::len);
            }
            for_each(packets, |packet| {
                self.admit(packet)?;
                self.config.framing.seal(packet).ok_or(NotReady::NoRoom)
            });
            match &mut self.link {
                Link::Static(link) => link.sealer.seal_batch(unix_now, &mut self.rng, packets),
                Link::Tls(link) => link.get_mut().seal_batch(self.config, now, unix_now, &mut self.rng, packets),
            }
            for (packet, len) in packets.iter().zip(lens) {
                if let Ok(packet) = packet {
                    self.has_sent(now, packet);
                    self.keepalive.active(now, len);
                }
            }
        }
        self.addresses.current()
    }

    /// Looks at a packet from the tunnel device before it is sealed, and says where it is to go.
    fn admit(&mut self, packet: &mut PacketBuf<'_>) -> Result<SocketAddr, NotReady> {
        if !matches!(self.phase, Phase::Up | Phase::Leaving(_)) {
            return Err(NotReady::Down);
        }
        self.counters.tunnel_read = self.counters.tunnel_read.saturating_add(packet.len() as u64);
        let to = self.addresses.current().ok_or(NotReady::NoPeer)?;
        if !self.config.allow_recursive_routing && ip::is_udp_to(packet.as_slice(), to) {
            return Err(NotReady::Recursive);
        }
        if let Some(max) = self.addresses.mss() {
            ip::clamp_mss(packet.as_mut_slice(), max);
        }
        Ok(to)
    }

    /// Framing, cipher and tag around any payload, and the note that something was sent.
    fn seal_payload(&mut self, now: Instant, packet: &mut PacketBuf<'_>) -> Result<(), NotReady> {
        self.config.framing.seal(packet).ok_or(NotReady::NoRoom)?;
        let unix_now = u32::try_from(self.unix_time(now)).unwrap_or(u32::MAX);
        match &mut self.link {
            Link::Static(link) => link.sealer.seal(unix_now, &mut self.rng, packet)?,
            Link::Tls(link) => link.get_mut().seal(self.config, now, unix_now, &mut self.rng, packet)?,
        }
        self.has_sent(now, packet);
        Ok(())
    }

    fn has_sent(&mut self, now: Instant, packet: &PacketBuf<'_>) {
        self.counters.link_write = self.counters.link_write.saturating_add(packet.len() as u64);
        self.keepalive.sent(now);
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
}
