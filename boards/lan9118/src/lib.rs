//! Driver of the LAN9118 Ethernet controller (and its relatives LAN9115 to LAN9118 on a 32-bit bus) for
//! [`embassy-net`](https://docs.rs/embassy-net).
//!
//! The chip holds the frames: 5 KB to send, 10 KB received. The driver moves a frame between the chip and one of its two
//! buffers when the stack takes or gives it, and keeps no queue of its own. It needs no heap and 3 KB of RAM.
//!
//! A board gives three things: the chip's [`Registers`], a static [`Doorbell`], and the interrupt that rings it.
//!
//! ```
//! use lan9118::{Doorbell, Lan9118, Mapped};
//!
//! # const LAN9118_BASE: usize = 0x4020_0000;
//! static DOORBELL: Doorbell = Doorbell::new();
//!
//! fn registers() -> Mapped {
//!     // SAFETY: the board has the chip there.
//!     unsafe { Mapped::new(LAN9118_BASE) }
//! }
//!
//! // In the interrupt handler:
//! fn on_ethernet_interrupt() {
//!     DOORBELL.on_interrupt(&registers());
//! }
//!
//! // At start-up, before the interrupt is unmasked; the driver goes to `embassy_net::new`:
//! fn ethernet() -> Result<Lan9118<Mapped>, lan9118::StartError> {
//!     Lan9118::start(registers(), &DOORBELL, None)
//! }
//! ```
#![no_std]
// Nothing that arrives may stop the board.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod chip;
mod driver;
mod registers;

pub use driver::{Counters, Doorbell, Lan9118, Receive, Transmit};
pub use registers::{Mapped, Registers};

/// The longest frame in bytes, with its header of 14 bytes and without its check sequence.
pub const FRAME_MAX: usize = 1514;

/// Why the chip does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// There is no LAN9118 in the window: its test register has this value. If its bytes are swapped, so is the bus.
    NoChip(u32),
    /// What the register at this offset waits for does not happen.
    Stuck(usize),
    /// No address was given, and the chip has none from an EEPROM.
    NoAddress,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoChip(found) => write!(f, "no LAN9118 here: its test register reads {found:#010x}"),
            Self::Stuck(register) => write!(f, "the LAN9118 does not get ready: register {register:#04x}"),
            Self::NoAddress => f.write_str("the LAN9118 has no Ethernet address"),
        }
    }
}

impl core::error::Error for StartError {}
