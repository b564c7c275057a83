//! What a board gives to a link: randomness, the time of day, memory that outlives a reset.

use core::cell::RefCell;
use core::fmt;

use longcable_core::crypto::Rng;
use longcable_core::event::Event;

use crate::store::{Forgetful, Store};

/// What a board gives to a link.
pub struct Host<R, S = Forgetful> {
    /// Where it stays: what is moved within a task lies there twice.
    pub(crate) rng: RefCell<R>,
    pub(crate) store: S,
    pub(crate) unix_time: Option<fn() -> u64>,
    pub(crate) on_event: fn(&Event<'_>),
}

impl<R: Rng> Host<R> {
    /// A board without a clock and without lasting memory. `rng` makes keys: it must be the hardware's true random number
    /// generator ([`Random`] adapts those of the embassy HALs), or a cipher seeded by it.
    pub fn new(rng: R) -> Self {
        Self { rng: RefCell::new(rng), store: Forgetful, unix_time: None, on_event: |_| {} }
    }
}

impl<R: Rng, S: Store> Host<R, S> {
    /// With a clock: the time of day in seconds since 1970, or 0 while it is not known. Dates of certificates are checked
    /// from then on, and packet ids of a static key follow it.
    pub fn with_clock(self, unix_time: fn() -> u64) -> Self {
        Self { unix_time: Some(unix_time), ..self }
    }

    /// With memory that outlives a reset. A link with a static key needs it if there is no clock: packet ids must never
    /// repeat.
    pub fn with_store<T: Store>(self, store: T) -> Host<R, T> {
        let Self { rng, store: _, unix_time, on_event } = self;
        Host { rng, store, unix_time, on_event }
    }

    /// What happens to the link is told to this function too, for a lamp or a display.
    pub fn with_events(self, on_event: fn(&Event<'_>)) -> Self {
        Self { on_event, ..self }
    }
}

impl<R, S> fmt::Debug for Host<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// A random number generator of `rand_core` 0.9, as the embassy HALs have them.
#[derive(Clone, Debug)]
pub struct Random<R>(pub R);

impl<R: rand_core::CryptoRng> Rng for Random<R> {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// The board's random number generator, which the link and its TLS sessions share.
#[derive(Debug)]
pub(crate) struct Shared<'a, R>(pub(crate) &'a RefCell<R>);

impl<R> Clone for Shared<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Shared<'_, R> {}

impl<R: Rng> Rng for Shared<'_, R> {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.borrow_mut().fill(bytes);
    }
}
