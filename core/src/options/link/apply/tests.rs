use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::options::{SyntaxProblem, options};

const MINIMAL: &str = "dev tun\nsecret key\n";

fn parse(options: &str) -> LinkConfig<'static> {
    LinkConfig::parse(format!("{MINIMAL}{options}").leak()).unwrap()
}

/// The error of a configuration that is right but for these options.
fn error(options: &str) -> String {
    match LinkConfig::parse(format!("{MINIMAL}{options}").leak()) {
        Ok(_) => panic!("'{options}' is accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn defaults_are_those_of_openvpn() {
    let config = parse("");
    let connection = config.connection;
    assert_eq!(
        (connection.local_port, connection.remote_port, connection.bind, connection.float),
        (1194, 1194, true, false)
    );
    assert_eq!((config.tun_mtu, config.mssfix, config.topology), (1500, Mssfix::Default, Topology::Net30));
    assert_eq!((config.packet_ids, config.replay_window, config.occ), (true, (64, 15), true));
    assert_eq!((config.ping, config.receive_timeout, connection.explicit_exit_notify), (0, ReceiveTimeout::None, 0));
    assert_eq!((connection.connect_retry, connection.connect_timeout, config.connect_retry_max), ((1, 300), 120, 0));
    assert_eq!(config.resolv_retry, ResolvRetry::Infinite);
    assert_eq!(config.suite(), Suite::new(Cipher::BfCbc, Digest::Sha1));
    assert_eq!((config.framing, config.direction(), config.device_name()), (Framing::None, None, None));
}

#[test]
fn the_sample_configuration_of_two_offices_is_understood() {
    let config = parse(
        "remote 4.3.2.1\nifconfig 10.1.0.1 10.1.0.2\nup ./office.up\nport 5000\nuser nobody\ngroup nobody\ncomp-lzo\n\
         ping 15\nping-restart 45\nping-timer-rem\npersist-tun\npersist-key\nverb 3\n",
    );
    assert_eq!(config.remotes[0], Remote { host: Word::literal("4.3.2.1"), port: None, family: None, block: None });
    let pair = config.ifconfig.unwrap().addresses().unwrap();
    assert_eq!(pair, (Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 1, 0, 2)));
    assert_eq!((config.connection.local_port, config.connection.remote_port), (5000, 5000));
    assert_eq!((config.framing, config.ping), (Framing::Lzo, 15));
    assert_eq!((config.receive_timeout, config.ping_timer_rem), (ReceiveTimeout::Restart(45), true));
    assert!(config.persist_tun);
}

#[test]
fn devices_are_named_in_any_order() {
    for (options, kind, name) in [
        ("dev tun", DeviceKind::Tun, None),
        ("dev tun7", DeviceKind::Tun, Some("tun7")),
        ("dev null", DeviceKind::Null, None),
        ("dev-type tun\ndev home", DeviceKind::Tun, Some("home")),
        ("dev tap0\ndev-type tun", DeviceKind::Tun, Some("tap0")),
        ("dev null\ndev tun", DeviceKind::Tun, None),
    ] {
        let config = parse(options);
        assert_eq!(config.device, kind, "{options}");
        assert_eq!(config.device_name().map(|name| name.to_string()).as_deref(), name, "{options}");
    }
    assert!(error("dev tap").contains("'dev tap' is not supported yet"));
    assert!(error("dev-type tap").contains("'dev-type tap' is not supported yet"));
    assert!(error("dev home").contains("add 'dev-type tun'"));
    assert!(error("dev a234567890123456").contains("'a234567890123456' is no value for 'dev'"));
    assert!(error("dev a/b").contains("is no value"));
}

#[test]
fn remotes_and_ports() {
    let config = parse("remote a\nremote b 5000\nremote c 5001 udp6\nproto udp4\nrport 7\nlport 0\nlocal here");
    let remotes: Vec<_> =
        config.remotes.iter().map(|remote| (remote.host.to_string(), remote.port, remote.family)).collect();
    let expected = [("a", None, None), ("b", Some(5000), None), ("c", Some(5001), Some(Family::V6))]
        .map(|(h, p, f)| (h.to_string(), p, f));
    assert_eq!(remotes, expected);
    let connection = config.connection;
    assert_eq!((connection.family, connection.remote_port, connection.local_port), (Family::V4, 7, 0));
    assert_eq!(connection.local, Some(Word::literal("here")));
    assert!(!parse("remote a\nnobind\nport 5").connection.bind);
    assert!(parse("bind ipv6only").connection.ipv6_only);
    assert!(
        error("proto tcp-client").contains("'proto tcp-client' is not supported yet; supported is udp, udp4 or udp6")
    );
    assert!(error("remote a 1194 tcp").contains("not supported yet"));
    assert!(error("proto sctp").contains("takes udp, udp4 or udp6"));
    assert!(error("remote a 0").contains("a port number from 1 to 65535"));
    assert!(error("port 65536").contains("line 3"));
    assert!(error("nobind").contains("add 'remote'"));
    assert!(error("remote a\nnobind\nlport 5").contains("'lport'"));
    assert!(error("remote a\nlocal b\nnobind").contains("'local'"));
    assert!(error("remote a\nlocal a").contains("same address and port"));
    assert!(error("mode server").contains("'mode server' is not supported yet"));
    assert!(error(&"remote a\n".repeat(17)).contains("more than 16 times 'remote'"));
}

#[test]
fn addresses_and_routes() {
    let config = parse(
        "ifconfig home.example office.example\nifconfig-ipv6 fd00::1/48 fd00::2\n\
         route 10.0.0.0 255.255.0.0\nroute host.example\nroute 10.2.0.0 default net_gateway 7\n\
         route-ipv6 fd01::/32 fd00::9 5\nroute-ipv6 fd02::\nroute-gateway 10.9.9.9\nroute-metric 3\nroute-delay",
    );
    assert_eq!(config.ifconfig.unwrap().addresses(), None);
    let remote = Some("fd00::2".parse().unwrap());
    assert_eq!(config.ifconfig_ipv6, Some(IfconfigIpv6 { local: "fd00::1".parse().unwrap(), prefix: 48, remote }));
    let route = |network, netmask: [u8; 4], gateway: Option<&'static str>, metric| Route {
        network: Word::literal(network),
        netmask: netmask.into(),
        gateway: gateway.map(Word::literal),
        metric,
    };
    assert_eq!(config.routes[0], route("10.0.0.0", [255, 255, 0, 0], None, None));
    assert_eq!(config.routes[1], route("host.example", [255; 4], None, None));
    assert_eq!(config.routes[2], route("10.2.0.0", [255; 4], Some("net_gateway"), Some(7)));
    let fast = RouteIpv6 {
        network: "fd01::".parse().unwrap(),
        prefix: 32,
        gateway: Some(Word::literal("fd00::9")),
        metric: Some(5),
    };
    assert_eq!(config.routes_ipv6[0], fast);
    assert_eq!(config.routes_ipv6[1].prefix, 64);
    assert_eq!((config.route_metric, config.route_delay), (Some(3), Some(0)));
    assert!(error("route 10.0.0.0 255.0.255.0").contains("a netmask such as 255.255.255.0"));
    assert!(error("route 10.0.0").contains("'10.0.0' is no value for 'route'"));
    assert!(error("route 10.0.0.0/24").contains("is no value"));
    assert!(error("route-ipv6 fd00::/129").contains("is no value"));
    assert!(error("route-gateway dhcp").contains("not supported yet"));
    assert!(error("ifconfig 10.0.0.1 10.0.0.1").contains("both addresses are the same"));
    assert!(error("ifconfig 10.0.0.256 10.0.0.1").contains("is no value"));
    assert!(error("topology star").contains("net30, p2p or subnet"));
    assert!(error(&"route 10.0.0.0\n".repeat(65)).contains("more than 64 times 'route'"));
}

#[test]
fn keys_and_suites() {
    let config = parse("<secret>\nkey text\n</secret>\nkey-direction 1\ncipher aes-256-cbc\nauth RSA-SHA512");
    assert_eq!(config.secret, Some(KeySource::Inline("key text\n")));
    assert_eq!(config.direction(), Some(Direction::Inverse));
    assert_eq!(config.suite(), Suite::new(Cipher::Aes256Cbc, Digest::Sha512));
    assert_eq!(parse("secret other 0").direction(), Some(Direction::Normal));
    assert_eq!(parse("<secret>\nx\n</secret>\nsecret [inline] 0").secret, Some(KeySource::Inline("x\n")));
    assert_eq!(parse("keysize 256").suite().key_len, 32);
    assert_eq!(parse("cipher none\nauth none").suite(), Suite::new(Cipher::None, Digest::None));
    for cipher in ["AES-256-GCM", "aes-128-cfb", "CHACHA20-POLY1305", "AES-256-OFB"] {
        assert!(error(&format!("cipher {cipher}")).contains("a CBC cipher such as AES-256-CBC"), "{cipher}");
    }
    assert!(error("cipher ROT13").contains("--show-ciphers"));
    assert!(error("auth CRC32").contains("--show-digests"));
    assert!(error("cipher AES-256-CBC\nkeysize 128").contains("keysize"));
    assert!(error("keysize 100").contains("a multiple of 8"));
    assert!(error("key-direction 2").contains("0 or 1"));
    assert!(error("secret a b").contains("0 or 1"));
    assert!(LinkConfig::parse("dev tun").unwrap_err().to_string().contains("static key"));
    assert!(LinkConfig::parse("secret key").unwrap_err().to_string().contains("add 'dev tun'"));
    assert!(LinkConfig::parse("dev tun\nsecret [inline]").is_err());
}

#[test]
fn replay_and_compression() {
    assert_eq!(parse("replay-window 0").replay_window, (0, 15));
    assert_eq!(parse("replay-window 65536 600").replay_window, (65_536, 600));
    assert!(error("replay-window 65537").contains("from 0 to 65536"));
    assert!(error("replay-window 1 601").contains("from 0 to 600"));
    assert!(!parse("no-replay").packet_ids);
    for (options, framing) in [
        ("comp-lzo", Framing::Lzo),
        ("comp-lzo adaptive", Framing::Lzo),
        ("comp-lzo yes", Framing::Lzo),
        ("comp-lzo no", Framing::LzoStub),
        ("compress", Framing::Stub),
        ("compress stub", Framing::Stub),
        ("compress lzo", Framing::Lzo),
        ("compress lz4", Framing::Lz4),
        ("compress stub-v2", Framing::StubV2),
        ("compress lz4-v2", Framing::Lz4V2),
        ("comp-lzo\nallow-compression asym", Framing::Lzo),
        ("allow-compression no\ncomp-lzo no", Framing::LzoStub),
    ] {
        assert_eq!(parse(options).framing, framing, "{options}");
    }
    assert!(error("comp-lzo\nallow-compression no").contains("comp-lzo no"));
    assert!(error("comp-lzo maybe").contains("yes, no or adaptive"));
    assert!(error("compress snappy").contains("lz4-v2"));
    assert!(error("compress migrate").contains("not supported yet"));
}

#[test]
fn timers() {
    let config = parse("keepalive 10 60\ninactive 5 1000\nsession-timeout 9\nexplicit-exit-notify\nconnect-retry 7\n");
    assert_eq!((config.ping, config.receive_timeout), (10, ReceiveTimeout::Restart(60)));
    assert_eq!(config.inactive, Some(Inactive { seconds: 5, bytes: 1000 }));
    assert_eq!(
        (config.session_timeout, config.connection.explicit_exit_notify, config.connection.connect_retry),
        (9, 1, (7, 300))
    );
    assert_eq!(parse("ping-restart 5\nping-exit 9").receive_timeout, ReceiveTimeout::Exit(9));
    assert_eq!(parse("ping-exit 5\nping-restart 0").receive_timeout, ReceiveTimeout::None);
    assert_eq!(parse("explicit-exit-notify 3").connection.explicit_exit_notify, 3);
    assert_eq!(parse("resolv-retry 0").resolv_retry, ResolvRetry::Seconds(0));
    assert_eq!(parse("resolv-retry 5\nresolv-retry infinite").resolv_retry, ResolvRetry::Infinite);
    assert_eq!(parse("remap-usr1 SIGTERM").remap_usr1, Some(Signal::Term));
    assert_eq!(parse("ping -5").ping, 0);
    assert_eq!(parse("inactive 0").inactive, None);
    assert!(error("keepalive 0 10").contains("'0' is no value for 'keepalive'"));
    assert!(error("keepalive 10 19").contains("at least twice"));
    assert!(error("keepalive 10 60\nping 5").contains("keepalive"));
    assert!(error("ping-exit 5\nkeepalive 10 60").contains("ping-exit"));
    assert!(error("ping abc").contains("line 3: 'abc' is no value for 'ping', which takes a time in seconds"));
    assert!(error("ping 10s").contains("'10s'"));
    assert!(error("remap-usr1 SIGUSR2").contains("SIGHUP or SIGTERM"));
}

#[test]
fn sizes() {
    assert_eq!((parse("tun-mtu 1400 1450").tun_mtu, parse("tun-mtu 1400 1450").occ_mtu), (1400, Some(1450)));
    for (options, mssfix) in [
        ("mssfix", Mssfix::Default),
        ("mssfix 0", Mssfix::Off),
        ("mssfix 1300", Mssfix::Plain(1300)),
        ("mssfix 1300 mtu", Mssfix::Mtu(1300)),
        ("mssfix 1300 fixed", Mssfix::Fixed(1300)),
    ] {
        assert_eq!(parse(options).mssfix, mssfix, "{options}");
    }
    assert!(error("tun-mtu 99").contains("from 100 to 65535"));
    assert!(error("tun-mtu 65536").contains("from 100 to 65535"));
    assert!(error("mssfix 1300 tcp").contains("mtu or fixed"));
}

#[test]
fn later_options_override_and_the_hosts_are_passed_over() {
    let config = parse("verb 3\nport 1\nport 2\ncomp-lzo\ncompress\nsecret other\ndaemon\nup /bin/up");
    assert_eq!((config.connection.local_port, config.framing), (2, Framing::Stub));
    assert_eq!(config.secret, Some(KeySource::File(Word::literal("other"))));
}

#[test]
fn warnings_name_what_is_legal_but_unwise() {
    let warnings = |options| parse(options).warnings().collect::<Vec<_>>();
    assert!(warnings("cipher AES-256-CBC\nkey-direction 0").is_empty());
    assert_eq!(warnings(""), [Warning::DefaultCipher, Warning::NoDirection]);
    assert_eq!(warnings("cipher BF\nkey-direction 0"), [Warning::ShortBlocks(Cipher::BfCbc)]);
    let misfit = |text| LinkConfig::parse(format!("{MINIMAL}{text}").leak()).unwrap_err().to_string();
    assert!(misfit("remote 192.0.2.1:1194").contains("port as a word of its own"));
    assert!(misfit("remote office.example.net:1194").contains("port as a word of its own"));
    assert!(misfit("remote [2001:db8::1]").contains("port as a word of its own"));
    assert!(misfit("remote 192.0.2.1\nproto udp6").contains("IP version"));
    assert_eq!(
        warnings("cipher none\nauth none\nno-replay\nkey-direction 1\nping 5\nifconfig 10.0.0.1 255.255.255.0"),
        [
            Warning::NoCipher,
            Warning::NoAuthentication,
            Warning::NoPacketIds,
            Warning::NetmaskAsAddress,
            Warning::PingWithoutTimeout
        ]
    );
    let subnet = "cipher AES-128-CBC\nkey-direction 0\ntopology subnet\nifconfig 10.0.0.1 10.0.0.2";
    assert_eq!(warnings(subnet), [Warning::AddressAsNetmask]);
}

#[test]
fn every_error_points_at_an_existing_word() {
    for line in ["ping abc", "remote a b", "route 1.1.1.1 x", "keepalive 10 5", "ping 1 2", "foo", "dev tap"] {
        let text = format!("{MINIMAL}{line}").leak();
        let (ParseError::Option(_, error) | ParseError::Whole(error)) = LinkConfig::parse(text).unwrap_err() else {
            panic!("{line}");
        };
        assert!(error.word < line.split(' ').count(), "{line}: {error}");
    }
    let unclosed = LinkConfig::parse("dev tun\n<secret>\nabc").unwrap_err();
    assert!(matches!(unclosed, ParseError::Syntax(error) if error.problem == SyntaxProblem::UnclosedBlock));
    assert_eq!(unclosed.to_string(), "line 2: this inline block has no end: its closing tag </...> is missing");
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "[a-z0-9./: \n\"<>-]{0,200}") {
        let _ = LinkConfig::parse(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_argument_is_too_strange(
        index in 0..options().count(),
        args in proptest::collection::vec("[!-~]{1,12}|-?[0-9]{1,25}", 0..5),
    ) {
        let name = options().nth(index).unwrap().name;
        let text = format!("{MINIMAL}{name} '{}'", args.join("' '"));
        let _ = LinkConfig::parse(&text).map_err(|error| error.to_string());
    }
}

/// The blocks of a configuration, with their remote's name, port and IP version.
fn blocks(config: &LinkConfig<'_>) -> Vec<(String, u16, Family)> {
    let blocks = config.remotes.iter().enumerate().map(|(index, remote)| {
        let connection = config.connection_of(index);
        (remote.host.to_string(), connection.port_of(remote), connection.family_of(remote))
    });
    blocks.collect()
}

#[test]
fn a_block_has_the_settings_before_it_as_defaults() {
    let config = parse(
        "remote z 9\nconnect-timeout 5\nfloat\nrport 7\n<connection>\nremote a\n</connection>\nproto udp4\nconnect-timeout 6\n\
         <connection>\nremote b 4 udp6\nconnect-retry 2 3\nexplicit-exit-notify 2\nlport 8\nlocal c\n</connection>\n\
         <connection>\nremote d 4 udp6\nproto udp\nrport 5\nconnect-retry-max 4\nserver-poll-timeout 9\n</connection>\n\
         connect-timeout 8\nremote e\nconnect-retry-max 2",
    );
    let expected = [("a", 7, Family::Any), ("b", 4, Family::V6), ("d", 5, Family::Any)];
    assert_eq!(blocks(&config), expected.map(|(host, port, family)| (host.to_string(), port, family)));
    let [a, b, d] = [0, 1, 2].map(|index| *config.connection_of(index));
    assert_eq!([a, b, d].map(|connection| connection.connect_timeout), [5, 6, 9]);
    assert_eq!([a, b, d].map(|connection| connection.connect_retry), [(1, 300), (2, 3), (1, 300)]);
    assert_eq!([a, b, d].map(|connection| connection.explicit_exit_notify), [0, 2, 0]);
    assert_eq!([a, b, d].map(|connection| connection.local_port), [1194, 8, 1194]);
    assert_eq!([a, b, d].map(|connection| connection.local.is_some()), [false, true, false]);
    assert!(a.float && b.float && d.float);
    assert_eq!((config.connection.connect_timeout, config.connect_retry_max), (8, 2), "for nobody, and for all");
    assert_eq!(config.connection_of(3), &config.connection);
    assert!(config.warnings().any(|warning| warning == Warning::RemoteOutside));
}

#[test]
fn a_block_that_is_wrong_is_an_error_with_its_line() {
    // Two lines of options and the opening tag come before.
    let within = |lines: &str| error(&format!("<connection>\n{lines}\n</connection>"));
    assert!(within("nobind").starts_with("line 5: each <connection> block must contain exactly one 'remote'"));
    assert!(within("remote a\nremote b").starts_with("line 5: option 'remote': a <connection> block has one only"));
    assert!(within("remote a\nping 3").starts_with("line 5: option 'ping' cannot stand in a <connection> block"));
    assert!(within("remote a\n\nfoo").starts_with("line 6: there is no option 'foo'"));
    assert!(within("remote a\nrport 0").starts_with("line 5: '0' is no value for 'rport'"));
    assert!(within("remote a\nnobind\nlport 5").starts_with("line 7: option 'nobind'"));
    assert!(within("remote a tcp").starts_with("line 4: 'tcp' is no value for 'remote'"));
    for option in ["tun-mtu 1400", "mssfix", "key-direction 1", "mtu-disc yes", "<tls-crypt>\nkey\n</tls-crypt>"] {
        assert!(
            within(&format!("remote a\n{option}")).contains("write it outside of the <connection> block"),
            "{option}"
        );
    }
    for option in ["fragment 1300", "http-proxy a 1", "socks-proxy a"] {
        assert!(within(&format!("remote a\n{option}")).starts_with("line 5: option"), "{option}");
        assert!(within(&format!("remote a\n{option}")).contains("not supported yet"), "{option}");
    }
    assert!(error("connection").contains("write '<connection>' and '</connection>' around"));
    assert!(error("<connection>\nremote a").starts_with("line 3: this inline block has no end"));
    assert!(error(&"<connection>\nremote a\n</connection>\n".repeat(9)).contains("more than 8 times 'connection'"));
    assert_eq!(blocks(&parse(&"<connection>\nremote a\n</connection>\n".repeat(8))).len(), 8);
}

#[test]
fn proto_force_passes_over_what_is_not_supported() {
    let config = parse("proto-force udp\nremote a 1 tcp\nremote b\nremote c 1 tcp-client");
    assert_eq!(blocks(&config), [("b".to_string(), 1194, Family::Any)]);
    let config = parse(
        "proto-force udp\n<connection>\nremote a\nproto tcp-client\n</connection>\n<connection>\nremote b\n\
         </connection>\n<connection>\nremote c 1 tcp\n</connection>",
    );
    assert_eq!(blocks(&config), [("b".to_string(), 1194, Family::Any)]);
    assert!(error("proto-force udp\nremote a 1 tcp").contains("No usable connection profiles are present"));
    assert!(error("proto-force tcp\nremote a").contains("'proto-force tcp' is not supported yet"));
    assert!(error("proto-force udp\nproto tcp-client").contains("'proto tcp-client' is not supported yet"));
}
