//! Several packets at a time.

use crate::error::{Discard, NotReady};
use crate::packet::PacketBuf;

/// How many packets are worked on side by side. A longer batch is cut into such parts.
pub const BATCH: usize = 8;

/// A packet of a batch that is sealed in place: what is `Err` is left alone, and what cannot be sealed becomes `Err`.
pub type Outgoing<'b> = Result<PacketBuf<'b>, NotReady>;

/// A packet of a batch that is opened in place: first a datagram, then what
/// [`Peer::handle_datagram`](crate::peer::Peer::handle_datagram) makes of it. What is no datagram is left alone.
pub type Incoming<'b> = Result<Option<&'b mut [u8]>, Discard>;

/// Does something with each packet that has not failed so far.
pub(crate) fn for_each<'b>(
    packets: &mut [Outgoing<'b>],
    mut step: impl FnMut(&mut PacketBuf<'b>) -> Result<(), NotReady>,
) {
    for slot in packets {
        if let Ok(packet) = slot
            && let Err(reason) = step(packet)
        {
            *slot = Err(reason);
        }
    }
}
