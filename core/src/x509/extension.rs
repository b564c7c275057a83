//! The extensions of a certificate that decide what it may be used for (RFC 5280 section 4.2).

use der::{Tag, TagNumber, Tagged as _, asn1::AnyRef};

use super::certificate::Unreadable;
use super::der_input::{Input, named_bits, whole};
use super::name::Text;
use super::oid;
use super::verified::Reason;
use crate::tls::Role;

/// What was found; an absent extension is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extensions<'a> {
    pub(super) basic_constraints: Option<BasicConstraints>,
    /// Bit n of RFC 5280 is bit 7-n; without `decipherOnly`.
    pub(super) key_usage: Option<u8>,
    extended_key_usage: Option<&'a [u8]>,
    netscape_type: Option<u8>,
    subject_alternative_names: Option<&'a [u8]>,
    issuer_alternative_names: Option<&'a [u8]>,
    pub(super) subject_key_id: Option<&'a [u8]>,
    pub(super) authority_key_id: Option<&'a [u8]>,
    /// Something that must be understood, and is not.
    pub(super) unsupported: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct BasicConstraints {
    pub(super) authority: bool,
    /// How many other authorities may be between this one and the peer.
    pub(super) path_length: Option<u8>,
}

/// Bits of [`Extensions::key_usage`].
pub(super) mod key_usage {
    pub(in super::super) const DIGITAL_SIGNATURE: u8 = 0x80;
    pub(in super::super) const KEY_ENCIPHERMENT: u8 = 0x20;
    pub(in super::super) const KEY_AGREEMENT: u8 = 0x08;
    pub(in super::super) const CERTIFICATE_SIGN: u8 = 0x04;
    pub(in super::super) const CRL_SIGN: u8 = 0x02;
}

impl<'a> Extensions<'a> {
    /// Reads the contents of the sequence of extensions.
    pub(super) fn read(contents: &'a [u8]) -> Result<Self, Unreadable> {
        let mut found = Self::default();
        for_each(contents, |oid, critical, value| found.take(oid, critical, value))?;
        Ok(found)
    }

    fn take(&mut self, oid: &[u8], critical: bool, value: &'a [u8]) -> Result<(), Unreadable> {
        match oid {
            oid::BASIC_CONSTRAINTS => once(&mut self.basic_constraints, BasicConstraints::read(value)?),
            oid::KEY_USAGE => once(&mut self.key_usage, whole(value, |input| named_bits(input.take(Tag::BitString)?))?),
            oid::NETSCAPE_TYPE => {
                once(&mut self.netscape_type, whole(value, |input| named_bits(input.take(Tag::BitString)?))?)
            }
            oid::EXTENDED_KEY_USAGE => {
                let usages = whole(value, |input| input.take(Tag::Sequence))?;
                values_checked(
                    usages,
                    |usage| if usage.tag() == Tag::ObjectIdentifier { Ok(()) } else { Err(Unreadable) },
                )?;
                once(&mut self.extended_key_usage, usages)
            }
            oid::SUBJECT_ALT_NAME => {
                let names = whole(value, |input| input.take(Tag::Sequence))?;
                values_checked(names, |_| Ok(()))?;
                once(&mut self.subject_alternative_names, names)
            }
            oid::ISSUER_ALT_NAME => {
                self.unsupported |= critical;
                let names = whole(value, |input| input.take(Tag::Sequence))?;
                values_checked(names, |_| Ok(()))?;
                once(&mut self.issuer_alternative_names, names)
            }
            oid::SUBJECT_KEY_ID => once(&mut self.subject_key_id, whole(value, |input| input.take(Tag::OctetString))?),
            oid::AUTHORITY_KEY_ID => {
                let parts = whole(value, |input| input.take(Tag::Sequence))?;
                values_checked(parts, |_| Ok(()))?;
                let key_id = values(parts).find(|part| part.tag() == implicit(TagNumber::N0));
                self.authority_key_id = key_id.map(AnyRef::value);
                Ok(())
            }
            // Without restrictions on the policies that are wanted, every policy is fine.
            oid::CERTIFICATE_POLICIES => Ok(()),
            // Too rare in a VPN to be worth the code; refused, so never broken.
            oid::NAME_CONSTRAINTS => {
                self.unsupported = true;
                Ok(())
            }
            _ => {
                self.unsupported |= critical;
                Ok(())
            }
        }
    }

    /// Object identifiers of the extended key usage; `None` without the extension.
    pub(super) fn extended_key_usage(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        self.extended_key_usage.map(|usages| values(usages).map(AnyRef::value))
    }

    /// Whether the end `role` may use the certificate for TLS, as an authority (which signs for that) or by itself,
    /// by OpenSSL's rules: what an extension does not forbid is allowed.
    pub(super) fn allow_tls(&self, role: Role, authority: bool) -> Result<(), Reason> {
        let wanted = oid::tls_usage(role);
        if self.extended_key_usage().is_some_and(|mut usages| !usages.any(|usage| usage == wanted)) {
            return Err(Reason::ExtendedKeyUsage);
        }
        if authority {
            return Ok(());
        }
        let (usages, netscape) = match role {
            Role::Client => (key_usage::DIGITAL_SIGNATURE | key_usage::KEY_AGREEMENT, 0x80),
            Role::Server => {
                (key_usage::DIGITAL_SIGNATURE | key_usage::KEY_AGREEMENT | key_usage::KEY_ENCIPHERMENT, 0x40)
            }
        };
        let forbids = |extension: Option<u8>, needed| extension.is_some_and(|bits| bits & needed == 0);
        if forbids(self.key_usage, usages) || forbids(self.netscape_type, netscape) {
            return Err(Reason::KeyUsage);
        }
        Ok(())
    }

    /// The last mail address among the subject's alternative names.
    pub(super) fn subject_mail(&self) -> Option<Text<'a>> {
        last_mail(self.subject_alternative_names?)
    }

    /// The last mail address among the issuer's alternative names.
    pub(super) fn issuer_mail(&self) -> Option<Text<'a>> {
        last_mail(self.issuer_alternative_names?)
    }
}

fn last_mail(names: &[u8]) -> Option<Text<'_>> {
    let mails = values(names).filter(|name| name.tag() == implicit(TagNumber::N1));
    mails.last().map(|name| Text::new(Tag::Ia5String, name.value()))
}

impl BasicConstraints {
    fn read(value: &[u8]) -> Result<Self, Unreadable> {
        whole(whole(value, |input| input.take(Tag::Sequence))?, |input| {
            let authority = input.flag()?;
            let path_length = match input.take_if(Tag::Integer)? {
                None => None,
                Some([length @ 0..0x80]) => Some(*length),
                Some([0x80..=0xff, ..] | []) => return Err(Unreadable),
                Some(_) => Some(u8::MAX),
            };
            Ok(Self { authority, path_length })
        })
    }
}

/// Hands every extension to `take`: identifier, whether it is critical, and its value.
pub(super) fn for_each<'a>(
    contents: &'a [u8],
    mut take: impl FnMut(&'a [u8], bool, &'a [u8]) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    whole(contents, |input| {
        while !input.is_empty() {
            whole(input.take(Tag::Sequence)?, |input| {
                take(input.take(Tag::ObjectIdentifier)?, input.flag()?, input.take(Tag::OctetString)?)
            })?;
        }
        Ok(())
    })
}

/// Fills `place`; an extension must not come twice.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Unreadable> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Unreadable),
    }
}

/// `[number]` instead of the value's own tag.
const fn implicit(number: TagNumber) -> Tag {
    Tag::ContextSpecific { constructed: false, number }
}

/// Hands every value of a sequence to `check`.
fn values_checked<'a>(
    sequence: &'a [u8],
    mut check: impl FnMut(AnyRef<'a>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    whole(sequence, |input| {
        while !input.is_empty() {
            check(input.any()?)?;
        }
        Ok(())
    })
}

/// The values of a sequence that has been checked.
fn values(sequence: &[u8]) -> impl Iterator<Item = AnyRef<'_>> {
    let mut input = Input::new(sequence).ok();
    core::iter::from_fn(move || input.as_mut()?.any().ok())
}
