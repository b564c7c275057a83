use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use longcable_core::crypto::Cipher;
use longcable_core::options::{ControlKey, Ifconfig, LinkConfig};

use super::*;
use crate::config::{Loaded, Mode};
use crate::demo::lab::Scratch;
use crate::tls::TlsContext;

/// The two texts that a config becomes, and their names.
struct Pair {
    here: Vec<u8>,
    there: String,
    report: String,
    names: [String; 2],
    scratch: Scratch,
}

fn pair(name: &str, text: impl AsRef<[u8]>) -> Pair {
    let scratch = Scratch::create(false).unwrap();
    let (config, output) = (scratch.path().join(name), scratch.path().join("out"));
    fs::write(&config, text).unwrap();
    let report = migrate(&config, Some(&output)).unwrap_or_else(|fatal| panic!("{fatal}"));
    let names = report.lines().skip(1).take(2).map(|line| line.split_whitespace().next().unwrap().to_owned());
    let names: [String; 2] = names.collect::<Vec<_>>().try_into().unwrap();
    let (here, there) = (fs::read(&names[0]).unwrap(), fs::read_to_string(&names[1]).unwrap());
    Pair { here, there, report, names, scratch }
}

impl Pair {
    /// Both configs as the program takes them, that of the other end with these lines more.
    fn check(&self, more: &str, look: impl FnOnce(&LinkConfig<'_>, &LinkConfig<'_>)) {
        let there = self.scratch.path().join(format!("there-{}.conf", number()));
        fs::write(&there, format!("{}{more}\n", self.there)).unwrap();
        let sources = [Path::new(&self.names[0]), &there].map(|file| {
            let words = ["--config".into(), file.as_os_str().to_owned(), "--cd".into(), self.scratch.path().into()];
            Sources::load(words, Path::new("")).unwrap_or_else(|error| panic!("{error}"))
        });
        let [here, there] = sources.each_ref().map(|sources| {
            let loaded = sources.parse().unwrap_or_else(|error| panic!("{error}\n{}", self.there));
            assert!(loaded.warnings.iter().all(|warning| warning.contains("ping")), "{:?}", loaded.warnings);
            let Loaded { mode: Mode::Link, link, host, .. } = loaded else { panic!("no link") };
            TlsContext::load(&link, &host).unwrap_or_else(|fatal| panic!("{fatal}"));
            link
        });
        assert_eq!(here.tls.role.map(Role::other), there.tls.role);
        assert_eq!(here.tls.wrapping, there.tls.wrapping);
        assert!(matches!(here.tls.wrapping, ControlKey::Crypt(_)));
        assert_eq!(here.tls.data_ciphers, there.tls.data_ciphers);
        assert_eq!(here.framing, there.framing);
        assert!(here.secret.is_none() && there.secret.is_none());
        assert!(here.packet_ids && here.key_direction.is_none());
        look(&here, &there);
    }
}

fn number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

fn addresses(config: &LinkConfig<'_>) -> [String; 2] {
    let Some(Ifconfig { local, remote_or_netmask }) = config.ifconfig else { panic!("no ifconfig") };
    [local.to_string(), remote_or_netmask.to_string()]
}

fn refusal(name: &str, text: &str) -> String {
    let scratch = Scratch::create(false).unwrap();
    let config = scratch.path().join(name);
    fs::write(&config, text).unwrap();
    let fatal = migrate(&config, Some(&scratch.path().join("out"))).unwrap_err();
    assert!(!scratch.path().join("out").exists(), "nothing is written");
    fatal.to_string().replace(&format!("{}/", scratch.path().display()), "")
}

/// The FAQ's config for two volatile addresses, with the static key that it offers in the place of TLS.
const DYNAMIC: &str = "remote myremote.mydomain.com\ndev tun\nifconfig 10.1.0.2 10.1.0.1\nup ./up-script # optional\n\n\
    # crypto config\nreplay-persist replay-persist-file # optional (1.4.0 or above)\n\nsecret static.key\n\n# timeouts\n\
    ping 15\nping-restart 300 # 5 minutes\nresolv-retry 300 # 5 minutes\npersist-tun\npersist-key\n\n\
    # compression (optional)\ncomp-lzo\n\n# UID (optional)\nuser nobody\ngroup nobody\n\n# verbosity (optional)\nverb 4\n";

/// The FAQ's gateway in front of a Samba server.
const SAMBA: &str = "dev tun0\nifconfig 192.168.5.6 192.168.5.5\nport 12345\nverb 1\nlocal 123.123.123.12\nuser nobody\n\
    group nogroup\nsecret /etc/openvpn/key\ntun-mtu 1500\ndaemon\n";

/// The machine that dials in there.
const DIALLING: &str = "dev tun0\nifconfig 192.168.5.5 192.168.5.6\nport 12345\nip-win32 manual\nverb 1\n\
    remote 123.123.123.12\nsecret C:\\\\programme\\\\openvpn\\\\config\\\\key\ntun-mtu 1500\nping 30\n";

#[test]
fn the_static_configs_of_the_faq() {
    let dynamic = pair("home.conf", DYNAMIC);
    assert!(dynamic.names[0].ends_with("/out/home.conf") && dynamic.names[1].ends_with("/out/myremote.conf"));
    dynamic.check("", |here, there| {
        assert_eq!(here.tls.role, Some(Role::Client), "it calls");
        assert_eq!(
            (addresses(here), addresses(there)),
            (["10.1.0.2", "10.1.0.1"].map(str::to_owned), ["10.1.0.1", "10.1.0.2"].map(str::to_owned))
        );
        assert_eq!((there.remotes.len(), there.connection.local_port), (0, 1194));
        assert!(there.persist_tun && there.ping == 15);
    });
    for line in ["\n;up ./up-script\n", "\n;user nobody\n", "\n;replay-persist replay-persist-file\n", "\nverb 4\n"] {
        assert!(dynamic.there.contains(line), "{line} in {}", dynamic.there);
    }

    let samba = pair("gateway.conf", SAMBA);
    samba.check("", |here, there| {
        assert_eq!(here.tls.role, Some(Role::Server), "it waits");
        assert_eq!(there.remotes[0].host, "123.123.123.12");
        assert_eq!((there.connection.local_port, there.connection.remote_port), (12345, 12345));
        assert_eq!(addresses(there), ["192.168.5.5", "192.168.5.6"]);
    });
    pair("windows.conf", DIALLING).check("", |here, there| {
        assert_eq!(here.tls.role, Some(Role::Client));
        assert_eq!((there.connection.local_port, there.connection.remote_port), (12345, 12345));
    });
}

#[test]
fn what_tls_does_not_replace_stays_as_it_is() {
    let before: &[u8] =
        b"\xef\xbb\xbf# Z\xfcrich, edited by hand\r\n  dev\ttun   # the device\r\n\r\nremote 192.0.2.2 5000\n\
        ifconfig 10.1.0.2 10.1.0.1\n--auth SHA512\n<secret>\n";
    let key = b"#\n# 2048 bit OpenVPN static key\n#\n-----BEGIN OpenVPN Static key V1-----\nab\n";
    let after: &[u8] =
        b"</secret> # the key\nkey-direction 1\n; cipher none\ncipher AES-128-CBC\nsetenv opt keysize 128\n\
        no-replay\n\tup \"./up.sh a\\\\b\"\nsetenv opt tls-something new\ncomp-lzo no # the end";
    let pair = pair("a b.conf", [before, key, after].concat());
    assert!(pair.names[0].ends_with("/out/a-b.conf") && pair.names[1].ends_with("/out/peer.conf"));
    let kept: &[u8] = b"# Z\xfcrich, edited by hand\r\n  dev\ttun   # the device\r\n\r\nremote 192.0.2.2 5000\n\
        ifconfig 10.1.0.2 10.1.0.1\n# migrate: no 'auth' any more: the new ciphers authenticate packets themselves\n\
        # migrate: no 'secret' any more: the certificates at the end of this file take its place\n\
        # migrate: no 'key-direction' any more: the new keys have no direction\n; cipher none\n\
        # migrate: no 'cipher' any more: 'data-ciphers' at the end of this file takes its place\n\
        # migrate: no 'keysize' any more: the new ciphers have keys of one length\n\
        # migrate: no 'no-replay' any more: the new ciphers need packet ids\n\
        \tup \"./up.sh a\\\\b\"\nsetenv opt tls-something new\ncomp-lzo no # the end\n\n# TLS.";
    let place = pair.here.windows(kept.len()).position(|part| part == kept);
    assert!(place.is_some(), "{}", String::from_utf8_lossy(&pair.here));
    assert!(pair.here[..place.unwrap()].split(|byte| *byte == b'\n').all(|line| line.is_empty() || line[0] == b'#'));
    for secret in ["Static key V1-----\nab", "# the key"] {
        assert!(!String::from_utf8_lossy(&pair.here).contains(secret) && !pair.there.contains(secret));
    }
    for line in ["\ndev\ttun\n", "\n;up \"./up.sh a\\\\b\"\n", "\n;setenv opt tls-something new\n", "\ncomp-lzo no\n"] {
        assert!(pair.there.contains(line), "{line} in {}", pair.there);
    }
    let ciphers = "\ndata-ciphers AES-128-GCM:AES-256-GCM:CHACHA20-POLY1305\n";
    assert!(pair.there.contains(ciphers), "the shorter key was chosen before");
    assert!(pair.there.contains("\nport 5000\n") || pair.there.contains("\nlport 5000\nrport 1194\n"));
}

const KEY: &str = "secret static.key\n";

#[test]
fn the_other_end_is_the_mirror_image() {
    let check = |text: &str, more: &str, expected: [&str; 2], ports: (u16, u16), remotes: &[&str]| {
        let pair = pair("office.conf", format!("dev tun7\n{KEY}{text}"));
        pair.check(more, |_, there| {
            assert_eq!(addresses(there), expected, "{text}");
            assert_eq!((there.connection.local_port, there.connection.remote_port), ports, "{text}");
            let hosts: Vec<_> = there.remotes.iter().map(|remote| remote.host.to_string()).collect();
            assert_eq!(hosts, remotes, "{text}");
        });
        pair
    };
    let mirrored = ["10.1.0.2", "10.1.0.1"];
    let p2p = "ifconfig 10.1.0.1 10.1.0.2\n";
    check(p2p, "remote a", mirrored, (1194, 1194), &["a"]);
    check(&format!("{p2p}remote a 5000\nport 5001\n"), "", mirrored, (5000, 5001), &[]);
    check(&format!("{p2p}remote a\nlport 2000\nrport 3000\n"), "", mirrored, (3000, 2000), &[]);
    check(&format!("{p2p}remote a 5000\nnobind\n"), "", mirrored, (5000, 1194), &[]);
    check(&format!("{p2p}local office.example.net\n"), "", mirrored, (1194, 1194), &["office.example.net"]);
    check(&format!("{p2p}local 192.168.1.1\nremote a\n"), "", mirrored, (1194, 1194), &[]);
    let two = check(&format!("{p2p}remote a 5000\nremote b 5001\n"), "", mirrored, (5000, 1194), &[]);
    assert!(two.there.contains("# CHECK: office calls port 5001 too: this end listens at 5000 only.\n"));
    let subnet = "topology subnet\nifconfig 10.1.0.1 255.255.255.0\n";
    let netmask =
        check(subnet, "ifconfig 10.1.0.2 255.255.255.0\nremote a", ["10.1.0.2", "255.255.255.0"], (1194, 1194), &["a"]);
    assert!(netmask.there.contains("\n;ifconfig ADDRESS 255.255.255.0\n"));
    let ipv6 = check(
        &format!("{p2p}proto udp6\nremote a 1194 udp4\nifconfig-ipv6 fd00::1/64 fd00::2\nroute-ipv6 fd01::/64\n"),
        "",
        mirrored,
        (1194, 1194),
        &[],
    );
    assert!(ipv6.there.contains("\nproto udp4\n") && ipv6.there.contains("\nifconfig-ipv6 fd00::2/64 fd00::1\n"));
    assert!(ipv6.there.contains("\n;route-ipv6 NETWORK/BITS\n"));
    // The networks behind the other end are no networks behind this one.
    let routes = check(&format!("{p2p}remote a\nroute 10.7.0.0 255.255.0.0\n"), "", mirrored, (1194, 1194), &[]);
    assert!(!routes.there.contains("10.7.0.0") && routes.there.contains("\n;route NETWORK NETMASK\n"));
}

#[test]
fn ciphers_of_today_take_the_place_of_old_ones() {
    for cipher in [
        "",
        "cipher BF-CBC\nkeysize 256",
        "cipher none\nauth none",
        "data-ciphers BF-CBC\ndata-ciphers-fallback AES-256-CBC",
    ] {
        let pair = pair(
            "home.conf",
            format!("dev tun\nremote office.example.net\nifconfig 10.1.0.2 10.1.0.1\n{KEY}{cipher}\n"),
        );
        pair.check("", |here, there| {
            let best = [Cipher::Aes256Gcm, Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305];
            assert_eq!(here.tls.data_ciphers, best, "{cipher}");
            assert_eq!((here.fallback_cipher(), there.fallback_cipher()), (None, None), "{cipher}");
            assert_eq!(here.auth, None, "{cipher}");
        });
        assert!(pair.report.contains("office.conf") && pair.report.contains("'ping 10.1.0.1' is answered"));
    }
}

#[test]
fn files_are_private_and_nothing_is_overwritten() {
    let pair = pair("home.conf", SAMBA);
    for name in &pair.names {
        assert_eq!(fs::metadata(name).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let directory = pair.scratch.path().join("out");
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    let (config, before) = (pair.scratch.path().join("home.conf"), fs::read(&pair.names[0]).unwrap());
    let again = || migrate(&config, Some(&directory)).unwrap_err().to_string();
    let first = again();
    assert!(first.contains("home.conf' is there already and is not overwritten: remove it, or name"), "{first}");
    assert_eq!(fs::read(&pair.names[0]).unwrap(), before);
    // All or nothing.
    fs::remove_file(&pair.names[0]).unwrap();
    assert!(again().contains("peer.conf' is there already"));
    assert!(!Path::new(&pair.names[0]).exists());
    // The static config itself is never in danger.
    let here = migrate(&config, Some(pair.scratch.path())).unwrap_err().to_string();
    assert!(here.contains("home.conf' is there already"), "{here}");
    assert_eq!(fs::read_to_string(&config).unwrap(), SAMBA);
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    for (text, pieces) in [
        ("dev tun\ntls-client\nca a\ncert b\nkey c\n", &["home.conf:2: this is a TLS link already"] as &[_]),
        ("dev tun\nremote a\n", &["home.conf", "no key is configured"]),
        ("dev tap\nsecret a\n", &["Options error: home.conf:1:5: ", "'dev tun'", "    1 | dev tap\n"]),
        ("dev tun\nsecret a\nproto tcp-client\nremote a\n", &["home.conf:3:7: ", "tcp-client", "udp"]),
        ("dev tun\nsecret C:\\key\n", &["home.conf:2:", "Bad backslash"]),
        ("dev tun\nshow-ciphers\n", &["home.conf: this is a command and no link"]),
    ] {
        let refused = refusal("home.conf", text);
        for piece in pieces {
            assert!(refused.contains(piece), "{piece} in {refused}");
        }
    }
    let scratch = Scratch::create(false).unwrap();
    let (config, other) = (scratch.path().join("home.conf"), scratch.path().join("keys.conf"));
    fs::write(&other, KEY).unwrap();
    fs::write(&config, format!("dev tun\nconfig {}\n", other.display())).unwrap();
    let including = migrate(&config, None).unwrap_err().to_string();
    assert!(including.ends_with("home.conf:2: 'config' reads options from another file: put them in its place first"));
    let missing = migrate(&scratch.path().join("none.conf"), None).unwrap_err().to_string();
    assert!(missing.ends_with("none.conf': No such file or directory (os error 2)"), "{missing}");
    fs::write(&config, SAMBA).unwrap();
    let nowhere = migrate(&config, Some(Path::new("/nonexistent/out"))).unwrap_err().to_string();
    assert!(nowhere.starts_with("cannot make the directory '/nonexistent/out': "), "{nowhere}");
}
