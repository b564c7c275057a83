//! Reading DER: every value to its last byte.

use der::asn1::{AnyRef, BitStringRef};
use der::{DateTime, Decode, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

use super::certificate::Unreadable;

/// Reads `bytes` with `read`, which must leave nothing over.
pub(super) fn whole<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Input<'a>) -> Result<T, Unreadable>,
) -> Result<T, Unreadable> {
    let mut input = Input::new(bytes)?;
    let value = read(&mut input)?;
    if input.is_empty() { Ok(value) } else { Err(Unreadable) }
}

/// Values one after the other.
pub(super) struct Input<'a>(SliceReader<'a>);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        SliceReader::new(bytes).map(Self).map_err(|_| Unreadable)
    }

    /// The next value, which must be a `tag`: its contents.
    pub(super) fn take(&mut self, tag: Tag) -> Result<&'a [u8], Unreadable> {
        let value = self.any()?;
        if value.tag() == tag { Ok(value.value()) } else { Err(Unreadable) }
    }

    /// The next value if it is a `tag`: its contents.
    pub(super) fn take_if(&mut self, tag: Tag) -> Result<Option<&'a [u8]>, Unreadable> {
        if self.is_next(tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// The next value.
    pub(super) fn any(&mut self) -> Result<AnyRef<'a>, Unreadable> {
        self.decode()
    }

    /// The next value with its tag and length; it must be a sequence.
    pub(super) fn sequence_with_header(&mut self) -> Result<&'a [u8], Unreadable> {
        if !self.is_next(Tag::Sequence) {
            return Err(Unreadable);
        }
        self.0.tlv_bytes().map_err(|_| Unreadable)
    }

    /// A boolean, or `false` if there is none.
    pub(super) fn flag(&mut self) -> Result<bool, Unreadable> {
        if self.is_next(Tag::Boolean) { self.decode() } else { Ok(false) }
    }

    /// A bit string of whole bytes.
    pub(super) fn bit_string_bytes(&mut self) -> Result<&'a [u8], Unreadable> {
        self.decode::<BitStringRef<'a>>()?.as_bytes().ok_or(Unreadable)
    }

    /// UTCTime or GeneralizedTime as in a certificate (RFC 5280 section 4.1.2.5), in s since 1970.
    pub(super) fn time(&mut self) -> Result<u64, Unreadable> {
        let (year, rest) = match self.take_if(Tag::UtcTime)? {
            Some(text) => {
                let (year, rest) = two_digits(text)?;
                (if year < 50 { 2000_u16 } else { 1900 }.saturating_add(year.into()), rest)
            }
            None => {
                let (century, rest) = two_digits(self.take(Tag::GeneralizedTime)?)?;
                let (year, rest) = two_digits(rest)?;
                (u16::from(century).saturating_mul(100).saturating_add(year.into()), rest)
            }
        };
        let (month, rest) = two_digits(rest)?;
        let (day, rest) = two_digits(rest)?;
        let (hour, rest) = two_digits(rest)?;
        let (minute, rest) = two_digits(rest)?;
        let (second, rest) = two_digits(rest)?;
        match DateTime::new(year, month, day, hour, minute, second) {
            Ok(time) if rest == b"Z" => Ok(time.unix_duration().as_secs()),
            _ => Err(Unreadable),
        }
    }

    /// Whether there is another value and it is a `tag`.
    pub(super) fn is_next(&self, tag: Tag) -> bool {
        self.0.peek_byte() == Some(tag.octet())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_finished()
    }

    fn decode<T: Decode<'a>>(&mut self) -> Result<T, Unreadable> {
        T::decode(&mut self.0).map_err(|_| Unreadable)
    }
}

/// A number of two digits at the beginning, and the rest.
fn two_digits(text: &[u8]) -> Result<(u8, &[u8]), Unreadable> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
            Ok(((tens & 0xf).saturating_mul(10).saturating_add(ones & 0xf), rest))
        }
        _ => Err(Unreadable),
    }
}

/// `[number]` around other values.
pub(super) const fn explicit(number: TagNumber) -> Tag {
    Tag::ContextSpecific { constructed: true, number }
}

/// The first eight bits of a BIT STRING's contents; number 0 is the highest.
pub(super) fn named_bits(contents: &[u8]) -> Result<u8, Unreadable> {
    match contents {
        [0..8, first, ..] => Ok(*first),
        [0] => Ok(0),
        _ => Err(Unreadable),
    }
}
