//! Packet ids: what makes a repeated packet worthless (protocol section 2.7).

use core::fmt;

use heapless::Deque;

use crate::time::{Duration, Instant};

/// Hands out the ids of sent packets: a number and, in the long form, the unix time of its sequence.
#[derive(Clone, Debug)]
pub struct PacketIdSender {
    time: u32,
    last: u32,
}

impl PacketIdSender {
    /// Starts the sequence of `unix_now` (s) with id 1.
    pub const fn new(unix_now: u32) -> Self {
        Self::after(0, unix_now)
    }

    /// Continues the sequence of `unix_now` (s) after the id `last`.
    pub const fn after(last: u32, unix_now: u32) -> Self {
        Self { time: unix_now, last }
    }

    /// Ids in their short form: there is one sequence, if [`next`](Self::next) is called with time 0.
    pub const fn short() -> Self {
        Self::new(0)
    }

    /// The last id that was handed out; 0 at first.
    pub const fn last(&self) -> u32 {
        self.last
    }

    /// Unix time (s) of the current sequence.
    pub const fn time(&self) -> u32 {
        self.time
    }

    /// The next id and its time. When the ids are used up, a sequence with the time `unix_now` (s) starts.
    ///
    /// # Errors
    /// [`Exhausted`]: there is no later time for a new sequence.
    pub fn next(&mut self, unix_now: u32) -> Result<(u32, u32), Exhausted> {
        self.last = match self.last.checked_add(1) {
            Some(id) => id,
            None if unix_now > self.time => {
                self.time = unix_now;
                1
            }
            None => return Err(Exhausted),
        };
        Ok((self.last, self.time))
    }
}

/// The ids are used up and the clock has not moved on since they started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// Memory for the bits of a [`ReplayWindow`].
pub trait ReplayBits: AsRef<[u64]> + AsMut<[u64]> {
    /// All bits clear.
    const ZERO: Self;
}

impl<const N: usize> ReplayBits for [u64; N] {
    const ZERO: Self = [0; N];
}

/// Remembers which ids have been received. `B` holds one bit for each id that may arrive late.
#[derive(Clone, Debug)]
pub struct ReplayWindow<B> {
    seen: B,
    /// How many ids, the highest included, are looked up; 0 demands an unbroken sequence.
    size: u64,
    expiry: Duration,
    time: u32,
    highest: u64,
    /// Unseen ids below it have expired.
    floor: u64,
    /// How `highest` grew during the last `expiry`, oldest first.
    history: Deque<Growth, { EXPIRY_STEPS + 2 }>,
}

/// How finely expiry is measured: an id may live longer than `expiry` by this fraction of it.
const EXPIRY_STEPS: usize = 8;

/// `highest` from `begin` to `end`, as it was in the end.
#[derive(Clone, Debug)]
struct Growth {
    begin: Instant,
    end: Instant,
    highest: u64,
}

impl<B: AsRef<[u64]> + AsMut<[u64]>> ReplayWindow<B> {
    /// A window of `size` ids, limited to the bits in `seen`; with 0 every id must follow the last
    /// one. Ids that are overtaken by more than `expiry` are refused; 0 sets no such limit.
    pub fn new(seen: B, size: u32, expiry: Duration) -> Self {
        let bits = len(seen.as_ref()).saturating_mul(WORD_BITS);
        Self { seen, size: bits.min(size.into()), expiry, time: 0, highest: 0, floor: 0, history: Deque::new() }
    }

    /// A window of the same size that has seen nothing.
    pub fn renewed(&self) -> Self
    where
        B: ReplayBits,
    {
        Self::new(B::ZERO, u32::try_from(self.size).unwrap_or(u32::MAX), self.expiry)
    }

    /// Id and time (unix, s) of the newest packet; `None` before the first one.
    pub fn highest(&self) -> Option<(u32, u32)> {
        (self.highest != 0).then_some((u32::try_from(self.highest).unwrap_or(u32::MAX), self.time))
    }

    /// Starts where an earlier window ended: everything up to `id` of the sequence `time` is refused.
    pub fn resume(&mut self, id: u32, time: u32) {
        self.seen.as_mut().fill(u64::MAX);
        self.highest = id.into();
        self.time = time;
    }

    /// Decides on a packet and remembers it. Call it only after the packet is authenticated.
    ///
    /// `time` is 0 for packet ids in their short form.
    ///
    /// # Errors
    /// Why the packet is taken for a repetition.
    pub fn accept(&mut self, id: u32, time: u32, now: Instant) -> Result<(), Replay> {
        self.accept_wide(id.into(), time, now)
    }

    /// As [`accept`](Self::accept) for ids with more than 32 bits and without a time: the counters of data epochs.
    ///
    /// # Errors
    /// Why the packet is taken for a repetition.
    pub fn accept_counter(&mut self, counter: u64, now: Instant) -> Result<(), Replay> {
        self.accept_wide(counter, 0, now)
    }

    fn accept_wide(&mut self, id: u64, time: u32, now: Instant) -> Result<(), Replay> {
        if id == 0 {
            return Err(Replay::Zero);
        }
        if time < self.time {
            return Err(Replay::EarlierTime);
        }
        let new_sequence = time > self.time;
        let highest = if new_sequence { 0 } else { self.highest };
        if self.size == 0 {
            let any = self.time == 0 && time == 0 && highest == 0;
            if !any && highest.checked_add(1) != Some(id) {
                return Err(Replay::OutOfSequence);
            }
        } else if id <= highest {
            return self.accept_late(id, now);
        }
        if new_sequence {
            self.floor = 0;
            self.history.clear();
        }
        self.time = time;
        self.highest = id;
        if self.size > 0 {
            self.forget(highest, id);
            self.mark(id);
            self.record_growth(now);
        }
        Ok(())
    }

    fn accept_late(&mut self, id: u64, now: Instant) -> Result<(), Replay> {
        if self.highest.abs_diff(id) >= self.size {
            return Err(Replay::TooOld);
        }
        if self.is_marked(id) {
            return Err(Replay::Seen);
        }
        self.forget_history(now);
        if id < self.floor {
            return Err(Replay::Expired);
        }
        self.mark(id);
        Ok(())
    }

    /// Unmarks the ids after `highest` up to `id`, whose bits older ids have used.
    fn forget(&mut self, highest: u64, id: u64) {
        if id.abs_diff(highest) >= self.size {
            self.seen.as_mut().fill(0);
            return;
        }
        for id in highest..id {
            if let Some((word, bit)) = self.bit(id.saturating_add(1)) {
                *word &= !bit;
            }
        }
    }

    fn mark(&mut self, id: u64) {
        if let Some((word, bit)) = self.bit(id) {
            *word |= bit;
        }
    }

    fn is_marked(&mut self, id: u64) -> bool {
        self.bit(id).is_some_and(|(word, bit)| *word & bit != 0)
    }

    fn bit(&mut self, id: u64) -> Option<(&mut u64, u64)> {
        let words = self.seen.as_mut();
        let index = (id / WORD_BITS).checked_rem(len(words))?;
        Some((words.get_mut(usize::try_from(index).ok()?)?, 1 << (id % WORD_BITS)))
    }

    fn record_growth(&mut self, now: Instant) {
        if self.expiry.is_zero() {
            return;
        }
        self.forget_history(now);
        match self.history.back_mut() {
            Some(growth) if now.since(growth.begin).saturating_mul(EXPIRY_STEPS as u32) < self.expiry => {
                growth.end = now;
                growth.highest = self.highest;
            }
            _ => {
                // There is always room: what is left began less than `expiry` and one step ago.
                let _ = self.history.push_back(Growth { begin: now, end: now, highest: self.highest });
            }
        }
    }

    fn forget_history(&mut self, now: Instant) {
        while let Some(growth) = self.history.front().filter(|growth| now.since(growth.end) > self.expiry) {
            self.floor = growth.highest;
            self.history.pop_front();
        }
    }
}

const WORD_BITS: u64 = u64::BITS as u64;

fn len(words: &[u64]) -> u64 {
    u64::try_from(words.len()).unwrap_or(u64::MAX)
}

/// Why a packet is taken for a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// 0 is no id.
    Zero,
    /// The packet belongs to an earlier sequence.
    EarlierTime,
    /// The id is so far behind the highest that nothing is known about it.
    TooOld,
    /// The id has been received.
    Seen,
    /// The id was overtaken too long ago.
    Expired,
    /// The window has size 0 and the id does not follow the last one.
    OutOfSequence,
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "packet id 0",
            Self::EarlierTime => "the packet is from an earlier time: did the peer's clock go backwards?",
            Self::TooOld => "the packet is too far behind",
            Self::Seen => "the packet was received before",
            Self::Expired => "the packet is too late",
            Self::OutOfSequence => "a packet is missing or late",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Replay::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const SECOND: Duration = Duration::from_secs(1);
    const T: u32 = 1000;

    fn window(size: u32, expiry: u64) -> ReplayWindow<[u64; 2]> {
        ReplayWindow::new([0; 2], size, SECOND * expiry as u32)
    }

    /// Feeds `(id, time, verdict)`, all at one moment.
    fn feed(size: u32, packets: &[(u32, u32, Result<(), Replay>)]) {
        let mut window = window(size, 15);
        for (index, (id, time, verdict)) in packets.iter().enumerate() {
            assert_eq!(window.accept(*id, *time, Instant::from_millis(0)), *verdict, "packet {index} of {packets:?}");
        }
    }

    #[test]
    fn ids_count_from_one_and_a_new_sequence_needs_a_later_time() {
        let mut sender = PacketIdSender::new(T);
        assert_eq!(sender.next(T + 5), Ok((1, T)));
        assert_eq!(sender.next(T + 9), Ok((2, T)));
        sender.last = u32::MAX - 1;
        assert_eq!(sender.next(T), Ok((u32::MAX, T)));
        assert_eq!(sender.next(T), Err(Exhausted));
        assert_eq!(sender.next(T - 1), Err(Exhausted));
        assert_eq!(sender.next(T + 1), Ok((1, T + 1)));
        assert_eq!(sender.next(T + 1), Ok((2, T + 1)));
    }

    /// Each verdict here was seen from openvpn 2.6.14.
    #[test]
    fn decides_as_openvpn_does() {
        feed(
            64,
            &[(0, T, Err(Zero)), (1, T, Ok(())), (1, T, Err(Seen)), (3, T, Ok(())), (2, T, Ok(())), (2, T, Err(Seen))],
        );
        // A sequence may start anywhere, and what came before its first packet may come late.
        feed(64, &[(5, T, Ok(())), (3, T, Ok(())), (2, T + 1, Ok(())), (6, T, Err(EarlierTime)), (1, T + 1, Ok(()))]);
        feed(8, &[(1000, T, Ok(())), (999, T, Ok(())), (993, T, Ok(())), (992, T, Err(TooOld))]);
        feed(8, &[(9, T, Ok(())), (2, T, Ok(())), (1, T, Err(TooOld))]);
        feed(8, &[(2, T, Ok(())), (12, T, Ok(())), (5, T, Ok(())), (4, T, Err(TooOld)), (11, T, Ok(()))]);
        feed(8, &[(2, T, Ok(())), (10, T, Ok(())), (3, T, Ok(())), (1, T, Err(TooOld))]);
        feed(64, &[(3, 0, Ok(())), (2, 0, Ok(())), (4, 1, Ok(())), (5, 0, Err(EarlierTime))]);
    }

    #[test]
    fn size_zero_demands_an_unbroken_sequence() {
        feed(
            0,
            &[
                (3, T, Err(OutOfSequence)),
                (1, T, Ok(())),
                (2, T, Ok(())),
                (4, T, Err(OutOfSequence)),
                (3, T, Ok(())),
                (3, T, Err(OutOfSequence)),
                (2, T + 1, Err(OutOfSequence)),
                (1, T + 1, Ok(())),
                (1, 0, Err(EarlierTime)),
            ],
        );
        // Short ids may start anywhere.
        feed(0, &[(3, 0, Ok(())), (4, 0, Ok(())), (6, 0, Err(OutOfSequence))]);
    }

    #[test]
    fn the_window_is_no_larger_than_its_memory() {
        let mut window = window(100_000, 15);
        let now = Instant::from_millis(0);
        assert_eq!(window.accept(1_000, T, now), Ok(()));
        assert_eq!(window.accept(1_000 - 127, T, now), Ok(()));
        assert_eq!(window.accept(1_000 - 128, T, now), Err(TooOld));
        assert_eq!(window.accept(u32::MAX, T, now), Ok(()));
        assert_eq!(window.accept(u32::MAX, T, now), Err(Seen));
    }

    #[test]
    fn overtaken_ids_expire() {
        let mut window = window(64, 1);
        let at = Instant::from_millis;
        assert_eq!(window.accept(5, T, at(0)), Ok(()));
        assert_eq!(window.accept(4, T, at(1_000)), Ok(()));
        assert_eq!(window.accept(3, T, at(1_001)), Err(Expired));
        assert_eq!(window.accept(8, T, at(7_000)), Ok(()));
        assert_eq!(window.accept(7, T, at(7_500)), Ok(()));
        assert_eq!(window.accept(6, T, at(8_001)), Err(Expired));
        assert_eq!(window.accept(2, T + 1, at(8_001)), Ok(()));
        assert_eq!(window.accept(1, T + 1, at(8_001)), Ok(()));
    }

    #[test]
    fn nothing_expires_without_a_limit() {
        let mut window = window(64, 0);
        assert_eq!(window.accept(5, T, Instant::from_millis(0)), Ok(()));
        assert_eq!(window.accept(4, T, Instant::from_millis(1_000_000)), Ok(()));
    }

    #[test]
    fn a_resumed_window_refuses_what_the_earlier_one_saw() {
        let now = Instant::from_millis(0);
        let mut window = window(64, 15);
        assert_eq!(window.highest(), None);
        window.resume(70, T);
        assert_eq!(window.highest(), Some((70, T)));
        for id in 1..=70 {
            assert!(matches!(window.accept(id, T, now), Err(TooOld | Seen)), "{id}");
        }
        assert_eq!(window.accept(1, T - 1, now), Err(EarlierTime));
        assert_eq!(window.accept(72, T, now), Ok(()));
        assert_eq!(window.accept(71, T, now), Ok(()));
        assert_eq!(window.accept(1, T + 1, now), Ok(()));
        assert_eq!(window.highest(), Some((1, T + 1)));
    }

    /// Everything that was ever accepted, and when.
    #[derive(Default)]
    struct Model {
        time: u32,
        accepted: Vec<(u32, u64)>,
    }

    impl Model {
        /// The verdict, if an id that was overtaken lives for `lifetime` ms.
        fn accepts(&self, id: u32, time: u32, now: u64, size: u32, lifetime: u64) -> bool {
            if id == 0 || time != self.time {
                return id != 0 && time > self.time;
            }
            let highest = self.accepted.iter().map(|(id, _)| *id).max().unwrap_or(0);
            let overtaken = self.accepted.iter().any(|(other, at)| *other > id && now - at > lifetime);
            let seen = self.accepted.iter().any(|(other, _)| *other == id);
            id > highest || (highest - id < size && !seen && !overtaken)
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_model(
            size in 1_u32..=128,
            expiry in 1_u64..4,
            packets in proptest::collection::vec((-140_i64..200, 0_u32..40, 0_u64..700), 1..300),
        ) {
            let mut window = window(size, expiry);
            let mut model = Model { time: T, ..Model::default() };
            prop_assert_eq!(window.accept(1, T, Instant::from_millis(0)), Ok(()));
            model.accepted.push((1, 0));
            let mut now = 0;
            for (step, jump, wait) in packets {
                // Mostly neighbours of the highest id, seldom a new or an old sequence.
                let highest = model.accepted.iter().map(|(id, _)| *id).max().unwrap_or(0);
                let id = u32::try_from((i64::from(highest) + step / 8).max(0)).unwrap();
                let id = if step % 8 == 0 { u32::try_from((i64::from(highest) + step).max(0)).unwrap() } else { id };
                let time = match jump { 0 => model.time + 1, 1 => model.time - 1, _ => model.time };
                now += wait;
                let verdict = window.accept(id, time, Instant::from_millis(now)).is_ok();
                // An id may live one step longer, because its expiry is known only to that precision.
                let (early, late) = (expiry * 1000, expiry * 1000 + expiry * 1000 / EXPIRY_STEPS as u64);
                let expected = [model.accepts(id, time, now, size, early), model.accepts(id, time, now, size, late)];
                prop_assert!(expected.contains(&verdict), "id {} time {} at {}: {} {:?}", id, time, now, verdict, expected);
                if verdict {
                    if time > model.time {
                        model = Model { time, accepted: Vec::new() };
                    }
                    model.accepted.push((id, now));
                }
            }
        }

        #[test]
        fn no_id_is_accepted_twice(ids in proptest::collection::vec(1_u32..400, 0..400), size in 0_u32..=128) {
            let mut window = window(size, 0);
            let mut accepted = std::collections::HashSet::new();
            for id in ids {
                if window.accept(id, T, Instant::from_millis(0)).is_ok() {
                    prop_assert!(accepted.insert(id));
                }
            }
        }
    }
}
