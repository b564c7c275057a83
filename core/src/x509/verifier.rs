//! From a presented certificate to a trusted one.
//!
//! The search is our own because rustls-webpki needs a clock, ignores key usages and the dates of trusted
//! certificates, and refuses what openvpn's users have: version 1 and self-signed certificates with the CA flag.

use heapless::Vec;
use rustls_pki_types::SignatureVerificationAlgorithm;

use super::certificate::{Certificate, PublicKey, Signed, Validity};
use super::crl::Crl;
use super::extension::key_usage;
use super::name::{Name, cut};
use super::profile;
use super::rules::user_name;
use super::verified::{ChainVerified, Reason, Refusal, USER_NAME_MAX};
use crate::options::{CertProfile, PeerRules};
use crate::tls::Role;

/// The most certificates in a chain, the peer's and the trusted one included.
pub const CHAIN_MAX: usize = 8;
/// The most signatures that are checked while a chain is searched, so that a peer cannot keep this end busy.
const SIGNATURES_MAX: u8 = 24;
/// 2024-01-01: a clock that shows less is not set (s since 1970).
const CLOCK_SET: u64 = 1_704_067_200;

/// What the peer's certificate is checked against.
///
/// Chain: from the peer's certificate, through the ones that were presented and those of `roots`, to a self-signed
/// one in `roots`; a self-signed one of the peer may itself be there. Every issuer must be an authority for this use.
/// Without `roots` the peer's certificate must be in [`PeerRules::peer`] and there is no chain.
/// Then [`PeerRules`], from the top down.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'v> {
    /// The certificates of `ca`, each in DER.
    pub roots: &'v [&'v [u8]],
    /// The lists of `crl-verify`, each in DER; those of several issuers may be mixed.
    pub crls: &'v [&'v [u8]],
    /// What the peer must be like.
    pub rules: &'v PeerRules<'v>,
    /// `tls-cert-profile`.
    pub profile: CertProfile,
    /// The end of TLS that the peer is.
    pub peer_role: Role,
    /// The signatures that can be checked.
    pub algorithms: &'v [&'v dyn SignatureVerificationAlgorithm],
    /// Seconds since 1970; `None` on a machine without a clock, where nothing expires.
    pub unix_now: Option<u64>,
}

/// Watches a verification, and may refuse what it sees.
pub trait Observer {
    /// A certificate has passed the checks. Called from the trusted one (highest `depth`) down to the peer's own (0).
    ///
    /// # Errors
    /// It is refused for this reason.
    fn certificate(&mut self, depth: u8, certificate: &Certificate<'_>) -> Result<(), Reason>;

    /// There are lists of revoked certificates, but none from the issuer of this certificate, which passes.
    fn without_crl(&mut self, _depth: u8, _certificate: &Certificate<'_>) {}
}

/// Nothing is watched.
impl Observer for () {
    fn certificate(&mut self, _depth: u8, _certificate: &Certificate<'_>) -> Result<(), Reason> {
        Ok(())
    }
}

type Chain<'c> = Vec<Certificate<'c>, CHAIN_MAX>;

/// A certificate of the chain is refused. Smaller than a [`Refusal`], for the stack of the search.
struct Fault<'c> {
    depth: usize,
    reason: Reason,
    subject: Name<'c>,
}

impl Fault<'_> {
    /// How much it says about why no chain was found, if other attempts have failed as well: more if the issuer was
    /// found, and the further up it is.
    fn telling(&self) -> impl Ord + use<> {
        let issuer_found = !matches!(self.reason, Reason::UnknownIssuer | Reason::BadSignature);
        (issuer_found, self.depth, self.reason == Reason::BadSignature)
    }
}

impl Verifier<'_> {
    /// Verifies `leaf` with the help of `intermediates` (in any order), all in DER.
    ///
    /// # Errors
    /// A certificate is refused.
    pub fn verify(
        &self,
        leaf: &[u8],
        intermediates: &[&[u8]],
        observer: &mut dyn Observer,
    ) -> Result<ChainVerified, Refusal> {
        let unreadable = if leaf.is_empty() { Reason::NoCertificate } else { Reason::Malformed };
        let leaf = Certificate::parse(leaf).map_err(|_| Refusal::new(0, unreadable, ""))?;
        let mut chain = Chain::new();
        let user_name = self.find_and_check(leaf, &mut chain, intermediates, observer).map_err(|fault| {
            let Fault { depth, reason, subject } = fault;
            let mut subject = cut(subject);
            if depth == 0 {
                // What does not fit is left out.
                let _ = self.rules.explain(reason, &leaf, self.unix_now, &mut subject);
            }
            Refusal { depth: u8::try_from(depth).unwrap_or(u8::MAX), reason, subject }
        })?;
        Ok(ChainVerified::new(cut(leaf.subject()), cut(user_name), leaf.sha256()))
    }

    fn find_and_check<'c>(
        &'c self,
        leaf: Certificate<'c>,
        chain: &mut Chain<'c>,
        intermediates: &'c [&'c [u8]],
        observer: &mut dyn Observer,
    ) -> Result<heapless::String<USER_NAME_MAX>, Fault<'c>> {
        let refuse = |reason| Fault { depth: 0, reason, subject: *leaf.subject() };
        // It is empty, so this fits.
        let _ = chain.push(leaf);
        if !self.roots.is_empty() {
            self.find_trusted(chain, intermediates, &mut SIGNATURES_MAX.clone())?;
            leaf.extensions.allow_tls(self.peer_role, false).map_err(refuse)?;
            self.check_revocation(chain, observer)?;
        } else if self.rules.peer.is_empty() {
            return Err(refuse(Reason::UnknownIssuer));
        }
        self.check_itself(&leaf).map_err(refuse)?;
        let user_name = user_name(&leaf, &self.rules.user_name_fields).ok_or(refuse(Reason::NoUserName))?;
        for (depth, certificate) in chain.iter().enumerate().rev() {
            let checked = match depth {
                0 => self.rules.check_peer(certificate, &user_name, chain.len() > 1),
                1 => self.rules.check_authority(certificate),
                _ => Ok(()),
            };
            checked
                .and_then(|()| observer.certificate(u8::try_from(depth).unwrap_or(u8::MAX), certificate))
                .map_err(|reason| Fault { depth, reason, subject: *certificate.subject() })?;
        }
        Ok(user_name)
    }

    /// Extends `chain` until it ends in a trusted certificate.
    fn find_trusted<'c>(
        &'c self,
        chain: &mut Chain<'c>,
        intermediates: &'c [&'c [u8]],
        signatures_left: &mut u8,
    ) -> Result<(), Fault<'c>> {
        let length = chain.len();
        let depth = length.saturating_sub(1);
        let Some(last) = chain.last().copied() else { return Ok(()) };
        if last.is_self_issued() && self.roots.contains(&last.der()) {
            return Ok(());
        }
        let mut fault = Fault { depth, reason: Reason::UnknownIssuer, subject: *last.subject() };
        for der in self.roots.iter().chain(intermediates) {
            let Ok(issuer) = Certificate::parse(der) else { continue };
            if !issuer.may_have_issued(&last) || chain.iter().any(|known| known.der() == issuer.der()) {
                continue;
            }
            let found = match chain.push(issuer) {
                Ok(()) => self
                    .check_issuer(chain, &last, &issuer, signatures_left)
                    .and_then(|()| self.find_trusted(chain, intermediates, signatures_left)),
                Err(_) => Err(Fault { depth: length, reason: Reason::NotAnAuthority, subject: *issuer.subject() }),
            };
            match found {
                Ok(()) => return Ok(()),
                Err(found) if found.telling() > fault.telling() => fault = found,
                Err(_) => {}
            }
            chain.truncate(length);
        }
        Err(fault)
    }

    /// Checks `issuer`, the end of the chain, and its signature on the one before it.
    fn check_issuer<'c>(
        &self,
        chain: &Chain<'c>,
        signed: &Certificate<'c>,
        issuer: &Certificate<'c>,
        signatures_left: &mut u8,
    ) -> Result<(), Fault<'c>> {
        let depth = chain.len().saturating_sub(1);
        let refuse = |reason| Fault { depth, reason, subject: *issuer.subject() };
        // Self-issued ones do not count, they only renew a key (RFC 5280 section 4.2.1.9).
        let below = chain.iter().take(depth).skip(1).filter(|certificate| !certificate.is_self_issued()).count();
        let is_authority = match issuer.extensions.basic_constraints {
            Some(constraints) => {
                constraints.authority && constraints.path_length.is_none_or(|most| below <= usize::from(most))
            }
            // The first version had no extensions; as a trusted certificate it is an authority by being one.
            None => issuer.version == 1 && issuer.is_self_issued() && self.roots.contains(&issuer.der()),
        };
        if !is_authority || issuer.extensions.key_usage.is_some_and(|bits| bits & key_usage::CERTIFICATE_SIGN == 0) {
            return Err(refuse(Reason::NotAnAuthority));
        }
        issuer.extensions.allow_tls(self.peer_role, true).map_err(refuse)?;

        let refuse_signed = |reason| Fault { depth: depth.saturating_sub(1), reason, subject: *signed.subject() };
        *signatures_left = signatures_left.checked_sub(1).ok_or(refuse_signed(Reason::UnknownIssuer))?;
        self.check_signature(&signed.signed, &issuer.key).map_err(refuse_signed)?;
        profile::check_signature(self.profile, signed.signed.algorithm).map_err(refuse_signed)?;
        self.check_itself(issuer).map_err(refuse)
    }

    /// Checks what does not depend on other certificates.
    fn check_itself(&self, certificate: &Certificate<'_>) -> Result<(), Reason> {
        if certificate.extensions.unsupported {
            return Err(Reason::Unsupported);
        }
        let Validity { not_before, not_after } = certificate.validity();
        self.check_begun(not_before)?;
        if self.unix_now.is_some_and(|now| now > not_after) {
            return Err(Reason::Expired);
        }
        profile::check_key(self.profile, &certificate.key)
    }

    fn check_begun(&self, not_before: u64) -> Result<(), Reason> {
        match self.unix_now {
            Some(now) if now < not_before && now < CLOCK_SET => Err(Reason::ClockNotSet),
            Some(now) if now < not_before => Err(Reason::NotYetValid),
            _ => Ok(()),
        }
    }

    fn check_signature(&self, signed: &Signed<'_>, key: &PublicKey<'_>) -> Result<(), Reason> {
        let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.signature_alg_id().as_ref() == signed.algorithm
                && algorithm.public_key_alg_id().as_ref() == key.algorithm
        };
        let algorithm = self.algorithms.iter().find(fits).ok_or(Reason::BadSignature)?;
        algorithm.verify_signature(key.bits, signed.message, signed.signature).map_err(|_| Reason::BadSignature)
    }

    /// Looks for every certificate of the chain in the list of its issuer; a trusted one is its own issuer.
    fn check_revocation<'c>(&self, chain: &Chain<'c>, observer: &mut dyn Observer) -> Result<(), Fault<'c>> {
        if self.crls.is_empty() {
            return Ok(());
        }
        let issuers = chain.iter().skip(1).chain(chain.last());
        for (depth, (certificate, issuer)) in chain.iter().zip(issuers).enumerate() {
            let refuse = |reason| Fault { depth, reason, subject: *certificate.subject() };
            if !self.has_good_list(certificate, issuer).map_err(refuse)? {
                observer.without_crl(u8::try_from(depth).unwrap_or(u8::MAX), certificate);
            }
        }
        Ok(())
    }

    /// Whether there is a current list of this issuer; an error if that one lists the certificate.
    fn has_good_list(&self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> Result<bool, Reason> {
        let mut result = Ok(false);
        for der in self.crls {
            let crl = Crl::parse(der).map_err(|_| Reason::RevocationListUnusable)?;
            if crl.issuer() != issuer.subject() {
                continue;
            }
            let signs_lists = issuer.extensions.key_usage.is_none_or(|bits| bits & key_usage::CRL_SIGN != 0);
            let usable = signs_lists && !crl.unsupported && self.check_signature(&crl.signed, &issuer.key).is_ok();
            if usable && crl.lists(certificate.serial()) {
                return Err(Reason::Revoked);
            }
            let expired = self.unix_now.is_some_and(|now| crl.next_update().is_some_and(|next| now > next));
            let checked = if !usable {
                Err(Reason::RevocationListUnusable)
            } else if expired {
                Err(Reason::RevocationListExpired)
            } else {
                self.check_begun(crl.this_update()).map(|()| true)
            };
            // Of several lists of one issuer, one that is good is enough.
            if result != Ok(true) {
                result = checked;
            }
        }
        result
    }
}
