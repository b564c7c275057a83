//! The results of a verification.

use core::fmt;

use heapless::String;

use super::name::cut;

/// Longest subject that is kept, in bytes; a longer one is cut off.
pub const SUBJECT_MAX: usize = match (cfg!(feature = "tls"), cfg!(feature = "host")) {
    (true, true) => 256,
    (true, false) => 128,
    (false, _) => 0,
};
/// Longest field that names a certificate's user, in bytes (protocol section 6.7).
pub const COMMON_NAME_MAX: usize = 64;
/// Longest name of a certificate's user in bytes, if several fields make it.
pub const USER_NAME_MAX: usize = 255;

/// A chain that leads to a trusted certificate, and whose owner is who the configuration wants; whether the peer has
/// the key to it is still open.
#[derive(Debug)]
pub struct ChainVerified(PeerVerified);

/// The peer has shown that it is who the configuration wants. Only [`ChainVerified::prove`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerVerified {
    subject: String<SUBJECT_MAX>,
    common_name: String<COMMON_NAME_MAX>,
    fingerprint: [u8; 32],
}

impl ChainVerified {
    pub(super) fn new(
        subject: String<SUBJECT_MAX>,
        common_name: String<COMMON_NAME_MAX>,
        fingerprint: [u8; 32],
    ) -> Self {
        Self(PeerVerified { subject, common_name, fingerprint })
    }

    /// Checks the signature over the handshake: `check` verifies it with the certificate's public key.
    ///
    /// # Errors
    /// The error of `check`.
    pub fn prove<E>(self, check: impl FnOnce() -> Result<(), E>) -> Result<PeerVerified, E> {
        check().map(|()| self.0)
    }
}

impl PeerVerified {
    /// For tests of what needs a verified peer.
    #[cfg(test)]
    pub(crate) fn for_test(subject: &str) -> Self {
        let text = |text: &str| text.chars().take(COMMON_NAME_MAX).collect();
        Self { subject: subject.chars().collect(), common_name: text(subject), fingerprint: [7; 32] }
    }

    /// The subject in openvpn's form, as in `C=XX, O=T, CN=server`; only printable characters.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The name of the certificate's user for the log: its common name, or what `x509-username-field` says. One of
    /// several fields is cut off after [`COMMON_NAME_MAX`] bytes; [`user_name`](super::user_name) gives all of it.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

/// A certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its place in the chain: 0 is the peer's own.
    pub depth: u8,
    /// Why.
    pub reason: Reason,
    /// Its subject, and what else helps to see why, as far as it fits.
    pub subject: String<SUBJECT_MAX>,
}

impl Refusal {
    /// A refusal; of a `subject` that is too long the rest is left out.
    pub fn new(depth: u8, reason: Reason, subject: impl fmt::Display) -> Self {
        Self { depth, reason, subject: cut(subject) }
    }
}

/// Why a certificate was refused. `Display` says what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The peer sent none.
    NoCertificate,
    /// It cannot be read.
    Malformed,
    /// No trusted certificate has signed it.
    UnknownIssuer,
    /// The issuer's signature on it is wrong, or of a kind that is not supported.
    BadSignature,
    /// Its validity is over.
    Expired,
    /// Its validity has not begun.
    NotYetValid,
    /// The clock of this machine is not set, so no certificate is valid yet.
    ClockNotSet,
    /// It signs others but is not for an authority, or the chain below it is too long.
    NotAnAuthority,
    /// `remote-cert-tls`, `remote-cert-ku`: its key usage is another.
    KeyUsage,
    /// `remote-cert-tls`, `remote-cert-eku`: its extended key usage is another.
    ExtendedKeyUsage,
    /// `verify-x509-name`.
    Name,
    /// `peer-fingerprint`.
    Fingerprint,
    /// `verify-hash`.
    AuthorityFingerprint,
    /// `crl-verify`: it is revoked.
    Revoked,
    /// `crl-verify`: the list of revoked certificates is out of date.
    RevocationListExpired,
    /// `crl-verify`: the list of its issuer cannot be read, has a wrong signature or is only a part of one.
    RevocationListUnusable,
    /// `tls-verify`: the script said no.
    Script,
    /// `x509-username-field`: it has no usable name.
    NoUserName,
    /// `tls-cert-profile`: its key or signature is too weak.
    Weak,
    /// A critical extension is not understood, or a name constraint is broken.
    Unsupported,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "the peer sent no certificate",
            Self::Malformed => "the certificate cannot be read",
            Self::UnknownIssuer => "unable to get local issuer certificate (no certificate in 'ca' has signed it)",
            Self::BadSignature => "certificate signature failure (wrong, or its algorithm is not supported)",
            Self::Expired => "certificate has expired",
            Self::NotYetValid => "certificate is not yet valid (compare the clocks of both ends)",
            Self::ClockNotSet => {
                "certificate is not yet valid: the clock of this machine is not set (start NTP before the link)"
            }
            Self::NotAnAuthority => "invalid CA certificate (it may not sign others, or the chain is too long)",
            Self::KeyUsage => "the certificate's key usage is not what 'remote-cert-tls' or 'remote-cert-ku' demands",
            Self::ExtendedKeyUsage => {
                "the certificate's extended key usage is not what the role, 'remote-cert-tls' or 'remote-cert-eku' \
                 demands"
            }
            Self::Name => "the name is not the one of 'verify-x509-name'",
            Self::Fingerprint => "the fingerprint is not in 'peer-fingerprint'",
            Self::AuthorityFingerprint => "the fingerprint of its authority is not in 'verify-hash'",
            Self::Revoked => "certificate revoked",
            Self::RevocationListExpired => "CRL has expired (replace the file of 'crl-verify')",
            Self::RevocationListUnusable => "CRL cannot be used (replace the file of 'crl-verify')",
            Self::Script => "the script of 'tls-verify' refused it",
            Self::NoUserName => "it has no usable name in the field of 'x509-username-field'",
            Self::Weak => "its key or signature is too weak for 'tls-cert-profile'",
            Self::Unsupported => "it demands something that is not supported (a critical extension or name constraint)",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { depth, reason, subject } = self;
        write!(f, "VERIFY ERROR: depth={depth}, error={reason}: {subject}")
    }
}
