//! Every size of packet, IPv4 and IPv6 inside and outside, and TCP.

use std::net::IpAddr;

use longcable_tests::support::{Filling, Lab, Link, Pinger, tcp_check};

for_each_pair! {
    fn every_size(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, ["", ""]);
        for mut pinger in [link.pinger(), link.pinger_back()] {
            (0..=1472).for_each(|size| pinger.must_answer(size, Filling::Random));
        }
        link.stop();
    }
}

for_each_pair! {
    fn tcp_both_ways(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, ["", ""]);
        link.check_tcp(4 << 20);
        link.stop();
    }
}

for_each_pair! {
    fn no_replay(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, ["no-replay", "no-replay"]);
        link.check_pings();
        link.check_tcp(100_000);
        link.stop();
    }
}

const IPV6_INSIDE: [&str; 2] = ["ifconfig-ipv6 fd09::1/64 fd09::2", "ifconfig-ipv6 fd09::2/64 fd09::1"];

for_each_pair! {
    fn ipv6_inside(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, IPV6_INSIDE);
        let mut pinger = Pinger::new(&lab.left, lab.right.inside6);
        pinger.wait_for_answer();
        for size in [0, 1, 64, 1280, 1452] {
            pinger.must_answer(size, Filling::Random);
        }
        tcp_check(&lab.left, &lab.right, IpAddr::V6(lab.right.inside6), 100_000);
        link.stop();
    }
}

for_each_pair! {
    fn ipv6_outside(programs) {
        let lab = Lab::new();
        let config = |here: u8, there: u8| format!(
            "dev tun0\nproto udp6\nremote 2001:db8::{there}\nifconfig 10.9.0.{here} 10.9.0.{there}\n\
             secret static.key\ncipher AES-256-CBC\nverb 4\n"
        );
        let link = Link::with_configs(&lab, programs, [&config(1, 2), &config(2, 1)]);
        link.wait_for_traffic();
        link.left.wait_for("Peer Connection Initiated with [AF_INET6]2001:db8::2:1194");
        link.check_pings();
        link.check_tcp(1 << 20);
        link.stop();
    }
}

for_each_pair! {
    /// One end says so, the other takes the family of its peer's address.
    fn ipv6_outside_by_address(programs) {
        let lab = Lab::new();
        let config = |here: u8, remote: &str| format!(
            "dev tun0\n{remote}\nifconfig 10.9.0.{here} 10.9.0.{}\nsecret static.key\ncipher AES-256-CBC\n", 3 - here
        );
        let link = Link::with_configs(&lab, programs, [
            &config(1, "remote 2001:db8::2 1194 udp6"),
            &config(2, "remote 2001:db8::1"),
        ]);
        link.wait_for_traffic();
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    fn other_ports(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, ["lport 3001\nrport 3002", "lport 3002\nrport 3001"]);
        link.right.wait_for("Peer Connection Initiated with [AF_INET]192.0.2.1:3001");
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    /// An end without `remote` takes the first peer that proves to know the key; here from a port of the system's choice.
    fn listening_end(programs) {
        let lab = Lab::new();
        let listening = "dev tun0\nifconfig 10.9.0.2 10.9.0.1\nsecret static.key\ncipher AES-256-CBC\nverb 3\n";
        let calling = format!("{listening}ifconfig 10.9.0.1 10.9.0.2\nremote 192.0.2.2\nnobind\n");
        let link = Link::with_configs(&lab, programs, [&calling, listening]);
        link.wait_for_traffic();
        link.right.wait_for("Peer Connection Initiated with [AF_INET]192.0.2.1:");
        link.check_pings();
        link.stop();
    }
}
