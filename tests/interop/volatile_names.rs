//! What a dynamic DNS does to its users: it is dead, it denies, it is late, it changes its mind. The ends' addresses
//! change meanwhile.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof, none_lost};
use longcable_tests::support::{Filling, Lab, Link, Program, Site, poll};

const PATIENT: &str = "float\nkeepalive 10 60\npersist-tun\npersist-key";

/// How long the trouble lasts.
const TROUBLE: Duration = Duration::from_secs(3);

/// From its end: a probe interval, and a second. With openvpn at the other end longcable finds it, and gives it another
/// TLS session, which it takes from nowhere else.
const BOUND: Duration = Duration::from_secs(6);

const PROOFS: [Proof; 2] = [Proof::StaticKey, Proof::Tls(Role::Client)];

/// Both ends move while the names do not tell where; afterwards they do.
fn trouble(programs: [Program; 2], what: &str, begin: impl Fn(&NameServer<'_>), end: impl Fn(&NameServer<'_>)) {
    for proof in PROOFS {
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        let link = Link::named(&lab, programs, proof, [PATIENT; 2]);
        begin(&server);
        lab.redial_both(11);
        let start = Instant::now();
        while start.elapsed() < TROUBLE {
            link.pinger().must_not_answer(8, Filling::Random);
        }
        end(&server);
        link.back_within(&format!("{programs:?} {proof:?}, {what} for {TROUBLE:?}"), BOUND);
        assert_eq!(link.restarts(), 0, "nothing restarts");
        link.check_pings_between(programs);
        link.stop();
    }
}

for_each_pair! {
    fn the_name_server_is_dead(programs) {
        trouble(
            programs,
            "the name server is dead",
            |server| server.stop(),
            |server| {
                server.resume();
                server.set_both(11);
            },
        );
    }
}

for_each_pair! {
    fn the_name_server_is_silent(programs) {
        trouble(
            programs,
            "the name server is silent",
            |server| server.freeze(true),
            |server| {
                server.freeze(false);
                server.set_both(11);
            },
        );
    }
}

for_each_pair! {
    fn the_names_do_not_exist(programs) {
        trouble(programs, "the names do not exist", |server| server.set(&[]), |server| server.set_both(11));
    }
}

for_each_pair! {
    fn the_names_are_late(programs) {
        trouble(programs, "the names are late", |_| {}, |server| server.set_both(11));
    }
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

/// Where a longcable looks up the name of the other end, and that other end.
fn looks_at(lab: &Lab, programs: [Program; 2]) -> [(&Site, &'static str); 2] {
    let ends = [(&lab.left, NAMES[0]), (&lab.right, NAMES[1])];
    if programs[0] == Program::Openvpn { [ends[1], ends[0]] } else { ends }
}

/// What openvpn needs to follow longcable, which follows the name.
fn more(programs: [Program; 2]) -> [&'static str; 2] {
    let plain = "keepalive 1 60\npersist-tun";
    programs.map(|program| if program == Program::Openvpn { "keepalive 1 60\npersist-tun\nfloat" } else { plain })
}

for_each_pair! {
    /// A name that leads to the peer and to nowhere in turn. As long as the peer answers, that is no reason to leave it;
    /// when it moves, it is found all the same.
    fn the_name_flaps(programs) {
        for proof in PROOFS {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            let link = Link::named(&lab, programs, proof, more(programs));
            let [(here, name), (there, others)] = looks_at(&lab, programs);
            let stranger = stranger(there);
            let flap = |hosts: [u8; 2], times: usize| {
                for turn in 0..times {
                    let right = if turn % 2 == 0 { 99 } else { hosts[1] };
                    server.set(&[(name, here.address(hosts[0])), (others, there.address(right))]);
                    knock(&stranger, here);
                    thread::sleep(Duration::from_millis(300));
                }
            };
            let hosts = [here, there].map(|site| site.outside.octets()[3]);
            none_lost(link.pinger(), || flap(hosts, 6));
            let looking = if here.outside == lab.left.outside { &link.left } else { &link.right };
            assert_eq!(looking.count("Peer Connection Initiated"), 1, "the peer is where it was");
            lab.redial_both(11);
            flap([11; 2], 10);
            link.back_within(&format!("{programs:?} {proof:?}, both ends move and a name flaps"), BOUND);
            assert_eq!(link.restarts(), 0, "nothing restarts");
            link.stop();
        }
    }
}

for_each_pair! {
    /// That is no reason to lose a packet, wherever the second one leads to.
    fn the_name_gains_an_address(programs) {
        for proof in PROOFS {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            let link = Link::named(&lab, programs, proof, more(programs));
            let [(here, name), (there, others)] = looks_at(&lab, programs);
            there.ip(&[&format!("addr add {}/24 dev eth0", there.address(3))]);
            let stranger = stranger(there);
            for second in [99, 3] {
                let asked = server.asked(others);
                none_lost(link.pinger(), || {
                    let both = [there.address(second), there.outside].map(|address| (others, address));
                    server.set(&[(name, here.outside), both[0], both[1]]);
                    // A stranger is a reason to look the name up, at most every two seconds.
                    let heard = poll(Duration::from_secs(7), || {
                        knock(&stranger, here);
                        thread::sleep(Duration::from_millis(100));
                        (server.asked(others) > asked).then_some(())
                    });
                    assert!(heard.is_some(), "the name was not looked up");
                    thread::sleep(Duration::from_millis(500));
                });
            }
            let looking = if here.outside == lab.left.outside { &link.left } else { &link.right };
            assert_eq!(looking.count("Peer Connection Initiated"), 1, "it stays where it is");
            assert_eq!(link.restarts(), 0, "nothing restarts");
            link.stop();
        }
    }
}

/// Somebody beside this end.
fn stranger(site: &Site) -> UdpSocket {
    let address = site.address(66);
    site.ip(&[&format!("addr add {address}/24 dev eth0")]);
    site.namespace.inside(|| UdpSocket::bind((address, 6666))).expect("a socket")
}

fn knock(stranger: &UdpSocket, site: &Site) {
    // It may find nobody at home.
    let _ = stranger.send_to(&[0x38; 40], (site.outside, 1194));
}
