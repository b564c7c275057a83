//! Which remote is next, and when (protocol section 5.3).

use heapless::Vec;

use crate::crypto::Rng;
use crate::options::{Connection, LinkConfig, REMOTES_MAX};
use crate::tls::Role;

/// From this many tries of each remote on, the pause doubles.
const PATIENT_TRIES: u32 = 4;

/// It does so this often at most.
const DOUBLINGS_MAX: u32 = 15;

/// A peer that moves from day to day is away from time to time, and no server that thousands call: unless the user says
/// how patient to be, a pause is no longer than this, in seconds.
const FOLLOWING_PAUSE_MAX: u32 = 30;

/// The remotes in the order in which they are tried.
#[derive(Debug)]
pub(super) struct Remotes {
    /// Indices into `config.remotes`.
    order: Vec<u8, REMOTES_MAX>,
    position: usize,
    /// How many addresses of the present one have been tried in vain.
    attempt: usize,
    /// How many remotes have been begun since the last success.
    tries: u32,
    /// The present one has still to be begun.
    fresh: bool,
}

impl Remotes {
    pub(super) fn new(config: &LinkConfig<'_>, rng: &mut impl Rng) -> Self {
        let mut order: Vec<u8, REMOTES_MAX> = (0..).take(config.remotes.len()).collect();
        if config.remote_random {
            for last in (1..order.len()).rev() {
                let mut random = [0; 4];
                rng.fill(&mut random);
                let choices = u32::try_from(last).unwrap_or(0).saturating_add(1);
                let chosen = u32::from_le_bytes(random).checked_rem(choices).unwrap_or(0);
                if let Ok([one, other]) = order.get_disjoint_mut([last, chosen as usize]) {
                    core::mem::swap(one, other);
                }
            }
        }
        Self { order, position: 0, attempt: 0, tries: 0, fresh: true }
    }

    /// The index of the present one in `config.remotes`.
    pub(super) fn index(&self) -> usize {
        self.order.get(self.position).copied().unwrap_or(0).into()
    }

    /// The link starts; false if `connect-retry-max` forbids it.
    pub(super) fn begin(&mut self, config: &LinkConfig<'_>) -> bool {
        if core::mem::take(&mut self.fresh) {
            if config.connect_retry_max > 0 && self.tries_of_each() >= config.connect_retry_max {
                return false;
            }
            self.tries = self.tries.saturating_add(1);
        }
        true
    }

    /// The one of these addresses of the present remote that is next.
    pub(super) fn next_of(&self, addresses: usize) -> usize {
        self.attempt.checked_rem(addresses).unwrap_or(0)
    }

    /// Nothing was heard from the present remote, which has so many addresses.
    pub(super) fn failed(&mut self, addresses: usize) {
        self.attempt = self.attempt.saturating_add(1);
        if self.attempt >= addresses {
            self.position = self.position.saturating_add(1).checked_rem(self.order.len()).unwrap_or(0);
            (self.attempt, self.fresh) = (0, true);
        }
    }

    /// As [`Remotes::failed`], but it is tried again.
    pub(super) fn failed_and_stays(&mut self) {
        self.fresh = true;
    }

    pub(super) fn succeeded(&mut self) {
        (self.attempt, self.tries) = (0, 0);
    }

    /// How long to wait before the next start, in seconds. Who may call a busy server is more and more patient: up to the
    /// second number of `connect-retry`, which is 300 s, or 30 s with `follow-name` and without that option. A change of
    /// this end's address ends the pause.
    pub(super) fn pause(&self, config: &LinkConfig<'_>, connection: &Connection<'_>) -> u32 {
        let (pause, max) = connection.connect_retry;
        if config.role() != Some(Role::Client) {
            return pause;
        }
        let is_capped = config.follow_name && !connection.own_connect_retry;
        let max = if is_capped { max.min(FOLLOWING_PAUSE_MAX) } else { max };
        let doublings = self.tries_of_each().saturating_sub(PATIENT_TRIES).min(DOUBLINGS_MAX);
        pause.saturating_mul(1 << doublings).min(max)
    }

    fn tries_of_each(&self) -> u32 {
        let count = u32::try_from(self.order.len()).unwrap_or(u32::MAX).max(1);
        self.tries.checked_div(count).unwrap_or(0)
    }
}
