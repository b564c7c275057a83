//! Keepalive, inactivity, restarts and the end of the other end.

use std::thread;
use std::time::{Duration, Instant};

use longcable_tests::support::{Daemon, Filling, Lab, Link, Program, end, poll};
use nix::sys::signal::Signal;

fn alone(lab: &Lab, more: &str) -> Daemon {
    Daemon::start(lab, &lab.left, Program::tested(), &end(&lab.left, &lab.right, more))
}

#[test]
fn ping_restart_without_a_peer() {
    let lab = Lab::new();
    let mut left = alone(&lab, "ping-restart 2");
    left.wait_for("Inactivity timeout (--ping-restart), restarting");
    left.wait_for("SIGUSR1[soft,ping-restart] received, process restarting");
    left.wait_for("Restart pause, 1 second(s)");
    left.wait_for_count("Inactivity timeout (--ping-restart), restarting", 2);
    assert!(left.stop().success());
}

#[test]
fn ping_exit_without_a_peer() {
    let lab = Lab::new();
    let mut left = alone(&lab, "ping-exit 2");
    assert_eq!(left.wait().code(), Some(0));
    left.wait_for("Inactivity timeout (--ping-exit), exiting");
    left.wait_for("SIGTERM[soft,ping-exit] received, process exiting");
}

for_each_pair! {
    fn keepalive_brings_the_link_back(programs) {
        let lab = Lab::new();
        let mut link = Link::up(&lab, programs, ["keepalive 1 3", "keepalive 1 3"]);
        link.right.signal(Signal::SIGKILL);
        link.right.wait();
        link.left.wait_for("Inactivity timeout (--ping-restart), restarting");
        link.right = Daemon::start(&lab, &lab.right, programs[1], &end(&lab.right, &lab.left, "keepalive 1 3"));
        link.wait_for_traffic();
        link.stop();
    }
}

for_each_pair! {
    /// One end's pings keep the other from restarting although nothing else passes, and no longer.
    fn pings_are_enough(programs) {
        let lab = Lab::new();
        let mut link = Link::up(&lab, programs, ["ping 1", "ping-restart 3"]);
        thread::sleep(Duration::from_secs(5));
        assert_eq!(link.right.count("Inactivity timeout"), 0, "there were pings");
        link.left.signal(Signal::SIGSTOP);
        link.right.wait_for("Inactivity timeout (--ping-restart), restarting");
        link.left.signal(Signal::SIGCONT);
        link.wait_for_traffic();
        link.stop();
    }
}

for_each_pair! {
    fn inactive(programs) {
        let lab = Lab::new();
        let mut link = Link::up(&lab, programs, ["inactive 3\nping 1", "ping 1"]);
        let mut pinger = link.pinger();
        let busy = Instant::now();
        while busy.elapsed() < Duration::from_secs(4) {
            pinger.must_answer(10, Filling::Random);
            thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(link.left.ended(), None, "there was traffic");
        assert_eq!(link.left.wait().code(), Some(0), "the other end's pings are no traffic");
        link.left.wait_for("Inactivity timeout (--inactive), exiting");
        link.left.wait_for("SIGTERM[soft,inactive] received, process exiting");
    }
}

#[test]
fn inactive_counts_bytes() {
    let lab = Lab::new();
    let programs = [Program::tested(), Program::Openvpn];
    let mut link = Link::up(&lab, programs, ["inactive 3 100000", ""]);
    let mut pinger = link.pinger();
    let ended = poll(Duration::from_secs(10), || {
        // The last ones may find the link gone.
        let _ = pinger.ping(10, Filling::Random, Duration::from_millis(50));
        link.left.ended()
    });
    assert_eq!(ended.expect("too little traffic is none").code(), Some(0));
}

for_each_pair! {
    fn explicit_exit_notify(programs) {
        let lab = Lab::new();
        let mut link = Link::up(&lab, programs, ["explicit-exit-notify 1", ""]);
        link.left.signal(Signal::SIGTERM);
        assert_eq!(link.left.wait().code(), Some(0));
        link.left.wait_for("SIGTERM[soft,exit-with-notification] received, process exiting");
        link.right.wait_for("SIGUSR1[soft,remote-exit] received, process restarting");
        link.left = Daemon::start(&lab, &lab.left, programs[0], &end(&lab.left, &lab.right, "explicit-exit-notify 1"));
        link.wait_for_traffic();
    }
}

for_each_pair! {
    fn sigusr1_restarts(programs) {
        let lab = Lab::new();
        let mut link = Link::up(&lab, programs, ["", ""]);
        link.left.signal(Signal::SIGUSR1);
        link.left.wait_for("SIGUSR1[hard,] received, process restarting");
        link.left.wait_for_count("TUN/TAP device tun0 opened", 2);
        link.wait_for_traffic();
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    fn persist_tun_keeps_the_device(programs) {
        let lab = Lab::new();
        let mut link = Link::up(&lab, programs, ["persist-tun\npersist-key\npersist-local-ip\npersist-remote-ip", ""]);
        let index = || lab.left.output("cat /sys/class/net/tun0/ifindex");
        let before = index();
        link.left.signal(Signal::SIGUSR1);
        link.left.wait_for("SIGUSR1[hard,] received, process restarting");
        link.wait_for_traffic();
        assert_eq!(index(), before);
        assert_eq!(link.left.count("TUN/TAP device tun0 opened"), 1);
        link.stop();
    }
}

/// However much passes.
#[test]
fn session_timeout() {
    let lab = Lab::new();
    let mut link = Link::up(&lab, [Program::tested(), Program::Openvpn], ["session-timeout 3", ""]);
    let mut pinger = link.pinger();
    let ended = poll(Duration::from_secs(10), || {
        // The last one may find the link gone.
        let _ = pinger.ping(10, Filling::Random, Duration::from_millis(50));
        link.left.ended()
    });
    assert_eq!(ended.expect("it is over").code(), Some(0));
    link.left.wait_for("Session timeout, exiting");
    link.left.wait_for("SIGTERM[soft,session-timeout] received, process exiting");
}

/// Who waits to be called does not restart because nobody calls.
#[test]
fn ping_timer_rem_waits_for_a_peer() {
    let lab = Lab::new();
    let config = |more: &str| {
        let config = end(&lab.left, &lab.right, &format!("ping-restart 2\n{more}"));
        config.replace(&format!("remote {}\n", lab.right.outside), "")
    };
    let mut impatient = Daemon::start(&lab, &lab.left, Program::tested(), &config(""));
    impatient.wait_for_count("Inactivity timeout (--ping-restart), restarting", 2);
    assert!(impatient.stop().success());
    let mut left = Daemon::start(&lab, &lab.left, Program::tested(), &config("ping-timer-rem"));
    thread::sleep(Duration::from_secs(5));
    assert_eq!(left.count("Inactivity timeout"), 0, "there is no peer yet: {}", left.log());
    let right = Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, "ping 1"));
    left.wait_for("Peer Connection Initiated");
    drop(right);
    left.wait_for_within("Inactivity timeout (--ping-restart), restarting", Duration::from_secs(25));
    assert!(left.stop().success());
}

#[test]
fn remap_usr1_ends_the_program_or_reads_its_config_anew() {
    let lab = Lab::new();
    let config = |more: &str| end(&lab.left, &lab.right, &format!("ping-restart 2\n{more}"));
    let mut left = alone(&lab, "ping-restart 2\nremap-usr1 SIGTERM");
    assert_eq!(left.wait().code(), Some(0));
    left.wait_for("SIGTERM[soft,ping-restart] received, process exiting");

    let mut left = alone(&lab, "remap-usr1 SIGTERM");
    left.wait_for("link remote");
    left.signal(Signal::SIGUSR1);
    assert_eq!(left.wait().code(), Some(0));
    left.wait_for(Program::tested().words("SIGTERM[soft,] received", "SIGTERM[hard,] received"));

    lab.write("left.conf", &config("remap-usr1 SIGHUP"));
    let mut left = Daemon::with_arguments(&lab, &lab.left, Program::tested(), &["--config", "left.conf"]);
    left.wait_for("link remote");
    lab.write("left.conf", &config("remap-usr1 SIGHUP\nrport 5001"));
    left.wait_for("SIGHUP[soft,ping-restart] received, process restarting");
    left.wait_for("link remote: [AF_INET]192.0.2.2:5001");
    assert!(left.stop().success());
}
