//! The control channel: how two ends agree on data keys, behind a wrapping that keeps strangers out.

mod context;
mod key_exchange;
mod key_state;
mod memory;
pub mod negotiation;
mod protection;
pub mod reliability;
mod sending;
mod session;
mod tls_link;
pub mod wrapping;

pub(crate) use context::{Context, Outcome};
pub use memory::{DATA_KEYS, DataKeys, LinkMemory, Memory};
pub use protection::{Protection, ProtectionError};
pub use reliability::{CELL, Outgoing, Reliability};

pub(crate) use tls_link::Sign;
pub use tls_link::TlsLink;
pub use wrapping::{Opened, Wrapping};

use crate::wire::control::MESSAGE_HEADER_MAX;

/// Free bytes before the payload of a control packet: acknowledgements, the largest wrapping, and the length that goes
/// before each packet in a TCP stream.
pub const HEADROOM: usize = MESSAGE_HEADER_MAX.saturating_add(wrapping::OVERHEAD_MAX).saturating_add(2);
