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

pub(super) struct StaticLink<P: Platform> {
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

/// The clock of a machine without a battery was behind when it came back, and the sequence that it had stored was to be
/// exceeded. But the start of the link began yet another sequence, at the time of that clock, and the peer took every
/// packet for a replay.
#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::string::ToString;

    use crate::crypto::{Rng, RustCrypto, StaticKey};
    use crate::options::LinkConfig;
    use crate::peer::{Keys, Peer};
    use crate::platform::Platform;
    use crate::time::Instant;
    use crate::tls::NoTls;

    struct Test;

    impl Platform for Test {
        type Crypto = RustCrypto;
        type Rng = Fixed;
        type ReplayBits = [u64; 1];
        type Tls = NoTls;
        type TlsSessions = [NoTls; 1];
        type ControlMemory = [u8; 0];
        const CONTROL_MEMORY: [u8; 0] = [];
    }

    struct Fixed;

    impl Rng for Fixed {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn a_stored_sequence_is_exceeded_although_the_clock_is_behind() {
        const STORED: u32 = 1_800_000_000;
        let (now, unix_now) = (Instant::from_millis(0), u64::from(STORED) - 86_400);
        let text = Box::leak("dev tun\nsecret key\ncipher AES-128-CBC\n".to_string().into_boxed_str());
        let config = Box::leak(Box::new(LinkConfig::parse(text).unwrap()));
        let keys = Keys::Static(StaticKey::generate(&mut Fixed));
        let mut peer = Peer::<Test>::new(config, keys, Fixed, now, unix_now).unwrap();
        peer.preset_sent(STORED, unix_now);
        peer.connect(now, &[]);
        assert_eq!(peer.sent_sequence(), Some(STORED + 1));
    }
}
