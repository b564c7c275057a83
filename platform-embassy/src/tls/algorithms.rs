//! The signature algorithms of certificates and handshakes.

use core::fmt;

use embedded_tls::SignatureScheme;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest as _, Sha256, Sha384};

/// All that this stack can verify.
pub static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    &P256_SHA256,
    &P256_SHA384,
    #[cfg(feature = "ed25519")]
    &ED25519,
    #[cfg(feature = "p384")]
    &P384_SHA256,
    #[cfg(feature = "p384")]
    &P384_SHA384,
];

/// The algorithm that `scheme` means in a handshake (RFC 8446 section 4.2.3).
pub(super) fn of_scheme(scheme: SignatureScheme) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => Some(&P256_SHA256),
        #[cfg(feature = "ed25519")]
        SignatureScheme::Ed25519 => Some(&ED25519),
        #[cfg(feature = "p384")]
        SignatureScheme::EcdsaSecp384r1Sha384 => Some(&P384_SHA384),
        _ => None,
    }
}

static P256_SHA256: Algorithm = Algorithm {
    key: alg_id::ECDSA_P256,
    signature: alg_id::ECDSA_SHA256,
    verify: |key, message, signature| p256(key, &Sha256::digest(message), signature),
};

static P256_SHA384: Algorithm = Algorithm {
    key: alg_id::ECDSA_P256,
    signature: alg_id::ECDSA_SHA384,
    verify: |key, message, signature| p256(key, &Sha384::digest(message), signature),
};

#[cfg(feature = "ed25519")]
static ED25519: Algorithm = Algorithm { key: alg_id::ED25519, signature: alg_id::ED25519, verify: ed25519 };

#[cfg(feature = "p384")]
static P384_SHA256: Algorithm = Algorithm {
    key: alg_id::ECDSA_P384,
    signature: alg_id::ECDSA_SHA256,
    verify: |key, message, signature| p384(key, &Sha256::digest(message), signature),
};

#[cfg(feature = "p384")]
static P384_SHA384: Algorithm = Algorithm {
    key: alg_id::ECDSA_P384,
    signature: alg_id::ECDSA_SHA384,
    verify: |key, message, signature| p384(key, &Sha384::digest(message), signature),
};

type Verify = fn(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()>;

struct Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verify: Verify,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.verify)(key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Algorithm")
    }
}

fn p256(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(digest, &signature).ok()
}

#[cfg(feature = "p384")]
fn p384(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(digest, &signature).ok()
}

#[cfg(feature = "ed25519")]
fn ed25519(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    key.verify_strict(message, &signature).ok()
}
