use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use longcable_core::options::{Directive, State, Topology, Word, options};

use super::*;
use crate::link::udp::MtuDiscovery;
use crate::log::Destination;
use crate::scripts::Hook;

/// A directory for one test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("longcable-config-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it has a parent")).expect("the directory can be made");
        fs::write(&path, text).expect("the file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is our file");
        self
    }

    fn load(&self, args: &[&str]) -> Result<Sources, Diagnostic> {
        Sources::load(args.iter().map(OsString::from), &self.0)
    }

    /// The diagnostic for these arguments.
    fn error(&self, args: &[&str]) -> String {
        match self.load(args) {
            Ok(sources) => sources.parse().expect_err("it is no valid configuration").to_string(),
            Err(diagnostic) => diagnostic.to_string(),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const LINK: &str = "dev tun\nsecret static.key 1\ncipher AES-256-CBC\n";

fn error_of(text: impl AsRef<[u8]>) -> String {
    Directory::new().write("home.conf", text).write("static.key", "key text").error(&["home.conf"])
}

#[test]
fn a_config_file_and_its_key_are_read() {
    let directory = Directory::new();
    let text = format!("{LINK}ifconfig 10.1.0.1 255.255.255.0\ntopology subnet\nuser nobody\ntun-ipv6\nverb 4");
    directory.write("home.conf", text).write("static.key", "key text");
    for args in [["home.conf"].as_slice(), &["--config", "home.conf"]] {
        let sources = directory.load(args).unwrap();
        let loaded = sources.parse().unwrap();
        assert_eq!(loaded.mode, Mode::Link);
        assert_eq!(loaded.link.secret, Some(KeySource::Inline("key text")));
        assert_eq!(loaded.link.topology, Topology::Subnet);
        assert_eq!(loaded.host.user.as_deref(), Some("nobody"));
        assert_eq!(loaded.host.log.verb, 4);
        assert_eq!(loaded.host.config_file.as_deref(), Some("home.conf"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let [harmless, note] = loaded.notes.as_slice() else { panic!("{:?}", loaded.notes) };
        assert_eq!(harmless, "home.conf:7: option 'tun-ipv6' has no effect: the tunnel always carries IPv6");
        assert!(note.starts_with("NOTE: a static-key link has no forward secrecy"), "{note}");
    }
}

#[test]
fn the_command_line_counts_in_order_with_its_files() {
    let directory = Directory::new();
    directory.write("home.conf", format!("{LINK}port 2\nrport 3")).write("static.key", "");
    let sources =
        directory.load(&["--port", "1", "--config", "home.conf", "--rport", "4", "--up", "/bin/up a b"]).unwrap();
    let loaded = sources.parse().unwrap();
    assert_eq!((loaded.link.connection.local_port, loaded.link.connection.remote_port), (2, 4));
    assert_eq!(loaded.host.scripts, [(Hook::Up, "/bin/up a b".to_owned())]);
    let sources = directory.load(&["--dev", "tun", "--secret", "static.key", "--setenv", "A", r"b\c"]).unwrap();
    assert_eq!(sources.parse().unwrap().host.environment.get("A"), Some(r"b\c"));
}

#[test]
fn files_include_files_where_cd_leads() {
    let directory = Directory::new();
    directory
        .write("etc/home.conf", "config common/a.conf\nport 3")
        .write("etc/common/a.conf", format!("port 1\ncd common\n{LINK}config b.conf\nlport 9"))
        .write("etc/common/b.conf", "port 2\nverb 5")
        .write("etc/common/static.key", "deep key");
    let sources = directory.load(&["--cd", "etc", "--config", "home.conf"]).unwrap();
    let loaded = sources.parse().unwrap();
    assert_eq!(
        (loaded.link.connection.local_port, loaded.link.connection.remote_port, loaded.host.log.verb),
        (3, 3, 5)
    );
    assert_eq!(loaded.link.secret, Some(KeySource::Inline("deep key")));
    assert_eq!(loaded.host.cd, Some(directory.0.join("etc/common")));
}

#[test]
fn includes_come_to_an_end() {
    let directory = Directory::new();
    directory.write("loop.conf", "verb 3\nconfig loop.conf");
    let error = directory.error(&["loop.conf"]);
    assert!(
        error.starts_with("Options error: loop.conf:2:8: config files include each other more than 10 deep"),
        "{error}"
    );
    directory.write("bomb.conf", "config bomb2.conf\nconfig bomb2.conf").write("bomb2.conf", "");
    assert!(directory.error(&["bomb.conf"]).contains("no tunnel device"));
    let many = "config bomb2.conf\n".repeat(150);
    assert!(directory.write("many.conf", many).error(&["many.conf"]).contains("more than 100 config files"));
    for depth in 0..12 {
        directory.write(&format!("{depth}.conf"), format!("config {}.conf\nconfig {}.conf", depth + 1, depth + 1));
    }
    assert!(directory.error(&["0.conf"]).contains("10 deep"));
    assert!(directory.error(&["/dev/zero"]).contains("larger than 1 MiB"));
}

#[test]
fn a_diagnostic_shows_the_place_the_line_and_the_remedy() {
    assert_eq!(
        error_of(format!("{LINK}\tping\t abc # seconds\n")),
        "Options error: home.conf:4:8: 'abc' is no value for 'ping', which takes a time in seconds\n    4 | \tping\t abc # seconds\n      | \t    \t ^^^"
    );
    assert_eq!(
        error_of("dev tun\nkeepalve 10 60"),
        "Options error: home.conf:2:1: there is no option 'keepalve'; did you mean 'keepalive'?\n    2 | keepalve 10 60\n      | ^^^^^^^^"
    );
    assert_eq!(
        Directory::new().error(&["--dev", "tun", "--ping", "1", "two words"]),
        "Options error: command line: 'ping' with 2 arguments; write 'ping n'\n      | --ping 1 two words\n      |          ^^^^^^^^^"
    );
    assert_eq!(
        error_of(format!("keepalive 10 60\n{LINK}ping 5\n")),
        "Options error: home.conf:1:1: option 'keepalive': it sets ping and ping-restart itself; leave those and ping-exit out\n    1 | keepalive 10 60\n      | ^^^^^^^^^"
    );
    assert_eq!(
        error_of("secret static.key"),
        "Options error: home.conf: no tunnel device is configured: add 'dev tun'"
    );
    assert!(error_of("dev tun\n").starts_with("Options error: home.conf: no key is configured"));
    assert!(
        error_of("\u{feff}d\u{e4}v tun \"\u{e4}").starts_with("Options error: home.conf:1:10: No closing quotation")
    );
}

#[test]
fn hostile_files_are_refused_with_their_line() {
    for (text, place) in [
        (b"dev tun\n<secret>\nabc\n".to_vec(), "home.conf:2:1: this inline block has no end"),
        (b"dev tun\r\n\0\r\n".to_vec(), "home.conf:2:1: a NUL byte"),
        (b"dev tun\ndev \"\xff\"\n".to_vec(), "home.conf:2:6: this is not UTF-8 text"),
        ([b"\n", [b'a'; 4000].as_slice()].concat(), "home.conf:2:256: Maximum option line length (255) exceeded"),
        (b"up c:\\x".to_vec(), "home.conf:1:6: Bad backslash"),
        (b"\x1b[2Jfoo".to_vec(), "home.conf:1:1: there is no option"),
    ] {
        let error = error_of(&text);
        assert!(error.starts_with(&format!("Options error: {place}")), "{error}");
    }
    assert!(!error_of("dev tun\n<secret>\nsecret\0\n</secret>").contains("| secret"));
}

#[test]
fn missing_files_are_named_with_their_option() {
    let directory = Directory::new();
    let error = directory.error(&["nowhere.conf"]);
    assert!(
        error.starts_with("Options error: command line: Error opening configuration file: nowhere.conf: No such file"),
        "{error}"
    );
    directory.write("home.conf", LINK);
    let error = directory.error(&["home.conf"]);
    assert!(
        error.starts_with(
            "Options error: home.conf:2:8: option 'secret': cannot read the key file 'static.key': No such file"
        ),
        "{error}"
    );
    assert!(error.ends_with("    2 | secret static.key 1\n      |        ^^^^^^^^^^"), "{error}");
    assert!(directory.error(&["--cd", "nowhere"]).contains("cd to 'nowhere' failed: No such file"));
    assert!(directory.error(&["--cd", "home.conf"]).contains("it is no directory"));
    assert!(directory.error(&["--config", "."]).contains("Is a directory"));
}

#[test]
fn a_key_file_that_others_can_read_is_told() {
    let directory = Directory::new();
    directory.write("home.conf", LINK).write("static.key", "");
    fs::set_permissions(directory.0.join("static.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let sources = directory.load(&["home.conf"]).unwrap();
    assert_eq!(sources.parse().unwrap().warnings, ["WARNING: file 'static.key' is group or others accessible"]);
    directory.write("static.key", b"\xff");
    assert!(directory.error(&["home.conf"]).contains("it is no text file"));
}

#[test]
fn the_last_key_counts() {
    let directory = Directory::new();
    directory.write("home.conf", "dev tun\nsecret missing\n<secret>\ninline\n</secret>\nsecret [inline] 1");
    let sources = directory.load(&["home.conf"]).unwrap();
    assert_eq!(sources.parse().unwrap().link.secret, Some(KeySource::Inline("inline\n")));
}

const TLS_LINK: &str = "dev tun\ntls-client\nca ca.crt\ncert home.crt\nkey home.key\nremote-cert-tls server\n";

#[test]
fn the_key_of_the_control_channel_is_read_and_certificates_are_not() {
    let directory = Directory::new();
    directory.write("wrapping.key", "key text");
    for (option, wrapping) in [
        ("tls-auth wrapping.key 1", ControlKey::Auth as fn(_) -> _),
        ("tls-crypt wrapping.key", ControlKey::Crypt),
        ("tls-crypt-v2 wrapping.key", ControlKey::CryptV2),
    ] {
        directory.write("home.conf", format!("{TLS_LINK}{option}"));
        let sources = directory.load(&["home.conf"]).unwrap();
        let Loaded { link, host, warnings, notes, .. } = sources.parse().unwrap();
        assert_eq!(link.tls.wrapping, wrapping(KeySource::Inline("key text")));
        assert_eq!((host.wrapping_file, host.secret_file), (Some("wrapping.key".into()), None));
        assert_eq!(link.tls.ca, Some(KeySource::File(Word::literal("ca.crt"))));
        assert!(warnings.is_empty() && notes.is_empty(), "{warnings:?} {notes:?}");
    }
    directory.write("home.conf", format!("{TLS_LINK}tls-auth missing.key 1"));
    assert!(directory.error(&["home.conf"]).starts_with(
        "Options error: home.conf:7:10: option 'tls-auth': cannot read the key file 'missing.key': No such file"
    ));
    directory.write(
        "home.conf",
        format!("{TLS_LINK}tls-auth missing\n<tls-auth>\ninline\n</tls-auth>\ntls-auth [inline] 1"),
    );
    let sources = directory.load(&["home.conf"]).unwrap();
    assert_eq!(sources.parse().unwrap().link.tls.wrapping, ControlKey::Auth(KeySource::Inline("inline\n")));
}

#[test]
fn the_hosts_part_of_a_tls_link() {
    let directory = Directory::new();
    let unverified = TLS_LINK.replace("remote-cert-tls server\n", "");
    directory.write("home.conf", format!("{unverified}askpass\nauth-nocache\ndh dh.pem"));
    let sources = directory.load(&["home.conf"]).unwrap();
    let Loaded { host, warnings, notes, .. } = sources.parse().unwrap();
    assert_eq!((host.askpass, notes.len()), (Some(None), 3), "auth-nocache, dh, and a control channel without a key");
    assert!(notes.iter().any(|note| note.starts_with("NOTE: without 'tls-crypt'")));
    assert!(warnings[0].starts_with("WARNING: No server certificate verification method has been enabled."));
    let sources = directory.load(&["--config", "home.conf", "--askpass", "p", "--tls-verify", "/v 1"]).unwrap();
    let Loaded { host, warnings, .. } = sources.parse().unwrap();
    assert_eq!((host.askpass, warnings.len()), (Some(Some("p".into())), 0));
    assert_eq!(host.scripts, [(Hook::TlsVerify, "/v 1".to_owned())]);
    let with_static_key = ["--dev", "tun", "--secret", "home.conf", "--tls-verify", "/v"];
    assert!(directory.error(&with_static_key).contains("option 'tls-verify': only a TLS link has it"));
}

#[test]
fn errors_of_tls_options_show_their_line() {
    let with = |options: &str| error_of(format!("{TLS_LINK}{options}"));
    assert!(with("data-ciphers AES-256-GCM:FOO").starts_with("Options error: home.conf:7:14: 'FOO' is no value"));
    assert!(with("no-replay").starts_with("Options error: home.conf:7:1: option 'no-replay'"));
    assert!(error_of(format!("{LINK}tls-timeout 5")).starts_with("Options error: home.conf:4:1: option 'tls-timeout'"));
    let gcm = error_of("dev tun\nsecret static.key\ncipher AES-256-GCM");
    assert!(gcm.starts_with("Options error: home.conf:3:8: 'AES-256-GCM' is no value for 'cipher'"), "{gcm}");
}

#[test]
fn malformed_command_lines_are_errors() {
    let directory = Directory::new();
    for (args, error) in [
        (["a", "b"].as_slice(), "command line: 'a' is no option: options start with '--'"),
        (&["--verb", "3", "--"], "command line: '--' is no option"),
        (&["--verb=3"], "command line: there is no option 'verb=3'; did you mean 'verb'?"),
        (&["--config", "a", "b"], "command line: 'config' with 2 arguments"),
        (&["--secret"], "command line: 'secret' with 0 arguments; write 'secret file [0|1]'"),
        (&[["--echo"].as_slice(), &["x"; 16]].concat(), "command line: too many arguments for '--echo'"),
    ] {
        let told = directory.error(args);
        assert!(told.starts_with(&format!("Options error: {error}")), "{told}");
    }
    let not_utf8 = [OsString::from_vec(vec![0xff])];
    assert!(Sources::load(not_utf8, Path::new("/")).unwrap_err().to_string().contains("is not UTF-8"));
}

#[test]
fn standard_input_is_a_config_file() {
    let directory = Directory::new();
    directory.write("static.key", "");
    let args = ["--config", "stdin", "--port", "5"].map(OsString::from);
    let sources = Sources::load_with(args, &directory.0, &mut LINK.as_bytes()).unwrap();
    let loaded = sources.parse().unwrap();
    assert_eq!((loaded.link.connection.local_port, loaded.host.config_file.as_deref()), (5, Some("stdin")));
    let args = ["--config", "stdin"].map(OsString::from);
    let error = Sources::load_with(args, &directory.0, &mut "foo bar".as_bytes()).unwrap().parse().unwrap_err();
    assert!(error.to_string().starts_with("Options error: stdin:1:1: there is no option 'foo'"));
}

#[test]
fn unknown_options_are_passed_over_where_the_configuration_says_so() {
    let directory = Directory::new();
    let text =
        format!("{LINK}ignore-unknown-option foo\nfoo 1 2\nsetenv opt bar\nsetenv FORWARD_COMPATIBLE 1\nbaz\nclient");
    directory.write("home.conf", text).write("static.key", "");
    let sources = directory.load(&["home.conf"]).unwrap();
    let warnings = sources.parse().unwrap().warnings;
    assert_eq!(warnings.len(), 4);
    assert_eq!(warnings[0], "WARNING: home.conf:5: ignored: there is no option 'foo'; --help lists all options");
}

#[test]
fn stand_alone_commands_need_no_link() {
    let directory = Directory::new();
    directory.write("static.key", "key");
    let key = || Some(PathBuf::from("new.key"));
    for (args, mode) in [
        (["--help"].as_slice(), Mode::Help),
        (&[], Mode::Help),
        (&["--nonsense", "--help"], Mode::Help),
        (&["--version", "--dev", "tun"], Mode::Version),
        (&["--show-ciphers"], Mode::ShowCiphers),
        (&["--show-digests"], Mode::ShowDigests),
        (&["--genkey", "secret", "new.key"], Mode::GenerateKey(KeyKind::Static, key())),
        (&["--genkey", "tls-auth", "new.key"], Mode::GenerateKey(KeyKind::Static, key())),
        (&["--genkey", "--secret", "new.key"], Mode::GenerateKey(KeyKind::Static, key())),
        (&["--secret", "new.key", "--genkey"], Mode::GenerateKey(KeyKind::Static, key())),
        (&["--genkey", "secret"], Mode::GenerateKey(KeyKind::Static, None)),
        (&["--genkey"], Mode::GenerateKey(KeyKind::Static, None)),
        (&["--test-crypto", "--secret", "static.key"], Mode::TestCrypto),
        (&["--genkey", "tls-crypt-v2-server", "new.key"], Mode::GenerateKey(KeyKind::TlsCryptV2Server, key())),
        (&["--show-tls"], Mode::ShowTls),
        (&["--show-groups", "--tls-auth", "missing"], Mode::ShowGroups),
        (&["--show-curves"], Mode::ShowGroups),
        (&["--mktun", "--dev", "tun5"], Mode::MakeTun),
        (&["--rmtun", "--dev", "home", "--dev-type", "tun"], Mode::RemoveTun),
    ] {
        assert_eq!(directory.load(args).unwrap().parse().unwrap().mode, mode, "{args:?}");
    }
    let client = ["--genkey", "tls-crypt-v2-client", "new.key", "TWVtbw==", "--tls-crypt-v2", "static.key"];
    let sources = directory.load(&client).unwrap();
    let Loaded { mode, link, .. } = sources.parse().unwrap();
    let metadata = Some("TWVtbw==".to_owned());
    assert_eq!(mode, Mode::GenerateKey(KeyKind::TlsCryptV2Client { metadata }, key()));
    assert_eq!(link.tls.wrapping, ControlKey::CryptV2(KeySource::Inline("key")));
    assert!(directory.error(&["--genkey", "tls-crypt-v2-client", "k"]).contains("add '--tls-crypt-v2 SERVERKEY'"));
    let missing = ["--genkey", "tls-crypt-v2-client", "k", "--tls-crypt-v2", "none.key"];
    assert!(directory.error(&missing).contains("option 'tls-crypt-v2': cannot read the key file 'none.key'"));
    assert!(directory.error(&["--genkey", "auth-token", "k"]).contains("not supported yet"));
    assert!(
        directory
            .error(&["--genkey", "rsa", "k"])
            .contains("takes secret, tls-auth, tls-crypt, tls-crypt-v2-server or")
    );
    assert!(directory.error(&["--genkey", "secret", "k", "x"]).contains("write 'genkey type file'"));
    assert!(directory.error(&["--mktun"]).contains("add 'dev tun'"));
    assert!(directory.error(&["--test-crypto"]).contains("no key is configured"));
    assert!(directory.error(&["--test-crypto", "--secret", "none.key"]).contains("cannot read the key file"));
}

#[test]
fn the_hosts_options_have_their_values() {
    let directory = Directory::new();
    let text = "daemon gate\nwritepid /run/x.pid\nlog-append /tmp/x.log\nverb 99\nmute 5\nstatus s.txt 7\n\
                status-version 3\nchroot /jail\ngroup nogroup\nnice -5\nmlock\ntmp-dir /tmp\nsndbuf 1000\nrcvbuf 2000\n\
                mark 0x10\nbind-dev eth0\npasstos\nmtu-disc yes\ntxqueuelen 100\ndev-node /dev/tun\nup /a\ndown '/b c'\n\
                route-up /c\nroute-pre-down /d\nipchange /e\ndown-pre\nscript-security 2\nsetenv NAME 'a b'\n\
                setenv-safe X y\nmachine-readable-output\nreplay-persist r.state\n\
                disable-udp-gso\nspin 50\nthreads 2\n";
    directory.write("home.conf", format!("{LINK}{text}")).write("static.key", "");
    let sources = directory.load(&["home.conf"]).unwrap();
    let host = sources.parse().unwrap().host;
    assert!(host.daemon && host.mlock && host.passtos && host.down_pre && host.log.machine_readable);
    assert_eq!(host.log.destination, Destination::File { path: "/tmp/x.log".into(), append: true });
    assert_eq!((host.log.verb, host.log.mute, host.nice), (15, 5, Some(-5)));
    assert_eq!(host.status, Some(Status { path: "s.txt".into(), interval: Duration::from_secs(7) }));
    assert_eq!((host.writepid, host.chroot), (Some("/run/x.pid".into()), Some("/jail".into())));
    assert_eq!((host.sndbuf, host.rcvbuf, host.mark, host.txqueuelen), (Some(1000), Some(2000), Some(16), Some(100)));
    assert_eq!(
        (host.bind_dev.as_deref(), host.mtu_disc, host.dev_node),
        (Some("eth0"), Some(MtuDiscovery::Yes), "/dev/tun".into())
    );
    assert_eq!((host.tun_offload, host.udp_gso, host.udp_gro), (true, false, true));
    assert_eq!((host.spin, host.threads), (Duration::from_micros(50), 2));
    let scripts = [
        (Hook::Up, "/a"),
        (Hook::Down, "/b c"),
        (Hook::RouteUp, "/c"),
        (Hook::RoutePreDown, "/d"),
        (Hook::IpChange, "/e"),
    ];
    assert_eq!(host.scripts, scripts.map(|(hook, line)| (hook, line.to_owned())));
    assert_eq!(
        (host.script_security, host.environment.get("NAME"), host.environment.get("OPENVPN_X")),
        (2, Some("a b"), Some("y"))
    );
    assert_eq!((host.replay_persist, host.secret_file), (Some("r.state".into()), Some("static.key".into())));
}

#[test]
fn a_daemon_logs_to_syslog_unless_there_is_a_file() {
    let directory = Directory::new();
    directory.write("home.conf", LINK).write("static.key", "");
    for (args, destination) in [
        (["--verb", "3"].as_slice(), Destination::Stdout),
        (&["--daemon"], Destination::Syslog { name: "openvpn".into() }),
        (&["--daemon", "gate"], Destination::Syslog { name: "gate".into() }),
        (&["--syslog", "gate", "--daemon"], Destination::Syslog { name: "gate".into() }),
        (&["--log", "x", "--daemon"], Destination::File { path: "x".into(), append: false }),
    ] {
        let args = [&["--config", "home.conf"], args].concat();
        assert_eq!(directory.load(&args).unwrap().parse().unwrap().host.log.destination, destination, "{args:?}");
    }
}

#[test]
fn every_option_that_works_is_taken_once() {
    for option in options().filter(|option| option.state == State::Works && option.name != "ignore-unknown-option") {
        let args =
            std::iter::repeat_n(Word::literal("1"), usize::from(option.min_args.max(u8::from(option.max_args > 0))));
        let directive = Directive { line: 1, name: Word::literal(option.name), args: args.collect(), inline: None };
        let takers = [
            LinkConfig::default().apply(&directive) != Ok(Applied::NotMine),
            HostConfig::default().apply(&directive) != Ok(Applied::NotMine),
        ];
        assert_eq!(takers.iter().filter(|taken| **taken).count(), 1, "{}: {takers:?}", option.name);
    }
    for option in options().filter(|option| option.state != State::Works) {
        let directive = Directive { line: 1, name: Word::literal(option.name), args: Default::default(), inline: None };
        assert_eq!(LinkConfig::default().apply(&directive), Ok(Applied::NotMine), "{}", option.name);
        assert_eq!(HostConfig::default().apply(&directive), Ok(Applied::NotMine), "{}", option.name);
    }
}

#[test]
fn help_lists_every_option_by_topic() {
    let mut help = Vec::new();
    print_help(&mut help).unwrap();
    let help = String::from_utf8(help).unwrap();
    let markdown = options_markdown();
    for option in options().filter(|option| !matches!(option.state, State::Removed(_))) {
        assert!(help.contains(option.name), "{}", option.name);
        assert!(markdown.contains(&format!("`{}`", option.name)), "{}", option.name);
    }
    assert!(help.contains("\nTimers and restarts:\n  --keepalive a b\n        ping every a seconds"));
    assert!(help.lines().all(|line| line.len() <= 140));
    assert!(markdown.contains("| `topology` | `net30\\|p2p\\|subnet` |"));
    assert!(!help.contains("Removed") && !markdown.contains("Removed"));
}

#[test]
fn the_lines_of_a_connection_block_are_shown_where_they_are() {
    let with = |lines: &str| error_of(format!("{LINK}<connection>\n{lines}\n</connection>"));
    for (lines, place, caret) in [
        ("remote a\n  ping 3", "home.conf:6:3: option 'ping' cannot stand", "    6 |   ping 3\n      |   ^^^^"),
        ("remote a b", "home.conf:5:10: 'b' is no value for", "    5 | remote a b\n      |          ^"),
        ("float", "home.conf:6:1: each <connection> block", "    6 | </connection>\n      | ^^^^^^^^^^^^^"),
        ("remote \"a", "home.conf:5:8: No closing quotation", "    5 | remote \"a\n      |        ^"),
        ("remote a\nremote b", "home.conf:6:1: option 'remote': a <connection>", "    6 | remote b\n      | ^^^^^^"),
    ] {
        let error = with(lines);
        assert!(error.starts_with(&format!("Options error: {place}")) && error.ends_with(caret), "{error}");
    }
}

#[test]
fn an_option_that_comes_after_the_blocks_is_told() {
    let directory = Directory::new();
    let text = format!("{LINK}<connection>\nremote a\nfloat\n</connection>\nconnect-retry 3\nremote b\nping 1\n");
    directory.write("home.conf", text).write("static.key", "");
    let sources = directory.load(&["home.conf"]).unwrap();
    let Loaded { link, warnings, .. } = sources.parse().unwrap();
    assert_eq!((link.remotes.len(), link.connection_of(0).float), (1, true));
    let told = |line: u32, option: &str| {
        format!("WARNING: home.conf:{line}: option '{option}' is ignored by previous <connection> blocks")
    };
    assert_eq!(warnings[..2], [told(8, "connect-retry"), told(9, "remote")]);
    assert!(!warnings.iter().any(|warning| warning.contains("'ping'")), "{warnings:?}");
}
