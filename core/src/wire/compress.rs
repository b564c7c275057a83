//! The bytes that compression puts in front of a payload (protocol section 2.9).
//!
//! Nothing is ever compressed here: the framing alone keeps peers happy whose configuration asks for it.

use crate::error::Discard;
use crate::packet::PacketBuf;

const LZO_COMPRESSED: u8 = 0x66;
const LZ4_COMPRESSED: u8 = 0x69;
const UNCOMPRESSED: u8 = 0xfa;
const UNCOMPRESSED_SWAPPED: u8 = 0xfb;

/// Starts a v2 header; a payload that starts with the same byte needs a header of its own.
const V2: u8 = 0x50;
const V2_UNCOMPRESSED: u8 = 0x00;
/// What openvpn 2.6 wrongly writes for [`V2_UNCOMPRESSED`] when it escapes a payload.
const V2_UNCOMPRESSED_ODD: u8 = 0x0a;
const V2_COMPRESSED_FIRST: u8 = 0x01;
const V2_COMPRESSED_LAST: u8 = 0x03;

/// The compression framing of a link; both ends must have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No compression option: the raw payload.
    #[default]
    None,
    /// `comp-lzo`, `compress lzo`: one byte in front.
    Lzo,
    /// `comp-lzo no`: on the wire the same as [`Framing::Lzo`], but the peer must not compress.
    LzoStub,
    /// `compress`, `compress stub`: one byte takes the place of the first, which moves to the end.
    Stub,
    /// `compress lz4`: on the wire the same as [`Framing::Stub`].
    Lz4,
    /// `compress stub-v2`: the raw payload, except if it looks like a header.
    StubV2,
    /// `compress lz4-v2`: on the wire the same as [`Framing::StubV2`].
    Lz4V2,
}

impl Framing {
    /// Adds the framing to a payload, in place; `None` if there is no room or no payload.
    pub fn seal(self, packet: &mut PacketBuf<'_>) -> Option<()> {
        let first = *packet.as_slice().first()?;
        match self {
            Self::None => {}
            Self::Lzo | Self::LzoStub => packet.prepend(1)?.fill(UNCOMPRESSED),
            Self::Stub | Self::Lz4 => {
                packet.append(1)?.fill(first);
                *packet.as_mut_slice().first_mut()? = UNCOMPRESSED_SWAPPED;
            }
            Self::StubV2 | Self::Lz4V2 if first == V2 => packet.prepend_bytes(&[V2, V2_UNCOMPRESSED])?,
            Self::StubV2 | Self::Lz4V2 => {}
        }
        Some(())
    }

    /// Removes the framing, in place, and returns the payload, which is never empty.
    ///
    /// # Errors
    /// The bytes belong to another framing, or the payload is really compressed or empty.
    pub fn open(self, packet: &mut [u8]) -> Result<&mut [u8], Discard> {
        let payload = match self {
            Self::None => packet,
            Self::Lzo | Self::LzoStub => match packet.split_first_mut() {
                Some((&mut UNCOMPRESSED, payload)) => payload,
                Some((&mut LZO_COMPRESSED, _)) => return Err(Discard::Compressed(LZO_COMPRESSED)),
                Some((&mut other, _)) => return Err(Discard::Framing(other)),
                None => return Err(Discard::Empty),
            },
            Self::Stub | Self::Lz4 => {
                let (&mut last, payload) = packet.split_last_mut().ok_or(Discard::Empty)?;
                match payload.first_mut().ok_or(Discard::Empty)? {
                    first @ &mut UNCOMPRESSED_SWAPPED => *first = last,
                    &mut LZ4_COMPRESSED => return Err(Discard::Compressed(LZ4_COMPRESSED)),
                    other => return Err(Discard::Framing(*other)),
                }
                payload
            }
            Self::StubV2 | Self::Lz4V2 => match packet {
                [V2, V2_UNCOMPRESSED | V2_UNCOMPRESSED_ODD, payload @ ..] => payload,
                [V2, algorithm @ V2_COMPRESSED_FIRST..=V2_COMPRESSED_LAST, ..] => {
                    return Err(Discard::Compressed(*algorithm));
                }
                [V2, other, ..] => return Err(Discard::Framing(*other)),
                [V2] => return Err(Discard::Empty),
                raw => raw,
            },
        };
        if payload.is_empty() { Err(Discard::Empty) } else { Ok(payload) }
    }

    /// Bytes that the framing counts in the options string's `link-mtu` (protocol section 4.3).
    pub const fn overhead(self) -> usize {
        match self {
            Self::None | Self::StubV2 | Self::Lz4V2 => 0,
            Self::Lzo | Self::LzoStub | Self::Stub | Self::Lz4 => 1,
        }
    }

    /// Whether the options string says `comp-lzo`, as it does for every algorithm (protocol section 4.2).
    pub const fn is_occ_listed(self) -> bool {
        !matches!(self, Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const ALL: [Framing; 7] =
        [Framing::None, Framing::Lzo, Framing::LzoStub, Framing::Stub, Framing::Lz4, Framing::StubV2, Framing::Lz4V2];

    fn sealed(framing: Framing, payload: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = std::vec![0; payload.len() + 4];
        buffer[2..2 + payload.len()].copy_from_slice(payload);
        let mut packet = PacketBuf::new(&mut buffer, 2, payload.len()).unwrap();
        framing.seal(&mut packet)?;
        Some(packet.into_slice().to_vec())
    }

    fn opened(framing: Framing, wire: &[u8]) -> Result<Vec<u8>, Discard> {
        framing.open(&mut wire.to_vec()).map(|payload| payload.to_vec())
    }

    #[test]
    fn frames_as_openvpn_does() {
        for (framing, payload, wire) in [
            (Framing::None, &b"\x45abc"[..], &b"\x45abc"[..]),
            (Framing::Lzo, b"\x45abc", b"\xfa\x45abc"),
            (Framing::LzoStub, b"\x45abc", b"\xfa\x45abc"),
            (Framing::Stub, b"\x45abc", b"\xfbabc\x45"),
            (Framing::Stub, b"\x45", b"\xfb\x45"),
            (Framing::Lz4, b"\x45abc", b"\xfbabc\x45"),
            (Framing::StubV2, b"\x45abc", b"\x45abc"),
            (Framing::StubV2, b"\x50abc", b"\x50\x00\x50abc"),
            (Framing::Lz4V2, b"\x50", b"\x50\x00\x50"),
        ] {
            assert_eq!(sealed(framing, payload).unwrap(), wire, "{framing:?}");
            assert_eq!(opened(framing, wire).unwrap(), payload, "{framing:?}");
        }
        assert_eq!(opened(Framing::StubV2, b"\x50\x0aPabc").unwrap(), b"Pabc");
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        use Discard::{Compressed, Empty, Framing as Bad};
        for (framing, wire, discard) in [
            (Framing::None, &b""[..], Empty),
            (Framing::Lzo, b"", Empty),
            (Framing::Lzo, b"\xfa", Empty),
            (Framing::Lzo, b"\x66...", Compressed(0x66)),
            (Framing::LzoStub, b"\x66...", Compressed(0x66)),
            (Framing::Lzo, b"\x60...", Bad(96)),
            (Framing::Lzo, b"\xfb...", Bad(0xfb)),
            (Framing::Stub, b"", Empty),
            (Framing::Stub, b"\xfb", Empty),
            (Framing::Stub, b"\xfa", Empty),
            (Framing::Stub, b"\xfa...", Bad(0xfa)),
            (Framing::Stub, b"\x45...", Bad(0x45)),
            (Framing::Lz4, b"\x69...", Compressed(0x69)),
            (Framing::StubV2, b"\x50", Empty),
            (Framing::StubV2, b"\x50\x00", Empty),
            (Framing::StubV2, b"\x50\x01...", Compressed(1)),
            (Framing::Lz4V2, b"\x50\x01...", Compressed(1)),
            (Framing::StubV2, b"\x50\x50...", Bad(0x50)),
        ] {
            assert_eq!(opened(framing, wire), Err(discard), "{framing:?} {wire:?}");
        }
        for framing in ALL {
            assert_eq!(sealed(framing, b""), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(payload in proptest::collection::vec(any::<u8>(), 1..40)) {
            for framing in ALL {
                let wire = sealed(framing, &payload).unwrap();
                prop_assert_eq!(opened(framing, &wire).unwrap(), payload.clone());
            }
        }

        #[test]
        fn never_panics(wire in proptest::collection::vec(any::<u8>(), 0..8)) {
            for framing in ALL {
                let _ = opened(framing, &wire);
            }
        }
    }
}
