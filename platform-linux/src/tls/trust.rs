//! Whom this end believes: the authorities, the rules for the peer's certificate, and what is revoked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use longcable_core::options::{CertProfile, NameKind, PeerRules, TlsOptions, Word};
use longcable_core::tls::Role;
use longcable_core::x509::{ChainVerified, Refusal, Verifier};
use rustls::pki_types::CertificateDer;

use super::algorithms::{self, Algorithm};
use super::revocation::Revocation;
use super::verify_script::{self, PeerVariables, Seen, Witness};
use crate::environment::Environment;
use crate::failure::Fatal;
use crate::scripts::Scripts;

/// What all sessions verify their peers with.
#[derive(Debug)]
pub(super) struct Trust {
    roots: Vec<CertificateDer<'static>>,
    rules: OwnedRules,
    profile: CertProfile,
    algorithms: Vec<Algorithm>,
    revocation: Revocation,
    scripts: Scripts,
    /// What the script of `tls-verify` sees besides the peer's certificates.
    environment: Mutex<Environment>,
    /// What is known of the last accepted peer, until somebody takes it.
    variables: Mutex<Option<PeerVariables>>,
}

impl Trust {
    pub(super) fn new(
        roots: Vec<CertificateDer<'static>>,
        options: &TlsOptions<'_>,
        scripts: Scripts,
        environment: Environment,
    ) -> Result<Self, Fatal> {
        Ok(Self {
            roots,
            rules: OwnedRules::new(&options.peer),
            profile: options.profile,
            algorithms: algorithms::for_certificates(options.profile),
            revocation: Revocation::load(options.crl)?,
            scripts,
            environment: Mutex::new(environment),
            variables: Mutex::default(),
        })
    }

    /// Verifies what the peer presents, but not that it has the key.
    pub(super) fn verify(
        &self,
        leaf: &[u8],
        intermediates: &[&[u8]],
        peer_role: Role,
        unix_now: u64,
    ) -> Result<(ChainVerified, Vec<Seen>), Refusal> {
        let lists = self.revocation.lists();
        let crls: Vec<&[u8]> = lists.iter().map(AsRef::as_ref).collect();
        let roots: Vec<&[u8]> = self.roots.iter().map(AsRef::as_ref).collect();
        let rules = self.rules.borrow();
        let verifier = Verifier {
            roots: &roots,
            crls: &crls,
            rules: &rules,
            profile: self.profile,
            peer_role,
            algorithms: &self.algorithms,
            unix_now: Some(unix_now),
        };
        let mut witness = Witness::new(&self.revocation, &rules.user_name_fields);
        let chain = verifier.verify(leaf, intermediates, &mut witness)?;
        Ok((chain, witness.seen))
    }

    /// Asks the script of `tls-verify` about a peer that has the key to what was seen of it.
    pub(super) fn ask_script(&self, seen: &[Seen]) -> Result<PeerVariables, Refusal> {
        verify_script::ask(&self.scripts, locked(&self.environment).clone(), seen)
    }

    pub(super) fn set_environment(&self, environment: Environment) {
        *locked(&self.environment) = environment;
    }

    pub(super) fn set_variables(&self, variables: PeerVariables) {
        *locked(&self.variables) = Some(variables);
    }

    pub(super) fn take_variables(&self) -> Option<PeerVariables> {
        locked(&self.variables).take()
    }
}

/// What lies in these locks is replaced as a whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rules without the configuration's text.
#[derive(Debug)]
struct OwnedRules {
    others: PeerRules<'static>,
    extended_key_usage: Option<String>,
    name: Option<(String, NameKind)>,
    user_name_fields: Vec<String>,
}

impl OwnedRules {
    fn new(rules: &PeerRules<'_>) -> Self {
        let PeerRules { role, key_usage, extended_key_usage, name, authority, peer, user_name_fields } = rules.clone();
        Self {
            others: PeerRules { role, key_usage, authority, peer, ..PeerRules::default() },
            extended_key_usage: extended_key_usage.map(|word| word.to_string()),
            name: name.map(|(word, kind)| (word.to_string(), kind)),
            user_name_fields: user_name_fields.iter().map(Word::to_string).collect(),
        }
    }

    fn borrow(&self) -> PeerRules<'_> {
        PeerRules {
            extended_key_usage: self.extended_key_usage.as_deref().map(Word::literal),
            name: self.name.as_ref().map(|(text, kind)| (Word::literal(text), *kind)),
            user_name_fields: self.user_name_fields.iter().map(|field| Word::literal(field)).collect(),
            ..self.others.clone()
        }
    }
}
