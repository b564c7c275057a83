//! What the two ends agree on: the data cipher, where the keys come from, the format of packets.

use std::process::Command;

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Filling, Lab, Link, PATIENCE, Program, baseline, pki, poll, tls_end};
use nix::sys::signal::Signal;

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A link between `more` at the left end, which has this role, and at the right end uses this cipher.
fn agree(programs: [Program; 2], left: Role, more: [&str; 2], cipher: &str) {
    let lab = Lab::new();
    println!("left is the TLS {left:?}: {more:?}");
    let link = Link::tls(&lab, programs, left, more);
    for end in [&link.left, &link.right] {
        end.wait_for(&format!("Data Channel: cipher '{cipher}'"));
    }
    link.check_pings();
    link.stop();
}

for_each_pair! {
    fn the_servers_order_decides(programs) {
        let [one, other] = ["CHACHA20-POLY1305:AES-128-GCM", "AES-128-GCM:CHACHA20-POLY1305"]
            .map(|list| format!("data-ciphers {list}"));
        agree(programs, Role::Server, [&one, &other], "CHACHA20-POLY1305");
        agree(programs, Role::Client, [&one, &other], "AES-128-GCM");
    }
}

for_each_pair! {
    fn the_first_common_one(programs) {
        let lists = ["data-ciphers AES-256-GCM:AES-192-GCM:AES-256-CBC", "data-ciphers AES-256-CBC:AES-192-GCM"];
        agree(programs, Role::Server, lists, "AES-192-GCM");
        agree(programs, Role::Client, lists, "AES-256-CBC");
        agree(programs, Role::Server, ["data-ciphers ?AES-256-NOPE:AES-128-GCM", ""], "AES-128-GCM");
    }
}

for_each_pair! {
    /// Both ends negotiate, so `cipher` is only the last resort.
    fn cipher_does_not_count(programs) {
        agree(programs, Role::Server, ["cipher AES-256-CBC", "cipher AES-256-CBC"], "AES-256-GCM");
        agree(programs, Role::Client, ["cipher AES-128-CBC", ""], "AES-256-GCM");
    }
}

for_each_pair! {
    fn without_a_common_one_the_fallback(programs) {
        let limited = "data-ciphers AES-256-CBC\ncipher AES-256-CBC";
        for left in ROLES {
            agree(programs, left, [limited, "cipher AES-256-CBC"], "AES-256-CBC");
        }
        let fallback = ["256", "128"].map(|bits| format!("data-ciphers AES-{bits}-GCM\ndata-ciphers-fallback AES-192-CBC"));
        agree(programs, Role::Client, [&fallback[0], &fallback[1]], "AES-192-CBC");
    }
}

for_each_pair! {
    fn nothing_in_common(programs) {
        for left in ROLES {
            let lab = Lab::new();
            let link = Link::start_tls(&lab, programs, left, ["data-ciphers AES-256-GCM", "data-ciphers AES-128-GCM"]);
            for end in [&link.left, &link.right] {
                end.wait_for("ERROR: failed to negotiate cipher with peer");
            }
            for (end, program) in [&link.left, &link.right].into_iter().zip(programs) {
                if program == Program::tested() && !baseline() {
                    end.wait_for_all(&["AES-256-GCM", "AES-128-GCM", "data-ciphers"]);
                }
                assert_eq!(end.count("Initialization Sequence Completed"), 0);
            }
            link.pinger().must_not_answer(10, Filling::Random);
            link.stop();
        }
    }
}

for_each_pair! {
    /// Data encrypted with nothing is still authenticated.
    fn no_cipher_at_all(programs) {
        let none = "data-ciphers none\nauth SHA256";
        let lab = Lab::new();
        let link = Link::tls(&lab, programs, Role::Server, [none, none]);
        link.check_pings();
        link.stop();
    }
}

/// The lines of an end with a cipher that the defaults of today do not have, and those of one that has no other.
const COMPAT: [(&str, &str, &str); 2] = [
    ("compat-mode 2.4.0\ncipher AES-128-CBC", "data-ciphers AES-128-CBC", "AES-128-CBC"),
    ("compat-mode 2.3.0\nproviders legacy default", "data-ciphers BF-CBC\nproviders legacy default", "BF-CBC"),
];

for_each_pair! {
    /// The ciphers that were once the default are on the list again.
    fn compat_mode(programs) {
        for (ours, theirs, cipher) in COMPAT {
            for left in ROLES {
                agree(programs, left, [ours, theirs], cipher);
                let (_, today) = ours.split_once('\n').unwrap();
                let lab = Lab::new();
                let link = Link::start_tls(&lab, programs, left, [today, theirs]);
                let fails = match today.starts_with("cipher") {
                    // A longcable takes the cipher that the peer's options string names.
                    true if programs[1] != Program::Openvpn => continue,
                    true => &link.right,
                    false => &link.left,
                };
                fails.wait_for("ERROR: failed to negotiate cipher with peer");
                link.pinger().must_not_answer(10, Filling::Random);
                link.stop();
            }
        }
    }
}

/// What an older version does not announce.
struct Older {
    /// The bits of `IV_PROTO` that stay; without a value, there is no peer info at all.
    announces: Option<u32>,
    more: &'static str,
    exports: bool,
    data_v2: bool,
    cipher: &'static str,
}

const DATA_V2: u32 = 2;
const EXPORTER: u32 = 8;
const NEGOTIATION: u32 = 32;
const EXIT: u32 = 128;
const ALL: u32 = 0xffff;

const OLDER: [Older; 8] = [
    // A TLS library without an exporter.
    Older { announces: Some(ALL & !EXPORTER), more: "", exports: false, data_v2: true, cipher: "AES-256-GCM" },
    Older {
        announces: Some(ALL & !EXPORTER),
        more: "data-ciphers AES-256-CBC\nauth SHA256\ntls-version-max 1.2\ntls-crypt ta.key",
        exports: false,
        data_v2: true,
        cipher: "AES-256-CBC",
    },
    // 2.6.0: without dynamic tls-crypt and exit messages.
    Older {
        announces: Some(DATA_V2 | EXPORTER | NEGOTIATION),
        more: "tls-auth ta.key",
        exports: true,
        data_v2: true,
        cipher: "AES-256-GCM",
    },
    Older { announces: Some(ALL & !DATA_V2), more: "", exports: true, data_v2: false, cipher: "AES-256-GCM" },
    // 2.3 to 2.5.
    Older {
        announces: None,
        more: "data-ciphers-fallback AES-256-GCM",
        exports: false,
        data_v2: false,
        cipher: "AES-256-GCM",
    },
    Older {
        announces: None,
        more: "compat-mode 2.3.0\nproviders legacy default",
        exports: false,
        data_v2: false,
        cipher: "BF-CBC",
    },
    Older { announces: None, more: "cipher AES-256-CBC", exports: false, data_v2: false, cipher: "AES-256-CBC" },
    Older {
        announces: None,
        more: "data-ciphers-fallback BF-CBC\nproviders legacy default\ntls-crypt ta.key\ntls-version-max 1.2",
        exports: false,
        data_v2: false,
        cipher: "BF-CBC",
    },
];

impl Older {
    /// What is said of its exit message: that of the control channel is for those who know it.
    fn exit_message(&self) -> &'static str {
        match self.announces {
            Some(bits) if bits & EXIT != 0 => "CC-EEN exit message received by peer",
            _ => "OCC exit message received by peer",
        }
    }
}

/// Openvpn at the right end is an older version, or pretends to be. The keys are renewed once, and in the end the TLS
/// server leaves.
fn with_older_peers(left: Role) {
    for older in OLDER {
        let lab = Lab::new();
        pki::write(&lab);
        let library = lab.library("older_peer", include_str!("../support/older_peer.c"));
        let both = format!("{}\nexplicit-exit-notify 1", older.more);
        let right = format!("{both}\nreneg-pkts 40\nreneg-sec 0");
        lab.write("right.conf", &tls_end(&lab.right, &lab.left, left.other(), &right));
        let mut openvpn = Command::new(Program::Openvpn.path());
        openvpn.args(["--config", "right.conf"]).env("LD_PRELOAD", library);
        if let Some(mask) = older.announces {
            openvpn.env("IV_PROTO_MASK", mask.to_string());
        }
        println!("left is the TLS {left:?}, the right one announces {:?}: {}", older.announces, older.more);
        let mut link = Link::with(
            &lab,
            Daemon::start(&lab, &lab.left, Program::tested(), &tls_end(&lab.left, &lab.right, left, &both)),
            Daemon::with_command(&lab, &lab.right, "older-openvpn", &mut openvpn),
        );
        link.wait_for_traffic();
        let bit = |bit: bool| u8::from(bit);
        link.right.wait_for(&format!("TLS_export={}, DATA_v2={}", bit(older.exports), bit(older.data_v2)));
        link.right.wait_for(&format!("Data Channel: cipher '{}'", older.cipher));
        if !baseline() {
            let origin = if older.exports { "from the TLS exporter" } else { "from the PRF" };
            let line = link.left.wait_for_all(&["Data Channel: cipher", older.cipher, origin]);
            assert_eq!(line.contains("peer-id"), older.data_v2, "{line}");
        }
        let mut pinger = link.pinger();
        for _ in 0..60 {
            pinger.must_answer(100, Filling::Random);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        link.right.wait_for_count("Control Channel: TLSv1", 2);
        link.check_pings();
        link.check_tcp(200_000);
        assert_eq!(link.left.count("packet error"), 0);
        // During a renegotiation nobody is told by the control channel.
        let settled = || link.right.count("TLS: soft reset") + 1 == link.right.count("Control Channel: TLSv1");
        assert!(poll(PATIENCE, || settled().then_some(())).is_some(), "the renegotiation is not over");
        let (leaves, stays) = match left {
            Role::Server => (&mut link.left, &mut link.right),
            Role::Client => (&mut link.right, &mut link.left),
        };
        leaves.signal(Signal::SIGTERM);
        stays.wait_for(older.exit_message());
        stays.wait_for("SIGUSR1[soft,remote-exit] received, process restarting");
        assert!(leaves.wait().success());
    }
}

#[test]
fn older_clients() {
    with_older_peers(Role::Server);
}

#[test]
fn older_servers() {
    with_older_peers(Role::Client);
}

for_each_pair! {
    /// The ends tell each other in their key messages. openvpn only says so at `verb 7`.
    fn differences_are_named_at_both_ends(programs) {
        let at_left = [
            "'link-mtu' is used inconsistently, local='link-mtu 1441', remote='link-mtu 1541'",
            "'tun-mtu' is used inconsistently, local='tun-mtu 1400', remote='tun-mtu 1500'",
            "'ifconfig' is used inconsistently, local='ifconfig 10.9.0.1 10.9.0.2', remote='ifconfig 10.9.0.3 10.9.0.2'",
            "'comp-lzo' is present in remote config but missing in local config, remote='comp-lzo'",
        ];
        let at_right = [
            "'link-mtu' is used inconsistently, local='link-mtu 1541', remote='link-mtu 1441'",
            "'tun-mtu' is used inconsistently, local='tun-mtu 1500', remote='tun-mtu 1400'",
            "'ifconfig' is used inconsistently, local='ifconfig 10.9.0.2 10.9.0.3', remote='ifconfig 10.9.0.2 10.9.0.1'",
            "'comp-lzo' is present in local config but missing in remote config, local='comp-lzo'",
        ];
        let verb = programs.map(|program| program.words("verb 7", "verb 1"));
        let more = [
            format!("{}\ntun-mtu 1400", verb[0]),
            format!("{}\ncompress stub-v2\nifconfig 10.9.0.2 10.9.0.3", verb[1]),
        ];
        for left in ROLES {
            let lab = Lab::new();
            let link = Link::start_tls(&lab, programs, left, [&more[0], &more[1]]);
            for (end, lines) in [(&link.left, at_left), (&link.right, at_right)] {
                for line in lines {
                    end.wait_for(&format!("WARNING: {line}"));
                }
                assert_eq!(end.count("WARNING: '"), lines.len(), "nothing else differs");
            }
            link.stop();
        }
    }
}

for_each_pair! {
    fn equal_ends_have_nothing_to_say(programs) {
        let lab = Lab::new();
        let more = ["0", "1"].map(|direction| format!(
            "verb 7\ntls-auth ta.key {direction}\nauth SHA512\ncomp-lzo no\ntun-mtu 1400\ncipher AES-128-GCM"
        ));
        let link = Link::tls(&lab, programs, Role::Server, [&more[0], &more[1]]);
        for (end, program) in [&link.left, &link.right].into_iter().zip(programs) {
            if program == Program::tested() && !baseline() {
                end.wait_for("The options of both ends agree");
            }
            assert_eq!(end.count("WARNING: '"), 0, "nothing differs");
        }
        link.stop();
    }
}

/// The strings that the ends compare, as both programs print them for the same config.
#[test]
fn the_options_string_is_openvpns() {
    let lab = Lab::new();
    pki::write(&lab);
    let configs = [
        "",
        "auth SHA256",
        "cipher AES-256-CBC",
        "cipher AES-128-GCM",
        "data-ciphers AES-256-CBC",
        "data-ciphers-fallback AES-192-CBC",
        "data-ciphers AES-256-GCM\ncipher none",
        "tls-auth ta.key",
        "tls-auth ta.key 1\nauth SHA512",
        "tls-crypt ta.key",
        "compat-mode 2.4.0",
        "tun-mtu 1400",
        "comp-lzo no",
        "compress stub-v2",
        "ifconfig-ipv6 fd09::1/64 fd09::2",
        "topology subnet\nifconfig 10.9.0.1 255.255.255.0",
    ];
    for (role, config) in ROLES.into_iter().flat_map(|role| configs.map(|config| (role, config))) {
        println!("TLS {role:?}: {config}");
        let strings = [Program::tested(), Program::Openvpn].map(|program| {
            let config = tls_end(&lab.left, &lab.right, role, &format!("verb 7\n{config}"));
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
