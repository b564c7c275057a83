//! Application data from the peer on its way from the engine to its reader, part by part.

use core::task::Poll;

use super::PART;
use super::pipe::Pipe;

/// The place of one part of a piece.
pub(super) struct Plain {
    part: Pipe<PART>,
    is_last: bool,
}

impl Plain {
    pub(super) const fn new() -> Self {
        Self { part: Pipe::new(), is_last: false }
    }

    /// Puts a part here, which is at most [`PART`] bytes and not empty; pending while there is another one.
    pub(super) fn put(&mut self, part: &[u8], is_last: bool) -> Poll<()> {
        if !self.part.is_empty() {
            return Poll::Pending;
        }
        self.part.push(part);
        self.is_last = is_last;
        Poll::Ready(())
    }

    /// Takes the part, if there is one, as far as it fits, and drops the rest. Also says whether it was the last one of
    /// its piece.
    pub(super) fn take(&mut self, out: &mut [u8]) -> Option<(usize, bool)> {
        if self.part.is_empty() {
            return None;
        }
        let count = self.part.pull(out);
        self.part.wipe();
        Some((count, self.is_last))
    }

    pub(super) fn wipe(&mut self) {
        self.part.wipe();
    }
}
