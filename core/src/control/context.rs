//! What sessions work with, and what comes of it.

use core::net::SocketAddr;

use heapless::{Deque, String};

use crate::control::memory::{DataKeys, LinkMemory};
use crate::control::negotiation::Agreed;
use crate::control::protection::Protection;
use crate::event::Event;
use crate::options::LinkConfig;
use crate::platform::Platform;
use crate::time::Instant;
use crate::tls::Role;
use crate::wire::internal::OPTIONS_MAX;

/// What a session may use while it works on one input.
pub(crate) struct Context<'x, P: Platform> {
    pub(crate) config: &'x LinkConfig<'x>,
    pub(crate) role: Role,
    pub(crate) now: Instant,
    /// Seconds since 1970.
    pub(crate) unix_now: u64,
    /// The peer has missed a ping.
    pub(crate) is_silent: bool,
    pub(crate) rng: &'x mut P::Rng,
    pub(crate) events: &'x mut Deque<Event<'static>, 8>,
    pub(crate) outcome: &'x mut Outcome,
}

impl<P: Platform> Context<'_, P> {
    /// A full queue drops the newest event: the oldest tells the cause.
    pub(crate) fn notify(&mut self, event: Event<'static>) {
        let _ = self.events.push_back(event);
    }
}

/// What the sessions of a link share.
pub(super) struct Stack<'x, P: Platform> {
    pub(super) protection: &'x Protection<P::Crypto>,
    pub(super) tls: &'x mut [P::Tls],
    /// For their control packets, divided equally.
    pub(super) packets: &'x mut [u8],
    pub(super) keys: &'x mut DataKeys<P::Crypto, P::ReplayBits>,
    /// The TLS session that a renegotiation may use, if there is one.
    pub(super) spare: Option<usize>,
}

impl<'x, P: Platform> Stack<'x, P> {
    pub(super) fn new(
        protection: &'x Protection<P::Crypto>,
        tls: &'x mut P::TlsSessions,
        memory: &'x mut P::TlsMemory,
        spare: Option<usize>,
    ) -> Self {
        let (keys, packets) = memory.parts();
        Self { protection, tls: tls.as_mut(), packets, keys, spare }
    }

    /// A TLS session and the memory for its control packets.
    pub(super) fn slot(&mut self, number: usize) -> Option<(&mut P::Tls, &mut [u8])> {
        let packets = part_mut(self.packets, self.tls.len(), number)?;
        Some((self.tls.get_mut(number)?, packets))
    }
}

/// One of so many equal parts.
pub(super) fn part(whole: &[u8], parts: usize, number: usize) -> Option<&[u8]> {
    whole.chunks_exact(whole.len().checked_div(parts)?.max(1)).nth(number)
}

/// One of so many equal parts, to be changed.
pub(super) fn part_mut(whole: &mut [u8], parts: usize, number: usize) -> Option<&mut [u8]> {
    whole.chunks_exact_mut(whole.len().checked_div(parts)?.max(1)).nth(number)
}

/// What an input has led to, for the peer that owns the sessions.
#[derive(Default)]
pub(crate) struct Outcome {
    /// A session has come to life: its peer's address and what was agreed.
    pub(crate) connected: Option<(SocketAddr, Agreed)>,
    /// The options string that the peer told.
    pub(crate) peer_options: Option<String<OPTIONS_MAX>>,
    /// The peer has said that it exits.
    pub(crate) peer_left: bool,
    /// The session can neither go on nor be replaced.
    pub(crate) failed: bool,
    /// A packet of the live session was accepted that nobody else can have made.
    pub(crate) heard: bool,
}
