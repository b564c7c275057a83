//! One piece of application data on its way between a session and its engine.

use core::task::Poll;

use super::PLAIN_MAX;
use super::pipe::Pipe;

/// The place of one piece.
pub(super) struct Plain(Pipe<PLAIN_MAX>);

/// It is longer than the place.
pub(super) struct TooLong;

impl Plain {
    pub(super) const fn new() -> Self {
        Self(Pipe::new())
    }

    /// Puts a piece here; pending while there is another one.
    pub(super) fn put(&mut self, piece: &[u8]) -> Poll<Result<(), TooLong>> {
        if piece.len() > PLAIN_MAX {
            return Poll::Ready(Err(TooLong));
        }
        if !self.0.is_empty() {
            return Poll::Pending;
        }
        self.0.push(piece);
        Poll::Ready(Ok(()))
    }

    /// The piece; empty if there is none.
    pub(super) fn peek(&self) -> &[u8] {
        self.0.peek()
    }

    /// Takes the piece as far as it fits, and drops the rest.
    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        let count = self.0.pull(out);
        self.wipe();
        count
    }

    pub(super) fn wipe(&mut self) {
        self.0.wipe();
    }
}
