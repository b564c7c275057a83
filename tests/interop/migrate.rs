//! `longcable migrate`: the pair of TLS configs links the two gateways that a static key linked before.

use std::fs;
use std::net::Ipv4Addr;

use longcable_tests::support::{Daemon, Filling, Lab, Link, Pinger, Program, end};

/// Makes the TLS configs of `home.conf`, which is the left end, and starts both. `decided` is what an operator changes
/// in the config of the other end.
fn migrated<'a>(lab: &'a Lab, programs: [Program; 2], config: &str, decided: &[(&str, &str)]) -> Link<'a> {
    lab.write("home.conf", config);
    let mut migrate = Daemon::with_arguments(lab, &lab.left, Program::Longcable, &["migrate", "home.conf"]);
    assert!(migrate.wait().success());
    assert_eq!(fs::read_to_string(lab.directory().join("home.conf")).unwrap(), config, "it stays as it is");
    let other = fs::read_to_string(lab.directory().join("home-tls/peer.conf")).unwrap();
    let other = decided.iter().fold(other, |text, (line, decision)| {
        assert!(text.contains(line), "'{line}' in\n{text}");
        text.replace(line, decision)
    });
    fs::write(lab.directory().join("home-tls/peer.conf"), other).unwrap();
    // The right end first: where it is the one that calls, it goes on until somebody listens.
    let right = Daemon::with_arguments(lab, &lab.right, programs[1], &["--config", "home-tls/peer.conf"]);
    let left = Daemon::with_arguments(lab, &lab.left, programs[0], &["--config", "home-tls/home.conf"]);
    Link::with(lab, left, right)
}

fn works(link: Link<'_>) {
    link.wait_for_traffic();
    link.check_pings();
    link.check_tcp(200_000);
    for end in [&link.left, &link.right] {
        end.wait_for("Control Channel: TLSv1.3");
        end.wait_for("Data Channel: cipher 'AES-256-GCM'");
        for word in ["DEPRECATED", "ERROR", "No server certificate verification", "Error"] {
            assert_eq!(end.count(word), 0, "{word} in {}", end.log());
        }
    }
    link.stop();
}

for_each_pair! {
    /// The link works with its static key, then with TLS, then with its static key again.
    fn there_and_back(programs) {
        let lab = Lab::new();
        let more = "key-direction 1\nauth SHA256\nfloat\nkeepalive 1 10\npersist-tun\npersist-key";
        let home = end(&lab.left, &lab.right, more);
        let peer = end(&lab.right, &lab.left, &more.replace("key-direction 1", "key-direction 0"));
        for _ in 0..2 {
            let link = Link::with_configs(&lab, programs, [&home, &peer]);
            link.wait_for_traffic();
            link.stop();
            works(migrated(&lab, programs, &home, &[]));
            fs::remove_dir_all(lab.directory().join("home-tls")).unwrap();
        }
    }
}

for_each_pair! {
    /// The FAQ's config for two ends whose addresses change, with networks behind them.
    fn the_dynamic_config_of_the_faq(programs) {
        let lab = Lab::new();
        lab.left.ip(&["addr add 192.168.1.1/24 dev lo"]);
        lab.right.ip(&["addr add 10.0.0.1/24 dev lo"]);
        lab.write_script("up-script", "#!/bin/sh\n");
        let config = format!(
            "remote {}\ndev tun\nifconfig {} {}\nup ./up-script # optional\nscript-security 2\n\n# crypto config\n\
             replay-persist replay-persist-file # optional (1.4.0 or above)\n\nsecret static.key\n\n# timeouts\nping 15\n\
             ping-restart 300 # 5 minutes\nresolv-retry 300 # 5 minutes\npersist-tun\npersist-key\n\n\
             # compression (optional)\ncomp-lzo no\nroute 10.0.0.0 255.255.255.0\n\n# verbosity (optional)\nverb 4\n",
            lab.right.outside, lab.left.inside, lab.right.inside
        );
        let decided = [
            (";route NETWORK NETMASK", "route 192.168.1.0 255.255.255.0"),
            (";remote PUBLIC-NAME-OF-home", "remote 192.0.2.1"),
        ];
        let link = migrated(&lab, programs, &config, &decided);
        Pinger::new(&lab.left, Ipv4Addr::new(10, 0, 0, 1)).wait_for_answer();
        Pinger::new(&lab.right, Ipv4Addr::new(192, 168, 1, 1)).must_answer(1000, Filling::Random);
        link.stop();
    }
}

for_each_pair! {
    /// An end that waits, with everything that was ever insecure.
    fn an_old_gateway(programs) {
        let lab = Lab::new();
        let config = format!(
            "dev tun0\nifconfig {} {}\nport 12345\nverb 3\nsecret /etc/openvpn/key\nno-replay\nkeysize 256\nauth MD5\n\
             cipher BF-CBC\ntun-mtu 1400\n",
            lab.left.inside, lab.right.inside
        );
        let known = format!("{config}local 192.0.2.1\n");
        works_small(&lab, migrated(&lab, programs, &known, &[]));
        fs::remove_dir_all(lab.directory().join("home-tls")).unwrap();
        let decided = [(";remote PUBLIC-NAME-OF-home", "remote 192.0.2.1")];
        works_small(&lab, migrated(&lab, programs, &config, &decided));
    }
}

fn works_small(lab: &Lab, link: Link<'_>) {
    link.wait_for_traffic();
    Pinger::new(&lab.right, lab.left.inside).must_answer(1300, Filling::Random);
    link.right.wait_for("Data Channel: cipher 'AES-256-GCM'");
    link.stop();
}
