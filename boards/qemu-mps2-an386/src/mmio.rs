//! Registers of the board and of the processor's interrupt controller.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

/// A 32-bit register of a peripheral.
pub(crate) struct Register(usize);

impl Register {
    /// # Safety
    /// The board has a register at this address, and using it changes no memory.
    pub(crate) const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(&self) -> u32 {
        // SAFETY: there is a register, as `at` was promised.
        unsafe { with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    pub(crate) fn write(&self, value: u32) {
        // SAFETY: there is a register, as `at` was promised.
        unsafe { with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }
}

/// Lets an interrupt in from now on.
pub(crate) fn unmask(number: i16) {
    // SAFETY: no critical section relies on a mask: they block all interrupts.
    unsafe { NVIC::unmask(Interrupt(number as u16)) }
}

#[derive(Clone, Copy)]
struct Interrupt(u16);

// SAFETY: the number is that of an interrupt of this board, always the same.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}
