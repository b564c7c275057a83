//! Certificates and keys in every form in which people have them, and rules that they satisfy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Lab, Link, PATIENCE, Program, baseline, pki, poll, tls_end};

fn works(lab: &Lab, programs: [Program; 2], left: Role, more: [&str; 2]) {
    println!("left is the TLS {left:?}: {more:?}");
    let link = Link::tls(lab, programs, left, more);
    link.check_pings();
    link.stop();
}

/// With the other end as it usually is.
fn each_works(programs: [Program; 2], left: Role, configs: &[&str]) {
    let lab = Lab::new();
    let there = if left == Role::Server { "client" } else { "server" };
    let here = if left == Role::Server { "server" } else { "client" };
    for config in configs {
        let config = config.replace("THERE", there).replace("HERE", here);
        works(&lab, programs, left, [&config, ""]);
    }
}

for_each_pair! {
    fn a_chain_with_an_intermediate_authority(programs) {
        let lab = Lab::new();
        for (left, here) in [(Role::Server, "server"), (Role::Client, "client")] {
            works(&lab, programs, left, [&format!("cert {here}-chain.crt"), ""]);
            works(&lab, programs, left, [&format!("cert {here}-intermediate.crt\nextra-certs intermediate.crt"), ""]);
            // The verifying end may have it as well.
            pki::write(&lab);
            lab.write("both.crt", &[pki::text("intermediate.crt"), pki::text("ca.crt")].concat());
            works(&lab, programs, left, [&format!("cert {here}-intermediate.crt"), "ca both.crt"]);
        }
    }
}

for_each_pair! {
    fn pkcs12(programs) {
        for (left, here) in [(Role::Server, "server"), (Role::Client, "client")] {
            let lab = Lab::new();
            pki::write(&lab);
            // No ca, cert or key beside it.
            let config = tls_end(&lab.left, &lab.right, left, "");
            let bare: String = config
                .lines()
                .filter(|line| !["ca ", "cert ", "key "].iter().any(|name| line.starts_with(name)))
                .map(|line| format!("{line}\n"))
                .collect();
            let base64 = Command::new("base64").arg(lab.directory().join(format!("{here}.p12"))).output().unwrap();
            let inline = format!("<pkcs12>\n{}</pkcs12>", String::from_utf8(base64.stdout).unwrap());
            for more in [
                format!("pkcs12 {here}.p12"),
                format!("pkcs12 {here}-secret.p12\naskpass password"),
                inline,
            ] {
                println!("left is the TLS {left:?}: {more}");
                let right = tls_end(&lab.right, &lab.left, left.other(), "");
                let link = Link::with_configs(&lab, programs, [&format!("{bare}{more}\n"), &right]);
                link.wait_for_traffic();
                link.stop();
            }
        }
    }
}

for_each_pair! {
    fn an_encrypted_key(programs) {
        for left in [Role::Server, Role::Client] {
            each_works(programs, left, &[
                "key HERE-encrypted.key\naskpass password", "key HERE-legacy.key\naskpass password",
            ]);
        }
    }
}

#[test]
fn a_wrong_password() {
    let lab = Lab::new();
    lab.write("wrong", "short cables are bad\n");
    let programs = [Program::tested(), Program::Openvpn];
    let mut link = Link::start_tls(&lab, programs, Role::Server, ["key server-encrypted.key\naskpass wrong", ""]);
    assert_eq!(link.left.wait().code(), Some(1));
    link.left.wait_for("server-encrypted.key");
}

#[test]
fn the_password_is_asked_for_on_the_terminal() {
    let lab = Lab::new();
    pki::write(&lab);
    let program = Program::tested().path();
    lab.write("encrypted.conf", &tls_end(&lab.left, &lab.right, Role::Server, "key server-encrypted.key"));
    // The program itself is under the terminal (`exec`): some shells would answer Ctrl-C with an
    // exit code of their own.
    let terminal = format!(
        "mkfifo typed; exec script --quiet --return --flush --command 'exec {} --config encrypted.conf' /dev/null <typed",
        program.display()
    );
    let password = pki::text("password");
    // The last is Ctrl-C, which ends the program and not only the question.
    for (typed, says, code) in [(&*password, "Initial packet from", 0), ("\x03", "and none was given", 1)] {
        let mut end = Daemon::with_command(&lab, &lab.left, "terminal", Command::new("sh").args(["-c", &terminal]));
        let keyboard = || OpenOptions::new().write(true).open(lab.directory().join("typed")).ok();
        let mut keyboard = poll(PATIENCE, keyboard).expect("the terminal");
        let asked = || end.log().contains("Enter Private Key Password: ").then_some(());
        poll(PATIENCE, asked).expect("the question");
        keyboard.write_all(typed.as_bytes()).unwrap();
        if code == 0 {
            keyboard.write_all(b"\n").unwrap();
            let other = tls_end(&lab.right, &lab.left, Role::Client, "");
            let other = Daemon::start(&lab, &lab.right, Program::Openvpn, &other);
            end.wait_for(says);
            assert!(!end.log().contains(password.trim()), "the terminal shows the password");
            drop(other);
            keyboard.write_all(b"\x03").unwrap();
        } else {
            end.wait_for(says);
        }
        assert_eq!(end.wait().code(), Some(code));
    }
}

for_each_pair! {
    fn everything_inline(programs) {
        let lab = Lab::new();
        let inline = |name: &str, file: &str| format!("<{name}>\n{}</{name}>\n", pki::text(file));
        let more = ["server", "client"].map(|role| {
            [
                inline("ca", "ca.crt"),
                inline("cert", &format!("{role}-intermediate.crt")),
                inline("key", &format!("{role}.key")),
                inline("extra-certs", "intermediate.crt"),
                inline("crl-verify", "crl.pem"),
                inline("tls-crypt", "ta.key"),
            ]
            .concat()
        });
        let dh = inline("dh", "dh.pem");
        works(&lab, programs, Role::Server, [&format!("{}{dh}", more[0]), &more[1]]);
        works(&lab, programs, Role::Client, [&more[1], &format!("{}{dh}", more[0])]);
    }
}

for_each_pair! {
    fn rules_that_are_satisfied(programs) {
        let hash = ["sha1", "sha256"].map(|digest| pki::fingerprint("ca.crt", digest));
        let hashes = [format!("verify-hash {}", hash[0]), format!("verify-hash {} SHA256", hash[1])];
        for left in [Role::Server, Role::Client] {
            let rules = [
                "verify-x509-name THERE name",
                "verify-x509-name CN=THERE",
                "verify-x509-name THE name-prefix\nverify-x509-name THERE name-prefix",
                "remote-cert-ku 80",
                "remote-cert-ku 04 80 a0",
                "crl-verify crl.pem",
                "crl-verify crl-empty.pem",
                hashes[0].as_str(),
                hashes[1].as_str(),
            ];
            each_works(programs, left, &rules);
        }
    }
}

for_each_pair! {
    fn extended_key_usages_by_name(programs) {
        let lab = Lab::new();
        works(&lab, programs, Role::Server, [
            "remote-cert-eku \"TLS Web Client Authentication\"", "remote-cert-eku \"TLS Web Server Authentication\"",
        ]);
        works(&lab, programs, Role::Client, ["remote-cert-eku 1.3.6.1.5.5.7.3.1", "remote-cert-eku 1.3.6.1.5.5.7.3.2"]);
    }
}

for_each_pair! {
    /// Both sign their own certificate, and neither has an authority.
    fn fingerprints_instead_of_an_authority(programs) {
        let lab = Lab::new();
        pki::write(&lab);
        let [server, client] = ["self-server.crt", "self-client.crt"].map(|name| pki::fingerprint(name, "sha256"));
        let end = |tls: &str, role: &str, here: usize, fingerprint: &str| {
            let there = 3 - here;
            format!(
                "dev tun0\nremote 192.0.2.{there}\nifconfig 10.9.0.{here} 10.9.0.{there}\n{tls}\ncert self-{role}.crt\n\
                 key {role}.key\nverb 4\n{fingerprint}\ntls-crypt ta.key\n"
            )
        };
        let other = pki::fingerprint("client-rsa.crt", "sha256");
        let several = format!("<peer-fingerprint>\n{other}\n{client}\n</peer-fingerprint>");
        let one = format!("peer-fingerprint {server}");
        let configs = [end("tls-server\ndh none", "server", 1, &several), end("tls-client", "client", 2, &one)];
        let link = Link::with_configs(&lab, programs, [&configs[0], &configs[1]]);
        link.wait_for_traffic();
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    /// The subject as openvpn writes it, so that `verify-x509-name` and scripts work on.
    fn subjects(programs) {
        let lab = Lab::new();
        let rich = "C=XX, ST=State, L=Town, O=Org, OU=Unit, CN=client, emailAddress=me@example.net";
        for (kind, subject, name) in [("rich", rich, "client"), ("odd", "", "odd + \"name\"")] {
            let rule = if subject.is_empty() { String::new() } else { format!("verify-x509-name \"{subject}\"") };
            let link = Link::tls(&lab, programs, Role::Server, [&rule, &format!("cert client-{kind}.crt")]);
            if programs[0] == Program::Openvpn {
                // This is what openvpn says: for the other program there is a rule about it.
                let said = link.left.wait_for("VERIFY OK: depth=0, ");
                println!("{said}");
                assert!(said.contains(subject), "{said}");
            } else {
                link.left.wait_for_all(&["Control Channel: ", name]);
            }
            link.stop();
        }
    }
}

/// What a `tls-verify` script is given: arguments, and from the environment what is about certificates.
fn verify_calls(program: Program, more: &str, certificate: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let lab = Lab::new();
    pki::write(&lab);
    lab.write_script("verify.sh", "#!/bin/sh\n{ echo \"call $*\"; env; echo done; } >> calls\n");
    let directory = lab.directory().display().to_string();
    let left = format!("cd {directory}\nscript-security 2\ntls-verify \"./verify.sh word 'two words'\"\n{more}");
    let link = Link::tls(&lab, [program, Program::Openvpn], Role::Server, [&left, certificate]);
    let calls = poll(PATIENCE, || {
        let text = lab.read("calls")?;
        (text.lines().filter(|line| *line == "done").count() >= 2).then_some(text)
    });
    link.stop();
    let mut found = Vec::new();
    for call in calls.expect("two calls").split("done\n").filter(|call| !call.is_empty()) {
        let (arguments, rest) = call.split_once('\n').expect("a line");
        let environment = rest.lines().filter_map(|line| line.split_once('='));
        let ours = environment.filter(|(name, _)| {
            ["tls_", "X509_", "script_type", "untrusted_", "common_name"].iter().any(|start| name.starts_with(start))
        });
        let owned = ours.map(|(name, value)| (name.to_owned(), value.to_owned()));
        // Serial numbers and digests are of certificates that are the same for both programs.
        found.push((arguments.to_owned(), owned.collect()));
    }
    found
}

#[test]
fn the_script_of_tls_verify_is_called_as_by_openvpn() {
    for (more, certificate) in [
        ("", ""),
        ("", "cert client-rich.crt"),
        ("", "cert client-odd.crt"),
        ("", "cert client-chain.crt"),
        ("x509-username-field ou CN serialNumber emailAddress", "cert client-rich.crt"),
    ] {
        let [ours, openvpns] =
            [Program::tested(), Program::Openvpn].map(|program| verify_calls(program, more, certificate));
        let arguments =
            |calls: &[(String, BTreeMap<_, _>)]| calls.iter().map(|call| call.0.clone()).collect::<Vec<_>>();
        assert_eq!(arguments(&ours), arguments(&openvpns), "{certificate}");
        for (ours, openvpns) in ours.iter().zip(&openvpns) {
            let names = |call: &(String, BTreeMap<String, String>)| call.1.keys().cloned().collect::<BTreeSet<_>>();
            let missing: Vec<_> = names(openvpns).difference(&names(ours)).cloned().collect();
            assert!(missing.is_empty(), "{certificate}, {}: {missing:?} are missing", ours.0);
            for (name, value) in &openvpns.1 {
                assert_eq!(ours.1[name], *value, "{name}, {certificate}, {}", ours.0);
            }
        }
    }
}

for_each_pair! {
    fn another_field_is_the_name(programs) {
        let lab = Lab::new();
        let more = ["x509-username-field O\nverify-x509-name client name", "cert client-nameless.crt"];
        works(&lab, programs, Role::Server, more);
        let more = [
            "x509-username-field CN emailAddress\nverify-x509-name client_me@example.net name", "cert client-rich.crt",
        ];
        works(&lab, programs, Role::Server, more);
        let more = ["x509-username-field emailAddress\nverify-x509-name me@example.net name", "cert client-rich.crt"];
        works(&lab, programs, Role::Server, more);
    }
}

for_each_pair! {
    fn what_tls_may_use(programs) {
        each_works(programs, Role::Server, &WISHES);
        each_works(programs, Role::Server, &["dh dh.pem"]);
        each_works(programs, Role::Client, &WISHES);
    }
}

const WISHES: [&str; 8] = [
    "tls-version-min 1.2\ntls-version-max 1.2\ntls-cipher TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384",
    "tls-version-max 1.2\ntls-cipher TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256",
    "tls-version-min 1.3\ntls-ciphersuites TLS_CHACHA20_POLY1305_SHA256",
    "tls-ciphersuites TLS_AES_128_GCM_SHA256",
    "tls-groups secp384r1",
    "tls-groups X25519",
    "ecdh-curve prime256v1",
    "tls-cert-profile preferred",
];

for_each_pair! {
    /// The client asks for what the server has not; the client of an openvpn is not told.
    fn nothing_in_common(programs) {
        let lab = Lab::new();
        let link = Link::start_tls(&lab, programs, Role::Server, ["tls-version-max 1.2", "tls-version-min 1.3"]);
        link.left.wait_for("TLS Error: TLS handshake failed");
        if programs[0] != Program::Openvpn {
            link.right.wait_for(programs[1].words("Received fatal SSL alert", "the peer refused the TLS handshake"));
        }
        for end in [&link.left, &link.right] {
            assert_eq!(end.count("Initialization Sequence Completed"), 0);
        }
        link.stop();
    }
}

#[test]
fn keys_and_certificates_that_do_not_fit() {
    let lab = Lab::new();
    pki::write(&lab);
    lab.write("empty.crt", "");
    for (more, says) in [
        ("key client.key", "client.key"),
        ("cert nofile.crt", "'nofile.crt': No such file or directory (errno=2) (looked for in "),
        ("key nofile.key", "nofile.key"),
        ("ca empty.crt", "empty.crt"),
        ("cert ta.key", "ta.key"),
        ("cert server.key", "are the files of 'cert' and 'key' swapped?"),
        ("key server.crt", "are the files of 'cert' and 'key' swapped?"),
        ("crl-verify nolist.pem", "nolist.pem"),
        ("tls-crypt nofile.key", "; start with --cd DIRECTORY)"),
        ("tls-crypt ca.crt", "it is a certificate or its key, and 'longcable --genkey tls-crypt FILE' makes"),
        ("tls-crypt v2-client.key", "it is a key for 'tls-crypt-v2'"),
        ("tls-crypt-v2 ta.key", "it is a key for 'tls-crypt' or 'tls-auth'"),
        ("tls-crypt-v2 v2-client.key", "tls-crypt-v2"),
    ] {
        println!("{more}");
        let config = tls_end(&lab.left, &lab.right, Role::Server, more);
        let mut left = Daemon::start(&lab, &lab.left, Program::tested(), &config);
        assert_eq!(left.wait().code(), Some(1), "{more}");
        // openvpn does not always name the file.
        if !baseline() {
            left.wait_for_all(&["Options error: ", ".conf:11:", says]);
        }
    }
}

#[test]
fn an_own_certificate_of_another_day_is_warned_about() {
    let lab = Lab::new();
    pki::write(&lab);
    for (certificate, warning) in [
        ("server-expired.crt", "WARNING: Your certificate has expired!"),
        ("server-future.crt", "WARNING: Your certificate is not yet valid!"),
    ] {
        let config = tls_end(&lab.left, &lab.right, Role::Server, &format!("cert {certificate}"));
        let mut left = Daemon::start(&lab, &lab.left, Program::tested(), &config);
        left.wait_for(warning);
        assert!(left.stop().success());
    }
}
