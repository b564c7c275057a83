//! What every firmware of this board shares.
//!
//! All of them: how they end, and how much stack they took ([`stack_used`]). Those with a network: the [`executor`] on
//! the board's [`clock`], its [`ethernet`], the [`settings`] that QEMU passes and the link's [`config`] in flash.
#![no_std]

#[cfg(feature = "network")]
pub mod clock;
#[cfg(feature = "network")]
pub mod config;
#[cfg(feature = "network")]
pub mod ethernet;
#[cfg(feature = "network")]
pub mod executor;
#[cfg(feature = "network")]
pub mod host;
#[cfg(any(feature = "static-key", feature = "tls"))]
pub mod link;
#[cfg(feature = "network")]
mod mmio;
#[cfg(feature = "network")]
pub mod settings;
#[cfg(feature = "network")]
pub mod watch;

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m as _; // links the critical section
use cortex_m_rt::{ExceptionFrame, exception};
use defmt_semihosting as _; // links the logger

/// Ends QEMU with this exit status.
pub fn exit(status: i32) -> ! {
    semihosting::process::exit(status)
}

/// The most stack in bytes that was in use since the reset.
///
/// The start-up code paints the whole stack; what has lost its paint was used.
pub fn stack_used() -> usize {
    const PAINT: u32 = 0xcccc_cccc;
    let (mut lowest, top) = stack();
    // SAFETY: the start-up code painted every word between these ends, and all may be read.
    while lowest < top && unsafe { lowest.read_volatile() } == PAINT {
        lowest = lowest.wrapping_add(1);
    }
    (top as usize).wrapping_sub(lowest as usize)
}

/// The RAM in bytes that statics leave for the stack. Who uses all of it has probably overwritten them.
pub fn stack_size() -> usize {
    let (lowest, top) = stack();
    (top as usize).wrapping_sub(lowest as usize)
}

/// The ends of the stack, as the linker script puts them, aligned to words.
fn stack() -> (*const u32, *const u32) {
    unsafe extern "C" {
        static _stack_end: u32;
        static _stack_start: u32;
    }
    (&raw const _stack_end, &raw const _stack_start)
}

#[panic_handler]
fn panic(_info: &PanicInfo) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    // The logger itself may be what panics.
    if !PANICKING.swap(true, Ordering::Relaxed) {
        // A handler that does not look at the message spares the flash all messages and places.
        #[cfg(feature = "panic-messages")]
        defmt::error!("{}", defmt::Display2Format(_info));
        #[cfg(not(feature = "panic-messages"))]
        defmt::error!("panic: the feature 'panic-messages' tells where");
    }
    exit(101)
}

/// What the firmware itself panics with has been reported.
#[defmt::panic_handler]
fn reported() -> ! {
    exit(101)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}", frame.pc());
    exit(102)
}

/// Every interrupt of the board comes here.
#[cfg(feature = "network")]
#[exception]
unsafe fn DefaultHandler(number: i16) {
    match number {
        clock::ALARM_INTERRUPT => clock::on_alarm(),
        clock::WRAP_INTERRUPT => clock::on_wrap(),
        ethernet::INTERRUPT => ethernet::on_interrupt(),
        other => defmt::panic!("nobody serves interrupt {=i16}", other),
    }
}
