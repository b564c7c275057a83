//! Lines that change from one version of IP to the other, and names that have addresses of both.

use std::net::{IpAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof, none_lost};
use longcable_tests::support::{Lab, Link, Program, poll};

const PROOFS: [Proof; 2] = [Proof::StaticKey, Proof::Tls(Role::Client)];

for_each_pair! {
    /// With openvpn at one end its `ping-restart` decides: it looks at names only after that, and first tries again what
    /// it knows.
    fn both_lines_get_ipv6_and_then_ipv4_again(programs) {
        let is_mixed = programs.contains(&Program::Openvpn);
        let (more, bound) = match is_mixed {
            true => ("float\nkeepalive 1 4\npersist-tun\npersist-key", Duration::from_secs(25)),
            false => ("float\nkeepalive 10 60\npersist-tun\npersist-key", Duration::from_secs(6)),
        };
        for proof in PROOFS {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            let link = Link::named(&lab, programs, proof, [more; 2]);
            let sites = [&lab.left, &lab.right];
            sites.iter().for_each(|site| site.hang_up());
            sites.iter().for_each(|site| site.dial_ipv6(11));
            server.set_all(&[(NAMES[0], lab.left.address_ipv6(11)), (NAMES[1], lab.right.address_ipv6(11))]);
            link.back_within(&format!("{programs:?} {proof:?}, from IPv4 to IPv6"), bound);
            sites.iter().for_each(|site| site.hang_up());
            for site in sites {
                site.ask(site.gateway());
                site.dial(12);
            }
            server.set_both(12);
            link.back_within(&format!("{programs:?} {proof:?}, from IPv6 to IPv4"), bound);
            if !is_mixed {
                assert_eq!(link.restarts(), 0, "nothing restarts");
            }
            link.check_pings_between(programs);
            link.stop();
        }
    }
}

/// The other end has both, and a socket for IPv4 until it misses a ping and looks the name up.
#[test]
fn one_line_gets_ipv6_alone() {
    for proof in PROOFS {
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        lab.left.add_ipv6(1);
        let left = [(NAMES[0], IpAddr::from(lab.left.outside)), (NAMES[0], lab.left.address_ipv6(1).into())];
        server.set_all(&[left[0], left[1], (NAMES[1], lab.right.outside.into())]);
        let link = Link::named(&lab, [Program::Longcable; 2], proof, ["float\nkeepalive 2 60\npersist-tun"; 2]);
        lab.right.hang_up();
        lab.right.dial_ipv6(11);
        server.set_all(&[left[0], left[1], (NAMES[1], lab.right.address_ipv6(11).into())]);
        link.back_within(&format!("{proof:?}, one line gets IPv6"), Duration::from_secs(6));
        assert_eq!(link.restarts(), 0, "nothing restarts");
        link.check_pings();
        link.stop();
    }
}

/// The socket makes way for one for both versions, with the same port, and nothing is lost.
#[test]
fn a_name_gains_an_ipv6_address() {
    for more in ["", "nobind"] {
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        let link = Link::named(&lab, [Program::Longcable; 2], Proof::StaticKey, [more, "float"]);
        lab.right.ip(&["addr add 198.51.100.66/24 dev eth0"]);
        let stranger = lab.right.namespace.inside(|| UdpSocket::bind("198.51.100.66:6666")).expect("a socket");
        let port = || {
            let line = lab.left.output("ss -Hnulp").lines().find(|line| line.contains("longcable")).map(str::to_owned);
            let local = line.expect("a socket").split_whitespace().nth(3).expect("its address").to_owned();
            local.rsplit(':').next().expect("a port").to_owned()
        };
        let before = port();
        none_lost(link.pinger(), || {
            let right = [lab.right.outside.into(), IpAddr::from(lab.right.address_ipv6(2))].map(|ip| (NAMES[1], ip));
            server.set_all(&[(NAMES[0], lab.left.outside.into()), right[0], right[1]]);
            // A stranger is a reason to look the name up.
            let wider = poll(Duration::from_secs(7), || {
                let to = (lab.left.outside, before.parse().expect("a port"));
                stranger.send_to(&[0x38; 40], to).expect("sent");
                thread::sleep(Duration::from_millis(100));
                (link.left.count("UDPv6 link remote: [AF_INET]198.51.100.2:1194") > 0).then_some(())
            });
            assert!(wider.is_some(), "the socket is still one for IPv4: {}", link.left.log());
            thread::sleep(Duration::from_millis(300));
        });
        assert_eq!(port(), before);
        assert_eq!(link.restarts(), 0, "nothing restarts");
        link.check_pings();
        link.stop();
    }
}
