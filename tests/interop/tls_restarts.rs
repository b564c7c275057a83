//! Ends, restarts and restarts of the other end: the link comes back by itself, in time.

use std::process::Command;
use std::time::Duration;

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Filling, Lab, Link, Program, baseline, pki, tls_end};
use nix::sys::signal::Signal;

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Starts the right end's program anew.
fn start_right(lab: &Lab, program: Program, left: Role, more: &str) -> Daemon {
    Daemon::start(lab, &lab.right, program, &tls_end(&lab.right, &lab.left, left.other(), more))
}

/// The right end comes back from nothing, at once.
pub(super) fn killed(programs: [Program; 2], left: Role) {
    let lab = Lab::new();
    let mut link = Link::tls(&lab, programs, left, ["tls-crypt ta.key", "tls-crypt ta.key"]);
    for _ in 0..3 {
        link.right.signal(Signal::SIGKILL);
        link.right.wait();
        link.right = start_right(&lab, programs[1], left, "tls-crypt ta.key");
        println!("back after {:?}", link.pinger_back().back_within(Duration::from_secs(8)));
        assert_eq!(link.left.count("process restarting"), 0, "the left end goes on");
    }
    link.check_pings();
    link.check_tcp(100_000);
    link.stop();
}

for_each_pair! {
    /// The new session stands beside the live one until it is proved, and then takes its place: no timer is needed.
    fn killed_and_started_again(programs) {
        for left in ROLES {
            killed(programs, left);
        }
    }
}

for_each_pair! {
    fn keepalive_brings_the_link_back(programs) {
        let lab = Lab::new();
        let more = "keepalive 1 4\npersist-tun";
        let mut link = Link::tls(&lab, programs, Role::Client, [more, more]);
        link.right.signal(Signal::SIGKILL);
        link.right.wait();
        link.left.wait_for("Inactivity timeout (--ping-restart), restarting");
        link.left.wait_for("SIGUSR1[soft,ping-restart] received, process restarting");
        link.right = start_right(&lab, programs[1], Role::Client, more);
        link.pinger().back_within(Duration::from_secs(12));
        link.stop();
    }
}

/// Signals restart the left end and then the right one; `both` are lines of both.
pub(super) fn signalled(programs: [Program; 2], left: Role, both: &str) {
    let lab = Lab::new();
    let mut link = Link::tls(&lab, programs, left, [both, &format!("persist-tun\npersist-key\n{both}")]);
    for (signal, sessions) in [(Signal::SIGUSR1, 2), (Signal::SIGHUP, 3)] {
        link.left.signal(signal);
        link.left.wait_for(&format!("{}[hard,] received, process restarting", signal.as_str()));
        link.left.wait_for_count("Control Channel: TLSv1", sessions);
        link.pinger().back_within(Duration::from_secs(10));
        link.check_pings();
    }
    link.right.signal(Signal::SIGUSR1);
    link.right.wait_for("SIGUSR1[hard,] received, process restarting");
    link.right.wait_for_count("Initialization Sequence Completed", 2);
    link.pinger_back().back_within(Duration::from_secs(10));
    link.check_pings();
    link.stop();
}

for_each_pair! {
    fn signals_restart_either_end(programs) {
        for left in ROLES {
            signalled(programs, left, "");
        }
    }
}

/// Each end in turn leaves and says so, by the control channel; `both` are lines of both.
pub(super) fn notified(programs: [Program; 2], left: Role, both: &str) {
    let lab = Lab::new();
    let more = format!("explicit-exit-notify 1\n{both}");
    let mut link = Link::tls(&lab, programs, left, [&more, &more]);
    link.right.signal(Signal::SIGTERM);
    assert_eq!(link.right.wait().code(), Some(0));
    link.right.wait_for("SIGTERM[soft,exit-with-notification] received, process exiting");
    link.left.wait_for("CC-EEN exit message received by peer");
    link.left.wait_for("SIGUSR1[soft,remote-exit] received, process restarting");
    link.right = start_right(&lab, programs[1], left, &more);
    link.pinger().back_within(Duration::from_secs(12));
    link.check_pings();
    link.left.stop();
    link.right.wait_for("CC-EEN exit message received by peer");
    link.right.wait_for("SIGUSR1[soft,remote-exit] received, process restarting");
    assert!(link.right.stop().success());
}

for_each_pair! {
    fn explicit_exit_notify(programs) {
        for left in ROLES {
            notified(programs, left, "");
        }
    }
}

for_each_pair! {
    fn inactive_and_ping_exit(programs) {
        let lab = Lab::new();
        let mut link = Link::tls(&lab, programs, Role::Server, ["inactive 3\nping 1", "ping 1\nping-exit 4"]);
        // What control packets and pings carry is no traffic.
        assert_eq!(link.left.wait().code(), Some(0));
        link.left.wait_for("SIGTERM[soft,inactive] received, process exiting");
        assert_eq!(link.right.wait().code(), Some(0));
        link.right.wait_for("SIGTERM[soft,ping-exit] received, process exiting");
    }
}

#[test]
fn no_peer_answers() {
    for role in ROLES {
        let lab = Lab::new();
        pki::write(&lab);
        let config = tls_end(&lab.left, &lab.right, role, "hand-window 4\ntls-timeout 1");
        let left = Daemon::start(&lab, &lab.left, Program::tested(), &config);
        left.wait_for(
            "TLS Error: TLS key negotiation failed to occur within 4 seconds (check your network connectivity)",
        );
        left.wait_for("SIGUSR1[soft,tls-error] received, process restarting");
        left.wait_for("Restart pause, 1 second(s)");
        // A peer that comes late is found.
        let right =
            Daemon::start(&lab, &lab.right, Program::Openvpn, &tls_end(&lab.right, &lab.left, role.other(), ""));
        let link = Link::with(&lab, left, right);
        link.wait_for_traffic();
        link.stop();
    }
}

/// What is wrong is said in one line.
#[test]
fn a_clock_that_is_not_set() {
    for role in ROLES {
        let lab = Lab::new();
        pki::write(&lab);
        let library = lab.library("clock_1970", include_str!("../support/clock_1970.c"));
        lab.write("left.conf", &tls_end(&lab.left, &lab.right, role, "hand-window 4"));
        let mut command = Command::new(Program::tested().path());
        command.args(["--config", "left.conf"]).env("LD_PRELOAD", library).env("TZ", "UTC");
        let left = Daemon::with_command(&lab, &lab.left, "without-clock", &mut command);
        let link = Link::with(&lab, left, start_right(&lab, Program::Openvpn, role, "hand-window 4"));
        link.left.wait_for("1970-01-01 00:00:0");
        link.left.wait_for_all(if baseline() {
            &["VERIFY ERROR: depth=1, error=certificate is not yet valid"]
        } else {
            &["VERIFY ERROR: ", "certificate is not yet valid", "the clock of this machine is not set"]
        });
        link.pinger().must_not_answer(10, Filling::Random);
        link.stop();
    }
}

#[test]
fn tls_exit() {
    let lab = Lab::new();
    pki::write(&lab);
    let config = tls_end(&lab.left, &lab.right, Role::Client, "hand-window 3\ntls-exit");
    let mut left = Daemon::start(&lab, &lab.left, Program::tested(), &config);
    left.wait_for("TLS key negotiation failed to occur within 3 seconds");
    left.wait();
    left.wait_for("SIGTERM[soft,tls-error] received, process exiting");
}

#[test]
fn tls_exit_of_an_end_that_waits() {
    for program in [Program::tested(), Program::Openvpn] {
        let lab = Lab::new();
        pki::write(&lab);
        let config = tls_end(
            &lab.right,
            &lab.left,
            Role::Server,
            "tls-exit\npeer-fingerprint 11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00",
        );
        let config: String =
            config.lines().filter(|line| !line.starts_with("remote ")).map(|line| format!("{line}\n")).collect();
        let mut right = Daemon::start(&lab, &lab.right, program, &config);
        let config = tls_end(&lab.left, &lab.right, Role::Client, "");
        let _left = Daemon::start(&lab, &lab.left, Program::Openvpn, &config);
        right.wait_for("TLS handshake failed");
        right.wait_for("SIGTERM[soft,tls-error] received, process exiting");
        right.wait();
    }
}

for_each_pair! {
    /// A restarted peer is not let in before the end itself starts anew.
    fn single_session(programs) {
        let lab = Lab::new();
        let mut link = Link::tls(&lab, programs, Role::Server, ["single-session\nkeepalive 1 6", "ping 1"]);
        link.right.signal(Signal::SIGKILL);
        link.right.wait();
        link.right = start_right(&lab, programs[1], Role::Server, "ping 1");
        let early = link.pinger_back().ping(8, Filling::Random, Duration::from_secs(2));
        assert!(early.is_err(), "a second session was let in");
        link.left.wait_for_within("SIGUSR1[soft,ping-restart] received", Duration::from_secs(15));
        link.pinger().back_within(Duration::from_secs(15));
        link.stop();
    }
}

for_each_pair! {
    /// The first packets of either end are lost for a while.
    fn a_cable_that_is_cut_during_the_handshake(programs) {
        let lab = Lab::new();
        lab.left.ip(&["link set eth0 down"]);
        let link = Link::start_tls(&lab, programs, Role::Server, ["tls-timeout 1", "tls-timeout 1"]);
        std::thread::sleep(Duration::from_secs(3));
        lab.left.ip(&["link set eth0 up"]);
        link.pinger().back_within(Duration::from_secs(12));
        link.check_pings();
        link.stop();
    }
}
