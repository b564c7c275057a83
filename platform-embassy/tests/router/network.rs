//! Cables in memory: an Ethernet with several ends, and a tunnel with two.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

/// How many packets wait at an end before more are lost.
const WAITING_MAX: usize = 64;

#[derive(Clone)]
pub(crate) struct Cable {
    ends: Rc<RefCell<Vec<End>>>,
    mtu: usize,
}

struct End {
    received: VecDeque<Vec<u8>>,
    up: bool,
    /// How many more packets may be sent.
    credit: usize,
    waker: Option<Waker>,
}

/// One end, as a driver.
pub(crate) struct Port {
    cable: Cable,
    index: usize,
    address: HardwareAddress,
}

impl Cable {
    /// `mtu` as the driver says it: with the Ethernet header, if there is one.
    pub(crate) fn new(mtu: usize) -> Self {
        Self { ends: Rc::default(), mtu }
    }

    pub(crate) fn port(&self, address: HardwareAddress) -> Port {
        let mut ends = self.ends.borrow_mut();
        ends.push(End { received: VecDeque::new(), up: true, credit: usize::MAX, waker: None });
        Port { cable: self.clone(), index: ends.len() - 1, address }
    }

    /// Changes the state of an end and wakes its owner.
    fn change(&self, index: usize, change: impl FnOnce(&mut End)) {
        let mut ends = self.ends.borrow_mut();
        change(&mut ends[index]);
        if let Some(waker) = ends[index].waker.take() {
            waker.wake();
        }
    }

    pub(crate) fn set_up(&self, index: usize, up: bool) {
        self.change(index, |end| end.up = up);
    }

    /// Lets the end send so many packets and then no more.
    pub(crate) fn set_credit(&self, index: usize, credit: usize) {
        self.change(index, |end| end.credit = credit);
    }

    fn send(&self, from: usize, packet: Vec<u8>) {
        assert!(packet.len() <= self.mtu, "a packet of {} bytes", packet.len());
        let count = self.ends.borrow().len();
        self.ends.borrow_mut()[from].credit -= 1;
        for index in (0..count).filter(|index| *index != from) {
            self.change(index, |end| {
                if end.received.len() < WAITING_MAX {
                    end.received.push_back(packet.clone());
                }
            });
        }
    }
}

impl Port {
    /// Sends by hand.
    pub(crate) fn put(&self, packet: &[u8]) {
        self.cable.send(self.index, packet.to_vec());
    }

    /// What has come, by hand.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        self.cable.ends.borrow_mut()[self.index].received.drain(..).collect()
    }

    fn can_send(&self) -> bool {
        self.cable.ends.borrow()[self.index].credit > 0
    }

    fn register(&self, cx: &mut Context<'_>) {
        self.cable.ends.borrow_mut()[self.index].waker = Some(cx.waker().clone());
    }
}

impl Driver for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received, Sending)> {
        self.register(cx);
        if !self.can_send() {
            return None;
        }
        let packet = self.cable.ends.borrow_mut()[self.index].received.pop_front()?;
        Some((Received(packet), Sending { cable: self.cable.clone(), index: self.index }))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Sending> {
        self.register(cx);
        self.can_send().then(|| Sending { cable: self.cable.clone(), index: self.index })
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.register(cx);
        if self.cable.ends.borrow()[self.index].up { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = self.cable.mtu;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.address
    }
}

pub(crate) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, f: F) -> R {
        f(&mut self.0)
    }
}

pub(crate) struct Sending {
    cable: Cable,
    index: usize,
}

impl TxToken for Sending {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.cable.send(self.index, packet);
        result
    }
}
