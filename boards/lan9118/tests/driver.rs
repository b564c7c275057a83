//! The driver against a simulated chip.

mod simulated;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use embassy_net_driver::{Driver, HardwareAddress, LinkState, RxToken, TxToken};
use lan9118::{Counters, Doorbell, FRAME_MAX, Lan9118, StartError};
use simulated::{Chip, EEPROM_ADDRESS, Fault};

/// A stack that counts how often it is woken.
#[derive(Default)]
struct Stack(AtomicUsize);

impl Wake for Stack {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A started driver, its chip, its doorbell and the stack that it wakes.
struct Bench {
    chip: Chip,
    driver: Lan9118<Chip>,
    doorbell: &'static Doorbell,
    stack: Arc<Stack>,
}

impl Bench {
    fn new() -> Self {
        let (chip, doorbell) = (Chip::new(), Box::leak(Box::new(Doorbell::new())));
        let driver = Lan9118::start(chip.clone(), doorbell, None).unwrap();
        Self { chip, driver, doorbell, stack: Arc::default() }
    }

    /// What the stack finds when it looks for a frame, in as many turns as it is asked to take.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let waker = Waker::from(self.stack.clone());
        loop {
            let woken = self.stack.0.load(Ordering::Relaxed);
            if let Some((frame, _)) = self.driver.receive(&mut Context::from_waker(&waker)) {
                return Some(frame.consume(|bytes| bytes.to_vec()));
            }
            if self.stack.0.load(Ordering::Relaxed) == woken {
                return None;
            }
        }
    }

    /// Whether the stack could send this.
    fn send(&mut self, frame: &[u8]) -> bool {
        let waker = Waker::from(self.stack.clone());
        let Some(token) = self.driver.transmit(&mut Context::from_waker(&waker)) else { return false };
        token.consume(frame.len(), |buffer| buffer.copy_from_slice(frame));
        true
    }

    fn link_is_up(&mut self) -> bool {
        let waker = Waker::from(self.stack.clone());
        self.driver.link_state(&mut Context::from_waker(&waker)) == LinkState::Up
    }

    /// What the processor does when the chip's line is active. Says how often the stack has been woken since.
    fn interrupts(&self) -> usize {
        let before = self.stack.0.load(Ordering::Relaxed);
        let mut served = 0;
        while self.chip.interrupt_line() {
            self.doorbell.on_interrupt(&self.chip);
            served += 1;
            assert!(served < 10, "the interrupt storms");
        }
        self.stack.0.load(Ordering::Relaxed) - before
    }
}

fn frame(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + length) as u8).collect()
}

#[test]
fn starts() {
    let mut bench = Bench::new();
    assert_eq!(bench.driver.hardware_address(), HardwareAddress::Ethernet(EEPROM_ADDRESS));
    assert_eq!(bench.driver.capabilities().max_transmission_unit, FRAME_MAX);
    assert!(bench.link_is_up());
    assert!(bench.chip.is_on());
    assert!(bench.chip.full_duplex());
    assert!(!bench.chip.interrupt_line(), "nothing has happened");
}

#[test]
fn starts_with_an_address() {
    let address = [2, 1, 2, 3, 4, 5];
    let chip = Chip::new();
    let driver = Lan9118::start(chip.clone(), Box::leak(Box::default()), Some(address)).unwrap();
    assert_eq!(driver.hardware_address(), HardwareAddress::Ethernet(address));
    assert_eq!(chip.address(), address);
}

#[test]
fn says_why_it_does_not_start() {
    for (fault, expected) in [
        (Fault::Swapped, StartError::NoChip(0x4321_8765)),
        (Fault::ResetHangs, StartError::Stuck(0x74)),
        (Fault::MacHangs, StartError::Stuck(0xa4)),
        (Fault::EepromEmpty, StartError::NoAddress),
    ] {
        let chip = Chip::with(fault);
        let error = Lan9118::start(chip, Box::leak(Box::default()), None).map(|_| ()).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn receives_frames_of_every_length() {
    let mut bench = Bench::new();
    for length in (60..=FRAME_MAX).chain([60]) {
        bench.chip.arrives(&frame(length));
        assert_eq!(bench.receive(), Some(frame(length)), "{length}");
    }
    assert_eq!(bench.receive(), None);
    assert_eq!(bench.doorbell.counters(), Counters { damaged: 0, lost: 0 });
}

#[test]
fn several_frames_wait_in_order() {
    let mut bench = Bench::new();
    for length in [64, 1000, 61] {
        bench.chip.arrives(&frame(length));
    }
    for length in [64, 1000, 61] {
        assert_eq!(bench.receive(), Some(frame(length)));
    }
    assert_eq!(bench.receive(), None);
}

#[test]
fn a_turn_has_one_frame() {
    let mut bench = Bench::new();
    let waker = Waker::from(bench.stack.clone());
    bench.chip.arrives(&frame(60));
    bench.chip.arrives(&frame(61));
    for turn in 1..=2 {
        assert!(bench.driver.receive(&mut Context::from_waker(&waker)).is_some());
        assert!(bench.driver.receive(&mut Context::from_waker(&waker)).is_none());
        assert_eq!(bench.stack.0.load(Ordering::Relaxed), turn, "the next turn comes by itself");
    }
    assert!(bench.driver.receive(&mut Context::from_waker(&waker)).is_none());
    assert_eq!(bench.stack.0.load(Ordering::Relaxed), 2, "nothing is left");
}

#[test]
fn bad_frames_are_counted_and_skipped() {
    let mut bench = Bench::new();
    bench.chip.arrives_damaged(&frame(300));
    bench.chip.arrives(&frame(100));
    // Longer than Ethernet allows, shorter than anything can be: fast-forward and word by word.
    bench.chip.arrives(&frame(FRAME_MAX + 1));
    bench.chip.arrives(&frame(4000));
    bench.chip.arrives_damaged(&frame(5));
    bench.chip.arrives(&[]);
    bench.chip.arrives(&frame(101));
    assert_eq!(bench.receive(), Some(frame(100)));
    assert_eq!(bench.receive(), Some(frame(101)));
    assert_eq!(bench.receive(), None);
    assert_eq!(bench.doorbell.counters(), Counters { damaged: 5, lost: 0 });
}

#[test]
fn recovers_from_a_full_fifo() {
    let mut bench = Bench::new();
    let mut lost = 0;
    for length in 1000..1020 {
        lost += u32::from(!bench.chip.arrives(&frame(length)));
    }
    assert!((5..15).contains(&lost));
    for length in 1000..1020 - lost as usize {
        assert_eq!(bench.receive(), Some(frame(length)));
    }
    assert_eq!(bench.receive(), None);
    assert_eq!(bench.doorbell.counters(), Counters { damaged: 0, lost });
    bench.chip.arrives(&frame(80));
    assert_eq!(bench.receive(), Some(frame(80)));
    assert_eq!(bench.receive(), None);
    assert_eq!(bench.doorbell.counters().lost, lost, "each is counted once");
}

#[test]
fn a_frame_wakes_the_stack_once() {
    let mut bench = Bench::new();
    bench.chip.arrives(&frame(60));
    assert_eq!(bench.interrupts(), 0, "nobody waits yet");
    assert!(bench.receive().is_some());
    assert!(bench.receive().is_none());
    assert_eq!(bench.interrupts(), 0, "the frame was taken");
    bench.chip.arrives(&frame(61));
    assert_eq!(bench.interrupts(), 1);
    bench.chip.arrives(&frame(62));
    assert_eq!(bench.interrupts(), 0, "the stack knows");
    assert_eq!(bench.receive(), Some(frame(61)));
    assert_eq!(bench.receive(), Some(frame(62)));
    assert!(bench.receive().is_none());
    bench.chip.arrives(&frame(63));
    assert_eq!(bench.interrupts(), 1);
}

#[test]
fn a_frame_that_comes_while_the_interrupt_is_enabled_is_not_missed() {
    let mut bench = Bench::new();
    assert!(bench.receive().is_none());
    // Between the last look and the acknowledgement; its event is forgotten by that.
    bench.chip.arrives_at_acknowledgement(&frame(60));
    assert_eq!(bench.receive(), Some(frame(60)));
}

#[test]
fn sends_frames_of_every_length() {
    let mut bench = Bench::new();
    for length in (14..=FRAME_MAX).step_by(3).chain([FRAME_MAX]) {
        assert!(bench.send(&frame(length)));
        assert_eq!(bench.chip.leaves(), Some(frame(length)), "{length}");
    }
    assert_eq!(bench.chip.leaves(), None);
}

#[test]
fn waits_for_space() {
    let mut bench = Bench::new();
    let mut sent = 0;
    while bench.send(&frame(FRAME_MAX)) {
        sent += 1;
    }
    assert!((2..=3).contains(&sent), "5 KB hold {sent}");
    assert_eq!(bench.interrupts(), 0);
    bench.chip.arrives(&frame(60));
    assert!(bench.receive().is_none(), "it could not be answered");
    assert_eq!(bench.chip.leaves(), Some(frame(FRAME_MAX)));
    assert_eq!(bench.interrupts(), 1);
    assert_eq!(bench.receive(), Some(frame(60)));
    assert!(bench.send(&frame(FRAME_MAX)));
    assert!(!bench.send(&frame(60)));
    while let Some(left) = bench.chip.leaves() {
        assert_eq!(left, frame(FRAME_MAX), "nothing was mixed up");
    }
    assert_eq!(bench.interrupts(), 1);
    assert!(bench.send(&frame(60)));
    assert_eq!(bench.chip.leaves(), Some(frame(60)));
}

#[test]
fn follows_the_cable() {
    let mut bench = Bench::new();
    assert!(bench.link_is_up());
    bench.chip.unplug();
    assert_eq!(bench.interrupts(), 1);
    assert!(!bench.link_is_up());
    assert_eq!(bench.interrupts(), 0, "acknowledged");
    bench.chip.plug(0x0020 | 0x0080);
    assert_eq!(bench.interrupts(), 1);
    assert!(bench.link_is_up());
    assert!(!bench.chip.full_duplex(), "the other end is a hub");
    bench.chip.plug(0x0100);
    bench.interrupts();
    assert!(bench.link_is_up());
    assert!(bench.chip.full_duplex());
    assert!(bench.chip.is_on());
}
