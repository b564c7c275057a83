//! Certificates that are not what the configuration demands, shown by an honest stack.

use longcable_core::options::{LinkConfig, NameKind, PeerRules, Word};
use longcable_core::tls::{Role, TlsFailure, TlsSession as _};
use longcable_core::x509::{PeerVerified, Reason};
use sha2::{Digest as _, Sha256};

use crate::pair::{Rustls, connect, pump, with_session};
use crate::pki::{self, Identity, NOW, P256, Pki, TOO_LATE};

/// Connects to a server with this certificate under these rules.
fn attempt(mut pki: Pki, server: Option<Identity>, rules: PeerRules<'static>) -> Result<PeerVerified, TlsFailure> {
    pki.rules = rules;
    let server = server.as_ref().unwrap_or(&pki.server);
    with_session(&pki, |session| connect(session, &mut Rustls::new(&[server], None)))
}

fn reason(result: Result<PeerVerified, TlsFailure>) -> Reason {
    match result {
        Err(TlsFailure::Certificate(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_another_authority() {
    for (name, expected) in [("another", Reason::UnknownIssuer), ("authority", Reason::BadSignature)] {
        let other = Identity::authority(name, P256).signs(pki::server("server"), P256);
        assert_eq!(reason(attempt(Pki::new(P256), Some(other), PeerRules::default())), expected);
    }
}

#[test]
fn for_clients_where_remote_cert_tls_wants_a_server() {
    let rules = || PeerRules { role: Some(Role::Server), ..PeerRules::default() };
    let pki = Pki::new(P256);
    let client = pki.authority.signs(pki::client("server"), P256);
    assert_eq!(reason(attempt(pki, Some(client), rules())), Reason::ExtendedKeyUsage);
    attempt(Pki::new(P256), None, rules()).unwrap();
}

#[test]
fn with_another_name() {
    let rules = |name| PeerRules { name: Some((Word::literal(name), NameKind::Name)), ..PeerRules::default() };
    assert_eq!(reason(attempt(Pki::new(P256), None, rules("office"))), Reason::Name);
    attempt(Pki::new(P256), None, rules("server")).unwrap();
}

#[test]
fn with_another_fingerprint() {
    let rules = |identity: &Identity| {
        let mut rules = PeerRules::default();
        rules.peer.push(Sha256::digest(&identity.der).into()).unwrap();
        rules
    };
    let pki = Pki::new(P256);
    let client = rules(&pki.client);
    assert_eq!(reason(attempt(pki, None, client)), Reason::Fingerprint);
    let pki = Pki::new(P256);
    let server = rules(&pki.server);
    attempt(pki, None, server).unwrap();
}

#[test]
fn expired_by_the_clock_if_there_is_one() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| {
        for (now, expected) in [(NOW, None), (TOO_LATE, Some(Reason::Expired)), (0, None)] {
            let mut server = Rustls::new(&[&pki.server], None);
            session.start(Role::Client, now).unwrap();
            let result = pump(session, &mut server);
            match expected {
                None => result.unwrap(),
                Some(expected) => {
                    let Err(TlsFailure::Certificate(refusal)) = result else { panic!("{result:?}") };
                    assert_eq!(refusal.reason, expected);
                }
            }
        }
    });
}

#[test]
fn with_a_key_of_another_kind() {
    let pki = Pki::new(P256);
    let p384 = pki.authority.signs(pki::server("server"), &rcgen::PKCS_ECDSA_P384_SHA384);
    let result = attempt(pki, Some(p384), PeerRules::default());
    if cfg!(feature = "p384") {
        result.unwrap();
    } else {
        let failure = result.unwrap_err();
        assert!(failure.to_string().contains("another kind than P-256 or Ed25519"), "{failure}");
    }
}

#[test]
fn the_rules_of_a_configuration_are_the_ones_that_count() {
    let text = "dev tun\nremote 192.0.2.1\ntls-client\nca ca\ncert cert\nkey key\nremote-cert-tls client";
    let config = LinkConfig::parse(text).unwrap();
    assert_eq!(config.tls.peer.role, Some(Role::Client));
    assert_eq!(reason(attempt(Pki::new(P256), None, config.tls.peer)), Reason::ExtendedKeyUsage);
}
