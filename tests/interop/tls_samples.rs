//! Whole configs with TLS as people have them: the two gateways of openvpn 2.4's examples, and the FAQ's two ends
//! whose addresses change.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use longcable_tests::support::{Filling, Lab, Link, Pinger, Program, pki, tcp_check};
use nix::sys::signal::Signal;

/// A home behind 10.0.1.1 and an office behind 10.0.0.1; scripts make the routes, as later versions allow them.
fn lab() -> Lab {
    let lab = Lab::routed();
    pki::write(&lab);
    lab.left.ip(&["addr add 10.0.1.1/24 dev lo"]);
    lab.right.ip(&["addr add 10.0.0.1/24 dev lo"]);
    let up = |name: &str, network: &str| {
        lab.write_script(name, &format!("#!/bin/sh\nPATH=$PATH:/sbin:/usr/sbin\nip route add {network} via $5\n"));
    };
    up("home.up", "10.0.0.0/24");
    up("office.up", "10.0.1.0/24");
    lab
}

/// The networks behind both ends reach each other.
fn check_networks(lab: &Lab, patience: Duration) {
    let (home, office) = (Ipv4Addr::new(10, 0, 1, 1), Ipv4Addr::new(10, 0, 0, 1));
    Pinger::new(&lab.left, office).back_within(patience);
    Pinger::new(&lab.right, home).must_answer(1000, Filling::Random);
    tcp_check(&lab.left, &lab.right, office.into(), 500_000);
}

/// The office is the TLS server, the home its client.
fn gateways(programs: [Program; 2], more: &str) {
    let lab = lab();
    let home = format!(
        "# The office has a fixed address, the home none.\n\ndev tun\nremote 198.51.100.2\n\n\
         # We are 10.1.0.2, the office is 10.1.0.1.\nifconfig 10.1.0.2 10.1.0.1\n\n# Makes the routes.\n\
         up ./home.up\n\n# In TLS the home is the client.\ntls-client\n\n# Authority, own certificate, own key.\n\
         ca ca.crt\ncert client.crt\nkey client.key\n\n; port 1194\n; user nobody\n; group nobody\n{more}\nverb 3\n\
         script-security 2\n"
    );
    let office = format!(
        "# The office listens.\ndev tun\nifconfig 10.1.0.1 10.1.0.2\nup ./office.up\n\n# In TLS the office is the server.\n\
         tls-server\n\n# For Diffie-Hellman.\ndh dh.pem\n\nca ca.crt\ncert server.crt\nkey server.key\n{more}\n\
         verb 3\nscript-security 2\n"
    );
    let link = Link::with_configs(&lab, programs, [&home, &office]);
    check_networks(&lab, Duration::from_secs(10));
    for end in [&link.left, &link.right] {
        end.wait_for("Initialization Sequence Completed");
    }
    link.stop();
}

for_each_pair! {
    fn home_and_office(programs) {
        gateways(programs, "");
    }
}

for_each_pair! {
    fn home_and_office_with_everything_on(programs) {
        gateways(programs, "port 1194\ncomp-lzo\nping 15\nping-restart 45\nping-timer-rem\npersist-tun\npersist-key");
    }
}

/// One end of the FAQ's pair; the names of the ends have become addresses.
fn dynamic(remote: &str, ifconfig: &str, up: &str, tls: &str, name: &str) -> String {
    format!(
        "remote {remote}\ndev tun\nifconfig {ifconfig}\nup {up} # optional\n\n# crypto config\n\
         replay-persist {name}-replay-persist-file # optional (1.4.0 or above)\n\n\
         # TLS config (or omit TLS security by using a pre-shared key\n# such as 'secret static.key').\n{tls}\n\
         ca key/my-ca.crt\ncert key/{name}.crt\nkey key/{name}.key\ntls-auth key/my-tls-password # optional\n\n\
         # timeouts\nping 15\nping-restart 300 # 5 minutes\nresolv-retry 300 # 5 minutes\npersist-tun\npersist-key\n\n\
         # compression (optional)\ncomp-lzo\n\n# UID (optional)\nuser nobody\ngroup nogroup\n\n\
         # verbosity (optional)\nverb 4\n\n# Later versions want to be told that scripts are meant.\nscript-security 2\n"
    )
}

/// The files as the FAQ names them.
fn faq_lab() -> Lab {
    let lab = lab();
    fs::create_dir(lab.directory().join("key")).unwrap();
    for (from, to) in [
        ("ca.crt", "my-ca.crt"),
        ("ta.key", "my-tls-password"),
        ("client.crt", "client.crt"),
        ("client.key", "client.key"),
        ("server.crt", "server.crt"),
        ("server.key", "server.key"),
    ] {
        fs::rename(lab.directory().join(from), lab.directory().join("key").join(to)).unwrap();
    }
    lab
}

for_each_pair! {
    fn both_ends_are_dynamic(programs) {
        let lab = faq_lab();
        let home = dynamic("198.51.100.2", "10.1.0.2 10.1.0.1", "./home.up", "tls-client", "client");
        let office = dynamic("192.0.2.1", "10.1.0.1 10.1.0.2", "./office.up", "tls-server\ndh dh.pem", "server");
        let mut link = Link::with_configs(&lab, programs, [&home, &office]);
        check_networks(&lab, Duration::from_secs(10));
        // What the FAQ's advice for changed addresses comes to: a restart that keeps device and keys.
        link.left.signal(Signal::SIGUSR1);
        link.left.wait_for("SIGUSR1[hard,] received, process restarting");
        link.left.wait_for_count("Initialization Sequence Completed", 2);
        check_networks(&lab, Duration::from_secs(10));
        for end in [&mut link.left, &mut link.right] {
            // Without privileges the device cannot always be tidied up, but the program ends.
            end.signal(Signal::SIGTERM);
            end.wait();
        }
        for name in ["client", "server"] {
            let file = lab.directory().join(format!("{name}-replay-persist-file"));
            assert!(fs::metadata(&file).is_ok_and(|file| file.len() >= 16), "{name} has stored what it received");
        }
    }
}

for_each_pair! {
    /// As the FAQ has it, with `float` and a forgotten peer address: one end gets a new address and is told.
    fn a_new_address_and_a_signal(programs) {
        let lab = lab();
        let more = "float\npersist-tun\npersist-remote-ip\npersist-key\nping 10\nverb 3";
        let end = |remote: &str, ifconfig: &str, tls: &str, name: &str| {
            format!("dev tun\nremote {remote}\nifconfig {ifconfig}\n{tls}\nca ca.crt\ncert {name}.crt\nkey {name}.key\n{more}\n")
        };
        let home = end("198.51.100.2", "10.1.0.2 10.1.0.1", "tls-client\nroute 10.0.0.0 255.255.255.0", "client");
        let office = end("192.0.2.1", "10.1.0.1 10.1.0.2", "tls-server\ndh dh.pem\nroute 10.0.1.0 255.255.255.0", "server");
        let mut link = Link::with_configs(&lab, programs, [&home, &office]);
        check_networks(&lab, Duration::from_secs(10));
        lab.left.ip(&[
            "addr add 192.0.2.99/24 dev eth0", "addr del 192.0.2.1/24 dev eth0", "addr replace 192.0.2.99/24 dev eth0",
            "route replace default via 192.0.2.254",
        ]);
        link.left.signal(Signal::SIGUSR1);
        link.left.wait_for("process restarting");
        link.right.wait_for_all(&["Peer Connection Initiated with [AF_INET]192.0.2.99:1194"]);
        check_networks(&lab, Duration::from_secs(10));
        link.stop();
    }
}

for_each_pair! {
    /// As one sets it up today: no authority but fingerprints, and tls-crypt around everything.
    fn two_gateways_of_today(programs) {
        let lab = lab();
        let [office, home] = ["server", "client"].map(|role| pki::fingerprint(&format!("self-{role}.crt"), "sha256"));
        let end = |lines: &str, name: &str, peer: &str, up: &str| {
            format!(
                "dev tun\n{lines}\ncert self-{name}.crt\nkey {name}.key\npeer-fingerprint {peer}\ntls-crypt ta.key\n\
                 tls-version-min 1.3\ndata-ciphers AES-256-GCM:CHACHA20-POLY1305\nkeepalive 10 60\npersist-tun\n\
                 script-security 2\nup ./{up}\nverb 3\n"
            )
        };
        let home_end = end("remote 198.51.100.2\nifconfig 10.1.0.2 10.1.0.1\ntls-client\nnobind", "client", &office, "home.up");
        let office_end = end("ifconfig 10.1.0.1 10.1.0.2\ntls-server\ndh none", "server", &home, "office.up");
        let link = Link::with_configs(&lab, programs, [&home_end, &office_end]);
        check_networks(&lab, Duration::from_secs(10));
        link.stop();
    }
}
