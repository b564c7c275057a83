use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{InterfaceConfig, Tun, TunError, TunOptions};
use crate::net::testing::{in_namespace, wait_until_local};
use crate::net::{InterfaceAddress, Route, RouteTable};
use crate::testing::TempDir;

fn named(name: &str) -> Result<Tun, TunError> {
    Tun::open(TunOptions { name: Some(name), ..TunOptions::default() })
}

fn point_to_point() -> InterfaceConfig {
    InterfaceConfig {
        addresses: vec![
            InterfaceAddress::PointToPoint { local: "10.1.0.1".parse().unwrap(), peer: "10.1.0.2".parse().unwrap() },
            InterfaceAddress::Subnet { local: "fd00:1::1".parse().unwrap(), prefix: 64 },
        ],
        mtu: Some(1400),
        txqueuelen: Some(250),
    }
}

/// The next packet to `port`, past those that the kernel sends by itself.
fn next_to(tun: &Tun, port: u16) -> Vec<u8> {
    loop {
        let mut packet = [0; 2000];
        while let Some(length) = tun.read(&mut packet).unwrap() {
            let packet = &packet[..length];
            let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
            if packet.get(header + 2..header + 4) == Some(&port.to_be_bytes()) {
                return packet.to_vec();
            }
        }
        let ready = poll(&mut [PollFd::new(tun.as_fd(), PollFlags::POLLIN)], PollTimeout::from(5000u16)).unwrap();
        assert_eq!(ready, 1, "no packet came within 5 s");
    }
}

#[test]
fn packets_pass_both_ways() {
    in_namespace(|netlink| {
        let tun = Tun::open(TunOptions::default()).unwrap();
        assert_eq!(tun.name(), "tun0");
        assert_eq!(tun.read(&mut [0; 100]).unwrap(), None);
        assert_eq!(named("tun").unwrap().name(), "tun1");
        assert_eq!(
            tun.write(&[0x45; 20]).unwrap_err().to_string().split(" (").next(),
            Some("write to TUN/TAP : Input/output error")
        );
        let link = tun.configure(netlink, &point_to_point()).unwrap();
        assert_eq!((link.mtu, link.txqueuelen, link.up), (1400, 250, true));
        wait_until_local(netlink, "fd00:1::1".parse().unwrap());

        for (near, far) in [("10.1.0.1", "10.1.0.2"), ("fd00:1::1", "fd00:1::2")] {
            let near: IpAddr = near.parse().unwrap();
            let far: IpAddr = far.parse().unwrap();
            let socket = UdpSocket::bind((near, 7000)).unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
            socket.send_to(b"to and fro", (far, 7001)).unwrap();
            let mut packet = next_to(&tun, 7001);
            // The same packet with its ends exchanged is the answer; the sums stay right.
            let (addresses, size, header) = if near.is_ipv4() { (12, 4, 20) } else { (8, 16, 40) };
            packet[addresses..addresses + 2 * size].rotate_left(size);
            packet[header..header + 4].rotate_left(2);
            tun.write(&packet).unwrap();
            let mut answer = [0; 100];
            assert_eq!(socket.recv_from(&mut answer).unwrap(), (10, (far, 7001).into()));
            assert_eq!(&answer[..10], b"to and fro");
        }
        assert!(matches!(tun.write(&[0; 20]), Err(TunError::Packet { write: true, errno: Errno::EINVAL, .. })));
    });
}

#[test]
fn subnet_topology_routes_the_subnet() {
    in_namespace(|netlink| {
        let tun = named("lcn0").unwrap();
        let address = InterfaceAddress::Subnet { local: "10.8.0.1".parse().unwrap(), prefix: 24 };
        let config = InterfaceConfig { addresses: vec![address], ..InterfaceConfig::default() };
        let link = tun.configure(netlink, &config).unwrap();
        assert_eq!((link.name.as_str(), link.mtu), ("lcn0", 1500));
        let path = netlink.path_to("10.8.0.77".parse().unwrap()).unwrap();
        assert_eq!((path.device.index, path.source), (link.index, Some("10.8.0.1".parse().unwrap())));
        let remote: IpAddr = "10.77.0.0".parse().unwrap();
        let gateway = Some("10.8.0.2".parse().unwrap());
        let mut routes = RouteTable::default();
        let route = Route { destination: remote, prefix: 16, gateway, device: None, metric: Some(5) };
        assert!(routes.add(netlink, route).unwrap());
        drop(tun);
        assert_eq!(routes.remove_all(netlink), []);
        assert!(netlink.link("lcn0").is_err(), "closing deletes the interface");
    });
}

#[test]
fn a_persistent_device_stays_and_is_configured_twice() {
    in_namespace(|netlink| {
        let tun = named("lcnp").unwrap();
        tun.set_owner(Some(65534), Some(65534)).unwrap();
        tun.persist(true).unwrap();
        tun.configure(netlink, &point_to_point()).unwrap();
        drop(tun);
        let tun = named("lcnp").unwrap();
        tun.configure(netlink, &point_to_point()).unwrap();
        tun.unconfigure(netlink, &point_to_point()).unwrap();
        tun.unconfigure(netlink, &point_to_point()).unwrap();
        assert!(netlink.path_to("10.1.0.2".parse().unwrap()).is_err());
        tun.persist(false).unwrap();
        drop(tun);
        assert_eq!(netlink.link("lcnp").unwrap_err().errno, Errno::ENODEV);
    });
}

#[test]
fn every_failure_names_cause_and_remedy() {
    in_namespace(|netlink| {
        let tun = named("lcn0").unwrap();
        let says = |error: TunError, prefix: &str, remedy: &str| {
            let text = error.to_string();
            assert!(text.starts_with(prefix) && text.contains(remedy) && !text.contains('\n'), "{text}");
        };
        says(
            named("lcn0").unwrap_err(),
            "ERROR: Cannot ioctl TUNSETIFF lcn0: Device or resource busy (errno=16)",
            "another program",
        );
        says(
            named("lcn0123456789abcdef").unwrap_err(),
            "ERROR: Cannot ioctl TUNSETIFF lcn0123456789abcdef: Invalid argument (errno=22)",
            "19 bytes, at most 15",
        );
        says(named("lcn/0").unwrap_err(), "ERROR: Cannot ioctl TUNSETIFF lcn/0: Invalid argument (errno=22)", "'/'");
        let node = |node| Tun::open(TunOptions { name: None, node: Path::new(node) }).unwrap_err();
        says(
            node("/dev/lcn/tun"),
            "ERROR: Cannot open TUN/TAP dev /dev/lcn/tun: No such file or directory (errno=2)",
            "modprobe tun",
        );
        says(
            node("/dev/null"),
            "ERROR: Cannot ioctl TUNSETIFF tun: Inappropriate ioctl for device (errno=25)",
            "not a TUN device node",
        );
        netlink.delete_link(&netlink.link("lcn0").unwrap()).unwrap();
        let gone = tun.read(&mut [0; 100]).unwrap_err();
        assert!(gone.is_gone());
        says(gone, "read from TUN/TAP : File descriptor in bad state (fd=", "deleted");
    });
}

#[test]
fn without_rights_the_device_is_refused() {
    in_namespace(|_| {
        let directory = TempDir::new();
        let node = directory.path().join("tun");
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&node).unwrap();
        // The rights to files are those of this thread, which ends with the test.
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
        let error = Tun::open(TunOptions { name: None, node: &node }).unwrap_err();
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(0));
        let text = error.to_string();
        assert!(text.contains("Permission denied (errno=13); no permission: run as root"), "{text}");
    });
}
