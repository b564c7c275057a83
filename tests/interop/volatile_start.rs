//! A start where the peer's name has several addresses, of which some lead nowhere: all of them are tried at once.

use std::time::Duration;

use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof, named_ends};
use longcable_tests::support::{Daemon, Lab, Link, Program};

/// A second is enough, and no time-out is so short.
const BOUND: Duration = Duration::from_secs(3);

#[test]
fn only_one_address_of_the_name_is_right() {
    for peer in [Program::Longcable, Program::Openvpn] {
        for proof in [Proof::StaticKey, Proof::Tls(Role::Client)] {
            for hosts in [[98, 99, 2], [2, 98, 99]] {
                let lab = Lab::volatile();
                let server = NameServer::start(&lab);
                let right = hosts.map(|host| (NAMES[1], lab.right.address(host)));
                server.set(&[right[0], right[1], right[2], (NAMES[0], lab.left.outside)]);
                let [left, right] = named_ends(&lab, proof, [""; 2]);
                // It waits to be called.
                let right = right.replace(&format!("remote {}\n", NAMES[0]), "");
                let right = Daemon::start(&lab, &lab.right, peer, &right);
                right.wait_for("link remote");
                let link = Link::with(&lab, Daemon::start(&lab, &lab.left, Program::Longcable, &left), right);
                link.back_within(&format!("{peer:?} {proof:?}, {hosts:?}"), BOUND);
                assert_eq!(link.restarts(), 0, "nothing restarts");
                link.check_pings_between([Program::Longcable, peer]);
                link.stop();
            }
        }
    }
}
