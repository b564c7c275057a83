//! What a tunnel looks at in the packets it carries: whether they are its own, and the TCP segment
//! size that the two ends offer each other (`mssfix`, protocol section 6.6).

use core::net::{IpAddr, SocketAddr};

#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Packet;
use smoltcp::wire::{IpProtocol, IpVersion, Ipv4Packet, TcpPacket};

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_MSS: u8 = 2;
const OPTION_MSS_LEN: usize = 4;

/// By how much the limit for IPv6 is below that for IPv4, in bytes: its header is longer.
#[cfg(feature = "ipv6")]
const IPV6_EXTRA: u16 = 20;

/// Lowers the maximum segment size of a TCP SYN to `max` bytes (IPv4; 20 less for IPv6).
///
/// Everything else passes unchanged: other packets, fragments, malformed headers, smaller sizes.
pub fn clamp_mss(packet: &mut [u8], max: u16) {
    // `IpVersion::of_packet` reads the first byte unasked.
    if packet.is_empty() {
        return;
    }
    match IpVersion::of_packet(packet) {
        Ok(IpVersion::Ipv4) => {
            let len = packet.len();
            let Ok(mut ip) = Ipv4Packet::new_checked(packet) else { return };
            if ip.next_header() == IpProtocol::Tcp && ip.frag_offset() == 0 && usize::from(ip.total_len()) == len {
                clamp_segment(ip.payload_mut(), max);
            }
        }
        #[cfg(feature = "ipv6")]
        Ok(IpVersion::Ipv6) => {
            let len = packet.len();
            let Ok(mut ip) = Ipv6Packet::new_checked(packet) else { return };
            if ip.next_header() == IpProtocol::Tcp && ip.total_len() == len {
                clamp_segment(ip.payload_mut(), max.saturating_sub(IPV6_EXTRA));
            }
        }
        Err(_) => {}
    }
}

/// Whether `packet` is a UDP datagram to `peer`, or may be a later fragment of one: a tunnel must not carry its own
/// packets.
pub fn is_udp_to(packet: &[u8], peer: SocketAddr) -> bool {
    match peer.ip() {
        IpAddr::V4(address) => Ipv4Packet::new_checked(packet).is_ok_and(|ip| {
            ip.version() == 4
                && ip.dst_addr() == address
                && ip.next_header() == IpProtocol::Udp
                && (ip.frag_offset() > 0 || is_to_port(ip.payload(), peer.port()))
        }),
        #[cfg(feature = "ipv6")]
        IpAddr::V6(address) => Ipv6Packet::new_checked(packet).is_ok_and(|ip| {
            ip.version() == 6
                && ip.dst_addr() == address
                && match ip.next_header() {
                    IpProtocol::Udp => is_to_port(ip.payload(), peer.port()),
                    IpProtocol::Ipv6Frag => ip.payload().first() == Some(&IpProtocol::Udp.into()),
                    _ => false,
                }
        }),
        #[cfg(not(feature = "ipv6"))]
        IpAddr::V6(_) => false,
    }
}

/// Looks at the port alone: the first fragment of a datagram is shorter than its length field says.
fn is_to_port(segment: &[u8], port: u16) -> bool {
    segment.get(2..4) == Some(port.to_be_bytes().as_slice())
}

fn clamp_segment(segment: &mut [u8], max: u16) {
    let Ok(mut tcp) = TcpPacket::new_checked(segment) else { return };
    if !tcp.syn() {
        return;
    }
    let mut options = tcp.options_mut();
    // A 16-bit word that starts at an odd offset enters the checksum with its bytes swapped.
    let mut odd = false;
    let mut differences = 0_u32;
    // To the end: of several sizes a receiver may believe any.
    loop {
        let len = match options {
            [] | [OPTION_END, ..] => break,
            [OPTION_NOP, ..] => 1,
            [OPTION_MSS, len, high, low, ..] if usize::from(*len) == OPTION_MSS_LEN => {
                let old = u16::from_be_bytes([*high, *low]);
                if old > max {
                    [*high, *low] = max.to_be_bytes();
                    let [old, new] = [old, max].map(|size| if odd { size.swap_bytes() } else { size });
                    differences = differences.wrapping_add(difference(old, new));
                }
                OPTION_MSS_LEN
            }
            [_, len, ..] if *len >= 2 => usize::from(*len),
            _ => break,
        };
        odd ^= len % 2 == 1;
        match options.get_mut(len..) {
            Some(rest) => options = rest,
            None => break,
        }
    }
    tcp.set_checksum(updated_checksum(tcp.checksum(), differences));
}

/// What an Internet checksum must take in when one 16-bit word goes from `old` to `new` (RFC 1624, equation 3).
fn difference(old: u16, new: u16) -> u32 {
    u32::from(!old).wrapping_add(u32::from(new))
}

/// The Internet checksum after these [`difference`]s, together.
fn updated_checksum(checksum: u16, differences: u32) -> u16 {
    let sum = u32::from(!checksum).wrapping_add(differences);
    let folded = (sum & 0xffff).wrapping_add(sum >> 16);
    let folded = (folded & 0xffff).wrapping_add(folded >> 16);
    !(folded as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::*;
    use std::vec::Vec;

    /// A SYN with these raw options; IPv4 or IPv6.
    fn syn(v6: bool, options: &[u8]) -> Vec<u8> {
        let tcp_len = 20 + options.len();
        let (header, source, destination): (Vec<u8>, IpAddress, IpAddress) = if v6 {
            let mut header = std::vec![0; 40];
            let repr = Ipv6Repr {
                src_addr: Ipv6Address::LOCALHOST,
                dst_addr: Ipv6Address::LOCALHOST,
                next_header: IpProtocol::Tcp,
                payload_len: tcp_len,
                hop_limit: 64,
            };
            repr.emit(&mut Ipv6Packet::new_unchecked(&mut header));
            (header, repr.src_addr.into(), repr.dst_addr.into())
        } else {
            let mut header = std::vec![0; 20];
            let repr = Ipv4Repr {
                src_addr: Ipv4Address::new(10, 1, 0, 1),
                dst_addr: Ipv4Address::new(10, 1, 0, 2),
                next_header: IpProtocol::Tcp,
                payload_len: tcp_len,
                hop_limit: 64,
            };
            repr.emit(&mut Ipv4Packet::new_unchecked(&mut header), &ChecksumCapabilities::default());
            (header, repr.src_addr.into(), repr.dst_addr.into())
        };
        let mut packet = header;
        let start = packet.len();
        packet.resize(start + tcp_len, 0);
        let mut tcp = TcpPacket::new_unchecked(&mut packet[start..]);
        tcp.set_header_len(tcp_len as u8);
        tcp.set_syn(true);
        tcp.set_seq_number(TcpSeqNumber(0x1234_5678));
        tcp.options_mut().copy_from_slice(options);
        tcp.fill_checksum(&source, &destination);
        packet
    }

    fn checksum_holds(packet: &[u8]) -> bool {
        match IpVersion::of_packet(packet).unwrap() {
            IpVersion::Ipv4 => {
                let ip = Ipv4Packet::new_checked(packet).unwrap();
                TcpPacket::new_checked(ip.payload())
                    .unwrap()
                    .verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into())
            }
            IpVersion::Ipv6 => {
                let ip = Ipv6Packet::new_checked(packet).unwrap();
                TcpPacket::new_checked(ip.payload())
                    .unwrap()
                    .verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into())
            }
        }
    }

    fn mss_after(v6: bool, options: &[u8], max: u16) -> Vec<u8> {
        let mut packet = syn(v6, options);
        clamp_mss(&mut packet, max);
        assert!(checksum_holds(&packet), "checksum of {options:02x?}");
        packet[if v6 { 60 } else { 40 }..].to_vec()
    }

    #[test]
    fn lowers_the_size_and_keeps_the_checksum() {
        assert_eq!(mss_after(false, &[2, 4, 0x05, 0xb4], 1375), [2, 4, 0x05, 0x5f]);
        assert_eq!(mss_after(true, &[2, 4, 0x05, 0xb4], 1375), [2, 4, 0x05, 0x4b]);
        // At an odd offset, behind other options, and never raised.
        assert_eq!(mss_after(false, &[1, 2, 4, 0xff, 0x01, 3, 3, 7], 0x0102)[..5], [1, 2, 4, 0x01, 0x02]);
        assert_eq!(mss_after(false, &[4, 2, 1, 1, 2, 4, 0x05, 0xb4], 1400)[4..], [2, 4, 0x05, 0x78]);
        assert_eq!(mss_after(false, &[2, 4, 0x02, 0x00], 1400), [2, 4, 0x02, 0x00]);
        // Found by fuzzing: of two sizes only the first was lowered, and a receiver may believe the second.
        let twice = mss_after(false, &[2, 4, 0x05, 0xb4, 1, 2, 4, 0x05, 0xb4, 0, 0, 0], 1400);
        assert_eq!(twice[..9], [2, 4, 0x05, 0x78, 1, 2, 4, 0x05, 0x78]);
    }

    #[test]
    fn leaves_everything_else_alone() {
        let good = syn(false, &[2, 4, 0x05, 0xb4]);
        let spoil = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut packet = good.clone();
            change(&mut packet);
            let before = packet.clone();
            clamp_mss(&mut packet, 536);
            assert_eq!(packet, before);
        };
        spoil(&|p| p[33] = 0x10); // no SYN
        spoil(&|p| p[9] = 17); // UDP
        spoil(&|p| p[7] = 1); // a later fragment
        spoil(&|p| p.push(0)); // longer than its header says
        spoil(&|p| p.truncate(30));
        spoil(&|p| p[0] = 0x4f); // header longer than the packet
        spoil(&|p| p[32] = 0xf0); // TCP header beyond the packet
        spoil(&|p| p[32] = 0x10); // TCP header too short
        spoil(&|p| p[41] = 0); // option of length 0
        spoil(&|p| p[41] = 5); // option beyond the header
        spoil(&|p| p.clear());
    }

    #[test]
    fn recognises_its_own_packets() {
        let peer = SocketAddr::from(([192, 0, 2, 1], 1194));
        // 20 bytes of IPv4, 8 of UDP.
        let mut packet =
            [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, 0x30, 0x39, 0x04, 0xaa, 0, 8, 0, 0];
        assert!(is_udp_to(&packet, peer));
        assert!(!is_udp_to(&packet, SocketAddr::from(([192, 0, 2, 1], 1195))));
        assert!(!is_udp_to(&packet, SocketAddr::from(([192, 0, 2, 2], 1194))));
        assert!(!is_udp_to(&packet[..20], peer));
        packet[3] = 24;
        assert!(is_udp_to(&packet[..24], peer), "the first fragment of one");
        packet[7] = 1;
        assert!(is_udp_to(&packet[..24], peer), "a later fragment of one");
        packet[9] = 6;
        assert!(!is_udp_to(&packet, peer), "TCP to the peer's address may pass");
        assert!(!is_udp_to(&[], "[2001:db8::1]:1194".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn never_panics_and_never_changes_the_length(mut packet in proptest::collection::vec(any::<u8>(), 0..120), max: u16) {
            if let Some(first) = packet.first_mut() {
                *first = if *first % 2 == 0 { 0x45 } else { 0x60 };
            }
            clamp_mss(&mut packet, max);
            is_udp_to(&packet, SocketAddr::from(([0, 0, 0, 0], max)));
            is_udp_to(&packet, SocketAddr::from(([0u16; 8], max)));
        }

        #[test]
        fn the_checksum_follows_any_change(old: u16, max in 1u16.., odd: bool, v6: bool) {
            let [high, low] = old.to_be_bytes();
            let options = if odd { [1, 2, 4, high, low, 0, 0, 0] } else { [2, 4, high, low, 1, 1, 0, 0] };
            mss_after(v6, &options, max);
        }
    }
}
