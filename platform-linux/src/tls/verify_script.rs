//! What happens beside the verification of each certificate: log lines, variables for scripts, `tls-verify`, and the
//! directory of `crl-verify` (protocol sections 5.4 and 6.7).

use longcable_core::options::Word;
use longcable_core::x509::{Certificate, Observer, Reason, user_name};

use super::revocation::{Revocation, decimal};
use crate::environment::Environment;
use crate::log;
use crate::scripts::{Hook, Scripts};

/// Variables about a peer's certificates, for scripts.
pub(super) type PeerVariables = Vec<(String, String)>;

/// Sees every certificate of a chain, from the authority down to the peer's own.
pub(super) struct Witness<'w> {
    revocation: &'w Revocation,
    scripts: &'w Scripts,
    environment: Environment,
    user_name_field: &'w Word<'w>,
    variables: PeerVariables,
}

impl<'w> Witness<'w> {
    pub(super) fn new(
        revocation: &'w Revocation,
        scripts: &'w Scripts,
        environment: Environment,
        user_name_field: &'w Word<'w>,
    ) -> Self {
        Self { revocation, scripts, environment, user_name_field, variables: Vec::new() }
    }

    pub(super) fn into_variables(self) -> PeerVariables {
        self.variables
    }

    fn set(&mut self, name: String, value: String) {
        self.environment.set(&name, &value);
        self.variables.push((name, value));
    }

    fn describe(&mut self, depth: u8, certificate: &Certificate<'_>) {
        let mut fields: Vec<String> = Vec::new();
        for attribute in certificate.subject().attributes() {
            let field = attribute.short_name().to_string();
            let repeated = fields.iter().filter(|known| **known == field).count();
            let suffix = if repeated > 0 { format!("_{repeated}") } else { String::new() };
            self.set(format!("X509_{depth}_{field}{suffix}"), attribute.value().to_string());
            fields.push(field);
        }
        if depth == 0
            && let Some(name) = user_name(certificate, self.user_name_field)
        {
            self.set("common_name".to_owned(), name.to_string());
        }
        let serial = certificate.serial();
        self.set(format!("tls_id_{depth}"), certificate.subject().to_string());
        self.set(format!("tls_digest_{depth}"), colons(&certificate.sha1()));
        self.set(format!("tls_digest_sha256_{depth}"), colons(&certificate.sha256()));
        self.set(format!("tls_serial_{depth}"), decimal(serial).unwrap_or_default());
        self.set(format!("tls_serial_hex_{depth}"), serial.hex().to_string());
    }
}

impl Observer for Witness<'_> {
    fn certificate(&mut self, depth: u8, certificate: &Certificate<'_>) -> Result<(), Reason> {
        self.describe(depth, certificate);
        let subject = certificate.subject().to_string();
        if self.scripts.has(Hook::TlsVerify) {
            if let Err(failure) = self.scripts.tls_verify(&mut self.environment, depth, &subject) {
                log::warning(format_args!("{failure}"));
                return Err(Reason::Script);
            }
            log::line(1, format_args!("VERIFY SCRIPT OK: depth={depth}, {subject}"));
        }
        match self.revocation.is_in_directory(certificate.serial()) {
            Ok(false) => {}
            Ok(true) => return Err(Reason::Revoked),
            Err(error) => {
                log::warning(format_args!("WARNING: option 'crl-verify': the directory cannot be read: {error}"));
                return Err(Reason::RevocationListUnusable);
            }
        }
        log::line(1, format_args!("VERIFY OK: depth={depth}, {subject}"));
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
