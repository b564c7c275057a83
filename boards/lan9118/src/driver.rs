//! The chip as a driver of `embassy-net`.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use crate::chip::{Chip, FRAME_ROOM, Received};
use crate::registers::{INT_EN, INT_PHY, INT_RX_STATUS, INT_STS, INT_TX_SPACE, Registers};
use crate::{FRAME_MAX, StartError};

/// The part of the driver that stays in reach of the interrupt and of the application.
pub struct Doorbell {
    waker: AtomicWaker,
    damaged: AtomicU32,
    lost: AtomicU32,
}

/// Frames that did not reach the stack since the start; both wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// They arrived damaged, too long or too short.
    pub damaged: u32,
    /// They found the chip's FIFO full.
    pub lost: u32,
}

impl Doorbell {
    /// Nobody listens yet.
    pub const fn new() -> Self {
        Self { waker: AtomicWaker::new(), damaged: AtomicU32::new(0), lost: AtomicU32::new(0) }
    }

    /// To be called by the chip's interrupt: silences the chip until the stack has looked, and wakes the stack.
    pub fn on_interrupt(&self, registers: &impl Registers) {
        registers.write(INT_EN, 0);
        self.waker.wake();
    }

    /// What did not reach the stack.
    pub fn counters(&self) -> Counters {
        Counters { damaged: self.damaged.load(Relaxed), lost: self.lost.load(Relaxed) }
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

/// A started LAN9118.
pub struct Lan9118<R> {
    chip: Chip<R>,
    doorbell: &'static Doorbell,
    address: [u8; 6],
    link: LinkState,
    /// The stack has had its frame of this turn.
    served: bool,
    received: [u8; FRAME_ROOM],
    sent: [u8; FRAME_ROOM],
}

impl<R: Registers> Lan9118<R> {
    /// Resets the chip and starts it with this Ethernet address; with `None`, the address that it has from its EEPROM.
    ///
    /// After this the interrupt may be unmasked in the processor: active high, by level.
    ///
    /// # Errors
    /// There is no such chip, it does not work, or it has no address.
    pub fn start(registers: R, doorbell: &'static Doorbell, address: Option<[u8; 6]>) -> Result<Self, StartError> {
        let chip = Chip(registers);
        let address = chip.start(address)?;
        let link = link(chip.link_is_up()?);
        Ok(Self { chip, doorbell, address, link, served: false, received: [0; FRAME_ROOM], sent: [0; FRAME_ROOM] })
    }

    /// Takes the next good frame out of the chip and gives its length.
    fn next_frame(&mut self) -> Option<usize> {
        loop {
            match self.chip.receive(&mut self.received)? {
                Received::Frame(length) => return Some(length),
                Received::Damaged => count(&self.doorbell.damaged, 1),
            }
        }
    }

    /// Tries, and where that gives nothing, lets `event` wake the stack. What came in between is not missed.
    fn or_wait<T>(&mut self, cx: &Context<'_>, event: u32, attempt: fn(&mut Self) -> Option<T>) -> Option<T> {
        attempt(self).or_else(|| {
            self.doorbell.waker.register(cx.waker());
            self.chip.enable_interrupts(event);
            attempt(self)
        })
    }
}

impl<R: Registers> Driver for Lan9118<R> {
    type RxToken<'a>
        = Receive<'a>
    where
        R: 'a;
    type TxToken<'a>
        = Transmit<'a, R>
    where
        R: 'a;

    /// Gives one frame a turn: whoever the frame is for runs before the next one comes. A burst waits in the chip's large
    /// memory and not in the small queue of a socket.
    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Receive<'_>, Transmit<'_, R>)> {
        if core::mem::take(&mut self.served) {
            cx.waker().wake_by_ref();
            return None;
        }
        // The answer to a frame must not fail: the frame waits until there is room for it.
        self.transmit(cx)?;
        let Some(length) = self.or_wait(cx, INT_RX_STATUS, Self::next_frame) else {
            count(&self.doorbell.lost, self.chip.lost());
            return None;
        };
        self.served = true;
        let frame = self.received.get_mut(..length)?;
        Some((Receive { frame }, Transmit { chip: &self.chip, buffer: &mut self.sent }))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Transmit<'_, R>> {
        self.or_wait(cx, INT_TX_SPACE, |driver| driver.chip.can_send().then_some(()))?;
        Some(Transmit { chip: &self.chip, buffer: &mut self.sent })
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.doorbell.waker.register(cx.waker());
        let registers = &self.chip.0;
        if registers.read(INT_STS) & INT_PHY != 0 {
            self.link = link(self.chip.link_is_up().unwrap_or(false));
        }
        let registers = &self.chip.0;
        registers.write(INT_EN, registers.read(INT_EN) | INT_PHY);
        self.link
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_MAX;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A received frame.
#[derive(Debug)]
pub struct Receive<'a> {
    frame: &'a mut [u8],
}

impl RxToken for Receive<'_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, f: F) -> T {
        f(self.frame)
    }
}

/// Room for a frame to send.
pub struct Transmit<'a, R> {
    chip: &'a Chip<R>,
    buffer: &'a mut [u8; FRAME_ROOM],
}

impl<R: Registers> TxToken for Transmit<'_, R> {
    /// Sends what `f` writes; `length` is at most [`FRAME_MAX`].
    #[expect(clippy::indexing_slicing, reason = "the stack keeps to the maximum that it was told")]
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, length: usize, f: F) -> T {
        let result = f(&mut self.buffer[..length]);
        self.chip.send(self.buffer, length);
        result
    }
}

fn link(up: bool) -> LinkState {
    if up { LinkState::Up } else { LinkState::Down }
}

/// Only the driver counts, so that nothing is lost in between; small processors have no atomic addition.
fn count(counter: &AtomicU32, more: u32) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}
