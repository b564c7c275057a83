//! Name servers that do not answer: what is going on meanwhile, and who else is asked.

use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof, named_ends};
use longcable_tests::support::{Daemon, Filling, Lab, Link, Program, poll};
use nix::sys::signal::Signal;

/// Whatever is sent there is lost.
const SILENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);

fn silence(lab: &Lab) {
    lab.router_ip(&[&format!("route add blackhole {SILENT}")]);
    lab.left.ask(SILENT);
}

/// Waits until a name is being looked up, which takes a thread.
fn is_asking(program: &Daemon) {
    let threads = || fs::read_dir(format!("/proc/{}/task", program.pid())).map_or(0, Iterator::count);
    assert!(poll(Duration::from_secs(10), || (threads() > 1).then_some(())).is_some(), "{}", program.log());
    // It reads its files first, which are about to change.
    thread::sleep(Duration::from_millis(300));
}

/// A signal is obeyed at once, whatever name is being looked up.
#[test]
fn nobody_waits_for_a_silent_name_server() {
    for (more, lines) in [("", ""), ("local left.example", ""), ("local left.example", "remote 198.51.100.2")] {
        let lab = Lab::volatile();
        silence(&lab);
        let [left, _] = named_ends(&lab, Proof::StaticKey, [more, ""]);
        let left = if lines.is_empty() { left } else { left.replace(&format!("remote {}", NAMES[1]), lines) };
        let mut left = Daemon::start(&lab, &lab.left, Program::Longcable, &left);
        is_asking(&left);
        for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGTERM] {
            left.signal(signal);
        }
        let start = Instant::now();
        assert_eq!(left.wait().code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}: {}", start.elapsed(), left.log());
        left.wait_for("SIGTERM[hard,] received, process exiting");
    }
}

/// `resolv.conf` names another one, as it does when a line has come up: a link that starts does not wait for the first
/// one to be given up, which takes ten seconds and more.
#[test]
fn another_name_server_is_asked_at_the_start() {
    for proof in [Proof::StaticKey, Proof::Tls(Role::Client)] {
        // An end without float does not wait to be called.
        for more in ["", "float"] {
            let lab = Lab::volatile();
            let _server = NameServer::start(&lab);
            silence(&lab);
            let [left, right] = named_ends(&lab, proof, [more, "ping 60\nprobe-interval 0\nconnect-timeout 60"]);
            let left = Daemon::start(&lab, &lab.left, Program::Longcable, &left);
            is_asking(&left);
            lab.left.ask(lab.left.gateway());
            // What the right end says is of no use to an end that has no socket, or does not listen to anybody.
            let right = Daemon::start(&lab, &lab.right, Program::Longcable, &right);
            let link = Link::with(&lab, left, right);
            link.back_within(&format!("{proof:?} {more:?}, another name server"), Duration::from_secs(9));
            assert_eq!(link.restarts(), 0, "nothing restarts");
            link.stop();
        }
    }
}

/// The same while the link stands and both ends move.
#[test]
fn another_name_server_is_asked_after_a_move() {
    let lab = Lab::volatile();
    let server = NameServer::start(&lab);
    let link = Link::named(&lab, [Program::Longcable; 2], Proof::StaticKey, ["keepalive 10 60"; 2]);
    silence(&lab);
    lab.redial_both(11);
    is_asking(&link.left);
    link.pinger().must_not_answer(8, Filling::Random);
    server.set_both(11);
    lab.left.ask(lab.left.gateway());
    link.back_within("another name server after a move", Duration::from_secs(6));
    assert_eq!(link.restarts(), 0, "nothing restarts");
    link.stop();
}

/// The name in `local` leads to another address when the line has got one.
#[test]
fn local_is_a_name() {
    let lab = Lab::volatile();
    let server = NameServer::start(&lab);
    let more = format!("local {}\nfloat\nkeepalive 10 60\npersist-tun", NAMES[0]);
    let link = Link::named(&lab, [Program::Longcable; 2], Proof::StaticKey, [&more, "float\nkeepalive 10 60"]);
    link.left.wait_for("link local (bound): [AF_INET]192.0.2.1:1194");
    server.set(&[(NAMES[0], lab.left.address(11)), (NAMES[1], lab.right.outside)]);
    lab.left.redial(11);
    link.back_within("local is a name", Duration::from_secs(6));
    let bound = || (link.left.count("link local (bound): [AF_INET]192.0.2.11:1194") > 0).then_some(());
    assert!(poll(Duration::from_secs(1), bound).is_some(), "{}", link.left.log());
    link.stop();
}

/// An answer that comes when the socket has been closed opens none.
#[test]
fn local_is_looked_up_while_the_link_restarts() {
    let lab = Lab::volatile();
    let server = NameServer::start(&lab);
    let more = format!("local {}\nfloat\nkeepalive 10 60\npersist-tun", NAMES[0]);
    let mut link = Link::named(&lab, [Program::Longcable; 2], Proof::StaticKey, [&more, "float\nkeepalive 10 60"]);
    server.freeze(true);
    lab.left.redial(1);
    is_asking(&link.left);
    link.left.signal(Signal::SIGUSR1);
    link.left.wait_for("SIGUSR1[hard,] received, process restarting");
    thread::sleep(Duration::from_millis(1200));
    server.freeze(false);
    link.back_within("a restart while 'local' is looked up", Duration::from_secs(12));
    link.check_pings();
    assert_eq!(link.left.count("Socket bind failed"), 0, "{}", link.left.log());
    link.stop();
}
