//! Links with a static key.

use longcable_tests::support::board::{Board, Firmware, check_board};
use longcable_tests::support::{Daemon, Lab, Program, end};

/// A link with these lines at the board's end and at openvpn's.
fn link(more: [&str; 2]) {
    println!("{more:?}");
    let lab = Lab::new();
    let mut peer = Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, more[1]));
    let mut board = Board::start(&lab, &lab.left, Firmware::Static, &end(&lab.left, &lab.right, more[0]));
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
        link([&more[0], &more[1]]);
    }
}
