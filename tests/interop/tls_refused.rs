//! Certificates that are refused: each for its own reason, which the log tells at the end that refuses.
//!
//! The peer is told by a TLS alert when it is longcable that refuses. openvpn 2.6 makes an alert too ("Sent fatal SSL
//! alert") but starts anew before it is sent, so nothing but its own log tells why.

use std::fs;

use longcable_core::tls::Role;
use longcable_tests::support::{Filling, Lab, Link, Program, baseline, pki, tls_end};

/// A peer that is not let in.
pub(super) struct Refusal {
    /// Lines of the end that refuses. THERE is the peer's role, HERE its own.
    pub(super) verifier: &'static str,
    /// Lines of the peer; THERE is its role.
    pub(super) presenter: &'static str,
    /// What is said about it; longcable puts it after `VERIFY ERROR: `.
    openvpn: &'static str,
    longcable: &'static str,
}

const fn refusal(
    verifier: &'static str,
    presenter: &'static str,
    openvpn: &'static str,
    longcable: &'static str,
) -> Refusal {
    Refusal { verifier, presenter, openvpn, longcable }
}

const NO_ISSUER: &str = "depth=0, error=unable to get local issuer certificate";
const OTHER_NAME: &str = "depth=0, error=the name is not the one of 'verify-x509-name'";
const OTHER_FINGERPRINT: &str = "error=the fingerprint is not in 'peer-fingerprint'";
const OTHER_AUTHORITY: &str = "error=the fingerprint of its authority is not in 'verify-hash'";
const NO_NAME: &str = "depth=0, error=it has no usable name";

/// What is wrong with a certificate whoever looks at it.
pub(super) const CERTIFICATES: [Refusal; 12] = [
    refusal(
        "",
        "cert THERE-expired.crt",
        "VERIFY ERROR: depth=0, error=certificate has expired",
        "depth=0, error=certificate has expired",
    ),
    refusal(
        "",
        "cert THERE-future.crt",
        "VERIFY ERROR: depth=0, error=certificate is not yet valid",
        "depth=0, error=certificate is not yet valid",
    ),
    refusal("", "cert THERE-other.crt", "VERIFY ERROR: depth=0, error=unable to get local issuer", NO_ISSUER),
    refusal("", "cert THERE-impostor.crt", "VERIFY ERROR: depth=0, error=", "depth=0, error="),
    refusal("", "cert THERE-intermediate.crt", "VERIFY ERROR: depth=0, error=unable to get local issuer", NO_ISSUER),
    refusal("", "cert self-THERE.crt", "VERIFY ERROR: depth=0, error=self-signed certificate", NO_ISSUER),
    refusal(
        "",
        "cert THERE-leaf.crt",
        "VERIFY ERROR: depth=1, error=invalid CA certificate",
        "error=invalid CA certificate",
    ),
    refusal(
        "",
        "cert THERE-wrong.crt",
        "VERIFY ERROR: depth=0, error=unsuitable certificate purpose",
        "depth=0, error=the certificate's extended key usage is not",
    ),
    refusal("", "cert THERE-usageless.crt", "VERIFY KU ERROR", "depth=0, error=the certificate's key usage is not"),
    refusal("", "cert THERE-long.crt", "VERIFY ERROR: could not extract CN from X509 subject", NO_NAME),
    refusal("", "cert THERE-nameless.crt", "VERIFY ERROR: could not extract CN from X509 subject", NO_NAME),
    refusal(
        "crl-verify crl.pem",
        "cert THERE-revoked.crt",
        "error=certificate revoked",
        "depth=0, error=certificate revoked",
    ),
];

/// What somebody demands that the usual certificate has not.
pub(super) const RULES: [Refusal; 13] = [
    refusal("crl-verify crl-expired.pem", "", "error=CRL has expired", "error=CRL has expired"),
    refusal(
        "crl-verify revoked dir",
        "cert THERE-revoked.crt",
        "VERIFY CRL: depth=0, CN=THERE, serial=",
        "depth=0, error=certificate revoked",
    ),
    refusal("verify-x509-name nobody name", "", "VERIFY X509NAME ERROR: CN=THERE, must be nobody", OTHER_NAME),
    refusal("verify-x509-name THERES name-prefix", "", "VERIFY X509NAME ERROR: CN=THERE, must be THERES", OTHER_NAME),
    refusal("verify-x509-name CN=HERE", "", "VERIFY X509NAME ERROR: CN=THERE, must be CN=HERE", OTHER_NAME),
    // The subject is not the common name.
    refusal("verify-x509-name THERE subject", "", "VERIFY X509NAME ERROR: CN=THERE, must be THERE", OTHER_NAME),
    refusal("peer-fingerprint FINGERPRINT", "", "certificate hash verification failed", OTHER_FINGERPRINT),
    refusal("verify-hash FINGERPRINT SHA256", "", "certificate hash verification failed", OTHER_AUTHORITY),
    // There is no such field: none of several may be missing.
    refusal("x509-username-field CN emailAddress", "", "VERIFY ERROR: could not extract emailAddress", NO_NAME),
    refusal("remote-cert-ku 04", "", "VERIFY KU ERROR", "depth=0, error=the certificate's key usage is not"),
    refusal(
        "remote-cert-eku 1.3.6.1.5.5.7.3.8",
        "",
        "VERIFY EKU ERROR",
        "depth=0, error=the certificate's extended key usage is not",
    ),
    refusal(
        "script-security 2\ntls-verify ./refuse",
        "",
        "VERIFY SCRIPT ERROR: depth=1, CN=Test CA",
        "error=the script of 'tls-verify' refused it",
    ),
    refusal("ca other-ca.crt", "", "VERIFY ERROR: depth=", "error=unable to get local issuer"),
];

const WEAK: &str = "depth=0, error=its key or signature is too weak for 'tls-cert-profile'";
const KEY_TOO_WEAK: &str = "VERIFY ERROR: depth=0, error=EE certificate key too weak";

/// What each profile demands: RSA of 1024 bits, of 2048 bits, no RSA at all.
const PROFILES: [Refusal; 4] = [
    refusal("", "cert THERE-rsa768.crt\nkey THERE-rsa768.key\ntls-cert-profile insecure", KEY_TOO_WEAK, WEAK),
    refusal(
        "tls-cert-profile legacy",
        "cert THERE-rsa768.crt\nkey THERE-rsa768.key\ntls-cert-profile insecure",
        KEY_TOO_WEAK,
        WEAK,
    ),
    refusal(
        "tls-cert-profile preferred",
        "cert THERE-rsa1024.crt\nkey THERE-rsa1024.key\ntls-cert-profile insecure",
        KEY_TOO_WEAK,
        WEAK,
    ),
    refusal(
        "tls-cert-profile suiteb",
        "cert THERE-rsa.crt\nkey THERE-rsa.key\ntls-cert-profile insecure",
        // It lets the peer sign with nothing that an RSA key can: the peer gives up.
        "TLS: Initial packet",
        WEAK,
    ),
];

fn name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

/// The left end lets none of these in; `both` are lines of both ends.
pub(super) fn refused<'r>(
    programs: [Program; 2],
    left: Role,
    both: &str,
    refusals: impl IntoIterator<Item = &'r Refusal>,
) {
    let lab = Lab::new();
    pki::write(&lab);
    lab.write_script("refuse", "#!/bin/sh\nexit 1\n");
    let (here, there) = (name(left), name(left.other()));
    fs::create_dir(lab.directory().join("revoked")).unwrap();
    lab.write(&format!("revoked/{}", pki::revoked_serial(there)), "");
    let fingerprint = pki::fingerprint(&format!("{here}.crt"), "sha256");
    let adapt = |text: &str| text.replace("THERE", there).replace("HERE", here).replace("FINGERPRINT", &fingerprint);
    for refusal in refusals {
        let more = [refusal.verifier, refusal.presenter].map(|lines| adapt(&format!("{lines}\n{both}")));
        println!("the TLS {left:?} refuses: {more:?}");
        let link = Link::start_tls(&lab, programs, left, [&more[0], &more[1]]);
        match programs[0] {
            Program::Openvpn => link.left.wait_for(&adapt(refusal.openvpn)),
            Program::Longcable | Program::Embedded => {
                link.left.wait_for_all(&["VERIFY ERROR: ", refusal.longcable]);
                link.right.wait_for(programs[1].words("Received fatal SSL alert", "the peer refused the TLS handshake"))
            }
        };
        link.pinger().must_not_answer(10, Filling::Random);
        for end in [&link.left, &link.right] {
            assert_eq!(end.count("Initialization Sequence Completed"), 0);
        }
        if programs[0] != Program::Openvpn {
            assert_eq!(link.left.count("Control Channel: TLSv1"), 0, "no session is established");
        }
        link.stop();
    }
}

for_each_pair! {
    fn by_the_server(programs) {
        refused(programs, Role::Server, "", &CERTIFICATES);
    }
}

for_each_pair! {
    fn by_the_client(programs) {
        refused(programs, Role::Client, "", &CERTIFICATES);
    }
}

for_each_pair! {
    fn by_a_rule_of_the_server(programs) {
        refused(programs, Role::Server, "", &RULES);
    }
}

for_each_pair! {
    fn by_a_rule_of_the_client(programs) {
        refused(programs, Role::Client, "", &RULES);
    }
}

for_each_pair! {
    /// TLS 1.2 has the server look at the client's certificate before it finishes.
    fn by_the_server_of_tls_1_2(programs) {
        let refusals = CERTIFICATES.map(|refusal| Refusal {
            verifier: "tls-version-max 1.2\ncrl-verify crl.pem",
            ..refusal
        });
        refused(programs, Role::Server, "", &refusals);
    }
}

for_each_pair! {
    /// A list is read again when it has changed: at the next negotiation.
    fn revoked_while_the_link_is_up(programs) {
        let lab = Lab::new();
        pki::write(&lab);
        let list = |name: &str| fs::copy(lab.directory().join(name), lab.directory().join("list.pem")).unwrap();
        list("crl-empty.pem");
        let link = Link::tls(&lab, programs, Role::Server, [
            "crl-verify list.pem\nreneg-sec 5", "cert client-revoked.crt\nreneg-sec 0",
        ]);
        link.check_pings();
        // The time of a change counts in seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        list("crl.pem");
        link.left.wait_for(programs[0].words("error=certificate revoked", "VERIFY ERROR: depth=0, error=certificate revoked"));
        link.stop();
    }
}

/// Only openvpn presents keys that are that weak.
#[test]
fn a_key_that_is_too_weak_for_the_profile() {
    for left in [Role::Server, Role::Client] {
        refused([Program::tested(), Program::Openvpn], left, "", &PROFILES);
    }
}

/// Their certificates pass, but nothing that we have checks what they sign.
#[test]
fn a_key_that_is_too_weak_for_handshakes() {
    if baseline() {
        return;
    }
    for (profile, key) in [("legacy", "rsa1024"), ("insecure", "rsa768")] {
        let lab = Lab::new();
        let presents = format!("cert client-{key}.crt\nkey client-{key}.key\ntls-cert-profile insecure");
        let verifies = format!("tls-cert-profile {profile}");
        let programs = [Program::Longcable, Program::Openvpn];
        let link = Link::start_tls(&lab, programs, Role::Server, [&verifies, &presents]);
        link.left.wait_for("TLS Error: TLS handshake failed: TLS: the peer's RSA key is too short: ");
        link.right.wait_for("Received fatal SSL alert");
        link.stop();
    }
}

/// openvpn names its user by a password then.
#[test]
fn a_client_without_a_certificate() {
    let lab = Lab::new();
    pki::write(&lab);
    lab.write("password-of-user", "user\nsecret\n");
    let left = tls_end(&lab.left, &lab.right, Role::Server, "");
    let right = tls_end(&lab.right, &lab.left, Role::Client, "pull\nbind\nauth-user-pass password-of-user");
    let right: String = right
        .lines()
        .filter(|line| !["cert ", "key "].iter().any(|name| line.starts_with(name)))
        .map(|line| format!("{line}\n"))
        .collect();
    let link = Link::with_configs(&lab, [Program::tested(), Program::Openvpn], [&left, &right]);
    if baseline() {
        link.left.wait_for("peer did not return a certificate");
    } else {
        link.left.wait_for("VERIFY ERROR: depth=0, error=the peer sent no certificate");
        link.right.wait_for("Received fatal SSL alert");
    }
    link.pinger().must_not_answer(10, Filling::Random);
    assert_eq!(link.left.count("Initialization Sequence Completed"), 0);
    link.stop();
}

#[test]
fn a_list_that_is_missing_at_the_start() {
    let lab = Lab::new();
    let mut link =
        Link::start_tls(&lab, [Program::tested(), Program::Openvpn], Role::Server, ["crl-verify nolist.pem", ""]);
    assert_eq!(link.left.wait().code(), Some(1));
    link.left.wait_for_all(&["nolist.pem", "No such file"]);
}
