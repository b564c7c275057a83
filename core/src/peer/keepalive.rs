//! The timers that watch a link: `ping`, `ping-restart`, `ping-exit`, `inactive`,
//! `session-timeout` (protocol section 5.1).
//!
//! Traffic only notes its time; a deadline that comes looks at that note and moves on. So a packet
//! costs no timer work.

use crate::event::{Cause, Reason, Signal};
use crate::options::{Inactive, LinkConfig, ReceiveTimeout};
use crate::time::{Duration, Instant, Timer, TimerTable};

/// So much patience is learned at most where there is no `ping-restart`.
const RHYTHM_MAX: Duration = Duration::from_secs(60);

/// How long `ping-timer-rem` waits before it looks again whether the peer's address is known.
const WAIT_FOR_PEER: Duration = Duration::from_secs(15);

/// A ping may be so late without being lost: timers of seconds, and the way.
pub(crate) const LATENESS: Duration = Duration::from_secs(1);

/// What a deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Send a ping.
    Ping,
    /// Restart or end the link.
    End(Reason),
}

#[derive(Debug)]
pub(super) struct Keepalive {
    ping: Option<Duration>,
    receive: Option<(Duration, Reason)>,
    only_with_peer: bool,
    inactive: Option<(Duration, u64)>,
    /// How long the peer is used to say nothing: `ping`, or longer if it has shown to ping less often than this end.
    rhythm: Option<Duration>,
    last_sent: Instant,
    last_received: Instant,
    last_active: Instant,
    active_bytes: u64,
}

impl Keepalive {
    /// Starts all timers that the configuration asks for.
    pub(super) fn start(config: &LinkConfig<'_>, now: Instant, timers: &mut TimerTable) -> Self {
        let seconds = |n: u32| Duration::from_secs(n.into());
        let keepalive = Self {
            ping: (config.ping > 0).then(|| seconds(config.ping)),
            receive: match config.receive_timeout {
                ReceiveTimeout::None => None,
                ReceiveTimeout::Restart(n) => Some((seconds(n), Reason::soft(Signal::Usr1, Cause::PingRestart))),
                ReceiveTimeout::Exit(n) => Some((seconds(n), Reason::soft(Signal::Term, Cause::PingExit))),
            },
            only_with_peer: config.ping_timer_rem,
            inactive: config.inactive.map(|Inactive { seconds: n, bytes }| (seconds(n), bytes)),
            rhythm: (config.ping > 0).then(|| seconds(config.ping)),
            last_sent: now,
            last_received: now,
            last_active: now,
            active_bytes: 0,
        };
        for (timer, delay) in [
            (Timer::Ping, keepalive.ping),
            (Timer::Receive, keepalive.receive.map(|(delay, _)| delay)),
            (Timer::Inactive, keepalive.inactive.map(|(delay, _)| delay)),
            (Timer::Session, (config.session_timeout > 0).then(|| seconds(config.session_timeout))),
        ] {
            if let Some(delay) = delay {
                timers.set(timer, now + delay);
            }
        }
        keepalive
    }

    /// Any packet was sent to the peer.
    pub(super) fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// An authentic packet of any kind came from the peer.
    pub(super) fn received(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// Whether a packet that comes now is the first one after more than a ping.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.ping.is_some_and(|ping| now.since(self.last_received) > ping.saturating_add(LATENESS))
    }

    /// The peer has said nothing at all since it was heard last; `asked` if what comes now is only an answer.
    pub(super) fn was_quiet(&mut self, now: Instant, asked: bool) {
        let gap = now.since(self.last_received);
        let max = self
            .receive
            .and_then(|(limit, _)| limit.checked_div(2))
            .unwrap_or(RHYTHM_MAX)
            .max(self.ping.unwrap_or_default());
        self.rhythm = Some(if asked { gap.saturating_add(gap) } else { gap }.min(max));
    }

    /// How long the peer is used to say nothing, if it is expected to ping.
    pub(super) fn rhythm(&self) -> Option<Duration> {
        self.rhythm
    }

    /// When that was last, or when the link started.
    pub(super) fn last_received(&self) -> Instant {
        self.last_received
    }

    /// A packet of `bytes` bytes passed between the tunnel device and the peer.
    pub(super) fn active(&mut self, now: Instant, bytes: usize) {
        if let Some((_, threshold)) = self.inactive {
            self.active_bytes = self.active_bytes.saturating_add(bytes as u64);
            if self.active_bytes >= threshold {
                self.active_bytes = 0;
                self.last_active = now;
            }
        }
    }

    /// The deadline of `timer` has come: says what is due, or sets the next deadline.
    pub(super) fn expired(&self, timer: Timer, now: Instant, peer_known: bool, timers: &mut TimerTable) -> Option<Due> {
        let (since, limit, due) = match timer {
            Timer::Ping => (self.last_sent, self.ping?, Due::Ping),
            Timer::Receive => {
                let (limit, reason) = self.receive?;
                if self.only_with_peer && !peer_known {
                    timers.set(timer, now + WAIT_FOR_PEER);
                    return None;
                }
                (self.last_received, limit, Due::End(reason))
            }
            Timer::Inactive => {
                (self.last_active, self.inactive?.0, Due::End(Reason::soft(Signal::Term, Cause::Inactive)))
            }
            Timer::Session => return Some(Due::End(Reason::soft(Signal::Term, Cause::SessionTimeout))),
            _ => return None,
        };
        let deadline = since + limit;
        if deadline > now {
            timers.set(timer, deadline);
            return None;
        }
        if due == Due::Ping {
            timers.set(timer, now + limit);
        }
        Some(due)
    }
}
