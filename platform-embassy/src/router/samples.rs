//! Packets and networks for the tests: 192.168.1.1/24 and fd00:1::1/64 on the LAN, 10.8.0.2/24 and fd00:8::2/64 in the
//! tunnel, 10.20.0.0/16 (but not 10.20.9.0/24) and fd00:2::/32 behind it.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr};
use std::vec::Vec;

use super::table::{Lan, Side, Table, Tunnel};

pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.lan = lan();
    table.tunnel = Tunnel {
        ipv4: Some("10.8.0.2/24".parse().unwrap()),
        ipv6: Some("fd00:8::2/64".parse().unwrap()),
        networks: heapless::Vec::from_slice(&[
            ("10.20.0.0/16".parse().unwrap(), Side::Tunnel),
            ("10.20.9.0/24".parse().unwrap(), Side::Lan),
            ("fd00:2::/32".parse().unwrap(), Side::Tunnel),
        ])
        .unwrap(),
    };
    table.lan_mtu = 1500;
    table.tunnel_mtu = 1400;
    table.tunnel_up = true;
    table
}

pub(crate) fn lan() -> Lan {
    Lan { ipv4: Some("192.168.1.1/24".parse().unwrap()), ipv6: Some("fd00:1::1/64".parse().unwrap()), ..Lan::default() }
}

/// A UDP datagram with this many bytes behind its header.
pub(crate) fn udp(from: &str, to: &str, len: usize) -> Vec<u8> {
    ipv4(from, to, IpProtocol::Udp, &[[0x30, 0x39, 0, 7, 0, 0, 0, 0].as_slice(), &counting(len)].concat())
}

pub(crate) fn udp6(from: &str, to: &str, len: usize) -> Vec<u8> {
    ipv6(from, to, IpProtocol::Udp, &[[0x30, 0x39, 0, 7, 0, 0, 0, 0].as_slice(), &counting(len)].concat())
}

/// An echo request with this many bytes behind its header.
pub(crate) fn ping(from: &str, to: &str, len: usize) -> Vec<u8> {
    ipv4(from, to, IpProtocol::Icmp, &[[8, 0, 0, 0, 0, 1, 0, 1].as_slice(), &counting(len)].concat())
}

pub(crate) fn ping6(from: &str, to: &str, len: usize) -> Vec<u8> {
    ipv6(from, to, IpProtocol::Icmpv6, &[[128, 0, 0, 0, 0, 1, 0, 1].as_slice(), &counting(len)].concat())
}

pub(crate) fn ipv4(from: &str, to: &str, next_header: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let header = Ipv4Repr {
        src_addr: from.parse().unwrap(),
        dst_addr: to.parse().unwrap(),
        next_header,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut packet = std::vec![0; 20];
    header.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &ChecksumCapabilities::default());
    packet.extend_from_slice(payload);
    let mut ip = Ipv4Packet::new_unchecked(&mut packet);
    ip.set_dont_frag(false);
    ip.set_ident(0x4711);
    ip.fill_checksum();
    packet
}

pub(crate) fn ipv6(from: &str, to: &str, next_header: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Repr {
        src_addr: from.parse().unwrap(),
        dst_addr: to.parse().unwrap(),
        next_header,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut packet = std::vec![0; 40];
    header.emit(&mut Ipv6Packet::new_unchecked(&mut packet));
    packet.extend_from_slice(payload);
    packet
}

fn counting(len: usize) -> Vec<u8> {
    (0..len).map(|n| n as u8).collect()
}
