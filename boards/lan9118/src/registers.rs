//! The registers and bits that the driver uses, as offsets in bytes from the start of the window.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// The chip's 256 bytes of registers, each a little-endian word.
///
/// Every access reaches the chip, in program order: reading some of them takes something out of the chip.
///
/// A bus that is faster than the chip allows must wait here: the chip wants up to 165 ns between some pairs of accesses.
pub trait Registers {
    /// The word at this offset.
    fn read(&self, offset: usize) -> u32;
    /// Writes the word at this offset.
    fn write(&self, offset: usize, value: u32);
}

/// The registers in the address space of the processor.
#[derive(Debug, Clone, Copy)]
pub struct Mapped {
    base: usize,
}

impl Mapped {
    /// The window that starts at this address.
    ///
    /// # Safety
    /// A LAN9118 answers at the 256 bytes from `base`, which is a multiple of 4, for as long as the program runs.
    pub const unsafe fn new(base: usize) -> Self {
        Self { base }
    }
}

impl Registers for Mapped {
    fn read(&self, offset: usize) -> u32 {
        debug_assert!(offset < 0x100 && offset.is_multiple_of(4));
        // SAFETY: the register lies in the window that `new` was promised.
        unsafe { with_exposed_provenance::<u32>(self.base + offset).read_volatile() }
    }

    fn write(&self, offset: usize, value: u32) {
        debug_assert!(offset < 0x100 && offset.is_multiple_of(4));
        // SAFETY: the register lies in the window that `new` was promised.
        unsafe { with_exposed_provenance_mut::<u32>(self.base + offset).write_volatile(value) }
    }
}

pub(crate) const RX_DATA_FIFO: usize = 0x00;
pub(crate) const TX_DATA_FIFO: usize = 0x20;
pub(crate) const RX_STATUS_FIFO: usize = 0x40;

pub(crate) const IRQ_CFG: usize = 0x54;
pub(crate) const IRQ_PUSH_PULL: u32 = 1 << 0;
pub(crate) const IRQ_ACTIVE_HIGH: u32 = 1 << 4;
pub(crate) const IRQ_ENABLED: u32 = 1 << 8;

/// What has happened; writing a one forgets it. The same bits in `INT_EN` let it interrupt.
pub(crate) const INT_STS: usize = 0x58;
pub(crate) const INT_EN: usize = 0x5c;
/// A frame has arrived.
pub(crate) const INT_RX_STATUS: u32 = 1 << 3;
/// There is room for a frame to send.
pub(crate) const INT_TX_SPACE: u32 = 1 << 9;
/// The transceiver has news of the cable.
pub(crate) const INT_PHY: u32 = 1 << 18;

pub(crate) const BYTE_TEST: usize = 0x64;
pub(crate) const BYTE_TEST_VALUE: u32 = 0x8765_4321;

/// When the FIFOs interrupt: received frames, and free space in blocks of 64 bytes from bit 24 on.
pub(crate) const FIFO_INT: usize = 0x68;

pub(crate) const TX_CFG: usize = 0x70;
pub(crate) const TX_ON: u32 = 1 << 1;
/// Statuses of sent frames that nobody reads are overwritten.
pub(crate) const TX_STATUS_OVERRUN: u32 = 1 << 2;

pub(crate) const HW_CFG: usize = 0x74;
pub(crate) const HW_RESET: u32 = 1 << 0;
pub(crate) const HW_MUST_BE_ONE: u32 = 1 << 20;
/// 5 KB of the 16 KB are for frames to send.
pub(crate) const HW_TX_FIFO_5K: u32 = 5 << 16;

pub(crate) const RX_DP_CTRL: usize = 0x78;
/// Skips the frame at the head of the data FIFO, of four words or more.
pub(crate) const RX_FAST_FORWARD: u32 = 1 << 31;
pub(crate) const RX_FIFO_INF: usize = 0x7c;
pub(crate) const TX_FIFO_INF: usize = 0x80;

pub(crate) const PMT_CTRL: usize = 0x84;
pub(crate) const PMT_READY: u32 = 1 << 0;

/// Frames that found no room since the last look.
pub(crate) const RX_DROP: usize = 0xa0;

pub(crate) const MAC_CSR_CMD: usize = 0xa4;
pub(crate) const MAC_CSR_DATA: usize = 0xa8;
pub(crate) const MAC_CSR_READ: u32 = 1 << 30;
/// Also of `E2P_CMD`.
pub(crate) const BUSY: u32 = 1 << 31;
pub(crate) const E2P_CMD: usize = 0xb0;

/// Registers behind `MAC_CSR_CMD`.
pub(crate) mod mac {
    pub(crate) const CONTROL: u32 = 1;
    pub(crate) const RECEIVE: u32 = 1 << 2;
    pub(crate) const TRANSMIT: u32 = 1 << 3;
    pub(crate) const ALL_MULTICAST: u32 = 1 << 19;
    pub(crate) const FULL_DUPLEX: u32 = 1 << 20;
    pub(crate) const ADDRESS_HIGH: u32 = 2;
    pub(crate) const ADDRESS_LOW: u32 = 3;
    pub(crate) const MII_ACCESS: u32 = 6;
    pub(crate) const MII_BUSY: u32 = 1 << 0;
    pub(crate) const MII_WRITE: u32 = 1 << 1;
    pub(crate) const MII_DATA: u32 = 7;
}

/// Registers of the transceiver behind `MII_ACCESS`.
pub(crate) mod phy {
    /// The number of the transceiver inside the chip.
    pub(crate) const ADDRESS: u32 = 1;
    pub(crate) const CONTROL: u32 = 0;
    pub(crate) const NEGOTIATE: u32 = 1 << 12 | 1 << 9;
    pub(crate) const STATUS: u32 = 1;
    pub(crate) const LINK: u32 = 1 << 2;
    pub(crate) const OFFER: u32 = 4;
    pub(crate) const PARTNER: u32 = 5;
    pub(crate) const FULL_100: u32 = 1 << 8;
    pub(crate) const HALF_100: u32 = 1 << 7;
    pub(crate) const FULL_10: u32 = 1 << 6;
    pub(crate) const INT_SOURCE: u32 = 29;
    pub(crate) const INT_MASK: u32 = 30;
    pub(crate) const INT_LINK_DOWN: u32 = 1 << 4;
    pub(crate) const INT_NEGOTIATED: u32 = 1 << 6;
}
