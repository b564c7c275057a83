//! The signatures that are understood: in handshakes what rustls offers, in certificates some older ones too.

use longcable_core::options::CertProfile;
use longcable_core::x509::Certificate;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, alg_id,
};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::RawPublicKeyEntity;

use super::describe;

/// An algorithm for certificates.
pub(super) type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// The shortest RSA key whose signature over a handshake can be checked, in bits.
const RSA_MIN: usize = 2048;
const SHORT_KEY: &str =
    "the peer's RSA key is too short: it must have at least 2048 bits, or be one of ECDSA or Ed25519";

/// What the signatures in certificates may be. The profile also says how long keys must be, which is checked elsewhere.
pub(super) fn for_certificates(profile: CertProfile) -> Vec<Algorithm> {
    let old: &[Algorithm] = match profile {
        CertProfile::Insecure => &[&RSA_SHA1, &RSA_SHA256, &RSA_SHA512],
        CertProfile::Legacy => &[&RSA_SHA256, &RSA_SHA512],
        CertProfile::Preferred | CertProfile::SuiteB => &[],
    };
    let current = default_provider().signature_verification_algorithms.all.iter().copied();
    old.iter().copied().chain(current).collect()
}

/// What the peer may sign a handshake with.
pub(super) fn handshake_schemes() -> Vec<SignatureScheme> {
    default_provider().signature_verification_algorithms.supported_schemes()
}

/// Checks the signature over a handshake, of any version of TLS that is supported, with a certificate of any version.
pub(super) fn verify_handshake(
    message: &[u8],
    certificate: &[u8],
    signed: &DigitallySignedStruct,
    is_tls13: bool,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = |error| Error::InvalidCertificate(error);
    let certificate = Certificate::parse(certificate).map_err(|_| bad(CertificateError::BadEncoding))?;
    let spki = SubjectPublicKeyInfoDer::from(certificate.spki());
    let key = RawPublicKeyEntity::try_from(&spki).map_err(|_| bad(CertificateError::BadEncoding))?;
    let mapping = default_provider().signature_verification_algorithms.mapping;
    let algorithms = mapping.iter().find(|(scheme, _)| *scheme == signed.scheme).map_or(&[][..], |(_, list)| list);
    // In TLS 1.3 a scheme means one curve and never PKCS #1 1.5.
    let algorithms = match is_tls13 {
        true if is_pkcs1(signed.scheme) => &[],
        true => &algorithms[..algorithms.len().min(1)],
        false => algorithms,
    };
    let valid =
        algorithms.iter().any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok());
    match valid {
        true => Ok(HandshakeSignatureValid::assertion()),
        false if describe::rsa_bits(certificate.spki()).is_some_and(|bits| bits < RSA_MIN) => {
            Err(Error::General(SHORT_KEY.to_owned()))
        }
        false => Err(bad(CertificateError::BadSignature)),
    }
}

fn is_pkcs1(scheme: SignatureScheme) -> bool {
    [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PKCS1_SHA384, SignatureScheme::RSA_PKCS1_SHA512]
        .contains(&scheme)
}

/// PKCS #1 1.5 with keys from 1024 bits.
#[derive(Debug)]
struct OldRsa {
    signature: AlgorithmIdentifier,
    verification: &'static dyn VerificationAlgorithm,
}

static RSA_SHA1: OldRsa = OldRsa {
    // sha1WithRSAEncryption (RFC 8017 appendix A.2.4)
    signature: AlgorithmIdentifier::from_slice(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00"),
    verification: &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
};
static RSA_SHA256: OldRsa = OldRsa {
    signature: alg_id::RSA_PKCS1_SHA256,
    verification: &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
};
static RSA_SHA512: OldRsa = OldRsa {
    signature: alg_id::RSA_PKCS1_SHA512,
    verification: &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
};

impl SignatureVerificationAlgorithm for OldRsa {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(self.verification, key).verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}
