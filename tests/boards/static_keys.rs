//! Links with a static key.

use longcable_tests::support::board::{Board, Firmware, check_board};
use longcable_tests::support::{Daemon, Lab, Program, end};

/// A link of this firmware with these lines at the board's end and at openvpn's.
fn link(firmware: Firmware, more: [&str; 2]) {
    println!("{firmware:?} {more:?}");
    let lab = Lab::new();
    let mut peer = Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, more[1]));
    let mut board = Board::start(&lab, &lab.left, firmware, &end(&lab.left, &lab.right, more[0]));
    check_board(&lab.right, &lab.left);
    board.must_be_well();
    assert!(peer.stop().success(), "exit status 0 after SIGTERM");
}

/// Each cipher with each digest, and each of both with every direction of the key.
#[test]
fn ciphers_digests_and_key_directions() {
    for (cipher, digest, directions) in [
        ("AES-128-CBC", "SHA1", ["", ""]),
        ("AES-128-CBC", "SHA256", ["0", "1"]),
        ("AES-128-CBC", "SHA256", ["1", "0"]),
        ("AES-256-CBC", "SHA1", ["1", "0"]),
        ("AES-256-CBC", "SHA1", ["0", "1"]),
        ("AES-256-CBC", "SHA256", ["", ""]),
    ] {
        let more = directions.map(|direction| format!("cipher {cipher}\nauth {digest}\nsecret static.key {direction}"));
        link(Firmware::Static, [&more[0], &more[1]]);
    }
}

#[test]
fn other_processors() {
    for firmware in [Firmware::CortexM3, Firmware::CortexM7] {
        link(firmware, ["secret static.key 1", "secret static.key 0"]);
    }
}
