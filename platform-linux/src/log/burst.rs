//! A limit for messages that anybody can cause by sending packets.

use longcable_core::time::{Duration, Instant};
use std::fmt;

/// Lets one message per cause and interval through and counts the rest.
///
/// `C` must have few values: take [`std::mem::discriminant`] of an error that carries data.
#[derive(Debug)]
pub struct Burst<C> {
    interval: Duration,
    causes: Vec<Seen<C>>,
}

#[derive(Debug)]
struct Seen<C> {
    cause: C,
    shown: Instant,
    omitted: u64,
}

/// How many messages were left out before this one; prints nothing if none were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Omitted(pub u64);

impl<C: PartialEq> Burst<C> {
    /// A limit of one message per cause in each `interval`.
    pub const fn new(interval: Duration) -> Self {
        Self { interval, causes: Vec::new() }
    }

    /// `Some` if a message for `cause` may be written now; append the value to it.
    pub fn admit(&mut self, now: Instant, cause: C) -> Option<Omitted> {
        let Some(seen) = self.causes.iter_mut().find(|seen| seen.cause == cause) else {
            self.causes.push(Seen { cause, shown: now, omitted: 0 });
            return Some(Omitted(0));
        };
        if now.since(seen.shown) < self.interval {
            seen.omitted = seen.omitted.saturating_add(1);
            return None;
        }
        seen.shown = now;
        Some(Omitted(std::mem::take(&mut seen.omitted)))
    }
}

impl fmt::Display for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            n => write!(f, " ({n} more like this since the last such line)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_one_line_per_interval() {
        let mut burst = Burst::new(Duration::from_secs(10));
        let at = Instant::from_millis;
        assert_eq!(burst.admit(at(0), 'a'), Some(Omitted(0)));
        assert_eq!(burst.admit(at(1), 'b'), Some(Omitted(0)));
        assert_eq!(burst.admit(at(5_000), 'a'), None);
        assert_eq!(burst.admit(at(9_999), 'a'), None);
        assert_eq!(burst.admit(at(10_000), 'a'), Some(Omitted(2)));
        assert_eq!(burst.admit(at(10_001), 'b'), Some(Omitted(0)));
        assert_eq!(format!("x{}{}", Omitted(0), Omitted(2)), "x (2 more like this since the last such line)");
    }
}
