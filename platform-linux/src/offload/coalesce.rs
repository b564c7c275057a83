//! Joining packets of one flow into one large packet for a TUN device.
//!
//! What is joined would come out as it went in if it were cut again, but for the identification of IPv4 packets that
//! must not be fragmented, which means nothing. Whatever cannot be joined like that goes alone and unchanged.
//! The packets of a flow stay in order.

use std::io::IoSlice;

use super::checksum::{fold, sum};
use super::segment::set_ipv4_checksum;
use super::{
    FLAG_NEEDS_CHECKSUM, GSO_TCP4, GSO_TCP6, GSO_UDP, IP_TCP, IP_UDP, IPV4_HEADER_LEN, IPV6_HEADER_LEN, TCP_ACK,
    TCP_CHECKSUM, TCP_FLAGS, TCP_HEADER_LEN, TCP_PSH, UDP_CHECKSUM, UDP_HEADER_LEN, VNET_HEADER_LEN, VnetHeader,
    get_u16, get_u32, put_u16, short,
};

/// How many packets a [`Coalescer`] takes, and joins at most: as many as one receive call brings.
pub const PACKETS_MAX: usize = 64;

/// The longest packet that is made, in bytes.
const JOINED_MAX: usize = 65_535;

/// In how many groups before the newest a packet's flow is looked for.
const FLOWS_MAX: usize = 16;

/// A batch of packets, joined where that can be done.
pub struct Coalescer<'p> {
    packets: [&'p mut [u8]; PACKETS_MAX],
    /// The next packet of the same group.
    next: [u8; PACKETS_MAX],
    count: usize,
    groups: [Group; PACKETS_MAX],
    group_count: usize,
    /// No packet joins a group before this one.
    barrier: usize,
    udp: bool,
}

/// Packets that are written as one.
#[derive(Clone, Copy, Default)]
struct Group {
    flow: u32,
    first: u8,
    last: u8,
    packets: u8,
    /// Whether more packets may join.
    open: bool,
    /// Whether the last packet is to be delivered at once (TCP).
    push: bool,
    /// Whether the checksums of the first packet are known to be right.
    verified: bool,
    /// From one identification to the next (IPv4): 0 or 1. Known from the second packet on.
    id_step: u16,
    layout: Layout,
    /// Payload of each packet but the last, in bytes.
    size: usize,
    /// Length of all as one packet, in bytes.
    length: usize,
    /// Sequence number of the packet that would come next (TCP).
    sequence: u32,
    vnet_header: [u8; VNET_HEADER_LEN],
}

/// Where things are in a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layout {
    ipv6: bool,
    tcp: bool,
    /// Length of all headers in bytes.
    headers: usize,
}

/// A packet of TCP or UDP.
struct Flow {
    /// Of addresses, ports and protocol.
    hash: u32,
    layout: Layout,
    /// Whether it may be joined with others.
    joins: bool,
}

impl<'p> Coalescer<'p> {
    /// An empty batch. `udp` is whether the device takes joined UDP packets too.
    pub fn new(udp: bool) -> Self {
        Self {
            packets: std::array::from_fn(|_| Default::default()),
            next: [0; PACKETS_MAX],
            count: 0,
            groups: [Group::default(); PACKETS_MAX],
            group_count: 0,
            barrier: 0,
            udp,
        }
    }

    /// Whether it takes no more packets.
    pub fn is_full(&self) -> bool {
        self.count >= PACKETS_MAX
    }

    /// Takes the next packet.
    ///
    /// # Errors
    /// The packet, when [full](Self::is_full).
    pub fn push(&mut self, packet: &'p mut [u8]) -> Result<(), &'p mut [u8]> {
        let at = self.count;
        let Some(place) = self.packets.get_mut(at) else { return Err(packet) };
        *place = packet;
        self.count += 1;
        self.place(at);
        Ok(())
    }

    /// Hands out each group to be written: a header for the device, then the packet in parts.
    pub fn drain(mut self, mut write: impl FnMut(&[IoSlice<'_>])) {
        for group in self.groups.iter_mut().take(self.group_count).filter(|group| group.packets > 1) {
            group.vnet_header = group.rewrite(self.packets[usize::from(group.first)]).to_bytes();
        }
        let mut parts = [IoSlice::new(&[]); PACKETS_MAX + 1];
        for group in self.groups.iter().take(self.group_count) {
            parts[0] = IoSlice::new(&group.vnet_header);
            let mut at = usize::from(group.first);
            for (nth, part) in parts[1..].iter_mut().take(group.packets.into()).enumerate() {
                let skip = if nth == 0 { 0 } else { group.layout.headers };
                *part = IoSlice::new(self.packets[at].get(skip..).unwrap_or_default());
                at = self.next[at].into();
            }
            write(&parts[..=group.packets.into()]);
        }
    }

    /// Puts a packet at the end of the group that it belongs to, or into one of its own.
    fn place(&mut self, at: usize) {
        let packet = &*self.packets[at];
        let mut new = Group { first: at as u8, last: at as u8, packets: 1, length: packet.len(), ..Group::default() };
        match flow_of(packet, self.udp) {
            // It may belong to any flow, and must not be overtaken.
            None => self.barrier = self.group_count + 1,
            Some(Flow { hash, layout, joins }) => {
                new = Group {
                    flow: hash,
                    layout,
                    open: joins && !layout.pushes(packet),
                    size: packet.len() - layout.headers,
                    sequence: layout.next_sequence(packet),
                    ..new
                };
                let known = self.barrier.max(self.group_count.saturating_sub(FLOWS_MAX))..self.group_count;
                let same = self.groups.get_mut(known).unwrap_or_default().iter_mut().rev().find(|group| {
                    let other = &*self.packets[usize::from(group.first)];
                    group.flow == hash && layout.is_same_flow(other, packet)
                });
                if let Some(group) = same.filter(|group| group.open && joins) {
                    let first = &*self.packets[usize::from(group.first)];
                    let last = &*self.packets[usize::from(group.last)];
                    if let Some(id_step) = group.fits(first, last, packet) {
                        // Only now is it worth the time.
                        let intact = layout.is_intact(packet);
                        group.verified = group.verified || layout.is_intact(first);
                        if intact && group.verified {
                            self.next[usize::from(group.last)] = at as u8;
                            group.append(at as u8, packet, id_step);
                            return;
                        }
                        new.open &= intact;
                        new.verified = intact;
                    }
                }
            }
        }
        if let Some(place) = self.groups.get_mut(self.group_count) {
            *place = new;
            self.group_count += 1;
        }
    }
}

impl Group {
    /// Whether a packet of the same flow continues the group; if so, by how much its identification is higher.
    fn fits(&self, first: &[u8], last: &[u8], packet: &[u8]) -> Option<u16> {
        let Layout { ipv6, tcp, headers } = self.layout;
        let payload = packet.len().checked_sub(headers)?;
        if payload > self.size || self.length + payload > JOINED_MAX {
            return None;
        }
        let same =
            |from: usize, to: usize| first.get(from..to).is_some_and(|bytes| packet.get(from..to) == Some(bytes));
        let id_step = if ipv6 {
            // Version, traffic class, flow label; next header, hop limit.
            if !same(0, 4) || !same(6, 8) {
                return None;
            }
            0
        } else {
            // Version and length, type of service; flags, time to live.
            if !same(0, 2) || !same(6, 9) {
                return None;
            }
            let id_step = get_u16(packet, 4).wrapping_sub(get_u16(last, 4));
            let unfragmented = get_u16(packet, 6) & 0x4000 != 0;
            if id_step > 1 || (id_step == 0 && !unfragmented) || (self.packets > 1 && id_step != self.id_step) {
                return None;
            }
            id_step
        };
        let at = self.layout.transport();
        // Acknowledgement, header length; window; urgent pointer, options.
        let fits = !tcp
            || (get_u32(packet, at + 4) == self.sequence
                && same(at + 8, at + 13)
                && same(at + 14, at + 16)
                && same(at + 18, headers));
        fits.then_some(id_step)
    }

    fn append(&mut self, at: u8, packet: &[u8], id_step: u16) {
        let payload = packet.len() - self.layout.headers;
        self.last = at;
        self.packets += 1;
        self.length += payload;
        self.id_step = id_step;
        self.sequence = self.layout.next_sequence(packet);
        self.push = self.layout.pushes(packet);
        self.open = payload == self.size && !self.push;
    }

    /// Makes the headers of the first packet those of the whole.
    fn rewrite(&self, packet: &mut [u8]) -> VnetHeader {
        let Layout { ipv6, tcp, headers } = self.layout;
        let transport = self.layout.transport();
        if ipv6 {
            put_u16(packet, 4, short(self.length - IPV6_HEADER_LEN));
        } else {
            put_u16(packet, 2, short(self.length));
            set_ipv4_checksum(packet, transport);
        }
        let length = short(self.length - transport);
        let place = self.layout.checksum_place();
        let pseudo_header = fold(self.layout.pseudo_header(packet, length));
        put_u16(packet, transport + place, pseudo_header);
        if !tcp {
            put_u16(packet, transport + 4, length);
        } else if self.push
            && let Some(flags) = packet.get_mut(transport + TCP_FLAGS)
        {
            *flags |= TCP_PSH;
        }
        VnetHeader {
            flags: FLAG_NEEDS_CHECKSUM,
            gso_type: match (tcp, ipv6) {
                (true, false) => GSO_TCP4,
                (true, true) => GSO_TCP6,
                (false, _) => GSO_UDP,
            },
            hdr_len: short(headers),
            gso_size: short(self.size),
            csum_start: short(transport),
            csum_offset: short(place),
        }
    }
}

impl Layout {
    /// Where the transport header begins: packets with options or extension headers are strangers.
    fn transport(self) -> usize {
        if self.ipv6 { IPV6_HEADER_LEN } else { IPV4_HEADER_LEN }
    }

    fn checksum_place(self) -> usize {
        if self.tcp { TCP_CHECKSUM } else { UDP_CHECKSUM }
    }

    /// Whether version, protocol, addresses and ports are the same.
    fn is_same_flow(self, a: &[u8], b: &[u8]) -> bool {
        let (protocol, ends) = if self.ipv6 { (6, 8..44) } else { (9, 12..24) };
        a.first().map(|byte| byte >> 4) == b.first().map(|byte| byte >> 4)
            && a.get(protocol) == b.get(protocol)
            && a.get(ends.clone()) == b.get(ends)
    }

    fn next_sequence(self, packet: &[u8]) -> u32 {
        let payload = packet.len().saturating_sub(self.headers);
        if self.tcp { get_u32(packet, self.transport() + 4).wrapping_add(payload as u32) } else { 0 }
    }

    fn pushes(self, packet: &[u8]) -> bool {
        self.tcp && packet.get(self.transport() + TCP_FLAGS).is_some_and(|flags| flags & TCP_PSH != 0)
    }

    /// The sum of the pseudo-header, for so many bytes behind it.
    fn pseudo_header(self, packet: &[u8], length: u16) -> u32 {
        let addresses = if self.ipv6 { 8..40 } else { 12..20 };
        let addresses = sum(packet.get(addresses).unwrap_or_default());
        let protocol = if self.tcp { IP_TCP } else { IP_UDP };
        u32::from(addresses) + u32::from(protocol) + u32::from(length)
    }

    /// Whether the checksums are right.
    fn is_intact(self, packet: &[u8]) -> bool {
        let Some((ip, segment)) = packet.split_at_checked(self.transport()) else { return false };
        (self.ipv6 || sum(ip) == 0xffff)
            && fold(self.pseudo_header(ip, short(segment.len())) + u32::from(sum(segment))) == 0xffff
    }
}

/// None for fragments, ICMP, ESP, IPv4 options, IPv6 extension headers and malformed packets: nobody knows which flow
/// they belong to.
fn flow_of(packet: &[u8], udp: bool) -> Option<Flow> {
    let (ipv6, protocol, length) = match packet.first()? {
        // Without options; no fragment.
        0x45 if get_u16(packet, 6) & 0x3fff == 0 => (false, *packet.get(9)?, get_u16(packet, 2).into()),
        first if first >> 4 == 6 => (true, *packet.get(6)?, IPV6_HEADER_LEN + usize::from(get_u16(packet, 4))),
        _ => return None,
    };
    let tcp = protocol == IP_TCP;
    let minimum = if tcp { TCP_HEADER_LEN } else { UDP_HEADER_LEN };
    let mut layout = Layout { ipv6, tcp, headers: 0 };
    let segment = packet.get(layout.transport()..)?;
    if length != packet.len() || segment.len() < minimum || !(tcp || protocol == IP_UDP) {
        return None;
    }
    layout.headers = layout.transport() + if tcp { usize::from(segment[12] >> 4) * 4 } else { UDP_HEADER_LEN };
    let joins = layout.headers < packet.len()
        && if tcp {
            // The four bits besides the length are flags too.
            layout.headers >= layout.transport() + TCP_HEADER_LEN
                && segment[12] & 15 == 0
                && segment[TCP_FLAGS] & !TCP_PSH == TCP_ACK
        } else {
            udp && usize::from(get_u16(segment, 4)) == segment.len() && get_u16(segment, UDP_CHECKSUM) != 0
        };
    // What does not join has no payload here.
    layout.headers = layout.headers.min(packet.len());
    let ends = if ipv6 { &packet[8..44] } else { &packet[12..24] };
    let (words, _) = ends.as_chunks::<4>();
    let hash = words.iter().fold(protocol.into(), |hash: u32, word| {
        (hash.rotate_left(5) ^ u32::from_ne_bytes(*word)).wrapping_mul(0x9e37_79b1)
    });
    Some(Flow { hash, layout, joins })
}
