//! Peers that are refused, and what both ends are told.

use std::fs;
use std::sync::Arc;

use longcable_core::options::{CertProfile, Fingerprint, KeySource, NameKind, RevocationList, TlsVersion, Word};
use longcable_core::x509::Reason;
use rcgen::{SerialNumber, date_time_ymd};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::pki::{client_params, openssl, server_params};
use super::*;
use crate::environment::Environment;
use crate::scripts::Hook;
use crate::testing::TempDir;
use crate::tls::TlsStack as _;
use crate::tls::identity::Identity;

/// What one end says of the other's certificate, and the alert that the other end sees, in both versions of TLS.
#[track_caller]
fn refused(client: &TlsOptions<'_>, server: &TlsOptions<'_>, by: Role) -> (u8, Reason, String) {
    let mut results = [TlsVersion::V12, TlsVersion::V13].map(|version| {
        let client = context(TlsOptions { version_max: version, ..client.clone() });
        refused_once(&client, &context(server.clone()), by)
    });
    assert_eq!(results[0], results[1]);
    std::mem::take(&mut results[0].2);
    let [_, (depth, reason, alert)] = results;
    (depth, reason, alert)
}

#[track_caller]
fn refused_once(client: &TlsContext, server: &TlsContext, by: Role) -> (u8, Reason, String) {
    let (client, server) = Pair::new(client, server).run(700);
    let (judge, other) = if by == Role::Client { (client, server) } else { (server, client) };
    let Err(TlsFailure::Certificate(refusal)) = judge else { panic!("not refused: {judge:?}") };
    let Err(TlsFailure::Alert(alert)) = other else { panic!("no alert: {other:?}") };
    (refusal.depth, refusal.reason, alert.as_str().to_owned())
}

fn text(reason: (u8, Reason, &str)) -> (u8, Reason, String) {
    (reason.0, reason.1, reason.2.to_owned())
}

#[test]
fn a_stranger_is_refused_by_either_end() {
    let (pki, strangers) = (Pki::new(), Pki::named("Strangers"));
    let (client, server) = (pki.client("client"), pki.server("server"));
    let (strange_client, strange_server) = (strangers.client("client"), strangers.server("server"));
    let unknown = text((0, Reason::UnknownIssuer, "unknown_ca"));
    let of_client = refused(&options(pki.ca(), &strange_client), &options(pki.ca(), &server), Role::Server);
    assert_eq!(of_client, unknown);
    let of_server = refused(&options(pki.ca(), &client), &options(pki.ca(), &strange_server), Role::Client);
    assert_eq!(of_server, unknown);
    // Another authority of the same name is another authority.
    let forgers = Pki::new();
    let forged = forgers.client("client");
    let (_, reason, alert) = refused(&options(pki.ca(), &forged), &options(pki.ca(), &server), Role::Server);
    assert_eq!((reason, alert.as_str()), (Reason::BadSignature, "decrypt_error"));
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let pki = Pki::new();
    let server = pki.server("server");
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let ca = Some(KeySource::Inline(pki.ca()));
        let client = context(TlsOptions { ca, version_max: version, ..TlsOptions::default() });
        let server = context(options(pki.ca(), &server));
        let (client, server) = Pair::new(&client, &server).run(700);
        let Err(TlsFailure::Certificate(refusal)) = server else { panic!("{server:?}") };
        assert_eq!((refusal.depth, refusal.reason), (0, Reason::NoCertificate));
        assert!(refusal.to_string().contains("sent no certificate"), "{refusal}");
        assert!(matches!(client, Err(TlsFailure::Alert(_))), "{client:?}");
    }
    // And there is no server without one.
    let ca = Some(KeySource::Inline(pki.ca()));
    let mut server = context(TlsOptions { ca, ..TlsOptions::default() }).session();
    assert!(server.start(Role::Server, NOW).unwrap_err().to_string().contains("'cert' and 'key'"));
}

#[test]
fn each_fault_of_a_certificate_has_its_reason_and_alert() {
    let pki = Pki::new();
    let issue = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = server_params("server");
        change(&mut params);
        pki.issue(params, KeyPair::generate().unwrap())
    };
    let client = pki.client("client");
    let expired = issue(&|params| params.not_after = date_time_ymd(2026, 12, 31));
    let early = issue(&|params| params.not_before = date_time_ymd(2030, 1, 1));
    let good = issue(&|_| {});
    let wrong_use = issue(&|params| params.extended_key_usages = client_params("").extended_key_usages);
    let plain = || options(pki.ca(), &client);
    let word = Word::literal;
    let with_rules = |change: &dyn Fn(&mut longcable_core::options::PeerRules<'static>)| {
        let mut rules = longcable_core::options::PeerRules::default();
        change(&mut rules);
        TlsOptions { peer: rules, ..plain() }
    };
    for (client, server, reason, alert) in [
        (plain(), &expired, Reason::Expired, "certificate_expired"),
        (plain(), &early, Reason::NotYetValid, "certificate_unknown"),
        (plain(), &wrong_use, Reason::ExtendedKeyUsage, "unsupported_certificate"),
        (
            with_rules(&|rules| rules.role = Some(Role::Client)),
            &good,
            Reason::ExtendedKeyUsage,
            "unsupported_certificate",
        ),
        (
            with_rules(&|rules| rules.name = Some((word("other"), NameKind::Name))),
            &good,
            Reason::Name,
            "bad_certificate",
        ),
        (with_rules(&|rules| rules.peer.push([1; 32]).unwrap()), &good, Reason::Fingerprint, "access_denied"),
        (
            with_rules(&|rules| rules.user_name_fields = [word("O")].into()),
            &good,
            Reason::NoUserName,
            "bad_certificate",
        ),
        (
            TlsOptions { profile: CertProfile::SuiteB, ciphersuites: None, ..with_rules(&|_| {}) },
            &pki.issue(server_params("server"), pki::rsa_key(2048)),
            Reason::Weak,
            "bad_certificate",
        ),
    ] {
        let client = TlsOptions { version_min: TlsVersion::V13, ..client };
        let found = refused_once(&context(client), &context(options(pki.ca(), server)), Role::Client);
        assert_eq!(found, text((0, reason, alert)));
    }
    let of_authority = with_rules(&|rules| rules.authority.push(Fingerprint::Sha256([1; 32])).unwrap());
    let found = refused(&of_authority, &options(pki.ca(), &good), Role::Client);
    assert_eq!(found, text((1, Reason::AuthorityFingerprint, "access_denied")));
}

#[test]
fn a_fingerprint_replaces_the_authority() {
    let (ours, theirs) = (Pki::named("A"), Pki::named("B"));
    let (client, server) = (ours.client("client"), theirs.server("server"));
    let fingerprint = |issued: &Issued| {
        let pem = pem::parse(&issued.cert).unwrap();
        longcable_core::x509::Certificate::parse(pem.contents()).unwrap().sha256()
    };
    let trusting = |own, peer: [u8; 32]| {
        let mut options = TlsOptions { ca: None, ..options("", own) };
        options.peer.peer.push(peer).unwrap();
        options
    };
    let at_server = trusting(&server, fingerprint(&client));
    let good = Pair::new(&context(trusting(&client, fingerprint(&server))), &context(at_server.clone())).run(900);
    assert_eq!(good.0.unwrap().unwrap().fingerprint(), &fingerprint(&server));
    assert_eq!(good.1.unwrap().unwrap().fingerprint(), &fingerprint(&client));
    let found = refused(&trusting(&client, fingerprint(&client)), &at_server, Role::Client);
    assert_eq!(found, text((0, Reason::Fingerprint, "access_denied")));
}

#[test]
fn a_clock_that_is_not_set_is_said() {
    let pki = Pki::new();
    let mut params = server_params("server");
    params.not_before = date_time_ymd(2026, 1, 1);
    let (client, server) = (pki.client("client"), pki.issue(params, KeyPair::generate().unwrap()));
    let mut pair = Pair::new(&context(options(pki.ca(), &client)), &context(options(pki.ca(), &server)));
    pair.client.start(Role::Client, 3600).unwrap();
    let (client, server) = pair.run(800);
    let Err(TlsFailure::Certificate(refusal)) = client else { panic!("{client:?}") };
    assert_eq!(refusal.reason, Reason::ClockNotSet);
    assert!(refusal.to_string().contains("the clock of this machine is not set"));
    assert_eq!(server, Err(TlsFailure::new("certificate_unknown", true)));
}

#[test]
fn a_certificate_can_be_revoked_while_the_link_runs() {
    let (pki, directory) = (Pki::new(), TempDir::new());
    let mut params = client_params("client");
    params.serial_number = Some(SerialNumber::from(4711));
    let (client, server) = (pki.issue(params, KeyPair::generate().unwrap()), pki.server("server"));
    let file = directory.path().join("crl.pem");
    fs::write(&file, pki.revoke(&[1], 2030)).unwrap();
    let crl = RevocationList::List(KeySource::File(Word::literal(file.to_str().unwrap())));
    let client = context(options(pki.ca(), &client));
    let server = context(TlsOptions { crl: Some(crl), ..options(pki.ca(), &server) });
    assert!(Pair::new(&client, &server).run(900).1.unwrap().is_some());

    fs::write(&file, pki.revoke(&[1, 4711], 2030)).unwrap();
    assert_eq!(refused_once(&client, &server, Role::Server), text((0, Reason::Revoked, "certificate_revoked")));
    fs::write(&file, pki.revoke(&[1], 2026)).unwrap();
    assert_eq!(refused_once(&client, &server, Role::Server), text((0, Reason::RevocationListExpired, "unknown_ca")));
    // A list of somebody else says nothing of this authority's certificates.
    fs::write(&file, Pki::named("Other").revoke(&[4711, 1, 2], 2030)).unwrap();
    assert!(Pair::new(&client, &server).run(900).1.unwrap().is_some());
}

#[test]
fn a_directory_or_an_inline_list_revokes_too() {
    let (pki, directory) = (Pki::new(), TempDir::new());
    let mut params = client_params("client");
    params.serial_number = Some(SerialNumber::from(4711));
    let (client, server) = (pki.issue(params, KeyPair::generate().unwrap()), pki.server("server"));
    let client = context(options(pki.ca(), &client));
    let inline = pki.revoke(&[4711], 2030);
    let crl = Some(RevocationList::List(KeySource::Inline(&inline)));
    let at_server = context(TlsOptions { crl, ..options(pki.ca(), &server) });
    let revoked = text((0, Reason::Revoked, "certificate_revoked"));
    assert_eq!(refused_once(&client, &at_server, Role::Server), revoked);

    let crl = Some(RevocationList::Directory(Word::literal(directory.path().to_str().unwrap())));
    let at_server = context(TlsOptions { crl, ..options(pki.ca(), &server) });
    assert!(Pair::new(&client, &at_server).run(900).1.unwrap().is_some());
    fs::write(directory.path().join("4711"), "").unwrap();
    assert_eq!(refused_once(&client, &at_server, Role::Server), revoked);
}

#[test]
fn the_script_sees_every_certificate_and_may_refuse_it() {
    let (pki, directory) = (Pki::new(), TempDir::new());
    let mut params = client_params("client");
    params.serial_number = Some(SerialNumber::from(258));
    params.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, "first");
    let (client, server) = (pki.issue(params, KeyPair::generate().unwrap()), pki.server("server"));
    let seen = directory.path().join("seen");
    let script = directory.script(
        "verify",
        &format!(
            "#!/bin/sh\n(echo \"$# $1 $2 $script_type $extra $setting\"; /usr/bin/env) >> '{}'\n\
             [ \"$1\" = 1 ] || [ \"$common_name\" = client ]\n",
            seen.display()
        ),
    );
    let mut host = HostConfig::default();
    host.script_security = 2;
    host.environment.setenv("setting", "set");
    host.scripts.push((Hook::TlsVerify, format!("'{}'", script.display())));
    let at_server = load(options(pki.ca(), &server), &host).unwrap();
    let mut environment = Environment::new();
    environment.set("extra", "more");
    at_server.set_environment(environment);
    let at_client = context(options(pki.ca(), &client));
    let mut pair = Pair::new(&at_client, &at_server);
    assert!(pair.run(900).1.unwrap().is_some());
    assert_eq!(at_server.take_variables(), None, "it may still be refused, or another be the peer of the link");
    pair.server.accept();

    let calls = fs::read_to_string(&seen).unwrap();
    let (first, second) = calls.split_once("2 0 ").unwrap();
    assert!(first.starts_with("2 1 CN=Test CA tls-verify more \n"), "{calls}");
    assert!(second.starts_with("CN=client, OU=first tls-verify more \n"), "{calls}");
    let variables = at_server.take_variables().unwrap();
    assert_eq!(at_server.take_variables(), None);
    let value = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    for (name, expected) in [
        ("tls_id_0", "CN=client, OU=first"),
        ("tls_id_1", "CN=Test CA"),
        ("tls_serial_0", "258"),
        ("tls_serial_hex_0", "01:02"),
        ("X509_0_CN", "client"),
        ("X509_0_OU", "first"),
        ("X509_1_CN", "Test CA"),
        ("common_name", "client"),
    ] {
        assert_eq!(value(name), Some(expected), "{name}");
        assert!(second.contains(&format!("\n{name}={expected}\n")), "{name}: {second}");
    }
    let der = pem::parse(&client.cert).unwrap();
    let digest = openssl(&["x509", "-noout", "-fingerprint", "-sha256"], &client.cert).trim().to_lowercase();
    assert!(digest.ends_with(value("tls_digest_sha256_0").unwrap()), "{digest} {}", der.contents().len());
    assert_eq!(value("tls_digest_0").unwrap().len(), 59);

    // It refuses others, and whoever it refuses leaves no variables behind.
    let other = context(options(pki.ca(), &pki.client("other")));
    assert_eq!(refused_once(&other, &at_server, Role::Server), text((0, Reason::Script, "access_denied")));
    assert_eq!(at_server.take_variables(), None);
    // With too low a level no script runs, so nobody passes.
    host.script_security = 1;
    let at_server = load(options(pki.ca(), &server), &host).unwrap();
    assert_eq!(refused_once(&at_client, &at_server, Role::Server), text((1, Reason::Script, "access_denied")));
}

/// Whoever has seen a certificate on the wire can present it.
#[test]
fn the_script_does_not_run_for_a_peer_without_the_key() {
    let (pki, directory) = (Pki::new(), TempDir::new());
    let (client, server) = (pki.client("client"), pki.server("server"));
    let seen = directory.path().join("seen");
    let script = directory.script("verify", &format!("#!/bin/sh\necho \"$1\" >> '{}'\n", seen.display()));
    let mut host = HostConfig::default();
    host.script_security = 2;
    host.scripts.push((Hook::TlsVerify, format!("'{}'", script.display())));
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let of_version = |own| TlsOptions { version_max: version, ..options(pki.ca(), own) };
        let [at_client, at_server] = [&client, &server].map(|own| load(of_version(own), &host).unwrap());
        let thief = |victim| thief(context(of_version(victim)), victim);
        let outcomes =
            [Pair::new(&thief(&client), &at_server).run(900).1, Pair::new(&at_client, &thief(&server)).run(900).0];
        for outcome in outcomes {
            let Err(TlsFailure::Protocol(failure)) = outcome else { panic!("{outcome:?}") };
            assert!(failure.contains("BadSignature"), "{failure}");
        }
        assert!(!seen.exists(), "a script has run ({version:?})");
        let both = Pair::new(&at_client, &at_server).run(900);
        assert!(both.0.unwrap().is_some() && both.1.unwrap().is_some());
        assert_eq!(fs::read_to_string(&seen).unwrap(), "1\n0\n1\n0\n", "both ends have asked");
        fs::remove_file(&seen).unwrap();
    }
}

/// An end that presents the certificate of `victim` and signs with another key.
fn thief(mut end: TlsContext, victim: &Issued) -> TlsContext {
    let key = PrivatePkcs8KeyDer::from(KeyPair::generate().unwrap().serialize_der());
    let chain = vec![pem::parse(&victim.cert).unwrap().into_contents().into()];
    let key = CertifiedKey::new(chain, any_supported_type(&key.into()).unwrap());
    let identity = Identity { resolver: Arc::new(SingleCertAndKey::from(key)) };
    Arc::get_mut(&mut end.shared).unwrap().identity = Some(identity);
    end
}
