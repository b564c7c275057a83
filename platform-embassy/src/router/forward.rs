//! One packet, one decision (RFC 1812 section 5.2): whose it is, and what a router changes in it.

use longcable_core::wire::ip::clamp_mss;
use smoltcp::wire::{IpAddress, IpVersion, Ipv4Packet, Ipv6Packet};

use super::icmp::Complaint;
use super::table::{Route, Side, Table};

/// Bytes of an IPv4 and a TCP header without options.
const IPV4_TCP_HEADERS: usize = 40;

const IPV4_HEADER: usize = 20;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not for the router to forward: the board's own stack on this side gets it, unchanged.
    Deliver,
    /// It has been changed as a router must, and goes to the other side. Its first `len` bytes are the packet.
    Forward { len: usize, next_hop: IpAddress },
    /// It is dropped, unchanged. Its first `len` bytes are the packet.
    Refuse { len: usize, why: Refusal },
}

/// Why a packet is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// The checksum of its header is wrong.
    Damaged,
    /// Its source is no host: loopback, multicast, broadcast, link-local, reserved.
    Martian,
    /// Its source is on the other side.
    Spoofed,
    /// Its sender wants to choose the way.
    SourceRouted,
    /// It has travelled too far (answered: time exceeded).
    Expired,
    /// Nobody knows the way (answered: net unreachable).
    NoRoute,
    /// The tunnel is not up (answered: net unreachable).
    TunnelDown,
    /// It is for the board, but by its address on the other side (answered: host unreachable).
    OtherSide,
    /// It is longer than the next link allows and must not be fragmented (answered: the limit).
    TooBig,
    /// The queue to the other side is full.
    QueueFull,
    /// Too many neighbors are being looked for.
    NeighborsFull,
    /// The neighbor has not answered (answered: host unreachable).
    NoNeighbor,
}

impl Refusal {
    /// How many reasons there are.
    pub(crate) const COUNT: usize = Self::NoNeighbor as usize + 1;

    /// What the sender is told. `mtu` is that of the next link, in bytes.
    pub(crate) fn complaint(self, mtu: usize) -> Option<Complaint> {
        match self {
            Self::Expired => Some(Complaint::TimeExceeded),
            Self::NoRoute | Self::TunnelDown => Some(Complaint::NetUnreachable),
            Self::OtherSide | Self::NoNeighbor => Some(Complaint::HostUnreachable),
            Self::TooBig => Some(Complaint::TooBig(mtu)),
            Self::Damaged
            | Self::Martian
            | Self::Spoofed
            | Self::SourceRouted
            | Self::QueueFull
            | Self::NeighborsFull => None,
        }
    }
}

impl Table {
    /// The largest packet on one side, in bytes.
    pub(crate) fn mtu(&self, side: Side) -> usize {
        match side {
            Side::Lan => self.lan_mtu,
            Side::Tunnel => self.tunnel_mtu,
        }
    }

    /// Decides about a packet that came `from` one side; there may be padding behind it.
    pub(crate) fn judge(&self, from: Side, packet: &mut [u8]) -> Verdict {
        let Some(header) = Header::read(packet) else { return Verdict::Deliver };
        if !self.is_host(header.destination) {
            return Verdict::Deliver;
        }
        let next_hop = match (self.route(header.destination), from) {
            (Some(Route::Board(side)), _) if side == from => return Verdict::Deliver,
            (Some(Route::Lan(_)), Side::Lan) | (Some(Route::Tunnel), Side::Tunnel) => return Verdict::Deliver,
            // Without an address on the LAN, the board is still asking for one.
            (None, Side::Lan) if self.own_address(from, header.destination).is_none() => return Verdict::Deliver,
            (Some(Route::Board(_)), _) => Err(Refusal::OtherSide),
            (None, _) => Err(Refusal::NoRoute),
            (Some(Route::Lan(next_hop)), Side::Tunnel) => Ok(next_hop),
            (Some(Route::Tunnel), Side::Lan) => Ok(header.destination),
        };
        let len = header.len;
        let Some(packet) = packet.get_mut(..len) else { return Verdict::Deliver };
        match self
            .may_pass(from, &header)
            .and(next_hop)
            .and_then(|next_hop| self.fits(from, &header).map(|()| next_hop))
        {
            Ok(next_hop) => {
                header.count_hop(packet);
                let max = self.lan_mtu.min(self.tunnel_mtu).saturating_sub(IPV4_TCP_HEADERS);
                clamp_mss(packet, u16::try_from(max).unwrap_or(u16::MAX));
                Verdict::Forward { len, next_hop }
            }
            Err(why) => Verdict::Refuse { len, why },
        }
    }

    /// Whether the packet is what it should be, coming from there.
    fn may_pass(&self, from: Side, header: &Header) -> Result<(), Refusal> {
        if header.damaged {
            return Err(Refusal::Damaged);
        }
        if !self.is_host(header.source) {
            return Err(Refusal::Martian);
        }
        match (self.route(header.source), from) {
            (Some(Route::Lan(_)), Side::Lan) | (Some(Route::Tunnel), Side::Tunnel) => {}
            _ => return Err(Refusal::Spoofed),
        }
        if header.source_routed {
            return Err(Refusal::SourceRouted);
        }
        if header.hop_limit <= 1 {
            return Err(Refusal::Expired);
        }
        Ok(())
    }

    fn fits(&self, from: Side, header: &Header) -> Result<(), Refusal> {
        if from == Side::Lan && !self.tunnel_up {
            return Err(Refusal::TunnelDown);
        }
        let mtu = self.mtu(from.other());
        let may_be_cut = header.may_be_fragmented && header.header_len.saturating_add(8) <= mtu;
        if header.len > mtu && !may_be_cut { Err(Refusal::TooBig) } else { Ok(()) }
    }
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Lan => Self::Tunnel,
            Self::Tunnel => Self::Lan,
        }
    }
}

/// What a router looks at.
struct Header {
    source: IpAddress,
    destination: IpAddress,
    hop_limit: u8,
    header_len: usize,
    /// Of the whole packet.
    len: usize,
    damaged: bool,
    source_routed: bool,
    may_be_fragmented: bool,
}

impl Header {
    /// `None` if it cannot be understood.
    fn read(packet: &[u8]) -> Option<Self> {
        // `IpVersion::of_packet` reads the first byte unasked.
        packet.first()?;
        match IpVersion::of_packet(packet).ok()? {
            IpVersion::Ipv4 => {
                let ip = Ipv4Packet::new_checked(packet).ok()?;
                let header_len = usize::from(ip.header_len());
                let options = packet.get(IPV4_HEADER..header_len)?;
                Some(Self {
                    source: ip.src_addr().into(),
                    destination: ip.dst_addr().into(),
                    hop_limit: ip.hop_limit(),
                    header_len,
                    len: ip.total_len().into(),
                    damaged: !ip.verify_checksum(),
                    source_routed: is_source_routed(options),
                    may_be_fragmented: !ip.dont_frag(),
                })
            }
            IpVersion::Ipv6 => {
                let ip = Ipv6Packet::new_checked(packet).ok()?;
                Some(Self {
                    source: ip.src_addr().into(),
                    destination: ip.dst_addr().into(),
                    hop_limit: ip.hop_limit(),
                    header_len: ip.header_len(),
                    len: ip.total_len(),
                    damaged: false,
                    source_routed: false,
                    may_be_fragmented: false,
                })
            }
        }
    }

    /// Lowers the hop limit by one; the checksum follows (RFC 1624, equation 3).
    fn count_hop(&self, packet: &mut [u8]) {
        let hop_limit = self.hop_limit.saturating_sub(1);
        match self.destination {
            IpAddress::Ipv4(_) => {
                let mut ip = Ipv4Packet::new_unchecked(packet);
                let word = |hop_limit: u8| u16::from_be_bytes([hop_limit, 0]);
                let terms = [!ip.checksum(), !word(self.hop_limit), word(hop_limit)];
                let sum = terms.into_iter().fold(0_u32, |sum, term| sum.wrapping_add(term.into()));
                let folded = (sum & 0xffff).wrapping_add(sum >> 16);
                let folded = (folded & 0xffff).wrapping_add(folded >> 16);
                ip.set_checksum(!(folded as u16));
                ip.set_hop_limit(hop_limit);
            }
            IpAddress::Ipv6(_) => Ipv6Packet::new_unchecked(packet).set_hop_limit(hop_limit),
        }
    }
}

/// A packet in pieces that a link can carry: itself, or fragments of IPv4 (RFC 791 section 3.2).
pub(crate) struct Fragments<'a> {
    packet: &'a [u8],
    header_len: usize,
    /// How much payload a fragment has, in bytes; not less than all if none are needed.
    share: usize,
    /// How much payload has been written.
    done: usize,
}

impl<'a> Fragments<'a> {
    /// The pieces of a packet that [`Table::judge`] has let pass.
    pub(crate) fn new(packet: &'a [u8], mtu: usize) -> Self {
        let header_len = match Header::read(packet) {
            Some(header) if header.may_be_fragmented && packet.len() > mtu => header.header_len,
            _ => return Self { packet, header_len: 0, share: packet.len(), done: 0 },
        };
        let share = mtu.saturating_sub(header_len) & !7;
        Self { packet, header_len, share, done: 0 }
    }

    /// How many there are in all.
    pub(crate) fn count(&self) -> usize {
        self.packet.len().saturating_sub(self.header_len).div_ceil(self.share.max(1)).max(1)
    }

    /// Writes the next one and returns its length; `None` at the end, or if it has no room.
    pub(crate) fn write_next(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.done == self.packet.len() {
            return None;
        }
        if self.share >= self.packet.len() {
            self.done = self.packet.len();
            out.get_mut(..self.done)?.copy_from_slice(self.packet);
            return Some(self.done);
        }
        let (header, payload) = self.packet.split_at_checked(self.header_len)?;
        let rest = payload.get(self.done..).filter(|rest| !rest.is_empty())?;
        let piece = rest.get(..self.share.min(rest.len()))?;
        let is_last = piece.len() == rest.len();
        let len = header.len().checked_add(piece.len())?;
        let out = out.get_mut(..len)?;
        let (head, tail) = out.split_at_mut_checked(header.len())?;
        head.copy_from_slice(header);
        tail.copy_from_slice(piece);
        let options = head.get_mut(IPV4_HEADER..)?;
        if self.done > 0 {
            blank_options(options);
        }
        let mut ip = Ipv4Packet::new_unchecked(out);
        ip.set_total_len(u16::try_from(len).ok()?);
        ip.set_frag_offset(ip.frag_offset().checked_add(u16::try_from(self.done).ok()?)?);
        ip.set_more_frags(ip.more_frags() || !is_last);
        ip.fill_checksum();
        self.done = self.done.checked_add(piece.len())?;
        Some(len)
    }
}

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_LOOSE_SOURCE_ROUTE: u8 = 131;
const OPTION_STRICT_SOURCE_ROUTE: u8 = 137;
/// The option is repeated in every fragment.
const OPTION_COPIED: u8 = 0x80;

fn is_source_routed(mut options: &[u8]) -> bool {
    loop {
        let len = match options {
            [] | [OPTION_END, ..] => return false,
            [OPTION_LOOSE_SOURCE_ROUTE | OPTION_STRICT_SOURCE_ROUTE, ..] => return true,
            [OPTION_NOP, ..] => 1,
            [_, len, ..] => usize::from(*len).max(1),
            [_] => return false,
        };
        options = options.get(len..).unwrap_or_default();
    }
}

/// Puts no-operations where the first fragment alone has an option.
fn blank_options(mut options: &mut [u8]) {
    loop {
        let len = match &*options {
            [] | [OPTION_END, ..] | [_] => return,
            [OPTION_NOP, ..] => 1,
            [_, len, ..] => usize::from(*len).max(1),
        };
        let Some((option, rest)) = options.split_at_mut_checked(len) else { return };
        if option.first().is_some_and(|kind| kind & OPTION_COPIED == 0) {
            option.fill(OPTION_NOP);
        }
        options = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::samples::{ipv4, ping, table, udp, udp6};
    use proptest::prelude::*;
    use smoltcp::wire::{IpProtocol, Ipv4Address, TcpPacket};
    use std::vec::Vec;

    const HOST: &str = "192.168.1.7";
    const PEER: &str = "10.20.0.1";
    const HOST6: &str = "fd00:1::7";
    const PEER6: &str = "fd00:2::1";

    /// The verdict, and the packet afterwards.
    fn judge(from: Side, packet: &[u8]) -> (Verdict, Vec<u8>) {
        judge_by(&table(), from, packet)
    }

    fn judge_by(table: &Table, from: Side, packet: &[u8]) -> (Verdict, Vec<u8>) {
        let mut changed = packet.to_vec();
        let verdict = table.judge(from, &mut changed);
        if !matches!(verdict, Verdict::Forward { .. }) {
            assert_eq!(changed, packet, "only a forwarded packet is changed");
        }
        (verdict, changed)
    }

    fn refusal(from: Side, packet: &[u8]) -> Option<Refusal> {
        match judge(from, packet).0 {
            Verdict::Refuse { why, .. } => Some(why),
            Verdict::Forward { .. } => None,
            Verdict::Deliver => panic!("delivered"),
        }
    }

    fn is_delivered(from: Side, packet: &[u8]) -> bool {
        judge(from, packet).0 == Verdict::Deliver
    }

    /// The packet after `change`, with the right checksum.
    fn changed(mut packet: Vec<u8>, change: impl FnOnce(&mut Ipv4Packet<&mut Vec<u8>>)) -> Vec<u8> {
        let mut ip = Ipv4Packet::new_unchecked(&mut packet);
        change(&mut ip);
        ip.fill_checksum();
        packet
    }

    /// The packet with these options.
    fn with_options(packet: &[u8], options: &[u8]) -> Vec<u8> {
        let whole = [&packet[..20], options, &packet[20..]].concat();
        let len = whole.len() as u16;
        changed(whole, |ip| {
            ip.set_header_len(20 + options.len() as u8);
            ip.set_total_len(len);
        })
    }

    #[test]
    fn forwards_both_ways() {
        let out = udp(HOST, PEER, 100);
        let (verdict, after) = judge(Side::Lan, &out);
        assert_eq!(verdict, Verdict::Forward { len: 128, next_hop: PEER.parse().unwrap() });
        assert_eq!(after, changed(out.clone(), |ip| ip.set_hop_limit(63)), "nothing else has changed");
        let (verdict, after) = judge(Side::Tunnel, &udp(PEER, HOST, 100));
        assert_eq!(verdict, Verdict::Forward { len: 128, next_hop: HOST.parse().unwrap() });
        assert!(Ipv4Packet::new_checked(&after[..]).unwrap().verify_checksum());

        let (verdict, after) = judge(Side::Lan, &udp6(HOST6, PEER6, 100));
        assert_eq!(verdict, Verdict::Forward { len: 148, next_hop: PEER6.parse().unwrap() });
        assert_eq!(after[7], 63);
        let (verdict, _) = judge(Side::Tunnel, &udp6(PEER6, HOST6, 100));
        assert_eq!(verdict, Verdict::Forward { len: 148, next_hop: HOST6.parse().unwrap() });

        // Padding of a short Ethernet frame stays behind.
        let padded = [udp(HOST, PEER, 1), std::vec![0; 17]].concat();
        assert!(matches!(judge(Side::Lan, &padded).0, Verdict::Forward { len: 29, .. }));
        // To the peer itself, and from a host by way of the LAN's gateway.
        assert_eq!(refusal(Side::Lan, &udp(HOST, "10.8.0.1", 1)), None);
        let mut table = table();
        table.lan.gateway_ipv4 = Some(Ipv4Address::new(192, 168, 1, 254));
        let (verdict, _) = judge_by(&table, Side::Tunnel, &udp(PEER, "198.51.100.1", 1));
        assert_eq!(verdict, Verdict::Forward { len: 29, next_hop: IpAddress::v4(192, 168, 1, 254) });
        let (verdict, _) = judge_by(&table, Side::Lan, &udp("198.51.100.1", PEER, 1));
        assert!(matches!(verdict, Verdict::Forward { .. }));
    }

    #[test]
    fn the_stacks_keep_what_is_theirs() {
        for to in ["192.168.1.1", "192.168.1.8", "192.168.1.255", "255.255.255.255", "224.0.0.251", "169.254.1.1"] {
            assert!(is_delivered(Side::Lan, &udp(HOST, to, 8)), "{to}");
        }
        for to in ["10.8.0.2", "10.20.0.9", "10.8.0.255", "255.255.255.255", "224.0.0.251", "127.0.0.1"] {
            assert!(is_delivered(Side::Tunnel, &udp(PEER, to, 8)), "{to}");
        }
        for to in ["fd00:1::1", "fd00:1::9", "fe80::1", "ff02::1", "::1"] {
            assert!(is_delivered(Side::Lan, &udp6(HOST6, to, 8)), "{to}");
        }
        // While the board has no address yet, all else than what is for the tunnel may be an offer of one.
        let mut table = table();
        table.lan = Default::default();
        assert_eq!(judge_by(&table, Side::Lan, &udp("192.168.1.254", HOST, 8)).0, Verdict::Deliver);
    }

    #[test]
    fn refuses_with_a_reason() {
        let good = udp(HOST, PEER, 8);
        let mut damaged = good.clone();
        damaged[1] ^= 4;
        assert_eq!(refusal(Side::Lan, &damaged), Some(Refusal::Damaged));
        for source in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.168.1.255", "169.254.3.4"] {
            assert_eq!(refusal(Side::Lan, &udp(source, PEER, 8)), Some(Refusal::Martian), "{source}");
        }
        for source in [PEER, "10.8.0.2", "192.168.1.1", "8.8.8.8", "10.20.9.1"] {
            assert_eq!(refusal(Side::Lan, &udp(source, PEER, 8)), Some(Refusal::Spoofed), "{source}");
        }
        for source in [HOST, "10.8.0.2", "192.168.1.1", "8.8.8.8", "10.20.9.1"] {
            assert_eq!(refusal(Side::Tunnel, &udp(source, HOST, 8)), Some(Refusal::Spoofed), "{source}");
        }
        for source in ["fe80::7", "::", "::1", "ff02::1", "::ffff:10.20.0.1"] {
            assert_eq!(refusal(Side::Tunnel, &udp6(source, HOST6, 8)), Some(Refusal::Martian), "{source}");
        }
        assert_eq!(refusal(Side::Tunnel, &udp6(HOST6, HOST6, 8)), Some(Refusal::Spoofed));
        for ttl in [0, 1] {
            assert_eq!(refusal(Side::Lan, &changed(good.clone(), |ip| ip.set_hop_limit(ttl))), Some(Refusal::Expired));
            let mut packet = udp6(HOST6, PEER6, 8);
            packet[7] = ttl;
            assert_eq!(refusal(Side::Lan, &packet), Some(Refusal::Expired));
        }
        for side in [Side::Lan, Side::Tunnel] {
            let (from, from6) = if side == Side::Lan { (HOST, HOST6) } else { (PEER, PEER6) };
            assert_eq!(refusal(side, &udp(from, "8.8.8.8", 8)), Some(Refusal::NoRoute));
            assert_eq!(refusal(side, &udp6(from6, "2001:db8::1", 8)), Some(Refusal::NoRoute));
        }
        assert_eq!(refusal(Side::Lan, &udp(HOST, "10.8.0.2", 8)), Some(Refusal::OtherSide));
        assert_eq!(refusal(Side::Tunnel, &udp(PEER, "192.168.1.1", 8)), Some(Refusal::OtherSide));
        // Who lies about where he is gets no answer, whatever else is wrong.
        assert_eq!(refusal(Side::Tunnel, &udp(HOST, "8.8.8.8", 8)), Some(Refusal::Spoofed));
        let mut table = table();
        table.tunnel_up = false;
        let down = |packet: &[u8], side| judge_by(&table, side, packet).0;
        assert_eq!(down(&good, Side::Lan), Verdict::Refuse { len: 36, why: Refusal::TunnelDown });
        assert!(matches!(down(&udp(PEER, HOST, 8), Side::Tunnel), Verdict::Forward { .. }));
    }

    #[test]
    fn looks_at_the_options() {
        let packet = udp(HOST, PEER, 8);
        let allowed: [&[u8]; 5] =
            [&[1, 1, 1, 0], &[148, 4, 0, 0], &[7, 7, 4, 0, 0, 0, 0, 0], &[0, 131, 3, 4], &[200, 0, 0, 0]];
        for options in allowed {
            assert_eq!(refusal(Side::Lan, &with_options(&packet, options)), None, "{options:?}");
        }
        let routed: [&[u8]; 3] = [&[131, 3, 4, 0], &[1, 137, 3, 4], &[148, 4, 0, 0, 131, 3, 4, 0]];
        for options in routed {
            let packet = with_options(&packet, options);
            assert_eq!(refusal(Side::Lan, &packet), Some(Refusal::SourceRouted), "{options:?}");
        }
    }

    #[test]
    fn keeps_to_the_limits_of_size() {
        let cut = |len: usize| udp(HOST, PEER, len - 28);
        let whole = |len: usize| changed(cut(len), |ip| ip.set_dont_frag(true));
        assert_eq!(refusal(Side::Lan, &whole(1400)), None);
        assert_eq!(refusal(Side::Lan, &whole(1401)), Some(Refusal::TooBig));
        assert_eq!(refusal(Side::Lan, &cut(1401)), None);
        assert_eq!(refusal(Side::Lan, &udp6(HOST6, PEER6, 1400 - 48)), None);
        assert_eq!(refusal(Side::Lan, &udp6(HOST6, PEER6, 1401 - 48)), Some(Refusal::TooBig));
        let mut table = table();
        table.tunnel_mtu = 27;
        assert!(matches!(judge_by(&table, Side::Lan, &cut(100)).0, Verdict::Refuse { why: Refusal::TooBig, .. }));
        table.tunnel_mtu = 28;
        assert!(matches!(judge_by(&table, Side::Lan, &cut(100)).0, Verdict::Forward { .. }));
    }

    #[test]
    fn clamps_the_segment_size_both_ways() {
        for (from, side) in [((HOST, PEER), Side::Lan), ((PEER, HOST), Side::Tunnel)] {
            let mut segment = [0; 24];
            let mut tcp = TcpPacket::new_unchecked(&mut segment[..]);
            tcp.set_header_len(24);
            tcp.set_syn(true);
            tcp.options_mut().copy_from_slice(&[2, 4, 0x05, 0xb4]);
            let ends = [from.0, from.1].map(|address| address.parse::<IpAddress>().unwrap());
            tcp.fill_checksum(&ends[0], &ends[1]);
            let (_, after) = judge(side, &ipv4(from.0, from.1, IpProtocol::Tcp, &segment));
            assert_eq!(after[42..44], 1360_u16.to_be_bytes());
            assert!(TcpPacket::new_checked(&after[20..]).unwrap().verify_checksum(&ends[0], &ends[1]));
        }
    }

    /// All pieces, checked one by one, and what they are together.
    fn cut(packet: &[u8], mtu: usize) -> (usize, Vec<u8>) {
        let mut fragments = Fragments::new(packet, mtu);
        let original = Ipv4Packet::new_checked(packet).unwrap();
        let (mut count, mut payload) = (0, Vec::new());
        let mut out = [0; 1500];
        while let Some(len) = fragments.write_next(&mut out) {
            assert!(len <= mtu);
            let ip = Ipv4Packet::new_checked(&out[..len]).unwrap();
            assert!(ip.verify_checksum());
            assert_eq!(usize::from(ip.total_len()), len);
            assert_eq!(usize::from(ip.frag_offset()), usize::from(original.frag_offset()) + payload.len());
            assert_eq!((ip.ident(), ip.dont_frag()), (original.ident(), original.dont_frag()));
            payload.extend_from_slice(ip.payload());
            let is_last = payload.len() == original.payload().len();
            assert_eq!(ip.more_frags(), original.more_frags() || !is_last);
            count += 1;
        }
        assert_eq!(count, fragments.count());
        (count, payload)
    }

    #[test]
    fn fragments_make_the_whole() {
        let packet = udp(HOST, PEER, 1400);
        for (mtu, count) in [(1500, 1), (1428, 1), (1427, 2), (724, 2), (723, 3), (68, 30), (28, 176)] {
            assert!(cut(&packet, mtu) == (count, packet[20..].to_vec()), "{mtu}");
        }
        // A fragment that is cut again, in the middle and at the end.
        for more in [true, false] {
            let middle = changed(packet.clone(), |ip| {
                ip.set_frag_offset(1600);
                ip.set_more_frags(more);
            });
            assert!(cut(&middle, 576) == (3, packet[20..].to_vec()));
        }
        // An option that only the first fragment has, and one that all have.
        let options = [7, 3, 4, 148, 4, 0, 0, 0];
        let packet = with_options(&packet, &options);
        let mut fragments = Fragments::new(&packet, 1000);
        let mut out = [0; 1500];
        fragments.write_next(&mut out).unwrap();
        assert_eq!(out[20..28], options);
        fragments.write_next(&mut out).unwrap();
        assert_eq!(out[20..28], [1, 1, 1, 148, 4, 0, 0, 0]);
        assert_eq!(fragments.write_next(&mut out), None);
    }

    #[test]
    fn truncated_packets_are_left_to_the_stack() {
        let samples =
            [udp(HOST, PEER, 8), with_options(&udp(HOST, PEER, 8), &[7, 7, 4, 0, 0, 0, 0, 0]), udp6(HOST6, PEER6, 8)];
        for packet in samples {
            for len in 0..packet.len() {
                assert!(is_delivered(Side::Lan, &packet[..len]), "{len}");
            }
        }
        let mut short_header = ping(HOST, PEER, 8);
        for ihl in [0, 1, 4, 15] {
            short_header[0] = 0x40 | ihl;
            assert!(is_delivered(Side::Lan, &short_header), "{ihl}");
        }
        for version in [0, 3, 5, 7, 15] {
            short_header[0] = version << 4 | 5;
            assert!(is_delivered(Side::Lan, &short_header), "version {version}");
        }
    }

    proptest! {
        /// Random bytes behind addresses that are forwarded: no panic, and what passes is a valid packet.
        #[test]
        fn what_passes_is_sound(
            v6: bool, lan: bool, mtu in 0_usize..200, bytes in proptest::collection::vec(any::<u8>(), 60..400), fixed: bool,
        ) {
            let (from, to) = if v6 { (HOST6, PEER6) } else { (HOST, PEER) };
            let (from, to) = if lan { (from, to) } else { (to, from) };
            let mut packet = bytes.clone();
            let sound = if v6 { udp6(from, to, packet.len() - 48) } else { udp(from, to, packet.len() - 28) };
            let addresses = if v6 { 8..40 } else { 12..20 };
            packet[addresses.clone()].copy_from_slice(&sound[addresses]);
            packet[0] = if v6 { 0x60 } else { 0x45 | packet[0] & 3 };
            let total = if v6 { 4..6 } else { 2..4 };
            packet[total.clone()].copy_from_slice(&sound[total]);
            if fixed && !v6 {
                packet[0] = 0x40 | (5 + (bytes[0] & 7));
                Ipv4Packet::new_unchecked(&mut packet).fill_checksum();
            }
            let mut table = table();
            table.tunnel_mtu = mtu;
            table.lan_mtu = mtu;
            let side = if lan { Side::Lan } else { Side::Tunnel };
            if let (Verdict::Forward { len, .. }, after) = judge_by(&table, side, &packet) {
                prop_assert_eq!(len, packet.len());
                if v6 {
                    prop_assert_eq!(after[7], packet[7] - 1);
                } else {
                    let ip = Ipv4Packet::new_checked(&after[..]).unwrap();
                    prop_assert!(ip.verify_checksum());
                    prop_assert_eq!(ip.hop_limit(), packet[8] - 1);
                    if usize::from(ip.frag_offset()) + after.len() < 60_000 {
                        let (count, payload) = cut(&after, mtu);
                        prop_assert!(count > 1 || after.len() <= mtu);
                        prop_assert_eq!(&payload, ip.payload());
                    }
                }
            }
        }

        #[test]
        fn anything_is_survived(mut packet in proptest::collection::vec(any::<u8>(), 0..120), mtu in 0_usize..200) {
            let table = table();
            for side in [Side::Lan, Side::Tunnel] {
                table.judge(side, &mut packet);
            }
            let mut fragments = Fragments::new(&packet, mtu);
            let mut out = [0; 200];
            for _ in 0..=packet.len() {
                if fragments.write_next(&mut out).is_none() {
                    break;
                }
            }
        }

        #[test]
        fn the_checksum_follows_any_hop_limit(ident: u16, hop_limit in 2_u8.., tos: u8) {
            let packet = changed(udp(HOST, PEER, 8), |ip| {
                ip.set_ident(ident);
                ip.set_hop_limit(hop_limit);
                ip.set_dscp(tos >> 2);
            });
            let (_, after) = judge(Side::Lan, &packet);
            prop_assert_eq!(after, changed(packet, |ip| ip.set_hop_limit(hop_limit - 1)));
        }
    }
}
