//! What a session sends: the bytes of TLS in packets, acknowledgements, and its last word.

use core::ops::Range;

use heapless::Vec;

use crate::control::HEADROOM;
use crate::control::context::{Context, Stack};
use crate::control::protection::Protection;
use crate::control::session::Session;
use crate::packet::PacketBuf;
use crate::platform::Platform;
use crate::time::Instant;
use crate::tls::TlsSession;
use crate::wire::control::{self, ACKS_MAX, SessionId};
use crate::wire::opcode::{Head, Opcode};
use crate::wire::text;

/// The most acknowledgements in a packet that carries something else.
const ACKS_WITH_PAYLOAD: usize = 4;
/// Bytes of a control packet besides its wrapping and payload.
const PLAIN_OVERHEAD: usize = 1 + ACKS_WITH_PAYLOAD * 4 + SessionId::LEN + 4;
/// Bytes of TLS that a packet carries at least, however small `max-packet-size` is.
const PAYLOAD_MIN: usize = 16;

impl<P: Platform> Session<P> {
    /// Takes what one key's TLS has to send, as far as there is room.
    pub(super) fn flush(&mut self, cx: &Context<'_, P>, stack: &mut Stack<'_, P>, negotiates: bool) {
        let Some((Some(slot), id)) = self.key(negotiates).map(|key| (key.tls, key.id)) else { return };
        let outer = if self.address.is_ipv6() { 48 } else { 28 };
        let overhead = self.wrapping(stack.protection, id).map_or(0, |(wrapping, _)| wrapping.overhead());
        let client_key = self.protection(stack.protection).client_key().filter(|_| self.resend_key);
        let client_key_len = client_key.map_or(0, <[u8]>::len);
        let limit = |more: usize| {
            usize::from(cx.config.tls.max_packet_size)
                .saturating_sub(outer)
                .saturating_sub(PLAIN_OVERHEAD)
                .saturating_sub(overhead)
                .saturating_sub(more)
                .max(PAYLOAD_MIN)
        };
        let (Some(key), Some((session, memory))) = (self.key(negotiates), stack.slot(slot)) else { return };
        let sends_client_key = key.is_open() && client_key_len > 0;
        if sends_client_key {
            key.flush_one(session, memory, limit(client_key_len), Opcode::ControlWkc);
        }
        key.flush(session, memory, limit(0));
        self.resend_key &= !sends_client_key;
    }

    /// Writes the next control packet that is due into `out` and says where in it the datagram lies. `memory` gives the
    /// packets of a TLS session.
    pub(super) fn next_datagram<'m>(
        &mut self,
        now: Instant,
        unix_now: u64,
        shared: &Protection<P::Crypto>,
        memory: impl Fn(usize) -> Option<&'m [u8]>,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        if let Some(current) = &mut self.current {
            current.confirm(now);
        }
        let (mut opcode, mut id, mut len) = (Opcode::Ack, None, 0);
        let mut acks = Vec::<u32, ACKS_MAX>::new();
        let mut key_id = None;
        let control = self.current.as_mut().map(|current| &mut current.control);
        for key in self.next.as_mut().into_iter().chain(control) {
            let memory = key.tls.and_then(&memory);
            if let Some(outgoing) = memory.and_then(|memory| key.reliability.due(memory, now)) {
                let payload = out.get_mut(HEADROOM..)?.get_mut(..outgoing.payload.len())?;
                payload.copy_from_slice(outgoing.payload);
                (opcode, id, len) = (outgoing.opcode, Some(outgoing.id), outgoing.payload.len());
                // A client's greeting is for any server: an acknowledgement of what another one may have forged
                // would make it worthless. It follows on its own.
                if !matches!(opcode, Opcode::HardResetClientV2 | Opcode::HardResetClientV3) {
                    acks = key.reliability.take_acks(ACKS_WITH_PAYLOAD);
                }
            } else if key.reliability.has_pending_acks() && self.peer.is_some() {
                acks = key.reliability.take_acks(ACKS_MAX);
            } else {
                continue;
            }
            key_id = Some(key.id);
            break;
        }
        if key_id.is_none()
            && let Some((stray, id)) = self.stray.take()
        {
            key_id = Some(stray);
            let _ = acks.push(id);
        }
        let head = Head { opcode, key_id: key_id? };
        let mut packet = PacketBuf::new(out, HEADROOM, len)?;
        control::write_header(&mut packet, &acks, self.peer, id)?;
        let unix_now = u32::try_from(unix_now).unwrap_or(u32::MAX);
        let own = self.own;
        let (wrapping, guard) = self.wrapping(shared, head.key_id)?;
        wrapping.seal(&mut guard.ids, unix_now, head, own, &mut packet)?;
        if matches!(opcode, Opcode::HardResetClientV3 | Opcode::ControlWkc)
            && let Some(key) = self.protection(shared).client_key()
        {
            packet.append(key.len())?.copy_from_slice(key);
        }
        Some(packet.range())
    }

    /// Whether [`Session::next_datagram`] has something.
    pub(super) fn has_output(&self, now: Instant) -> bool {
        self.stray.is_some()
            || self.keys().any(|key| {
                (key.reliability.has_pending_acks() && self.peer.is_some())
                    || key.next_due().is_some_and(|at| at <= now)
            })
    }

    /// Tells the peer that this end exits, if that was agreed on. True if it was told.
    pub(super) fn say_exit(&mut self, cx: &mut Context<'_, P>, stack: &mut Stack<'_, P>) -> bool {
        // openvpn hears nothing more under the current key once the next one is being negotiated.
        let can_tell = self.next.is_none() && self.agreed.is_some_and(|agreed| agreed.exit_message);
        let Some(current) = self.current.as_ref().filter(|_| can_tell) else { return false };
        let Some(session) = current.control.tls.and_then(|slot| stack.tls.get_mut(slot)) else { return false };
        let told = session.write_plain(text::EXIT) > 0;
        self.advance(cx, stack, false);
        told
    }
}
