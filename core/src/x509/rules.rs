//! What the configuration wants of the peer besides a signature of an authority.

use core::fmt::{self, Write as _};

use super::certificate::{Certificate, Validity};
use super::extension::Extensions;
use super::name::Name;
use super::oid;
use super::verified::{COMMON_NAME_MAX, Reason, USER_NAME_MAX};
use crate::options::{Fingerprint, NameKind, PeerRules, Word};
use crate::time::UnixTime;

impl PeerRules<'_> {
    /// Checks the certificate at depth 0; `user_name` is its [`user_name`].
    pub(super) fn check_peer(
        &self,
        certificate: &Certificate<'_>,
        user_name: &str,
        has_issuer: bool,
    ) -> Result<(), Reason> {
        // A certificate that is trusted by itself has no depth 1 to compare.
        if !self.authority.is_empty() && !has_issuer {
            return Err(Reason::AuthorityFingerprint);
        }
        if !self.peer.is_empty() && !self.peer.contains(&certificate.sha256()) {
            return Err(Reason::Fingerprint);
        }
        self.check_key_usage(&certificate.extensions)?;
        self.check_extended_key_usage(&certificate.extensions)?;
        match &self.name {
            Some((name, kind)) if !is_named(*kind, name, certificate.subject(), user_name) => Err(Reason::Name),
            _ => Ok(()),
        }
    }

    /// Checks the certificate at depth 1.
    pub(super) fn check_authority(&self, certificate: &Certificate<'_>) -> Result<(), Reason> {
        let (sha1, sha256) = (certificate.sha1(), certificate.sha256());
        let is_listed = self.authority.iter().any(|listed| match listed {
            Fingerprint::Sha1(listed) => *listed == sha1,
            Fingerprint::Sha256(listed) => *listed == sha256,
        });
        if self.authority.is_empty() || is_listed { Ok(()) } else { Err(Reason::AuthorityFingerprint) }
    }

    /// Says what `reason` was found in.
    pub(super) fn explain(
        &self,
        reason: Reason,
        certificate: &Certificate<'_>,
        unix_now: Option<u64>,
        out: &mut impl fmt::Write,
    ) -> fmt::Result {
        match (reason, unix_now, &self.name) {
            (Reason::Fingerprint, ..) => {
                out.write_str("; its fingerprint is ")?;
                certificate.sha256().iter().enumerate().try_for_each(|(position, byte)| {
                    let separator = if position == 0 { "" } else { ":" };
                    write!(out, "{separator}{byte:02X}")
                })
            }
            (Reason::Name, _, Some((wanted, kind))) => {
                let name = user_name(certificate, &self.user_name_fields).unwrap_or_default();
                match kind {
                    NameKind::Subject => write!(out, "; demanded is the subject '{wanted}'"),
                    NameKind::Name => write!(out, "; demanded is the name '{wanted}', it has '{name}'"),
                    NameKind::NamePrefix => {
                        write!(out, "; demanded is a name that begins with '{wanted}', it has '{name}'")
                    }
                }
            }
            (Reason::Expired | Reason::NotYetValid | Reason::ClockNotSet, Some(now), _) => {
                let Validity { not_before, not_after } = certificate.validity();
                let [from, to, now] = [not_before, not_after, now].map(UnixTime);
                write!(out, "; valid from {from} to {to}, the clock here says {now}")
            }
            _ => Ok(()),
        }
    }

    fn check_key_usage(&self, extensions: &Extensions<'_>) -> Result<(), Reason> {
        if self.role.is_none() && self.key_usage.is_none() {
            return Ok(());
        }
        let bits = u16::from(extensions.key_usage.ok_or(Reason::KeyUsage)?);
        match &self.key_usage {
            Some(values) if !values.is_empty() && !values.iter().any(|value| bits & value == *value) => {
                Err(Reason::KeyUsage)
            }
            _ => Ok(()),
        }
    }

    fn check_extended_key_usage(&self, extensions: &Extensions<'_>) -> Result<(), Reason> {
        let has = |wanted: &dyn Fn(&[u8]) -> bool| {
            let found = extensions.extended_key_usage().is_some_and(|mut usages| usages.any(wanted));
            if found { Ok(()) } else { Err(Reason::ExtendedKeyUsage) }
        };
        if let Some(role) = self.role {
            has(&|usage| usage == oid::tls_usage(role))?;
        }
        if let Some(name) = &self.extended_key_usage {
            has(&|usage| oid::is_called(oid::USAGES, usage, |text| is_text(name, text)))?;
        }
        Ok(())
    }
}

/// The name of the certificate's user: what `x509-username-field` names, joined with `_`. Each is the last attribute that
/// is called so; with `ext:` the last mail address of the extension; with `serialNumber` the number of the certificate.
/// `_` stands for control characters. `None` if one of them is missing, empty, has a NUL or is longer than
/// [`COMMON_NAME_MAX`], or all together are longer than [`USER_NAME_MAX`].
pub fn user_name(certificate: &Certificate<'_>, fields: &[Word<'_>]) -> Option<heapless::String<USER_NAME_MAX>> {
    let mut name = heapless::String::new();
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            name.push('_').ok()?;
        }
        name.push_str(&field_value(certificate, field)?).ok()?;
    }
    (!name.is_empty()).then_some(name)
}

fn field_value(certificate: &Certificate<'_>, field: &Word<'_>) -> Option<heapless::String<COMMON_NAME_MAX>> {
    let mut value = heapless::String::new();
    if is_text(field, "serialNumber") {
        value.push_str("0x").ok()?;
        certificate.serial().bytes().iter().try_for_each(|byte| write!(value, "{byte:02X}")).ok()?;
        return Some(value);
    }
    // openvpn reads a field without any capital letter, such as `cn`, as one in capitals.
    let capitals = !field.chars().any(|character| character.is_ascii_uppercase());
    let letter = |letter: char| if capitals { letter.to_ascii_uppercase() } else { letter };
    let is_field = |text: &str| field.chars().map(letter).eq(text.chars());
    let text = if is_text(field, "ext:subjectAltName") {
        certificate.extensions.subject_mail()?
    } else if is_text(field, "ext:issuerAltName") {
        certificate.extensions.issuer_mail()?
    } else {
        certificate.subject().attributes().filter(|attribute| attribute.is_called(is_field)).last()?.value()
    };
    if text.chars().any(|character| character == '\0') {
        return None;
    }
    write!(value, "{text}").ok()?;
    (!value.is_empty()).then_some(value)
}

fn is_named(kind: NameKind, wanted: &Word<'_>, subject: &Name<'_>, user_name: &str) -> bool {
    match kind {
        NameKind::Subject => {
            let mut rest = Rest(wanted.chars());
            write!(rest, "{subject}").is_ok() && rest.0.next().is_none()
        }
        NameKind::Name => is_text(wanted, user_name),
        NameKind::NamePrefix => {
            let mut user_name = user_name.chars();
            wanted.chars().all(|character| user_name.next() == Some(character))
        }
    }
}

fn is_text(word: &Word<'_>, text: &str) -> bool {
    word.chars().eq(text.chars())
}

/// What is still to be written; everything else is an error.
struct Rest<I>(I);

impl<I: Iterator<Item = char>> fmt::Write for Rest<I> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| (self.0.next() == Some(character)).then_some(()).ok_or(fmt::Error))
    }
}
