//! Whole configs as people have them: the pair of gateways in openvpn's own examples, and the Samba server of the FAQ.

use std::net::Ipv4Addr;

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

for_each_pair! {
    fn the_two_routers_of_the_readme(programs) {
        let (_, rest) = README.split_once("`/etc/openvpn/home.conf`:").expect("the README has the recipe");
        let text = rest.split("```").nth(1).expect("it is a block of code");
        let home = text.replace("office.example.net", "198.51.100.2");
        let changes = [
            ("ifconfig 10.1.0.2 10.1.0.1", "ifconfig 10.1.0.1 10.1.0.2"),
            ("secret static.key 1", "secret static.key 0"),
            ("route 10.0.0.0 255.255.255.0", "route 192.168.1.0 255.255.255.0"),
            ("remote 198.51.100.2", ""),
        ];
        let office = changes.iter().fold(home.clone(), |config, (here, there)| {
            assert!(config.contains(here), "the README's config has '{here}'");
            config.replace(here, there)
        });
        let lab = Lab::routed();
        lab.left.ip(&["addr add 192.168.1.1/24 dev lo"]);
        lab.right.ip(&["addr add 10.0.0.1/24 dev lo"]);
        let link = Link::with_configs(&lab, programs, [&home, &office]);
        Pinger::new(&lab.left, Ipv4Addr::new(10, 0, 0, 1)).wait_for_answer();
        Pinger::new(&lab.right, Ipv4Addr::new(192, 168, 1, 1)).must_answer(1000, Filling::Random);
        link.stop();
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
