//! Reading DER: every value to its last byte.

use der::{Reader as _, SliceReader, Tag, TagNumber, Tagged as _, asn1::AnyRef};

pub(super) type DerResult<T> = der::Result<T>;

/// Reads `bytes` with `read`, which must leave nothing over.
pub(super) fn whole<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut Input<'a>) -> DerResult<T>) -> DerResult<T> {
    let mut input = Input::new(bytes)?;
    let value = read(&mut input)?;
    input.0.finish(value)
}

/// Values one after the other.
pub(super) struct Input<'a>(SliceReader<'a>);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> DerResult<Self> {
        SliceReader::new(bytes).map(Self)
    }

    /// The next value, which must be a `tag`: its contents.
    pub(super) fn take(&mut self, tag: Tag) -> DerResult<&'a [u8]> {
        let value = self.any()?;
        value.tag().assert_eq(tag)?;
        Ok(value.value())
    }

    /// The next value if it is a `tag`: its contents.
    pub(super) fn take_if(&mut self, tag: Tag) -> DerResult<Option<&'a [u8]>> {
        if self.peek() == Some(tag.octet()) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// The next value.
    pub(super) fn any(&mut self) -> DerResult<AnyRef<'a>> {
        self.0.decode()
    }

    /// The next value with its tag and length; it must be a sequence.
    pub(super) fn sequence_with_header(&mut self) -> DerResult<&'a [u8]> {
        self.0.peek_tag()?.assert_eq(Tag::Sequence)?;
        self.0.tlv_bytes()
    }

    /// A boolean, or `false` if there is none.
    pub(super) fn flag(&mut self) -> DerResult<bool> {
        if self.peek() == Some(Tag::Boolean.octet()) { self.0.decode() } else { Ok(false) }
    }

    /// A bit string of whole bytes.
    pub(super) fn bit_string_bytes(&mut self) -> DerResult<&'a [u8]> {
        let bits: der::asn1::BitStringRef<'a> = self.0.decode()?;
        bits.as_bytes().ok_or_else(|| Tag::BitString.value_error())
    }

    /// UTCTime or GeneralizedTime, in s since 1970.
    pub(super) fn time(&mut self) -> DerResult<u64> {
        let since_1970 = if self.peek() == Some(Tag::UtcTime.octet()) {
            self.0.decode::<der::asn1::UtcTime>()?.to_unix_duration()
        } else {
            self.0.decode::<der::asn1::GeneralizedTime>()?.to_unix_duration()
        };
        Ok(since_1970.as_secs())
    }

    /// The first byte of the next value's tag.
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.peek_byte()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_finished()
    }
}

/// `[number]` around other values.
pub(super) const fn explicit(number: TagNumber) -> Tag {
    Tag::ContextSpecific { constructed: true, number }
}

/// The first eight bits of a BIT STRING's contents; number 0 is the highest.
pub(super) fn named_bits(contents: &[u8]) -> DerResult<u8> {
    match contents {
        [0..8, first, ..] => Ok(*first),
        [0] => Ok(0),
        _ => Err(Tag::BitString.value_error()),
    }
}
