//! Cutting and joining what a real kernel gives and takes.

use std::io::{IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::coalesce::{Coalescer, PACKETS_MAX};
use super::segment::{Segmenter, finish_checksum};
use super::{SUPER_PACKET_MAX, VnetHeader};
use crate::link::udp::{Family, Received, UdpLink, UdpOptions};
use crate::net::testing::{in_namespace, wait_until_local};
use crate::net::{InterfaceAddress, Netlink};
use crate::tun::{InterfaceConfig, Offloads, Tun, TunOptions};

const AMOUNT: usize = 4 << 20;
const ENDS: [[&str; 2]; 2] = [["10.1.0.1", "10.1.0.2"], ["fd00:1::1", "fd00:1::2"]];

/// What went through the mirror.
#[derive(Debug, Default)]
struct Mirrored {
    /// Longest packet read.
    longest: usize,
    /// How many reads stood for several packets.
    cut: usize,
    /// How many writes did.
    joined: usize,
}

/// Sends every packet back with its addresses exchanged, as if the far end were here, until `done` is.
fn mirror<T>(tun: &Tun, done: JoinHandle<T>) -> (T, Mirrored) {
    let mut seen = Mirrored::default();
    let mut packet = vec![0; SUPER_PACKET_MAX];
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done.is_finished() {
        assert!(Instant::now() < deadline, "nothing arrives: {seen:?}");
        poll(&mut [PollFd::new(tun.as_fd(), PollFlags::POLLIN)], PollTimeout::from(20_u8)).unwrap();
        let mut batch = Vec::new();
        while batch.len() < PACKETS_MAX
            && let Some((header, length)) = tun.read_super(&mut packet).unwrap()
        {
            let packet = &mut packet[..length];
            seen.longest = seen.longest.max(length);
            if header.is_super_packet() {
                let mut segmenter = Segmenter::new(header, packet).unwrap();
                seen.cut += usize::from(segmenter.len() > 1);
                while !segmenter.is_empty() {
                    let mut slot = vec![0; segmenter.segment_len()];
                    assert_eq!(segmenter.next(&mut slot, 0).unwrap().range(), 0..slot.len());
                    batch.push(slot);
                }
            } else {
                finish_checksum(header, packet).unwrap();
                batch.push(packet.to_vec());
            }
        }
        for packet in &mut batch {
            let (addresses, size) = if packet[0] >> 4 == 4 { (12, 4) } else { (8, 16) };
            packet[addresses..addresses + 2 * size].rotate_left(size);
        }
        for batch in batch.chunks_mut(PACKETS_MAX) {
            let Some(Offloads { uso, .. }) = tun.offloads() else {
                batch.iter().for_each(|packet| tun.write(packet).unwrap());
                continue;
            };
            let mut coalescer = Coalescer::new(uso);
            for packet in batch {
                coalescer.push(packet).unwrap();
            }
            coalescer.drain(|parts| {
                seen.joined += usize::from(parts.len() > 2);
                tun.write_super(parts).unwrap();
            });
        }
    }
    (done.join().unwrap(), seen)
}

fn set_up(tun: &Tun, netlink: &Netlink) {
    let addresses = vec![
        InterfaceAddress::PointToPoint { local: "10.1.0.1".parse().unwrap(), peer: "10.1.0.2".parse().unwrap() },
        InterfaceAddress::Subnet { local: "fd00:1::1".parse().unwrap(), prefix: 64 },
    ];
    tun.configure(netlink, &InterfaceConfig { addresses, mtu: Some(1400), txqueuelen: None }).unwrap();
    wait_until_local(netlink, "fd00:1::1".parse().unwrap());
}

/// Sends a lot to itself over TCP, by way of the mirror, and checks that it arrives.
fn transfer([near, far]: [&str; 2]) -> JoinHandle<()> {
    let [near, far]: [IpAddr; 2] = [near, far].map(|address| address.parse().unwrap());
    std::thread::spawn(move || {
        let listener = TcpListener::bind((near, 7001)).unwrap();
        let data: Vec<u8> = (0..AMOUNT).map(|at| (at % 251) as u8).collect();
        let sent = data.clone();
        let sender = std::thread::spawn(move || TcpStream::connect((far, 7001)).unwrap().write_all(&sent).unwrap());
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        sender.join().unwrap();
        assert!(received == data, "{} bytes of {AMOUNT} came, or others", received.len());
    })
}

fn offloading(name: &str, wanted: Offloads) -> Tun {
    Tun::open_offloading(TunOptions { name: Some(name), ..TunOptions::default() }, wanted).unwrap()
}

#[test]
fn the_kernel_agrees_about_tcp() {
    in_namespace(|netlink| {
        let tun = offloading("lcof0", Offloads::ALL);
        assert!(tun.offloads().unwrap().tso, "every kernel that has TUN has that");
        set_up(&tun, netlink);
        for ends in ENDS {
            let ((), seen) = mirror(&tun, transfer(ends));
            assert!(seen.longest > 5000 && seen.cut > 0 && seen.joined > 0, "{seen:?}");
        }
    });
}

#[test]
fn the_kernel_agrees_about_udp() {
    in_namespace(|netlink| {
        let tun = offloading("lcof0", Offloads::ALL);
        let uso = tun.offloads().unwrap().uso;
        set_up(&tun, netlink);
        for (ends, family) in ENDS.into_iter().zip([Family::V4, Family::V6 { only: true }]) {
            let [near, far] = ends.map(|address| SocketAddr::new(address.parse().unwrap(), 7001));
            let open =
                |local| UdpLink::open(&UdpOptions { family, local: Some(local), ..UdpOptions::default() }).unwrap();
            let (receiver, sender) = (open(near), open(SocketAddr::new(near.ip(), 7000)));
            assert!(receiver.set_batches(true));
            let done = std::thread::spawn(move || {
                let datagrams: Vec<Vec<u8>> = (0..45).map(|at| vec![at; if at < 44 { 1200 } else { 7 }]).collect();
                let parts: Vec<_> = datagrams.iter().map(|datagram| IoSlice::new(datagram)).collect();
                assert_eq!(sender.send_batch(&parts, far, |error| panic!("{error}")), datagrams.len());
                let (mut received, mut calls) = (Vec::new(), 0);
                let mut buffer = vec![0; 65_535];
                while received.len() < datagrams.len() {
                    let waiting = &mut [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)];
                    assert_eq!(poll(waiting, PollTimeout::from(5000_u16)).unwrap(), 1, "nothing came within 5 s");
                    match receiver.receive_batch(&mut buffer) {
                        (Received::Datagram { length, from }, segment) => {
                            assert_eq!(from, SocketAddr::new(far.ip(), 7000));
                            received.extend(buffer[..length].chunks(segment).map(<[u8]>::to_vec));
                            calls += 1;
                        }
                        (Received::WouldBlock, _) => {}
                        (Received::Failed(error), _) => panic!("{error}"),
                    }
                }
                assert!(received == datagrams);
                calls
            });
            let (calls, seen) = mirror(&tun, done);
            if uso {
                assert!(seen.cut > 0 && seen.joined > 0 && calls < 10, "{calls} {seen:?}");
            }
        }
    });
}

#[test]
fn what_is_not_wanted_is_not_used() {
    in_namespace(|netlink| {
        let tun = offloading("lcof0", Offloads::default());
        assert_eq!(tun.offloads(), Some(Offloads::default()));
        set_up(&tun, netlink);
        let ((), seen) = mirror(&tun, transfer(ENDS[0]));
        assert!(seen.longest <= 1400 && seen.cut == 0, "{seen:?}");
        assert!(seen.joined > 0, "joining needs no consent: {seen:?}");
        // One packet in the plain way.
        let error = tun.write(&[0; 20]).unwrap_err();
        assert!(error.to_string().contains("Invalid argument"), "{error}");

        let tun = offloading("lcof1", Offloads { tso: false, uso: true });
        assert!(!tun.offloads().unwrap().tso);
    });
}

#[test]
fn a_persistent_device_forgets_its_offloads() {
    in_namespace(|netlink| {
        let tun = offloading("lcofp", Offloads::ALL);
        tun.persist(true).unwrap();
        drop(tun);
        let tun = Tun::open(TunOptions { name: Some("lcofp"), ..TunOptions::default() }).unwrap();
        assert_eq!(tun.offloads(), None);
        set_up(&tun, netlink);
        let ((), seen) = mirror(&tun, transfer(ENDS[0]));
        assert!(seen.longest <= 1400, "{seen:?}");
        assert_eq!(tun.read_super(&mut [0; 2000]).unwrap().map_or(VnetHeader::default(), |read| read.0).gso_type, 0);
        tun.persist(false).unwrap();
    });
}
