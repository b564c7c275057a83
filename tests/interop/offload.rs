//! Many packets in one system call: whatever either end makes of that, the same bytes arrive, in the same order.

use std::io::{self, IoSlice, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use longcable::link::udp::{Family, Received, SendOutcome, UdpLink, UdpOptions};
use longcable_core::tls::Role;
use longcable_tests::support::{Lab, Link, PATIENCE, Program, Site, poll, tcp_check};
use socket2::{Domain, Protocol, Socket, Type};

const ALL_OFF: &str = "disable-tun-offload\ndisable-udp-gso\ndisable-udp-gro";
const SWITCHES: [&str; 5] = ["", "disable-tun-offload", "disable-udp-gso", "disable-udp-gro", ALL_OFF];

const IPV6_INSIDE: [&str; 2] = ["ifconfig-ipv6 fd09::1/64 fd09::2", "ifconfig-ipv6 fd09::2/64 fd09::1"];

for_each_pair! {
    fn content_and_order_are_kept_with_a_static_key(programs) {
        for nth in 0..SWITCHES.len() {
            let lab = Lab::new();
            let [left, right] = configs(programs, nth);
            let link = Link::up(&lab, programs, [&left, &right]);
            transfer(&lab, &link);
            link.stop();
        }
    }
}

for_each_pair! {
    fn content_and_order_are_kept_with_tls(programs) {
        for nth in 0..SWITCHES.len() {
            let lab = Lab::new();
            let [left, right] = configs(programs, nth);
            let link = Link::tls(&lab, programs, Role::Client, [&left, &right]);
            transfer(&lab, &link);
            link.stop();
        }
    }
}

// Inside packets that are larger than any outside, up to the largest that a datagram has room for.
for_each_pair! {
    fn large_packets_pass(programs) {
        for (mtu, tls) in [(9000, false), (48_000, false), (48_000, true), (65_400, false), (65_400, true)] {
            let lab = Lab::new();
            let more = format!("tun-mtu {mtu}\nmssfix 0");
            let link = if tls {
                Link::tls(&lab, programs, Role::Client, [&more, &more])
            } else {
                Link::up(&lab, programs, [&more, &more])
            };
            link.check_tcp(2 << 20);
            let largest = vec![0x5a; mtu - 28];
            let [near, far] = sockets(&lab.left, &lab.right, lab.right.inside.into());
            assert_eq!(near.send(&largest, far.local_addr().expect("bound")), SendOutcome::Sent);
            let mut buffer = vec![0; 65_535];
            let length = receive(&far, &mut buffer);
            assert!(buffer[..length] == largest, "{length} bytes of {}, or others", largest.len());
            link.stop();
        }
    }
}

// With `passtos` the outside shows what the inside says, congestion marks too; without, nothing. Inside nothing changes.
for_each_pair! {
    fn the_type_of_service_is_carried(programs) {
        for (more, mask) in [("", 0), ("passtos", 0xff)] {
            let lab = Lab::new();
            let link = Link::up(&lab, programs, [more, ""]);
            let open = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP));
            let raw = lab.right.namespace.inside(open).expect("a raw socket");
            raw.set_read_timeout(Some(PATIENCE)).expect("a time limit");
            let [near, far] = sockets(&lab.left, &lab.right, lab.right.inside.into());
            let to = far.local_addr().expect("bound");
            // Nothing; EF; EF and AF11 that can tell of congestion, CS1 that has met some.
            for tos in [0, 0xb8, 0xb9, 0x2a, 0x23] {
                near.set_tos(tos).expect("a type of service");
                near.send_batch(&[IoSlice::new(&[1; 1000]); 8], to, |error| panic!("{error}"));
                near.send(&[2; 900], to);
                let mut left = 8900;
                while left > 0 {
                    let mut packet = vec![0; 65_535];
                    let length = (&raw).read(&mut packet).expect("a packet");
                    let port = u16::from_be_bytes([packet[22], packet[23]]);
                    if port == to.port() {
                        assert_eq!(packet[1], tos, "inside");
                        left -= length - 28;
                    } else if length > 900 {
                        // Pings and the like are smaller.
                        assert_eq!(packet[1], tos & mask, "outside, {tos:#x} with '{more}'");
                    }
                }
            }
            link.stop();
        }
    }
}

/// A full send buffer holds packets back where TCP notices, instead of losing them.
#[test]
fn a_slow_network_loses_nothing() {
    let lab = Lab::new();
    for site in [&lab.left, &lab.right] {
        let said = site.output("tc qdisc add dev eth0 root tbf rate 60mbit burst 64kb limit 20mb");
        assert!(said.is_empty(), "this needs a kernel with sch_tbf: {said}");
    }
    let more = "sndbuf 8000";
    let link = Link::up(&lab, [Program::Longcable; 2], [more, more]);
    link.check_tcp(8 << 20);
    for end in [&link.left, &link.right] {
        assert_eq!(end.count("the send buffer is full"), 0);
    }
    link.stop();
}

/// The kernel does the work itself where an interface cannot, or longcable does.
#[test]
fn interfaces_need_no_offloads() {
    for features in ["tso off gso off gro off", "tso off gso off gro off tx off rx off"] {
        let lab = Lab::new();
        for site in [&lab.left, &lab.right] {
            site.output(&format!("ethtool -K eth0 {features}"));
            let said = site.output("ethtool -k eth0");
            assert!(said.contains("generic-segmentation-offload: off"), "this needs ethtool: {said}");
        }
        let link = Link::up(&lab, [Program::Longcable; 2], IPV6_INSIDE);
        transfer(&lab, &link);
        link.stop();
    }
}

/// A link that looks for packets before it sleeps passes the same ones, and ends when it is asked to.
#[test]
fn spinning_changes_nothing() {
    let lab = Lab::new();
    let [left, right] = IPV6_INSIDE.map(|line| format!("{line}\nspin 50"));
    let link = Link::up(&lab, [Program::Longcable; 2], [&left, &right]);
    transfer(&lab, &link);
    link.stop();
}

#[test]
fn the_log_says_what_is_active() {
    let line = |switches: &str| {
        let lab = Lab::new();
        let link = Link::up(&lab, [Program::Longcable; 2], [switches, ""]);
        let line = link.left.wait_for("Offload: ");
        link.stop();
        line
    };
    // Older kernels join no UDP for a device.
    let all = line("");
    assert!(all.contains("Offload: TUN TSO") && all.contains("; UDP GSO on, GRO on"), "{all}");
    assert!(line(ALL_OFF).contains("Offload: TUN none; UDP GSO off, GRO off"));
    assert!(line("disable-udp-gso").contains("; UDP GSO off, GRO on"));
    assert!(line("disable-udp-gro").contains("; UDP GSO on, GRO off"));
    assert!(line("disable-tun-offload").contains("Offload: TUN none; UDP GSO on, GRO on"));
}

/// The lines for both ends, of which two of ours never have the same switches. Openvpn knows none.
fn configs(programs: [Program; 2], nth: usize) -> [String; 2] {
    [0, 1].map(|side| {
        let switches = programs[side].words("", SWITCHES[(nth + side) % SWITCHES.len()]);
        format!("{}\n{switches}", IPV6_INSIDE[side])
    })
}

fn transfer(lab: &Lab, link: &Link<'_>) {
    link.check_tcp(8 << 20);
    tcp_check(&lab.left, &lab.right, IpAddr::V6(lab.right.inside6), 2 << 20);
    datagrams_check(&lab.left, &lab.right, lab.right.inside.into());
    datagrams_check(&lab.right, &lab.left, lab.left.inside6.into());
}

/// Datagrams of two flows side by side, large and small, alone and many at a time.
fn datagrams_check(from: &Site, to: &Site, address: IpAddr) {
    let [sender, one] = sockets(from, to, address);
    let [_, other] = sockets(from, to, address);
    let [to_one, to_other] = [&one, &other].map(|socket| socket.local_addr().expect("bound"));
    let mut buffer = vec![0; 2000];
    for (round, size) in [1, 30, 777, 1200, 1372, 2, 1300].into_iter().enumerate() {
        let fill = |at| vec![(round * 16 + at) as u8; if at < 15 { size } else { size / 2 + 1 }];
        let run: Vec<_> = (0..16).map(fill).collect();
        let parts: Vec<_> = run.iter().map(|datagram| IoSlice::new(datagram)).collect();
        // One flow all at once, the other piece by piece and in between.
        sender.send_batch(&parts[..8], to_one, |error| panic!("{error}"));
        for part in &parts {
            assert_eq!(sender.send(part, to_other), SendOutcome::Sent);
        }
        sender.send_batch(&parts[8..], to_one, |error| panic!("{error}"));
        for receiver in [&one, &other] {
            for expected in &run {
                let length = receive(receiver, &mut buffer);
                assert!(buffer[..length] == expected[..], "round {round}: {length} bytes, not as they were sent");
            }
        }
    }
}

/// One to send from here, one to receive there at this address.
fn sockets(from: &Site, to: &Site, address: IpAddr) -> [UdpLink; 2] {
    let (family, any): (_, IpAddr) = match address {
        IpAddr::V4(_) => (Family::V4, Ipv4Addr::UNSPECIFIED.into()),
        IpAddr::V6(_) => (Family::V6 { only: true }, Ipv6Addr::UNSPECIFIED.into()),
    };
    [(from, any), (to, address)].map(|(site, local)| {
        let options = UdpOptions { family, local: Some(SocketAddr::new(local, 0)), ..UdpOptions::default() };
        site.namespace.inside(|| UdpLink::open(&options).map_err(io::Error::other)).expect("a UDP socket")
    })
}

fn receive(socket: &UdpLink, buffer: &mut [u8]) -> usize {
    let next = || match socket.receive(buffer) {
        Received::Datagram { length, .. } => Some(length),
        Received::WouldBlock => None,
        Received::Failed(error) => panic!("{error}"),
    };
    poll(PATIENCE, next).expect("a datagram")
}
