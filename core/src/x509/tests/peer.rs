//! What the configuration wants of the peer, and how strong its keys are.

use rcgen::{
    CustomExtension, ExtendedKeyUsagePurpose as Usage, KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};

use super::*;
use crate::options::{Fingerprint, NameKind, Word};
use crate::x509::user_name;

fn rules(edit: impl FnOnce(&mut PeerRules<'static>)) -> PeerRules<'static> {
    let mut rules = PeerRules::default();
    edit(&mut rules);
    rules
}

fn with_rules(roots: &[&Entity], leaf: &Entity, rules: &PeerRules<'_>) -> Result<(), (u8, Reason)> {
    verify_with(Verifier { rules, ..servers() }, roots, &[leaf], &mut ()).map(drop)
}

#[test]
fn remote_cert_tls() {
    let ca = Entity::authority("Test CA", None);
    let leaf = |key_usage: &[KeyUsagePurpose], usages: &[Usage]| {
        Entity::new("server", Some(&ca), |params| {
            params.key_usages = key_usage.to_vec();
            params.extended_key_usages = usages.to_vec();
        })
    };
    let server = rules(|rules| rules.role = Some(Role::Server));
    let client = rules(|rules| rules.role = Some(Role::Client));
    let good = leaf(&[KeyUsagePurpose::DigitalSignature], &[Usage::ServerAuth]);
    assert_eq!(with_rules(&[&ca], &good, &server), Ok(()));
    assert_eq!(with_rules(&[&ca], &good, &client), Err((0, Reason::ExtendedKeyUsage)));
    assert_eq!(with_rules(&[&ca], &leaf(&[], &[Usage::ServerAuth]), &server), Err((0, Reason::KeyUsage)));
    let without_usage = leaf(&[KeyUsagePurpose::DigitalSignature], &[]);
    assert_eq!(with_rules(&[&ca], &without_usage, &server), Err((0, Reason::ExtendedKeyUsage)));
}

#[test]
fn remote_cert_ku() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::new("server", Some(&ca), |params| {
        params.key_usages = [KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement].to_vec();
    });
    let with = |values: &[u16]| {
        with_rules(&[&ca], &leaf, &rules(|rules| rules.key_usage = Some(values.iter().copied().collect())))
    };
    // openvpn --remote-cert-ku accepts and refuses the same.
    for good in [&[0x88][..], &[0x80], &[0x08], &[0xa0, 0x88], &[]] {
        assert_eq!(with(good), Ok(()), "{good:x?}");
    }
    for bad in [&[0xa0][..], &[0x8888], &[0x8800], &[0x8088], &[0x40, 0x20]] {
        assert_eq!(with(bad), Err((0, Reason::KeyUsage)), "{bad:x?}");
    }
    let any = rules(|rules| rules.key_usage = Some([].into_iter().collect()));
    assert_eq!(with_rules(&[&ca], &Entity::leaf("server", &ca), &any), Err((0, Reason::KeyUsage)));
}

#[test]
fn remote_cert_eku() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::new("server", Some(&ca), |params| {
        params.extended_key_usages = [Usage::ServerAuth, Usage::Other([1, 3, 6, 1, 4, 1, 99_999, 7].to_vec())].to_vec();
    });
    let with = |leaf: &Entity, name: &'static str| {
        with_rules(&[&ca], leaf, &rules(|rules| rules.extended_key_usage = Some(Word::literal(name))))
    };
    for good in ["TLS Web Server Authentication", "serverAuth", "1.3.6.1.5.5.7.3.1", "1.3.6.1.4.1.99999.7"] {
        assert_eq!(with(&leaf, good), Ok(()), "{good}");
    }
    for bad in ["TLS Web Client Authentication", "clientAuth", "1.3.6.1.5.5.7.3", "", "serverauth"] {
        assert_eq!(with(&leaf, bad), Err((0, Reason::ExtendedKeyUsage)), "{bad}");
    }
    assert_eq!(with(&Entity::leaf("x", &ca), "serverAuth"), Err((0, Reason::ExtendedKeyUsage)));
}

#[test]
fn verify_x509_name() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::new("server-1", Some(&ca), |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "XX");
        params.distinguished_name.push(DnType::OrganizationName, "T");
        params.distinguished_name.push(DnType::CommonName, "server-1");
    });
    let with = |name: &'static str, kind| {
        with_rules(&[&ca], &leaf, &rules(|rules| rules.name = Some((Word::literal(name), kind))))
    };
    let refused = Err((0, Reason::Name));
    assert_eq!(with("C=XX, O=T, CN=server-1", NameKind::Subject), Ok(()));
    for bad in ["C=XX, O=T, CN=server-", "C=XX, O=T, CN=server-10", "server-1", "CN=server-1", ""] {
        assert_eq!(with(bad, NameKind::Subject), refused, "{bad}");
    }
    assert_eq!(with("server-1", NameKind::Name), Ok(()));
    for bad in ["server-", "server-10", "SERVER-1", ""] {
        assert_eq!(with(bad, NameKind::Name), refused, "{bad}");
    }
    assert_eq!(with("server-", NameKind::NamePrefix), Ok(()));
    assert_eq!(with("server-1", NameKind::NamePrefix), Ok(()));
    for bad in ["server-10", "erver", "Server"] {
        assert_eq!(with(bad, NameKind::NamePrefix), refused, "{bad}");
    }
}

#[test]
fn a_subject_that_is_too_long_to_keep_is_compared_whole() {
    let ca = Entity::authority("Test CA", None);
    let unit = "x".repeat(300);
    let leaf = Entity::new("server", Some(&ca), |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit.as_str());
        params.distinguished_name.push(DnType::CommonName, "server");
    });
    let peer = verify_with(servers(), &[&ca], &[&leaf], &mut ()).unwrap();
    assert_eq!(peer.subject(), std::format!("OU={}", "x".repeat(253)));
    let name: &'static str = std::format!("OU={unit}, CN=server").leak();
    let with =
        |name| with_rules(&[&ca], &leaf, &rules(|rules| rules.name = Some((Word::literal(name), NameKind::Subject))));
    assert_eq!(with(name), Ok(()));
    assert_eq!(with(&name[..256]), Err((0, Reason::Name)));
}

/// What is demanded and what was found stand behind the subject.
#[test]
fn a_refusal_says_what_was_found() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::leaf("server", &ca);
    let refusal = |rules: &PeerRules<'_>, unix_now| {
        let roots: &[&[u8]] = &[&ca.der];
        let verifier = Verifier { rules, unix_now: Some(unix_now), roots, ..servers() };
        verifier.verify(&leaf.der, &[], &mut ()).unwrap_err().to_string()
    };
    let prefix = rules(|rules| rules.name = Some((Word::literal("office"), NameKind::NamePrefix)));
    assert!(
        refusal(&prefix, NOW).ends_with(": CN=server; demanded is a name that begins with 'office', it has 'server'")
    );
    let listed = rules(|rules| rules.peer.push([1; 32]).unwrap());
    let sha256 = leaf.view().sha256().map(|byte| std::format!("{byte:02X}")).join(":");
    assert!(refusal(&listed, NOW).ends_with(&std::format!("; its fingerprint is {sha256}")));
    // The authority is as old, so only a certificate that nobody has signed is found to be of another day itself.
    let own = Entity::new("server", None, |_| {});
    let listed = rules(|rules| rules.peer.push(own.view().sha256()).unwrap());
    let verifier = Verifier { rules: &listed, unix_now: Some(2_100_000_000), ..servers() };
    let expired = verifier.verify(&own.der, &[], &mut ()).unwrap_err().to_string();
    let dates =
        "valid from 2025-01-01 00:00:00 UTC to 2035-01-01 00:00:00 UTC, the clock here says 2036-07-18 13:20:00 UTC";
    assert!(expired.ends_with(dates), "{expired}");
}

#[test]
fn verify_hash() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::leaf("server", &ca);
    let with = |root: &Entity, leaf: &Entity, hashes: &[Fingerprint]| {
        with_rules(&[root], leaf, &rules(|rules| rules.authority = hashes.iter().copied().collect()))
    };
    let [sha1, sha256] = [Fingerprint::Sha1(ca.view().sha1()), Fingerprint::Sha256(ca.view().sha256())];
    let other = Fingerprint::Sha256(leaf.view().sha256());
    assert_eq!(with(&ca, &leaf, &[sha1]), Ok(()));
    assert_eq!(with(&ca, &leaf, &[other, sha256]), Ok(()));
    assert_eq!(with(&ca, &leaf, &[other]), Err((1, Reason::AuthorityFingerprint)));
    // Without a depth 1 there is nothing that could be the right one.
    let own = Entity::new("self", None, |_| {});
    assert_eq!(with(&own, &own, &[other]), Err((0, Reason::AuthorityFingerprint)));
}

#[test]
fn peer_fingerprint() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::leaf("server", &ca);
    let own = Entity::new("self", None, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let listing = |entity: &Entity| rules(|rules| rules.peer = [[7; 32], entity.view().sha256()].into_iter().collect());
    // Without `ca` the list is all that counts, whoever has signed.
    assert_eq!(with_rules(&[], &own, &listing(&own)), Ok(()));
    assert_eq!(with_rules(&[], &leaf, &listing(&leaf)), Ok(()));
    assert_eq!(with_rules(&[], &own, &listing(&leaf)), Err((0, Reason::Fingerprint)));
    // With it both count.
    assert_eq!(with_rules(&[&ca], &leaf, &listing(&leaf)), Ok(()));
    assert_eq!(with_rules(&[&ca], &own, &listing(&own)), Err((0, Reason::UnknownIssuer)));
    assert_eq!(with_rules(&[&ca], &leaf, &listing(&own)), Err((0, Reason::Fingerprint)));
    let expired = Entity::new("self", None, |params| params.not_after = date_time_ymd(2026, 1, 1));
    assert_eq!(with_rules(&[], &expired, &listing(&expired)), Err((0, Reason::Expired)));
    let named = rules(|rules| {
        rules.peer = [own.view().sha256()].into_iter().collect();
        rules.name = Some((Word::literal("other"), NameKind::Name));
    });
    assert_eq!(with_rules(&[], &own, &named), Err((0, Reason::Name)), "other rules still hold");
}

#[test]
fn x509_username_field() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::new("multi", Some(&ca), |params| {
        params.distinguished_name.push(DnType::CustomDnType([0, 9, 2342, 19_200_300, 100, 1, 1].to_vec()), "42");
        params.distinguished_name.push(DnType::CustomDnType([1, 2, 840, 113_549, 1, 9, 1].to_vec()), "a@b.c");
        params.distinguished_name.push(DnType::CustomDnType([1, 2, 3, 4].to_vec()), "custom");
        params.serial_number = Some(SerialNumber::from_slice(&[0xab, 0x0c]));
        params.subject_alt_names = [
            SanType::Rfc822Name("first@x".try_into().unwrap()),
            SanType::Rfc822Name("last@x".try_into().unwrap()),
            SanType::DnsName("x.example".try_into().unwrap()),
        ]
        .to_vec();
    });
    let fields = |entity: &Entity, names: &[&'static str]| {
        let names: std::vec::Vec<_> = names.iter().map(|name| Word::literal(name)).collect();
        user_name(&entity.view(), &names).map(|name| name.to_string())
    };
    let field = |entity: &Entity, name| fields(entity, &[name]);
    // What openvpn says for each.
    for (name, expected) in [
        ("CN", "multi"),
        ("cn", "multi"),
        ("commonName", "multi"),
        ("2.5.4.3", "multi"),
        ("UID", "42"),
        ("userId", "42"),
        ("emailAddress", "a@b.c"),
        ("1.2.3.4", "custom"),
        ("serialNumber", "0xAB0C"),
        ("ext:subjectAltName", "last@x"),
    ] {
        assert_eq!(field(&leaf, name).as_deref(), Some(expected), "{name}");
    }
    for name in ["email", "Cn", "O", "", "serialnumber", "commonname", "ext:issuerAltName"] {
        assert_eq!(field(&leaf, name), None, "{name}");
    }
    assert_eq!(fields(&leaf, &["CN", "serialNumber"]).as_deref(), Some("multi_0xAB0C"));
    assert_eq!(fields(&leaf, &["uid", "ext:subjectAltName", "CN", "uid"]).as_deref(), Some("42_last@x_multi_42"));
    assert_eq!(fields(&leaf, &["CN", "O"]), None, "each must be there");
    assert_eq!(fields(&leaf, &["O", "CN"]), None, "each must be there");
    let dns = Entity::new("x", Some(&ca), |params| {
        params.subject_alt_names.push(SanType::DnsName("a.example".try_into().unwrap()));
    });
    assert_eq!(field(&dns, "ext:subjectAltName"), None, "only a mail address names a user");
    let issued = Entity::new("x", Some(&ca), |params| {
        let names = tlv(0x30, &[&tlv(0x81, &[b"first@x"]), &tlv(0x81, &[b"last@x"]), &tlv(0x82, &[b"x.example"])]);
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 18], names));
    });
    assert_eq!(fields(&issued, &["CN", "ext:issuerAltName"]).as_deref(), Some("x_last@x"));

    let organization = rules(|rules| rules.user_name_fields = [Word::literal("O")].into());
    assert_eq!(with_rules(&[&ca], &leaf, &organization), Err((0, Reason::NoUserName)));
    let mail = rules(|rules| {
        rules.user_name_fields = [Word::literal("emailAddress")].into();
        rules.name = Some((Word::literal("a@b.c"), NameKind::Name));
    });
    assert_eq!(with_rules(&[&ca], &leaf, &mail), Ok(()), "the name to verify is the user's");
}

#[test]
fn names_of_users_are_limited() {
    let ca = Entity::authority("Test CA", None);
    let longest = "é".repeat(32);
    assert_eq!(verify(&[&ca], &[&Entity::leaf(&longest, &ca)]), Ok(longest.clone()));
    let refused = Err((0, Reason::NoUserName));
    assert_eq!(verify(&[&ca], &[&Entity::leaf(&std::format!("{longest}a"), &ca)]), refused);
    assert_eq!(verify(&[&ca], &[&Entity::leaf("", &ca)]), refused);
    let nameless = |params: &mut CertificateParams| params.distinguished_name = rcgen::DistinguishedName::new();
    assert_eq!(verify(&[&ca], &[&Entity::new("", Some(&ca), nameless)]), refused);
    // Several fields have more room: 255 bytes.
    let leaf = Entity::leaf(&longest, &ca);
    let times = |times| [Word::literal("CN")].repeat(times);
    assert_eq!(user_name(&leaf.view(), &times(3)).unwrap(), [longest.as_str(); 3].join("_").as_str());
    assert_eq!(user_name(&leaf.view(), &times(4)), None);
    let exact = Entity::leaf(&"a".repeat(63), &ca);
    assert_eq!(user_name(&exact.view(), &times(4)).unwrap().len(), 255);
    let twice = rules(|rules| {
        rules.user_name_fields = times(2).into_iter().collect();
        rules.name = Some((Word::literal(TWICE), NameKind::Name));
    });
    const TWICE: &str = "0123456789012345678901234567890123456789_0123456789012345678901234567890123456789";
    let leaf = Entity::leaf(&TWICE[..40], &ca);
    assert_eq!(with_rules(&[&ca], &leaf, &twice), Ok(()), "all of it is compared");
    // openvpn takes this one for "good".
    assert_eq!(verify(&[&ca], &[&Entity::leaf("good\0evil", &ca)]), Err((0, Reason::Malformed)));
    assert_eq!(verify(&[&ca], &[&Entity::leaf("ct\trl", &ca)]), Ok("ct_rl".to_string()));

    let alternative = Entity::new("x", Some(&ca), |params| {
        let names = tlv(0x30, &[&tlv(0x81, &[b"good@x\0evil"])]);
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], names));
    });
    let by_mail = rules(|rules| rules.user_name_fields = [Word::literal("ext:subjectAltName")].into());
    assert_eq!(with_rules(&[&ca], &alternative, &by_mail), Err((0, Reason::NoUserName)));
    // Only the peer needs a name.
    let nameless = Entity::new("", None, |params| {
        as_authority(params);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Authority");
    });
    assert_eq!(verify(&[&nameless], &[&Entity::leaf("server", &nameless)]), Ok("server".to_string()));
}

/// A key of this kind and size; it never signs.
struct Key(&'static rcgen::SignatureAlgorithm, Vec<u8>);

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.1
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.0
    }
}

#[test]
fn tls_cert_profile_keys() {
    let ca = Entity::authority("Test CA", None);
    let rsa = |bits: usize| {
        let modulus = [&[0][..], &[0x80 >> (7 - (bits - 1) % 8)], &std::vec![1; (bits - 1) / 8]].concat();
        // The zero is there only if the first bit is set.
        let modulus = &modulus[usize::from(!bits.is_multiple_of(8))..];
        let key = tlv(0x30, &[&tlv(2, &[modulus]), &tlv(2, &[&[1, 0, 1]])]);
        Key(&rcgen::PKCS_RSA_SHA256, key)
    };
    let with = |key: &Key, profile| {
        let params = CertificateParams::default();
        let der = params.signed_by(key, &ca.as_issuer()).unwrap().der().to_vec();
        let leaf = Entity { der, key: KeyPair::generate().unwrap(), params };
        verify_with(Verifier { profile, ..servers() }, &[&ca], &[&leaf], &mut ()).map(|_| ())
    };
    let weak = Err((0, Reason::Weak));
    assert_eq!(with(&rsa(512), CertProfile::Insecure), Ok(()));
    assert_eq!(with(&rsa(1023), CertProfile::Legacy), weak);
    assert_eq!(with(&rsa(1024), CertProfile::Legacy), Ok(()));
    assert_eq!(with(&rsa(2047), CertProfile::Preferred), weak);
    assert_eq!(with(&rsa(2048), CertProfile::Preferred), Ok(()));
    assert_eq!(with(&Key(&rcgen::PKCS_RSA_SHA256, b"no key".to_vec()), CertProfile::Legacy), weak);
    assert_eq!(with(&rsa(4096), CertProfile::SuiteB), weak);
    let [p384, ed25519] =
        [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519].map(|kind| Key(kind, [4; 97].to_vec()));
    assert_eq!(with(&p384, CertProfile::SuiteB), Ok(()));
    assert_eq!(with(&ed25519, CertProfile::SuiteB), weak);
    assert_eq!(with(&ed25519, CertProfile::Preferred), Ok(()));
}

#[test]
fn tls_cert_profile_signatures() {
    use CertProfile::{Insecure, Legacy, Preferred, SuiteB};
    use rustls_pki_types::alg_id;
    let check = |profile, id: &[u8]| crate::x509::profile::check_signature(profile, id);
    let sha1_rsa = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00";
    let md5_rsa = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04\x05\x00";
    let sha1_ecdsa = b"\x06\x07\x2a\x86\x48\xce\x3d\x04\x01";
    for old in [&sha1_rsa[..], md5_rsa, sha1_ecdsa] {
        assert_eq!(check(Insecure, old), Ok(()));
        for profile in [Legacy, Preferred, SuiteB] {
            assert_eq!(check(profile, old), Err(Reason::Weak), "{profile:?} {old:x?}");
        }
    }
    for (id, in_suite_b) in [
        (alg_id::RSA_PKCS1_SHA256, false),
        (alg_id::ED25519, false),
        (alg_id::ECDSA_SHA512, false),
        (alg_id::ECDSA_SHA256, true),
        (alg_id::ECDSA_SHA384, true),
    ] {
        assert_eq!(check(Preferred, &id), Ok(()));
        assert_eq!(check(SuiteB, &id).is_ok(), in_suite_b, "{id:?}");
    }
}

#[test]
fn a_weak_signature_refuses_the_certificate_that_bears_it() {
    let ca = Entity::authority("Test CA", None);
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let der = ca.params.self_signed(&key).unwrap().der().to_vec();
    let ca = Entity { der, key, params: ca.params };
    let leaf = Entity::leaf("server", &ca);
    let with = |profile| verify_with(Verifier { profile, ..servers() }, &[&ca], &[&leaf], &mut ()).map(|_| ());
    assert_eq!(with(CertProfile::Preferred), Ok(()));
    assert_eq!(with(CertProfile::SuiteB), Err((0, Reason::Weak)));
}
