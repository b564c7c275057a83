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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn a_length_that_cannot_be_ends_the_stream() {
        for (stream, len) in [([0, 0, 1, 2], 0), ([0, 9, 1, 2], 9), ([0xff, 0xff, 1, 2], 0xffff)] {
            let mut reassembler = Reassembler::new([0; 10]);
            assert_eq!(reassembler.push(&[0, 1, 7]), 3);
            assert_eq!(reassembler.push(&stream), 4);
            assert_eq!(reassembler.next_packet(), Ok(Some(&mut [7][..])));
            assert_eq!(reassembler.next_packet(), Err(BadLength { len, max: 8 }));
            assert_eq!(reassembler.next_packet(), Err(BadLength { len, max: 8 }), "it stays so");
            reassembler.restart();
            assert_eq!(reassembler.next_packet(), Ok(None));
        }
        let mut reassembler = Reassembler::new([0; 10]);
        assert_eq!(reassembler.push(&[0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9]), 10, "the memory is full");
        assert_eq!(reassembler.next_packet(), Ok(Some(&mut [1, 2, 3, 4, 5, 6, 7, 8][..])));
        assert_eq!(reassembler.push(&[0]), 1, "and free again");
    }

    #[test]
    fn memory_too_small_for_anything_is_no_danger() {
        for len in 0..3 {
            let mut reassembler = Reassembler::new(std::vec![0; len]);
            assert_eq!(reassembler.push(&[0, 1, 2]), len);
            assert_eq!(reassembler.next_packet().is_err(), len == 2);
        }
    }

    #[test]
    fn nothing_is_prefixed_that_could_not_be_sent() {
        let mut buffer = std::vec![0; 0x1_0002];
        assert_eq!(write_prefix(&mut PacketBuf::new(&mut buffer, 2, 0).unwrap()), None);
        assert_eq!(write_prefix(&mut PacketBuf::new(&mut buffer, 1, 5).unwrap()), None);
        assert_eq!(write_prefix(&mut PacketBuf::new(&mut buffer, 2, 0x1_0000).unwrap()), None);
        assert_eq!(write_prefix(&mut PacketBuf::new(&mut buffer, 2, 0xffff).unwrap()), Some(()));
    }

    proptest! {
        #[test]
        fn packets_come_out_as_they_went_in_however_the_stream_is_cut(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..30), 0..20),
            cuts in proptest::collection::vec(1_usize..50, 1..20),
        ) {
            let mut stream = Vec::new();
            for packet in &packets {
                let mut buffer = [&[0; PREFIX_LEN][..], packet].concat();
                let mut prefixed = PacketBuf::new(&mut buffer, PREFIX_LEN, packet.len()).unwrap();
                write_prefix(&mut prefixed).unwrap();
                stream.extend_from_slice(prefixed.as_slice());
            }
            let mut reassembler = Reassembler::new([0; 32]);
            let mut found = Vec::new();
            let (mut rest, mut cuts) = (&stream[..], cuts.into_iter().cycle());
            while !rest.is_empty() {
                let piece = &rest[..cuts.next().unwrap().min(rest.len())];
                let taken = reassembler.push(piece);
                prop_assert!(taken > 0, "there is always room again");
                rest = &rest[taken..];
                while let Some(packet) = reassembler.next_packet().unwrap() {
                    found.push(packet.to_vec());
                }
            }
            prop_assert_eq!(found, packets);
        }

        #[test]
        fn any_bytes_are_packets_or_an_end(stream in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..200)) {
            let mut reassembler = Reassembler::new([0; 20]);
            let mut rest = &stream[..];
            'stream: while !rest.is_empty() {
                rest = &rest[reassembler.push(rest)..];
                loop {
                    match reassembler.next_packet() {
                        Ok(Some(packet)) => prop_assert!((1..=18).contains(&packet.len())),
                        Ok(None) => break,
                        Err(_) => break 'stream,
                    }
                }
            }
        }
    }
}
