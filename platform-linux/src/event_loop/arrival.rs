//! Packets from the network to the tunnel, a burst at a time.
//!
//! The kernel hands over many packets at once where it can. They stay in the order in which they came, each is opened by
//! itself and in place, and a packet that comes alone goes alone at once.

use std::array;
use std::mem::{discriminant, replace, take};
use std::net::SocketAddr;
use std::sync::Arc;

use longcable_core::data::{BATCH, Incoming};
use longcable_core::error::Discard;
use longcable_core::event::Address;
use longcable_core::options::LinkConfig;
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use nix::errno::Errno;

use super::{BURST, BURST_LEN, Complaint, Engine, EventLoop, RECEIVED_MAX, apart, complain};
use crate::link::udp::{LinkError, Received};
use crate::log::{self, Burst, Omitted};
use crate::offload::coalesce::Coalescer;
use crate::tls::TlsStack;
use crate::tun::{Tun, TunError};

impl<S: TlsStack> EventLoop<'_, S> {
    /// Moves what waits in the socket.
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
        let (engine, complaints) = (&mut self.gateway, &mut self.complaints);
        let tun = self.tunnel.tun().map(Arc::as_ref);
        let mut arrival = Arrival { engine, config: self.config, complaints, now, tun, device_gone: false };
        let (whole, mut free) = (self.incoming.len(), &mut *self.incoming);
        let mut packets = None;
        let mut received_all = false;
        for nth in 0..BURST {
            let (received, each) = apart(arrival.engine, now, || socket.receive_batch(free));
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
            packets.drain(|parts| arrival.write(|| tun.write_super(parts)));
        }
        self.device_gone |= arrival.device_gone;
        (!received_all && received > 0).then_some(received)
    }
}

/// What datagrams need on their way to the device.
struct Arrival<'a, 'c, P: Platform> {
    engine: &'a mut Engine<'c, P>,
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
            self.engine.open_batch(self.now, from, &mut slots[..count]);
            for (opened, first_byte) in slots.into_iter().zip(first_bytes).take(count) {
                self.deliver(opened, first_byte, from, packets);
            }
        }
    }

    /// Opens a datagram.
    fn pass<'b>(&mut self, datagram: &'b mut [u8], from: SocketAddr, packets: &mut Option<Coalescer<'b>>) {
        log::traffic('R');
        let first_byte = datagram.first().copied();
        let opened = self.engine.handle_datagram(self.now, from, datagram);
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
        let Some(waiting) = packets else { return self.write(|| tun.write(packet)) };
        if let Err(packet) = waiting.push(packet) {
            let full = replace(waiting, Coalescer::new(tun.offloads().is_some_and(|offloads| offloads.uso)));
            full.drain(|parts| self.write(|| tun.write_super(parts)));
            // An empty one has room.
            let _ = waiting.push(packet);
        }
    }

    fn discarded(&mut self, discard: Discard, first_byte: Option<u8>, from: SocketAddr) {
        if matches!(discard, Discard::Replay { .. }) && self.config.mute_replay_warnings {
            return;
        }
        complain(self.complaints, self.now, Complaint::Discarded(discriminant(&discard)), |more| {
            say_discarded(discard, from, self.engine.peer().address(), more);
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

    fn write(&mut self, write: impl FnOnce() -> Result<(), TunError>) {
        if let Err(error) = apart(self.engine, self.now, write) {
            self.device_gone |= error.is_gone();
            complain(self.complaints, self.now, Complaint::Device, |omitted| {
                log::warning(format_args!("{error}{omitted}"));
            });
        }
    }
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
