//! Lists of revoked certificates (RFC 5280 section 5).

use der::{Tag, TagNumber};

use super::certificate::{Serial, Signed, Unreadable};
use super::der_input::{Input, explicit, whole};
use super::extension::for_each;
use super::name::Name;

/// A view of a list in DER, version 1 or 2. Its form has been checked, nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Crl<'a> {
    pub(super) signed: Signed<'a>,
    issuer: Name<'a>,
    this_update: u64,
    next_update: Option<u64>,
    revoked: &'a [u8],
    /// It is only a part of the truth (a delta, or for some certificates), or not understood.
    pub(super) unsupported: bool,
}

impl<'a> Crl<'a> {
    /// Reads a list.
    ///
    /// # Errors
    /// It is none, or something follows it.
    pub fn parse(der: &'a [u8]) -> Result<Self, Unreadable> {
        let signed = Signed::read(der)?;
        let tbs = whole(signed.message, |input| input.take(Tag::Sequence))?;
        whole(tbs, |input| {
            if !matches!(input.take_if(Tag::Integer)?, None | Some([1])) {
                return Err(Unreadable);
            }
            if input.take(Tag::Sequence)? != signed.algorithm {
                return Err(Unreadable);
            }
            let issuer = Name::read(input)?;
            let this_update = input.time()?;
            let has_next = input.is_next(Tag::UtcTime) || input.is_next(Tag::GeneralizedTime);
            let next_update = if has_next { Some(input.time()?) } else { None };
            let revoked = input.take_if(Tag::Sequence)?.unwrap_or_default();
            let mut unsupported = false;
            whole(revoked, |input| {
                while !input.is_empty() {
                    unsupported |= Entry::read(input)?.has_critical_extension;
                }
                Ok(())
            })?;
            if let Some(extensions) = input.take_if(explicit(TagNumber::N0))? {
                for_each(whole(extensions, |input| input.take(Tag::Sequence))?, |_, critical, _| {
                    unsupported |= critical;
                    Ok(())
                })?;
            }
            Ok(Self { signed, issuer, this_update, next_update, revoked, unsupported })
        })
    }

    /// Whose certificates it lists.
    pub fn issuer(&self) -> &Name<'a> {
        &self.issuer
    }

    /// When it was made, in s since 1970.
    pub fn this_update(&self) -> u64 {
        self.this_update
    }

    /// When there will be another at the latest, in s since 1970, if it says so.
    pub fn next_update(&self) -> Option<u64> {
        self.next_update
    }

    /// Whether it lists this certificate of its issuer.
    pub fn lists(&self, serial: Serial<'_>) -> bool {
        let mut entries = Input::new(self.revoked).ok();
        core::iter::from_fn(|| Entry::read(entries.as_mut()?).ok()).any(|entry| entry.serial == serial)
    }
}

struct Entry<'a> {
    serial: Serial<'a>,
    has_critical_extension: bool,
}

impl<'a> Entry<'a> {
    fn read(entries: &mut Input<'a>) -> Result<Self, Unreadable> {
        whole(entries.take(Tag::Sequence)?, |input| {
            let serial = Serial(input.take(Tag::Integer)?);
            input.time()?;
            let mut has_critical_extension = false;
            if let Some(extensions) = input.take_if(Tag::Sequence)? {
                for_each(extensions, |_, critical, _| {
                    has_critical_extension |= critical;
                    Ok(())
                })?;
            }
            Ok(Self { serial, has_critical_extension })
        })
    }
}
