//! Packets in a TCP stream: each has its length before it (protocol section 3.9).

use core::fmt;

use crate::packet::PacketBuf;

/// Length in bytes of what goes before each packet.
pub const PREFIX_LEN: usize = 2;

/// Prepends the length of the packet; `None` if there is no room, or the packet is empty or longer than 65535 bytes.
pub fn write_prefix(packet: &mut PacketBuf<'_>) -> Option<()> {
    let len = u16::try_from(packet.len()).ok().filter(|len| *len > 0)?;
    packet.prepend(PREFIX_LEN)?.copy_from_slice(&len.to_be_bytes());
    Some(())
}

/// Cuts a received stream into packets. The longest packet fills the memory except for its prefix.
#[derive(Debug)]
pub struct Reassembler<M> {
    memory: M,
    /// What is received and not handed out lies from `start` to `end`.
    start: usize,
    end: usize,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Reassembler<M> {
    /// The start of a stream.
    pub const fn new(memory: M) -> Self {
        Self { memory, start: 0, end: 0 }
    }

    /// Forgets what was received: a new stream starts.
    pub fn restart(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Where the next bytes of the stream are to be written; tell [`Reassembler::received`] how many they were. Never
    /// empty once [`Reassembler::next_packet`] has nothing more.
    pub fn room(&mut self) -> &mut [u8] {
        let memory = self.memory.as_mut();
        if self.start > 0 {
            memory.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        memory.get_mut(self.end..).unwrap_or_default()
    }

    /// The first `len` bytes of [`Reassembler::room`] are filled.
    pub fn received(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.memory.as_ref().len());
    }

    /// Copies the next bytes of the stream; returns how many were taken. The rest is to be offered again after
    /// [`Reassembler::next_packet`].
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = self.room().iter_mut().zip(bytes).map(|(to, from)| *to = *from).count();
        self.received(taken);
        taken
    }

    /// The next whole packet; `None` if more must be received first.
    ///
    /// # Errors
    /// The stream cannot be understood from here on, and the connection must be closed.
    pub fn next_packet(&mut self) -> Result<Option<&mut [u8]>, BadLength> {
        let max = self.memory.as_ref().len().saturating_sub(PREFIX_LEN);
        let waiting = self.memory.as_mut().get_mut(self.start..self.end).unwrap_or_default();
        let Some((prefix, rest)) = waiting.split_first_chunk_mut() else { return Ok(None) };
        let len = u16::from_be_bytes(*prefix);
        if len == 0 || usize::from(len) > max {
            return Err(BadLength { len, max });
        }
        let Some(packet) = rest.get_mut(..len.into()) else { return Ok(None) };
        self.start = self.start.saturating_add(PREFIX_LEN).saturating_add(len.into());
        Ok(Some(packet))
    }
}

/// A packet claims an impossible length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength {
    /// The length that it claims, in bytes.
    pub len: u16,
    /// The longest packet that is accepted, in bytes.
    pub max: usize,
}

impl fmt::Display for BadLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, max } = self;
        write!(
            f,
            "WARNING: Bad encapsulated packet length from peer ({len}), which must be > 0 and <= {max} -- is the peer \
             another program, or does it use another 'tun-mtu' or 'proto'?"
        )
    }
}

impl core::error::Error for BadLength {}
