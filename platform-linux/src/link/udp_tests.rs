//! The UDP link in network namespaces of its own.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::SockRef;

use super::{Family, LinkError, MtuDiscovery, Received, SendOutcome, UdpError, UdpLink, UdpOptions};
use crate::net::testing::{in_namespace, wait_until_local};
use crate::net::{InterfaceAddress, Netlink};
use crate::tun::{InterfaceConfig, Tun, TunOptions};

const V6: Family = Family::V6 { only: true };

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn link(family: Family, local: &str) -> UdpLink {
    UdpLink::open(&UdpOptions { family, local: Some(at(local)), ..UdpOptions::default() }).unwrap()
}

/// What the descriptor reports within the time, as an event loop sees it.
fn ready(link: &UdpLink, within: Duration) -> bool {
    let timeout = PollTimeout::try_from(within).unwrap();
    poll(&mut [PollFd::new(link.as_fd(), PollFlags::POLLIN)], timeout).unwrap() == 1
}

fn datagram(link: &UdpLink) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2000];
    assert!(ready(link, Duration::from_secs(5)), "nothing came within 5 s");
    match link.receive(&mut buffer) {
        Received::Datagram { length, from } => (buffer[..length].to_vec(), from),
        other => panic!("{other:?}"),
    }
}

fn failure(link: &UdpLink) -> LinkError {
    assert!(ready(link, Duration::from_secs(5)), "no error came within 5 s");
    match link.receive(&mut [0; 2000]) {
        Received::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

fn assert_quiet(link: &UdpLink) {
    assert_eq!(link.receive(&mut [0; 2000]), Received::WouldBlock);
    assert!(!ready(link, Duration::ZERO), "errors left would wake the event loop for ever");
}

fn give_addresses(netlink: &Netlink) {
    let (near, far) = netlink.add_veth("lcn8", "lcn9").unwrap();
    let subnet = |local: &str, prefix| InterfaceAddress::Subnet { local: local.parse().unwrap(), prefix };
    netlink.add_address(&near, subnet("192.0.2.1", 32)).unwrap();
    netlink.add_address(&near, subnet("fd00::1", 128)).unwrap();
    netlink.set_up(&near, true).unwrap();
    netlink.set_up(&far, true).unwrap();
    wait_until_local(netlink, "fd00::1".parse().unwrap());
}

#[test]
fn datagrams_pass_over_both_families() {
    in_namespace(|netlink| {
        give_addresses(netlink);
        for (family, near, far) in [
            (Family::V4, "192.0.2.1:1194", "127.0.0.1:1195"),
            (V6, "[fd00::1]:1194", "[::1]:1195"),
            (Family::Any, "192.0.2.1:1194", "192.0.2.1:1195"),
            (Family::Any, "[fd00::1]:1194", "[::1]:1195"),
            (Family::V6 { only: false }, "192.0.2.1:1194", "127.0.0.1:1195"),
        ] {
            let (a, b) = (link(family, near), link(if at(far).is_ipv4() { Family::V4 } else { V6 }, far));
            assert_eq!(a.local_addr().unwrap(), at(near));
            assert_eq!(a.send(b"hello", at(far)), SendOutcome::Sent);
            assert_eq!(datagram(&b), (b"hello".to_vec(), at(near)));
            assert_eq!(b.send(b"", at(near)), SendOutcome::Sent);
            assert_eq!(datagram(&a), (vec![], at(far)));
            assert_quiet(&a);
        }
    });
}

#[test]
fn one_socket_listens_to_both_families() {
    in_namespace(|netlink| {
        give_addresses(netlink);
        let server = link(Family::Any, "0.0.0.0:1194");
        assert_eq!((server.local_addr().unwrap(), server.protocol()), (at("[::]:1194"), "UDPv6"));
        for (family, from, to) in [(Family::V4, "192.0.2.1:9", "127.0.0.1:1194"), (V6, "[fd00::1]:9", "[::1]:1194")] {
            assert_eq!(link(family, from).send(b"x", at(to)), SendOutcome::Sent);
            assert_eq!(datagram(&server).1, at(from));
        }
        let unbound = UdpLink::open(&UdpOptions::default()).unwrap();
        assert_eq!(unbound.send(b"x", at("127.0.0.1:1194")), SendOutcome::Sent);
        assert_eq!(datagram(&server).1.port(), unbound.local_addr().unwrap().port());
        // With an IPv6-only socket, the port stays free for IPv4.
        let _six = link(V6, "[::]:1196");
        let _four = link(Family::V4, "0.0.0.0:1196");
    });
}

#[test]
fn refused_datagrams_are_reported_once_each() {
    in_namespace(|netlink| {
        give_addresses(netlink);
        for (family, local, nobody, protocol) in [
            (Family::V4, "192.0.2.1:1194", "127.0.0.1:9", "UDPv4"),
            (V6, "[fd00::1]:1194", "[::1]:9", "UDPv6"),
            (Family::Any, "192.0.2.1:1194", "127.0.0.1:9", "UDPv6"),
        ] {
            let link = link(family, local);
            for _ in 0..3 {
                assert_eq!(link.send(b"anybody there?", at(nobody)), SendOutcome::Sent);
                let error = failure(&link);
                assert_eq!((error.errno, error.destination), (Errno::ECONNREFUSED, Some(at(nobody))));
                let fd = error.fd;
                assert_eq!(
                    error.to_string(),
                    format!("read {protocol} [ECONNREFUSED]: Connection refused (fd={fd},code=111)")
                );
                assert_quiet(&link);
            }
        }
    });
}

#[test]
fn an_old_error_costs_no_later_datagram() {
    in_namespace(|netlink| {
        give_addresses(netlink);
        let (a, b) = (link(Family::V4, "192.0.2.1:1194"), link(Family::V4, "192.0.2.1:1195"));
        for _ in 0..3 {
            assert_eq!(a.send(b"lost", at("192.0.2.1:9")), SendOutcome::Sent);
            assert!(ready(&a, Duration::from_secs(5)));
            assert_eq!(a.send(b"kept", at("192.0.2.1:1195")), SendOutcome::Sent);
            assert_eq!(datagram(&b).0, b"kept");
        }
        for _ in 0..3 {
            assert_eq!(failure(&a).errno, Errno::ECONNREFUSED);
        }
        assert_quiet(&a);
    });
}

#[test]
fn send_failures_never_end_the_link() {
    in_namespace(|netlink| {
        let link = UdpLink::open(&UdpOptions {
            family: Family::V4,
            mtu_discovery: Some(MtuDiscovery::Yes),
            ..UdpOptions::default()
        })
        .unwrap();
        let SendOutcome::Failed(error) = link.send(b"x", at("203.0.113.9:1194")) else { panic!("there is no route") };
        let fd = error.fd;
        assert_eq!(error.to_string(), format!("write UDPv4 [ENETUNREACH]: Network is unreachable (fd={fd},code=101)"));
        assert_quiet(&link);

        netlink.set_mtu(&netlink.link("lo").unwrap(), 1300).unwrap();
        let SendOutcome::Failed(error) = link.send(&[0; 1400], at("127.0.0.1:1194")) else { panic!("1300 bytes pass") };
        assert_eq!(
            error.to_string(),
            format!("write UDPv4 [EMSGSIZE Path-MTU=1300]: Message too long (fd={fd},code=90)")
        );
        assert_quiet(&link);
        let receiver = super::UdpLink::open(&UdpOptions {
            local: Some(at("127.0.0.1:1194")),
            mtu_discovery: Some(MtuDiscovery::No),
            ..UdpOptions::default()
        })
        .unwrap();
        assert_eq!(link.send(&[7; 1272], at("127.0.0.1:1194")), SendOutcome::Sent);
        assert_eq!(datagram(&receiver).0.len(), 1272);
        assert_eq!(
            receiver.send(&[7; 1400], link.local_addr().map(|a| at(&format!("127.0.0.1:{}", a.port()))).unwrap()),
            SendOutcome::Sent
        );
        assert_eq!(datagram(&link).0.len(), 1400);
    });
}

/// Datagrams of these lengths, each of another byte.
fn datagrams(lengths: &[usize]) -> Vec<Vec<u8>> {
    lengths.iter().enumerate().map(|(at, length)| vec![at as u8; *length]).collect()
}

fn send_batch(link: &UdpLink, datagrams: &[Vec<u8>], to: SocketAddr, report: impl FnMut(LinkError)) -> usize {
    let parts: Vec<_> = datagrams.iter().map(|datagram| IoSlice::new(datagram)).collect();
    link.send_batch(&parts, to, report)
}

#[test]
fn batches_arrive_as_they_were_sent() {
    in_namespace(|netlink| {
        give_addresses(netlink);
        let lengths = [&[1200; 70][..], &[500], &[1300], &[300; 3], &[0, 0, 9000, 9000, 20_000, 60_000]].concat();
        let sent = datagrams(&lengths);
        for (family, near, far) in [
            (Family::V4, "192.0.2.1:1194", "127.0.0.1:1195"),
            (V6, "[fd00::1]:1194", "[::1]:1195"),
            (Family::Any, "192.0.2.1:1194", "192.0.2.1:1195"),
        ] {
            let (from, to) = (link(family, near), link(if at(far).is_ipv4() { Family::V4 } else { V6 }, far));
            for (segments, batches) in [(true, false), (true, true), (false, true)] {
                assert!(from.sends_batches(), "Linux has it since 4.18");
                from.segments.store(segments, Relaxed);
                assert_eq!(to.set_batches(batches), batches);
                let (mut received, mut calls) = (Vec::new(), 0);
                let mut buffer = vec![0; 65_535];
                for part in sent.chunks(50) {
                    assert_eq!(send_batch(&from, part, at(far), |error| panic!("{error}")), part.len());
                    while received.len() < sent.len() && ready(&to, Duration::ZERO) {
                        let (Received::Datagram { length, from }, segment) = to.receive_batch(&mut buffer) else {
                            panic!("no datagram")
                        };
                        assert_eq!(from, at(near));
                        match &buffer[..length] {
                            [] => received.push(vec![]),
                            several => received.extend(several.chunks(segment).map(<[u8]>::to_vec)),
                        }
                        calls += 1;
                    }
                }
                assert!(received == sent, "{family:?} {segments} {batches}");
                assert_eq!(calls < 20, segments && batches, "{calls} calls");
                from.segments.store(true, Relaxed);
            }
            assert_quiet(&from);
        }
    });
}

#[test]
fn batches_above_the_path_mtu_are_sent_one_by_one() {
    in_namespace(|netlink| {
        netlink.set_mtu(&netlink.link("lo").unwrap(), 1300).unwrap();
        let open = |mtu_discovery, port| {
            let local = Some(at(&format!("127.0.0.1:{port}")));
            let options = UdpOptions { family: Family::V4, local, mtu_discovery, ..UdpOptions::default() };
            UdpLink::open(&options).unwrap()
        };
        let (strict, lax) = (open(Some(MtuDiscovery::Yes), 1194), open(Some(MtuDiscovery::No), 1195));
        let sent = datagrams(&[1400, 1400, 1400, 1000]);
        let mut errors = Vec::new();
        assert_eq!(send_batch(&strict, &sent, at("127.0.0.1:1195"), |error| errors.push(error)), 4);
        assert_eq!(errors.len(), 3);
        for error in errors {
            assert_eq!((error.errno, error.path_mtu), (Errno::EMSGSIZE, Some(1300)));
        }
        assert_eq!(datagram(&lax).0, sent[3]);
        assert_quiet(&strict);
        assert_eq!(send_batch(&lax, &sent, at("127.0.0.1:1194"), |error| panic!("{error}")), 4);
        for expected in sent {
            assert_eq!(datagram(&strict).0, expected);
        }
        assert!(strict.sends_batches() && lax.sends_batches(), "smaller ones still can");
    });
}

#[test]
fn an_old_error_costs_no_later_batch() {
    in_namespace(|netlink| {
        give_addresses(netlink);
        let (a, b) = (link(Family::V4, "192.0.2.1:1194"), link(Family::V4, "192.0.2.1:1195"));
        assert_eq!(a.send(b"lost", at("192.0.2.1:9")), SendOutcome::Sent);
        assert!(ready(&a, Duration::from_secs(5)));
        let sent = datagrams(&[100, 100, 50]);
        assert_eq!(send_batch(&a, &sent, at("192.0.2.1:1195"), |error| panic!("{error}")), 3);
        for expected in sent {
            assert_eq!(datagram(&b).0, expected);
        }
        assert_eq!(failure(&a).errno, Errno::ECONNREFUSED);
        assert_quiet(&a);
        let mut errors = Vec::new();
        assert_eq!(send_batch(&a, &datagrams(&[9; 5]), at("203.0.113.9:9"), |error| errors.push(error.errno)), 5);
        assert_eq!(errors, [Errno::ENETUNREACH], "once for what was sent at once");
    });
}

#[test]
fn a_full_buffer_is_no_error() {
    in_namespace(|netlink| {
        // Nobody answers at the other end, so that datagrams wait for the neighbour's address.
        let (near, far) = netlink.add_veth("lcn0", "lcn1").unwrap();
        let address = InterfaceAddress::Subnet { local: "10.9.0.1".parse().unwrap(), prefix: 24 };
        netlink.add_address(&near, address).unwrap();
        netlink.set_up(&near, true).unwrap();
        netlink.set_up(&far, true).unwrap();
        let options = UdpOptions { family: Family::V4, sndbuf: Some(4096), ..UdpOptions::default() };
        let link = UdpLink::open(&options).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while link.send(&[0; 1200], at("10.9.0.2:1194")) != SendOutcome::WouldBlock {
            assert!(Instant::now() < deadline, "the buffer never filled");
        }
        assert_eq!(send_batch(&link, &datagrams(&[1200; 3]), at("10.9.0.2:1194"), |error| panic!("{error}")), 0);
        assert_quiet(&link);
    });
}

#[test]
fn the_type_of_service_follows() {
    in_namespace(|netlink| {
        let tun = Tun::open(TunOptions { name: Some("lcn0"), ..TunOptions::default() }).unwrap();
        let subnet = |local: &str, prefix| InterfaceAddress::Subnet { local: local.parse().unwrap(), prefix };
        let addresses = vec![subnet("10.9.0.1", 24), subnet("fd09::1", 64)];
        tun.configure(netlink, &InterfaceConfig { addresses, ..InterfaceConfig::default() }).unwrap();
        let link = UdpLink::open(&UdpOptions::default()).unwrap();
        for (to, tos) in [("10.9.0.2:1194", 0xb8), ("[fd09::2]:1194", 0x20), ("10.9.0.2:1194", 0)] {
            link.set_tos(tos).unwrap();
            assert_eq!(link.send(b"x", at(to)), SendOutcome::Sent);
            let mut packet = [0; 2000];
            let target: IpAddr = at(to).ip();
            let sent = loop {
                let length = tun.read(&mut packet).unwrap().expect("the datagram is in the queue at once");
                let udp = |protocol: usize| packet[protocol] == 17;
                match target {
                    IpAddr::V4(_) if length == 29 && udp(9) => break packet[1],
                    IpAddr::V6(_) if length == 49 && udp(6) => break (packet[0] << 4) | (packet[1] >> 4),
                    _ => {} // the kernel's own neighbour and router discovery
                }
            };
            assert_eq!(sent, tos, "{to}");
        }
    });
}

#[test]
fn settings_reach_the_socket() {
    in_namespace(|_| {
        let options = UdpOptions {
            family: Family::V4,
            local: Some(at("127.0.0.1:1194")),
            sndbuf: Some(50_000),
            rcvbuf: Some(60_000),
            mark: Some(42),
            bind_device: Some("lo".into()),
            ..UdpOptions::default()
        };
        let link = UdpLink::open(&options).unwrap();
        let socket = SockRef::from(&link);
        assert_eq!(socket.mark().unwrap(), 42);
        assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
        // The kernel doubles what it is asked for.
        assert_eq!((link.buffers().receive.1, link.buffers().send.1), (120_000, 100_000));
        let text = link.buffers().to_string();
        assert!(text.starts_with("Socket Buffers: R=[") && text.contains("->120000] S=["), "{text}");
    });
}

#[test]
fn every_opening_failure_names_cause_and_remedy() {
    in_namespace(|netlink| {
        give_addresses(netlink);
        let _running = link(Family::Any, "0.0.0.0:1194");
        let open = |family, local, device: Option<&str>| {
            let bind_device = device.map(String::from);
            let options = UdpOptions { family, local: Some(at(local)), bind_device, ..UdpOptions::default() };
            UdpLink::open(&options).unwrap_err()
        };
        let says = |error: UdpError, prefix: &str, remedy: &str| {
            let text = error.to_string();
            assert!(text.starts_with(prefix) && text.contains(remedy) && !text.contains('\n'), "{text}");
        };
        says(
            open(Family::V4, "192.0.2.1:1194", None),
            "TCP/UDP: Socket bind failed on local address [AF_INET]192.0.2.1:1194: Address already in use (errno=98); ",
            "'nobind'",
        );
        says(
            open(Family::Any, "0.0.0.0:1194", None),
            "TCP/UDP: Socket bind failed on local address [AF_INET6][undef]:1194: Address already in use (errno=98); ",
            "'lport'",
        );
        says(
            open(V6, "[fd00::7]:1195", None),
            "TCP/UDP: Socket bind failed on local address [AF_INET6]fd00::7:1195: Cannot assign requested address",
            "'local'",
        );
        says(
            open(Family::V4, "0.0.0.0:1195", Some("lcnone")),
            "TCP/UDP: Cannot set 'bind-dev lcnone': No such device (errno=19)",
            "no such interface",
        );
    });
}
