//! The options that the ends compare with each other.

use std::time::Duration;

use longcable_tests::support::{Daemon, Lab, Link, Program, baseline, end};

/// Asked 10 seconds after the start, and again 10 seconds later should the first question be lost.
const ASKED_TWICE: Duration = Duration::from_secs(25);

for_each_pair! {
    fn differences_are_named_at_both_ends(programs) {
        let lab = Lab::new();
        let left = "verb 7\ntun-mtu 1400\nping 1";
        let right = "verb 7\ncompress stub-v2\nifconfig 10.9.0.2 10.9.0.3\nping 1";
        let link = Link::start(&lab, programs, [left, right]);
        let at_left = [
            "WARNING: 'link-mtu' is used inconsistently, local='link-mtu 1460', remote='link-mtu 1560'",
            "WARNING: 'tun-mtu' is used inconsistently, local='tun-mtu 1400', remote='tun-mtu 1500'",
            "WARNING: 'ifconfig' is used inconsistently, local='ifconfig 10.9.0.1 10.9.0.2', remote='ifconfig 10.9.0.3 10.9.0.2'",
            "WARNING: 'comp-lzo' is present in remote config but missing in local config, remote='comp-lzo'",
        ];
        let at_right = [
            "WARNING: 'link-mtu' is used inconsistently, local='link-mtu 1560', remote='link-mtu 1460'",
            "WARNING: 'tun-mtu' is used inconsistently, local='tun-mtu 1500', remote='tun-mtu 1400'",
            "WARNING: 'ifconfig' is used inconsistently, local='ifconfig 10.9.0.2 10.9.0.3', remote='ifconfig 10.9.0.2 10.9.0.1'",
            "WARNING: 'comp-lzo' is present in local config but missing in remote config, local='comp-lzo'",
        ];
        for (end, lines) in [(&link.left, at_left), (&link.right, at_right)] {
            for line in lines {
                end.wait_for_within(line, ASKED_TWICE);
            }
            assert_eq!(differences(end), 4, "nothing else differs");
        }
        link.stop();
    }
}

for_each_pair! {
    /// An end that does not ask still answers.
    fn disable_occ(programs) {
        let lab = Lab::new();
        let link = Link::start(&lab, programs, ["verb 7\ntun-mtu 1400\ndisable-occ\nping 1", "verb 7\nping 1"]);
        link.right.wait_for_within("'tun-mtu' is used inconsistently", ASKED_TWICE);
        assert_eq!(differences(&link.left), 0, "the left end does not ask");
        link.stop();
    }
}

for_each_pair! {
    fn equal_ends_have_nothing_to_say(programs) {
        let lab = Lab::new();
        let more = ["0", "1"].map(|direction| format!(
            "verb 7\nping 1\nsecret static.key {direction}\nauth SHA512\ncomp-lzo no\nreplay-window 128 20"
        ));
        let link = Link::up(&lab, programs, [&more[0], &more[1]]);
        std::thread::sleep(Duration::from_secs(12));
        for (end, program) in [&link.left, &link.right].into_iter().zip(programs) {
            assert_eq!(differences(end), 0, "nothing differs");
            if program == Program::tested() && !baseline() {
                end.wait_for("The options of both ends agree");
            }
        }
        link.stop();
    }
}

/// How many lines of the log name a difference.
fn differences(end: &Daemon) -> usize {
    ["used inconsistently", "present in local", "present in remote"].map(|text| end.count(text)).iter().sum()
}

/// The strings themselves, as both programs print them for the same config.
#[test]
fn the_options_string_is_openvpns() {
    let lab = Lab::new();
    let configs = [
        "",
        "secret static.key 0\nauth SHA256",
        "secret static.key 1\nauth none",
        "cipher none",
        "cipher none\nauth none",
        "cipher BF-CBC\nproviders legacy default",
        "cipher DES-EDE3-CBC",
        "cipher CAMELLIA-192-CBC\nauth SHA512",
        "auth MD5",
        "no-replay",
        "tun-mtu 1400",
        "tun-mtu 1400 1300",
        "comp-lzo no",
        "comp-lzo",
        "compress",
        "compress stub-v2",
        "compress lz4",
        "compress lz4-v2",
        "ifconfig-nowarn",
        "ifconfig-ipv6 fd09::1/64 fd09::2",
        "topology subnet\nifconfig 10.9.0.1 255.255.255.0",
        "topology p2p",
        "proto udp6\nremote 2001:db8::2",
    ];
    for config in configs {
        println!("{config}");
        let strings = [Program::tested(), Program::Openvpn].map(|program| {
            let config = end(&lab.left, &lab.right, &format!("verb 7\n{config}"));
            let mut daemon = Daemon::start(&lab, &lab.left, program, &config);
            let strings =
                ["Local Options String (VER=V4): '", "Expected Remote Options String (VER=V4): '"].map(|title| {
                    let line = daemon.wait_for(title);
                    line[line.find(title).unwrap()..].to_owned()
                });
            daemon.stop();
            strings
        });
        assert_eq!(strings[0], strings[1], "for '{config}'");
    }
}
