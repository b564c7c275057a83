//! Who has which address on the Ethernet: ARP (RFC 826) and its IPv6 equivalent (RFC 4861), as far as a router asks.
//!
//! The board's own stack answers the questions of others, and keeps a cache of its own.

use heapless::Vec;
use longcable_core::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Message, Icmpv6Packet,
    IpAddress, IpProtocol, Ipv4Address, Ipv6Address, Ipv6Packet, Ipv6Repr,
};

use super::packet::Packet;
use super::table::Lan;

/// How many neighbors are remembered.
const KNOWN_MAX: usize = 16;

/// How long an answer is believed.
const LIFETIME: Duration = Duration::from_secs(60);

/// How long before its end an answer is asked for again, if it is still needed.
const REFRESH: Duration = Duration::from_secs(15);

/// Between two questions about the same neighbor.
const RETRY: Duration = Duration::from_secs(1);

/// After so many questions the neighbor counts as absent.
const QUESTIONS_MAX: u8 = 3;

/// Bytes of the longest question, with its Ethernet header.
pub(crate) const QUESTION_MAX: usize = 14 + 40 + 32;

/// The neighbors that are known, and those being looked for, each with the newest packet for it.
pub(crate) struct Neighbors<const PENDING: usize, const MTU: usize> {
    known: Vec<Known, KNOWN_MAX>,
    pending: [Pending<MTU>; PENDING],
}

/// What has to be done. Each calls for the method that says it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Ask for this address: [`Neighbors::asked`].
    Ask(IpAddress),
    /// Send the packet in this place: [`Neighbors::packet`], then [`Neighbors::release`].
    Send(usize, EthernetAddress),
    /// Refuse the packet in this place: as above.
    GiveUp(usize),
}

#[derive(Clone, Copy)]
struct Known {
    address: IpAddress,
    mac: EthernetAddress,
    until: Instant,
    /// It is still needed and about to expire; not to be asked before this moment.
    refresh: Option<Instant>,
}

struct Pending<const MTU: usize> {
    state: State,
    packet: Packet<MTU>,
}

#[derive(Clone, Copy)]
enum State {
    Free,
    /// So many questions have been asked; the next is due at that moment.
    Asking {
        address: IpAddress,
        questions: u8,
        next: Instant,
    },
    Answered {
        mac: EthernetAddress,
    },
}

impl<const PENDING: usize, const MTU: usize> Neighbors<PENDING, MTU> {
    pub(crate) const fn new() -> Self {
        Self { known: Vec::new(), pending: [const { Pending { state: State::Free, packet: Packet::new() } }; PENDING] }
    }

    /// The hardware address of a neighbor, if it is known.
    pub(crate) fn resolve(&mut self, now: Instant, address: IpAddress) -> Option<EthernetAddress> {
        let known = self.known.iter_mut().find(|known| known.address == address && known.until > now)?;
        if known.until.since(now) < REFRESH && known.refresh.is_none() {
            known.refresh = Some(now);
        }
        Some(known.mac)
    }

    /// Keeps a packet until its neighbor has answered. It takes the place of an older one for the same neighbor.
    /// Returns whether there was room.
    pub(crate) fn wait(&mut self, now: Instant, packet: &Packet<MTU>) -> bool {
        let is_asked = |pending: &&mut Pending<MTU>| matches!(pending.state, State::Asking { address, .. } if address == packet.next_hop);
        if let Some(pending) = self.pending.iter_mut().find(is_asked) {
            pending.packet.copy_from(packet);
            return true;
        }
        let Some(pending) = self.pending.iter_mut().find(|pending| matches!(pending.state, State::Free)) else {
            return false;
        };
        pending.state = State::Asking { address: packet.next_hop, questions: 0, next: now };
        pending.packet.copy_from(packet);
        true
    }

    /// The next thing to do now.
    pub(crate) fn work(&self, now: Instant) -> Option<Work> {
        let of_pending = |(place, pending): (usize, &Pending<MTU>)| match pending.state {
            State::Free => None,
            State::Answered { mac } => Some(Work::Send(place, mac)),
            State::Asking { next, .. } if next > now => None,
            State::Asking { questions, .. } if questions >= QUESTIONS_MAX => Some(Work::GiveUp(place)),
            State::Asking { address, .. } => Some(Work::Ask(address)),
        };
        let refresh = |known: &Known| known.refresh.is_some_and(|at| at <= now && known.until > now);
        self.pending
            .iter()
            .enumerate()
            .find_map(of_pending)
            .or_else(|| self.known.iter().find(|known| refresh(known)).map(|known| Work::Ask(known.address)))
    }

    /// The question about this address has been asked.
    pub(crate) fn asked(&mut self, now: Instant, about: IpAddress) {
        for pending in &mut self.pending {
            if let State::Asking { address, questions, next } = &mut pending.state
                && *address == about
            {
                *questions = questions.saturating_add(1);
                *next = now + RETRY;
            }
        }
        for known in &mut self.known {
            if known.address == about && known.refresh.is_some() {
                known.refresh = Some(now + RETRY);
            }
        }
    }

    /// The packet in this place, with the address it goes to.
    pub(crate) fn packet(&mut self, place: usize) -> Option<&mut Packet<MTU>> {
        self.pending.get_mut(place).map(|pending| &mut pending.packet)
    }

    /// The packet in this place has been dealt with.
    pub(crate) fn release(&mut self, place: usize) {
        if let Some(pending) = self.pending.get_mut(place) {
            pending.state = State::Free;
        }
    }

    /// When there may be work again, if nothing else happens.
    pub(crate) fn next_work(&self) -> Option<Instant> {
        let asking = self.pending.iter().filter_map(|pending| match pending.state {
            State::Asking { next, .. } => Some(next),
            State::Free | State::Answered { .. } => None,
        });
        let refreshing = self.known.iter().filter_map(|known| known.refresh.filter(|at| *at < known.until));
        asking.chain(refreshing).min()
    }

    /// Learns from a frame that came in, if it says who has an address.
    pub(crate) fn observe(&mut self, now: Instant, lan: &Lan, frame: &[u8]) {
        let Ok(frame) = EthernetFrame::new_checked(frame) else { return };
        let claim = match frame.ethertype() {
            EthernetProtocol::Arp => arp_claim(lan, frame.payload()),
            EthernetProtocol::Ipv6 => ndp_claim(lan, frame.payload()),
            _ => None,
        };
        if let Some(claim) = claim {
            self.learn(now, lan, claim);
        }
    }

    fn learn(&mut self, now: Instant, lan: &Lan, Claim { address, mac, to_us }: Claim) {
        let link_local = matches!(address, IpAddress::Ipv6(address) if address.is_unicast_link_local());
        let is_own = lan.ipv4.is_some_and(|own| IpAddress::from(own.address()) == address)
            || lan.ipv6.is_some_and(|own| IpAddress::from(own.address()) == address);
        if is_own || !mac.is_unicast() || !(link_local || lan.contains(address)) {
            return;
        }
        let mut wanted = false;
        for pending in &mut self.pending {
            if matches!(pending.state, State::Asking { address: asked, .. } if asked == address) {
                pending.state = State::Answered { mac };
                wanted = true;
            }
        }
        let news = Known { address, mac, until: now + LIFETIME, refresh: None };
        if let Some(known) = self.known.iter_mut().find(|known| known.address == address) {
            *known = news;
        } else if (wanted || to_us)
            && let Err(news) = self.known.push(news)
            && let Some(oldest) = self.known.iter_mut().min_by_key(|known| known.until)
        {
            *oldest = news;
        }
    }
}

/// A neighbor says that it has an address.
struct Claim {
    address: IpAddress,
    mac: EthernetAddress,
    /// It speaks to the board, and so is likely to be spoken to.
    to_us: bool,
}

fn arp_claim(lan: &Lan, packet: &[u8]) -> Option<Claim> {
    let ArpRepr::EthernetIpv4 { source_hardware_addr, source_protocol_addr, target_protocol_addr, .. } =
        ArpRepr::parse(&ArpPacket::new_checked(packet).ok()?).ok()?
    else {
        return None;
    };
    let own = lan.ipv4?.address();
    Some(Claim { address: source_protocol_addr.into(), mac: source_hardware_addr, to_us: target_protocol_addr == own })
}

const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const OPTION_SOURCE_MAC: u8 = 1;
const OPTION_TARGET_MAC: u8 = 2;
/// Of a packet that no router has touched.
const NDP_HOP_LIMIT: u8 = 255;
/// Bytes before the options.
const NDP_HEADER: usize = 24;

fn ndp_claim(lan: &Lan, packet: &[u8]) -> Option<Claim> {
    let ip = Ipv6Packet::new_checked(packet).ok()?;
    let body = ip.payload();
    if ip.version() != 6 || ip.next_header() != IpProtocol::Icmpv6 || ip.hop_limit() != NDP_HOP_LIMIT {
        return None;
    }
    let (header, options) = body.split_at_checked(NDP_HEADER)?;
    let target: [u8; 16] = header.get(8..)?.try_into().ok()?;
    let target = Ipv6Address::from(target);
    let (address, option) = match *header.first()? {
        NEIGHBOR_SOLICITATION => (ip.src_addr(), OPTION_SOURCE_MAC),
        NEIGHBOR_ADVERTISEMENT => (target, OPTION_TARGET_MAC),
        _ => return None,
    };
    let mac = mac_option(options, option)?;
    if !Icmpv6Packet::new_unchecked(body).verify_checksum(&ip.src_addr(), &ip.dst_addr()) {
        return None;
    }
    let to_us = option == OPTION_SOURCE_MAC && lan.ipv6.is_some_and(|own| own.address() == target);
    Some(Claim { address: address.into(), mac, to_us })
}

fn mac_option(mut options: &[u8], wanted: u8) -> Option<EthernetAddress> {
    loop {
        let (kind, len) = (options.first()?, usize::from(*options.get(1)?).checked_mul(8)?);
        if len == 0 {
            return None;
        }
        let option = options.get(..len)?;
        if *kind == wanted {
            return Some(EthernetAddress(option.get(2..8)?.try_into().ok()?));
        }
        options = options.get(len..)?;
    }
}

/// Writes the frame that asks who has `target`, and returns its length. `None` if the board has no address to ask with.
pub(crate) fn write_question(
    lan: &Lan,
    own_mac: EthernetAddress,
    target: IpAddress,
    out: &mut [u8; QUESTION_MAX],
) -> Option<usize> {
    match target {
        IpAddress::Ipv4(target) => write_arp(lan.ipv4?.address(), own_mac, target, out),
        IpAddress::Ipv6(target) => write_solicitation(lan.ipv6?.address(), own_mac, target, out),
    }
}

/// Writes an Ethernet header and returns what is behind it.
pub(crate) fn write_ethernet(
    frame: &mut [u8],
    from: EthernetAddress,
    to: EthernetAddress,
    protocol: EthernetProtocol,
) -> Option<&mut [u8]> {
    let mut ethernet = EthernetFrame::new_checked(&mut *frame).ok()?;
    ethernet.set_src_addr(from);
    ethernet.set_dst_addr(to);
    ethernet.set_ethertype(protocol);
    frame.get_mut(EthernetFrame::<&[u8]>::header_len()..)
}

fn write_arp(own: Ipv4Address, own_mac: EthernetAddress, target: Ipv4Address, out: &mut [u8]) -> Option<usize> {
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: own_mac,
        source_protocol_addr: own,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let len = EthernetFrame::<&[u8]>::header_len().checked_add(arp.buffer_len())?;
    let body = write_ethernet(out.get_mut(..len)?, own_mac, EthernetAddress::BROADCAST, EthernetProtocol::Arp)?;
    arp.emit(&mut ArpPacket::new_unchecked(body));
    Some(len)
}

fn write_solicitation(
    own: Ipv6Address,
    own_mac: EthernetAddress,
    target: Ipv6Address,
    out: &mut [u8],
) -> Option<usize> {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Address::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let group_mac = EthernetAddress([0x33, 0x33, 0xff, a, b, c]);
    let body = write_ethernet(out, own_mac, group_mac, EthernetProtocol::Ipv6)?;
    let ip = Ipv6Repr {
        src_addr: own,
        dst_addr: group,
        next_header: IpProtocol::Icmpv6,
        payload_len: const { NDP_HEADER + 8 },
        hop_limit: NDP_HOP_LIMIT,
    };
    ip.emit(&mut Ipv6Packet::new_unchecked(&mut *body));
    let icmp = body.get_mut(ip.buffer_len()..)?;
    icmp.fill(0);
    icmp.get_mut(8..NDP_HEADER)?.copy_from_slice(&target.octets());
    let EthernetAddress([a, b, c, d, e, f]) = own_mac;
    icmp.get_mut(NDP_HEADER..)?.copy_from_slice(&[OPTION_SOURCE_MAC, 1, a, b, c, d, e, f]);
    let mut icmp = Icmpv6Packet::new_unchecked(icmp);
    icmp.set_msg_type(Icmpv6Message::NeighborSolicit);
    icmp.fill_checksum(&own, &group);
    Some(QUESTION_MAX)
}
