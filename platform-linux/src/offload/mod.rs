//! Many packets in one system call: cutting what the kernel hands over as one large packet, and joining what it takes
//! as one.
//!
//! With segmentation offload a TUN device gives up to 64 KB of one flow in one read, with a [`VnetHeader`] that says
//! how to cut it, and takes as much in one write. [`segment`] cuts and [`coalesce`] joins; both work on memory of their
//! caller, allocate nothing and do no input or output.
//!
//! Own code, because no library does it in place. `tun-rs` wants to own the device, joins by copying into buffers that
//! grow, and brings a second netlink stack along. `quinn-udp`, the other side of the matter, keeps to itself the very
//! errors that a link reports, sets path MTU discovery as QUIC needs it, and sends from one contiguous buffer only.
//! `internet-checksum` takes twice the time of our own sums, which are most of the work here.

use std::fmt;

mod checksum;
pub mod coalesce;
#[cfg(test)]
mod device_tests;
pub mod segment;
#[cfg(test)]
mod tests;

/// The largest packet that a TUN device gives with segmentation offload, in bytes: IPv6 does not count its header.
pub const SUPER_PACKET_MAX: usize = IPV6_HEADER_LEN + 65_535;

/// Length of a [`VnetHeader`] in bytes.
pub const VNET_HEADER_LEN: usize = 10;

const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const TCP_HEADER_LEN: usize = 20;
const UDP_HEADER_LEN: usize = 8;

const IP_TCP: u8 = 6;
const IP_UDP: u8 = 17;

/// TCP's flags, in byte 13 of its header.
const TCP_FLAGS: usize = 13;
const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_ACK: u8 = 0x10;
const TCP_CWR: u8 = 0x80;

/// Where the checksum lies in a TCP header.
const TCP_CHECKSUM: usize = 16;
/// Where the checksum lies in a UDP header.
const UDP_CHECKSUM: usize = 6;

const FLAG_NEEDS_CHECKSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;
const GSO_UDP: u8 = 5;
/// The first segment has CWR set. Cutting needs no hint for that.
const GSO_ECN: u8 = 0x80;

/// What a TUN device with `IFF_VNET_HDR` puts before each packet (`struct virtio_net_hdr`), in the machine's byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// Bit 0: the checksum is still to be computed; its field has the sum of the pseudo-header.
    pub flags: u8,
    /// How to cut the packet; 0 for not at all.
    pub gso_type: u8,
    /// Length of all headers in bytes; a hint only.
    pub hdr_len: u16,
    /// Payload of each segment but the last, in bytes.
    pub gso_size: u16,
    /// Where the bytes begin that the checksum covers: at the transport header.
    pub csum_start: u16,
    /// Where the checksum lies, from there.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// Reads it.
    pub fn from_bytes(bytes: [u8; VNET_HEADER_LEN]) -> Self {
        let [flags, gso_type, a, b, c, d, e, f, g, h] = bytes;
        let [hdr_len, gso_size, csum_start, csum_offset] = [[a, b], [c, d], [e, f], [g, h]].map(u16::from_ne_bytes);
        Self { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset }
    }

    /// Writes it.
    pub fn to_bytes(self) -> [u8; VNET_HEADER_LEN] {
        let Self { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset } = self;
        let [[a, b], [c, d], [e, f], [g, h]] = [hdr_len, gso_size, csum_start, csum_offset].map(u16::to_ne_bytes);
        [flags, gso_type, a, b, c, d, e, f, g, h]
    }

    /// Whether the packet is to be cut, by a [`segment::Segmenter`]. If not, [`segment::finish_checksum`] makes it
    /// complete.
    pub fn is_super_packet(&self) -> bool {
        self.gso_type != GSO_NONE
    }

    fn needs_checksum(&self) -> bool {
        self.flags & FLAG_NEEDS_CHECKSUM != 0
    }
}

/// A header that contradicts its packet, which is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// An offload that nobody asked for.
    Kind,
    /// Headers that are cut off or of another protocol.
    Header,
    /// The packet's length is not what its header says.
    Length,
    /// The checksum is not where that protocol has it.
    Checksum,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "the kernel used an offload that was not asked for",
            Self::Header => "the kernel's header does not fit the packet",
            Self::Length => "the packet's length is not what its header says",
            Self::Checksum => "the kernel's header has the checksum in the wrong place",
        })
    }
}

impl std::error::Error for Malformed {}

/// The big-endian number at `at`; 0 beyond the end.
fn get_u16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().map_or(0, u16::from_be_bytes)
}

/// The big-endian number at `at`; 0 beyond the end.
fn get_u32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().map_or(0, u32::from_be_bytes)
}

/// Writes a big-endian number at `at`; nothing beyond the end.
fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..).and_then(|bytes| bytes.first_chunk_mut()) {
        *place = value.to_be_bytes();
    }
}

/// Writes a big-endian number at `at`; nothing beyond the end.
fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..).and_then(|bytes| bytes.first_chunk_mut()) {
        *place = value.to_be_bytes();
    }
}

/// A length for a 16-bit field. Larger ones never get here.
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
