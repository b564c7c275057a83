//! Cutting a large packet from a TUN device into the packets it stands for.

use longcable_core::packet::PacketBuf;

use super::checksum::{fold, sum};
use super::{
    GSO_ECN, GSO_TCP4, GSO_TCP6, GSO_UDP, IP_TCP, IP_UDP, IPV4_HEADER_LEN, IPV6_HEADER_LEN, Malformed, TCP_CHECKSUM,
    TCP_CWR, TCP_FIN, TCP_FLAGS, TCP_HEADER_LEN, TCP_PSH, UDP_CHECKSUM, UDP_HEADER_LEN, VnetHeader, get_u16, get_u32,
    put_u16, put_u32, short,
};

/// A large packet of TCP or UDP on its way to be cut: of equal segments but the last.
#[derive(Clone, Debug)]
pub struct Segmenter<'p> {
    headers: &'p [u8],
    /// What is left of the payload.
    payload: &'p [u8],
    /// Whether the payload begins here. Even an empty one has a segment.
    first: bool,
    /// Payload of each segment but the last, in bytes.
    size: usize,
    ipv6: bool,
    tcp: bool,
    /// Where the transport header begins.
    transport: usize,
    /// The sum of the pseudo-header but for the length.
    pseudo_header: u32,
    /// Identification of the next segment (IPv4).
    id: u16,
    /// Sequence number of the next segment (TCP).
    sequence: u32,
}

impl<'p> Segmenter<'p> {
    /// Looks at a packet whose header says that it [is a large one](VnetHeader::is_super_packet).
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn new(header: VnetHeader, packet: &'p [u8]) -> Result<Self, Malformed> {
        let tcp = match header.gso_type & !GSO_ECN {
            GSO_TCP4 | GSO_TCP6 => true,
            GSO_UDP => false,
            _ => return Err(Malformed::Kind),
        };
        let transport = usize::from(header.csum_start);
        let ipv6 = check_ip(packet, transport, if tcp { IP_TCP } else { IP_UDP })?;
        if tcp && ipv6 != (header.gso_type & !GSO_ECN == GSO_TCP6) {
            return Err(Malformed::Header);
        }
        let rest = packet.get(transport..).unwrap_or_default();
        let (transport_len, checksum) = if tcp {
            let length = rest.get(12).map_or(0, |offset| usize::from(offset >> 4) * 4);
            if length < TCP_HEADER_LEN {
                return Err(Malformed::Header);
            }
            (length, TCP_CHECKSUM)
        } else {
            (UDP_HEADER_LEN, UDP_CHECKSUM)
        };
        let (headers, payload) = packet.split_at_checked(transport + transport_len).ok_or(Malformed::Header)?;
        if !header.needs_checksum() || usize::from(header.csum_offset) != checksum {
            return Err(Malformed::Checksum);
        }
        if header.gso_size == 0 {
            return Err(Malformed::Length);
        }
        // Taken from the kernel rather than from the addresses: extension headers may name others.
        let pseudo_header = u32::from(get_u16(rest, checksum)) + u32::from(!short(rest.len()));
        Ok(Self {
            headers,
            payload,
            first: true,
            size: header.gso_size.into(),
            ipv6,
            tcp,
            transport,
            pseudo_header,
            id: get_u16(packet, 4),
            sequence: get_u32(rest, 4),
        })
    }

    /// How many segments are left.
    pub fn len(&self) -> usize {
        self.payload.len().div_ceil(self.size).max(self.first.into())
    }

    /// Whether all is cut.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of the next segment in bytes: the largest of those that are left.
    pub fn segment_len(&self) -> usize {
        self.headers.len() + self.payload.len().min(self.size)
    }

    /// Puts the next segment into `slot` at offset `start`, complete; None when none is left, or when it does not fit
    /// and stays to be cut into a larger slot.
    pub fn next<'b>(&mut self, slot: &'b mut [u8], start: usize) -> Option<PacketBuf<'b>> {
        if self.is_empty() {
            return None;
        }
        let (payload, left) = self.payload.split_at(self.payload.len().min(self.size));
        let length = self.headers.len() + payload.len();
        let mut slot = PacketBuf::new(slot, start, length)?;
        let packet = slot.as_mut_slice();
        let (headers, body) = packet.split_at_mut(self.headers.len());
        headers.copy_from_slice(self.headers);
        body.copy_from_slice(payload);
        self.adjust(packet, left.is_empty());
        self.payload = left;
        self.first = false;
        self.id = self.id.wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(self.size as u32);
        Some(slot)
    }

    /// Makes the headers of the whole those of one segment.
    fn adjust(&self, packet: &mut [u8], last: bool) {
        let length = packet.len();
        if self.ipv6 {
            put_u16(packet, 4, short(length - IPV6_HEADER_LEN));
        } else {
            put_u16(packet, 2, short(length));
            put_u16(packet, 4, self.id);
            set_ipv4_checksum(packet, self.transport);
        }
        let Some(packet) = packet.get_mut(self.transport..) else { return };
        let length = short(packet.len());
        if self.tcp {
            put_u32(packet, 4, self.sequence);
            if let Some(flags) = packet.get_mut(TCP_FLAGS) {
                *flags &= if self.first { 0xff } else { !TCP_CWR };
                *flags &= if last { 0xff } else { !(TCP_FIN | TCP_PSH) };
            }
        } else {
            put_u16(packet, 4, length);
        }
        let place = if self.tcp { TCP_CHECKSUM } else { UDP_CHECKSUM };
        put_u16(packet, place, 0);
        let checksum = !fold(self.pseudo_header + u32::from(length) + u32::from(sum(packet)));
        put_checksum(packet, place, checksum);
    }
}

/// Makes a packet complete that is not to be cut: computes its checksum if the kernel has left that to us.
///
/// # Errors
/// [`Malformed`]; the packet is unchanged.
pub fn finish_checksum(header: VnetHeader, packet: &mut [u8]) -> Result<(), Malformed> {
    if header.is_super_packet() {
        return Err(Malformed::Kind);
    }
    if !header.needs_checksum() {
        return Ok(());
    }
    let place = usize::from(header.csum_offset);
    let covered = packet.get_mut(header.csum_start.into()..).ok_or(Malformed::Checksum)?;
    if covered.len() < place + 2 {
        return Err(Malformed::Checksum);
    }
    // The sum of the pseudo-header is in its place already.
    let checksum = !sum(covered);
    put_checksum(covered, place, checksum);
    Ok(())
}

/// Sets the checksum of the first `header_len` bytes.
pub(super) fn set_ipv4_checksum(packet: &mut [u8], header_len: usize) {
    put_u16(packet, 10, 0);
    let checksum = !sum(packet.get(..header_len).unwrap_or_default());
    put_u16(packet, 10, checksum);
}

/// UDP has no checksum of zero: that says that there is none.
fn put_checksum(covered: &mut [u8], place: usize, checksum: u16) {
    put_u16(covered, place, if checksum == 0 && place == UDP_CHECKSUM { 0xffff } else { checksum });
}

/// Whether the packet is IPv6; it is whole, and its transport header is where it must be.
fn check_ip(packet: &[u8], transport: usize, protocol: u8) -> Result<bool, Malformed> {
    let (ipv6, length) = match packet {
        [first, ..] if first >> 4 == 4 && packet.len() >= IPV4_HEADER_LEN => {
            let header_len = usize::from(first & 15) * 4;
            let fragment = get_u16(packet, 6) & 0x3fff != 0;
            if header_len < IPV4_HEADER_LEN || header_len != transport || packet.get(9) != Some(&protocol) || fragment {
                return Err(Malformed::Header);
            }
            (false, usize::from(get_u16(packet, 2)))
        }
        // Between the headers there may be extension headers, which every segment gets.
        [first, ..] if first >> 4 == 6 && transport >= IPV6_HEADER_LEN && packet.len() > IPV6_HEADER_LEN => {
            if transport == IPV6_HEADER_LEN && packet.get(6) != Some(&protocol) {
                return Err(Malformed::Header);
            }
            (true, IPV6_HEADER_LEN + usize::from(get_u16(packet, 4)))
        }
        _ => return Err(Malformed::Header),
    };
    if length == packet.len() { Ok(ipv6) } else { Err(Malformed::Length) }
}
