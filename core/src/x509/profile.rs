//! `tls-cert-profile`: which keys and signatures are strong enough.

use der::Tag;
use rustls_pki_types::alg_id;

use super::certificate::{PublicKey, Unreadable};
use super::der_input::whole;
use super::verified::Reason;
use crate::options::CertProfile;

/// rsaEncryption and RSASSA-PSS, 1.2.840.113549.1.1.1 and .10, with tag and length.
const RSA_KEYS: [&[u8]; 2] =
    [b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"];

/// Signatures with MD2, MD4, MD5 and SHA-1, with tag and length.
const OLD_SIGNATURES: [&[u8]; 7] = [
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02", // 1.2.840.113549.1.1.2
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x03", // 1.2.840.113549.1.1.3
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", // 1.2.840.113549.1.1.4
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", // 1.2.840.113549.1.1.5
    b"\x06\x05\x2b\x0e\x03\x02\x1d",                 // 1.3.14.3.2.29
    b"\x06\x07\x2a\x86\x48\xce\x38\x04\x03",         // 1.2.840.10040.4.3
    b"\x06\x07\x2a\x86\x48\xce\x3d\x04\x01",         // 1.2.840.10045.4.1
];

/// # Errors
/// The key is too weak.
pub(super) fn check_key(profile: CertProfile, key: &PublicKey<'_>) -> Result<(), Reason> {
    let is_rsa = RSA_KEYS.iter().any(|id| key.algorithm.starts_with(id));
    let rsa_from = |bits| !is_rsa || rsa_bits(key.bits).is_ok_and(|size| size >= bits);
    let strong = match profile {
        CertProfile::Insecure => true,
        CertProfile::Legacy => rsa_from(1024),
        CertProfile::Preferred => rsa_from(2048),
        CertProfile::SuiteB => [alg_id::ECDSA_P256, alg_id::ECDSA_P384].iter().any(|id| key.algorithm == id.as_ref()),
    };
    if strong { Ok(()) } else { Err(Reason::Weak) }
}

/// # Errors
/// The kind of signature, an AlgorithmIdentifier's contents, is too weak.
pub(super) fn check_signature(profile: CertProfile, algorithm: &[u8]) -> Result<(), Reason> {
    let strong = match profile {
        CertProfile::Insecure => true,
        CertProfile::Legacy | CertProfile::Preferred => !OLD_SIGNATURES.iter().any(|id| algorithm.starts_with(id)),
        CertProfile::SuiteB => [alg_id::ECDSA_SHA256, alg_id::ECDSA_SHA384].iter().any(|id| algorithm == id.as_ref()),
    };
    if strong { Ok(()) } else { Err(Reason::Weak) }
}

/// Size of the modulus of an RSAPublicKey.
fn rsa_bits(key: &[u8]) -> Result<usize, Unreadable> {
    let modulus = whole(whole(key, |input| input.take(Tag::Sequence))?, |input| {
        let modulus = input.take(Tag::Integer)?;
        input.take(Tag::Integer)?;
        Ok(modulus)
    })?;
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(leading).copied().unwrap_or(0);
    let bytes = modulus.len().saturating_sub(leading);
    Ok(bytes.saturating_mul(8).saturating_sub(first.leading_zeros() as usize))
}
