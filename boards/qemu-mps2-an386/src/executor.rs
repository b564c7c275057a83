//! Runs the tasks, and sleeps while none has anything to do.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::asm::wfi;
use embassy_executor::{Spawner, raw};
use static_cell::StaticCell;

static WOKEN: AtomicBool = AtomicBool::new(false);

/// Starts the clock and runs the tasks that `start` spawns, for ever.
///
/// It sleeps with WFI, which lets QEMU sleep too; with the WFE of embassy's own executor QEMU keeps a core busy.
pub fn run(start: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor = EXECUTOR.init(raw::Executor::new(null_mut()));
    crate::clock::start();
    spawn_all(start, executor.spawner());
    loop {
        // SAFETY: only here, so never from within itself.
        unsafe { executor.poll() };
        // An interrupt that comes after the look still ends the sleep, and is served after it.
        cortex_m::interrupt::free(|_| {
            if !WOKEN.swap(false, Ordering::Acquire) {
                wfi();
            }
        });
    }
}

/// Not inlined: what the start needs of the stack must be free again while the tasks run.
#[inline(never)]
fn spawn_all(start: impl FnOnce(Spawner), spawner: Spawner) {
    start(spawner);
}

/// Embassy calls this when a task has something to do.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    WOKEN.store(true, Ordering::Release);
}
