//! The control channel: how two ends agree on data keys, behind a wrapping that keeps strangers out.

pub mod reliability;
pub mod wrapping;

pub use reliability::{Outgoing, Reliability};
pub use wrapping::{Opened, Wrapping};

use crate::wire::control::MESSAGE_HEADER_MAX;

/// Free bytes before the payload of a control packet: acknowledgements, the largest wrapping, and the length that goes
/// before each packet in a TCP stream.
pub const HEADROOM: usize = MESSAGE_HEADER_MAX.saturating_add(wrapping::OVERHEAD_MAX).saturating_add(2);
