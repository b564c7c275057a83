//! When to look for a peer that has fallen silent, or that may have lost sight of us because we have moved.
//!
//! ```text
//! Quiet --silent for longer than a ping takes, or moved--> Asking --heard--> Quiet
//! ```
//! While it asks, the peer is asked at every address that it may have, at growing distances at first and then at that of
//! the probes, and its name is looked up again each time. Nothing is given up meanwhile.

use crate::options::LinkConfig;
use crate::peer::LATENESS;
use crate::time::{Duration, Instant};

/// The distances of the first rounds, in ms; what is sent while a line comes up may be lost.
const FIRST_ROUNDS: [u64; 3] = [500, 1_000, 2_000];

#[derive(Clone, Copy, Debug)]
enum State {
    Quiet,
    Asking {
        since: Instant,
        /// How many rounds there were.
        rounds: usize,
    },
}

/// What a round consists of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// Begin a TLS session as well: the peer has not answered before, so it may have lost its keys.
    pub(super) greet: bool,
    /// Look up where its name leads: not before it has been asked, because it may just ping less often than this end.
    pub(super) look_up: bool,
}

#[derive(Debug)]
pub(super) struct Follow {
    state: State,
    /// Between the rounds, and between the lookups.
    interval: Option<Duration>,
}

impl Follow {
    pub(super) fn new(config: &LinkConfig<'_>) -> Self {
        let seconds = |n: u32| (n > 0).then(|| Duration::from_secs(n.into()));
        Self { state: State::Quiet, interval: seconds(config.probe_interval) }
    }

    /// The link has started and the peer has not been heard: it is asked from now on. Says when the next round is.
    pub(super) fn start(&mut self, now: Instant) -> Option<Instant> {
        self.state = State::Asking { since: now, rounds: FIRST_ROUNDS.len() };
        Some(now + self.interval?)
    }

    /// This end has moved: only what the peer sends from now on shows that it knows. Says when the first round is.
    pub(super) fn moved(&mut self, now: Instant) -> Option<Instant> {
        self.state = State::Asking { since: now, rounds: 0 };
        self.interval.map(|_| now)
    }

    /// Whether the peer is being looked for.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.state, State::Asking { .. })
    }

    /// Its time has come; the peer was heard last at `heard`, if it was since the link started, and is used to say something
    /// every `rhythm`. Says what is to be done now, and when to come back.
    pub(super) fn due(
        &mut self,
        now: Instant,
        heard: Option<Instant>,
        rhythm: Option<Duration>,
    ) -> (Option<Round>, Option<Instant>) {
        let patience = rhythm.map(|rhythm| rhythm.saturating_add(LATENESS));
        let Some(interval) = self.interval else { return (None, None) };
        let was_asking = self.is_asking();
        let (since, rounds) = match (self.state, heard, patience) {
            (State::Asking { since, rounds }, heard, _) if heard.is_none_or(|heard| heard <= since) => (since, rounds),
            (_, Some(heard), Some(patience)) if heard + patience > now => {
                self.state = State::Quiet;
                return (None, Some(heard + patience));
            }
            (_, _, Some(_)) => (now, 0),
            // Without pings, a peer that is silent may be one that has nothing to say.
            (_, _, None) => {
                self.state = State::Quiet;
                return (None, None);
            }
        };
        self.state = State::Asking { since, rounds: rounds.saturating_add(1) };
        let delay = FIRST_ROUNDS.get(rounds).map_or(interval, |millis| Duration::from_millis(*millis).min(interval));
        (Some(Round { greet: rounds > 0, look_up: rounds > 0 || was_asking }), Some(now + delay))
    }
}
