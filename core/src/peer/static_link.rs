//! The keys of a link with a static key: one for each way, for as long as the process lives.

use core::mem::take;

use crate::crypto::replay::{ReplayBits, ReplayWindow};
use crate::crypto::static_key::StaticKeyError;
use crate::crypto::{StaticKey, Unsupported};
use crate::data::{Opener, Sealer};
use crate::log::debug;
use crate::options::LinkConfig;
use crate::platform::Platform;
use crate::time::Duration;

pub(crate) struct StaticLink<P: Platform> {
    key: StaticKey,
    pub(super) sealer: Sealer<P::Crypto>,
    pub(super) opener: Opener<P::Crypto, P::ReplayBits>,
    /// The peer was silent for too long: perhaps its clock went back, so that its packets look old.
    pub(super) forget_replays: bool,
}

/// Why a static key cannot be used.
pub(super) enum StaticLinkError {
    Key(StaticKeyError),
    Unsupported,
}

impl From<Unsupported> for StaticLinkError {
    fn from(_: Unsupported) -> Self {
        Self::Unsupported
    }
}

impl<P: Platform> StaticLink<P> {
    pub(super) fn new(config: &LinkConfig<'_>, key: StaticKey, unix_now: u64) -> Result<Self, StaticLinkError> {
        key.check(config.suite()).map_err(StaticLinkError::Key)?;
        Ok(Self {
            sealer: sealer::<P>(config, &key, unix_now)?,
            opener: opener::<P>(config, &key)?,
            key,
            forget_replays: false,
        })
    }

    /// Sent packet ids start a new sequence with a later time than any before (protocol section 2.7). What has been
    /// received stays known, so that it cannot be replayed over a restart; only after `ping-restart` it is forgotten,
    /// unless `replay-persist` keeps it.
    pub(super) fn restart(&mut self, config: &LinkConfig<'_>, unix_now: u64, has_sent: bool) {
        let time = match self.sealer.sequence_time() {
            Some(previous) if has_sent => unix_now.max(u64::from(previous).saturating_add(1)),
            // An earlier process may have left a time that is later than the clock's.
            Some(previous) => unix_now.max(previous.into()),
            None => unix_now,
        };
        self.start_sequence(config, time);
        if take(&mut self.forget_replays)
            && config.replay_persist.is_none()
            && let Ok(opener) = opener::<P>(config, &self.key)
        {
            self.opener = opener;
        }
        debug!("a new sequence of packet ids begins at {} s", time);
    }

    /// Packet ids are sent from 1 again, with this unix time in seconds.
    pub(super) fn start_sequence(&mut self, config: &LinkConfig<'_>, time: u64) {
        // It was made before from the same key, so the platform has what it needs.
        if let Ok(sealer) = sealer::<P>(config, &self.key, time) {
            self.sealer = sealer;
        }
    }
}

fn sealer<P: Platform>(config: &LinkConfig<'_>, key: &StaticKey, time: u64) -> Result<Sealer<P::Crypto>, Unsupported> {
    let half = key.keys(config.direction()).send;
    Sealer::new(config.suite(), half, config.packet_ids.then_some(u32::try_from(time).unwrap_or(u32::MAX)))
}

fn opener<P: Platform>(
    config: &LinkConfig<'_>,
    key: &StaticKey,
) -> Result<Opener<P::Crypto, P::ReplayBits>, Unsupported> {
    let half = key.keys(config.direction()).receive;
    let window = config.packet_ids.then(|| {
        let (size, seconds) = config.replay_window;
        ReplayWindow::new(P::ReplayBits::ZERO, size, Duration::from_secs(seconds.into()))
    });
    Opener::new(config.suite(), half, window)
}

#[cfg(test)]
mod stored_sequence;
#[cfg(test)]
mod tests;
