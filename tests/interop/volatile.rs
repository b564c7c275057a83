//! Both ends on lines whose addresses change, with names in a dynamic DNS: what happens to the link, and for how long.
//!
//! No change needs a restart where one end is a longcable. With openvpn at the other, what openvpn does bounds it: it
//! notices nothing by itself, and it takes a TLS session only from where it began. Most of this is more than openvpn can
//! do, so it is not to be proved with openvpn at both ends.

use std::thread;
use std::time::{Duration, Instant};

use longcable_tests::support::volatile::{NAMES, NameServer, Proof, named_ends};
use longcable_tests::support::{Daemon, Lab, Link, Program};
use nix::sys::signal::Signal;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// longcable accepts no new session before the present one is older.
const SESSION_AGE: Duration = Duration::from_millis(2100);

/// Whether openvpn is one of them.
fn mixed(programs: [Program; 2]) -> bool {
    programs.contains(&Program::Openvpn)
}

/// Both ends may be followed, and no timer of theirs is shorter than a minute.
const PATIENT: &str = "float\nkeepalive 10 60\npersist-tun\npersist-key";

for_each_pair! {
    /// One end's line gets another address: it tells the peer.
    fn one_end_moves(programs) {
        for proof in Proof::ALL {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            // What openvpn says first after its move is a ping, and to a TLS session of longcable's it says it in vain.
            let more = if mixed(programs) { "float\nkeepalive 2 12\npersist-tun\npersist-key" } else { PATIENT };
            let link = Link::named(&lab, programs, proof, [more, more]);
            lab.left.redial(11);
            let patience = match (programs, proof) {
                ([Program::Longcable, Program::Longcable], _) => seconds(2.0),
                // openvpn follows what is authentic; it is offered a session otherwise.
                (_, Proof::StaticKey) => seconds(4.0),
                _ => seconds(5.0),
            };
            link.back_within(&format!("{programs:?} {proof:?}, the left end moves"), patience);
            assert_eq!(link.restarts(), 0, "nothing restarts");
            link.check_pings_between(programs);
            drop(server);
            link.stop();
        }
    }
}

for_each_pair! {
    /// Both ends' lines get other addresses, and nobody knows where the other one is: the names tell longcable, and
    /// longcable tells openvpn.
    fn both_ends_move(programs) {
        for proof in Proof::ALL {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            let link = Link::named(&lab, programs, proof, [PATIENT; 2]);
            for last in [11, 12] {
                if proof != Proof::StaticKey && mixed(programs) {
                    // openvpn takes its session from nowhere else, so it is given another one.
                    thread::sleep(SESSION_AGE);
                }
                lab.redial_both(last);
                server.set_both(last);
                link.back_within(&format!("{programs:?} {proof:?}, both ends move"), seconds(7.0));
                assert_eq!(link.restarts(), 0, "nothing restarts");
            }
            link.check_pings_between(programs);
            link.stop();
        }
    }
}

for_each_pair! {
    /// The right end's program dies and is started again, where it was and elsewhere.
    fn one_end_dies(programs) {
        for proof in Proof::ALL {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            let more = "float\nkeepalive 2 20\npersist-tun\npersist-key";
            let mut link = Link::named(&lab, programs, proof, [more; 2]);
            let [_, config] = named_ends(&lab, proof, [more; 2]);
            for last in [2, 22] {
                // Packets under a static key are numbered by the second in which the program was started; a TLS session
                // is not replaced when it is younger than some seconds.
                thread::sleep(if proof == Proof::StaticKey { seconds(1.1) } else { SESSION_AGE });
                link.right.signal(Signal::SIGKILL);
                link.right.wait();
                if last != 2 {
                    lab.right.redial(last);
                    server.set(&[(NAMES[0], lab.left.outside), (NAMES[1], lab.right.address(last))]);
                }
                let start = Instant::now();
                link.right = Daemon::start(&lab, &lab.right, programs[1], &config);
                link.right.wait_for("link remote");
                let up = start.elapsed();
                link.back_within(&format!("{programs:?} {proof:?}, back at .{last}, up after {up:?}"), seconds(3.0));
                assert_eq!(link.left.count("process restarting"), 0, "the other end goes on");
            }
            link.check_pings_between(programs);
            link.stop();
        }
    }
}
