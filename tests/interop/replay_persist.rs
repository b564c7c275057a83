//! Packets that were accepted before the program ended: with `replay-persist` the next process does not accept them again,
//! and it may be another program.

use std::io;
use std::net::UdpSocket;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use longcable_tests::support::volatile::meanwhile;
use longcable_tests::support::{Daemon, Lab, Link, Program, end, poll};

/// Both ends' peers are here, at the right site: what comes in at one goes out at the other.
const PORTS: [u16; 2] = [2194, 2195];

#[test]
fn the_next_program_knows_what_the_last_one_has_accepted() {
    let tested = Program::tested();
    for [before, after] in [[Program::Openvpn, tested], [tested, Program::Openvpn], [tested; 2]] {
        for persists in [true, false] {
            let lab = Lab::new();
            let more = if persists { "replay-persist seen" } else { "" };
            let config = |site, port, more: &str| {
                let other = if site == 0 { [&lab.left, &lab.right] } else { [&lab.right, &lab.left] };
                end(other[0], other[1], more).replace(
                    &format!("remote {}\n", other[1].outside),
                    &format!("remote {} {port}\nfloat\n", lab.right.outside),
                )
            };
            let sockets = lab.right.namespace.inside(|| open(&lab)).expect("sockets");
            let recorded = Mutex::new(Vec::new());
            let left = config(0, PORTS[0], more);
            let relay = |goes_on: &dyn Fn() -> bool| {
                while goes_on() {
                    pass(&lab, &sockets, &recorded)
                }
            };
            let recorded = meanwhile(relay, || {
                let right = config(1, PORTS[1], "ping 1");
                let link = Link::with_configs(&lab, [before, Program::Openvpn], [&left, &right]);
                link.wait_for_traffic();
                link.check_pings();
                let accepted = recorded.lock().expect("nobody panics here").clone();
                link.stop();
                accepted
            });
            assert!(recorded.len() > 2, "only {} datagrams", recorded.len());
            let mut next = Daemon::start(&lab, &lab.left, after, &left);
            next.wait_for("link remote");
            let (refused, accepted) = ("Authenticate/Decrypt packet error: bad packet ID", "Peer Connection Initiated");
            let expected = if persists { refused } else { accepted };
            let verdict = poll(Duration::from_secs(10), || {
                for datagram in &recorded {
                    // It may not be there yet.
                    let _ = sockets[0].send_to(datagram, (lab.left.outside, 1194));
                }
                (next.count(expected) > 0).then_some(())
            });
            assert!(verdict.is_some(), "{before:?}, then {after:?}, {more:?}: {}", next.log());
            if persists {
                thread::sleep(Duration::from_millis(200));
                assert_eq!(next.count(accepted), 0, "{before:?}, then {after:?}: {}", next.log());
            }
            assert!(next.stop().success());
        }
    }
}

fn open(lab: &Lab) -> io::Result<[UdpSocket; 2]> {
    let sockets = [UdpSocket::bind((lab.right.outside, PORTS[0]))?, UdpSocket::bind((lab.right.outside, PORTS[1]))?];
    for socket in &sockets {
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
    }
    Ok(sockets)
}

/// Passes on what waits, and records what goes to the left end.
fn pass(lab: &Lab, [to_left, to_right]: &[UdpSocket; 2], recorded: &Mutex<Vec<Vec<u8>>>) {
    let mut buffer = [0; 2048];
    if let Ok((length, _)) = to_left.recv_from(&mut buffer) {
        let _ = to_right.send_to(&buffer[..length], (lab.right.outside, 1194));
    }
    if let Ok((length, _)) = to_right.recv_from(&mut buffer) {
        recorded.lock().expect("nobody panics here").push(buffer[..length].to_vec());
        let _ = to_left.send_to(&buffer[..length], (lab.left.outside, 1194));
    }
}
