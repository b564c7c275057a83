//! What this stack cannot do is said when the link is configured.

use longcable_core::options::{ControlKey, LinkConfig, RevocationList, TlsVersion, Word};
use longcable_core::tls::Role;

use super::CLIENT_ONLY;

/// Checks that this stack can serve a link; a link with a static key needs none.
///
/// # Errors
/// It cannot: the text names the option to change.
pub fn check(config: &LinkConfig<'_>) -> Result<(), &'static str> {
    let tls = &config.tls;
    let Some(role) = tls.role else { return Ok(()) };
    let problem = [
        (role == Role::Server, CLIENT_ONLY),
        (
            tls.wrapping == ControlKey::None,
            "set 'tls-crypt', 'tls-crypt-v2' or 'tls-auth': only holders of such a key may reach the TLS code of a board",
        ),
        (tls.version_max < TlsVersion::V13, "'tls-version-max': this stack has TLS 1.3 only; leave the option out"),
        (
            tls.ciphersuites.is_some_and(|list| !lists(list, &["TLS_AES_128_GCM_SHA256"])),
            "'tls-ciphersuites': this stack has TLS_AES_128_GCM_SHA256 only",
        ),
        (
            tls.groups.is_some_and(|list| !lists(list, &["prime256v1", "secp256r1", "P-256"])),
            "'tls-groups' or 'ecdh-curve': this stack has prime256v1 only",
        ),
        (tls.pkcs12.is_some(), "'pkcs12': give this stack 'ca', 'cert' and 'key' in PEM"),
        (
            tls.extra_certs.is_some(),
            "'extra-certs': this stack sends one certificate; have its issuer in the peer's 'ca'",
        ),
        (
            matches!(tls.crl, Some(RevocationList::Directory(_))),
            "'crl-verify' with a directory: give this stack one list in PEM",
        ),
    ];
    problem.iter().find(|(applies, _)| *applies).map_or(Ok(()), |&(_, text)| Err(text))
}

/// Whether a list with colons has one of these names.
fn lists(list: Word<'_>, names: &[&str]) -> bool {
    list.as_str()
        .is_some_and(|list| list.split(':').any(|entry| names.iter().any(|name| entry.eq_ignore_ascii_case(name))))
}
