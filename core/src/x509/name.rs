//! Distinguished names and the texts in them.

use core::fmt::{self, Write as _};

use der::Tag;

use super::certificate::Unreadable;
use super::der_input::{Input, whole};
use super::oid;

/// A distinguished name. `Display` is openvpn's form, as in `C=XX, O=T, CN=server`; a backslash is doubled, a control
/// character is `\` and two hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The contents of the sequence of sets of attributes.
    rdns: &'a [u8],
}

/// One attribute of a name, such as `CN=server`.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    oid: &'a [u8],
    value: Text<'a>,
    /// It belongs to the one before it (a multi-valued name).
    joined: bool,
}

/// A text in a certificate. `Display` shows `_` for each control character.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    encoding: Encoding,
    bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    Utf8,
    /// Also what is a part of it, and T61 as everybody reads it.
    Latin1,
    Utf16,
}

impl<'a> Name<'a> {
    /// Takes a name out of `input`. One with a NUL or an undecodable text is none.
    pub(super) fn read(input: &mut Input<'a>) -> Result<Self, Unreadable> {
        let name = Self { rdns: input.take(Tag::Sequence)? };
        whole(name.rdns, |rdns| {
            while !rdns.is_empty() {
                whole(rdns.take(Tag::Set)?, |rdn| {
                    while !rdn.is_empty() {
                        let value = Attribute::read(rdn)?.value;
                        if value.chars().any(|character| matches!(character, '\0' | char::REPLACEMENT_CHARACTER)) {
                            return Err(Unreadable);
                        }
                    }
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        Ok(name)
    }

    /// Its attributes in the order they are written in.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let mut rdns = Input::new(self.rdns).ok();
        core::iter::from_fn(move || Input::new(rdns.as_mut()?.take(Tag::Set).ok()?).ok()).flat_map(|mut rdn| {
            let mut joined = false;
            core::iter::from_fn(move || {
                let attribute = Attribute::read(&mut rdn).ok()?;
                Some(Attribute { joined: core::mem::replace(&mut joined, true), ..attribute })
            })
        })
    }

    /// The last common name.
    pub fn common_name(&self) -> Option<Text<'a>> {
        self.attributes().filter(|attribute| attribute.oid == oid::COMMON_NAME).last().map(|attribute| attribute.value)
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attribute) in self.attributes().enumerate() {
            f.write_str(match (index, attribute.joined) {
                (0, _) => "",
                (_, false) => ", ",
                (_, true) => " + ",
            })?;
            write!(f, "{}=", attribute.short_name())?;
            for character in attribute.value.chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    control if control.is_ascii_control() => write!(f, "\\{:02X}", u32::from(control))?,
                    other => f.write_char(printable(other))?,
                }
            }
        }
        Ok(())
    }
}

impl<'a> Attribute<'a> {
    fn read(rdn: &mut Input<'a>) -> Result<Self, Unreadable> {
        whole(rdn.take(Tag::Sequence)?, |attribute| {
            let oid = attribute.take(Tag::ObjectIdentifier)?;
            let value = attribute.any()?;
            Ok(Self { oid, value: Text::new(der::Tagged::tag(&value), value.value()), joined: false })
        })
    }

    /// OpenSSL's short name of its kind, as in `CN`; the numbers, as in `1.2.3.4`, of one that is not well known.
    pub fn short_name(&self) -> impl fmt::Display + use<> {
        match oid::ATTRIBUTES.iter().find(|entry| entry.oid == self.oid) {
            Some(entry) => heapless::String::try_from(entry.short).unwrap_or_default(),
            None => oid::dotted(self.oid),
        }
    }

    /// Its text.
    pub fn value(&self) -> Text<'a> {
        self.value
    }

    /// Whether it is what `field` calls it: by OpenSSL's short or long name or by its numbers.
    pub(super) fn is_called(&self, field: impl FnMut(&str) -> bool) -> bool {
        oid::is_called(oid::ATTRIBUTES, self.oid, field)
    }
}

impl<'a> Text<'a> {
    pub(super) fn new(tag: Tag, bytes: &'a [u8]) -> Self {
        let encoding = match tag {
            Tag::Utf8String => Encoding::Utf8,
            Tag::BmpString => Encoding::Utf16,
            _ => Encoding::Latin1,
        };
        Self { encoding, bytes }
    }

    /// Its characters as they are, control characters included.
    pub fn chars(self) -> impl Iterator<Item = char> + use<'a> {
        const NONE: &[u8] = &[];
        let (utf8, latin1, utf16) = match self.encoding {
            Encoding::Utf8 => (self.bytes, NONE, NONE),
            Encoding::Latin1 => (NONE, self.bytes, NONE),
            Encoding::Utf16 => (NONE, NONE, self.bytes),
        };
        let utf8 = utf8.utf8_chunks().flat_map(|chunk| {
            chunk.valid().chars().chain((!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER))
        });
        let units = utf16.chunks(2).map(|unit| match unit {
            [high, low] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        });
        let utf16 = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
        utf8.chain(latin1.iter().map(|byte| char::from(*byte))).chain(utf16)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|character| f.write_char(printable(character)))
    }
}

/// The character, or `_` for one that may do something to a terminal or a line of a log.
fn printable(character: char) -> char {
    if character.is_control() { '_' } else { character }
}

/// As much of `text` as fits.
pub(super) fn cut<const N: usize>(text: impl fmt::Display) -> heapless::String<N> {
    struct Cut<const N: usize>(heapless::String<N>);
    impl<const N: usize> fmt::Write for Cut<N> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            text.chars().try_for_each(|character| self.0.push(character).map_err(|_| fmt::Error))
        }
    }
    let mut cut = Cut(heapless::String::new());
    // The rest is left out.
    let _ = write!(cut, "{text}");
    cut.0
}
