//! A link that lasts, with traffic both ways: `BOARD_SOAK_SECONDS` long, 120 if nobody says.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use longcable_core::tls::Role;
use longcable_tests::support::board::{Addressing, BOARD_PATIENCE, Board, Firmware, UP, check_board, echo_tcp};
use longcable_tests::support::volatile::meanwhile;
use longcable_tests::support::{Daemon, Filling, Lab, Pinger, Program, end, pki, tls_end};

use crate::certificates::CRYPT;

/// Before the board ends.
const MARGIN: Duration = Duration::from_secs(10);

/// The most stack in bytes of a link with certificates; with its static RAM that is 96 KiB.
const STACK_MAX: usize = 22 * 1024;

/// Of so many packets one may be lost.
const TOLERANCE: usize = 200;

#[test]
fn with_a_static_key() {
    let lab = Lab::new();
    let configs = [end(&lab.left, &lab.right, ""), end(&lab.right, &lab.left, "")];
    soak(&lab, Firmware::Static, [&configs[0], &configs[1]]);
}

/// Keys change several times.
#[test]
fn with_certificates() {
    let lab = Lab::new();
    pki::write(&lab);
    let server = format!("reneg-sec 20\n{CRYPT}");
    let configs =
        [tls_end(&lab.left, &lab.right, Role::Client, CRYPT), tls_end(&lab.right, &lab.left, Role::Server, &server)];
    let report = soak(&lab, Firmware::Tls, [&configs[0], &configs[1]]);
    let stack = report.split_once("watch: stack ").and_then(|(_, report)| report.split(' ').next()?.parse().ok());
    assert!(stack.is_some_and(|stack: usize| stack <= STACK_MAX), "{stack:?} bytes of stack");
}

/// What the board reports.
fn soak(lab: &Lab, firmware: Firmware, configs: [&str; 2]) -> String {
    let seconds = env::var("BOARD_SOAK_SECONDS").map_or(120, |seconds| seconds.parse().expect("a number of seconds"));
    let lifetime = Duration::from_secs(seconds) + 2 * MARGIN;
    let mut peer = Daemon::start(lab, &lab.right, Program::Openvpn, configs[1]);
    let board = Board::start_for(lab, &lab.left, firmware, configs[0], Addressing::Fixed, lifetime);
    // Traffic is over before the board is.
    let end = Instant::now() + lifetime - MARGIN;
    check_board(&lab.right, &lab.left);

    let (mut sent, mut lost, mut streams) = (0, 0, 0);
    let pings = |goes_on: &dyn Fn() -> bool| {
        let mut pinger = Pinger::new(&lab.right, lab.left.inside);
        while goes_on() || sent < 100 {
            let size = sent * 37 % 1400;
            lost += usize::from(pinger.ping(size, Filling::Random, Duration::from_secs(5)).is_err());
            sent += 1;
            thread::sleep(Duration::from_millis(20));
        }
    };
    meanwhile(pings, || {
        while Instant::now() < end {
            echo_tcp(&lab.right, &lab.left, 32 * 1024);
            streams += 1;
            thread::sleep(Duration::from_millis(200));
        }
    });
    println!("{lost} of {sent} echoes lost; {streams} TCP streams");
    assert!(lost * TOLERANCE <= sent, "{lost} of {sent} echoes lost");

    assert_eq!(board.count(UP), 1, "the link does not restart");
    let report = board.finish(BOARD_PATIENCE);
    println!("{}", report.lines().filter(|line| line.contains("watch:")).collect::<Vec<_>>().join("\n"));
    assert!(peer.stop().success(), "exit status 0 after SIGTERM");
    report
}
