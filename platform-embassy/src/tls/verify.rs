//! The peer's certificate and its signature over the handshake, in this order and once each.

use core::cell::RefCell;
use core::mem::replace;

use embedded_tls::{CertificateEntryRef, CertificateRef, CertificateVerifyRef, TlsError, TlsVerifier};
use heapless::{String, Vec};
use longcable_core::tls::{Role, TlsFailure};
use longcable_core::x509::{Certificate, ChainVerified, PeerVerified, Reason, Refusal, Verifier};
use rustls_pki_types::AlgorithmIdentifier;
use sha2::{Digest as _, Sha256};

use super::Credentials;
use super::algorithms::{self, ALGORITHMS};
use super::suite::Suite;
use super::wire::{Phase, Wire};

/// The most certificates of a chain; embedded-tls takes no more.
const CHAIN_MAX: usize = 16;
/// Longest public key in bytes: a point of P-384.
const KEY_MAX: usize = 97;

/// What is known about the peer.
#[expect(clippy::large_enum_variant, reason = "there is one, and it has its place")]
pub(super) enum Verdict {
    /// Its certificate has not come.
    Unknown,
    /// Its certificate is good; whether it has the key to it is open.
    Chain(ChainVerified, Claim),
    /// It is who it must be.
    Verified(PeerVerified),
    /// It is not.
    Refused(TlsFailure),
}

/// What the signature must be over, and with which key.
pub(super) struct Claim {
    transcript: Sha256,
    algorithm: AlgorithmIdentifier,
    key: Vec<u8, KEY_MAX>,
}

/// What embedded-tls asks.
pub(super) struct PeerVerifier<'a> {
    pub(super) credentials: &'a Credentials<'a>,
    pub(super) unix_now: Option<u64>,
    pub(super) verdict: &'a RefCell<Verdict>,
    pub(super) wire: &'a RefCell<Wire>,
}

impl TlsVerifier<Suite> for PeerVerifier<'_> {
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(&mut self, transcript: &Sha256, chain: CertificateRef<'_>) -> Result<(), TlsError> {
        let verdict = &mut *self.verdict.borrow_mut();
        *verdict = match verdict {
            Verdict::Unknown => self.chain(transcript, &chain).unwrap_or_else(Verdict::Refused),
            _ => Verdict::Refused(TlsFailure::new("the peer sent a second certificate", false)),
        };
        if matches!(verdict, Verdict::Chain(..)) { Ok(()) } else { Err(TlsError::InvalidCertificate) }
    }

    fn verify_signature(&mut self, signature: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        let verdict = &mut *self.verdict.borrow_mut();
        *verdict = match replace(verdict, Verdict::Unknown) {
            Verdict::Chain(chain, claim) => match chain.prove(|| claim.check(&signature)) {
                Ok(peer) => {
                    self.wire.borrow_mut().phase = Phase::Verified;
                    *verdict = Verdict::Verified(peer);
                    return Ok(());
                }
                Err(failure) => Verdict::Refused(failure),
            },
            _ => Verdict::Refused(TlsFailure::new("the peer sent a signature out of place", false)),
        };
        Err(TlsError::InvalidSignature)
    }
}

impl PeerVerifier<'_> {
    fn chain(&self, transcript: &Sha256, chain: &CertificateRef<'_>) -> Result<Verdict, TlsFailure> {
        let certificates: Vec<&[u8], CHAIN_MAX> = chain
            .entries
            .iter()
            .map(|entry| match *entry {
                CertificateEntryRef::X509(der) | CertificateEntryRef::RawPublicKey(der) => der,
            })
            .collect();
        let Some((leaf, intermediates)) = certificates.split_first() else {
            return Err(refusal(Reason::NoCertificate));
        };
        let Credentials { roots, crls, rules, profile, .. } = *self.credentials;
        let verifier = Verifier {
            roots,
            crls,
            rules,
            profile,
            peer_role: Role::Server,
            algorithms: ALGORITHMS,
            unix_now: self.unix_now,
        };
        let chain = verifier.verify(leaf, intermediates, &mut ()).map_err(TlsFailure::Certificate)?;

        let certificate = Certificate::parse(leaf).map_err(|_| refusal(Reason::Malformed))?;
        let (algorithm, key) = certificate.public_key();
        let algorithm = ALGORITHMS
            .iter()
            .map(|known| known.public_key_alg_id())
            .find(|known| known.as_ref() == algorithm)
            .ok_or_else(|| TlsFailure::new(UNSUPPORTED_KEY, false))?;
        let key = Vec::from_slice(key).map_err(|_| refusal(Reason::Malformed))?;
        Ok(Verdict::Chain(chain, Claim { transcript: transcript.clone(), algorithm, key }))
    }
}

impl Claim {
    /// RFC 8446 section 4.4.3.
    fn check(&self, signature: &CertificateVerifyRef<'_>) -> Result<(), TlsFailure> {
        let mut message = Vec::<u8, 130>::new();
        let parts: [&[u8]; 3] =
            [&[b' '; 64], b"TLS 1.3, server CertificateVerify\0", &self.transcript.clone().finalize()];
        // They fit.
        let _ = parts.iter().try_for_each(|part| message.extend_from_slice(part));
        algorithms::of_scheme(signature.signature_scheme)
            .filter(|algorithm| algorithm.public_key_alg_id() == self.algorithm)
            .and_then(|algorithm| algorithm.verify_signature(&self.key, &message, signature.signature).ok())
            .ok_or_else(|| TlsFailure::new("the peer does not have the key to its certificate", false))
    }
}

const UNSUPPORTED_KEY: &str = if cfg!(feature = "ed25519") {
    "the peer's certificate has a key of another kind than P-256 or Ed25519, which this stack does not have"
} else {
    "the peer's certificate has a key of another kind than P-256 (Ed25519 is a feature of the firmware)"
};

/// A certificate that is not there, or has no subject that can be shown.
pub(super) const fn refusal(reason: Reason) -> TlsFailure {
    TlsFailure::Certificate(Refusal { depth: 0, reason, subject: String::new() })
}
