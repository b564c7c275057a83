//! A payload with free room on both sides, so that it is sealed where it lies.

use core::ops::Range;

/// Free bytes that a host leaves before each packet it reads from the tunnel.
///
/// The largest prefix is HMAC-SHA512 (64) + IV (16) + long packet id (8) + fragment header (4) +
/// compression (2) + opcode and peer-id (4) + TCP length (2).
pub const HEADROOM: usize = 104;

/// Free bytes behind each packet: one cipher block of padding and one byte of swapped framing, or
/// an AEAD tag.
pub const TAILROOM: usize = 24;

/// The payload `buffer[start..end]`, which grows in place into the room before and behind it.
#[derive(Debug)]
pub struct PacketBuf<'b> {
    buffer: &'b mut [u8],
    start: usize,
    end: usize,
}

impl<'b> PacketBuf<'b> {
    /// The payload of `len` bytes that lies in `buffer` at offset `start`; `None` if it does not fit.
    pub fn new(buffer: &'b mut [u8], start: usize, len: usize) -> Option<Self> {
        let end = start.checked_add(len)?;
        (end <= buffer.len()).then_some(Self { buffer, start, end })
    }

    /// Length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is no payload.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The payload.
    pub fn as_slice(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The payload, to change in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Grows by `len` bytes in front and hands them out to be filled; `None` if there is no room.
    pub fn prepend(&mut self, len: usize) -> Option<&mut [u8]> {
        let start = self.start.checked_sub(len)?;
        let grown = self.buffer.get_mut(start..self.start)?;
        self.start = start;
        Some(grown)
    }

    /// Grows by these bytes in front; `None` if there is no room.
    pub fn prepend_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        // Item by item: of slices nobody could see that their lengths are the same.
        self.prepend(bytes.len())?.iter_mut().zip(bytes).for_each(|(room, byte)| *room = *byte);
        Some(())
    }

    /// Grows by `len` bytes behind and hands them out to be filled; `None` if there is no room.
    pub fn append(&mut self, len: usize) -> Option<&mut [u8]> {
        let end = self.end.checked_add(len)?;
        let grown = self.buffer.get_mut(self.end..end)?;
        self.end = end;
        Some(grown)
    }

    /// Where the payload lies in the buffer.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The finished packet, for as long as the buffer lives.
    pub fn into_slice(self) -> &'b mut [u8] {
        self.buffer.get_mut(self.start..self.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_in_place_and_refuses_beyond_its_room() {
        let mut buffer = *b"..abc..";
        assert!(PacketBuf::new(&mut buffer, 5, 3).is_none());
        let mut packet = PacketBuf::new(&mut buffer, 2, 3).unwrap();
        packet.prepend(1).unwrap().copy_from_slice(b"<");
        packet.append(2).unwrap().copy_from_slice(b">>");
        assert!(packet.prepend(2).is_none());
        assert!(packet.append(1).is_none());
        assert_eq!(packet.as_slice(), b"<abc>>");
        assert_eq!(packet.len(), 6);
        assert_eq!(packet.into_slice(), b"<abc>>");
    }
}
