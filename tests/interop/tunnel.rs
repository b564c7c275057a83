//! The TUN device: its addresses, its routes, and that nothing of them stays behind.

use longcable_tests::support::{Daemon, Filling, Lab, Link, PATIENCE, Pinger, Program, Site, end, poll};

for_each_pair! {
    fn subnet_topology(programs) {
        let lab = Lab::new();
        let more = [1, 2].map(|side| format!("topology subnet\nifconfig 10.9.0.{side} 255.255.255.0"));
        let link = Link::up(&lab, programs, [&more[0], &more[1]]);
        link.check_pings();
        for (site, side) in [(&lab.left, 1), (&lab.right, 2)] {
            let addresses = site.output("ip -o -4 addr show dev tun0");
            assert!(addresses.contains(&format!(" 10.9.0.{side}/24 ")), "{addresses}");
        }
        link.stop();
    }
}

#[test]
fn the_device_is_as_openvpn_makes_it() {
    let lab = Lab::new();
    let configs = [
        "",
        "topology subnet\nifconfig 10.9.0.1 255.255.255.0",
        "ifconfig-ipv6 fd09::1/64 fd09::2",
        "ifconfig-ipv6 fd09::1/112 fd09::2",
        "tun-mtu 1400\ntxqueuelen 77",
        "ifconfig-noexec",
    ];
    for more in configs {
        let [ours, openvpns] = [Program::tested(), Program::Openvpn].map(|program| {
            device(&lab.left, |site| {
                let daemon = Daemon::start(&lab, site, program, &end(&lab.left, &lab.right, more));
                daemon.wait_for("link remote");
                daemon
            })
        });
        assert_eq!(ours, openvpns, "for '{more}'");
    }
}

/// The device, its addresses and routes while a program runs; afterwards it is gone.
fn device(site: &Site, start: impl FnOnce(&Site) -> Daemon) -> String {
    let mut daemon = start(site);
    let link = site.output("ip -o link show dev tun0");
    let addresses = site.output("ip -o addr show dev tun0 scope global");
    let routes = routes(site);
    assert!(daemon.stop().success());
    let gone =
        poll(PATIENCE, || site.output("ip -o link show").lines().all(|line| !line.contains("tun0")).then_some(()));
    assert!(gone.is_some(), "the device is gone");
    // Interface numbers are the kernel's to choose.
    let unnumbered = |line: &str| line.split_once(": ").map_or(line, |(_, rest)| rest).to_owned();
    format!(
        "{}\n{}\n{routes}",
        unnumbered(&link),
        unnumbered(addresses.split_once("valid_lft").map_or(&*addresses, |(head, _)| head))
    )
}

/// All routes but the kernel's own of each address.
fn routes(site: &Site) -> String {
    let all = [site.output("ip -4 route show"), site.output("ip -6 route show")].concat();
    let lines = all.lines().filter(|line| !line.contains("proto kernel")).map(|line| {
        // Who set a route is of no concern.
        let words: Vec<_> = line.split_whitespace().collect();
        let proto = words.iter().position(|&word| word == "proto");
        let skipped = |at: usize| proto.is_some_and(|proto| at == proto || at == proto + 1);
        words.iter().enumerate().filter(|(at, _)| !skipped(*at)).map(|(_, &word)| word).collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn routes_are_openvpns_and_do_not_stay() {
    let lab = Lab::routed();
    let configs = [
        "route 10.66.0.0 255.255.0.0\nroute 10.77.1.1\nroute 10.88.0.0 255.255.255.0 10.9.0.2 42",
        "route 10.66.0.0 255.255.0.0 vpn_gateway\nroute 203.0.113.0 255.255.255.0 net_gateway\nroute remote_host 255.255.255.255 net_gateway",
        "route-metric 7\nroute 10.66.0.0 255.255.0.0\nroute 10.77.0.0 255.255.0.0 default 9",
        "route-gateway 10.9.0.2\nroute 10.66.0.0 255.255.0.0",
        "topology subnet\nifconfig 10.9.0.1 255.255.255.0\nroute-gateway 10.9.0.254\nroute 10.66.0.0 255.255.0.0",
        "ifconfig-ipv6 fd09::1/64 fd09::2\nroute-ipv6 fd66::/48\nroute-ipv6 fd77::/32 fd09::2 300",
        "route 10.66.0.0 255.255.0.0\nroute-noexec",
    ];
    let before = routes(&lab.left);
    for more in configs {
        let [ours, openvpns] = [Program::tested(), Program::Openvpn].map(|program| {
            let mut daemon = Daemon::start(&lab, &lab.left, program, &end(&lab.left, &lab.right, more));
            daemon.wait_for("link remote");
            let during = routes(&lab.left);
            assert!(daemon.stop().success());
            assert_eq!(routes(&lab.left), before, "after {program:?} with '{more}'");
            during
        });
        assert_eq!(ours, openvpns, "for '{more}'");
        assert_eq!(ours == before, more.contains("noexec"), "for '{more}'");
    }
}

for_each_pair! {
    /// Each site has a network behind it, and the link joins them.
    fn networks_behind_the_ends(programs) {
        let lab = Lab::routed();
        lab.left.ip(&["addr add 10.66.0.1/24 dev lo"]);
        lab.right.ip(&["addr add 10.77.0.1/24 dev lo"]);
        let more = ["route 10.77.0.0 255.255.255.0", "route 10.66.0.0 255.255.255.0"];
        let link = Link::up(&lab, programs, more);
        let mut pinger = Pinger::new(&lab.left, std::net::Ipv4Addr::new(10, 77, 0, 1));
        pinger.must_answer(1000, Filling::Random);
        link.stop();
    }
}

#[test]
fn routes_wait_for_route_delay() {
    let lab = Lab::new();
    let more = ["route 10.66.0.0 255.255.0.0\nroute-delay 2", ""];
    let link = Link::up(&lab, [Program::tested(), Program::Openvpn], more);
    assert!(!routes(&lab.left).contains("10.66.0.0/16"), "not yet");
    let added = poll(PATIENCE, || routes(&lab.left).contains("10.66.0.0/16").then_some(()));
    assert!(added.is_some(), "the route is there after its delay");
    link.stop();
}

for_each_pair! {
    fn any_device_name(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, ["dev office\ndev-type tun", "dev tun"]);
        assert!(lab.left.has_address("office", lab.left.inside));
        link.check_pings();
        link.stop();
    }
}

#[test]
fn a_persistent_device_is_used_and_kept() {
    let lab = Lab::new();
    let once = |option: &str| {
        let mut run = Daemon::with_arguments(&lab, &lab.left, Program::tested(), &[option, "--dev", "tun5"]);
        assert!(run.wait().success(), "{option}");
    };
    once("--mktun");
    assert!(lab.left.output("ip link").contains("tun5"), "made");
    let link = Link::up(&lab, [Program::tested(), Program::Openvpn], ["dev tun5", ""]);
    link.check_pings();
    link.stop();
    assert!(lab.left.output("ip link").contains("tun5"), "kept");
    once("--rmtun");
    assert!(!lab.left.output("ip link").contains("tun5"), "removed");
}
