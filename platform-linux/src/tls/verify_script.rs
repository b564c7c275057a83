//! What happens beside the verification of each certificate: log lines, variables for scripts, and the directory of
//! `crl-verify`; and `tls-verify` afterwards (protocol sections 5.4 and 6.7).

use longcable_core::options::Word;
use longcable_core::x509::{Certificate, Observer, Reason, Refusal, user_name};

use super::revocation::{Revocation, decimal};
use crate::environment::Environment;
use crate::log;
use crate::scripts::{Hook, Scripts};

/// Variables about a peer's certificates, for scripts.
pub(super) type PeerVariables = Vec<(String, String)>;

/// A certificate of a chain that is in order, as the script of `tls-verify` is told of it.
#[derive(Debug)]
pub(super) struct Seen {
    depth: u8,
    subject: String,
    variables: PeerVariables,
}

/// Sees every certificate of a chain, from the authority down to the peer's own.
pub(super) struct Witness<'w> {
    revocation: &'w Revocation,
    user_name_fields: &'w [Word<'w>],
    pub(super) seen: Vec<Seen>,
}

impl<'w> Witness<'w> {
    pub(super) fn new(revocation: &'w Revocation, user_name_fields: &'w [Word<'w>]) -> Self {
        Self { revocation, user_name_fields, seen: Vec::new() }
    }
}

impl Seen {
    fn new(depth: u8, certificate: &Certificate<'_>, user_name_fields: &[Word<'_>]) -> Self {
        let mut variables = PeerVariables::new();
        let mut set = |name: String, value: String| variables.push((name, value));
        let mut fields: Vec<String> = Vec::new();
        for attribute in certificate.subject().attributes() {
            let field = attribute.short_name().to_string();
            let repeated = fields.iter().filter(|known| **known == field).count();
            let suffix = if repeated > 0 { format!("_{repeated}") } else { String::new() };
            set(format!("X509_{depth}_{field}{suffix}"), attribute.value().to_string());
            fields.push(field);
        }
        if depth == 0
            && let Some(name) = user_name(certificate, user_name_fields)
        {
            set("common_name".to_owned(), name.to_string());
        }
        let (serial, subject) = (certificate.serial(), certificate.subject().to_string());
        set(format!("tls_id_{depth}"), subject.clone());
        set(format!("tls_digest_{depth}"), colons(&certificate.sha1()));
        set(format!("tls_digest_sha256_{depth}"), colons(&certificate.sha256()));
        set(format!("tls_serial_{depth}"), decimal(serial).unwrap_or_default());
        set(format!("tls_serial_hex_{depth}"), serial.hex().to_string());
        Self { depth, subject, variables }
    }
}

/// Asks the script of `tls-verify` about every certificate, in the order in which they were seen; returns the variables
/// of all. Only for a peer that has shown that it has the key: whoever has seen a certificate can present it.
pub(super) fn ask(scripts: &Scripts, mut environment: Environment, seen: &[Seen]) -> Result<PeerVariables, Refusal> {
    for Seen { depth, subject, variables } in seen.iter().filter(|_| scripts.has(Hook::TlsVerify)) {
        variables.iter().for_each(|(name, value)| environment.set(name, value));
        if let Err(failure) = scripts.tls_verify(&mut environment, *depth, subject) {
            log::warning(format_args!("{failure}"));
            return Err(Refusal::new(*depth, Reason::Script, subject));
        }
        log::line(1, format_args!("VERIFY SCRIPT OK: depth={depth}, {subject}"));
    }
    Ok(seen.iter().flat_map(|seen| seen.variables.clone()).collect())
}

impl Observer for Witness<'_> {
    fn certificate(&mut self, depth: u8, certificate: &Certificate<'_>) -> Result<(), Reason> {
        match self.revocation.is_in_directory(certificate.serial()) {
            Ok(false) => {}
            Ok(true) => return Err(Reason::Revoked),
            Err(error) => {
                log::warning(format_args!("WARNING: option 'crl-verify': the directory cannot be read: {error}"));
                return Err(Reason::RevocationListUnusable);
            }
        }
        let seen = Seen::new(depth, certificate, self.user_name_fields);
        log::line(1, format_args!("VERIFY OK: depth={depth}, {}", seen.subject));
        self.seen.push(seen);
        Ok(())
    }

    fn without_crl(&mut self, depth: u8, certificate: &Certificate<'_>) {
        log::warning(format_args!(
            "VERIFY WARNING: depth={depth}, 'crl-verify' has no list of this issuer: {}",
            certificate.subject()
        ));
    }
}

fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}
