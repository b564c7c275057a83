//! Whole configs as people have them: the pair of gateways in openvpn's own examples, and the Samba server of the FAQ.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use longcable_tests::support::{Filling, Lab, Link, Pinger, Program, tcp_check};

/// An office with a network, and a home with another: each end routes to the other's network in its `up` script,
/// which finds the far end in its fifth argument.
fn gateways(programs: [Program; 2], keeping_alive: &str) {
    let lab = Lab::routed();
    lab.left.ip(&["addr add 10.0.1.1/24 dev lo"]);
    lab.right.ip(&["addr add 10.0.0.1/24 dev lo"]);
    let up = |name: &str, network: &str| {
        lab.write_script(name, &format!("#!/bin/sh\nPATH=$PATH:/sbin:/usr/sbin\nip route add {network} via $5\n"));
    };
    up("home.up", "10.0.0.0/24");
    up("office.up", "10.0.1.0/24");
    // Later versions want to be told that scripts and old ciphers are meant.
    let today = "script-security 2\nproviders legacy default";
    let home = format!(
        "# Our own address may change.\ndev tun\nremote 198.51.100.2\n\n# We are 10.1.0.2, the office is 10.1.0.1.\n\
         ifconfig 10.1.0.2 10.1.0.1\nup ./home.up\nsecret static.key\n; port 1194\n; user nobody\n; group nobody\n\
         {keeping_alive}\nverb 3\n{today}\n"
    );
    let office = format!(
        "dev tun\nifconfig 10.1.0.1 10.1.0.2\nup ./office.up   # routes\nsecret static.key\n{keeping_alive}\nverb 3\n{today}\n"
    );
    let link = Link::with_configs(&lab, programs, [&home, &office]);
    let (home, office) = (Ipv4Addr::new(10, 0, 1, 1), Ipv4Addr::new(10, 0, 0, 1));
    Pinger::new(&lab.left, office).wait_for_answer();
    Pinger::new(&lab.right, home).must_answer(1000, Filling::Random);
    tcp_check(&lab.left, &lab.right, office.into(), 500_000);
    for end in [&link.left, &link.right] {
        end.wait_for("Initialization Sequence Completed");
    }
    link.stop();
}

for_each_pair! {
    fn home_and_office(programs) {
        gateways(programs, "; ping 15");
    }
}

for_each_pair! {
    fn home_and_office_with_everything_on(programs) {
        gateways(programs, "port 1194\ncomp-lzo\nping 15\nping-restart 45\nping-timer-rem\npersist-tun\npersist-key");
    }
}

/// The two routers of the README, with its own text; only the name of the office has become an address.
const README: &str = include_str!("../../README.md");

/// The first block of code after this.
fn block_after(place: &str) -> &'static str {
    let (_, rest) = README.split_once(place).expect("the README has the recipe");
    rest.split("```").nth(1).expect("it is a block of code")
}

/// The configs of both ends: that of home, and what the README says to change at the office.
fn routers_of_the_readme(lab: &Lab, programs: [Program; 2], home: &str, keys: &[(&str, &str)]) {
    let home = home.replace("office.example.net", "198.51.100.2");
    let changes = [
        ("ifconfig 10.1.0.2 10.1.0.1", "ifconfig 10.1.0.1 10.1.0.2"),
        ("route 10.0.0.0 255.255.255.0", "route 192.168.1.0 255.255.255.0"),
        ("remote 198.51.100.2", ""),
    ];
    let office = changes.iter().chain(keys).fold(home.clone(), |config, (here, there)| {
        assert!(config.contains(here), "the README's config has '{here}'");
        config.replace(here, there)
    });
    lab.left.ip(&["addr add 192.168.1.1/24 dev lo"]);
    lab.right.ip(&["addr add 10.0.0.1/24 dev lo"]);
    let link = Link::with_configs(lab, programs, [&home, &office]);
    Pinger::new(&lab.left, Ipv4Addr::new(10, 0, 0, 1)).wait_for_answer();
    Pinger::new(&lab.right, Ipv4Addr::new(192, 168, 1, 1)).must_answer(1000, Filling::Random);
    link.stop();
}

for_each_pair! {
    fn the_two_routers_of_the_readme(programs) {
        let keys = [("secret static.key 1", "secret static.key 0")];
        routers_of_the_readme(&Lab::routed(), programs, block_after("\n`home.conf`:"), &keys);
    }
}

/// Runs commands of the README in the laboratory's directory; what they print.
fn run(lab: &Lab, commands: &str) -> String {
    let program = Program::Longcable.path();
    let directory = program.parent().expect("a directory").display();
    let path = format!("{directory}:/usr/local/bin:/usr/bin:/bin");
    let commands = commands.trim_start_matches("sh").replace("/etc/openvpn", &lab.directory().display().to_string());
    let mut shell = Command::new("sh");
    let output = shell.args(["-ec", &commands]).env("PATH", path).output().expect("a shell");
    assert!(output.status.success(), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text")
}

for_each_pair! {
    fn the_two_routers_of_the_readme_with_tls(programs) {
        let lab = Lab::routed();
        let certificate = block_after("Make a certificate at each router");
        let [home, office] = ["home", "office"].map(|name| {
            let printed = run(&lab, &certificate.replace("home", name));
            printed.trim().split_once("Fingerprint=").expect("a fingerprint").1.to_owned()
        });
        run(&lab, block_after("one key that hides the handshake"));
        let config = block_after("`/etc/openvpn/home.conf`:").replace("FINGERPRINT-OF-OFFICE", &office);
        let keys = [
            ("tls-client", "tls-server\ndh none"),
            ("cert home.crt", "cert office.crt"),
            ("key home.key", "key office.key"),
        ];
        let pinned = [&keys[..], &[(office.as_str(), home.as_str())]].concat();
        routers_of_the_readme(&lab, programs, &config, &pinned);
        // As the README has it for a peer that knows no 'peer-fingerprint'.
        let lab_of_old = Lab::routed();
        for file in fs::read_dir(lab.directory()).expect("our directory").flatten() {
            fs::copy(file.path(), lab_of_old.directory().join(file.file_name())).expect("room for a copy");
        }
        let line = format!("peer-fingerprint {office}");
        let old = [&keys[..], &[(line.as_str(), "ca home.crt\ncipher AES-256-GCM")]].concat();
        routers_of_the_readme(&lab_of_old, programs, &format!("{config}data-ciphers-fallback AES-256-GCM\n"), &old);
    }
}

for_each_pair! {
    /// A gateway in front of a Samba server, in the background and without privileges, and a machine that dials in.
    fn samba_server(programs) {
        let lab = Lab::new();
        lab.left.ip(&["addr add 192.168.1.5/24 dev lo"]);
        let gateway = "dev tun0\nifconfig 192.168.5.6 192.168.5.5\nport 12345\nverb 1\nlocal 192.0.2.1\nuser nobody\ngroup nogroup\n\
                       secret static.key\ntun-mtu 1500\ndaemon\nwritepid pid\nproviders legacy default\n";
        // The machine has Windows, where alone openvpn knows this option.
        let windows = if programs[1] == Program::Openvpn { "" } else { "ip-win32 manual\n" };
        let dialling = format!(
            "dev tun0\nifconfig 192.168.5.5 192.168.5.6\nport 12345\n{windows}verb 1\nremote 192.0.2.1\n\
             secret static.key\ntun-mtu 1500\nping 30\nroute 192.168.1.0 255.255.255.0\nproviders legacy default\n"
        );
        let mut link = Link::with_configs(&lab, programs, [gateway, &dialling]);
        assert!(link.left.wait().success(), "the gateway goes to the background");
        let _gateway = crate::process::Background::from_pid_file(&lab, "pid");
        let server = Ipv4Addr::new(192, 168, 1, 5);
        Pinger::new(&lab.right, server).wait_for_answer();
        tcp_check(&lab.right, &lab.left, server.into(), 500_000);
        assert!(link.right.stop().success());
    }
}
