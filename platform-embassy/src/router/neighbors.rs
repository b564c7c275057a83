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
    let ArpRepr::EthernetIpv4 { operation, source_hardware_addr, source_protocol_addr, target_protocol_addr, .. } =
        ArpRepr::parse(&ArpPacket::new_checked(packet).ok()?).ok()?
    else {
        return None;
    };
    let own = lan.ipv4?.address();
    Some(Claim {
        address: source_protocol_addr.into(),
        mac: source_hardware_addr,
        to_us: operation == ArpOperation::Request && target_protocol_addr == own,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::samples::lan;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OWN_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
    const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 7]);
    const HOST: IpAddress = IpAddress::v4(192, 168, 1, 7);
    const HOST6: IpAddress = IpAddress::v6(0xfd00, 1, 0, 0, 0, 0, 0, 7);

    type Two = Neighbors<2, 100>;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn packet(next_hop: IpAddress, content: u8) -> Packet<100> {
        let mut packet = Packet::new();
        packet.next_hop = next_hop;
        packet.fill(|bytes| {
            bytes[0] = content;
            Some(1)
        });
        packet
    }

    fn arp(operation: ArpOperation, sender: IpAddress, mac: EthernetAddress, target: IpAddress) -> Vec<u8> {
        let (IpAddress::Ipv4(sender), IpAddress::Ipv4(target)) = (sender, target) else { panic!() };
        let repr = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: mac,
            source_protocol_addr: sender,
            target_hardware_addr: OWN_MAC,
            target_protocol_addr: target,
        };
        let mut frame = std::vec![0; 42];
        let body = write_ethernet(&mut frame, mac, OWN_MAC, EthernetProtocol::Arp).unwrap();
        repr.emit(&mut ArpPacket::new_unchecked(body));
        frame
    }

    fn answer(sender: IpAddress) -> Vec<u8> {
        arp(ArpOperation::Reply, sender, MAC, IpAddress::v4(192, 168, 1, 1))
    }

    fn advertisement(of: IpAddress, options: &[u8]) -> Vec<u8> {
        let IpAddress::Ipv6(of) = of else { panic!() };
        let own: Ipv6Address = "fd00:1::1".parse().unwrap();
        let mut icmp = [[136, 0, 0, 0, 0x60, 0, 0, 0].as_slice(), &of.octets(), options].concat();
        Icmpv6Packet::new_unchecked(&mut icmp).fill_checksum(&of, &own);
        let mut frame = std::vec![0; 54];
        let body = write_ethernet(&mut frame, MAC, OWN_MAC, EthernetProtocol::Ipv6).unwrap();
        let ip = Ipv6Repr {
            src_addr: of,
            dst_addr: own,
            next_header: IpProtocol::Icmpv6,
            payload_len: icmp.len(),
            hop_limit: 255,
        };
        ip.emit(&mut Ipv6Packet::new_unchecked(body));
        frame.extend_from_slice(&icmp);
        frame
    }

    #[test]
    fn asks_and_sends_the_newest_packet() {
        let mut neighbors = Two::new();
        assert_eq!(neighbors.resolve(at(0), HOST), None);
        assert!(neighbors.wait(at(0), &packet(HOST, 1)));
        assert_eq!(neighbors.work(at(0)), Some(Work::Ask(HOST)));
        neighbors.asked(at(0), HOST);
        assert_eq!((neighbors.work(at(0)), neighbors.next_work()), (None, Some(at(1000))));
        assert!(neighbors.wait(at(500), &packet(HOST, 2)));
        assert_eq!(neighbors.work(at(500)), None, "a second packet asks nothing");
        neighbors.observe(at(600), &lan(), &answer(HOST));
        assert_eq!(neighbors.work(at(600)), Some(Work::Send(0, MAC)));
        assert_eq!(neighbors.packet(0).unwrap().bytes(), [2]);
        neighbors.release(0);
        assert_eq!((neighbors.work(at(600)), neighbors.next_work()), (None, None));
        assert_eq!(neighbors.resolve(at(600), HOST), Some(MAC));
    }

    #[test]
    fn gives_up() {
        let mut neighbors = Two::new();
        neighbors.wait(at(0), &packet(HOST, 1));
        for second in 0..3 {
            assert_eq!(neighbors.work(at(second * 1000)), Some(Work::Ask(HOST)));
            neighbors.asked(at(second * 1000), HOST);
        }
        assert_eq!(neighbors.work(at(2999)), None);
        assert_eq!(neighbors.work(at(3000)), Some(Work::GiveUp(0)));
        assert_eq!(neighbors.packet(0).unwrap().next_hop, HOST);
        neighbors.release(0);
        assert_eq!(neighbors.next_work(), None);
    }

    #[test]
    fn looks_for_so_many_at_a_time() {
        let mut neighbors = Two::new();
        let host = |n| IpAddress::v4(192, 168, 1, n);
        assert!(neighbors.wait(at(0), &packet(host(7), 1)) && neighbors.wait(at(0), &packet(host(8), 1)));
        assert!(!neighbors.wait(at(0), &packet(host(9), 1)));
        assert!(neighbors.wait(at(0), &packet(host(8), 1)));
        neighbors.observe(at(1), &lan(), &answer(host(8)));
        assert_eq!(neighbors.work(at(1)), Some(Work::Ask(host(7))));
        neighbors.asked(at(1), host(7));
        assert_eq!(neighbors.work(at(1)), Some(Work::Send(1, MAC)));
        neighbors.release(1);
        assert!(neighbors.wait(at(1), &packet(host(9), 1)));
    }

    #[test]
    fn refreshes_what_is_needed_and_forgets_the_rest() {
        let mut neighbors = Two::new();
        neighbors.wait(at(0), &packet(HOST, 1));
        neighbors.observe(at(0), &lan(), &answer(HOST));
        neighbors.release(0);
        assert!(neighbors.resolve(at(45_000), HOST).is_some() && neighbors.work(at(45_000)).is_none());
        assert!(neighbors.resolve(at(45_001), HOST).is_some());
        assert_eq!(neighbors.work(at(45_001)), Some(Work::Ask(HOST)));
        neighbors.asked(at(45_001), HOST);
        assert!(neighbors.resolve(at(45_500), HOST).is_some() && neighbors.work(at(45_500)).is_none());
        neighbors.observe(at(46_000), &lan(), &answer(HOST));
        assert_eq!(neighbors.next_work(), None);
        assert!(neighbors.resolve(at(90_000), HOST).is_some(), "the answer counts anew");
        assert!(neighbors.resolve(at(106_000), HOST).is_none(), "60 s after the last answer");
        assert_eq!(neighbors.work(at(106_000)), None, "a question that nobody needs any more");
    }

    #[test]
    fn believes_only_what_concerns_it() {
        let mut neighbors = Two::new();
        let unasked = answer(HOST)[..38].iter().copied().chain([192, 168, 1, 99]).collect::<Vec<_>>();
        neighbors.observe(at(0), &lan(), &unasked);
        assert_eq!(neighbors.resolve(at(0), HOST), None, "talk among others");
        neighbors.observe(at(0), &lan(), &answer(HOST));
        assert_eq!(neighbors.resolve(at(0), HOST), None, "an answer to no question");
        let own = IpAddress::v4(192, 168, 1, 1);
        let group = EthernetAddress([1, 0, 0, 0, 0, 7]);
        for (sender, mac) in [(own, MAC), (IpAddress::v4(10, 20, 0, 1), MAC), (HOST, group)] {
            neighbors.observe(at(0), &lan(), &arp(ArpOperation::Request, sender, mac, own));
            assert_eq!(neighbors.resolve(at(0), sender), None);
        }
        neighbors.observe(at(0), &lan(), &arp(ArpOperation::Request, HOST, MAC, own));
        assert_eq!(neighbors.resolve(at(0), HOST), Some(MAC), "who asks for the board will be spoken to");
        // The cache is full: the oldest goes.
        for n in 100..116 {
            let host = IpAddress::v4(192, 168, 1, n);
            neighbors.observe(at(n.into()), &lan(), &arp(ArpOperation::Request, host, MAC, own));
            assert!(neighbors.resolve(at(n.into()), host).is_some());
        }
        assert_eq!(neighbors.resolve(at(200), HOST), None);
    }

    #[test]
    fn neighbor_discovery() {
        let mut neighbors = Two::new();
        let mac_option = [2, 1, 2, 0, 0, 0, 0, 7];
        neighbors.wait(at(0), &packet(HOST6, 1));
        let good = advertisement(HOST6, &mac_option);
        let bad = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut frame = good.clone();
            change(&mut frame);
            frame
        };
        for frame in [
            bad(&|f| f[21] = 254),
            bad(&|f| f[57] ^= 1),
            bad(&|f| f[20] = 17),
            bad(&|f| f[14] = 0x40),
            advertisement(HOST6, &[]),
            advertisement(HOST6, &[2, 0, 2, 0, 0, 0, 0, 7]),
            advertisement(HOST6, &[2, 2, 2, 0, 0, 0, 0, 7]),
            advertisement(HOST6, &[1, 1, 2, 0, 0, 0, 0, 7]),
        ] {
            neighbors.observe(at(0), &lan(), &frame);
            assert_eq!(neighbors.work(at(0)), Some(Work::Ask(HOST6)));
        }
        for len in 0..good.len() {
            neighbors.observe(at(0), &lan(), &good[..len]);
        }
        assert_eq!(neighbors.resolve(at(0), HOST6), None);
        let behind_another = [[14, 1, 0, 0, 0, 0, 0, 0].as_slice(), &mac_option].concat();
        neighbors.observe(at(0), &lan(), &advertisement(HOST6, &behind_another));
        assert_eq!(neighbors.work(at(0)), Some(Work::Send(0, MAC)));

        // A gateway by its link-local address.
        let gateway: IpAddress = "fe80::1".parse().unwrap();
        neighbors.wait(at(0), &packet(gateway, 1));
        neighbors.observe(at(0), &lan(), &advertisement(gateway, &mac_option));
        assert_eq!(neighbors.resolve(at(0), gateway), Some(MAC));
    }

    #[test]
    fn another_router_understands_the_questions() {
        let (mut out, asker) = ([0; QUESTION_MAX], EthernetAddress([2, 0, 0, 0, 0, 9]));
        let mut other = Two::new();
        // The one who is asked learns who asks.
        let asked = |address: &str| match address.parse().unwrap() {
            IpAddress::Ipv4(_) => Lan { ipv4: Some(std::format!("{address}/24").parse().unwrap()), ..lan() },
            IpAddress::Ipv6(_) => Lan { ipv6: Some(std::format!("{address}/64").parse().unwrap()), ..lan() },
        };
        for target in ["192.168.1.7", "fd00:1::7"] {
            let len = write_question(&lan(), asker, target.parse().unwrap(), &mut out).unwrap();
            other.observe(at(0), &asked(target), &out[..len]);
        }
        for known in ["192.168.1.1", "fd00:1::1"] {
            assert_eq!(other.resolve(at(0), known.parse().unwrap()), Some(asker));
        }
        assert_eq!(write_question(&Lan::default(), asker, HOST, &mut out), None);
    }

    proptest! {
        #[test]
        fn frames_of_all_kinds(kind in 0..3, random in proptest::collection::vec(any::<u8>(), 0..120), len in 0..120_usize) {
            let mut frame = match kind {
                0 => answer(HOST),
                1 => advertisement(HOST6, &random),
                _ => random.clone(),
            };
            frame.truncate(len);
            if let [byte, at, ..] = random[..]
                && let Some(place) = frame.get_mut(usize::from(at))
            {
                *place = byte;
            }
            let mut neighbors = Two::new();
            neighbors.wait(Instant::from_millis(0), &packet(HOST6, 1));
            neighbors.observe(Instant::from_millis(0), &lan(), &frame);
        }
    }
}
