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
        let header_len = Header::read(packet).map_or(0, |header| header.header_len);
        let share = if packet.len() <= mtu { packet.len() } else { mtu.saturating_sub(header_len) & !7 };
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
        if self.done > 0 {
            blank_options(head.get_mut(IPV4_HEADER..)?);
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
