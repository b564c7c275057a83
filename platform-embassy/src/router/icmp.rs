//! The ICMP errors of a router (RFC 1812 section 4.3, RFC 4443 section 2.4).

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv4Message, Icmpv4Packet, Icmpv6Message, Icmpv6Packet, IpAddress, IpProtocol, IpVersion, Ipv4Address,
    Ipv4Packet, Ipv4Repr, Ipv6Address, Ipv6Packet, Ipv6Repr,
};

/// The longest error, in bytes: what every IPv6 link carries.
pub(crate) const ERROR_MAX: usize = 1280;

/// The longest error of IPv4, in bytes.
const IPV4_ERROR_MAX: usize = 576;

const ICMP_HEADER: usize = 8;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const HOP_LIMIT: u8 = 64;

/// The most IPv6 extension headers that are looked behind.
const EXTENSIONS_MAX: usize = 8;

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    NetUnreachable,
    HostUnreachable,
    TimeExceeded,
    /// The packet is longer than this many bytes.
    TooBig(usize),
}

/// The sender of `packet`.
pub(crate) fn source(packet: &[u8]) -> Option<IpAddress> {
    // `IpVersion::of_packet` reads the first byte unasked.
    packet.first()?;
    match IpVersion::of_packet(packet).ok()? {
        IpVersion::Ipv4 => Some(Ipv4Packet::new_checked(packet).ok()?.src_addr().into()),
        IpVersion::Ipv6 => Some(Ipv6Packet::new_checked(packet).ok()?.src_addr().into()),
    }
}

/// Writes the error about `packet`, which is whole and has a valid header, from `own` to its sender. `None` if there
/// must be none about it, or no room.
pub(crate) fn write_error(complaint: Complaint, own: IpAddress, packet: &[u8], out: &mut [u8]) -> Option<usize> {
    if !may_be_answered(packet) {
        return None;
    }
    match own {
        IpAddress::Ipv4(own) => write_ipv4(complaint, own, packet, out),
        IpAddress::Ipv6(own) => write_ipv6(complaint, own, packet, out),
    }
}

/// Whether an error about `packet` may be sent: not if it is one itself, nor if it is a later fragment.
pub(crate) fn may_be_answered(packet: &[u8]) -> bool {
    // `IpVersion::of_packet` reads the first byte unasked.
    if packet.is_empty() {
        return false;
    }
    match IpVersion::of_packet(packet) {
        Ok(IpVersion::Ipv4) => Ipv4Packet::new_checked(packet).is_ok_and(|ip| {
            let message = ip.payload().first().map(|byte| Icmpv4Message::from(*byte));
            ip.frag_offset() == 0 && (ip.next_header() != IpProtocol::Icmp || message.is_some_and(is_query))
        }),
        Ok(IpVersion::Ipv6) => {
            Ipv6Packet::new_checked(packet).is_ok_and(|ip| may_be_answered_ipv6(ip.next_header(), ip.payload()))
        }
        Err(_) => false,
    }
}

fn is_query(message: Icmpv4Message) -> bool {
    matches!(
        message,
        Icmpv4Message::EchoRequest
            | Icmpv4Message::EchoReply
            | Icmpv4Message::Timestamp
            | Icmpv4Message::TimestampReply
    )
}

/// Looks for an ICMP message behind the extension headers.
fn may_be_answered_ipv6(mut header: IpProtocol, mut rest: &[u8]) -> bool {
    for _ in 0..EXTENSIONS_MAX {
        let len = match (header, rest) {
            (IpProtocol::Icmpv6, [message, ..]) => {
                return *message >= 128 && Icmpv6Message::from(*message) != Icmpv6Message::Redirect;
            }
            (IpProtocol::Ipv6Frag, [_, _, high, low, ..]) => {
                if u16::from_be_bytes([*high, *low]) >> 3 != 0 {
                    return false;
                }
                8
            }
            (IpProtocol::HopByHop | IpProtocol::Ipv6Route | IpProtocol::Ipv6Opts, [_, len, ..]) => {
                usize::from(*len).saturating_add(1).saturating_mul(8)
            }
            (IpProtocol::Icmpv6 | IpProtocol::Ipv6Frag, _) => return false,
            (IpProtocol::HopByHop | IpProtocol::Ipv6Route | IpProtocol::Ipv6Opts, _) => return false,
            _ => return true,
        };
        let (Some(next), Some(behind)) = (rest.first(), rest.get(len..)) else { return false };
        (header, rest) = ((*next).into(), behind);
    }
    false
}

fn write_ipv4(complaint: Complaint, own: Ipv4Address, packet: &[u8], out: &mut [u8]) -> Option<usize> {
    let to = Ipv4Packet::new_checked(packet).ok()?.src_addr();
    let overhead = const { IPV4_HEADER + ICMP_HEADER };
    let quote_len = packet.len().min(IPV4_ERROR_MAX.min(out.len()).checked_sub(overhead)?);
    let len = overhead.checked_add(quote_len)?;
    let header = Ipv4Repr {
        src_addr: own,
        dst_addr: to,
        next_header: IpProtocol::Icmp,
        payload_len: ICMP_HEADER.checked_add(quote_len)?,
        hop_limit: HOP_LIMIT,
    };
    let (ip, body) = out.get_mut(..len)?.split_at_mut_checked(IPV4_HEADER)?;
    header.emit(&mut Ipv4Packet::new_unchecked(ip), &ChecksumCapabilities::default());
    let (message, code, mtu) = match complaint {
        Complaint::NetUnreachable => (Icmpv4Message::DstUnreachable, 0, 0),
        Complaint::HostUnreachable => (Icmpv4Message::DstUnreachable, 1, 0),
        Complaint::TimeExceeded => (Icmpv4Message::TimeExceeded, 0, 0),
        Complaint::TooBig(mtu) => (Icmpv4Message::DstUnreachable, 4, u16::try_from(mtu).unwrap_or(u16::MAX)),
    };
    body.get_mut(4..6)?.fill(0);
    body.get_mut(6..8)?.copy_from_slice(&mtu.to_be_bytes());
    body.get_mut(ICMP_HEADER..)?.copy_from_slice(packet.get(..quote_len)?);
    let mut icmp = Icmpv4Packet::new_unchecked(body);
    icmp.set_msg_type(message);
    icmp.set_msg_code(code);
    icmp.fill_checksum();
    Some(len)
}

fn write_ipv6(complaint: Complaint, own: Ipv6Address, packet: &[u8], out: &mut [u8]) -> Option<usize> {
    let to = Ipv6Packet::new_checked(packet).ok()?.src_addr();
    let overhead = const { IPV6_HEADER + ICMP_HEADER };
    let quote_len = packet.len().min(ERROR_MAX.min(out.len()).checked_sub(overhead)?);
    let len = overhead.checked_add(quote_len)?;
    let header = Ipv6Repr {
        src_addr: own,
        dst_addr: to,
        next_header: IpProtocol::Icmpv6,
        payload_len: ICMP_HEADER.checked_add(quote_len)?,
        hop_limit: HOP_LIMIT,
    };
    let (ip, body) = out.get_mut(..len)?.split_at_mut_checked(IPV6_HEADER)?;
    header.emit(&mut Ipv6Packet::new_unchecked(ip));
    let (message, code, mtu) = match complaint {
        Complaint::NetUnreachable => (Icmpv6Message::DstUnreachable, 0, 0),
        Complaint::HostUnreachable => (Icmpv6Message::DstUnreachable, 3, 0),
        Complaint::TimeExceeded => (Icmpv6Message::TimeExceeded, 0, 0),
        Complaint::TooBig(mtu) => (Icmpv6Message::PktTooBig, 0, u32::try_from(mtu).unwrap_or(u32::MAX)),
    };
    body.get_mut(4..8)?.copy_from_slice(&mtu.to_be_bytes());
    body.get_mut(ICMP_HEADER..)?.copy_from_slice(packet.get(..quote_len)?);
    let mut icmp = Icmpv6Packet::new_unchecked(body);
    icmp.set_msg_type(message);
    icmp.set_msg_code(code);
    icmp.fill_checksum(&own, &to);
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::samples::{ping, ping6, udp, udp6};
    use proptest::prelude::*;
    use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Repr, Icmpv6DstUnreachable, Icmpv6Repr};

    const OWN: IpAddress = IpAddress::v4(192, 168, 1, 1);
    const OWN6: IpAddress = IpAddress::v6(0xfd00, 1, 0, 0, 0, 0, 0, 1);

    fn error(complaint: Complaint, own: IpAddress, packet: &[u8]) -> Option<std::vec::Vec<u8>> {
        let mut out = [0xaa; ERROR_MAX];
        write_error(complaint, own, packet, &mut out).map(|len| out[..len].to_vec())
    }

    #[test]
    fn errors_of_ipv4_are_understood() {
        let packet = udp("192.168.1.7", "10.20.0.1", 900);
        let all = [
            (Complaint::NetUnreachable, 3, 0, 0),
            (Complaint::HostUnreachable, 3, 1, 0),
            (Complaint::TimeExceeded, 11, 0, 0),
            (Complaint::TooBig(1400), 3, 4, 1400),
        ];
        for (complaint, message, code, mtu) in all {
            let bytes = error(complaint, OWN, &packet).unwrap();
            let ip = Ipv4Packet::new_checked(&bytes[..]).unwrap();
            assert!(ip.verify_checksum() && ip.dst_addr() == Ipv4Address::new(192, 168, 1, 7));
            assert_eq!((bytes.len(), usize::from(ip.total_len())), (576, 576));
            let icmp = Icmpv4Packet::new_checked(ip.payload()).unwrap();
            assert_eq!((u8::from(icmp.msg_type()), icmp.msg_code()), (message, code));
            assert_eq!(ip.payload()[4..8], [0, 0, (mtu >> 8) as u8, mtu as u8]);
            assert!(icmp.verify_checksum());
            assert_eq!(ip.payload()[8..], packet[..548]);
            assert!(!may_be_answered(&bytes), "no error about an error");
        }
        let short = error(Complaint::NetUnreachable, OWN, &udp("192.168.1.7", "10.20.0.1", 4)).unwrap();
        let ip = Ipv4Packet::new_checked(&short[..]).unwrap();
        let icmp = Icmpv4Packet::new_checked(ip.payload()).unwrap();
        let repr = Icmpv4Repr::parse(&icmp, &ChecksumCapabilities::default()).unwrap();
        assert!(matches!(repr, Icmpv4Repr::DstUnreachable { reason: Icmpv4DstUnreachable::NetUnreachable, header, .. }
                if header.dst_addr == Ipv4Address::new(10, 20, 0, 1)));
    }

    #[test]
    fn errors_of_ipv6_are_understood() {
        let packet = udp6("fd00:1::7", "fd00:2::1", 1400);
        let bytes = error(Complaint::TooBig(1400), OWN6, &packet).unwrap();
        assert_eq!(bytes.len(), 1280);
        let parse = |bytes: &[u8]| {
            let ip = Ipv6Packet::new_checked(bytes).unwrap();
            let icmp = Icmpv6Packet::new_checked(ip.payload()).unwrap();
            assert_eq!(ip.dst_addr(), "fd00:1::7".parse::<Ipv6Address>().unwrap());
            assert!(icmp.verify_checksum(&ip.src_addr(), &ip.dst_addr()));
            match Icmpv6Repr::parse(&ip.src_addr(), &ip.dst_addr(), &icmp, &ChecksumCapabilities::default()).unwrap() {
                Icmpv6Repr::PktTooBig { mtu, .. } => std::format!("{mtu}"),
                Icmpv6Repr::DstUnreachable { reason: Icmpv6DstUnreachable::NoRoute, .. } => "net".into(),
                Icmpv6Repr::DstUnreachable { reason: Icmpv6DstUnreachable::AddrUnreachable, .. } => "host".into(),
                Icmpv6Repr::TimeExceeded { .. } => "time".into(),
                other => std::format!("{other:?}"),
            }
        };
        assert_eq!(parse(&bytes), "1400");
        let packet = udp6("fd00:1::7", "fd00:2::1", 4);
        assert_eq!(parse(&error(Complaint::NetUnreachable, OWN6, &packet).unwrap()), "net");
        assert_eq!(parse(&error(Complaint::HostUnreachable, OWN6, &packet).unwrap()), "host");
        assert_eq!(parse(&error(Complaint::TimeExceeded, OWN6, &packet).unwrap()), "time");
    }

    #[test]
    fn some_packets_get_no_answer() {
        assert!(may_be_answered(&ping("192.168.1.7", "10.20.0.1", 8)));
        assert!(may_be_answered(&ping6("fd00:1::7", "fd00:2::1", 8)));
        let mut later = udp("192.168.1.7", "10.20.0.1", 8);
        later[7] = 1;
        assert!(!may_be_answered(&later));
        for message in [3, 4, 5, 11, 12, 200] {
            let mut icmp = ping("192.168.1.7", "10.20.0.1", 8);
            icmp[20] = message;
            assert!(!may_be_answered(&icmp), "ICMP {message}");
        }
        let extended = |headers: &[u8], first: u8| {
            let mut packet = udp6("fd00:1::7", "fd00:2::1", 8);
            packet[6] = first;
            packet[4..6].copy_from_slice(&(headers.len() as u16).to_be_bytes());
            packet.truncate(40);
            packet.extend_from_slice(headers);
            may_be_answered(&packet)
        };
        assert!(extended(&[17, 0, 1, 4, 0, 0, 0, 0, 1, 2, 3, 4], 0), "hop-by-hop, then UDP");
        assert!(!extended(&[58, 0, 1, 4, 0, 0, 0, 0, 1, 0, 0, 0], 0), "hop-by-hop, then an error");
        assert!(extended(&[58, 0, 1, 4, 0, 0, 0, 0, 128, 0, 0, 0], 60), "destination options, then a ping");
        assert!(!extended(&[58, 0, 1, 4, 0, 0, 0, 0, 137, 0, 0, 0], 43), "routing, then a redirect");
        assert!(extended(&[17, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4], 44), "the first fragment");
        assert!(!extended(&[17, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3, 4], 44), "a later fragment");
        assert!(!extended(&[17, 9, 1, 4, 0, 0, 0, 0], 0), "an extension header beyond the packet");
        assert!(!extended(&[17], 0) && !extended(&[], 58) && !extended(&[17, 0, 0], 44));
        assert!(!extended(&[0; 128], 0), "too many of them");
    }

    proptest! {
        #[test]
        fn never_panics(v6: bool, mut packet in proptest::collection::vec(any::<u8>(), 0..200), room in 0..ERROR_MAX) {
            if let Some(first) = packet.first_mut() {
                *first = if v6 { 0x60 } else { 0x40 | *first & 15 };
            }
            let mut out = [0; ERROR_MAX];
            let own = if v6 { OWN6 } else { OWN };
            if let Some(len) = write_error(Complaint::TimeExceeded, own, &packet, &mut out[..room]) {
                prop_assert!(len <= room);
            }
        }
    }
}
