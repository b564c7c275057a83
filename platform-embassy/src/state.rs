//! The memory of a link.

use core::fmt;

use embassy_net::udp::PacketMetadata;
use embassy_net_driver_channel as channel;
use heapless::Vec;
use longcable_core::options::LinkConfig;
use longcable_core::packet::{HEADROOM, TAILROOM};
use longcable_core::peer::OUTPUT_MAX;

/// Longest packet in the tunnel, in bytes: the most that `tun-mtu` may be.
pub const MTU_MAX: usize = 1500;

/// Longest datagram of the link, in bytes.
pub(crate) const DATAGRAM_MAX: usize = HEADROOM + MTU_MAX + TAILROOM;

/// Room in which a packet is sealed or opened, and in which a control packet is made.
pub(crate) const BUFFER_LEN: usize = if OUTPUT_MAX > DATAGRAM_MAX { OUTPUT_MAX } else { DATAGRAM_MAX };

/// Datagrams whose addresses the socket remembers: some are shorter than the longest.
const DATAGRAMS: usize = 8;

/// The memory of one link, with queues of `N` packets between the tunnel and each of the two network stacks. It is made
/// for a [`ConstStaticCell`](https://docs.rs/static_cell), so that it never lies on the stack.
pub struct State<const N: usize = 2> {
    pub(crate) channel: channel::State<MTU_MAX, N, N>,
    pub(crate) socket: SocketMemory<N>,
    pub(crate) buffer: [u8; BUFFER_LEN],
    /// Empty until the link is set up. A vector, because it is empty when all its bytes are zero: such a static takes no
    /// flash.
    pub(crate) config: Vec<LinkConfig<'static>, 1>,
    #[cfg(feature = "tls")]
    pub(crate) tls: crate::certificates::TlsMemory,
}

/// The queues of the socket.
pub(crate) struct SocketMemory<const N: usize> {
    received: [[u8; DATAGRAM_MAX]; N],
    received_from: [PacketMetadata; DATAGRAMS],
    sent: [[u8; DATAGRAM_MAX]; N],
    sent_to: [PacketMetadata; DATAGRAMS],
}

/// The same without their length.
pub(crate) struct SocketBuffers {
    pub(crate) received: &'static mut [u8],
    pub(crate) received_from: &'static mut [PacketMetadata],
    pub(crate) sent: &'static mut [u8],
    pub(crate) sent_to: &'static mut [PacketMetadata],
}

impl<const N: usize> State<N> {
    /// Empty memory.
    pub const fn new() -> Self {
        Self {
            channel: channel::State::new(),
            socket: SocketMemory {
                received: [[0; DATAGRAM_MAX]; N],
                received_from: [PacketMetadata::EMPTY; DATAGRAMS],
                sent: [[0; DATAGRAM_MAX]; N],
                sent_to: [PacketMetadata::EMPTY; DATAGRAMS],
            },
            buffer: [0; BUFFER_LEN],
            config: Vec::new(),
            #[cfg(feature = "tls")]
            tls: crate::certificates::TlsMemory::new(),
        }
    }
}

impl<const N: usize> Default for State<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for State<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl<const N: usize> SocketMemory<N> {
    pub(crate) fn buffers(&'static mut self) -> SocketBuffers {
        SocketBuffers {
            received: self.received.as_flattened_mut(),
            received_from: &mut self.received_from,
            sent: self.sent.as_flattened_mut(),
            sent_to: &mut self.sent_to,
        }
    }
}
