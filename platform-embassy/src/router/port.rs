//! The wrapped drivers. Forwarded packets leave whenever the stack asks its driver for a packet, which it does as often
//! as it is woken; so the queues and clocks wake it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::zerocopy_channel::{Receiver, Sender};
use embassy_time::Timer;
use longcable_core::time::Instant;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress};

use super::Shared;
use super::forward::{Fragments, Refusal, Verdict};
use super::icmp::{self, ERROR_MAX};
use super::neighbors::{Neighbors, QUESTION_MAX, Work, write_ethernet, write_question};
use super::packet::Packet;
use super::table::Side;

/// Bytes before the packet in an Ethernet frame.
pub(super) const ETHERNET_HEADER: usize = 14;

type Inlet<'a, const MTU: usize> = Sender<'a, CriticalSectionRawMutex, Packet<MTU>>;
type Outlet<'a, const MTU: usize> = Receiver<'a, CriticalSectionRawMutex, Packet<MTU>>;

/// The Ethernet, as the first stack sees it.
pub struct LanPort<'a, D, const MTU: usize, const PENDING: usize> {
    driver: D,
    lan: LanSide<'a, MTU, PENDING>,
}

/// The tunnel, as the second stack sees it.
pub struct TunnelPort<'a, D, const MTU: usize> {
    driver: D,
    exchange: Exchange<'a, MTU>,
    from_lan: Outlet<'a, MTU>,
}

/// A received frame, which the stack finds empty if the router has taken it.
pub struct LanFrame<'t, 'a, R, const MTU: usize, const PENDING: usize> {
    token: R,
    /// Of the board, if the driver is an Ethernet.
    mac: Option<EthernetAddress>,
    lan: &'t mut LanSide<'a, MTU, PENDING>,
}

/// A received packet, which the stack finds empty if the router has taken it.
pub struct TunnelPacket<'t, 'a, R, const MTU: usize> {
    token: R,
    exchange: &'t mut Exchange<'a, MTU>,
}

/// What both ports do with packets for the other side.
pub(super) struct Exchange<'a, const MTU: usize> {
    side: Side,
    shared: &'a Shared,
    out: Inlet<'a, MTU>,
    out_capacity: usize,
    /// The error that goes back next.
    reply: &'a mut Packet<ERROR_MAX>,
}

struct LanSide<'a, const MTU: usize, const PENDING: usize> {
    exchange: Exchange<'a, MTU>,
    from_tunnel: Outlet<'a, MTU>,
    neighbors: &'a mut Neighbors<PENDING, MTU>,
    /// To whom the error goes.
    reply_to: EthernetAddress,
}

impl<'a, D: Driver, const MTU: usize, const PENDING: usize> LanPort<'a, D, MTU, PENDING> {
    pub(super) fn new(
        driver: D,
        exchange: Exchange<'a, MTU>,
        from_tunnel: Outlet<'a, MTU>,
        neighbors: &'a mut Neighbors<PENDING, MTU>,
    ) -> Self {
        let lan = LanSide { exchange, from_tunnel, neighbors, reply_to: EthernetAddress([0; 6]) };
        Self { driver, lan }
    }
}

impl<'a, D: Driver, const MTU: usize, const PENDING: usize> Driver for LanPort<'a, D, MTU, PENDING> {
    type RxToken<'t>
        = LanFrame<'t, 'a, D::RxToken<'t>, MTU, PENDING>
    where
        Self: 't;
    type TxToken<'t>
        = D::TxToken<'t>
    where
        Self: 't;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let mac = match self.driver.hardware_address() {
            HardwareAddress::Ethernet(mac) => Some(EthernetAddress(mac)),
            _ => None,
        };
        if let Some(mac) = mac {
            self.lan.send(cx, &mut self.driver, mac);
        }
        let (token, reply) = self.driver.receive(cx)?;
        Some((LanFrame { token, mac, lan: &mut self.lan }, reply))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Self::TxToken<'_>> {
        self.driver.transmit(cx)
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.driver.link_state(cx)
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.driver.hardware_address()
    }
}

impl<'a, D: Driver, const MTU: usize> TunnelPort<'a, D, MTU> {
    pub(super) fn new(driver: D, exchange: Exchange<'a, MTU>, from_lan: Outlet<'a, MTU>) -> Self {
        Self { driver, exchange, from_lan }
    }

    /// Hands the tunnel what is for it, as far as it takes it.
    fn send(&mut self, cx: &mut Context<'_>) {
        if !self.exchange.reply.is_empty()
            && let Some(token) = self.driver.transmit(cx)
        {
            send_bytes(token, self.exchange.reply.bytes());
            self.exchange.reply.clear();
        }
        while let Poll::Ready(packet) = self.from_lan.poll_receive(cx) {
            let Some(token) = self.driver.transmit(cx) else { return };
            send_bytes(token, packet.bytes());
            self.from_lan.receive_done();
        }
    }
}

impl<'a, D: Driver, const MTU: usize> Driver for TunnelPort<'a, D, MTU> {
    type RxToken<'t>
        = TunnelPacket<'t, 'a, D::RxToken<'t>, MTU>
    where
        Self: 't;
    type TxToken<'t>
        = D::TxToken<'t>
    where
        Self: 't;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.send(cx);
        let (token, reply) = self.driver.receive(cx)?;
        Some((TunnelPacket { token, exchange: &mut self.exchange }, reply))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Self::TxToken<'_>> {
        self.driver.transmit(cx)
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        let state = self.driver.link_state(cx);
        self.exchange.shared.lock(|common| common.borrow_mut().table.tunnel_up = state == LinkState::Up);
        if state == LinkState::Down {
            // What was on its way is of no use to the next connection.
            while self.from_lan.try_receive().is_some() {
                self.from_lan.receive_done();
                self.exchange.count(Refusal::TunnelDown);
            }
            self.exchange.reply.clear();
        }
        state
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.driver.hardware_address()
    }
}

impl<R: RxToken, const MTU: usize, const PENDING: usize> RxToken for LanFrame<'_, '_, R, MTU, PENDING> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, f: F) -> T {
        let Self { token, mac, lan } = self;
        token.consume(|frame| {
            let is_taken = mac.is_some_and(|mac| lan.take(frame, mac));
            f(if is_taken { &mut [] } else { frame })
        })
    }
}

impl<R: RxToken, const MTU: usize> RxToken for TunnelPacket<'_, '_, R, MTU> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, f: F) -> T {
        let Self { token, exchange } = self;
        token.consume(|packet| {
            let is_taken = exchange.take(now(), packet);
            f(if is_taken { &mut [] } else { packet })
        })
    }
}

impl<'a, const MTU: usize> Exchange<'a, MTU> {
    pub(super) fn new(
        side: Side,
        shared: &'a Shared,
        out: Inlet<'a, MTU>,
        out_capacity: usize,
        reply: &'a mut Packet<ERROR_MAX>,
    ) -> Self {
        Self { side, shared, out, out_capacity, reply }
    }

    /// Forwards or refuses an IP packet that came in; `false` if it is for the stack.
    fn take(&mut self, now: Instant, packet: &mut [u8]) -> bool {
        let (verdict, mtu) = self.shared.lock(|common| {
            let table = &common.borrow().table;
            (table.judge(self.side, packet), table.mtu(self.side.other()))
        });
        match verdict {
            Verdict::Deliver => return false,
            Verdict::Forward { len, next_hop } => {
                if let Some(packet) = packet.get(..len)
                    && !self.forward(Fragments::new(packet, mtu), next_hop)
                {
                    self.count(Refusal::QueueFull);
                }
            }
            Verdict::Refuse { len, why } => {
                self.count(why);
                if let Some(packet) = packet.get(..len)
                    && self.reply.is_empty()
                {
                    let room = self.shared.lock(|common| common.borrow().table.mtu(self.side));
                    write_error(self.shared, now, self.side, why, packet, self.reply, room);
                }
            }
        }
        true
    }

    /// Queues the packet for the other side: all fragments or none.
    fn forward(&mut self, mut fragments: Fragments<'_>, next_hop: IpAddress) -> bool {
        let count = fragments.count();
        if count > self.out_capacity.saturating_sub(self.out.len()) {
            return false;
        }
        while let Some(place) = self.out.try_send() {
            if !place.fill(|bytes| fragments.write_next(bytes)) {
                break;
            }
            place.next_hop = next_hop;
            self.out.send_done();
        }
        self.shared.lock(|common| {
            let counters = &mut common.borrow_mut().counters;
            let forwarded = match self.side {
                Side::Lan => &mut counters.to_tunnel,
                Side::Tunnel => &mut counters.to_lan,
            };
            *forwarded = forwarded.wrapping_add(1);
            if count > 1 {
                counters.fragmented = counters.fragmented.wrapping_add(1);
            }
        });
        true
    }

    fn count(&self, why: Refusal) {
        self.shared.lock(|common| common.borrow_mut().count_refusal(why));
    }
}

impl<const MTU: usize, const PENDING: usize> LanSide<'_, MTU, PENDING> {
    /// Learns from a frame that came in, and takes it if it carries a packet for the other side.
    fn take(&mut self, frame: &mut [u8], mac: EthernetAddress) -> bool {
        let now = now();
        let Ok(mut ethernet) = EthernetFrame::new_checked(&mut *frame) else { return false };
        let from = ethernet.src_addr();
        let is_ip = matches!(ethernet.ethertype(), EthernetProtocol::Ipv4 | EthernetProtocol::Ipv6);
        // What comes for everybody is not forwarded (RFC 1812 section 5.3.4).
        let may_reply = self.exchange.reply.is_empty();
        if ethernet.dst_addr() == mac && is_ip && self.exchange.take(now, ethernet.payload_mut()) {
            if may_reply {
                self.reply_to = from;
            }
            return true;
        }
        let lan = self.exchange.shared.lock(|common| common.borrow().table.lan);
        self.neighbors.observe(now, &lan, frame);
        false
    }

    /// Sends what there is to send, and has the stack woken when there may be more.
    fn send(&mut self, cx: &mut Context<'_>, driver: &mut impl Driver, mac: EthernetAddress) {
        let now = now();
        // `None` is a driver that is busy; it wakes the stack too.
        while let Some(true) = self.send_one(now, cx, driver, mac) {}
        // What is due already waits for the driver.
        if let Some(at) = self.neighbors.next_work().filter(|at| *at > now) {
            let mut timer = Timer::at(embassy_time::Instant::from_millis(at.as_millis()));
            // Only for its waker: an answer may still come before.
            let _ = Pin::new(&mut timer).poll(cx);
        }
    }

    /// Does one thing and returns whether there was any; `None` if the driver is busy.
    fn send_one(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
        driver: &mut impl Driver,
        mac: EthernetAddress,
    ) -> Option<bool> {
        if !self.exchange.reply.is_empty() {
            send_frame(driver.transmit(cx)?, self.exchange.reply.bytes(), mac, self.reply_to);
            self.exchange.reply.clear();
            return Some(true);
        }
        match self.neighbors.work(now) {
            Some(Work::Ask(address)) => {
                let lan = self.exchange.shared.lock(|common| common.borrow().table.lan);
                let mut question = [0; QUESTION_MAX];
                if let Some(len) = write_question(&lan, mac, address, &mut question) {
                    send_bytes(driver.transmit(cx)?, question.get(..len).unwrap_or_default());
                }
                self.neighbors.asked(now, address);
                return Some(true);
            }
            Some(Work::Send(place, to)) => {
                if let Some(packet) = self.neighbors.packet(place) {
                    send_frame(driver.transmit(cx)?, packet.bytes(), mac, to);
                }
                self.neighbors.release(place);
                return Some(true);
            }
            Some(Work::GiveUp(place)) => {
                self.refuse_waiting(now, place);
                self.neighbors.release(place);
                return Some(true);
            }
            None => {}
        }
        let Poll::Ready(packet) = self.from_tunnel.poll_receive(cx) else { return Some(false) };
        match self.neighbors.resolve(now, packet.next_hop) {
            Some(to) => send_frame(driver.transmit(cx)?, packet.bytes(), mac, to),
            None => {
                if !self.neighbors.wait(now, packet) {
                    self.exchange.count(Refusal::NeighborsFull);
                }
            }
        }
        self.from_tunnel.receive_done();
        Some(true)
    }

    /// Tells a sender behind the tunnel that its packet cannot be delivered.
    fn refuse_waiting(&mut self, now: Instant, place: usize) {
        let Exchange { shared, out, .. } = &mut self.exchange;
        shared.lock(|common| common.borrow_mut().count_refusal(Refusal::NoNeighbor));
        if let Some(packet) = self.neighbors.packet(place)
            && let Some(error) = out.try_send()
        {
            let room = shared.lock(|common| common.borrow().table.tunnel_mtu);
            if write_error(shared, now, Side::Tunnel, Refusal::NoNeighbor, packet.bytes(), error, room) {
                out.send_done();
            }
        }
    }
}

/// Writes the ICMP error for a packet that came from `side`, if there is one to be sent.
fn write_error<const SIZE: usize>(
    shared: &Shared,
    now: Instant,
    side: Side,
    why: Refusal,
    packet: &[u8],
    error: &mut Packet<SIZE>,
    room: usize,
) -> bool {
    let Some(source) = icmp::source(packet) else { return false };
    shared.lock(|common| {
        let common = &mut *common.borrow_mut();
        let (Some(complaint), Some(own)) =
            (why.complaint(common.table.mtu(side.other())), common.table.own_address(side, source))
        else {
            return false;
        };
        if !icmp::may_be_answered(packet) || !common.limit.take(now) {
            return false;
        }
        let is_written = error.fill(|bytes| {
            let room = room.min(bytes.len());
            icmp::write_error(complaint, own, packet, bytes.get_mut(..room)?)
        });
        if is_written {
            common.counters.errors = common.counters.errors.wrapping_add(1);
        }
        is_written
    })
}

fn send_bytes(token: impl TxToken, bytes: &[u8]) {
    token.consume(bytes.len(), |buffer| buffer.copy_from_slice(bytes));
}

fn send_frame(token: impl TxToken, packet: &[u8], from: EthernetAddress, to: EthernetAddress) {
    let protocol = match packet.first().map(|first| first >> 4) {
        Some(6) => EthernetProtocol::Ipv6,
        _ => EthernetProtocol::Ipv4,
    };
    token.consume(packet.len().saturating_add(ETHERNET_HEADER), |frame| {
        if let Some(body) = write_ethernet(frame, from, to, protocol) {
            body.copy_from_slice(packet);
        }
    });
}

fn now() -> Instant {
    Instant::from_millis(embassy_time::Instant::now().as_millis())
}
