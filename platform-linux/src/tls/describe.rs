//! A certificate's key and signature, as logs show them.

use std::fmt;

use longcable_core::x509::Certificate;
use pkcs8::der::asn1::UintRef;
use pkcs8::der::{AnyRef, Decode};
use pkcs8::spki::SubjectPublicKeyInfoRef;
use rustls::pki_types::alg_id;

/// As in `256 bits ECprime256v1, signature: ecdsa-with-SHA256`.
pub(super) fn certificate(der: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    let Some(spki) = Certificate::parse(der).ok().map(|certificate| certificate.spki()) else { return Ok(()) };
    let holds = |algorithm: &[u8]| spki.windows(algorithm.len()).any(|part| part == algorithm);
    if let Some(bits) = rsa_bits(spki) {
        write!(out, "{bits} bits RSA")?;
    } else if holds(&alg_id::ECDSA_P256) {
        write!(out, "256 bits ECprime256v1")?;
    } else if holds(&alg_id::ECDSA_P384) {
        write!(out, "384 bits ECsecp384r1")?;
    } else if holds(&alg_id::ED25519) {
        write!(out, "256 bits ED25519")?;
    } else {
        write!(out, "unknown key")?;
    }
    match signature(der) {
        Some(name) => write!(out, ", signature: {name}"),
        None => Ok(()),
    }
}

/// Bits of an RSA key; `None` for another kind.
pub(super) fn rsa_bits(spki: &[u8]) -> Option<usize> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
    let numbers = Vec::<UintRef<'_>>::from_der(spki.subject_public_key.raw_bytes()).ok()?;
    let modulus = numbers.first()?.as_bytes();
    (modulus.len() * 8).checked_sub(modulus.first()?.leading_zeros() as usize)
}

/// OpenSSL's name of the algorithm that a certificate is signed with.
fn signature(der: &[u8]) -> Option<&'static str> {
    let parts = Vec::<AnyRef<'_>>::from_der(der).ok()?;
    let algorithm = parts.get(1)?.value();
    let names = [
        (alg_id::RSA_PKCS1_SHA256, "RSA-SHA256"),
        (alg_id::RSA_PKCS1_SHA384, "RSA-SHA384"),
        (alg_id::RSA_PKCS1_SHA512, "RSA-SHA512"),
        (alg_id::ECDSA_SHA256, "ecdsa-with-SHA256"),
        (alg_id::ECDSA_SHA384, "ecdsa-with-SHA384"),
        (alg_id::ECDSA_SHA512, "ecdsa-with-SHA512"),
        (alg_id::ED25519, "ED25519"),
    ];
    names.iter().find(|(known, _)| algorithm == known.as_ref()).map(|(_, name)| *name)
}
