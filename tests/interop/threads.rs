//! `threads 2`: a thread of its own for packets from the tunnel to the network, which comes and goes with both of them.

use std::fs;

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Lab, Link, PATIENCE, Program, poll};
use nix::sys::signal::Signal;

/// Names of its threads.
fn threads(program: &Daemon) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", program.pid())).expect("our child");
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default().trim().to_owned();
    tasks.map(|task| name(task.expect("an entry"))).collect()
}

fn must_have_two(program: &Daemon) {
    let found = poll(PATIENCE, || threads(program).contains(&"sender".to_owned()).then_some(()));
    assert!(found.is_some(), "{:?}", threads(program));
}

// Both directions at the same time, while keys change.
for_each_pair! {
    fn keys_change_under_traffic_both_ways(programs) {
        let lab = Lab::new();
        let lines = |side: usize| format!("reneg-sec {}\n{}", [5, 0][side], programs[side].words("", "threads 2"));
        let link = Link::tls(&lab, programs, Role::Client, [&lines(0), &lines(1)]);
        for (end, program) in [&link.left, &link.right].into_iter().zip(programs) {
            if program == Program::Longcable {
                must_have_two(end);
            }
        }
        let mut rounds = 0;
        while link.left.count("Control Channel: TLS") < 3 {
            link.check_tcp(16 << 20);
            rounds += 1;
            assert!(rounds < 200, "no new keys");
        }
        link.stop();
    }
}

/// Restarts, which close the socket, the device, or both; and somebody deletes the device.
#[test]
fn it_lets_go_of_what_is_closed() {
    for more in ["", "persist-tun", "persist-tun\nup-restart"] {
        let lab = Lab::new();
        let line = format!("threads 2\nconnect-retry 1\nkeepalive 1 4\n{more}");
        let mut link = Link::tls(&lab, [Program::Longcable; 2], Role::Client, [&line, &line]);
        let begun = "Initialization Sequence Completed";
        for (count, signal) in [(2, Signal::SIGUSR1), (3, Signal::SIGHUP), (4, Signal::SIGUSR1)] {
            link.left.signal(signal);
            link.left.wait_for_count(begun, count);
            link.wait_for_traffic();
            must_have_two(&link.left);
        }
        let device = lab.left.output("ip -o link show type tun");
        let device = device.split(": ").nth(1).expect("a device").to_owned();
        lab.left.output(&format!("ip link del {device}"));
        link.left.wait_for("the tunnel device was deleted");
        link.wait_for_traffic();
        link.stop();
        assert_eq!(lab.left.output("ip -o link show type tun"), "");
    }
}

/// Packets that the socket does not take at once wait, and go on.
#[test]
fn a_full_socket_is_waited_for() {
    let lab = Lab::new();
    let link = Link::up(&lab, [Program::Longcable; 2], ["threads 2\nsndbuf 4608\nspin 20", "threads 2"]);
    link.check_tcp(8 << 20);
    link.check_pings();
    link.stop();
}
