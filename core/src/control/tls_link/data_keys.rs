//! Which key opens a data packet, and which one seals it (protocol section 3.13).

use super::TlsLink;
use crate::control::session::{Key, seconds};
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
    /// It is there. It still uses the session before, and is not known to have got all of the live one.
    Life,
    /// Nothing: the packet was under way when the live session took over.
    None,
}

impl<P: Platform> TlsLink<P> {
    /// Opens a data packet in place. Also says what it tells of the peer.
    ///
    /// # Errors
    /// Why it was dropped.
    pub(crate) fn open<'b>(&mut self, now: Instant, datagram: &'b mut [u8]) -> Result<(&'b mut [u8], Sign), Discard> {
        let head = datagram.first().copied().and_then(Head::parse).ok_or(Discard::TooShort)?;
        let key_id = head.key_id.get();
        let peer_id = match (head.opcode, &*datagram) {
            (Opcode::DataV2, [_, a, b, c, ..]) => Some(u32::from_be_bytes([0, *a, *b, *c])),
            _ => None,
        };
        let peer_id = peer_id.filter(|id| *id != NO_PEER_ID);
        let (mut current, lame_duck) = match &mut self.active {
            Some(active) => (active.current.as_mut(), active.lame_duck.as_mut()),
            None => (None, None),
        };
        let has_taken_over = current.as_ref().is_none_or(|current| current.data.confirmed);
        let before = if has_taken_over { Sign::None } else { Sign::Life };
        let newest = current.as_mut().map(|current| &mut current.data);
        let (key, sign) = newest
            .into_iter()
            .chain(lame_duck)
            .map(|key| (key, Sign::Live))
            .chain(self.old.iter_mut().map(|key| (key, before)))
            .find(|(key, _)| key.matches(key_id, peer_id))
            .ok_or(Discard::UnknownKey(key_id))?;
        let payload = key.opener.open(now, datagram)?;
        key.in_use = true;
        if let Some(epoch) = key.opener.epoch() {
            key.sealer.raise_epoch(epoch);
        }
        key.budget.spend(payload.len());
        if let Some(current) = current {
            current.confirm(now);
        }
        if sign == Sign::Live {
            self.withdraw_greeting();
        }
        Ok((payload, sign))
    }

    /// Id and time of the newest packet under the newest key.
    pub(crate) fn newest_data(&self) -> Option<(u32, u32)> {
        self.active.as_ref()?.current.as_ref()?.data.opener.window()?.highest()
    }

    /// Seals a payload in place with the key that the peer expects (protocol section 3.13).
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
        let active = self.active.as_mut().ok_or(NotReady::Negotiating)?;
        let current = active.current.as_mut().ok_or(NotReady::Negotiating)?;
        let (confirmed, in_use) = (current.data.confirmed, current.data.in_use);
        let settled = |key: &Key<P>| now.since(key.since) > switch_after(config);
        let may_lack = self.role == Role::Client && now.since(current.control.heard) < LAST_ACKNOWLEDGEMENT;
        // Soon after a renegotiation the peer may not have the new key yet, but it has the old one. Once it uses the new
        // one, it may forget the old one soon: it may renegotiate more often than this end would.
        let key = match &mut active.lame_duck {
            Some(old) if !confirmed => old,
            Some(old) if !in_use && (may_lack || !settled(&current.data) && settled(old)) => old,
            _ if confirmed => &mut current.data,
            // A session has just taken over from another one.
            _ => self.old.iter_mut().find(|key| key.confirmed).ok_or(NotReady::Negotiating)?,
        };
        let bytes = packet.len();
        key.sealer.seal(unix_now, rng, packet)?;
        key.budget.spend(bytes);
        Ok(())
    }
}

/// How long an established key goes on being used for sending beside its successor.
fn switch_after(config: &LinkConfig<'_>) -> Duration {
    let window = seconds(config.tls.hand_window);
    if config.tls.reneg_sec == 0 { window } else { window.min(seconds(config.tls.reneg_sec / 2)) }
}
