//! Handshakes that succeed: keys, versions, what passes afterwards.

use longcable_core::options::{CertProfile, KeySource, TlsVersion, Word};

use super::pki::{client_params, key_of, openssl, rsa_key, server_params};
use super::*;
use crate::testing::TempDir;

#[test]
fn every_kind_of_key_works_with_both_versions_and_however_bytes_arrive() {
    let kinds = [
        ("256 bits ECprime256v1, signature: ecdsa-with-SHA256", key_of(&rcgen::PKCS_ECDSA_P256_SHA256)),
        ("384 bits ECsecp384r1, signature: ecdsa-with-SHA384", key_of(&rcgen::PKCS_ECDSA_P384_SHA384)),
        ("256 bits ED25519, signature: ED25519", key_of(&rcgen::PKCS_ED25519)),
        ("2048 bits RSA, signature: RSA-SHA256", rsa_key(2048)),
        ("4096 bits RSA, signature: RSA-SHA256", rsa_key(4096)),
    ];
    for (description, key) in kinds {
        let again = || KeyPair::from_pem(&key.serialize_pem()).unwrap();
        let pki = Pki::with_key("Test CA", again());
        let client = pki.issue(client_params("client"), again());
        let server = pki.issue(server_params("server"), again());
        for (version, name, chunk) in [(TlsVersion::V12, "TLSv1.2", 1), (TlsVersion::V13, "TLSv1.3", 1100)] {
            let client = TlsOptions { version_max: version, ..options(pki.ca(), &client) };
            let mut pair = Pair::new(&context(client), &context(options(pki.ca(), &server)));
            let (client, server) = pair.run(chunk);
            assert_eq!(client.unwrap().unwrap().subject(), "CN=server", "{description}");
            assert_eq!(server.unwrap().unwrap().subject(), "CN=client", "{description}");
            let text = described(&pair.client);
            assert!(text.starts_with(&format!("{name}, cipher {name} ")), "{text}");
            assert!(text.ends_with(&format!(", peer certificate: {description}, peer temporary key: 253 bits X25519")));
        }
    }
}

#[test]
fn both_ends_export_the_same_and_each_session_something_else() {
    let mut seen = Vec::new();
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let pki = Pki::new();
        let (client, server) = (pki.client("client"), pki.server("server"));
        let client = context(TlsOptions { version_max: version, ..options(pki.ca(), &client) });
        let mut pair = Pair::new(&client, &context(options(pki.ca(), &server)));
        let label = "EXPORTER-OpenVPN-datakeys";
        assert!(pair.client.export(label, &mut [0; 256]).is_err());
        let _ = pair.run(1000);
        let [mut one, mut other] = [[0; 256]; 2];
        pair.client.export(label, &mut one).unwrap();
        pair.server.export(label, &mut other).unwrap();
        assert_eq!(one, other);
        assert!(!seen.contains(&one));
        seen.push(one);
    }
}

#[test]
fn a_slot_serves_one_session_after_another() {
    let mut pair = established(1000);
    pair.client.stop();
    assert!(pair.client.step().is_err());
    assert_eq!(pair.client.write_tls(&mut [0; 10]), 0);
    pair.client.start(Role::Client, NOW).unwrap();
    pair.server.start(Role::Server, NOW).unwrap();
    assert_eq!(pair.server.write_plain(b"too early"), 0);
    let (client, server) = pair.run(1000);
    assert!(client.unwrap().is_some() && server.unwrap().is_some());
}

#[test]
fn application_data_keeps_its_records() {
    let mut pair = established(1000);
    let longest = vec![7; 1 << 14];
    for message in [&b"one"[..], b"two", &longest] {
        assert_eq!(pair.client.write_plain(message), message.len());
    }
    assert_eq!(pair.client.write_plain(&vec![0; (1 << 14) + 1]), 0, "it is no record");
    carry(&mut pair.client, &mut pair.server, 100);
    let mut out = vec![0; 20_000];
    assert_eq!(pair.server.read_plain(&mut out), 3);
    assert_eq!(out[..3], *b"one");
    assert_eq!(pair.server.read_plain(&mut out[..2]), 2, "what does not fit is lost");
    assert_eq!(pair.server.read_plain(&mut out), longest.len());
    assert_eq!(pair.server.read_plain(&mut out), 0);
}

#[test]
fn a_chain_may_have_intermediates_wherever_openvpns_users_put_them() {
    let root = Pki::named("Root");
    let issuing = root.intermediate("Issuing");
    let (client, server) = (issuing.client("client"), root.server("server"));
    let chain = Issued { cert: format!("{}{}", client.cert, issuing.ca()), key: client.key.clone() };
    let both = format!("{}{}", root.ca(), issuing.ca());
    let of_extra = TlsOptions { extra_certs: Some(KeySource::Inline(issuing.ca())), ..options(root.ca(), &client) };
    let at_server = context(options(root.ca(), &server));
    for client in [options(root.ca(), &chain), of_extra, options(&both, &client)] {
        let (_, server) = Pair::new(&context(client), &at_server).run(500);
        assert_eq!(server.unwrap().unwrap().common_name(), "client");
    }
    // Without it the server does not know who has signed.
    let (_, server) = Pair::new(&context(options(root.ca(), &client)), &at_server).run(500);
    assert!(matches!(server, Err(TlsFailure::Certificate(_))));
}

#[test]
fn what_is_configured_is_negotiated() {
    let pki = Pki::new();
    let (client, server) = (pki.client("client"), pki.server("server"));
    let server = context(options(pki.ca(), &server));
    let word = |text| Some(Word::literal(text));
    let run = |options: TlsOptions<'_>| {
        let mut pair = Pair::new(&context(options), &server);
        let (client, server) = pair.run(500);
        assert!(client.unwrap().is_some() && server.unwrap().is_some());
        described(&pair.client)
    };
    let text = run(TlsOptions { ciphersuites: word("TLS_CHACHA20_POLY1305_SHA256"), ..options(pki.ca(), &client) });
    assert!(text.starts_with("TLSv1.3, cipher TLSv1.3 TLS_CHACHA20_POLY1305_SHA256, "), "{text}");
    let text = run(TlsOptions {
        version_max: TlsVersion::V12,
        cipher_list: word("TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256"),
        groups: word("secp384r1"),
        ..options(pki.ca(), &client)
    });
    assert!(text.starts_with("TLSv1.2, cipher TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256, "), "{text}");
    assert!(text.ends_with("peer temporary key: 384 bits ECsecp384r1"), "{text}");
    run(TlsOptions { profile: CertProfile::SuiteB, ..options(pki.ca(), &client) });
}

#[test]
fn ends_without_anything_in_common_say_which_options_to_compare() {
    let pki = Pki::new();
    let (client, server) = (pki.client("client"), pki.server("server"));
    let word = |text| Some(Word::literal(text));
    let client = || options(pki.ca(), &client);
    let server = || options(pki.ca(), &server);
    for (client, server, text) in [
        (
            TlsOptions { version_max: TlsVersion::V12, ..client() },
            TlsOptions { version_min: TlsVersion::V13, ..server() },
            "'tls-version-min' and 'tls-version-max'",
        ),
        (
            TlsOptions { ciphersuites: word("TLS_AES_128_GCM_SHA256"), version_min: TlsVersion::V13, ..client() },
            TlsOptions { ciphersuites: word("TLS_AES_256_GCM_SHA384"), ..server() },
            "'tls-cipher' and 'tls-ciphersuites'",
        ),
        (
            TlsOptions { groups: word("X25519"), ..client() },
            TlsOptions { groups: word("prime256v1"), ..server() },
            "'tls-groups'",
        ),
    ] {
        let (client, server) = Pair::new(&context(client), &context(server)).run(500);
        assert!(server.as_ref().is_err_and(|failure| failure.to_string().contains(text)), "{server:?}");
        assert!(matches!(client, Err(TlsFailure::Alert(_))), "{client:?}");
    }
}

#[test]
fn old_certificates_work_as_far_as_the_profile_lets_them() {
    let directory = TempDir::new();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let run = |arguments: &str| {
        let arguments: Vec<String> = arguments.split(' ').map(|word| word.replace("@", &path(""))).collect();
        openssl(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "")
    };
    // An authority with a short key that signs with SHA-1; the certificate of the server is of the first version.
    run("req -x509 -newkey rsa:1024 -nodes -sha1 -keyout @ca.key -out @ca.crt -days 3650 -subj /CN=Old");
    run("req -newkey rsa:2048 -nodes -keyout @server.key -out @server.csr -subj /CN=server");
    for (digest, works) in
        [("sha256", [CertProfile::Legacy, CertProfile::Insecure].as_slice()), ("sha1", &[CertProfile::Insecure])]
    {
        run(&format!(
            "x509 -req -in @server.csr -CA @ca.crt -CAkey @ca.key -CAcreateserial -days 3650 -{digest} -out @server.crt"
        ));
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        let (ca, server) = (read("ca.crt"), Issued { cert: read("server.crt"), key: read("server.key") });
        assert!(openssl(&["x509", "-noout", "-text"], &server.cert).contains("Version: 1 "));
        let pki = Pki::new();
        let client = pki.client("client");
        let server = context(options(pki.ca(), &server));
        for profile in [CertProfile::Insecure, CertProfile::Legacy, CertProfile::Preferred] {
            for version in [TlsVersion::V12, TlsVersion::V13] {
                let client = TlsOptions { profile, version_max: version, ..options(&ca, &client) };
                let result = Pair::new(&context(client), &server).run(900).0;
                assert_eq!(result.is_ok(), works.contains(&profile), "{digest} {profile:?} {version:?} {result:?}");
            }
        }
    }
}
