//! The negotiation of one key: resets, then TLS, then key messages (protocol section 3.10).

use crate::control::reliability::{CELL, Reliability};
use crate::time::{Duration, Instant};
use crate::tls::TlsSession;
use crate::wire::key_method2::KeySource;
use crate::wire::opcode::{KeyId, Opcode};
use crate::x509::PeerVerified;

/// A failed negotiation lives on for so long, for the TLS alert to reach the peer.
const ALERT_TIME: Duration = Duration::from_secs(2);

/// A negotiation that the peer has not moved on for so long gives way to others.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// That of a peer that has shown who it is, or that this end has called: a lost packet is repeated after 2 s, and after 4 s
/// more.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(7);

/// Who the peer is. Only a verified peer has one, and no data key is made without it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity([u8; 32]);

impl From<&PeerVerified> for Identity {
    fn from(peer: &PeerVerified) -> Self {
        Self(*peer.fingerprint())
    }
}

/// How far the negotiation has come.
pub(super) enum Stage {
    /// Our reset is not acknowledged, or the peer's has not come.
    Reset {
        /// The peer's has come.
        answered: bool,
    },
    /// TLS.
    Handshake,
    /// TLS stands; the key messages are exchanged.
    Exchange {
        /// Who the peer has shown to be.
        peer: Identity,
        /// Our contribution to the key, if it has been sent.
        sent: Option<KeySource>,
    },
    /// There is a data key; text messages may follow.
    Established,
    /// It has failed; an alert may still be on its way.
    Failed {
        /// When to give up on it.
        until: Instant,
    },
    /// It has failed, and everything about that has been said.
    Dead,
}

/// One key's control state. Its packets lie in the memory of its TLS session's slot.
pub(super) struct KeyState {
    pub(super) id: KeyId,
    /// When the negotiation began.
    pub(super) started: Instant,
    /// When the peer last moved it on.
    pub(super) heard: Instant,
    pub(super) stage: Stage,
    pub(super) reliability: Reliability,
    /// Which of the link's TLS sessions it uses; `None` if it had to give it away.
    pub(super) tls: Option<usize>,
    /// This end has asked for the negotiation.
    pub(super) ours: bool,
}

impl KeyState {
    /// Begins a negotiation: `reset` is sent first.
    pub(super) fn start(
        id: KeyId,
        reset: Opcode,
        ours: bool,
        tls: usize,
        memory: &mut [u8],
        timeout: Duration,
        now: Instant,
    ) -> Self {
        let mut reliability = Reliability::new(memory.len() / CELL, timeout);
        reliability.send(memory, reset, 0, |_| 0);
        let stage = Stage::Reset { answered: false };
        Self { id, started: now, heard: now, stage, reliability, tls: Some(tls), ours }
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.stage, Stage::Failed { .. } | Stage::Dead)
    }

    /// Whether its TLS session may serve another negotiation: all that this one is still good for are text messages, or
    /// the peer does not acknowledge its end.
    pub(super) fn can_do_without_tls(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Established => self.reliability.is_all_acked() || now.since(self.heard) >= LONG_PATIENCE,
            Stage::Dead => true,
            _ => false,
        }
    }

    /// Gives its TLS session away if it is this one, and the memory with what was sent: from now on it only acknowledges.
    pub(super) fn release_tls(&mut self, slot: usize) {
        self.tls.take_if(|tls| *tls == slot);
    }

    /// When a packet is to leave; in the past if it is now.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.reliability.next_due().filter(|_| self.tls.is_some())
    }

    /// It cannot succeed any more, but what TLS has to say about it is still sent.
    pub(super) fn fail(&mut self, now: Instant) {
        if !self.has_failed() {
            self.stage = Stage::Failed { until: now + ALERT_TIME };
        }
    }

    /// When the negotiation is over, one way or the other.
    pub(super) fn deadline(&self, hand_window: Duration) -> Option<Instant> {
        match self.stage {
            Stage::Established | Stage::Dead => None,
            Stage::Failed { until } => Some(until),
            _ => Some(self.started + hand_window),
        }
    }

    /// Whether resets are exchanged, so that TLS may flow.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Reset { .. })
    }

    /// Whether the peer has never answered, or has stopped to move it on.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        !self.is_open() || now.since(self.heard) >= PATIENCE
    }

    /// Takes what TLS has to send into control packets of at most `limit` bytes of payload.
    pub(super) fn flush(&mut self, tls: &mut impl TlsSession, memory: &mut [u8], limit: usize) {
        while self.is_open() && self.reliability.can_send() {
            if !self.reliability.send(memory, Opcode::Control, limit, |cell| tls.write_tls(cell)) {
                break;
            }
        }
    }

    /// Takes what TLS has to send, if anything, into one packet of this kind.
    pub(super) fn flush_one(&mut self, tls: &mut impl TlsSession, memory: &mut [u8], limit: usize, opcode: Opcode) {
        if self.is_open() && self.reliability.can_send() {
            self.reliability.send(memory, opcode, limit, |cell| tls.write_tls(cell));
        }
    }
}
