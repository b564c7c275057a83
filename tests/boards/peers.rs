//! Other peers than openvpn, and an openvpn that starts anew.

use longcable_tests::support::board::{Board, Firmware, check_board};
use longcable_tests::support::{Daemon, Lab, Program, end};

use crate::certificates::{self, CRYPT};

/// How soon the ends notice that the other one is gone.
const TIMERS: &str = "ping 1\nping-restart 8";

#[test]
fn openvpn_with_a_static_key_is_killed_and_started_anew() {
    let lab = Lab::new();
    let start = || Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, TIMERS));
    let peer = start();
    let mut board = Board::start(&lab, &lab.left, Firmware::Static, &end(&lab.left, &lab.right, TIMERS));
    check_board(&lab.right, &lab.left);
    drop(peer);
    let _peer = start();
    check_board(&lab.right, &lab.left);
    board.must_be_well();
}

#[test]
fn openvpn_with_certificates_is_killed_and_started_anew() {
    let lab = Lab::new();
    let more = format!("{TIMERS}\n{CRYPT}");
    let (mut board, peer) = certificates::start(&lab, Program::Openvpn, [&more, &more]);
    check_board(&lab.right, &lab.left);
    drop(peer);
    let config = longcable_tests::support::tls_end(&lab.right, &lab.left, longcable_core::tls::Role::Server, &more);
    let _peer = Daemon::start(&lab, &lab.right, Program::Openvpn, &config);
    check_board(&lab.right, &lab.left);
    board.must_be_well();
}

#[test]
fn longcable_on_linux() {
    let lab = Lab::new();
    let mut peer = Daemon::start(&lab, &lab.right, Program::Longcable, &end(&lab.right, &lab.left, TIMERS));
    let mut board = Board::start(&lab, &lab.left, Firmware::Static, &end(&lab.left, &lab.right, TIMERS));
    check_board(&lab.right, &lab.left);
    board.must_be_well();
    assert!(peer.stop().success(), "exit status 0 after SIGTERM");
    drop(board);

    let lab = Lab::new();
    let (mut board, mut peer) = certificates::start(&lab, Program::Longcable, [CRYPT; 2]);
    check_board(&lab.right, &lab.left);
    board.must_be_well();
    assert!(peer.stop().success(), "exit status 0 after SIGTERM");
}

/// A host on the Ethernet of one board, which is its router, reaches the other board through the tunnel.
#[test]
fn two_boards() {
    let lab = Lab::new();
    let start = |here, there, firmware| Board::start(&lab, here, firmware, &end(here, there, TIMERS));
    let mut router = start(&lab.left, &lab.right, Firmware::Router);
    let mut board = start(&lab.right, &lab.left, Firmware::Static);
    let route = format!("route add {} via {}", lab.right.inside, lab.left.outside);
    lab.left.ip(&["addr add 192.0.2.101/24 dev switch", &route]);
    check_board(&lab.left, &lab.right);
    for board in [&mut router, &mut board] {
        board.must_be_well();
    }
}
