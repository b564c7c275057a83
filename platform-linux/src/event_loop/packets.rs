//! Packets between the socket and the tunnel, a burst at a time.
//!
//! The kernel hands over many packets at once where it can, in both directions. They stay in the order in which they
//! came, each is sealed or opened by itself and in place, and a packet that comes alone goes alone at once.

use std::array;
use std::mem::{discriminant, replace, take};
use std::net::SocketAddr;

use longcable_core::data::{BATCH, Incoming};
use longcable_core::error::{Discard, NotReady};
use longcable_core::event::Address;
use longcable_core::gateway::Gateway;
use longcable_core::options::LinkConfig;
use longcable_core::peer::Sealed;
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use nix::errno::Errno;

use super::{Complaint, EventLoop, RECEIVED_MAX, complain};
use crate::link::udp::{LinkError, Received, SendOutcome, UdpLink};
use crate::log::{self, Burst, Omitted};
use crate::offload::coalesce::Coalescer;
use crate::offload::segment::{Segmenter, finish_checksum};
use crate::offload::{Malformed, SUPER_PACKET_MAX, VnetHeader};
use crate::tls::TlsStack;
use crate::tun::{Tun, TunError};

/// What one direction may move before the other gets its turn: so many times whatever the kernel hands over at once,
/// and so many bytes.
const BURST: usize = 64;
const BURST_LEN: usize = 256 << 10;

impl<S: TlsStack> EventLoop<'_, S> {
    /// Network to tunnel.
    pub(super) fn receive(&mut self) {
        let mut moved = 0;
        while moved < BURST_LEN
            && let Some(length) = self.receive_some()
        {
            moved += length;
        }
    }

    /// As many datagrams as have room, if more may be there: then how many bytes that was.
    fn receive_some(&mut self) -> Option<usize> {
        let now = self.now();
        let socket = self.socket.as_ref()?;
        let (gateway, complaints) = (&mut *self.gateway, &mut self.complaints);
        let tun = self.tunnel.tun();
        let mut arrival = Arrival { gateway, config: self.config, complaints, now, tun, device_gone: false };
        let (whole, mut free) = (self.incoming.len(), &mut *self.incoming);
        let mut packets = None;
        let mut received_all = false;
        for nth in 0..BURST {
            let (received, each) = socket.receive_batch(free);
            match received {
                Received::Datagram { length, from } => {
                    let (datagrams, rest) = take(&mut free).split_at_mut(length);
                    free = rest;
                    let several = (1..length).contains(&each);
                    // The first is not kept waiting if it came alone.
                    if packets.is_none() && (several || nth > 0) {
                        packets = tun.and_then(Tun::offloads).map(|offloads| Coalescer::new(offloads.uso));
                    }
                    if several {
                        arrival.pass_all(datagrams, each, from, &mut packets);
                    } else {
                        arrival.pass(datagrams, from, &mut packets);
                    }
                }
                Received::WouldBlock => received_all = true,
                Received::Failed(error) => arrival.failed(error),
            }
            if received_all || free.len() < RECEIVED_MAX {
                break;
            }
        }
        let received = whole - free.len();
        if let (Some(packets), Some(tun)) = (packets, tun) {
            packets.drain(|parts| arrival.written(tun.write_super(parts)));
        }
        self.device_gone |= arrival.device_gone;
        (!received_all && received > 0).then_some(received)
    }

    /// Tunnel to network.
    pub(super) fn transmit(&mut self) {
        let now = self.now();
        if !self.outgoing.is_empty() && !self.flush(now) {
            return;
        }
        let mut moved = 0;
        for _ in 0..BURST {
            if moved >= BURST_LEN || (!self.outgoing.has_room(SUPER_PACKET_MAX) && !self.flush(now)) {
                break;
            }
            let Some(tun) = self.tunnel.tun() else { break };
            match tun.read_super(self.outgoing.room()) {
                Ok(Some((header, len))) => {
                    log::traffic('r');
                    if let Err(malformed) = self.seal_all(now, header, len) {
                        complain(&mut self.complaints, now, Complaint::Malformed, |omitted| {
                            log::warning(format_args!("read from TUN/TAP : {malformed}: dropped{omitted}"));
                        });
                    }
                    moved += len;
                }
                Ok(None) => break,
                Err(error) => {
                    self.device_gone |= error.is_gone();
                    complain(&mut self.complaints, now, Complaint::Device, |omitted| {
                        log::warning(format_args!("{error}{omitted}"));
                    });
                    break;
                }
            }
        }
        self.flush(now);
    }

    /// Seals the packet of `len` bytes that was read, or those that it stands for.
    fn seal_all(&mut self, now: Instant, header: VnetHeader, len: usize) -> Result<(), Malformed> {
        if header.is_super_packet() {
            let at = self.outgoing.range(len);
            // If all of it goes, the packet need not be moved.
            self.flush(now);
            let whole = self.outgoing.take(at);
            let result = self.cut(now, header, whole.as_slice());
            self.outgoing.give_back(whole);
            self.flush(now);
            return result;
        }
        let packet = self.outgoing.room().get_mut(..len).unwrap_or_default();
        finish_checksum(header, packet)?;
        let tos = if self.host.passtos { type_of_service(packet) } else { None };
        if let Err(reason) = self.outgoing.seal(&mut self.gateway, now, len, tos) {
            say_not_sealed(reason, now, &mut self.complaints);
        }
        Ok(())
    }

    fn cut(&mut self, now: Instant, header: VnetHeader, packet: &[u8]) -> Result<(), Malformed> {
        let mut segments = Segmenter::new(header, packet)?;
        let tos = if self.host.passtos { type_of_service(packet) } else { None };
        while !segments.is_empty() {
            match self.outgoing.cut(&mut self.gateway, now, &mut segments, tos) {
                Ok(0) if self.outgoing.is_empty() || !self.flush(now) => {
                    say_full(now, &mut self.complaints);
                    break;
                }
                Ok(_) => {}
                Err(reason) => say_not_sealed(reason, now, &mut self.complaints),
            }
        }
        Ok(())
    }

    /// Sends what is sealed and says whether all of it is sent.
    fn flush(&mut self, now: Instant) -> bool {
        self.outgoing.flush(self.socket.as_ref(), |error| {
            complain(&mut self.complaints, now, Complaint::Socket(error.errno), |omitted| {
                log::error(format_args!("{error}{omitted}"));
            });
        })
    }
}

/// What datagrams need on their way to the device.
struct Arrival<'a, 'c, P: Platform> {
    gateway: &'a mut Gateway<'c, P>,
    config: &'c LinkConfig<'c>,
    complaints: &'a mut Burst<Complaint>,
    now: Instant,
    tun: Option<&'a Tun>,
    /// Somebody deleted the interface.
    device_gone: bool,
}

impl<P: Platform> Arrival<'_, '_, P> {
    /// Opens datagrams side by side, which are `each` bytes long but for the last: several take less time together.
    fn pass_all<'b>(
        &mut self,
        datagrams: &'b mut [u8],
        each: usize,
        from: SocketAddr,
        packets: &mut Option<Coalescer<'b>>,
    ) {
        for group in datagrams.chunks_mut(each * BATCH) {
            let count = group.len().div_ceil(each);
            let first_bytes: [_; BATCH] = array::from_fn(|nth| group.get(nth * each).copied());
            let mut group = group.chunks_mut(each);
            let mut slots: [Incoming<'b>; BATCH] = array::from_fn(|_| Ok(group.next()));
            (0..count).for_each(|_| log::traffic('R'));
            self.gateway.open_batch(self.now, from, &mut slots[..count]);
            for (opened, first_byte) in slots.into_iter().zip(first_bytes).take(count) {
                self.deliver(opened, first_byte, from, packets);
            }
        }
    }

    /// Opens a datagram.
    fn pass<'b>(&mut self, datagram: &'b mut [u8], from: SocketAddr, packets: &mut Option<Coalescer<'b>>) {
        log::traffic('R');
        let first_byte = datagram.first().copied();
        let opened = self.gateway.handle_datagram(self.now, from, datagram);
        self.deliver(opened, first_byte, from, packets);
    }

    /// Writes what was in a datagram, unless it waits for those that come with it because the device takes them together.
    fn deliver<'b>(
        &mut self,
        opened: Incoming<'b>,
        first_byte: Option<u8>,
        from: SocketAddr,
        packets: &mut Option<Coalescer<'b>>,
    ) {
        let packet = match opened {
            Ok(Some(packet)) => packet,
            Ok(None) => return,
            Err(discard) => return self.discarded(discard, first_byte, from),
        };
        log::traffic('w');
        let Some(tun) = self.tun else { return };
        let Some(waiting) = packets else { return self.written(tun.write(packet)) };
        if let Err(packet) = waiting.push(packet) {
            let full = replace(waiting, Coalescer::new(tun.offloads().is_some_and(|offloads| offloads.uso)));
            full.drain(|parts| self.written(tun.write_super(parts)));
            // An empty one has room.
            let _ = waiting.push(packet);
        }
    }

    fn discarded(&mut self, discard: Discard, first_byte: Option<u8>, from: SocketAddr) {
        if matches!(discard, Discard::Replay { .. }) && self.config.mute_replay_warnings {
            return;
        }
        complain(self.complaints, self.now, Complaint::Discarded(discriminant(&discard)), |more| {
            say_discarded(discard, from, self.gateway.peer().address(), more);
            if let Some(hint) = discard.hint(self.config, first_byte) {
                log::error(format_args!("{hint} (datagram from {})", Address(from)));
            }
        });
    }

    fn failed(&mut self, error: LinkError) {
        complain(self.complaints, self.now, Complaint::Socket(error.errno), |omitted| {
            log::error(format_args!("{error}{omitted}"));
            if error.errno == Errno::ECONNREFUSED {
                say_refused(error.destination);
            }
        });
    }

    fn written(&mut self, result: Result<(), TunError>) {
        if let Err(error) = result {
            self.device_gone |= error.is_gone();
            complain(self.complaints, self.now, Complaint::Device, |omitted| {
                log::warning(format_args!("{error}{omitted}"));
            });
        }
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

/// The type of service of an IPv4 packet, the traffic class of an IPv6 packet.
fn type_of_service(packet: &[u8]) -> Option<u8> {
    match packet {
        [first, second, ..] if first >> 4 == 6 => Some(first << 4 | second >> 4),
        [_, second, ..] => Some(*second),
        _ => None,
    }
}
