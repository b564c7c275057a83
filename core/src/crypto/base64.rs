//! Base64, as in the PEM of keys and certificates, in time that does not depend on what it says.

use base64ct::{Base64, Encoding as _};
use heapless::Vec;
use zeroize::Zeroizing;

/// Decodes base64 that comes in pieces.
pub struct Decoder<'o> {
    out: &'o mut [u8],
    /// Bytes so far, which may be more than there was room for.
    pub(super) len: usize,
    group: Vec<u8, 4>,
    is_padded: bool,
}

impl<'o> Decoder<'o> {
    /// What is decoded goes into `out`.
    pub fn new(out: &'o mut [u8]) -> Self {
        Self { out, len: 0, group: Vec::new(), is_padded: false }
    }

    /// Goes on with `text`, in which white space does not matter. `None` if it is not base64.
    pub fn feed(&mut self, text: &str) -> Option<()> {
        for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
            if self.is_padded {
                return None;
            }
            self.group.push(byte).ok()?;
            if self.group.is_full() {
                let mut buffer = Zeroizing::new([0; 3]);
                let bytes = Base64::decode(&self.group, &mut *buffer).ok()?;
                self.is_padded = byte == b'=';
                let end = self.len.saturating_add(bytes.len());
                if let Some(room) = self.out.get_mut(self.len..end) {
                    room.copy_from_slice(bytes);
                }
                self.len = end;
                self.group.clear();
            }
        }
        Some(())
    }

    /// Length in bytes of the whole, which may be more than there was room for; `None` if the end is missing.
    pub fn finish(&self) -> Option<usize> {
        self.group.is_empty().then_some(self.len)
    }
}
