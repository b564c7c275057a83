//! The memory of a link.

use core::fmt;

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

/// The memory of one link, with queues of `N` packets between the tunnel and each of the two network stacks. It is made
/// for a [`ConstStaticCell`](https://docs.rs/static_cell), so that it never lies on the stack.
pub struct State<const N: usize = 2> {
    pub(crate) channel: channel::State<MTU_MAX, N, N>,
    /// The queues of the socket.
    pub(crate) received: [[u8; DATAGRAM_MAX]; N],
    pub(crate) sent: [[u8; DATAGRAM_MAX]; N],
    pub(crate) buffer: [u8; BUFFER_LEN],
    /// Empty until the link is set up. A vector, because it is empty when all its bytes are zero: a static takes no flash
    /// only if this holds for all of it.
    pub(crate) config: Vec<LinkConfig<'static>, 1>,
    #[cfg(feature = "tls")]
    pub(crate) tls: crate::certificates::TlsMemory,
    #[cfg(feature = "tls")]
    pub(crate) link: crate::platform::LinkMemory,
}

impl<const N: usize> State<N> {
    /// Empty memory.
    pub const fn new() -> Self {
        Self {
            channel: channel::State::new(),
            received: [[0; DATAGRAM_MAX]; N],
            sent: [[0; DATAGRAM_MAX]; N],
            buffer: [0; BUFFER_LEN],
            config: Vec::new(),
            #[cfg(feature = "tls")]
            tls: crate::certificates::TlsMemory::new(),
            #[cfg(feature = "tls")]
            link: crate::platform::LinkMemory::new([0; _]),
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
