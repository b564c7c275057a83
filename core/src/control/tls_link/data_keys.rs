//! Which key opens a data packet, and which one seals it (protocol section 3.13).

use super::TlsLink;
use crate::control::key_state::{KeyState, PATIENCE};
use crate::control::memory::{DataKeys, LinkMemory};
use crate::control::session::{Key, seconds};
use crate::crypto::Provider;
use crate::data::{BATCH, DataKey, Outgoing, for_each};
use crate::error::{Discard, NotReady};
use crate::options::LinkConfig;
use crate::packet::PacketBuf;
use crate::platform::Platform;
use crate::time::{Duration, Instant};
use crate::tls::Role;
use crate::wire::opcode::{Head, Opcode};

/// A long header without a peer id.
const NO_PEER_ID: u32 = 0x00ff_ffff;

/// A server has a new key when the client's last acknowledgement has come. If that is lost, the server asks for it again
/// after 2 s.
const LAST_ACKNOWLEDGEMENT: Duration = Duration::from_secs(3);

/// What a data packet tells of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It is there and uses the live session.
    Live,
    /// It is there. It still uses the session before, and is not known to have got all of the live one. Where it was may
    /// be where it no longer is: this may have been under way for a while.
    Life,
    /// Nothing: the packet was under way when the live session took over.
    None,
}

impl<P: Platform> TlsLink<P> {
    /// Whether the HMACs of up to [`BATCH`] data packets are right, which all have the header of the first one; `None`
    /// if that is decided when each is opened.
    pub(crate) fn verify_batch<'d>(&self, datagrams: impl Iterator<Item = &'d [u8]> + Clone) -> Option<[bool; BATCH]> {
        let (key_id, peer_id) = key_name(datagrams.clone().next()?)?;
        let newest = self.active.as_ref().and_then(|active| active.current.as_ref()).map(|current| &current.data);
        let lame_duck = self.active.as_ref().and_then(|active| active.lame_duck.as_ref());
        let keys = newest.into_iter().chain(lame_duck).chain(&self.old);
        let key = keys.filter_map(|key| self.data(key)).find(|key| key.matches(key_id, peer_id))?;
        key.opener.verify_batch(datagrams)
    }

    /// Opens a data packet in place. Also says what it tells of the peer. `verdict` is the one about its HMAC if that
    /// has been verified.
    ///
    /// # Errors
    /// Why it was dropped.
    pub(crate) fn open<'b>(
        &mut self,
        now: Instant,
        verdict: Option<bool>,
        datagram: &'b mut [u8],
    ) -> Result<(&'b mut [u8], Sign), Discard> {
        let (key_id, peer_id) = key_name(datagram).ok_or(Discard::TooShort)?;
        let (mut current, lame_duck) = match &mut self.active {
            Some(active) => (active.current.as_mut(), active.lame_duck.as_mut()),
            None => (None, None),
        };
        let before = match &current {
            Some(current) if !current.data.confirmed && now.since(current.data.since) < PATIENCE => Sign::Life,
            // The one that both ends send with.
            Some(current) if !current.data.confirmed => Sign::Live,
            _ => Sign::None,
        };
        let newest = current.as_mut().map(|current| &mut current.data);
        let (keys, _) = self.memory.parts();
        let (key, sign, is_of_live_session) = newest
            .into_iter()
            .chain(lame_duck)
            .map(|key| (key, Sign::Live, true))
            .chain(self.old.iter_mut().map(|key| (key, before, false)))
            .find(|(key, ..)| data_of(keys, key).is_some_and(|data| data.matches(key_id, peer_id)))
            .ok_or(Discard::UnknownKey(key_id))?;
        let data = data_of(keys, key).ok_or(Discard::UnknownKey(key_id))?;
        let payload = data.opener.open_verified(now, verdict, datagram)?;
        key.in_use = true;
        if let Some(epoch) = data.opener.epoch() {
            data.sealer.raise_epoch(epoch);
        }
        data.budget.spend(payload.len());
        if let Some(current) = current {
            current.confirm(now);
        }
        if is_of_live_session {
            self.withdraw_greeting();
        }
        Ok((payload, sign))
    }

    /// Id and time of the newest packet under the newest key.
    pub(crate) fn newest_data(&self) -> Option<(u32, u32)> {
        self.data(&self.active.as_ref()?.current.as_ref()?.data)?.opener.window()?.highest()
    }

    /// Seals a payload in place.
    ///
    /// # Errors
    /// There is no key yet, or it cannot be used.
    pub(crate) fn seal(
        &mut self,
        config: &LinkConfig<'_>,
        now: Instant,
        unix_now: u32,
        rng: &mut P::Rng,
        packet: &mut PacketBuf<'_>,
    ) -> Result<(), NotReady> {
        let key = self.sending_key(config, now)?;
        let bytes = packet.len();
        key.sealer.seal(unix_now, rng, packet)?;
        key.budget.spend(bytes);
        Ok(())
    }

    /// Seals up to [`BATCH`] payloads in place, each as [`TlsLink::seal`] would.
    pub(crate) fn seal_batch(
        &mut self,
        config: &LinkConfig<'_>,
        now: Instant,
        unix_now: u32,
        rng: &mut P::Rng,
        packets: &mut [Outgoing<'_>],
    ) {
        let key = match self.sending_key(config, now) {
            Ok(key) => key,
            Err(reason) => return for_each(packets, |_| Err(reason)),
        };
        let mut lens = [0; BATCH];
        for (packet, len) in packets.iter().zip(&mut lens) {
            *len = packet.as_ref().map_or(0, PacketBuf::len);
        }
        key.sealer.seal_batch(unix_now, rng, packets);
        for (_, len) in packets.iter().zip(lens).filter(|(packet, _)| packet.is_ok()) {
            key.budget.spend(len);
        }
    }

    /// The key that the peer expects (protocol section 3.13).
    fn sending_key(
        &mut self,
        config: &LinkConfig<'_>,
        now: Instant,
    ) -> Result<&mut DataKey<P::Crypto, P::ReplayBits>, NotReady> {
        let active = self.active.as_mut().ok_or(NotReady::Negotiating)?;
        let current = active.current.as_mut().ok_or(NotReady::Negotiating)?;
        let (confirmed, in_use) = (current.data.confirmed, current.data.in_use);
        let switch_after = switch_after(config);
        let settled = |key: &Key| now.since(key.since) > switch_after;
        let last_acknowledgement = LAST_ACKNOWLEDGEMENT.min(switch_after);
        let may_lack = self.role == Role::Client && now.since(current.control.heard) < last_acknowledgement;
        // Whoever negotiates the next key has this one, and forgets the one before as soon as that is done.
        let in_use = in_use || active.next.as_ref().is_some_and(KeyState::is_open);
        // Soon after a renegotiation the peer may not have the new key yet, but it has the old one. Once it uses the new
        // one, it may forget the old one soon: it may renegotiate more often than this end would.
        let key = match &mut active.lame_duck {
            Some(old) if !confirmed || !in_use && (may_lack || !settled(&current.data) && settled(old)) => old,
            _ if confirmed => &mut current.data,
            // A session has just taken over from another one.
            _ => self.old.iter_mut().find(|key| key.confirmed).ok_or(NotReady::Negotiating)?,
        };
        let (keys, _) = self.memory.parts();
        data_of(keys, key).ok_or(NotReady::Negotiating)
    }
}

/// A key itself.
fn data_of<'k, C: Provider, B>(keys: &'k mut DataKeys<C, B>, key: &Key) -> Option<&'k mut DataKey<C, B>> {
    keys.get_mut(key.place)?.first_mut()
}

/// The number of the key that a data packet is for, and the peer id if there is one.
fn key_name(datagram: &[u8]) -> Option<(u8, Option<u32>)> {
    let head = Head::parse(*datagram.first()?)?;
    let peer_id = match (head.opcode, datagram) {
        (Opcode::DataV2, [_, a, b, c, ..]) => Some(u32::from_be_bytes([0, *a, *b, *c])),
        _ => None,
    };
    Some((head.key_id.get(), peer_id.filter(|id| *id != NO_PEER_ID)))
}

/// How long an established key goes on being used for sending beside its successor.
fn switch_after(config: &LinkConfig<'_>) -> Duration {
    let window = seconds(config.tls.hand_window);
    if config.tls.reneg_sec == 0 { window } else { window.min(seconds(config.tls.reneg_sec / 2)) }
}
