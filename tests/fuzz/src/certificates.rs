//! Certificates and lists of revoked ones, as a peer or a file has them.
//!
//! Input: a byte for each setting of the verifier, then the peer's certificate, a list, and other certificates, each with
//! its length before it.

use std::sync::LazyLock;

use longcable_core::options::{CertProfile, Fingerprint, NameKind, PeerRules, Word};
use longcable_core::tls::Role;
use longcable_core::x509::{Certificate, Crl, Name, Observer, Reason, SUBJECT_MAX, USER_NAME_MAX, Verifier, user_name};
use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

use crate::assert_harmless;
use crate::input::{Input, chunk};

/// The samples: a leaf, the authority that signed it, the one that signed that, a weak self-signed one, and the list of
/// the upper authority, which lists the lower one.
pub static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(include_bytes!("certificates.pem"));
    sections.map(|section| section.expect("PEM").1).collect()
});
/// When they are valid: 2027-01-15, in s since 1970.
pub const NOW: u64 = 1_800_000_000;

const AUTHORITY: usize = 2;
const LIST: usize = 4;

/// Signatures that are always right. Without them nothing behind a signature would ever be reached.
#[derive(Debug)]
struct Gullible {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for Gullible {
    fn verify_signature(&self, _key: &[u8], _message: &[u8], _signature: &[u8]) -> Result<(), InvalidSignature> {
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    &Gullible { key: alg_id::ECDSA_P256, signature: alg_id::ECDSA_SHA256 },
    &Gullible { key: alg_id::ED25519, signature: alg_id::ED25519 },
    &Gullible { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PKCS1_SHA256 },
];

const FIELDS: [&str; 7] =
    ["CN", "emailAddress", "serialNumber", "ext:subjectAltName", "ext:issuerAltName", "ou", "1.2.3.4"];

pub fn run(data: &[u8]) {
    look_at(data);
    let mut input = Input::new(data);
    let settings = [(); 6].map(|()| usize::from(input.byte()));
    let [leaf, list] = [input.chunk(), input.chunk()];
    let mut others: Vec<&[u8]> = Vec::new();
    while !input.is_empty() && others.len() < 10 {
        others.push(input.chunk());
    }
    look_at(leaf);
    look_at(list);
    others.iter().for_each(|other| look_at(other));
    check(settings, leaf, list, &others);
}

/// Uses everything that a view offers.
fn look_at(der: &[u8]) {
    if let Ok(certificate) = Certificate::parse(der) {
        assert_eq!(certificate.der(), der);
        assert!(der.windows(certificate.spki().len()).any(|part| part == certificate.spki()));
        [certificate.subject(), certificate.issuer()].into_iter().for_each(look_at_name);
        assert!(certificate.serial().to_string().parse::<f64>().is_ok());
        assert!(certificate.serial().hex().to_string().bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit()));
        let _ = certificate.validity();
        for field in FIELDS {
            if let Some(name) = user_name(&certificate, &[Word::literal(field)]) {
                assert!((1..=USER_NAME_MAX).contains(&name.len()));
                assert_harmless(&name);
            }
        }
    }
    if let Ok(list) = Crl::parse(der) {
        look_at_name(list.issuer());
        let _ = (list.this_update(), list.next_update());
        let leaf = Certificate::parse(&SAMPLES[0]).expect("a certificate");
        let _ = list.lists(leaf.serial());
    }
}

fn look_at_name(name: &Name<'_>) {
    assert_harmless(&name.to_string());
    for attribute in name.attributes() {
        assert_harmless(&attribute.short_name().to_string());
        assert_harmless(&attribute.value().to_string());
        assert!(!attribute.value().chars().any(|character| character == '\0'));
    }
    let _ = name.common_name().map(|name| name.to_string());
}

/// Whoever is accepted meets every demand that can be checked from outside.
fn check([trust, rule, profile, role, clock, field]: [usize; 6], leaf: &[u8], list: &[u8], others: &[&[u8]]) {
    let mut rules =
        PeerRules { user_name_fields: [Word::literal(FIELDS[field % FIELDS.len()])].into(), ..PeerRules::default() };
    let parsed = Certificate::parse(leaf).ok();
    let fingerprint = parsed.map(|leaf| leaf.sha256()).unwrap_or_default();
    match rule % 7 {
        1 => rules.role = Some(Role::Server),
        2 => rules.key_usage = Some([0xa0, 0x88].into_iter().collect()),
        3 => rules.extended_key_usage = Some(Word::literal("TLS Web Client Authentication")),
        4 => rules.name = Some((Word::literal("server"), NameKind::Name)),
        5 => rules.name = Some((Word::literal("C=XX, O=T, CN=CA"), NameKind::Subject)),
        6 => rules.authority.extend([Fingerprint::Sha256([7; 32])]),
        _ => {}
    }
    if trust & 1 == 0 {
        rules.peer.extend([fingerprint]);
    }
    let roots: &[&[u8]] = match trust >> 1 & 3 {
        0 => &[],
        1 => &[leaf],
        2 => &[&SAMPLES[AUTHORITY]],
        _ => others,
    };
    let verifier = Verifier {
        roots,
        crls: if trust & 8 == 0 { &[] } else { &[list] },
        rules: &rules,
        profile: [CertProfile::Insecure, CertProfile::Legacy, CertProfile::Preferred, CertProfile::SuiteB][profile % 4],
        peer_role: if role % 2 == 0 { Role::Server } else { Role::Client },
        algorithms: ALGORITHMS,
        unix_now: [Some(NOW), None, Some(0), Some(u64::MAX)][clock % 4],
    };
    let mut seen = Seen::default();
    match verifier.verify(leaf, others, &mut seen) {
        Err(refusal) => {
            assert!(refusal.subject.len() <= SUBJECT_MAX);
            assert_harmless(&refusal.to_string());
        }
        Ok(chain) => {
            let peer = chain.prove(|| Ok::<_, ()>(())).expect("proven");
            let parsed = parsed.expect("it was read");
            let anchored = seen.last.as_deref().is_some_and(|last| roots.contains(&last));
            assert!(anchored || (roots.is_empty() && !rules.peer.is_empty()), "trusted");
            assert_eq!(seen.depths, (0..seen.depths.len()).rev().collect::<Vec<_>>());
            assert!(rules.authority.is_empty());
            let validity = parsed.validity();
            assert!(verifier.unix_now.is_none_or(|now| (validity.not_before..=validity.not_after).contains(&now)));
            assert_eq!(*peer.fingerprint(), fingerprint);
            assert!((1..=USER_NAME_MAX).contains(&peer.common_name().len()));
            assert!(rule % 7 != 4 || peer.common_name() == "server");
            assert_harmless(peer.common_name());
            assert_harmless(peer.subject());
        }
    }
    // Where no signature can be checked, only what is trusted by itself is.
    let strict = Verifier { algorithms: &[], ..verifier };
    if strict.verify(leaf, others, &mut ()).is_ok() {
        assert!(roots.is_empty() || roots.contains(&leaf));
    }
}

/// The certificates of an accepted chain, from the trusted one down.
#[derive(Default)]
struct Seen {
    depths: Vec<usize>,
    last: Option<Vec<u8>>,
}

impl Observer for Seen {
    fn certificate(&mut self, depth: u8, certificate: &Certificate<'_>) -> Result<(), Reason> {
        self.depths.push(depth.into());
        self.last.get_or_insert_with(|| certificate.der().to_vec());
        Ok(())
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let samples = &*SAMPLES;
    let trusted = |leaf: usize, settings: [u8; 6], others: &[usize]| {
        let others = others.iter().flat_map(|other| chunk(&samples[*other])).collect();
        [settings.to_vec(), chunk(&samples[leaf]), chunk(&samples[LIST]), others].concat()
    };
    let mut seeds = samples.clone();
    for setting in 0..7 {
        seeds.extend([
            trusted(0, [5, setting, 0, 0, 0, setting], &[1]),
            trusted(0, [5, 0, setting, setting, setting, 0], &[1]),
            trusted(0, [13, setting, 0, 0, 0, 0], &[1]),
            trusted(0, [0, setting, 0, 0, 0, setting], &[]),
        ]);
    }
    seeds.extend([
        trusted(3, [3, 0, 0, 0, 0, 0], &[]),
        trusted(1, [7, 0, 0, 0, 0, 0], &[AUTHORITY, 0, 1]),
        trusted(AUTHORITY, [10, 0, 0, 0, 0, 0], &[]),
    ]);
    seeds
}
