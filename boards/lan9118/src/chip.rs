//! The chip itself: start-up, the registers behind registers, frames in and out of its FIFOs.

use crate::registers::*;
use crate::{FRAME_MAX, StartError};

/// The frame check sequence at the end of each received frame.
const FCS: usize = 4;
/// Room for a frame in whole words.
pub(crate) const FRAME_ROOM: usize = (FRAME_MAX + FCS).next_multiple_of(4);
/// Free bytes that let a frame of any length be sent: its words and two words of command, in the blocks of `FIFO_INT`.
const TX_SPACE: u32 = (FRAME_MAX as u32 + 3 + 8).div_ceil(64) * 64;
/// How often a register is looked at before the chip counts as dead; each look takes the bus some 100 ns.
const PATIENCE: u32 = 1_000_000;

/// A frame that has left the receive FIFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// Its bytes without the check sequence are at the start of the buffer.
    Frame(usize),
    /// The chip saw an error in it, or it has an impossible length.
    Damaged,
}

pub(crate) struct Chip<R>(pub(crate) R);

impl<R: Registers> Chip<R> {
    /// Resets the chip and lets it send and receive; interrupts are configured and none is enabled. Gives its address.
    pub(crate) fn start(&self, address: Option<[u8; 6]>) -> Result<[u8; 6], StartError> {
        let Self(registers) = self;
        match registers.read(BYTE_TEST) {
            BYTE_TEST_VALUE => {}
            other => return Err(StartError::NoChip(other)),
        }
        registers.write(HW_CFG, HW_RESET);
        self.wait(HW_CFG, |value| value & HW_RESET == 0)?;
        self.wait(PMT_CTRL, |value| value & PMT_READY != 0)?;
        self.wait(E2P_CMD, |value| value & BUSY == 0)?;
        registers.write(HW_CFG, HW_TX_FIFO_5K | HW_MUST_BE_ONE);
        registers.write(INT_EN, 0);
        registers.write(INT_STS, u32::MAX);
        // Before the processor lets the interrupt in: the reset leaves the line active.
        registers.write(IRQ_CFG, IRQ_ENABLED | IRQ_ACTIVE_HIGH | IRQ_PUSH_PULL);
        registers.write(FIFO_INT, (TX_SPACE / 64) << 24);

        if let Some([a, b, c, d, e, f]) = address {
            self.mac_write(mac::ADDRESS_LOW, u32::from_le_bytes([a, b, c, d]))?;
            self.mac_write(mac::ADDRESS_HIGH, u32::from_le_bytes([e, f, 0, 0]))?;
        }
        let [a, b, c, d] = self.mac_read(mac::ADDRESS_LOW)?.to_le_bytes();
        let [e, f, ..] = self.mac_read(mac::ADDRESS_HIGH)?.to_le_bytes();
        let address = [a, b, c, d, e, f];
        // The lowest bit of the first byte is that of a group, also in the address of an empty EEPROM: all ones.
        if a & 1 != 0 || address == [0; 6] {
            return Err(StartError::NoAddress);
        }

        self.phy_write(phy::INT_MASK, phy::INT_LINK_DOWN | phy::INT_NEGOTIATED)?;
        self.phy_write(phy::CONTROL, phy::NEGOTIATE)?;
        registers.write(TX_CFG, TX_STATUS_OVERRUN | TX_ON);
        self.mac_write(mac::CONTROL, mac::ALL_MULTICAST | mac::FULL_DUPLEX | mac::TRANSMIT | mac::RECEIVE)?;
        Ok(address)
    }

    /// Whether the cable is connected. If so, the chip takes over what the transceiver has negotiated.
    pub(crate) fn link_is_up(&self) -> Result<bool, StartError> {
        self.phy_read(phy::INT_SOURCE)?;
        // The first look is at the worst since the last one.
        self.phy_read(phy::STATUS)?;
        let up = self.phy_read(phy::STATUS)? & phy::LINK != 0;
        if up {
            let common = self.phy_read(phy::OFFER)? & self.phy_read(phy::PARTNER)?;
            let full = common & phy::FULL_100 != 0 || common & (phy::HALF_100 | phy::FULL_10) == phy::FULL_10;
            let control = self.mac_read(mac::CONTROL)? & !mac::FULL_DUPLEX;
            self.mac_write(mac::CONTROL, control | if full { mac::FULL_DUPLEX } else { 0 })?;
        }
        self.0.write(INT_STS, INT_PHY);
        Ok(up)
    }

    /// Takes the next frame out of the FIFO.
    pub(crate) fn receive(&self, buffer: &mut [u8; FRAME_ROOM]) -> Option<Received> {
        let Self(registers) = self;
        if registers.read(RX_FIFO_INF) >> 16 & 0xff == 0 {
            return None;
        }
        let status = registers.read(RX_STATUS_FIFO);
        let length = (status >> 16 & 0x3fff) as usize;
        let words = length.div_ceil(4);
        if status & 1 << 15 != 0 || length <= FCS || length > FRAME_MAX + FCS {
            self.skip(words);
            return Some(Received::Damaged);
        }
        for word in buffer.chunks_exact_mut(4).take(words) {
            word.copy_from_slice(&registers.read(RX_DATA_FIFO).to_le_bytes());
        }
        Some(Received::Frame(length - FCS))
    }

    fn skip(&self, words: usize) {
        let Self(registers) = self;
        if words < 4 {
            (0..words).for_each(|_| _ = registers.read(RX_DATA_FIFO));
        } else {
            registers.write(RX_DP_CTRL, RX_FAST_FORWARD);
            // It takes less than two microseconds.
            let _ = self.wait(RX_DP_CTRL, |value| value & RX_FAST_FORWARD == 0);
        }
    }

    /// How many frames found the FIFO full since the last call.
    pub(crate) fn lost(&self) -> u32 {
        self.0.read(RX_DROP)
    }

    /// Whether a frame of any length can be sent.
    pub(crate) fn can_send(&self) -> bool {
        self.0.read(TX_FIFO_INF) & 0xffff >= TX_SPACE
    }

    /// Sends the first `length` bytes of the buffer. There must be room.
    pub(crate) fn send(&self, buffer: &[u8; FRAME_ROOM], length: usize) {
        const FIRST_AND_LAST_SEGMENT: u32 = 1 << 13 | 1 << 12;
        let Self(registers) = self;
        registers.write(TX_DATA_FIFO, FIRST_AND_LAST_SEGMENT | length as u32);
        registers.write(TX_DATA_FIFO, length as u32);
        for word in buffer.as_chunks().0.iter().take(length.div_ceil(4)) {
            registers.write(TX_DATA_FIFO, u32::from_le_bytes(*word));
        }
    }

    /// Lets these events interrupt from now on; they count anew.
    pub(crate) fn enable_interrupts(&self, events: u32) {
        self.0.write(INT_STS, events);
        self.0.write(INT_EN, self.0.read(INT_EN) | events);
    }

    fn mac_read(&self, register: u32) -> Result<u32, StartError> {
        self.mac_command(MAC_CSR_READ | register)?;
        Ok(self.0.read(MAC_CSR_DATA))
    }

    fn mac_write(&self, register: u32, value: u32) -> Result<(), StartError> {
        self.0.write(MAC_CSR_DATA, value);
        self.mac_command(register)
    }

    fn mac_command(&self, command: u32) -> Result<(), StartError> {
        self.0.write(MAC_CSR_CMD, BUSY | command);
        self.wait(MAC_CSR_CMD, |value| value & BUSY == 0)
    }

    fn phy_read(&self, register: u32) -> Result<u32, StartError> {
        self.phy_command(register, 0)?;
        Ok(self.mac_read(mac::MII_DATA)? & 0xffff)
    }

    fn phy_write(&self, register: u32, value: u32) -> Result<(), StartError> {
        self.mac_write(mac::MII_DATA, value)?;
        self.phy_command(register, mac::MII_WRITE)
    }

    fn phy_command(&self, register: u32, direction: u32) -> Result<(), StartError> {
        self.mac_write(mac::MII_ACCESS, phy::ADDRESS << 11 | register << 6 | direction | mac::MII_BUSY)?;
        for _ in 0..PATIENCE {
            if self.mac_read(mac::MII_ACCESS)? & mac::MII_BUSY == 0 {
                return Ok(());
            }
        }
        Err(StartError::Stuck(MAC_CSR_CMD))
    }

    fn wait(&self, register: usize, ready: impl Fn(u32) -> bool) -> Result<(), StartError> {
        match (0..PATIENCE).any(|_| ready(self.0.read(register))) {
            true => Ok(()),
            false => Err(StartError::Stuck(register)),
        }
    }
}
