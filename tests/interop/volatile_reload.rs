//! SIGHUP reads the configuration anew. One that cannot be used is no reason to give up a link that works.

use std::fs;
use std::time::Duration;

use longcable_core::tls::Role;
use longcable_tests::support::volatile::{Proof, none_lost};
use longcable_tests::support::{Daemon, Lab, Link, Program, end, pki, tls_end};
use nix::sys::signal::Signal;

const KEPT: &str = "The new configuration cannot be used: the link goes on with the old one";

/// The left end of a link, whose config file is `left.conf`, and its text.
fn start<'a>(lab: &'a Lab, proof: Proof, more: &str) -> (Link<'a>, String) {
    let [left, right] = match proof {
        Proof::StaticKey => [end(&lab.left, &lab.right, more), end(&lab.right, &lab.left, "float")],
        Proof::Tls(role) => {
            pki::write(lab);
            [tls_end(&lab.left, &lab.right, role, more), tls_end(&lab.right, &lab.left, role.other(), "float")]
        }
    };
    lab.write("left.conf", &left);
    let program = Daemon::with_arguments(lab, &lab.left, Program::Longcable, &["--config", "left.conf"]);
    let link = Link::with(lab, program, Daemon::start(lab, &lab.right, Program::Longcable, &right));
    link.wait_for_traffic();
    (link, left)
}

#[test]
fn a_broken_configuration_is_not_used() {
    for proof in [Proof::StaticKey, Proof::Tls(Role::Client)] {
        let lab = Lab::new();
        let (mut link, good) = start(&lab, proof, "writepid left.pid\nstatus left.status\nreplay-persist left.replays");
        lab.write("broken.key", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let (key, line) = match proof {
            Proof::StaticKey => ("static.key", "secret broken.key"),
            Proof::Tls(_) => ("client.key", "cert broken.key"),
        };
        let cases = [
            ("no-such-option", "no-such-option"),
            ("remote \"192.0.2.2", "left.conf"),
            ("config missing.conf", "missing.conf"),
            (line, "broken.key"),
            ("ifconfig 10.9.0.1", "ifconfig"),
            ("status /no/such/directory/status", "/no/such/directory/status"),
            ("up /no/such/script\nscript-security 2", "/no/such/script"),
            ("cd nowhere", "nowhere"),
        ];
        none_lost(link.pinger(), || {
            for (number, (line, word)) in (1..).zip(cases) {
                lab.write("left.conf", &format!("{good}{line}\n"));
                link.left.signal(Signal::SIGHUP);
                link.left.wait_for_count(KEPT, number);
                link.left.wait_for_all(&["Options error", word]);
            }
            // A good one whose key has gone.
            lab.write("left.conf", &good);
            fs::rename(lab.directory().join(key), lab.directory().join("moved.key")).unwrap();
            link.left.signal(Signal::SIGHUP);
            link.left.wait_for_count(KEPT, cases.len() + 1);
            link.left.wait_for_all(&["Options error", key]);
        });
        assert_eq!(link.restarts(), 0, "the link goes on");
        fs::rename(lab.directory().join("moved.key"), lab.directory().join(key)).unwrap();
        lab.write("left.conf", &format!("{good}ping 1\nping-exit 17\n"));
        link.left.signal(Signal::SIGHUP);
        link.left.wait_for("SIGHUP[hard,] received, process restarting");
        link.left.wait_for("Timers: ping 1, ping-exit 17");
        link.pinger().back_within(Duration::from_secs(8));
        link.check_pings();
        link.stop();
    }
}

/// What was readable at the start need not be so later.
#[test]
fn files_that_can_no_longer_be_read_are_broken() {
    for proof in [Proof::StaticKey, Proof::Tls(Role::Server)] {
        let lab = Lab::new();
        let (mut link, _) = start(&lab, proof, "user nobody\ngroup nogroup\npersist-tun\npersist-key");
        none_lost(link.pinger(), || {
            link.left.signal(Signal::SIGHUP);
            link.left.wait_for(KEPT);
            link.left.wait_for("Permission denied");
            std::thread::sleep(Duration::from_millis(300));
        });
        assert_eq!(link.restarts(), 0, "the link goes on");
        // It is no less alive than before.
        link.left.signal(Signal::SIGUSR1);
        link.left.wait_for("SIGUSR1[hard,] received, process restarting");
        link.pinger().back_within(Duration::from_secs(8));
        link.stop();
    }
}

/// `remap-usr1 SIGHUP`: whatever restarts the link reads the configuration anew, and that is no different.
#[test]
fn a_broken_configuration_is_not_used_after_silence_either() {
    for proof in [Proof::StaticKey, Proof::Tls(Role::Client)] {
        let lab = Lab::new();
        let (mut link, good) = start(&lab, proof, "remap-usr1 SIGHUP\nping 1\nping-restart 3\nconnect-retry 1\nfloat");
        lab.write("left.conf", &format!("{good}no-such-option\n"));
        link.left.signal(Signal::SIGUSR1);
        link.left.wait_for(KEPT);
        assert_eq!(link.restarts(), 0, "the link goes on");
        link.right.signal(Signal::SIGSTOP);
        link.left.wait_for_count(KEPT, 2);
        link.left.wait_for("SIGUSR1[soft,ping-restart] received, process restarting");
        link.right.signal(Signal::SIGCONT);
        link.pinger().back_within(Duration::from_secs(10));
        lab.write("left.conf", &good.replace("ping-restart 3", "ping-restart 4"));
        link.right.signal(Signal::SIGSTOP);
        link.left.wait_for("SIGHUP[soft,ping-restart] received, process restarting");
        link.right.signal(Signal::SIGCONT);
        link.left.wait_for("Timers: ping 1, ping-restart 4");
        link.pinger().back_within(Duration::from_secs(10));
        link.stop();
    }
}
