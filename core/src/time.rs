//! Time as the host tells it: core has no clock of its own.

use core::fmt;
use core::ops::{Add, Sub};
pub use core::time::Duration;

/// A moment on the host's monotonic clock, in milliseconds since a start that the host chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment `millis` ms after the host's start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the host's start.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    // Called from everywhere, too; where room matters.
    #[cfg_attr(not(feature = "host"), inline(never))]
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    // Called from everywhere: inlined, it would take more room than the calls.
    #[inline(never)]
    fn add(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(millis(delay)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, delay: Duration) -> Self {
        Self(self.0.saturating_sub(millis(delay)))
    }
}

/// Without the 128 bits of `Duration::as_millis`.
fn millis(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1000).saturating_add(duration.subsec_millis().into())
}

/// Why the engine wants to be woken. Each variant is one deadline in a [`TimerTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Timer {
    /// Nothing was sent for `ping` seconds.
    Ping,
    /// Nothing authentic was received for `ping-restart` or `ping-exit` seconds.
    Receive,
    /// No tunnel traffic for `inactive` seconds.
    Inactive,
    /// The session has lasted `session-timeout` seconds.
    Session,
    /// Nothing authentic has come since the start: time to say so.
    Silence,
    /// Ask the peer for its options string (protocol section 2.10).
    OccRequest,
    /// Repeat the exit notification, or stop waiting for it to leave.
    ExitNotify,
    /// The pause before a restart is over.
    Restart,
    /// `route-delay` is over.
    RouteDelay,
    /// Look a name up again.
    Resolve,
    /// The peer is silent, or this end has moved: ask where it is.
    Follow,
    /// The peer has not answered for `connect-timeout` seconds.
    Connect,
    /// The control channel: repeat a packet, negotiate a new key, or give up on a negotiation or an old key.
    Control,
}

impl Timer {
    const ALL: [Timer; 13] = [
        Timer::Ping,
        Timer::Receive,
        Timer::Inactive,
        Timer::Session,
        Timer::Silence,
        Timer::OccRequest,
        Timer::ExitNotify,
        Timer::Restart,
        Timer::RouteDelay,
        Timer::Resolve,
        Timer::Follow,
        Timer::Connect,
        Timer::Control,
    ];
}

/// One optional deadline for each [`Timer`].
#[derive(Clone, Debug, Default)]
pub struct TimerTable {
    deadlines: [Option<Instant>; Timer::ALL.len()],
}

impl TimerTable {
    /// A table in which nothing is set.
    pub const fn new() -> Self {
        Self { deadlines: [None; Timer::ALL.len()] }
    }

    /// The deadline of `timer`, if it is set.
    pub fn get(&self, timer: Timer) -> Option<Instant> {
        self.deadlines.get(timer as usize).copied().flatten()
    }

    /// Sets the deadline of `timer`, replacing an earlier one.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = Some(at);
        }
    }

    /// Forgets the deadline of `timer`.
    pub fn stop(&mut self, timer: Timer) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = None;
        }
    }

    /// Forgets every deadline.
    pub fn stop_all(&mut self) {
        *self = Self::new();
    }

    /// Takes one timer whose deadline has come, the earliest first.
    pub fn expire(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = self.next()?;
        if at > now {
            return None;
        }
        self.stop(timer);
        Some(timer)
    }

    /// The earliest deadline and its timer.
    pub fn next(&self) -> Option<(Instant, Timer)> {
        Timer::ALL.into_iter().filter_map(|timer| Some((self.get(timer)?, timer))).min_by_key(|(at, _)| *at)
    }
}

/// A moment for people, in seconds since 1970: `2026-11-22 16:00:00 UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixTime(pub u64);

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        // Counted from March 1st of the year 0, a leap day is the last day of a year, and eras of 400 years are alike.
        let days = days.saturating_add(719_468);
        let (era, day) = (days / 146_097, days % 146_097);
        let leap_days = (day / 1460).saturating_add(day / 146_096).saturating_sub(day / 36_524);
        let year = day.saturating_sub(leap_days) / 365;
        let day = day.saturating_sub(year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100));
        let month = day.saturating_mul(5).saturating_add(2) / 153;
        let day = day.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
        let (month, next) = if month < 10 { (month.saturating_add(3), 0) } else { (month.saturating_sub(9), 1) };
        let year = era.saturating_mul(400).saturating_add(year).saturating_add(next);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix, date) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(UnixTime(unix).to_string(), date);
        }
        assert!(UnixTime(u64::MAX).to_string().ends_with(" UTC"));
    }

    #[test]
    fn the_earliest_deadline_fires_first_and_once() {
        let at = Instant::from_millis;
        let mut timers = TimerTable::new();
        timers.set(Timer::Ping, at(20));
        timers.set(Timer::Receive, at(10));
        assert_eq!(timers.next(), Some((at(10), Timer::Receive)));
        assert_eq!(timers.expire(at(9)), None);
        assert_eq!(timers.expire(at(25)), Some(Timer::Receive));
        assert_eq!(timers.expire(at(25)), Some(Timer::Ping));
        assert_eq!(timers.expire(at(25)), None);
    }
}
