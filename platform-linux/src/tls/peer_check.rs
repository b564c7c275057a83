//! What rustls asks about the peer's certificate, answered by the engine's verifier.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longcable_core::tls::Role;
use longcable_core::x509::{ChainVerified, PeerVerified, Reason, Refusal};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use super::algorithms::{handshake_schemes, verify_handshake};
use super::trust::Trust;
use super::verify_script::{PeerVariables, Seen};

/// The verifier of one session.
#[derive(Debug)]
pub(super) struct PeerCheck {
    trust: Arc<Trust>,
    peer_role: Role,
    unix_now: u64,
    result: Mutex<CheckResult>,
}

#[derive(Debug)]
enum CheckResult {
    Nothing,
    Chain(ChainVerified, Vec<Seen>),
    Peer(PeerVerified, PeerVariables),
    Taken(PeerVariables),
    Refused(Refusal),
}

impl PeerCheck {
    pub(super) fn new(trust: Arc<Trust>, peer_role: Role, unix_now: u64) -> Self {
        Self { trust, peer_role, unix_now, result: Mutex::new(CheckResult::Nothing) }
    }

    /// The peer, if chain and signature have been verified.
    pub(super) fn take_peer(&self) -> Option<PeerVerified> {
        let mut result = self.result();
        match std::mem::replace(&mut *result, CheckResult::Nothing) {
            CheckResult::Peer(peer, variables) => {
                *result = CheckResult::Taken(variables);
                Some(peer)
            }
            _ => None,
        }
    }

    /// The peer that was taken is the one of the link.
    pub(super) fn accept(&self) {
        if let CheckResult::Taken(variables) = std::mem::replace(&mut *self.result(), CheckResult::Nothing) {
            self.trust.set_variables(variables);
        }
    }

    /// Why the peer was refused, if its certificate was the reason.
    pub(super) fn take_refusal(&self) -> Option<Refusal> {
        match std::mem::replace(&mut *self.result(), CheckResult::Nothing) {
            CheckResult::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    fn result(&self) -> MutexGuard<'_, CheckResult> {
        // A result is replaced as a whole.
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verify_chain(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), Error> {
        let intermediates: Vec<&[u8]> = intermediates.iter().map(AsRef::as_ref).collect();
        let verified = self.trust.verify(leaf, &intermediates, self.peer_role, self.unix_now);
        let (chain, seen) = verified.map_err(|refusal| self.refuse(refusal))?;
        *self.result() = CheckResult::Chain(chain, seen);
        Ok(())
    }

    /// Turns the verified chain into a verified peer if `check` finds its signature in order, and then `tls-verify` has
    /// nothing against it.
    fn verify_signature(
        &self,
        check: impl FnOnce() -> Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let CheckResult::Chain(chain, seen) = std::mem::replace(&mut *self.result(), CheckResult::Nothing) else {
            return Err(Error::General("a signature without a verified chain".to_owned()));
        };
        let mut variables = PeerVariables::new();
        let peer = chain.prove(|| {
            check()?;
            variables = self.trust.ask_script(&seen).map_err(|refusal| self.refuse(refusal))?;
            Ok::<_, Error>(())
        })?;
        *self.result() = CheckResult::Peer(peer, variables);
        Ok(HandshakeSignatureValid::assertion())
    }

    /// Keeps a refusal, and gives what rustls is told.
    fn refuse(&self, refusal: Refusal) -> Error {
        let error = Error::InvalidCertificate(certificate_error(&refusal));
        *self.result() = CheckResult::Refused(refusal);
        error
    }
}

impl ServerCertVerifier for PeerCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify_chain(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(|| verify_handshake(message, cert, dss, false))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(|| verify_handshake(message, cert, dss, true))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        handshake_schemes()
    }
}

impl ClientCertVerifier for PeerCheck {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // The peer has one certificate and sends it, whoever is named here.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify_chain(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(|| verify_handshake(message, cert, dss, false))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(|| verify_handshake(message, cert, dss, true))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        handshake_schemes()
    }
}

/// What makes rustls send the alert that fits best.
fn certificate_error(refusal: &Refusal) -> CertificateError {
    match refusal.reason {
        // bad_certificate
        Reason::NoCertificate | Reason::Malformed | Reason::Weak => CertificateError::BadEncoding,
        Reason::Unsupported => CertificateError::UnhandledCriticalExtension,
        Reason::Name | Reason::NoUserName => CertificateError::NotValidForName,
        // unknown_ca
        Reason::UnknownIssuer | Reason::NotAnAuthority => CertificateError::UnknownIssuer,
        Reason::RevocationListExpired | Reason::RevocationListUnusable => CertificateError::UnknownRevocationStatus,
        // decrypt_error
        Reason::BadSignature => CertificateError::BadSignature,
        // certificate_expired
        Reason::Expired => CertificateError::Expired,
        // certificate_revoked
        Reason::Revoked => CertificateError::Revoked,
        // unsupported_certificate
        Reason::KeyUsage | Reason::ExtendedKeyUsage => CertificateError::InvalidPurpose,
        // access_denied
        Reason::Fingerprint | Reason::AuthorityFingerprint | Reason::Script => {
            CertificateError::ApplicationVerificationFailure
        }
        // certificate_unknown: a clock is to blame, and the peer is not to be told that its certificate has expired
        Reason::NotYetValid | Reason::ClockNotSet => CertificateError::Other(OtherError(Arc::new(ClockIsWrong))),
    }
}

#[derive(Debug)]
struct ClockIsWrong;

impl fmt::Display for ClockIsWrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the clock is not set")
    }
}

impl std::error::Error for ClockIsWrong {}
