//! What a dynamic DNS does to its users: it is dead, it denies, it is late, it changes its mind. The ends' addresses
//! change meanwhile.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof, none_lost};
use longcable_tests::support::{Filling, Lab, Link, Program, poll};

const PATIENT: &str = "float\nkeepalive 10 60\npersist-tun\npersist-key";

/// How long the trouble lasts.
const TROUBLE: Duration = Duration::from_secs(3);

/// From its end: a probe interval, and a second.
const BOUND: Duration = Duration::from_secs(6);

const PROOFS: [Proof; 2] = [Proof::StaticKey, Proof::Tls(Role::Client)];

/// Both ends move while the names do not tell where; afterwards they do.
fn trouble(what: &str, begin: impl Fn(&NameServer<'_>), end: impl Fn(&NameServer<'_>)) {
    for proof in PROOFS {
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        let link = Link::named(&lab, [Program::Longcable; 2], proof, [PATIENT; 2]);
        begin(&server);
        lab.redial_both(11);
        let start = Instant::now();
        while start.elapsed() < TROUBLE {
            link.pinger().must_not_answer(8, Filling::Random);
        }
        end(&server);
        link.back_within(&format!("{proof:?}, {what} for {TROUBLE:?}"), BOUND);
        assert_eq!(link.restarts(), 0, "nothing restarts");
        link.check_pings();
        link.stop();
    }
}

#[test]
fn the_name_server_is_dead() {
    trouble(
        "the name server is dead",
        |server| server.stop(),
        |server| {
            server.resume();
            server.set_both(11);
        },
    );
}

#[test]
fn the_name_server_is_silent() {
    trouble(
        "the name server is silent",
        |server| server.freeze(true),
        |server| {
            server.freeze(false);
            server.set_both(11);
        },
    );
}

#[test]
fn the_names_do_not_exist() {
    trouble("the names do not exist", |server| server.set(&[]), |server| server.set_both(11));
}

#[test]
fn the_names_are_late() {
    trouble("the names are late", |_| {}, |server| server.set_both(11));
}

for_each_pair! {
    /// With openvpn at one end its timers decide: `ping-restart`, the pause, and what it waits between lookups.
    fn the_names_do_not_exist_and_openvpn_asks_again(programs) {
        for proof in PROOFS {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            let link = Link::named(&lab, programs, proof, ["float\nkeepalive 1 4\npersist-tun\npersist-key"; 2]);
            server.set(&[]);
            lab.redial_both(11);
            thread::sleep(TROUBLE);
            server.set_both(11);
            link.back_within(&format!("{programs:?} {proof:?}, the names did not exist"), Duration::from_secs(12));
            link.check_pings_between(programs);
            link.stop();
        }
    }
}

/// A name that leads to the peer and to nowhere in turn. As long as the peer answers, that is no reason to leave it;
/// when it moves, it is found all the same.
#[test]
fn the_name_flaps() {
    for proof in PROOFS {
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        let link = Link::named(&lab, [Program::Longcable; 2], proof, ["keepalive 1 60\npersist-tun"; 2]);
        let stranger = stranger(&lab);
        let flap = |host: u8, times: usize| {
            for turn in 0..times {
                let right = if turn % 2 == 0 { 99 } else { host };
                server.set(&[(NAMES[0], lab.left.address(host)), (NAMES[1], lab.right.address(right))]);
                knock(&stranger, &lab);
                thread::sleep(Duration::from_millis(300));
            }
        };
        none_lost(link.pinger(), || flap(2, 6));
        assert_eq!(link.left.count("Peer Connection Initiated"), 1, "the peer is where it was");
        lab.redial_both(11);
        flap(11, 10);
        link.back_within(&format!("{proof:?}, both ends move and a name flaps"), BOUND);
        assert_eq!(link.restarts(), 0, "nothing restarts");
        link.stop();
    }
}

/// That is no reason to lose a packet, wherever the second one leads to.
#[test]
fn the_name_gains_an_address() {
    for proof in PROOFS {
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        let link = Link::named(&lab, [Program::Longcable; 2], proof, ["keepalive 1 60\npersist-tun"; 2]);
        lab.right.ip(&["addr add 198.51.100.3/24 dev eth0"]);
        let stranger = stranger(&lab);
        for second in [99, 3] {
            let asked = server.asked(NAMES[1]);
            none_lost(link.pinger(), || {
                let right = [lab.right.address(second), lab.right.outside].map(|address| (NAMES[1], address));
                server.set(&[(NAMES[0], lab.left.outside), right[0], right[1]]);
                // A stranger is a reason to look the name up, at most every two seconds.
                let heard = poll(Duration::from_secs(7), || {
                    knock(&stranger, &lab);
                    thread::sleep(Duration::from_millis(100));
                    (server.asked(NAMES[1]) > asked).then_some(())
                });
                assert!(heard.is_some(), "the name was not looked up");
                thread::sleep(Duration::from_millis(500));
            });
        }
        assert_eq!(link.left.count("Peer Connection Initiated"), 1, "it stays where it is");
        assert_eq!(link.restarts(), 0, "nothing restarts");
        link.stop();
    }
}

/// Somebody beside the right end.
fn stranger(lab: &Lab) -> UdpSocket {
    lab.right.ip(&["addr add 198.51.100.66/24 dev eth0"]);
    let bind = || UdpSocket::bind("198.51.100.66:6666");
    lab.right.namespace.inside(bind).expect("a socket")
}

fn knock(stranger: &UdpSocket, lab: &Lab) {
    // It may find nobody at home.
    let _ = stranger.send_to(&[0x38; 40], (lab.left.outside, 1194));
}
