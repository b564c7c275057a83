//! Certificates and our private key, from the text of a configuration to memory of a fixed size.

use core::fmt;

use der::asn1::AnyRef;
use der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};
use embedded_tls::SignatureScheme;
use heapless::Vec;
use longcable_core::crypto::base64::Decoder;
use longcable_core::options::{CertProfile, PeerRules};
use longcable_core::x509::Certificate;
use rustls_pki_types::alg_id;
use zeroize::Zeroizing;

use super::WRITE_MAX;

/// Longest private key in bytes of DER; those that are supported have less than 150.
const KEY_DER_MAX: usize = 256;
/// Longest signature in bytes: of ECDSA with P-256 in DER.
const SIGNATURE_MAX: usize = 72;

/// Who we are, and whom we trust.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'c> {
    /// The certificates of `ca`, in DER.
    pub roots: &'c [&'c [u8]],
    /// The lists of `crl-verify`, in DER.
    pub crls: &'c [&'c [u8]],
    /// What we show to the peer.
    pub identity: Option<Identity<'c>>,
    /// What the peer's certificate must be like.
    pub rules: &'c PeerRules<'c>,
    /// `tls-cert-profile`.
    pub profile: CertProfile,
}

/// Our certificate, and the key to it.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'c> {
    pub(super) certificate: &'c [u8],
    pub(super) key: &'c PrivateKey,
}

/// The key to our certificate; it is wiped when it is dropped.
#[derive(Debug)]
pub enum PrivateKey {
    /// ECDSA with P-256.
    P256(p256::ecdsa::SigningKey),
    /// Ed25519.
    #[cfg(feature = "ed25519")]
    Ed25519(ed25519_dalek::SigningKey),
}

/// A certificate or key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialError {
    /// There is no such block in the text, or it is damaged.
    Pem,
    /// The memory for the decoded certificates is too small, or there are too many of them.
    Memory,
    /// The key is encrypted.
    Encrypted,
    /// The key is of another kind than P-256 or Ed25519, or cannot be read.
    Key,
    /// The certificate cannot be read.
    Certificate,
    /// The key does not belong to the certificate.
    Mismatch,
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem => "this is not PEM, as in '-----BEGIN CERTIFICATE-----'",
            Self::Memory => "there are more or longer certificates than there is memory for",
            Self::Encrypted => "the key is encrypted: decrypt it with 'openssl pkey' first",
            Self::Key if cfg!(feature = "ed25519") => {
                "the key must be of P-256 or Ed25519, without RSA: make one with 'openssl genpkey -algorithm EC \
                 -pkeyopt ec_paramgen_curve:P-256'"
            }
            Self::Key => {
                "the key must be of P-256 (this firmware is built without Ed25519): make one with 'openssl genpkey \
                 -algorithm EC -pkeyopt ec_paramgen_curve:P-256'"
            }
            Self::Certificate => "the certificate cannot be read",
            Self::Mismatch => "the private key does not belong to the certificate of 'cert'",
        })
    }
}

impl core::error::Error for CredentialError {}

/// Decodes all blocks of PEM with this label, `CERTIFICATE` or `X509 CRL`; the result is taken off the beginning of
/// `memory`.
///
/// # Errors
/// There is none, a block is damaged, or the memory is too small.
pub fn decode_pem<'m, const N: usize>(
    text: &str,
    label: &str,
    memory: &mut &'m mut [u8],
) -> Result<Vec<&'m [u8], N>, CredentialError> {
    let mut found = Vec::new();
    for (_, body) in blocks(text).filter(|&(block, _)| block == label) {
        let len = decode(body, memory)?.len();
        let der = memory.split_off_mut(..len).ok_or(CredentialError::Memory)?;
        found.push(&*der).map_err(|_| CredentialError::Memory)?;
    }
    if found.is_empty() { Err(CredentialError::Pem) } else { Ok(found) }
}

impl<'c> Identity<'c> {
    /// A certificate in DER with its key.
    ///
    /// # Errors
    /// The certificate cannot be read or is longer than what can be sent, or the key is another one's.
    pub fn new(certificate: &'c [u8], key: &'c PrivateKey) -> Result<Self, CredentialError> {
        if certificate.len() > WRITE_MAX {
            return Err(CredentialError::Memory);
        }
        let public = Certificate::parse(certificate).map_err(|_| CredentialError::Certificate)?.public_key();
        if key.belongs_to(public) { Ok(Self { certificate, key }) } else { Err(CredentialError::Mismatch) }
    }
}

impl PrivateKey {
    /// Reads a key: PEM or DER, in the form of SEC 1 (P-256) or PKCS#8 (P-256, Ed25519).
    ///
    /// # Errors
    /// It cannot be used.
    pub fn parse(key: &[u8]) -> Result<Self, CredentialError> {
        let text = core::str::from_utf8(key).unwrap_or_default();
        let Some((label, body)) = blocks(text).find(|(label, _)| label.ends_with("PRIVATE KEY")) else {
            return Self::from_der(key);
        };
        // The old form of encryption is told by a header.
        if label == "ENCRYPTED PRIVATE KEY" || body.contains(':') {
            return Err(CredentialError::Encrypted);
        }
        let mut memory = Zeroizing::new([0; KEY_DER_MAX]);
        match decode(body, &mut *memory) {
            Ok(der) => Self::from_der(der),
            // RSA.
            Err(CredentialError::Memory) => Err(CredentialError::Key),
            Err(error) => Err(error),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, CredentialError> {
        match sequence(der).as_deref() {
            // RFC 5958.
            Some([_version, algorithm, key, ..])
                if [algorithm, key].map(AnyRef::tag) == [Tag::Sequence, Tag::OctetString] =>
            {
                Self::of(algorithm.value(), key.value())
            }
            _ => Self::sec1(der),
        }
        .ok_or(CredentialError::Key)
    }

    /// A key of this algorithm.
    fn of(algorithm: &[u8], key: &[u8]) -> Option<Self> {
        if algorithm == alg_id::ECDSA_P256.as_ref() {
            return Self::sec1(key);
        }
        #[cfg(feature = "ed25519")]
        if algorithm == alg_id::ED25519.as_ref() {
            let key = AnyRef::from_der(key).ok().filter(|key| key.tag() == Tag::OctetString)?;
            return Some(Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(key.value().try_into().ok()?)));
        }
        None
    }

    /// RFC 5915.
    fn sec1(der: &[u8]) -> Option<Self> {
        let values = sequence(der)?;
        let [_version, key, more @ ..] = values.as_slice() else { return None };
        let is_p256 = |curve: &AnyRef<'_>| alg_id::ECDSA_P256.as_ref().ends_with(curve.value());
        let mut curves = more.iter().filter(|value| value.tag() == CURVE);
        if key.tag() != Tag::OctetString || !curves.all(is_p256) {
            return None;
        }
        p256::SecretKey::from_slice(key.value()).ok().map(|key| Self::P256((&key).into()))
    }

    /// Whether it is the key to a public one: algorithm and key as in a certificate.
    fn belongs_to(&self, (algorithm, public): (&[u8], &[u8])) -> bool {
        match self {
            Self::P256(key) => {
                algorithm == alg_id::ECDSA_P256.as_ref()
                    && p256::ecdsa::VerifyingKey::from_sec1_bytes(public)
                        .is_ok_and(|public| public == *key.verifying_key())
            }
            #[cfg(feature = "ed25519")]
            Self::Ed25519(key) => algorithm == alg_id::ED25519.as_ref() && public == key.verifying_key().as_bytes(),
        }
    }

    pub(super) const fn scheme(&self) -> SignatureScheme {
        match self {
            Self::P256(_) => SignatureScheme::EcdsaSecp256r1Sha256,
            #[cfg(feature = "ed25519")]
            Self::Ed25519(_) => SignatureScheme::Ed25519,
        }
    }
}

/// The tag of the curve in a key of RFC 5915.
const CURVE: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber::N0 };

/// The values in a sequence that fills `der`.
fn sequence(der: &[u8]) -> Option<Vec<AnyRef<'_>, 5>> {
    let sequence = AnyRef::from_der(der).ok().filter(|value| value.tag() == Tag::Sequence)?;
    let mut reader = SliceReader::new(sequence.value()).ok()?;
    let mut values = Vec::new();
    while !reader.is_finished() {
        values.push(AnyRef::decode(&mut reader).ok()?).ok()?;
    }
    Some(values)
}

/// A signature over the handshake, in the form in which it is sent.
pub(super) struct Signature(Vec<u8, SIGNATURE_MAX>);

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Signs a handshake.
pub(super) struct Signer<'k>(pub(super) &'k PrivateKey);

impl signature::Signer<Signature> for Signer<'_> {
    fn try_sign(&self, message: &[u8]) -> Result<Signature, signature::Error> {
        let signature = match self.0 {
            PrivateKey::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.try_sign(message)?;
                Vec::from_slice(signature.as_bytes())
            }
            #[cfg(feature = "ed25519")]
            PrivateKey::Ed25519(key) => Vec::from_slice(&key.try_sign(message)?.to_bytes()),
        };
        signature.map(Signature).map_err(|_| signature::Error::new())
    }
}

/// Labels and bodies of the blocks of PEM in a text.
fn blocks(mut text: &str) -> impl Iterator<Item = (&str, &str)> {
    core::iter::from_fn(move || {
        let (_, block) = text.split_once("-----BEGIN ")?;
        let (label, block) = block.split_once("-----")?;
        let (body, rest) = block.split_once("-----END ")?;
        text = rest;
        Some((label, body.trim()))
    })
}

/// The body of a block in its binary form, at the beginning of `memory`.
fn decode<'m>(body: &str, memory: &'m mut [u8]) -> Result<&'m [u8], CredentialError> {
    let mut decoder = Decoder::new(&mut *memory);
    let len = decoder.feed(body).and_then(|()| decoder.finish()).ok_or(CredentialError::Pem)?;
    memory.get(..len).ok_or(CredentialError::Memory)
}
