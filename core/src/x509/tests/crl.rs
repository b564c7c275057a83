//! Lists of revoked certificates.

use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, KeyIdMethod,
    RevocationReason, RevokedCertParams, SigningKey as _,
};

use super::*;
use crate::x509::Crl;

/// A list of 2026-01-01 that holds until 2028-01-01.
fn list(issuer: &Entity, serials: &[u8], edit: impl FnOnce(&mut CertificateRevocationListParams)) -> Vec<u8> {
    let revoked = |serial: &u8| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&[*serial]),
        revocation_time: date_time_ymd(2025, 6, 1),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let mut params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2028, 1, 1),
        crl_number: SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    edit(&mut params);
    params.signed_by(&issuer.as_issuer()).unwrap().der().to_vec()
}

fn numbered(name: &str, serial: u8, issuer: &Entity) -> Entity {
    Entity::new(name, Some(issuer), |params| params.serial_number = Some(SerialNumber::from_slice(&[serial])))
}

/// The result, and the depths without a list.
fn with_lists(
    root: &Entity,
    presented: &[&Entity],
    lists: &[&[u8]],
    unix_now: Option<u64>,
) -> (Result<(), (u8, Reason)>, Vec<u8>) {
    let mut seen = Seen::default();
    let verifier = Verifier { crls: lists, unix_now, ..servers() };
    let result = verify_with(verifier, &[root], presented, &mut seen);
    (result.map(|_| ()), seen.without_crl)
}

#[test]
fn a_listed_certificate_is_refused() {
    let ca = Entity::authority("Root", None);
    let [leaf, other] = [5, 6].map(|serial| numbered("server", serial, &ca));
    let crl = list(&ca, &[4, 5], |_| {});
    assert_eq!(with_lists(&ca, &[&leaf], &[&crl], Some(NOW)), (Err((0, Reason::Revoked)), Vec::new()));
    assert_eq!(with_lists(&ca, &[&other], &[&crl], Some(NOW)), (Ok(()), Vec::new()));
    assert_eq!(with_lists(&ca, &[&leaf], &[&crl], None).0, Err((0, Reason::Revoked)), "without a clock as well");
    assert_eq!(with_lists(&ca, &[&leaf], &[&list(&ca, &[], |_| {})], Some(NOW)), (Ok(()), Vec::new()));
}

#[test]
fn an_authority_may_be_revoked() {
    let ca = Entity::authority("Root", None);
    let sub = Entity::new("Sub", Some(&ca), |params| {
        as_authority(params);
        params.serial_number = Some(SerialNumber::from_slice(&[9]));
    });
    let leaf = Entity::leaf("server", &sub);
    let of_root = list(&ca, &[9], |_| {});
    let of_sub = list(&sub, &[], |_| {});
    let result = with_lists(&ca, &[&leaf, &sub], &[&of_sub, &of_root], Some(NOW));
    assert_eq!(result, (Err((1, Reason::Revoked)), Vec::new()));
}

#[test]
fn an_issuer_without_a_list_is_told_and_accepted() {
    let ca = Entity::authority("Root", None);
    let sub = Entity::authority("Sub", Some(&ca));
    let leaf = Entity::leaf("server", &sub);
    let of_root = list(&ca, &[], |_| {});
    assert_eq!(with_lists(&ca, &[&leaf, &sub], &[&of_root], Some(NOW)), (Ok(()), [0].to_vec()));
    let of_sub = list(&sub, &[], |_| {});
    assert_eq!(with_lists(&ca, &[&leaf, &sub], &[&of_sub], Some(NOW)), (Ok(()), [1, 2].to_vec()));
    assert_eq!(with_lists(&ca, &[&leaf, &sub], &[], Some(NOW)), (Ok(()), Vec::new()), "crl-verify is not used");
}

#[test]
fn dates_of_a_list() {
    let ca = Entity::authority("Root", None);
    let leaf = Entity::leaf("server", &ca);
    let crl = list(&ca, &[], |_| {});
    let at = |now| with_lists(&ca, &[&leaf], &[&crl], now).0;
    assert_eq!(at(Some(1_830_297_600)), Ok(()), "2028-01-01");
    assert_eq!(at(Some(1_830_297_601)), Err((0, Reason::RevocationListExpired)));
    assert_eq!(at(Some(1_767_225_599)), Err((0, Reason::NotYetValid)), "2025-12-31");
    assert_eq!(at(None), Ok(()));
    let newer = list(&ca, &[], |params| params.next_update = date_time_ymd(2033, 1, 1));
    for lists in [[crl.as_slice(), newer.as_slice()], [&newer, &crl]] {
        assert_eq!(with_lists(&ca, &[&leaf], &lists, Some(1_900_000_000)).0, Ok(()), "one that is good is enough");
    }
}

#[test]
fn a_list_that_cannot_be_used_refuses() {
    let ca = Entity::authority("Root", None);
    let leaf = Entity::leaf("server", &ca);
    let unusable = Err((0, Reason::RevocationListUnusable));
    let namesake = Entity::authority("Root", None);
    assert_eq!(with_lists(&ca, &[&leaf], &[&list(&namesake, &[], |_| {})], Some(NOW)).0, unusable);
    let partial = list(&ca, &[], |params| {
        params.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: ["http://x".to_string()].to_vec() },
            scope: Some(CrlScope::CaCertsOnly),
        });
    });
    assert_eq!(with_lists(&ca, &[&leaf], &[&partial], Some(NOW)).0, unusable);
    assert_eq!(with_lists(&ca, &[&leaf], &[b"no list"], Some(NOW)).0, unusable);
    let signs_no_lists = Entity::new("Root", None, |params| {
        as_authority(params);
        params.key_usages = [KeyUsagePurpose::KeyCertSign].to_vec();
    });
    let leaf = Entity::leaf("server", &signs_no_lists);
    let mut pretender = Entity { der: Vec::new(), ..signs_no_lists };
    pretender.der = pretender.params.self_signed(&pretender.key).unwrap().der().to_vec();
    let root = Entity { der: pretender.der.clone(), params: pretender.params.clone(), key: ca.key };
    pretender.params.key_usages.clear();
    assert_eq!(with_lists(&root, &[&leaf], &[&list(&pretender, &[], |_| {})], Some(NOW)).0, unusable);
}

#[test]
fn fields_of_version_1_and_2() {
    let ca = Entity::authority("Root", None);
    let der = list(&ca, &[4, 5], |_| {});
    let crl = Crl::parse(&der).unwrap();
    assert_eq!(crl.issuer().to_string(), "CN=Root");
    assert_eq!((crl.this_update(), crl.next_update()), (1_767_225_600, Some(1_830_297_600)));
    let listed = [3, 4, 5, 6].map(|serial| crl.lists(numbered("x", serial, &ca).view().serial()));
    assert_eq!(listed, [false, true, true, false]);

    // Version 1 has no extensions; nextUpdate is optional.
    let algorithm = tlv(0x30, &[&tlv(6, &[b"\x2a\x86\x48\xce\x3d\x04\x03\x02"])]);
    let issuer = tlv(0x30, &[&tlv(0x31, &[&tlv(0x30, &[&tlv(6, &[b"\x55\x04\x03"]), &tlv(0xc, &[b"Root"])])])]);
    let entry = tlv(0x30, &[&tlv(2, &[&[7]]), &tlv(0x17, &[b"260102030405Z"])]);
    let tbs = tlv(0x30, &[&algorithm, &issuer, &tlv(0x18, &[b"20260101000000Z"]), &tlv(0x30, &[&entry])]);
    let signature = ca.key.sign(&tbs).unwrap();
    let der = tlv(0x30, &[&tbs, &algorithm, &tlv(3, &[&[0], &signature])]);
    let crl = Crl::parse(&der).unwrap();
    assert_eq!((crl.this_update(), crl.next_update()), (1_767_225_600, None));
    let (listed, other) = (numbered("server", 7, &ca), numbered("server", 8, &ca));
    assert_eq!(with_lists(&ca, &[&listed], &[&der], Some(NOW)).0, Err((0, Reason::Revoked)));
    assert_eq!(with_lists(&ca, &[&other], &[&der], Some(NOW)), (Ok(()), Vec::new()));
}
