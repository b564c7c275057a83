//! The time of `embassy-time` from two of the board's timers: one counts for ever, one is the alarm.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, time_driver_impl};
use embassy_time_queue_utils::Queue;

use crate::mmio::{Register, unmask};

/// The interrupt of the alarm.
pub const ALARM_INTERRUPT: i16 = 8;
/// The interrupt of the counter, every 171 seconds.
pub const WRAP_INTERRUPT: i16 = 9;

const CYCLES_PER_TICK: u64 = 25_000_000 / embassy_time_driver::TICK_HZ;

/// Counts down to zero, tells so, and starts again at its reload value.
struct CmsdkTimer {
    control: Register,
    value: Register,
    reload: Register,
    interrupt: Register,
}

const STOPPED: u32 = 0;
const RUNNING_WITH_INTERRUPT: u32 = 1 << 3 | 1;

impl CmsdkTimer {
    /// # Safety
    /// The board has a CMSDK timer at this address.
    const unsafe fn at(base: usize) -> Self {
        // SAFETY: these are its registers; a timer changes no memory.
        unsafe {
            Self {
                control: Register::at(base),
                value: Register::at(base + 4),
                reload: Register::at(base + 8),
                interrupt: Register::at(base + 12),
            }
        }
    }

    /// Counts from `cycles` down, again and again.
    fn start(&self, cycles: u32) {
        self.stop();
        self.reload.write(cycles);
        self.value.write(cycles);
        self.control.write(RUNNING_WITH_INTERRUPT);
    }

    fn stop(&self) {
        self.control.write(STOPPED);
        self.clear();
    }

    fn has_expired(&self) -> bool {
        self.interrupt.read() & 1 != 0
    }

    fn clear(&self) {
        self.interrupt.write(1);
    }
}

struct Clock {
    counter: CmsdkTimer,
    alarm: CmsdkTimer,
    /// How often the counter has started again.
    wraps: Mutex<Cell<u32>>,
    queue: Mutex<RefCell<Queue>>,
}

time_driver_impl!(static CLOCK: Clock = Clock {
    // SAFETY: that is where the AN385, AN386 and AN500 have their timers.
    counter: unsafe { CmsdkTimer::at(0x4000_1000) },
    // SAFETY: as above.
    alarm: unsafe { CmsdkTimer::at(0x4000_0000) },
    wraps: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Starts the clock at zero.
pub(crate) fn start() {
    CLOCK.counter.start(u32::MAX);
    unmask(WRAP_INTERRUPT);
    unmask(ALARM_INTERRUPT);
}

pub(crate) fn on_wrap() {
    critical_section::with(|cs| {
        CLOCK.counter.clear();
        let wraps = CLOCK.wraps.borrow(cs);
        wraps.set(wraps.get() + 1);
    });
}

pub(crate) fn on_alarm() {
    critical_section::with(|cs| CLOCK.wake_expired(cs));
}

impl Clock {
    fn ticks(&self, cs: CriticalSection<'_>) -> u64 {
        let mut wraps = self.wraps.borrow(cs).get();
        let mut value = self.counter.value.read();
        if self.counter.has_expired() {
            // Its interrupt has not been served, and the value may be from before.
            wraps += 1;
            value = self.counter.value.read();
        }
        // It tells at zero, and its next value is the highest.
        (u64::from(wraps) << 32 | u64::from(value.wrapping_neg())) / CYCLES_PER_TICK
    }

    fn wake_expired(&self, cs: CriticalSection<'_>) {
        self.alarm.stop();
        let mut queue = self.queue.borrow_ref_mut(cs);
        loop {
            let now = self.ticks(cs);
            let next = queue.next_expiration(now);
            if next == u64::MAX {
                return;
            }
            if let Some(ticks) = next.checked_sub(now).filter(|ticks| *ticks > 0) {
                // An alarm that comes too early for a far time is set again.
                let cycles = ticks.saturating_mul(CYCLES_PER_TICK);
                return self.alarm.start(u32::try_from(cycles).unwrap_or(u32::MAX));
            }
        }
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.ticks(cs))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let changed = self.queue.borrow_ref_mut(cs).schedule_wake(at, waker);
            if changed {
                self.wake_expired(cs);
            }
        });
    }
}
