//! The TUN device: its addresses, its routes, and that nothing of them stays behind.

use std::time::Duration;

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
        // Not everything is there at once.
        let openvpns =
            device(&lab, Program::Openvpn, more, |listing| listing.contains("tun0") && !listing.contains("tentative"));
        let ours = device(&lab, Program::tested(), more, |listing| listing == openvpns);
        assert_eq!(ours, openvpns, "for '{more}'");
    }
}

/// The device and its addresses while a program runs, once they are as wanted; afterwards they are gone.
fn device(lab: &Lab, program: Program, more: &str, wanted: impl Fn(&str) -> bool) -> String {
    let site = &lab.left;
    let listing = || {
        let links = site.output("ip -o link show");
        let addresses = site.output("ip -o addr show scope global");
        // Interface numbers are the kernel's to choose.
        let tun = [links.lines(), addresses.lines()]
            .into_iter()
            .flatten()
            .filter_map(|line| line.split_once(": ").filter(|(_, rest)| rest.starts_with("tun0")));
        // Nobody else can have the address, whether the kernel is told so or not.
        tun.map(|(_, rest)| rest.replace(" nodad", "") + "\n").collect::<String>()
    };
    let mut daemon = Daemon::start(lab, site, program, &end(site, &lab.right, more));
    daemon.wait_for("link remote");
    let found =
        poll(Duration::from_secs(2), || Some(listing()).filter(|listing| wanted(listing))).unwrap_or_else(listing);
    assert!(daemon.stop().success());
    assert!(poll(PATIENCE, || listing().is_empty().then_some(())).is_some(), "the device is gone");
    found
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
        let run = |program, wanted: &dyn Fn(&str) -> bool| {
            let mut daemon = Daemon::start(&lab, &lab.left, program, &end(&lab.left, &lab.right, more));
            daemon.wait_for("link remote");
            let set = || Some(routes(&lab.left)).filter(|routes| wanted(routes));
            let during = poll(Duration::from_secs(2), set).unwrap_or_else(|| routes(&lab.left));
            assert!(daemon.stop().success());
            assert_eq!(routes(&lab.left), before, "after {program:?} with '{more}'");
            during
        };
        let openvpns = run(Program::Openvpn, &|_| true);
        let ours = run(Program::tested(), &|routes| routes == openvpns);
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
