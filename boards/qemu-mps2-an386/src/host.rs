//! What QEMU gives to the board in place of hardware: randomness and the time of day.

use semihosting::experimental::random;
use semihosting::experimental::time::SystemTime;

/// The host's random numbers stand for a true random number generator.
#[derive(Debug)]
pub struct Random {
    /// A call to the host is slow, so each brings many.
    stock: [u8; 256],
    used: usize,
}

impl Random {
    /// Asks nothing yet.
    pub const fn new() -> Self {
        Self { stock: [0; 256], used: 256 }
    }

    /// Fills the slice.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.stock.len() {
                random::fill_bytes(&mut self.stock).expect("the host has random numbers");
                self.used = 0;
            }
            // What was given out is forgotten.
            *byte = core::mem::take(&mut self.stock[self.used]);
            self.used += 1;
        }
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

/// A random number to start a network stack with.
pub fn seed() -> u64 {
    let mut bytes = [0; 8];
    Random::new().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// The time of day in seconds since 1970, as from a clock with a battery.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
