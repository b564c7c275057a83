//! Control packets arrive in order and none is lost, over a network that promises neither (protocol section 3.8).

use heapless::Vec;

use crate::time::{Duration, Instant};
use crate::wire::control::ACKS_MAX;
use crate::wire::opcode::Opcode;

/// Length in bytes of one piece of the memory: the longest payload that can be sent or held.
pub const CELL: usize = 1280;

/// How many packets, counted from the oldest one that is not acknowledged, may be under way.
const SEND_WINDOW: usize = 6;

/// How many packets, counted from the next one in order, are taken.
const RECEIVE_WINDOW: usize = 12;

/// A packet that this many later ones have overtaken is lost.
const OVERTAKEN_MAX: u8 = 3;

/// One key's control packets, both ways.
///
/// They lie in memory that is the caller's, and always the same, divided into cells of [`CELL`] bytes, in which packets
/// wait for their acknowledgement or, received, for an earlier one. It takes two to work at all, and more to be fast.
#[derive(Debug)]
pub struct Reliability {
    cells: usize,
    timeout: Duration,
    next_send: u32,
    /// What is not acknowledged, oldest first.
    sent: Vec<Sent, SEND_WINDOW>,
    next_receive: u32,
    /// What came too early.
    held: Vec<Held, RECEIVE_WINDOW>,
    /// Ids to acknowledge, oldest first.
    pending: Vec<u32, ACKS_MAX>,
    /// Ids that have been acknowledged, newest first.
    settled: Vec<u32, ACKS_MAX>,
}

#[derive(Debug)]
struct Sent {
    id: u32,
    opcode: Opcode,
    cell: usize,
    len: usize,
    /// When it is to leave again; `None` is at once.
    due: Option<Instant>,
    timeout: Duration,
    /// How many later packets have been acknowledged.
    overtaken: u8,
}

#[derive(Debug)]
struct Held {
    id: u32,
    cell: usize,
    len: usize,
}

/// A control packet that is to leave now.
#[derive(Debug, PartialEq, Eq)]
pub struct Outgoing<'r> {
    /// What it is.
    pub opcode: Opcode,
    /// Its id.
    pub id: u32,
    /// Its payload.
    pub payload: &'r [u8],
}

impl Reliability {
    /// Nothing has been sent or received, in memory of `cells` times [`CELL`] bytes. A packet is repeated after `timeout`
    /// (`tls-timeout`), which then doubles.
    pub const fn new(cells: usize, timeout: Duration) -> Self {
        Self {
            cells,
            timeout,
            next_send: 0,
            sent: Vec::new(),
            next_receive: 0,
            held: Vec::new(),
            pending: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Both resets, with the ids 0, have been exchanged and acknowledged without keeping state (protocol section 3.7).
    pub fn after_resets(cells: usize, timeout: Duration) -> Self {
        Self { next_send: 1, next_receive: 1, ..Self::new(cells, timeout) }
    }

    /// Forgets everything, to begin with the id 0 in the same memory.
    pub fn restart(&mut self) {
        self.next_send = 0;
        self.sent.clear();
        self.next_receive = 0;
        self.held.clear();
        self.pending.clear();
        self.settled.clear();
    }

    /// How many sent packets are not acknowledged.
    pub fn under_way(&self) -> usize {
        self.sent.len()
    }

    /// Forgets what has been received: another peer begins with its id 0. What was sent still waits.
    pub fn forget_received(&mut self) {
        self.next_receive = 0;
        self.held.clear();
        self.pending.clear();
        self.settled.clear();
    }

    /// Whether [`Reliability::send`] would take a packet now: the window is open, and a cell is left for receiving.
    pub fn can_send(&self) -> bool {
        let window_is_open = self.sent.first().is_none_or(|oldest| {
            usize::try_from(self.next_send.saturating_sub(oldest.id)).is_ok_and(|under_way| under_way < SEND_WINDOW)
        });
        let reserved = usize::from(self.held.is_empty());
        window_is_open && self.free_cells().nth(reserved).is_some()
    }

    /// Queues a packet whose payload `fill` writes, and of which it returns the length: at most `limit` bytes, and at
    /// most [`CELL`].
    ///
    /// False if nothing was queued: [`Reliability::can_send`] forbids it, or `fill` had nothing for an
    /// [`Opcode::Control`].
    pub fn send(
        &mut self,
        memory: &mut [u8],
        opcode: Opcode,
        limit: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> bool {
        if !self.can_send() {
            return false;
        }
        let Some(cell) = self.free_cells().next() else { return false };
        let Some(payload) = cell_mut(memory, cell).and_then(|cell| cell.get_mut(..limit.min(CELL))) else {
            return false;
        };
        let len = fill(payload).min(payload.len());
        if len == 0 && opcode == Opcode::Control {
            return false;
        }
        let sent = Sent { id: self.next_send, opcode, cell, len, due: None, timeout: self.timeout, overtaken: 0 };
        self.next_send = self.next_send.saturating_add(1);
        self.sent.push(sent).is_ok()
    }

    /// The next packet that is to leave at `now`, which counts as sent with that.
    pub fn due<'m>(&mut self, memory: &'m [u8], now: Instant) -> Option<Outgoing<'m>> {
        let sent = self.sent.iter_mut().find(|sent| sent.due.is_none_or(|due| due <= now))?;
        if sent.due.is_some() {
            sent.timeout = sent.timeout.saturating_mul(2);
        }
        sent.due = Some(now + sent.timeout);
        let payload = cell_of(memory, sent.cell)?.get(..sent.len)?;
        Some(Outgoing { opcode: sent.opcode, id: sent.id, payload })
    }

    /// When [`Reliability::due`] will have something; in the past if it has now, `None` if nothing is under way.
    pub fn next_due(&self) -> Option<Instant> {
        self.sent.iter().map(|sent| sent.due.unwrap_or(Instant::from_millis(0))).min()
    }

    /// Whether the peer has everything that was queued.
    pub fn is_all_acked(&self) -> bool {
        self.sent.is_empty()
    }

    /// Everything under way is to leave at once, as if for the first time: the peer has only now begun to listen.
    pub fn resend_now(&mut self) {
        for sent in &mut self.sent {
            sent.due = None;
            sent.timeout = self.timeout;
            sent.overtaken = 0;
        }
    }

    /// The peer has the packets with these ids; unknown ones are passed over. A packet that several later ones have
    /// overtaken is to leave again at once.
    ///
    /// True if that was news.
    pub fn acked(&mut self, ids: &[u32]) -> bool {
        let mut is_news = false;
        for id in ids {
            let Some(position) = self.sent.iter().position(|sent| sent.id == *id) else { continue };
            is_news = true;
            self.sent.remove(position);
            for earlier in self.sent.iter_mut().take(position) {
                earlier.overtaken = earlier.overtaken.saturating_add(1);
                if earlier.overtaken == OVERTAKEN_MAX {
                    earlier.due = None;
                }
            }
        }
        is_news
    }

    /// Takes a received packet, and hands it and whatever waited for it to `deliver`, in order and with their ids.
    ///
    /// True if the packet is to be acknowledged. If not, nothing has happened, and the peer will send it again: it is
    /// too far ahead, or there is no room for it.
    pub fn receive(&mut self, memory: &mut [u8], id: u32, payload: &[u8], deliver: &mut dyn FnMut(u32, &[u8])) -> bool {
        let is_pending = self.pending.contains(&id);
        if !is_pending && self.pending.is_full() {
            return false;
        }
        // Without a difference it is in order; with a negative one it has been delivered.
        if let Some(ahead) = id.checked_sub(self.next_receive) {
            if ahead == 0 {
                deliver(id, payload);
                self.next_receive = self.next_receive.saturating_add(1);
                self.deliver_held(memory, deliver);
            } else if usize::try_from(ahead).is_ok_and(|ahead| ahead < RECEIVE_WINDOW) {
                let is_held = self.held.iter().any(|held| held.id == id);
                if !is_held && self.hold(memory, id, payload).is_none() {
                    return false;
                }
            } else {
                return false;
            }
        }
        is_pending || self.pending.push(id).is_ok()
    }

    /// At most `max` ids to send with the next packet: those that are not acknowledged yet, and then those that last
    /// were, for an acknowledgement may be lost.
    pub fn take_acks(&mut self, max: usize) -> Vec<u32, ACKS_MAX> {
        let count = self.pending.len().min(max);
        for id in self.pending.drain(..count) {
            self.settled.retain(|settled| *settled != id);
            self.settled.truncate(ACKS_MAX - 1);
            // There is room now.
            let _ = self.settled.insert(0, id);
        }
        self.settled.iter().copied().take(max).collect()
    }

    /// Whether something is received that is not acknowledged yet.
    pub fn has_pending_acks(&self) -> bool {
        !self.pending.is_empty()
    }

    fn hold(&mut self, memory: &mut [u8], id: u32, payload: &[u8]) -> Option<()> {
        let cell = self.free_cells().next()?;
        cell_mut(memory, cell)?.get_mut(..payload.len())?.copy_from_slice(payload);
        self.held.push(Held { id, cell, len: payload.len() }).ok()
    }

    fn deliver_held(&mut self, memory: &[u8], deliver: &mut dyn FnMut(u32, &[u8])) {
        while let Some(position) = self.held.iter().position(|held| held.id == self.next_receive) {
            let held = self.held.swap_remove(position);
            let payload = cell_of(memory, held.cell).and_then(|cell| cell.get(..held.len));
            deliver(held.id, payload.unwrap_or_default());
            self.next_receive = self.next_receive.saturating_add(1);
        }
    }

    fn free_cells(&self) -> impl Iterator<Item = usize> {
        (0..self.cells).filter(|cell| {
            self.sent.iter().all(|sent| sent.cell != *cell) && self.held.iter().all(|held| held.cell != *cell)
        })
    }
}

fn cell_of(memory: &[u8], cell: usize) -> Option<&[u8]> {
    memory.chunks_exact(CELL).nth(cell)
}

fn cell_mut(memory: &mut [u8], cell: usize) -> Option<&mut [u8]> {
    memory.chunks_exact_mut(CELL).nth(cell)
}

#[cfg(test)]
mod tests;
