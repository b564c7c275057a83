//! Which packets are the peer's, and where the peer is.

use std::net::UdpSocket;

use longcable_tests::support::{Daemon, Filling, Lab, Link, end};

for_each_pair! {
    fn another_port_is_not_the_peers(programs) {
        let lab = Lab::new();
        let link = Link::start(&lab, programs, ["", "lport 5555\nping 1"]);
        link.left.wait_for(
            "TCP/UDP: Incoming packet rejected from [AF_INET]192.0.2.2:5555[2], expected peer address: \
             [AF_INET]192.0.2.2:1194 (allow this incoming source address/port by removing --remote or adding --float)",
        );
        link.pinger_back().must_not_answer(10, Filling::Random);
        assert_eq!(link.left.count("Peer Connection Initiated"), 0);
        link.stop();
    }
}

for_each_pair! {
    fn float_follows_to_another_port(programs) {
        let lab = Lab::new();
        let mut link = Link::up(&lab, programs, ["float", "float"]);
        link.right.stop();
        link.right = Daemon::start(&lab, &lab.right, programs[1], &end(&lab.right, &lab.left, "float\nlport 5555\nping 1"));
        link.left.wait_for("Peer Connection Initiated with [AF_INET]192.0.2.2:5555");
        link.wait_for_traffic();
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    fn float_follows_to_another_address(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, ["float", "ping 1"]);
        lab.right.ip(&["addr add 192.0.2.77/24 dev eth0", "addr del 192.0.2.2/24 dev eth0", "addr replace 192.0.2.77/24 dev eth0"]);
        link.left.wait_for("Peer Connection Initiated with [AF_INET]192.0.2.77:1194");
        link.wait_for_traffic();
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    fn without_float_another_address_is_not_followed(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, ["", "ping 1"]);
        lab.right.ip(&["addr add 192.0.2.77/24 dev eth0", "addr del 192.0.2.2/24 dev eth0", "addr replace 192.0.2.77/24 dev eth0"]);
        link.left.wait_for("TCP/UDP: Incoming packet rejected from [AF_INET]192.0.2.77:1194[2], expected peer address: [AF_INET]192.0.2.2:1194");
        link.pinger_back().must_not_answer(10, Filling::Random);
        link.stop();
    }
}

for_each_pair! {
    /// Junk from somewhere else, and a copy of a packet of the peer's: the link does not move.
    fn float_follows_nobody_without_the_key(programs) {
        let lab = Lab::new();
        lab.right.ip(&["addr add 192.0.2.66/24 dev eth0"]);
        let link = Link::up(&lab, programs, ["float", ""]);
        let stranger = lab.right.namespace.inside(|| UdpSocket::bind("192.0.2.66:1194"));
        // The peer has the port on every address, unless it is shared.
        let stranger = stranger.or_else(|_| lab.right.namespace.inside(|| UdpSocket::bind("192.0.2.66:6666"))).unwrap();
        for size in 1..200 {
            stranger.send_to(&vec![0x55; size], "192.0.2.1:1194").unwrap();
        }
        link.left.wait_for("Authenticate/Decrypt packet error: packet HMAC authentication failed");
        assert_eq!(link.left.count("Peer Connection Initiated with [AF_INET]192.0.2.66"), 0);
        link.check_pings();
        link.stop();
    }
}
