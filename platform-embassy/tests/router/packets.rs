//! Single packets, made and looked at by hand.

use embassy_time::Duration;
use longcable_embassy::router::{Lan, Refusal};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol,
    Ipv4Address, Ipv4Packet, Ipv4Repr,
};

use super::network::Port;
use super::world::{BOARD, BOARD_MAC, HOST_MAC, QUEUE, TUNNEL_MTU, World};

const HOST: Ipv4Address = Ipv4Address::new(192, 168, 1, 7);
const BOARD_ON_LAN: Ipv4Address = Ipv4Address::new(192, 168, 1, 1);
const BOARD_IN_TUNNEL: Ipv4Address = Ipv4Address::new(10, 8, 0, 2);
const PEER: Ipv4Address = Ipv4Address::new(10, 20, 0, 1);

/// A UDP datagram of so many bytes in all.
fn datagram(from: Ipv4Address, to: Ipv4Address, len: usize, hop_limit: u8) -> Vec<u8> {
    let header =
        Ipv4Repr { src_addr: from, dst_addr: to, next_header: IpProtocol::Udp, payload_len: len - 20, hop_limit };
    let mut packet = vec![0; len];
    header.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &ChecksumCapabilities::default());
    packet[20..24].copy_from_slice(&[0x30, 0x39, 0, 7]);
    packet
}

fn may_be_fragmented(mut packet: Vec<u8>) -> Vec<u8> {
    let mut ip = Ipv4Packet::new_unchecked(&mut packet);
    ip.set_dont_frag(false);
    ip.fill_checksum();
    packet
}

fn frame(to: [u8; 6], ethertype: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 14];
    let header = EthernetRepr { src_addr: EthernetAddress(HOST_MAC), dst_addr: EthernetAddress(to), ethertype };
    header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    frame.extend_from_slice(payload);
    frame
}

fn put_ip(host: &Port, packet: &[u8]) {
    host.put(&frame(BOARD_MAC, EthernetProtocol::Ipv4, packet));
}

/// The IPv4 packets among what has come to the host.
fn take_ip(host: &Port) -> Vec<Vec<u8>> {
    host.take()
        .iter()
        .filter(|frame| EthernetFrame::new_unchecked(frame).ethertype() == EthernetProtocol::Ipv4)
        .map(|frame| {
            let frame = EthernetFrame::new_unchecked(frame);
            assert_eq!((frame.src_addr().0, frame.dst_addr().0), (BOARD_MAC, HOST_MAC));
            frame.payload().to_vec()
        })
        .collect()
}

/// The addresses that the board asks for.
fn questions(host: &Port) -> Vec<Ipv4Address> {
    let frames = host.take();
    let of_frame = |frame: &Vec<u8>| {
        let frame = EthernetFrame::new_unchecked(frame);
        let arp =
            ArpPacket::new_checked(frame.payload()).ok().filter(|_| frame.ethertype() == EthernetProtocol::Arp)?;
        let ArpRepr::EthernetIpv4 { operation, source_protocol_addr, target_protocol_addr, .. } =
            ArpRepr::parse(&arp).unwrap()
        else {
            panic!("another kind of ARP")
        };
        assert_eq!((operation, source_protocol_addr), (ArpOperation::Request, BOARD_ON_LAN));
        assert_eq!(frame.dst_addr(), EthernetAddress::BROADCAST);
        Some(target_protocol_addr)
    };
    frames.iter().filter_map(of_frame).collect()
}

fn answer(host: &Port, sender: Ipv4Address) {
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(HOST_MAC),
        source_protocol_addr: sender,
        target_hardware_addr: EthernetAddress(BOARD_MAC),
        target_protocol_addr: BOARD_ON_LAN,
    };
    let mut packet = [0; 28];
    arp.emit(&mut ArpPacket::new_unchecked(&mut packet[..]));
    host.put(&frame(BOARD_MAC, EthernetProtocol::Arp, &packet));
}

/// Type, code, the last half of the second word, and the packet it is about.
fn icmp(packet: &[u8], from: Ipv4Address, to: Ipv4Address) -> (u8, u8, u16, &[u8]) {
    let ip = Ipv4Packet::new_checked(packet).unwrap();
    assert_eq!((ip.src_addr(), ip.dst_addr(), ip.next_header()), (from, to, IpProtocol::Icmp));
    let body = &packet[20..];
    (body[0], body[1], u16::from_be_bytes([body[6], body[7]]), &body[8..])
}

const SOON: Duration = Duration::from_millis(20);

#[test]
fn a_packet_waits_for_its_neighbor() {
    let mut world = World::new();
    let (host, peer) = world.ends();
    peer.put(&datagram(PEER, HOST, 100, 64));
    world.run(SOON);
    assert_eq!(questions(&host), [HOST]);
    answer(&host, HOST);
    world.run(SOON);
    assert_eq!(take_ip(&host), [datagram(PEER, HOST, 100, 63)]);
    for _ in 0..3 {
        peer.put(&datagram(PEER, HOST, 200, 64));
    }
    world.run(SOON);
    assert_eq!(take_ip(&host), vec![datagram(PEER, HOST, 200, 63); 3], "known by now");
    assert_eq!(world.router.counters().to_lan, 4);
}

#[test]
fn an_absent_neighbor_is_reported() {
    let mut world = World::new();
    let (host, peer) = world.ends();
    peer.put(&datagram(PEER, HOST, 100, 64));
    world.run(Duration::from_millis(2900));
    assert_eq!(questions(&host), [HOST; 3], "one a second");
    assert!(peer.take().is_empty());
    world.run(Duration::from_millis(200));
    let errors = peer.take();
    let about = datagram(PEER, HOST, 100, 63);
    assert_eq!(errors.len(), 1);
    assert_eq!(icmp(&errors[0], BOARD_IN_TUNNEL, PEER), (3, 1, 0, &about[..]));
    assert_eq!(world.router.counters().refused(Refusal::NoNeighbor), 1);

    // Two are looked for at a time; nobody else waits for long.
    for last in 50..60 {
        peer.put(&datagram(PEER, Ipv4Address::new(192, 168, 1, last), 100, 64));
        world.run(Duration::from_millis(1));
    }
    assert_eq!(world.router.counters().refused(Refusal::NeighborsFull), 8);
    world.run(Duration::from_secs(4));
    peer.put(&datagram(PEER, HOST, 100, 64));
    host.take();
    world.run(SOON);
    assert_eq!(questions(&host), [HOST]);
}

#[test]
fn errors_go_back_to_the_lan() {
    let mut world = World::new();
    let (host, peer) = world.ends();
    let unknown = Ipv4Address::new(8, 8, 8, 8);
    let limit = TUNNEL_MTU as u16;
    let cases = [
        (datagram(HOST, PEER, 100, 1), (11, 0, 0), Refusal::Expired),
        (datagram(HOST, unknown, 100, 64), (3, 0, 0), Refusal::NoRoute),
        (datagram(HOST, BOARD_IN_TUNNEL, 100, 64), (3, 1, 0), Refusal::OtherSide),
        (datagram(HOST, PEER, TUNNEL_MTU + 1, 64), (3, 4, limit), Refusal::TooBig),
    ];
    for (packet, expected, why) in cases {
        put_ip(&host, &packet);
        world.run(SOON);
        let errors = take_ip(&host);
        assert_eq!(errors.len(), 1, "{why:?}");
        let (kind, code, mtu, about) = icmp(&errors[0], BOARD_ON_LAN, HOST);
        assert_eq!((kind, code, mtu), expected, "{why:?}");
        assert!(packet.starts_with(about), "{why:?}");
        assert_eq!(world.router.counters().refused(why), 1);
    }
    for (packet, why) in [
        (datagram(PEER, PEER, 100, 64), Refusal::Spoofed),
        (datagram(Ipv4Address::BROADCAST, PEER, 100, 64), Refusal::Martian),
    ] {
        put_ip(&host, &packet);
        world.run(SOON);
        assert_eq!(world.router.counters().refused(why), 1);
    }
    assert!(take_ip(&host).is_empty() && peer.take().is_empty());
    assert_eq!(world.router.counters().errors, 4);
    // By broadcast nothing is forwarded, and a packet for another host is not the board's business.
    for to in [[255; 6], [2, 0, 0, 0, 0, 99]] {
        host.put(&frame(to, EthernetProtocol::Ipv4, &datagram(HOST, PEER, 100, 64)));
    }
    world.run(SOON);
    assert!(peer.take().is_empty());
}

#[test]
fn errors_go_back_through_the_tunnel_at_a_limited_rate() {
    let mut world = World::new();
    let (_host, peer) = world.ends();
    for _ in 0..20 {
        peer.put(&datagram(PEER, Ipv4Address::new(8, 8, 8, 8), 100, 64));
        world.run(Duration::from_millis(1));
    }
    let errors = peer.take();
    assert_eq!(errors.len(), 10);
    assert!(errors.iter().all(|error| icmp(error, BOARD_IN_TUNNEL, PEER).0 == 3));
    assert_eq!(world.router.counters().refused(Refusal::NoRoute), 20);
}

#[test]
fn long_packets_are_fragmented() {
    let mut world = World::new();
    let (host, peer) = world.ends();
    let packet = may_be_fragmented(datagram(HOST, PEER, 1500, 64));
    put_ip(&host, &packet);
    world.run(SOON);
    let fragments = peer.take();
    let lens: Vec<usize> = fragments.iter().map(Vec::len).collect();
    assert_eq!(lens, [1396, 124]);
    let whole: Vec<u8> = fragments.iter().flat_map(|fragment| fragment[20..].to_vec()).collect();
    assert_eq!(whole, packet[20..]);
    assert_eq!(world.router.counters().fragmented, 1);
}

#[test]
fn nothing_is_kept_for_a_tunnel_that_is_down() {
    let mut world = World::new();
    let (host, peer) = world.ends();
    world.tunnel.set_credit(BOARD, 0);
    put_ip(&host, &datagram(HOST, PEER, 100, 64));
    world.run(SOON);
    world.tunnel.set_up(BOARD, false);
    world.run(SOON);
    put_ip(&host, &datagram(HOST, PEER, 100, 64));
    world.run(SOON);
    let errors = take_ip(&host);
    assert_eq!(errors.len(), 1);
    assert_eq!(icmp(&errors[0], BOARD_ON_LAN, HOST).0, 3);
    assert_eq!(world.router.counters().refused(Refusal::TunnelDown), 2);
    world.tunnel.set_credit(BOARD, usize::MAX);
    world.tunnel.set_up(BOARD, true);
    world.run(SOON);
    assert!(peer.take().is_empty());
    put_ip(&host, &datagram(HOST, PEER, 100, 64));
    world.run(SOON);
    assert_eq!(peer.take(), [datagram(HOST, PEER, 100, 63)]);
}

#[test]
fn a_slow_side_loses_packets_and_recovers() {
    let mut world = World::new();
    let (host, peer) = world.ends();
    world.tunnel.set_credit(BOARD, 0);
    for _ in 0..QUEUE + 3 {
        put_ip(&host, &datagram(HOST, PEER, 100, 64));
        world.run(SOON);
    }
    // Of a packet in two fragments both are lost, not one.
    world.tunnel.set_credit(BOARD, 1);
    world.run(SOON);
    put_ip(&host, &may_be_fragmented(datagram(HOST, PEER, 1500, 64)));
    world.run(SOON);
    assert_eq!(world.router.counters().refused(Refusal::QueueFull), 4);
    world.tunnel.set_credit(BOARD, usize::MAX);
    world.run(SOON);
    assert_eq!(peer.take(), vec![datagram(HOST, PEER, 100, 63); QUEUE]);

    // The same towards the LAN.
    world.wire.set_credit(BOARD, 0);
    for _ in 0..QUEUE + 3 {
        peer.put(&datagram(PEER, HOST, 100, 64));
        world.run(SOON);
    }
    // One more than into the other queue: it waits for its neighbor elsewhere.
    assert_eq!(world.router.counters().refused(Refusal::QueueFull), 4 + 2);
    world.wire.set_credit(BOARD, usize::MAX);
    world.run(SOON);
    assert_eq!(questions(&host), [HOST]);
    answer(&host, HOST);
    world.run(SOON);
    assert_eq!(take_ip(&host), [datagram(PEER, HOST, 100, 63)], "the newest has waited");
}

#[test]
fn the_lan_may_change() {
    let mut world = World::new();
    let (host, peer) = world.ends();
    world.router.set_lan(Lan::default());
    put_ip(&host, &datagram(HOST, PEER, 100, 64));
    peer.put(&datagram(PEER, HOST, 100, 64));
    world.run(SOON);
    assert!(peer.take().iter().all(|packet| icmp(packet, BOARD_IN_TUNNEL, PEER).0 == 3));
    assert!(questions(&host).is_empty());
    world.router.set_lan(Lan { ipv4: Some("192.168.1.1/24".parse().unwrap()), ..Lan::default() });
    put_ip(&host, &datagram(HOST, PEER, 100, 64));
    world.run(SOON);
    assert_eq!(peer.take(), [datagram(HOST, PEER, 100, 63)]);
}
