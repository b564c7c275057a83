//! Damaged and arbitrary input: it is refused, and nothing panics.

use proptest::prelude::*;
use rcgen::{
    CertificateRevocationListParams, ExtendedKeyUsagePurpose, KeyIdMethod, KeyUsagePurpose, SanType, date_time_ymd,
};

use super::*;
use crate::options::Word;
use crate::x509::{Crl, user_name};

/// Uses everything that a view offers.
fn look_at(certificate: &Certificate<'_>) {
    for name in [certificate.subject(), certificate.issuer()] {
        let _ = name.to_string();
        for attribute in name.attributes() {
            let _ = (attribute.short_name().to_string(), attribute.value().to_string());
        }
    }
    let _ = (certificate.serial().to_string(), certificate.serial().hex().to_string(), certificate.validity());
    for field in ["CN", "serialNumber", "ext:subjectAltName", "ext:issuerAltName", "1.2.3"] {
        let _ = user_name(certificate, &[Word::literal(field)]);
    }
}

fn rich_leaf(ca: &Entity) -> Entity {
    Entity::new("server", Some(ca), |params| {
        params.key_usages = [KeyUsagePurpose::DigitalSignature].to_vec();
        params.extended_key_usages = [ExtendedKeyUsagePurpose::ServerAuth].to_vec();
        params.subject_alt_names = [SanType::Rfc822Name("a@b".try_into().unwrap())].to_vec();
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::ExplicitNoCa;
    })
}

fn verify_der(ca: &Entity, leaf: &[u8], intermediates: &[&[u8]], crls: &[&[u8]]) -> Result<(), Refusal> {
    let verifier = Verifier { roots: &[&ca.der], crls, ..servers() };
    verifier.verify(leaf, intermediates, &mut ()).map(drop)
}

#[test]
fn no_bit_may_be_flipped() {
    let ca = Entity::authority("Test CA", None);
    let leaf = rich_leaf(&ca);
    assert_eq!(verify_der(&ca, &leaf.der, &[], &[]), Ok(()));
    for bit in 0..leaf.der.len() * 8 {
        let mut damaged = leaf.der.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(verify_der(&ca, &damaged, &[], &[]).is_err(), "bit {bit}");
        if let Ok(certificate) = Certificate::parse(&damaged) {
            look_at(&certificate);
        }
    }
}

#[test]
fn no_byte_may_be_missing_or_added() {
    let ca = Entity::authority("Test CA", None);
    let leaf = rich_leaf(&ca);
    for length in 0..leaf.der.len() {
        let refusal = verify_der(&ca, &leaf.der[..length], &[], &[]).unwrap_err();
        let expected = if length == 0 { Reason::NoCertificate } else { Reason::Malformed };
        assert_eq!((refusal.depth, refusal.reason, refusal.subject.as_str()), (0, expected, ""));
    }
    let longer = [leaf.der.as_slice(), &[0]].concat();
    assert_eq!(verify_der(&ca, &longer, &[], &[]).unwrap_err().reason, Reason::Malformed);
}

#[test]
fn the_algorithm_beside_the_signature_is_the_signed_one() {
    let ca = Entity::authority("Test CA", None);
    let leaf = rich_leaf(&ca);
    let ecdsa_with_sha256 = b"\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let outer = leaf.der.windows(8).rposition(|window| window == ecdsa_with_sha256).unwrap();
    let mut other = leaf.der.clone();
    other[outer + 7] = 3; // with SHA-384
    assert_eq!(verify_der(&ca, &other, &[], &[]).unwrap_err().reason, Reason::Malformed);
}

#[test]
fn a_damaged_list_refuses() {
    let ca = Entity::authority("Test CA", None);
    let leaf = rich_leaf(&ca);
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2028, 1, 1),
        crl_number: SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&ca.as_issuer()).unwrap().der().to_vec();
    assert_eq!(verify_der(&ca, &leaf.der, &[], &[&list]), Ok(()));
    let issuer = list.windows(7).position(|window| window == b"Test CA").unwrap();
    for bit in 0..list.len() * 8 {
        let mut damaged = list.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let verified = verify_der(&ca, &leaf.der, &[], &[&damaged]);
        // With another issuer it says nothing about this one.
        let of_another = Crl::parse(&damaged).is_ok_and(|crl| crl.issuer() != ca.view().subject());
        assert_eq!(verified.is_ok(), of_another, "bit {bit}");
        assert!(!of_another || (issuer - 20..issuer + 7).contains(&(bit / 8)), "bit {bit}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Certificate::parse(&bytes).is_err());
        prop_assert!(Crl::parse(&bytes).is_err());
    }

    /// Bytes that look more like a certificate: a good one with others written over it.
    #[test]
    fn overwritten_bytes(
        at in any::<prop::sample::Index>(),
        patch in proptest::collection::vec(any::<u8>(), 1..8),
        seed in any::<u8>(),
    ) {
        let ca = Entity::authority("Test CA", None);
        let leaf = rich_leaf(&ca);
        let mut damaged = leaf.der.clone();
        let start = at.index(damaged.len());
        for (byte, patch) in damaged[start..].iter_mut().zip(&patch) {
            *byte = patch.wrapping_add(seed);
        }
        prop_assume!(damaged != leaf.der);
        prop_assert!(verify_der(&ca, &damaged, &[], &[]).is_err());
        prop_assert_eq!(verify_der(&ca, &leaf.der, &[&damaged], &[]), Ok(()));
        if let Ok(certificate) = Certificate::parse(&damaged) {
            look_at(&certificate);
        }
    }
}
