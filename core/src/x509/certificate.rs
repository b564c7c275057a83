//! A certificate as it lies in memory.

use core::fmt;

use der::{Tag, TagNumber};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::der_input::{Input, explicit, whole};
use super::extension::Extensions;
use super::name::Name;

/// A view of a certificate in DER. Its form has been checked, nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    der: &'a [u8],
    pub(super) signed: Signed<'a>,
    serial: &'a [u8],
    pub(super) version: u8,
    pub(super) issuer: Name<'a>,
    subject: Name<'a>,
    validity: Validity,
    spki: &'a [u8],
    pub(super) key: PublicKey<'a>,
    pub(super) extensions: Extensions<'a>,
}

/// A certificate cannot be read: it is not the DER form of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// When a certificate is valid, in s since 1970; both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub not_before: u64,
    /// Until.
    pub not_after: u64,
}

/// Something with a signature: a certificate or a list of revoked ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// What is signed.
    pub(super) message: &'a [u8],
    /// The contents of its AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PublicKey<'a> {
    /// The contents of its AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    pub(super) bits: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate of version 1 to 3.
    ///
    /// # Errors
    /// It is none, or something follows it.
    pub fn parse(der: &'a [u8]) -> Result<Self, Unreadable> {
        let signed = Signed::read(der)?;
        let tbs = whole(signed.message, |input| input.take(Tag::Sequence))?;
        whole(tbs, |input| {
            let version = match input.take_if(explicit(TagNumber::N0))? {
                None => 1,
                Some(version) => match whole(version, |input| input.take(Tag::Integer))? {
                    [0] => 1,
                    [1] => 2,
                    [2] => 3,
                    _ => return Err(Unreadable),
                },
            };
            let serial = input.take(Tag::Integer)?;
            if !is_serial(serial) || input.take(Tag::Sequence)? != signed.algorithm {
                return Err(Unreadable);
            }
            let issuer = Name::read(input)?;
            let validity = whole(input.take(Tag::Sequence)?, |input| {
                Ok(Validity { not_before: input.time()?, not_after: input.time()? })
            })?;
            let subject = Name::read(input)?;
            let spki = input.sequence_with_header()?;
            let key = whole(spki, |input| {
                whole(input.take(Tag::Sequence)?, |input| {
                    Ok(PublicKey { algorithm: input.take(Tag::Sequence)?, bits: input.bit_string_bytes()? })
                })
            })?;
            for unique_id in [TagNumber::N1, TagNumber::N2] {
                input.take_if(Tag::ContextSpecific { constructed: false, number: unique_id })?;
            }
            let extensions = match input.take_if(explicit(TagNumber::N3))? {
                Some(extensions) if version == 3 => {
                    whole(extensions, |input| Extensions::read(input.take(Tag::Sequence)?))?
                }
                Some(_) => return Err(Unreadable),
                None => Extensions::default(),
            };
            Ok(Self { der, signed, serial, version, issuer, subject, validity, spki, key, extensions })
        })
    }

    /// Its bytes.
    pub fn der(&self) -> &'a [u8] {
        self.der
    }

    /// Whose it is.
    pub fn subject(&self) -> &Name<'a> {
        &self.subject
    }

    /// Who says so.
    pub fn issuer(&self) -> &Name<'a> {
        &self.issuer
    }

    /// When it is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Its serial number, in decimal for `Display` and as `aa:bb` for [`Serial::hex`].
    pub fn serial(&self) -> Serial<'a> {
        Serial(self.serial)
    }

    /// Its public key as a SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &'a [u8] {
        self.spki
    }

    /// The contents of its public key's AlgorithmIdentifier, and the key itself.
    pub fn public_key(&self) -> (&'a [u8], &'a [u8]) {
        (self.key.algorithm, self.key.bits)
    }

    /// SHA-1 of its bytes.
    pub fn sha1(&self) -> [u8; 20] {
        Sha1::digest(self.der).into()
    }

    /// SHA-256 of its bytes.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.der).into()
    }

    /// Whether its subject is its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether the name of the issuer and, if both say it, the identifier of its key are those of this one.
    pub(super) fn may_have_issued(&self, certificate: &Certificate<'_>) -> bool {
        let key_fits = match (self.extensions.subject_key_id, certificate.extensions.authority_key_id) {
            (Some(own), Some(wanted)) => own == wanted,
            _ => true,
        };
        key_fits && self.subject == certificate.issuer
    }
}

impl<'a> Signed<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, Unreadable> {
        whole(der, |input: &mut Input<'a>| {
            whole(input.take(Tag::Sequence)?, |input| {
                Ok(Self {
                    message: input.sequence_with_header()?,
                    algorithm: input.take(Tag::Sequence)?,
                    signature: input.bit_string_bytes()?,
                })
            })
        })
    }
}

/// Longest serial number in bytes (RFC 5280 wants at most 20).
const SERIAL_MAX: usize = 32;

/// Whether this is an integer in its shortest form that can be shown.
fn is_serial(integer: &[u8]) -> bool {
    !matches!(integer, [] | [0, 0..0x80, ..] | [0xff, 0x80..=0xff, ..]) && integer.len() <= SERIAL_MAX
}

/// A serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial<'a>(pub(super) &'a [u8]);

impl<'a> Serial<'a> {
    /// As `0a:bb`.
    pub fn hex(self) -> impl fmt::Display + use<'a> {
        HexBytes(self.bytes())
    }

    /// Its bytes, without the zero that keeps a large number positive.
    pub(super) fn bytes(self) -> &'a [u8] {
        match self.0 {
            [0, rest @ ..] if !rest.is_empty() => rest,
            bytes => bytes,
        }
    }
}

impl fmt::Display for Serial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Long division by ten; the remainders are the digits from the last one.
        let mut number = heapless::Vec::<u8, SERIAL_MAX>::from_slice(self.0).map_err(|_| fmt::Error)?;
        let negative = number.first().is_some_and(|first| *first >= 0x80);
        if negative {
            let mut carry = true;
            for byte in number.iter_mut().rev() {
                (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
            }
        }
        let mut digits = heapless::Vec::<u8, { SERIAL_MAX * 5 / 2 }>::new();
        while number.iter().any(|byte| *byte != 0) {
            let mut remainder = 0;
            for byte in &mut number {
                let dividend = u16::from(remainder) << 8 | u16::from(*byte);
                let [quotient, rest] = [dividend / 10, dividend % 10].map(|part| u8::try_from(part).unwrap_or(0));
                (*byte, remainder) = (quotient, rest);
            }
            digits.push(b'0' | remainder).map_err(|_| fmt::Error)?;
        }
        digits.reverse();
        let digits = core::str::from_utf8(&digits).unwrap_or_default();
        f.pad_integral(!negative, "", if digits.is_empty() { "0" } else { digits })
    }
}

/// Bytes as `aa:bb`.
struct HexBytes<'a>(&'a [u8]);

impl fmt::Display for HexBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}
