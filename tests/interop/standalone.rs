//! What the program does without a link.

use std::fs;

use longcable_tests::support::{Daemon, Lab, Link, Program, baseline};

/// Runs to its end, successfully, and gives what it printed.
fn run(lab: &Lab, program: Program, arguments: &[&str]) -> String {
    let mut run = Daemon::with_arguments(lab, &lab.left, program, arguments);
    assert_eq!(run.wait().code(), Some(0), "{arguments:?}");
    run.log()
}

#[test]
fn keys_are_understood_by_the_other_program() {
    let lab = Lab::new();
    for (program, arguments) in [
        (Program::tested(), &["--genkey", "secret", "static.key"] as &[_]),
        (Program::tested(), &["--genkey", "--secret", "static.key"]),
        (Program::Openvpn, &["--genkey", "secret", "static.key"]),
    ] {
        fs::remove_file(lab.directory().join("static.key")).unwrap();
        run(&lab, program, arguments);
        let key = lab.read("static.key").unwrap();
        assert_eq!(key.lines().count(), 21, "{key}");
        assert!(
            key.starts_with("#\n# 2048 bit OpenVPN static key\n#\n-----BEGIN OpenVPN Static key V1-----\n"),
            "{key}"
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(lab.directory().join("static.key")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        let link = Link::up(&lab, [Program::tested(), Program::Openvpn], ["", ""]);
        link.check_pings();
        link.stop();
    }
}

#[test]
fn a_private_key_is_not_overwritten() {
    let lab = Lab::new();
    lab.write("home.key", "-----BEGIN PRIVATE KEY-----\n");
    let mut refused = Daemon::with_arguments(&lab, &lab.left, Program::tested(), &["--genkey", "secret", "home.key"]);
    let code = refused.wait().code();
    if baseline() {
        return;
    }
    assert_eq!(code, Some(1));
    refused.wait_for_all(&["'home.key'", "is no OpenVPN key"]);
    assert_eq!(lab.read("home.key").unwrap(), "-----BEGIN PRIVATE KEY-----\n");
}

#[test]
fn two_keys_are_never_the_same() {
    let lab = Lab::new();
    let [first, second] = ["first", "second"].map(|name| {
        run(&lab, Program::tested(), &["--genkey", "secret", name]);
        lab.read(name).unwrap()
    });
    assert_ne!(first, second);
}

#[test]
fn test_crypto() {
    let lab = Lab::new();
    let arguments = ["--test-crypto", "--secret", "static.key", "--cipher", "AES-256-CBC", "--verb", "3"];
    let log = run(&lab, Program::tested(), &arguments);
    assert!(log.contains("crypto self-test mode SUCCEEDED"), "{log}");
}

#[test]
fn lists() {
    let lab = Lab::new();
    let ciphers = run(&lab, Program::tested(), &["--show-ciphers"]);
    for name in ["AES-128-CBC", "AES-256-CBC", "CAMELLIA-256-CBC", "DES-EDE3-CBC"] {
        assert!(ciphers.contains(name), "{name} in {ciphers}");
    }
    let digests = run(&lab, Program::tested(), &["--show-digests"]);
    for name in ["MD5", "SHA1", "SHA256", "SHA512", "RIPEMD160"] {
        assert!(digests.contains(name), "{name} in {digests}");
    }
}

/// openvpn offers more suites, and lists OpenSSL's own curves only.
#[test]
fn lists_of_tls() {
    let lab = Lab::new();
    let [ours, openvpns] = [Program::tested(), Program::Openvpn].map(|program| run(&lab, program, &["--show-tls"]));
    assert!(ours.lines().filter(|line| line.starts_with("TLS")).count() >= 9, "{ours}");
    for line in ours.lines() {
        assert!(openvpns.lines().any(|openvpns| openvpns == line), "{line} in {openvpns}");
    }
    for option in ["--show-groups", "--show-curves"] {
        let groups = run(&lab, Program::tested(), &[option]);
        for name in ["prime256v1", "secp384r1"] {
            assert!(groups.lines().any(|line| line.split(", ").next() == Some(name)), "{name} in {groups}");
        }
    }
}

#[test]
fn version_and_help() {
    let lab = Lab::new();
    assert!(!run(&lab, Program::tested(), &["--version"]).is_empty());
    let mut help = Daemon::with_arguments(&lab, &lab.left, Program::tested(), &["--help"]);
    help.wait();
    for option in ["--config", "--remote", "--ifconfig", "--secret", "--ping-restart"] {
        assert!(help.log().contains(option), "{option} in the help");
    }
}

/// With `verb 7` the keys are shown as in the FAQ's listing.
#[test]
fn keys_at_verb_7() {
    let lab = Lab::new();
    let more =
        ["", "0", "1"].map(|direction| format!("verb 7\nsecret static.key {direction}\nproviders legacy default"));
    for more in &more {
        let shown = [Program::tested(), Program::Openvpn].map(|program| {
            let config = longcable_tests::support::end(&lab.left, &lab.right, more);
            let mut daemon = Daemon::start(&lab, &lab.left, program, &config);
            daemon.wait_for("link remote");
            daemon.stop();
            let log = daemon.log();
            // What is before them has changed since the FAQ was written.
            let keys = ["CIPHER KEY: ", "HMAC KEY: "].map(|name| {
                let text = |line: &str| Some(line.split_once(name)?.1.to_owned());
                log.lines().filter_map(text).collect::<Vec<_>>()
            });
            keys.concat()
        });
        assert_eq!(shown[1].len(), 4, "a cipher key and an HMAC key for each way");
        assert_eq!(shown[0], shown[1]);
    }
}
