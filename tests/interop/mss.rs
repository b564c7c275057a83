//! The segment sizes that TCP connections through the link agree on.

use std::net::IpAddr;

use longcable_tests::support::{Lab, Link, Pinger, Program, syn_sizes};

/// The left end limits both directions of both ends' connections, the right end limits nothing.
fn check(more: &str, expected: u16) {
    println!("{more}");
    let lab = Lab::new();
    let left = format!("{more}\nifconfig-ipv6 fd09::1/64 fd09::2");
    // What does not concern `mssfix` has to be the same at both ends.
    let same: Vec<_> = more.lines().filter(|line| !line.starts_with("mssfix")).collect();
    let right = format!("{}\nmssfix 0\nifconfig-ipv6 fd09::2/64 fd09::1", same.join("\n"));
    let link = Link::up(&lab, [Program::tested(), Program::Openvpn], [&left, &right]);
    let addresses = [&lab.left, &lab.right].map(|site| [IpAddr::V4(site.inside), IpAddr::V6(site.inside6)]);
    Pinger::new(&lab.left, lab.right.inside6).wait_for_answer();
    for (family, expected) in [(0, expected), (1, expected - 20)] {
        let there = syn_sizes(&lab.left, &lab.right, addresses[1][family]);
        let back = syn_sizes(&lab.right, &lab.left, addresses[0][family]);
        assert_eq!((there, back), ((expected, expected), (expected, expected)), "for '{more}'");
    }
    link.stop();
}

#[test]
fn default() {
    check("", 1375);
    check("cipher AES-128-CBC\nauth SHA256", 1359);
    check("cipher none\nauth none", 1416);
    check("comp-lzo no", 1374);
}

#[test]
fn with_a_size() {
    check("mssfix 1300", 1215);
    check("mssfix 1300 mtu", 1183);
    check("mssfix 1300 fixed", 1260);
    check("mssfix 1301\ncipher BF-CBC\nproviders legacy default", 1223);
}

#[test]
fn small_tunnel() {
    check("tun-mtu 1400", 1360);
}

#[test]
fn off() {
    check("mssfix 0", 1460);
}
