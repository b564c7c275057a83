//! Packets from the tunnel to the network, a burst at a time.
//!
//! The kernel hands over many packets at once where it can. They stay in the order in which they came, each is sealed by
//! itself and in place, and a packet that comes alone goes alone at once.

use std::time::Instant as Clock;

use longcable_core::error::NotReady;
use longcable_core::peer::Sealed;
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use nix::errno::Errno;

use super::outgoing::Outgoing;
use super::{BURST, BURST_LEN, Complaint, Engine, LOG_INTERVAL, apart, complain, since};
use crate::link::udp::{LinkError, SendOutcome, UdpLink};
use crate::log::{self, Burst};
use crate::offload::segment::{Segmenter, finish_checksum};
use crate::offload::{Malformed, VnetHeader};
use crate::tun::{Tun, TunError};

/// What a thread needs to send.
pub(super) struct Departure {
    started: Clock,
    passtos: bool,
    outgoing: Outgoing,
    complaints: Burst<Complaint>,
}

/// One turn of it.
struct Turn<'a, 'c, P: Platform> {
    engine: &'a mut Engine<'c, P>,
    socket: Option<&'a UdpLink>,
    now: Instant,
    passtos: bool,
    outgoing: &'a mut Outgoing,
    complaints: &'a mut Burst<Complaint>,
}

impl Departure {
    /// Nothing waits. Times count from `started`; with `passtos` datagrams have the type of service of their packets.
    pub(super) fn new(started: Clock, passtos: bool) -> Self {
        Self { started, passtos, outgoing: Outgoing::new(), complaints: Burst::new(LOG_INTERVAL) }
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        since(self.started)
    }

    /// Whether nothing waits until the socket takes it.
    pub(super) fn is_empty(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Sends what waits in the device.
    ///
    /// # Errors
    /// Somebody deleted the interface.
    pub(super) fn transmit<P: Platform>(
        &mut self,
        engine: &mut Engine<'_, P>,
        tun: Option<&Tun>,
        socket: Option<&UdpLink>,
    ) -> Result<(), TunError> {
        let now = self.now();
        let Self { passtos, outgoing, complaints, .. } = self;
        Turn { engine, socket, now, passtos: *passtos, outgoing, complaints }.run(tun)
    }
}

impl<P: Platform> Turn<'_, '_, P> {
    fn run(mut self, tun: Option<&Tun>) -> Result<(), TunError> {
        if !self.outgoing.is_empty() && !self.flush() {
            return Ok(());
        }
        let mut moved = 0;
        let mut result = Ok(());
        for _ in 0..BURST {
            if moved >= BURST_LEN || (!self.outgoing.has_room() && !self.flush()) {
                break;
            }
            let Some(tun) = tun else { break };
            let room = self.outgoing.room();
            match apart(self.engine, self.now, || tun.read_super(room)) {
                Ok(Some((header, len))) => {
                    log::traffic('r');
                    if let Err(malformed) = self.seal_all(header, len) {
                        complain(self.complaints, self.now, Complaint::Malformed, |omitted| {
                            log::warning(format_args!("read from TUN/TAP : {malformed}: dropped{omitted}"));
                        });
                    }
                    moved += len;
                }
                Ok(None) => break,
                Err(error) => {
                    complain(self.complaints, self.now, Complaint::Device, |omitted| {
                        log::warning(format_args!("{error}{omitted}"));
                    });
                    result = if error.is_gone() { Err(error) } else { Ok(()) };
                    break;
                }
            }
        }
        self.flush();
        result
    }

    /// Seals the packet of `len` bytes that was read, or those that it stands for.
    fn seal_all(&mut self, header: VnetHeader, len: usize) -> Result<(), Malformed> {
        if header.is_super_packet() {
            let at = self.outgoing.range(len);
            // If all of it goes, the packet need not be moved.
            self.flush();
            let whole = self.outgoing.take(at);
            let result = self.cut(header, whole.as_slice());
            self.outgoing.give_back(whole);
            self.flush();
            return result;
        }
        let packet = self.outgoing.room().get_mut(..len).unwrap_or_default();
        finish_checksum(header, packet)?;
        let tos = if self.passtos { type_of_service(packet) } else { None };
        if let Err(reason) = self.outgoing.seal(self.engine, self.now, len, tos) {
            say_not_sealed(reason, self.now, self.complaints);
        }
        Ok(())
    }

    fn cut(&mut self, header: VnetHeader, packet: &[u8]) -> Result<(), Malformed> {
        let mut segments = Segmenter::new(header, packet)?;
        let tos = if self.passtos { type_of_service(packet) } else { None };
        while !segments.is_empty() {
            match self.outgoing.cut(self.engine, self.now, &mut segments, tos) {
                Ok(0) if self.outgoing.is_empty() || !self.flush() => {
                    say_full(self.now, self.complaints);
                    break;
                }
                Ok(_) => {}
                Err(reason) => say_not_sealed(reason, self.now, self.complaints),
            }
        }
        Ok(())
    }

    /// Sends what is sealed and says whether all of it is sent.
    fn flush(&mut self) -> bool {
        let Self { socket, now, complaints, outgoing, .. } = self;
        let report = |error: LinkError| {
            complain(complaints, *now, Complaint::Socket(error.errno), |omitted| {
                log::error(format_args!("{error}{omitted}"));
            });
        };
        apart(self.engine, *now, || outgoing.flush(*socket, report))
    }
}

/// Sends a datagram; if that fails it is lost, like any on its way.
pub(super) fn send(socket: &UdpLink, sealed: &Sealed<'_>, now: Instant, complaints: &mut Burst<Complaint>) {
    log::traffic('W');
    match socket.send(sealed.datagram, sealed.to) {
        SendOutcome::Sent => {}
        SendOutcome::Failed(error) => complain(complaints, now, Complaint::Socket(error.errno), |omitted| {
            log::error(format_args!("{error}{omitted}"));
        }),
        SendOutcome::WouldBlock => say_full(now, complaints),
    }
}

fn say_not_sealed(reason: NotReady, now: Instant, complaints: &mut Burst<Complaint>) {
    match reason {
        // Before the peer is known there is nothing to say about each packet.
        NotReady::NoPeer | NotReady::Down => {}
        NotReady::Negotiating => complain(complaints, now, Complaint::NotSealed(reason), |omitted| {
            log::line(4, format_args!("{reason}{omitted}"));
        }),
        _ => complain(complaints, now, Complaint::NotSealed(reason), |omitted| {
            log::warning(format_args!("{reason}{omitted}"));
        }),
    }
}

fn say_full(now: Instant, complaints: &mut Burst<Complaint>) {
    complain(complaints, now, Complaint::Socket(Errno::EAGAIN), |omitted| {
        log::warning(format_args!("write: the send buffer is full, packets are dropped{omitted}"));
    });
}

/// The type of service of an IPv4 packet, the traffic class of an IPv6 packet.
fn type_of_service(packet: &[u8]) -> Option<u8> {
    match packet {
        [first, second, ..] if first >> 4 == 6 => Some(first << 4 | second >> 4),
        [_, second, ..] => Some(*second),
        _ => None,
    }
}
