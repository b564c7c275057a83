//! Bytes on their way between two parties that are never awake at the same time.

use zeroize::Zeroize;

/// Up to `N` bytes, first in, first out.
pub(super) struct Pipe<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Pipe<N> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that [`Self::push`] takes.
    pub(super) fn room(&self) -> usize {
        N.saturating_sub(self.len)
    }

    /// What waits to be pulled.
    pub(super) fn peek(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Appends as much of `bytes` as there is room for, and returns how much that was.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        let free = self.bytes.get_mut(self.len..).unwrap_or_default();
        let taken = copy(bytes, free);
        self.len = self.len.saturating_add(taken);
        taken
    }

    /// Moves what comes next to `out`, and returns how much that was.
    pub(super) fn pull(&mut self, out: &mut [u8]) -> usize {
        let given = copy(self.peek(), out);
        self.skip(given);
        given
    }

    /// Drops the next `count` bytes.
    pub(super) fn skip(&mut self, count: usize) {
        let count = count.min(self.len);
        self.bytes.copy_within(count..self.len, 0);
        self.len = self.len.saturating_sub(count);
    }

    /// Empties the pipe, and leaves no trace of what was in it.
    pub(super) fn wipe(&mut self) {
        self.bytes.zeroize();
        self.len = 0;
    }
}

/// Copies as much as there is and as much as fits.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_and_its_capacity() {
        let mut pipe = Pipe::<4>::new();
        assert_eq!(pipe.push(b"abcdef"), 4);
        assert_eq!(pipe.room(), 0);
        let mut out = [0; 3];
        assert_eq!((pipe.pull(&mut out), &out), (3, b"abc"));
        assert_eq!(pipe.push(b"ef"), 2);
        assert_eq!(pipe.peek(), b"def");
        pipe.skip(9);
        assert!(pipe.is_empty());
        pipe.push(b"key");
        pipe.wipe();
        assert_eq!((pipe.len, pipe.bytes), (0, [0; 4]));
    }
}
