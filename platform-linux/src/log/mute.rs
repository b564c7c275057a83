//! `mute n`: no more than n consecutive messages of one kind.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Counts consecutive messages of one kind.
///
/// Two messages are of one kind when they differ only in words with digits in them: packet numbers, addresses, times.
#[derive(Debug)]
pub(super) struct Mute {
    /// 0 for no limit.
    pub(super) limit: u32,
    kind: u64,
    count: u32,
}

/// What is to be done with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Show it, after a line about so many messages that were held back before it, if any.
    Show(u32),
    /// Say once that messages are held back from here on.
    Announce,
    /// Say nothing.
    Hide,
}

impl Mute {
    pub(super) const fn new() -> Self {
        Self { limit: 0, kind: 0, count: 0 }
    }

    pub(super) fn judge(&mut self, text: &str) -> Verdict {
        if self.limit == 0 {
            return Verdict::Show(0);
        }
        let kind = kind(text);
        if kind != self.kind {
            let held_back = self.held_back();
            (self.kind, self.count) = (kind, 1);
            return Verdict::Show(held_back);
        }
        self.count = self.count.saturating_add(1);
        match self.held_back() {
            0 => Verdict::Show(0),
            1 => Verdict::Announce,
            _ => Verdict::Hide,
        }
    }

    /// Forgets the current kind and tells how many messages of it were held back.
    pub(super) fn finish(&mut self) -> u32 {
        let held_back = self.held_back();
        (self.kind, self.count) = (0, 0);
        held_back
    }

    fn held_back(&self) -> u32 {
        if self.limit == 0 { 0 } else { self.count.saturating_sub(self.limit) }
    }
}

fn kind(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for word in text.split(' ').filter(|word| !word.contains(|c: char| c.is_ascii_digit())) {
        word.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_one_kind_is_cut_and_counted() {
        let mut mute = Mute { limit: 2, ..Mute::new() };
        let verdicts: Vec<_> = (0..5).map(|n| mute.judge(&format!("bad packet ID: [ #{n} ]"))).collect();
        assert_eq!(verdicts, [Verdict::Show(0), Verdict::Show(0), Verdict::Announce, Verdict::Hide, Verdict::Hide]);
        assert_eq!(mute.judge("something else"), Verdict::Show(3));
        assert_eq!(mute.judge("bad packet ID: [ #9 ]"), Verdict::Show(0));
        assert_eq!(mute.finish(), 0);
    }

    #[test]
    fn without_a_limit_nothing_is_held_back() {
        let mut mute = Mute::new();
        assert!((0..100).all(|_| mute.judge("again") == Verdict::Show(0)));
        assert_eq!(mute.finish(), 0);
    }
}
