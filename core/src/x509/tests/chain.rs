//! Which chains are trusted.

use rcgen::{
    CustomExtension, ExtendedKeyUsagePurpose as Usage, GeneralSubtree, KeyUsagePurpose, NameConstraints, date_time_ymd,
};

use super::*;

/// The same certificate as one of version 1, which has no extensions.
fn as_version_1(entity: &Entity, issuer: &Entity) -> Vec<u8> {
    use crate::x509::der_input::whole;
    use rcgen::SigningKey as _;
    let view = entity.view();
    let tbs = whole(view.signed.message, |input| input.take(der::Tag::Sequence)).unwrap();
    let extensions = tbs.windows(2).rposition(|tag| tag[0] == 0xa3).unwrap();
    let extensions = (0..=extensions).rev().find(|at| {
        whole(&tbs[*at..], |input| input.take(crate::x509::der_input::explicit(der::TagNumber::N3))).is_ok()
    });
    // Five bytes of [0] { INTEGER 2 } stand before.
    let tbs = tlv(0x30, &[&tbs[5..extensions.unwrap()]]);
    let signature = issuer.key.sign(&tbs).unwrap();
    tlv(0x30, &[&tbs, &tlv(0x30, &[view.signed.algorithm]), &tlv(3, &[&[0], &signature])])
}

#[test]
fn a_leaf_of_a_trusted_authority() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::leaf("server", &ca);
    let mut seen = Seen::default();
    let peer = verify_with(servers(), &[&ca], &[&leaf], &mut seen).unwrap();
    assert_eq!((peer.subject(), peer.common_name()), ("CN=server", "server"));
    assert_eq!(*peer.fingerprint(), leaf.view().sha256());
    assert_eq!(seen.certificates, ["1 CN=Test CA", "0 CN=server"]);

    assert_eq!(verify(&[&Entity::authority("Another CA", None)], &[&leaf]), Err((0, Reason::UnknownIssuer)));
    assert_eq!(verify(&[], &[&leaf]), Err((0, Reason::UnknownIssuer)), "nothing configured is no permission");
}

#[test]
fn an_authority_of_the_same_name_is_another_one() {
    let ca = Entity::authority("Test CA", None);
    let namesake = Entity::authority("Test CA", None);
    let leaf = Entity::leaf("server", &namesake);
    assert_eq!(verify(&[&ca], &[&leaf]), Err((0, Reason::BadSignature)));
    assert_eq!(verify(&[&ca, &namesake], &[&leaf]), Ok("server".to_string()));
    // With identifiers of keys it is seen without trying the signature.
    let leaf = Entity::new("server", Some(&namesake), |params| params.use_authority_key_identifier_extension = true);
    assert_eq!(verify(&[&ca], &[&leaf]), Err((0, Reason::UnknownIssuer)));
    assert_eq!(verify(&[&ca, &namesake], &[&leaf]), Ok("server".to_string()));
}

#[test]
fn intermediates_in_any_order_and_strangers_between_them() {
    let ca = Entity::authority("Root", None);
    let [a, b] = [("A", &ca), ("X", &ca)].map(|(name, issuer)| Entity::authority(name, Some(issuer)));
    let c = Entity::authority("C", Some(&a));
    let leaf = Entity::leaf("server", &c);
    let mut seen = Seen::default();
    for presented in [[&leaf, &a, &b, &c], [&leaf, &c, &b, &a], [&leaf, &ca, &c, &a], [&leaf, &leaf, &a, &c]] {
        assert_eq!(verify_with(servers(), &[&ca], &presented, &mut seen).unwrap().common_name(), "server");
        let expected = ["3 CN=Root", "2 CN=A", "1 CN=C", "0 CN=server"];
        assert_eq!(core::mem::take(&mut seen.certificates), expected);
    }
    assert_eq!(verify(&[&ca, &c, &a], &[&leaf]), Ok("server".to_string()), "they may be in `ca` as well");
    assert_eq!(verify(&[&ca], &[&leaf, &a]), Err((0, Reason::UnknownIssuer)));
    assert_eq!(verify(&[&ca], &[&leaf, &c]), Err((1, Reason::UnknownIssuer)));
    assert_eq!(verify(&[&c], &[&leaf]), Err((1, Reason::UnknownIssuer)), "a chain ends in a self-signed certificate");
}

#[test]
fn another_leaf_of_the_same_authority_signs_nothing() {
    let ca = Entity::authority("Test CA", None);
    let explicit = Entity::new("client", Some(&ca), |params| params.is_ca = IsCa::ExplicitNoCa);
    for client in [Entity::leaf("client", &ca), explicit] {
        let forged = Entity::leaf("server", &client);
        assert_eq!(verify(&[&ca], &[&forged, &client]), Err((1, Reason::NotAnAuthority)));
        assert_eq!(verify(&[&ca, &client], &[&forged]), Err((1, Reason::NotAnAuthority)));
    }
    // Nor does one that is trusted by itself.
    let own = Entity::new("self", None, |_| {});
    assert_eq!(verify(&[&own], &[&Entity::leaf("server", &own)]), Err((1, Reason::NotAnAuthority)));
}

#[test]
fn an_authority_without_the_key_usage_to_sign_is_none() {
    let ca = Entity::authority("Test CA", None);
    let sub = Entity::new("Sub", Some(&ca), |params| {
        as_authority(params);
        params.key_usages = [KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature].to_vec();
    });
    assert_eq!(verify(&[&ca], &[&Entity::leaf("server", &sub), &sub]), Err((1, Reason::NotAnAuthority)));
    let without_extension = Entity::new("Sub", Some(&ca), |params| {
        as_authority(params);
        params.key_usages.clear();
    });
    let leaf = Entity::leaf("server", &without_extension);
    assert_eq!(verify(&[&ca], &[&leaf, &without_extension]), Ok("server".to_string()));
}

#[test]
fn path_length() {
    let limited = |length| {
        Entity::new("Root", None, |params| {
            as_authority(params);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        })
    };
    for (length, expected) in [(0, Err((2, Reason::NotAnAuthority))), (1, Ok("server".to_string()))] {
        let ca = limited(length);
        let sub = Entity::authority("Sub", Some(&ca));
        let leaf = Entity::leaf("server", &sub);
        assert_eq!(verify(&[&ca], &[&leaf, &sub]), expected);
        assert_eq!(verify(&[&ca], &[&Entity::leaf("direct", &ca)]), Ok("direct".to_string()));
        // One that only renews the key of its own name does not count.
        let renewed = Entity::authority("Root", Some(&ca));
        let leaf = Entity::leaf("server", &renewed);
        assert_eq!(verify(&[&ca], &[&leaf, &renewed]), Ok("server".to_string()));
    }
}

#[test]
fn a_chain_has_an_end() {
    let ca = Entity::authority("Root", None);
    let mut chain = [Entity::authority("A1", Some(&ca))].into_iter().collect::<Vec<_>>();
    for number in 2..=7 {
        let next = Entity::authority(&std::format!("A{number}"), chain.last());
        chain.push(next);
    }
    for (authorities, expected) in [(6, Ok("server".to_string())), (7, Err((8, Reason::NotAnAuthority)))] {
        let leaf = Entity::leaf("server", &chain[authorities - 1]);
        let presented: Vec<_> = core::iter::once(&leaf).chain(&chain[..authorities]).collect();
        assert_eq!(verify(&[&ca], &presented), expected);
    }
    // Two that have signed each other lead nowhere.
    let a = Entity::authority("A", None);
    let b = Entity::authority("B", Some(&a));
    let a_by_b = Entity { der: a.params.signed_by(&a.key, &b.as_issuer()).unwrap().der().to_vec(), ..a };
    assert_eq!(verify(&[&ca], &[&Entity::leaf("x", &b), &b, &a_by_b]), Err((2, Reason::UnknownIssuer)));
}

#[test]
fn a_peer_cannot_keep_this_end_busy() {
    let ca = Entity::authority("Root", None);
    let crowd: Vec<_> = (0..40).map(|_| Entity::authority("Sub", Some(&ca))).collect();
    let sub = Entity::authority("Sub", Some(&ca));
    let leaf = Entity::leaf("server", &sub);
    let presented = |others| core::iter::once(&leaf).chain(&crowd[..others]).chain([&sub]).collect::<Vec<_>>();
    assert_eq!(verify(&[&ca], &presented(20)), Ok("server".to_string()));
    assert_eq!(verify(&[&ca], &presented(40)), Err((0, Reason::BadSignature)));
}

#[test]
fn validity_of_every_certificate() {
    let ca = Entity::new("Root", None, |params| {
        as_authority(params);
        params.not_after = date_time_ymd(2030, 1, 1);
    });
    let sub = Entity::new("Sub", Some(&ca), |params| {
        as_authority(params);
        params.not_after = date_time_ymd(2031, 1, 1);
    });
    let leaf = Entity::new("server", Some(&sub), |params| params.not_after = date_time_ymd(2032, 1, 1));
    let at = |unix_now| verify_with(Verifier { unix_now, ..servers() }, &[&ca], &[&leaf, &sub], &mut ()).map(|_| ());
    let end_of_2029 = 1_893_455_999;
    assert_eq!(at(Some(end_of_2029 + 1)), Ok(()), "both ends are included");
    assert_eq!(at(Some(end_of_2029 + 2)), Err((2, Reason::Expired)));
    assert_eq!(at(Some(1_925_000_000)), Err((1, Reason::Expired)), "2031-01-01 10:13:20");
    let leaf_of_root = Entity::new("x", Some(&ca), |params| params.not_after = date_time_ymd(2026, 1, 1));
    assert_eq!(verify(&[&ca], &[&leaf_of_root]), Err((0, Reason::Expired)));
    let start_of_2025 = 1_735_689_600;
    assert_eq!(at(Some(start_of_2025)), Ok(()));
    assert_eq!(at(Some(start_of_2025 - 1)).unwrap_err().1, Reason::NotYetValid);
    assert_eq!(at(Some(1_704_067_199)).unwrap_err().1, Reason::ClockNotSet);
    assert_eq!(at(Some(0)).unwrap_err().1, Reason::ClockNotSet);
    assert_eq!(at(None), Ok(()), "without a clock");
}

#[test]
fn an_expired_namesake_is_passed_over() {
    let old = Entity::new("Root", None, |params| {
        as_authority(params);
        params.not_after = date_time_ymd(2026, 1, 1);
    });
    let mut renewed = old.params.clone();
    renewed.not_after = date_time_ymd(2035, 1, 1);
    let leaf = Entity::leaf("server", &old);
    assert_eq!(verify(&[&old], &[&leaf]), Err((1, Reason::Expired)));
    let der = renewed.self_signed(&old.key).unwrap().der().to_vec();
    let renewed = Entity { der, key: KeyPair::generate().unwrap(), params: renewed };
    assert_eq!(verify(&[&old, &renewed], &[&leaf]), Ok("server".to_string()));
}

#[test]
fn critical_extensions_that_are_not_understood() {
    let ca = Entity::authority("Root", None);
    let with = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], [5, 0].to_vec());
        extension.set_criticality(critical);
        move |params: &mut CertificateParams| params.custom_extensions.push(extension)
    };
    assert_eq!(verify(&[&ca], &[&Entity::new("server", Some(&ca), with(false))]), Ok("server".to_string()));
    assert_eq!(verify(&[&ca], &[&Entity::new("server", Some(&ca), with(true))]), Err((0, Reason::Unsupported)));
    let sub = Entity::new("Sub", Some(&ca), |params| {
        as_authority(params);
        with(true)(params);
    });
    assert_eq!(verify(&[&ca], &[&Entity::leaf("server", &sub), &sub]), Err((1, Reason::Unsupported)));
    let root = Entity::new("Root", None, |params| {
        as_authority(params);
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: [GeneralSubtree::DnsName("example.org".into())].to_vec(),
            excluded_subtrees: Vec::new(),
        });
    });
    assert_eq!(verify(&[&root], &[&Entity::leaf("server", &root)]), Err((1, Reason::Unsupported)));
}

#[test]
fn one_extension_twice_is_malformed() {
    let ca = Entity::authority("Root", None);
    let leaf = Entity::new("server", Some(&ca), |params| {
        params.key_usages = [KeyUsagePurpose::DigitalSignature].to_vec();
        let again = CustomExtension::from_oid_content(&[2, 5, 29, 15], [3, 2, 7, 0x80].to_vec());
        params.custom_extensions.push(again);
    });
    assert_eq!(verify(&[&ca], &[&leaf]), Err((0, Reason::Malformed)));
}

#[test]
fn a_certificate_that_is_trusted_by_itself() {
    let plain = Entity::new("self", None, |_| {});
    let authority = Entity::new("self", None, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let mut seen = Seen::default();
    for own in [&plain, &authority] {
        assert_eq!(verify_with(servers(), &[own], &[own], &mut seen).unwrap().common_name(), "self");
        assert_eq!(core::mem::take(&mut seen.certificates), ["0 CN=self"]);
    }
    assert_eq!(verify(&[&plain], &[&Entity::new("other", None, |_| {})]), Err((0, Reason::UnknownIssuer)));
    assert_eq!(verify(&[&authority], &[&Entity::new("self", None, |_| {})]), Err((0, Reason::BadSignature)));
    let expired = Entity::new("self", None, |params| params.not_after = date_time_ymd(2026, 1, 1));
    assert_eq!(verify(&[&expired], &[&expired]), Err((0, Reason::Expired)));
    // As in openvpn, being listed is not enough for one that somebody else has signed.
    let ca = Entity::authority("Root", None);
    let leaf = Entity::leaf("server", &ca);
    assert_eq!(verify(&[&leaf], &[&leaf]), Err((0, Reason::UnknownIssuer)));
}

#[test]
fn certificates_of_version_1() {
    let ca = Entity::authority("Root", None);
    let leaf = Entity::leaf("server", &ca);
    let root_1 = Entity { der: as_version_1(&ca, &ca), key: KeyPair::generate().unwrap(), params: ca.params.clone() };
    let params = CertificateParams::default();
    let leaf_1 = |leaf: &Entity| Entity {
        der: as_version_1(leaf, &ca),
        key: KeyPair::generate().unwrap(),
        params: params.clone(),
    };
    assert_eq!(
        verify(
            &[&ca],
            &[&leaf_1(&Entity::new("server", Some(&ca), |params| {
                params.key_usages = [KeyUsagePurpose::DigitalSignature].to_vec();
            }))]
        ),
        Ok("server".to_string())
    );
    assert_eq!(verify(&[&root_1], &[&leaf]), Ok("server".to_string()), "a trusted one is an authority");
    let sub = Entity::authority("Sub", Some(&ca));
    let leaf = Entity::leaf("server", &sub);
    assert_eq!(verify(&[&ca], &[&leaf, &leaf_1(&sub)]), Err((1, Reason::NotAnAuthority)));
}

#[test]
fn the_use_that_the_role_demands() {
    let ca = Entity::authority("Root", None);
    let leaf = |usages: &[Usage], key_usages: &[KeyUsagePurpose]| {
        Entity::new("leaf", Some(&ca), |params| {
            params.extended_key_usages = usages.to_vec();
            params.key_usages = key_usages.to_vec();
        })
    };
    let as_role = |leaf: &Entity, role| {
        verify_with(Verifier { peer_role: role, ..servers() }, &[&ca], &[leaf], &mut ())
            .map(|_| ())
            .map_err(|(_, why)| why)
    };
    let (server, client) = (Role::Server, Role::Client);
    type Case = (&'static [Usage], &'static [KeyUsagePurpose], Role, Result<(), Reason>);
    let cases: &[Case] = &[
        (&[], &[], server, Ok(())),
        (&[Usage::ServerAuth], &[], server, Ok(())),
        (&[Usage::ServerAuth], &[], client, Err(Reason::ExtendedKeyUsage)),
        (&[Usage::ClientAuth], &[], server, Err(Reason::ExtendedKeyUsage)),
        (&[Usage::CodeSigning, Usage::ClientAuth], &[], client, Ok(())),
        // OpenSSL does not take "any" for TLS.
        (&[Usage::Any], &[], server, Err(Reason::ExtendedKeyUsage)),
        (&[], &[KeyUsagePurpose::DigitalSignature], client, Ok(())),
        (&[], &[KeyUsagePurpose::KeyAgreement], client, Ok(())),
        (&[], &[KeyUsagePurpose::KeyEncipherment], client, Err(Reason::KeyUsage)),
        (&[], &[KeyUsagePurpose::KeyEncipherment], server, Ok(())),
        (&[], &[KeyUsagePurpose::ContentCommitment], server, Err(Reason::KeyUsage)),
    ];
    for (usages, key_usages, role, expected) in cases {
        assert_eq!(as_role(&leaf(usages, key_usages), *role), *expected, "{usages:?} {key_usages:?} {role:?}");
    }
    // An authority for clients makes no servers.
    let sub = Entity::new("Sub", Some(&ca), |params| {
        as_authority(params);
        params.extended_key_usages.push(Usage::ClientAuth);
    });
    assert_eq!(verify(&[&ca], &[&Entity::leaf("server", &sub), &sub]), Err((1, Reason::ExtendedKeyUsage)));
    // Netscape's older way to say it: nsCertType = client.
    let netscape = Entity::new("leaf", Some(&ca), |params| {
        let oid = &[2, 16, 840, 1, 113_730, 1, 1];
        params.custom_extensions.push(CustomExtension::from_oid_content(oid, [3, 2, 7, 0x80].to_vec()));
    });
    assert_eq!(as_role(&netscape, server), Err(Reason::KeyUsage));
    assert_eq!(as_role(&netscape, client), Ok(()));
}

#[test]
fn an_observer_may_refuse() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::leaf("server", &ca);
    for (depth, told) in [(1, 1), (0, 2)] {
        let mut seen = Seen { refuse_at: Some(depth), ..Seen::default() };
        assert_eq!(verify_with(servers(), &[&ca], &[&leaf], &mut seen), Err((depth, Reason::Script)));
        assert_eq!(seen.certificates.len(), told);
    }
}

#[test]
fn algorithms_that_are_not_there() {
    let ca = Entity::authority("Test CA", None);
    let leaf = Entity::leaf("server", &ca);
    for (algorithms, expected) in [
        (&[webpki::ring::ECDSA_P256_SHA256][..], Ok(())),
        (&[webpki::ring::ECDSA_P384_SHA256, webpki::ring::ED25519], Err((0, Reason::BadSignature))),
    ] {
        let verifier = Verifier { algorithms, ..servers() };
        assert_eq!(verify_with(verifier, &[&ca], &[&leaf], &mut ()).map(|_| ()), expected);
    }
}
