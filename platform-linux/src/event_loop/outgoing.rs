//! Packets on their way out: sealed side by side in one buffer, sent together.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::ops::Range;

use longcable_core::error::NotReady;
use longcable_core::gateway::Gateway;
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::platform::Platform;
use longcable_core::time::Instant;

use crate::link::udp::{LinkError, UdpLink};
use crate::log;
use crate::offload::SUPER_PACKET_MAX;
use crate::offload::segment::Segmenter;

/// As many as one large packet with the smallest MTU in use is cut into, behind those that waited before.
const WAITING_MAX: usize = 256;

/// As many as gain by being encrypted side by side.
const SEALED_TOGETHER: usize = 8;

/// As many as one call takes.
const TOGETHER_MAX: usize = 64;

/// So much may wait before another packet is read: as many bytes as one call takes, and what lies between the datagrams.
const WAITING_LEN: usize = 96 << 10;

/// What a large packet may become when it is cut, with all that is added to its segments.
const CUT_LEN: usize = 2 * SUPER_PACKET_MAX;

/// A queue for the socket.
///
/// A packet is read, or put, into the free room at its end and sealed there.
pub(super) struct Outgoing {
    buffer: Box<[u8]>,
    /// Of the same length: a large packet stays here while it is cut.
    spare: Box<[u8]>,
    /// Where the free room begins.
    end: usize,
    waiting: Vec<Datagram>,
    /// So many of these are sent.
    sent: usize,
}

/// Where a sealed packet lies, and how it is to be sent.
struct Datagram {
    start: usize,
    len: usize,
    to: SocketAddr,
    tos: Option<u8>,
}

/// A buffer of `len` bytes, of which the system gives `often` at once and not with the first stream that passes: what a link
/// takes when it stands is what it keeps.
pub(super) fn taken(len: usize, often: usize) -> Box<[u8]> {
    let mut buffer = vec![0; len].into_boxed_slice();
    // Zeroes would be there without any memory.
    buffer.iter_mut().take(often).for_each(|byte| *byte = 1);
    buffer
}

impl Outgoing {
    /// An empty one, with all the memory that it will ever take.
    pub(super) fn new() -> Self {
        let buffer = || taken(WAITING_LEN + CUT_LEN, WAITING_LEN);
        Self { buffer: buffer(), spare: buffer(), end: 0, waiting: Vec::with_capacity(WAITING_MAX), sent: 0 }
    }

    /// Whether there is room for a large packet, cut or not.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < TOGETHER_MAX && self.end <= WAITING_LEN
    }

    /// Where the next packet is to be put, if it [has room](Self::has_room).
    pub(super) fn room(&mut self) -> &mut [u8] {
        let end = self.buffer.len() - TAILROOM;
        self.buffer.get_mut(self.end + HEADROOM..end).unwrap_or_default()
    }

    /// Seals the packet of `len` bytes in the room, which waits from now on to be sent.
    pub(super) fn seal<P: Platform>(
        &mut self,
        gateway: &mut Gateway<'_, P>,
        now: Instant,
        len: usize,
        tos: Option<u8>,
    ) -> Result<(), NotReady> {
        self.seal_all(gateway, now, &[len], tos)
    }

    /// Cuts as many segments as are sealed together, or as have room, and seals them. Returns how many it was.
    pub(super) fn cut<P: Platform>(
        &mut self,
        gateway: &mut Gateway<'_, P>,
        now: Instant,
        segments: &mut Segmenter<'_>,
        tos: Option<u8>,
    ) -> Result<usize, NotReady> {
        let mut lens = [0; SEALED_TOGETHER];
        let (mut count, mut at) = (0, self.end);
        for len in &mut lens {
            let end = at + HEADROOM + segments.segment_len() + TAILROOM;
            let free = self.waiting.len() + count < WAITING_MAX;
            let Some(slot) = self.buffer.get_mut(at..end).filter(|_| free) else { break };
            let Some(segment) = segments.next(slot, HEADROOM) else { break };
            (*len, at, count) = (segment.len(), end, count + 1);
        }
        self.seal_all(gateway, now, &lens[..count], tos)?;
        Ok(count)
    }

    /// Seals packets of these lengths, which lie in the room one behind the other, each with room around it.
    fn seal_all<P: Platform>(
        &mut self,
        gateway: &mut Gateway<'_, P>,
        now: Instant,
        lens: &[usize],
        tos: Option<u8>,
    ) -> Result<(), NotReady> {
        let begin = self.buffer.as_ptr().addr();
        let mut rest = &mut self.buffer[self.end..];
        let mut packets: [_; SEALED_TOGETHER] = std::array::from_fn(|nth| {
            let (before, len, behind) = lens.get(nth).map_or((0, 0, 0), |len| (HEADROOM, *len, TAILROOM));
            let (slot, more) = std::mem::take(&mut rest).split_at_mut(before + len + behind);
            rest = more;
            PacketBuf::new(slot, before, len).ok_or(NotReady::NoRoom)
        });
        let to = gateway.seal_batch(now, &mut packets[..lens.len()]);
        let mut result = Ok(());
        for packet in packets.into_iter().take(lens.len()) {
            match (packet, to) {
                (Ok(packet), Some(to)) => {
                    let datagram = packet.into_slice();
                    let start = datagram.as_ptr().addr() - begin;
                    self.waiting.push(Datagram { start, len: datagram.len(), to, tos });
                    self.end = start + datagram.len();
                }
                (Ok(_), None) => result = Err(NotReady::NoPeer),
                (Err(reason), _) => result = Err(reason),
            }
        }
        result
    }

    /// Where a packet of `len` bytes in the room lies, whatever becomes of the room.
    pub(super) fn range(&self, len: usize) -> Range<usize> {
        self.end + HEADROOM..self.end + HEADROOM + len
    }

    /// Takes a packet out, so that there is room for what it is cut into.
    pub(super) fn take(&mut self, at: Range<usize>) -> SuperPacket {
        if self.waiting.is_empty() {
            std::mem::swap(&mut self.buffer, &mut self.spare);
        } else {
            // The socket takes no more just now.
            self.spare[at.clone()].copy_from_slice(&self.buffer[at.clone()]);
        }
        SuperPacket { memory: std::mem::take(&mut self.spare), at }
    }

    /// Gives the memory of such a packet back.
    pub(super) fn give_back(&mut self, packet: SuperPacket) {
        self.spare = packet.memory;
    }

    /// Sends what waits and says whether all of it is sent; if not, the socket's buffer is full.
    pub(super) fn flush(&mut self, socket: Option<&UdpLink>, mut report: impl FnMut(LinkError)) -> bool {
        while let Some(first) = self.waiting.get(self.sent) {
            let Some(socket) = socket else { break };
            // A kernel that refuses the type of service still sends the packet.
            let _ = first.tos.map(|tos| socket.set_tos(tos));
            let mut parts = [IoSlice::new(&[]); TOGETHER_MAX];
            let mut count = 0;
            let same = |next: &&Datagram| next.to == first.to && next.tos == first.tos;
            for (part, datagram) in parts.iter_mut().zip(self.waiting[self.sent..].iter().take_while(same)) {
                *part = IoSlice::new(&self.buffer[datagram.start..][..datagram.len]);
                count += 1;
                log::traffic('W');
            }
            let sent = socket.send_batch(&parts[..count], first.to, &mut report);
            self.sent += sent;
            if sent < count {
                return false;
            }
        }
        self.waiting.clear();
        (self.end, self.sent) = (0, 0);
        true
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// A packet that is to be cut.
pub(super) struct SuperPacket {
    memory: Box<[u8]>,
    at: Range<usize>,
}

impl SuperPacket {
    /// Its bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        self.memory.get(self.at.clone()).unwrap_or_default()
    }
}
