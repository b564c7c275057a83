//! The peer's address changes: while nothing happens, and while new keys are negotiated.
//!
//! openvpn takes packets of a TLS session only from the address where the session began, with `float` too: there a
//! peer that has moved needs a new session, which a restart gives it. longcable follows what is authentic.

use std::time::Duration;

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Filling, Lab, Link, Program, pki, tls_end};
use nix::sys::signal::Signal;

const ROLES: [Role; 2] = [Role::Client, Role::Server];

fn move_right(lab: &Lab, from: &str, to: &str) {
    let [add, delete, replace] = ["add", "del", "replace"].map(|what| {
        let address = if what == "del" { from } else { to };
        format!("addr {what} {address}/24 dev eth0")
    });
    lab.right.ip(&[&add, &delete, &replace]);
}

for_each_pair! {
    fn float_follows_an_idle_peer(programs) {
        for left in ROLES {
            let lab = Lab::new();
            let mut link = Link::tls(&lab, programs, left, ["float", "ping 1\npersist-tun\npersist-key"]);
            move_right(&lab, "192.0.2.2", "192.0.2.77");
            if programs[0] == Program::Openvpn {
                link.right.signal(Signal::SIGUSR1);
            }
            link.pinger().back_within(Duration::from_secs(12));
            link.check_pings();
            link.left.wait_for("192.0.2.77:1194");
            if programs[0] != Program::Openvpn {
                assert_eq!(link.left.count("Control Channel: TLSv1"), 1, "the session goes on");
            }
            link.stop();
        }
    }
}

for_each_pair! {
    /// The first packets of a renegotiation are lost, and then the peer is somewhere else.
    fn float_follows_during_a_renegotiation(programs) {
        let lab = Lab::new();
        let link = Link::tls(&lab, programs, Role::Client, [
            "float\nkeepalive 1 6\npersist-tun\nreneg-sec 0", "float\nkeepalive 1 6\npersist-tun\nreneg-sec 5",
        ]);
        // Not much before the renegotiation: a silent peer is offered a new session instead.
        std::thread::sleep(Duration::from_millis(4200));
        lab.left.ip(&["link set eth0 down"]);
        link.right.wait_for("TLS: soft reset");
        move_right(&lab, "192.0.2.2", "192.0.2.77");
        lab.left.ip(&["link set eth0 up"]);
        link.pinger().back_within(Duration::from_secs(20));
        link.check_pings();
        if programs[0] != Program::Openvpn {
            for end in [&link.left, &link.right] {
                assert_eq!(end.count("process restarting"), 0);
                assert_eq!(end.count("TLS: Initial packet"), 1, "the session goes on");
            }
            for (end, program) in [&link.left, &link.right].into_iter().zip(programs) {
                end.wait_for_count(program.words("Control Channel: TLSv1", "Data Channel: cipher"), 2);
            }
        }
        link.stop();
    }
}

for_each_pair! {
    /// A peer that comes back with another port, as behind an address translator.
    fn float_follows_a_new_session(programs) {
        for left in ROLES {
            let lab = Lab::new();
            let mut link = Link::tls(&lab, programs, left, ["float", ""]);
            link.right.signal(Signal::SIGKILL);
            link.right.wait();
            let config = tls_end(&lab.right, &lab.left, left.other(), "lport 5555");
            link.right = Daemon::start(&lab, &lab.right, programs[1], &config);
            link.pinger().back_within(Duration::from_secs(12));
            link.left.wait_for("TLS: Initial packet from [AF_INET]192.0.2.2:5555");
            link.stop();
        }
    }
}

for_each_pair! {
    fn without_float_another_address_is_not_followed(programs) {
        let lab = Lab::new();
        let mut link = Link::tls(&lab, programs, Role::Server, ["", "ping 1"]);
        move_right(&lab, "192.0.2.2", "192.0.2.77");
        link.right.signal(Signal::SIGUSR1);
        link.left.wait_for(
            "TCP/UDP: Incoming packet rejected from [AF_INET]192.0.2.77:1194[2], expected peer address: [AF_INET]192.0.2.2:1194",
        );
        link.pinger_back().must_not_answer(10, Filling::Random);
        link.stop();
    }
}

for_each_pair! {
    /// An end without `remote` listens, and takes whom it can prove.
    fn without_remote_whoever_is_authentic(programs) {
        for left in ROLES {
            let lab = Lab::new();
            pki::write(&lab);
            let listening = tls_end(&lab.left, &lab.right, left, "tls-auth ta.key").replace("remote 192.0.2.2\n", "");
            let right = tls_end(&lab.right, &lab.left, left.other(), "tls-auth ta.key\nlport 7777");
            let link = Link::with_configs(&lab, programs, [&listening, &right]);
            link.wait_for_traffic();
            link.left.wait_for("Peer Connection Initiated with [AF_INET]192.0.2.2:7777");
            link.check_pings();
            link.stop();
        }
    }
}
