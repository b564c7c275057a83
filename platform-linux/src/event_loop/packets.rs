//! Packets between the socket and the tunnel, a burst at a time.

use std::mem::discriminant;
use std::net::SocketAddr;

use longcable_core::error::{Discard, NotReady};
use longcable_core::event::Address;
use longcable_core::packet::{HEADROOM, PacketBuf};
use longcable_core::peer::Sealed;
use longcable_core::time::Instant;
use nix::errno::Errno;

use super::{Complaint, EventLoop, PACKET_MAX, complain};
use crate::link::udp::{Received, SendOutcome, UdpLink};
use crate::log::{self, Burst, Omitted};
use crate::tls::TlsStack;

/// Packets that one direction may move before the other gets its turn.
const BURST: usize = 64;

impl<S: TlsStack> EventLoop<'_, S> {
    /// Network to tunnel.
    pub(super) fn receive(&mut self) {
        let Some(socket) = &self.socket else { return };
        let now = self.now();
        for _ in 0..BURST {
            let (length, from) = match socket.receive(&mut self.buffer) {
                Received::Datagram { length, from } => (length, from),
                Received::WouldBlock => break,
                Received::Failed(error) => {
                    complain(&mut self.complaints, now, Complaint::Socket(error.errno), |omitted| {
                        log::error(format_args!("{error}{omitted}"));
                        if error.errno == Errno::ECONNREFUSED {
                            say_refused(error.destination);
                        }
                    });
                    continue;
                }
            };
            log::traffic('R');
            let Some(datagram) = self.buffer.get_mut(..length) else { break };
            let first_byte = datagram.first().copied();
            match self.gateway.handle_datagram(now, from, datagram) {
                Ok(Some(packet)) => {
                    let Some(tun) = self.tunnel.tun() else { continue };
                    log::traffic('w');
                    if let Err(error) = tun.write(packet) {
                        self.device_gone |= error.is_gone();
                        complain(&mut self.complaints, now, Complaint::Device, |omitted| {
                            log::warning(format_args!("{error}{omitted}"));
                        });
                    }
                }
                Ok(None) => {}
                Err(Discard::Replay { .. }) if self.config.mute_replay_warnings => {}
                Err(discard) => {
                    complain(&mut self.complaints, now, Complaint::Discarded(discriminant(&discard)), |more| {
                        say_discarded(discard, from, self.gateway.peer().address(), more);
                        if let Some(hint) = discard.hint(self.config, first_byte) {
                            log::error(format_args!("{hint} (datagram from {})", Address(from)));
                        }
                    })
                }
            }
        }
    }

    /// Tunnel to network.
    pub(super) fn transmit(&mut self) {
        let Some(tun) = self.tunnel.tun() else { return };
        let now = self.now();
        for _ in 0..BURST {
            let Some(room) = self.buffer.get_mut(HEADROOM..HEADROOM + PACKET_MAX) else { return };
            let len = match tun.read(room) {
                Ok(Some(len)) => len,
                Ok(None) => return,
                Err(error) => {
                    self.device_gone |= error.is_gone();
                    complain(&mut self.complaints, now, Complaint::Device, |omitted| {
                        log::warning(format_args!("{error}{omitted}"));
                    });
                    return;
                }
            };
            log::traffic('r');
            let Some(packet) = PacketBuf::new(&mut self.buffer, HEADROOM, len) else { return };
            let tos = if self.host.passtos { type_of_service(packet.as_slice()) } else { None };
            match self.gateway.seal(now, packet) {
                Ok(sealed) => {
                    let Some(socket) = &self.socket else { continue };
                    // A kernel that refuses the type of service still sends the packet.
                    let _ = tos.map(|tos| socket.set_tos(tos));
                    send(socket, &sealed, now, &mut self.complaints);
                }
                // Before the peer is known there is nothing to say about each packet.
                Err(NotReady::NoPeer | NotReady::Down) => {}
                Err(reason @ NotReady::Negotiating) => {
                    complain(&mut self.complaints, now, Complaint::NotSealed(reason), |omitted| {
                        log::line(4, format_args!("{reason}{omitted}"));
                    });
                }
                Err(reason) => complain(&mut self.complaints, now, Complaint::NotSealed(reason), |omitted| {
                    log::warning(format_args!("{reason}{omitted}"));
                }),
            }
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
        SendOutcome::WouldBlock => complain(complaints, now, Complaint::Socket(Errno::EAGAIN), |omitted| {
            log::warning(format_args!("write: the send buffer is full, packets are dropped{omitted}"));
        }),
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

/// The type of service of an IPv4 packet, the traffic class of an IPv6 packet.
fn type_of_service(packet: &[u8]) -> Option<u8> {
    match packet {
        [first, second, ..] if first >> 4 == 6 => Some(first << 4 | second >> 4),
        [_, second, ..] => Some(*second),
        _ => None,
    }
}
