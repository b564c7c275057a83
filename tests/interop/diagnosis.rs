//! What goes wrong in practice, and the line that names the cause.
//!
//! The texts are in one table for each kind of trouble. A line has to contain all pieces of a text.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Filling, Lab, Link, Program, baseline, end, pki, tls_end};

/// Pieces of one line.
type Line = &'static [&'static str];

/// A config that is refused at once.
struct Refusal {
    /// After `dev tun0`, `remote 192.0.2.2`, `secret static.key` and `cipher AES-256-CBC`, from line 5 on.
    more: &'static str,
    openvpn: Line,
    longcable: &'static [Line],
}

const fn refusal(more: &'static str, openvpn: Line, longcable: &'static [Line]) -> Refusal {
    Refusal { more, openvpn, longcable }
}

const UNRECOGNIZED: Line = &["Options error: Unrecognized option or missing or extra parameter(s) in bad.conf:5: "];

const REFUSALS: [Refusal; 28] = [
    // Syntax.
    refusal(
        "remot 192.0.2.3",
        UNRECOGNIZED,
        &[&["Options error: bad.conf:5:1: ", "did you mean 'remote'"], &["5 | remot 192.0.2.3"], &["| ^^^^^"]],
    ),
    refusal(
        "ping 10\nkeepaliev 10 60",
        &["bad.conf:6: keepaliev"],
        &[&["Options error: bad.conf:6:1: ", "did you mean 'keepalive'"]],
    ),
    refusal("dev", UNRECOGNIZED, &[&["Options error: bad.conf:5:1: ", "dev"], &["^"]]),
    refusal("ifconfig 10.9.0.1", UNRECOGNIZED, &[&["Options error: bad.conf:5:1: ", "ifconfig"], &["^"]]),
    refusal("nobind now", UNRECOGNIZED, &[&["Options error: bad.conf:5:", "nobind"], &["^"]]),
    refusal(
        "<secret>\nabc",
        &["ERROR: Endtag </secret> missing"],
        &[&["Options error: bad.conf:5:1: ", "inline block", "closing tag"]],
    ),
    refusal(
        "setenv A \"b c",
        &["Options error: No closing quotation (\") in bad.conf:5"],
        &[&["Options error: bad.conf:5:10: "]],
    ),
    refusal(
        "setenv A b\\n",
        &["Bad backslash ('\\') usage in bad.conf:5"],
        &[&["Options error: bad.conf:5:", "ackslash"]],
    ),
    refusal(
        "config nofile.conf",
        &["Error opening configuration file: nofile.conf"],
        &[&["Options error: bad.conf:5:8: ", "nofile.conf", "No such file"]],
    ),
    // Values.
    refusal("cipher NOPE", &["Cipher NOPE not supported"], &[&["Options error: bad.conf:5:8: ", "NOPE"]]),
    refusal("cipher AES-256-GCM", &["Cipher 'AES-256-GCM' mode not supported"], &[&["bad.conf:5:8: ", "AES-256-GCM"]]),
    refusal("auth NOPE", &["Message hash algorithm 'NOPE' not found"], &[&["Options error: bad.conf:5:6: ", "NOPE"]]),
    refusal("secret static.key 2", &["Unknown key direction '2'"], &[&["Options error: bad.conf:5:19: ", "'2'"]]),
    refusal(
        "topology mesh",
        &["--topology must be net30, p2p, or subnet"],
        &[&["Options error: bad.conf:5:10: ", "net30, p2p"]],
    ),
    refusal("proto xyz", &["Bad protocol: 'xyz'"], &[&["Options error: bad.conf:5:7: ", "xyz"]]),
    refusal(
        "replay-window 99999999",
        &["must be between 0 and 65536"],
        &[&["Options error: bad.conf:5:15: ", "65536"]],
    ),
    refusal("ifconfig 10.9.0.300 10.9.0.2", &["'10.9.0.300'"], &[&["Options error: bad.conf:5:10: ", "10.9.0.300"]]),
    refusal("cd /nonexistent", &["cd to '/nonexistent' failed: No such file"], &[&["/nonexistent", "No such file"]]),
    refusal("user nosuchuser", &["failed to find UID for user nosuchuser"], &[&["nosuchuser"]]),
    // Together.
    refusal(
        "keepalive 10 15",
        &["second parameter to --keepalive", "at least twice"],
        &[&["Options error: bad.conf:5:", "keepalive", "twice"]],
    ),
    refusal(
        "keepalive 1 10\nping 3",
        &["--keepalive conflicts with --ping"],
        &[&["Options error: bad.conf:", "keepalive", "ping"]],
    ),
    refusal(
        "mode server",
        &["--mode server requires --tls-server"],
        &[&["Options error: bad.conf:5:6: ", "not supported yet"]],
    ),
    refusal(
        "tls-client",
        &["specify only one of --tls-server, --tls-client, or --secret"],
        &[&["Options error: bad.conf:3:1: ", "'secret'", "a static key or TLS"], &["3 | secret static.key"]],
    ),
    // Key files.
    refusal(
        "secret no.key",
        &["--secret fails with 'no.key': No such file"],
        &[&["Options error: bad.conf:5:8: ", "no.key", "No such file"]],
    ),
    refusal("secret short.key", &["'short.key'"], &[&["Options error: ", "'secret'", "128 of 256 bytes"]]),
    refusal(
        "secret nofooter.key",
        &["Footer text not found in file 'nofooter.key'"],
        &[&["Options error: ", "'secret'", "-----END OpenVPN Static key V1-----"]],
    ),
    refusal(
        "secret nohex.key",
        &["Non-Hex character ('z') found at line 6 in key file 'nohex.key'"],
        &[&["Options error: ", "'secret'", "non-hex character 'z' in line 6"]],
    ),
    refusal(
        "secret noheader.key",
        &["header text not found in file 'noheader.key'"],
        &[&["Options error: ", "'secret'", "-----BEGIN OpenVPN Static key V1-----"]],
    ),
];

fn assert_says(daemon: &Daemon, line: Line, about: &str) {
    let log = daemon.log();
    let found = log.lines().any(|candidate| line.iter().all(|piece| candidate.contains(piece)));
    assert!(found, "no line with {line:?} {about} in:\n{log}");
}

/// What each program has to say.
fn expected(openvpn: Line, longcable: &'static [Line]) -> Vec<Line> {
    if baseline() { vec![openvpn] } else { longcable.to_vec() }
}

#[test]
fn refused_configs() {
    let lab = Lab::new();
    let key = lab.read("static.key").unwrap();
    let lines: Vec<_> = key.lines().collect();
    lab.write("short.key", &[&lines[..12], &lines[20..]].concat().join("\n"));
    lab.write("nofooter.key", &lines[..20].join("\n"));
    lab.write("nohex.key", &key.replacen(lines[5], &format!("zz{}", &lines[5][2..]), 1));
    lab.write("noheader.key", "a pass phrase\n");
    for Refusal { more, openvpn, longcable } in REFUSALS {
        lab.write("bad.conf", &format!("dev tun0\nremote 192.0.2.2\nsecret static.key\ncipher AES-256-CBC\n{more}\n"));
        let mut run = Daemon::with_arguments(&lab, &lab.left, Program::tested(), &["--config", "bad.conf"]);
        assert_eq!(run.wait().code(), Some(1), "for '{more}'");
        for line in expected(openvpn, longcable) {
            assert_says(&run, line, &format!("for '{more}'"));
        }
    }
}

#[test]
fn refused_command_lines() {
    let lab = Lab::new();
    let device: &[Line] = &[&["Options error: ", "'dev tun'"]];
    let table: [(&[&str], Line, &'static [Line]); 4] = [
        (&["--remote", "192.0.2.2", "--secret", "static.key"], &["You must define TUN/TAP device (--dev)"], device),
        (&["--bogus"], &["Options error: Unrecognized option", "bogus"], &[&["Options error: ", "'bogus'"]]),
        (&["--config"], &["Options error: Unrecognized option", "config"], &[&["Options error: ", "config"]]),
        (&["nofile.conf"], &["Error opening configuration file: nofile.conf"], &[&["nofile.conf", "No such file"]]),
    ];
    for (arguments, openvpn, longcable) in table {
        let mut run = Daemon::with_arguments(&lab, &lab.left, Program::tested(), arguments);
        assert_eq!(run.wait().code(), Some(1), "{arguments:?}");
        for line in expected(openvpn, longcable) {
            assert_says(&run, line, &format!("for {arguments:?}"));
        }
    }
}

/// Both ends run and do not understand each other.
fn misunderstanding(left: &str, right: &str, at_left: Line, hint: Line) {
    let lab = Lab::new();
    let key = lab.read("static.key").unwrap();
    let reversed = |line: &str| if line.len() == 32 { line.chars().rev().collect() } else { line.to_owned() };
    lab.write("other.key", &key.lines().map(reversed).collect::<Vec<_>>().join("\n"));
    let (left, right) = (format!("verb 3\nping 1\n{left}"), format!("ping 1\n{right}"));
    for programs in [[Program::tested(), Program::Openvpn], [Program::tested(); 2]] {
        let link = Link::start(&lab, programs, [&left, &right]);
        link.left.wait_for_all(at_left);
        if !baseline() {
            link.left.wait_for_all(hint);
        }
        link.pinger().must_not_answer(10, Filling::Random);
        link.stop();
    }
}

const BAD_HMAC: Line = &["Authenticate/Decrypt packet error: packet HMAC authentication failed"];
const BAD_PADDING: Line = &["Authenticate/Decrypt packet error: cipher final failed"];
const KEY_HINT: Line = &["key", "'auth'", "direction"];
const CIPHER_HINT: Line = &["'cipher'"];

#[test]
fn wrong_key() {
    misunderstanding("", "secret other.key", BAD_HMAC, KEY_HINT);
}

#[test]
fn wrong_direction() {
    misunderstanding("secret static.key 0", "secret static.key 0", BAD_HMAC, KEY_HINT);
    misunderstanding("", "secret static.key 1", BAD_HMAC, KEY_HINT);
}

/// One end has been migrated, the other not yet.
#[test]
fn a_static_key_and_tls() {
    let lab = Lab::new();
    pki::write(&lab);
    let key = |here, there| end(here, there, "ping 1");
    let tls = |here, there, role| tls_end(here, there, role, "");
    for (left, right, hint) in [
        (
            key(&lab.left, &lab.right),
            tls(&lab.right, &lab.left, Role::Client),
            "Hint: is the peer a TLS link already? This end has a static key",
        ),
        (
            tls(&lab.left, &lab.right, Role::Server),
            key(&lab.right, &lab.left),
            "Or does it still use a static key ('secret')?",
        ),
    ] {
        let link = Link::with_configs(&lab, [Program::tested(), Program::Openvpn], [&left, &right]);
        if !baseline() {
            link.left.wait_for(hint);
        }
        link.pinger().must_not_answer(10, Filling::Random);
        link.stop();
    }
}

/// The peer is heard, but it does not want this end.
#[test]
fn a_handshake_that_does_not_complete() {
    let lab = Lab::new();
    let more = ["verb 1", "verify-x509-name nobody name"];
    let link = Link::start_tls(&lab, [Program::tested(), Program::Openvpn], Role::Server, more);
    if !baseline() {
        let line = "The TLS handshake with [AF_INET]192.0.2.2:1194 does not complete for 10 s: ";
        link.left.wait_for_within(line, Duration::from_secs(25));
        assert_eq!(link.left.count("nothing was received at all"), 0);
    }
    link.stop();
}

#[test]
fn digest_mismatch() {
    misunderstanding("auth SHA1", "auth SHA256", BAD_HMAC, KEY_HINT);
    misunderstanding("auth SHA256", "auth none", BAD_HMAC, KEY_HINT);
}

#[test]
fn cipher_mismatch() {
    misunderstanding("cipher AES-256-CBC", "cipher CAMELLIA-256-CBC", BAD_PADDING, CIPHER_HINT);
}

#[test]
fn compression_mismatch() {
    let line: Line = &["Bad compression stub decompression header byte: 4"];
    misunderstanding("comp-lzo no", "", line, &["'comp-lzo'", "'compress'"]);
}

/// The ends tell each other their options after 10 seconds. openvpn only says so at `verb 7`.
#[test]
fn mtu_mismatch() {
    let lab = Lab::new();
    let left = format!("tun-mtu 1400\nping 1\nverb {}", if baseline() { 7 } else { 1 });
    let link = Link::start(&lab, [Program::tested(), Program::Openvpn], [&left, "ping 1"]);
    let line = "WARNING: 'tun-mtu' is used inconsistently, local='tun-mtu 1400', remote='tun-mtu 1500'";
    link.left.wait_for_within(line, Duration::from_secs(25));
    link.stop();
}

#[test]
fn silent_peer() {
    let lab = Lab::new();
    let start = |more: &str| Daemon::start(&lab, &lab.left, Program::tested(), &end(&lab.left, &lab.right, more));
    let mut restarting = start("verb 1\nkeepalive 1 3");
    restarting.wait_for("Inactivity timeout (--ping-restart), restarting");
    restarting.stop();
    let waiting = start("verb 1");
    if !baseline() {
        let line = waiting.wait_for_within("No authentic packet from [AF_INET]192.0.2.2:1194", Duration::from_secs(60));
        assert!(line.contains("nothing was received at all"), "{line}");
    }
}

#[test]
fn name_that_does_not_resolve() {
    let lab = Lab::new();
    let config = |more: &str| {
        format!(
            "dev tun0\nremote gateway.invalid\nifconfig 10.9.0.1 10.9.0.2\nsecret static.key\ncipher AES-256-CBC\n{more}\n"
        )
    };
    let line = "RESOLVE: Cannot resolve host address: gateway.invalid:1194 (";
    let mut once = Daemon::start(&lab, &lab.left, Program::tested(), &config("resolv-retry 0"));
    assert_eq!(once.wait().code(), Some(1));
    once.wait_for(line);
    let mut forever = Daemon::start(&lab, &lab.left, Program::tested(), &config("verb 4"));
    if baseline() {
        forever.wait_for_count(line, 2);
    } else {
        // It is tried every second and said once.
        forever.wait_for_count("SIGUSR1[soft,resolve-failed] received", 3);
        assert_eq!(forever.count(line), 1);
    }
    assert!(forever.stop().success(), "signals are served all the time");
}

#[test]
fn port_in_use() {
    let lab = Lab::new();
    let first = Daemon::start(&lab, &lab.left, Program::tested(), &end(&lab.left, &lab.right, ""));
    first.wait_for("link remote");
    let mut second = Daemon::start(&lab, &lab.left, Program::tested(), &end(&lab.left, &lab.right, "dev tun1"));
    assert_eq!(second.wait().code(), Some(1));
    second.wait_for_all(&["Socket bind failed on local address [AF_INET]", ":1194: Address already in use"]);
}

#[test]
fn device_in_use() {
    let lab = Lab::new();
    let first = Daemon::start(&lab, &lab.left, Program::tested(), &end(&lab.left, &lab.right, ""));
    first.wait_for("link remote");
    let mut second = Daemon::start(&lab, &lab.left, Program::tested(), &end(&lab.left, &lab.right, "lport 3000"));
    assert_eq!(second.wait().code(), Some(1));
    second.wait_for("Cannot ioctl TUNSETIFF tun0: Device or resource busy (errno=16)");
}

#[test]
fn no_permission() {
    let lab = Lab::new();
    // Everything that the other user needs, where that user may go.
    let open =
        |name: &str, mode| fs::set_permissions(lab.directory().join(name), fs::Permissions::from_mode(mode)).unwrap();
    open("", 0o755);
    open("static.key", 0o644);
    fs::copy(Program::tested().path(), lab.directory().join("program")).unwrap();
    lab.write("left.conf", &end(&lab.left, &lab.right, ""));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
    let mut run =
        Daemon::with_command(&lab, &lab.left, "unprivileged", command.args(["./program", "--config", "left.conf"]));
    assert_eq!(run.wait().code(), Some(1));
    // Some systems let everybody open the device, and then nobody but root use it.
    let for_everybody = fs::metadata("/dev/net/tun").unwrap().permissions().mode() & 0o006 == 0o006;
    run.wait_for(if for_everybody {
        "Cannot ioctl TUNSETIFF tun0: Operation not permitted (errno=1)"
    } else {
        "Cannot open TUN/TAP dev /dev/net/tun: Permission denied (errno=13)"
    });
}
