//! Links with certificates; the board is the TLS client.

use longcable_core::tls::Role;
use longcable_tests::support::board::{Board, Firmware, UP, check_board, must_answer};
use longcable_tests::support::{Daemon, Filling, Lab, Pinger, Program, pki, tls_end};

pub(crate) const CRYPT: &str = "tls-crypt ta.key";

/// The board and its server, with these lines of theirs.
pub(crate) fn start(lab: &Lab, server: Program, more: [&str; 2]) -> (Board, Daemon) {
    println!("{more:?}");
    pki::write(lab);
    let peer = Daemon::start(lab, &lab.right, server, &tls_end(&lab.right, &lab.left, Role::Server, more[1]));
    let config = tls_end(&lab.left, &lab.right, Role::Client, more[0]);
    (Board::start(lab, &lab.left, Firmware::Tls, &config), peer)
}

/// A link with this wrapping of the control channel at the board and at the server, and keys and data cipher of a kind.
fn link(wrapping: [&str; 2], keys: [&str; 2], cipher: &str) {
    let lab = Lab::new();
    let ends = [("client", keys[0], wrapping[0]), ("server", keys[1], wrapping[1])];
    let more = ends.map(|(role, kind, wrapping)| {
        format!("data-ciphers {cipher}\ncert {role}{kind}.crt\nkey {role}{kind}.key\n{wrapping}")
    });
    let (mut board, mut peer) = start(&lab, Program::Openvpn, [&more[0], &more[1]]);
    check_board(&lab.right, &lab.left);
    peer.wait_for("Control Channel: TLSv1.3, cipher TLSv1.3 TLS_AES_128_GCM_SHA256");
    peer.wait_for(&format!("Data Channel: cipher '{cipher}'"));
    board.must_be_well();
    assert!(peer.stop().success(), "exit status 0 after SIGTERM");
}

#[test]
fn tls_auth_and_p_256() {
    link(["tls-auth ta.key 1", "tls-auth ta.key 0"], ["", ""], "AES-128-GCM");
    link(["tls-auth ta.key", "tls-auth ta.key"], ["-ed25519", ""], "CHACHA20-POLY1305");
}

#[test]
fn tls_crypt_and_ed25519() {
    link([CRYPT, CRYPT], ["-ed25519", "-ed25519"], "AES-256-GCM");
}

#[test]
fn tls_crypt_v2_and_both_kinds_of_keys() {
    let wrapping = ["tls-crypt-v2 v2-client.key", "tls-crypt-v2 v2-server.key"];
    link(wrapping, ["", "-ed25519"], "CHACHA20-POLY1305");
    link(wrapping, ["-ed25519", ""], "AES-128-GCM");
}

#[test]
fn keys_are_negotiated_anew_while_packets_pass() {
    const NEGOTIATED: &str = "Control Channel: TLSv1.3";
    let lab = Lab::new();
    let (mut board, mut peer) = start(&lab, Program::Openvpn, [CRYPT, &format!("reneg-sec 5\n{CRYPT}")]);
    check_board(&lab.right, &lab.left);
    let mut pinger = Pinger::new(&lab.right, lab.left.inside);
    let before = peer.count(NEGOTIATED);
    while peer.count(NEGOTIATED) < before + 3 {
        must_answer(&mut pinger, 500);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    check_board(&lab.right, &lab.left);
    assert_eq!(board.count(UP), 1, "it is one session");
    board.must_be_well();
    assert!(peer.stop().success(), "exit status 0 after SIGTERM");
}

/// Servers that are not who they ought to be; one has a certificate that another leaf has signed.
#[test]
fn certificates_that_are_refused() {
    for (kind, cause) in [
        (pki::Kind::Impostor, "no certificate in 'ca' has signed it"),
        (pki::Kind::Leaf, "invalid CA certificate"),
        (pki::Kind::Wrong, "extended key usage"),
        (pki::Kind::Expired, "certificate has expired"),
    ] {
        let lab = Lab::new();
        let server = format!("cert server-{}.crt\n{CRYPT}", kind.name());
        let (mut board, peer) = start(&lab, Program::Openvpn, [CRYPT, &server]);
        let refusal = board.wait_for("TlsFailed(");
        println!("{kind:?}: {refusal}");
        assert!(refusal.contains(cause), "{kind:?}: {refusal}");
        peer.wait_for("TLS Error");
        Pinger::new(&lab.right, lab.left.inside).must_not_answer(8, Filling::Random);
        assert_eq!(board.count(UP), 0, "{kind:?}");
        board.must_be_well();
    }
}

#[test]
fn a_bare_control_channel_is_refused_at_the_start() {
    let lab = Lab::new();
    pki::write(&lab);
    let config = tls_end(&lab.left, &lab.right, Role::Client, "");
    let mut board = Board::start(&lab, &lab.left, Firmware::Tls, &config);
    assert_eq!(board.wait(), Some(1));
    board.wait_for("tls-crypt-v2");
}
