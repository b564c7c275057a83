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
            _ => unix_now,
        };
        // Both were made before from the same key, so the platform has what they need.
        if let Ok(sealer) = sealer::<P>(config, &self.key, time) {
            self.sealer = sealer;
        }
        if take(&mut self.forget_replays)
            && config.replay_persist.is_none()
            && let Ok(opener) = opener::<P>(config, &self.key)
        {
            self.opener = opener;
        }
        debug!("a new sequence of packet ids begins at {} s", time);
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
mod tests {
    use core::net::SocketAddr;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::crypto::{Rng, RustCrypto};
    use crate::error::{Discard, NotReady};
    use crate::packet::{HEADROOM, PacketBuf, TAILROOM};
    use crate::peer::{Keys, Link, Peer};
    use crate::time::Instant;
    use crate::tls::NoTls;

    const KEY: &str = include_str!("../../../tests/vectors/count.key");
    const UNIX: u32 = 1_795_000_000;
    const ADDRESS: SocketAddr = SocketAddr::V4(core::net::SocketAddrV4::new(core::net::Ipv4Addr::LOCALHOST, 1194));

    struct Test;

    impl Platform for Test {
        type Crypto = RustCrypto;
        type Rng = Zeros;
        type ReplayBits = [u64; 1];
        type Tls = NoTls;
        type TlsSessions = [NoTls; 0];
        type ControlMemory = [u8; 0];
        const CONTROL_MEMORY: [u8; 0] = [];
    }

    struct Zeros;

    impl Rng for Zeros {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn peer(config: &'static LinkConfig<'static>) -> Peer<'static, Test> {
        let key = StaticKey::parse(KEY).unwrap();
        let mut peer = Peer::new(config, Keys::Static(key), Zeros, Instant::from_millis(0), UNIX.into()).unwrap();
        peer.connect(Instant::from_millis(0), &[ADDRESS]);
        peer
    }

    fn seal(peer: &mut Peer<'_, Test>, now: Instant) -> Result<Vec<u8>, NotReady> {
        let mut buffer = vec![0x45; HEADROOM + 1 + TAILROOM];
        let packet = PacketBuf::new(&mut buffer, HEADROOM, 1).unwrap();
        peer.seal(now, packet).map(|sealed| sealed.datagram.to_vec())
    }

    /// Packet-id roll-over (CVE-2017-7479). No test can send so much, so what is used up is preset.
    #[test]
    fn used_up_packet_ids_begin_a_sequence_with_a_later_time_and_nothing_wraps() {
        for suite in ["cipher AES-256-CBC", "cipher none\nauth SHA256"] {
            let text: &'static str = std::format!("dev tun\n{suite}\n<secret>\n{KEY}</secret>\n").leak();
            let config: &'static _ = std::boxed::Box::leak(std::boxed::Box::new(LinkConfig::parse(text).unwrap()));
            let (mut from, mut to) = (peer(config), peer(config));
            let (at_once, later) = (Instant::from_millis(999), Instant::from_millis(1000));
            let Link::Static(link) = &mut from.link else { panic!("the key is a static one") };
            link.sealer.continue_after(u32::MAX - 2);
            let mut all = Vec::new();
            let mut expect = |from: &mut Peer<'_, Test>, now, id| {
                let datagram = seal(from, now).unwrap();
                assert!(to.handle_datagram(now, ADDRESS, &mut datagram.clone()).is_ok_and(|packet| packet.is_some()));
                assert_eq!(to.replay_state(), Some(id), "{suite}");
                all.push(datagram);
            };
            expect(&mut from, at_once, (u32::MAX - 1, UNIX));
            expect(&mut from, at_once, (u32::MAX, UNIX));
            // No later time, no new sequence: the link waits for the clock.
            for _ in 0..100 {
                assert_eq!(seal(&mut from, at_once), Err(NotReady::PacketIdsExhausted), "{suite}");
            }
            expect(&mut from, later, (1, UNIX + 1));
            expect(&mut from, later, (2, UNIX + 1));
            for mut datagram in all {
                assert!(matches!(to.handle_datagram(later, ADDRESS, &mut datagram), Err(Discard::Replay { .. })));
            }
        }
    }
}
