//! A LAN9118 as its data sheet describes it, as far as the driver can see.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;

use lan9118::Registers;

pub const EEPROM_ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 0x18];

/// What is wrong with the chip.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    Swapped,
    ResetHangs,
    MacHangs,
    EepromEmpty,
}

/// The chip; clones are the same chip.
#[derive(Clone)]
pub struct Chip(Rc<RefCell<State>>);

struct State {
    fault: Fault,
    hw_cfg: u32,
    irq_cfg: u32,
    int_sts: u32,
    int_en: u32,
    fifo_int: u32,
    tx_cfg: u32,
    mac: [u32; 13],
    mac_data: u32,
    phy: [u16; 32],
    /// Looks at a register until it is ready.
    busy: u32,
    statuses: VecDeque<(u32, usize)>,
    data: VecDeque<u32>,
    /// Words of the frame at the head that have not been read.
    head: usize,
    dropped: u32,
    at_acknowledgement: Option<Vec<u8>>,
    sending: Vec<u32>,
    sent: VecDeque<Vec<u8>>,
    tx_used: usize,
}

const RX_ROOM: usize = 10_560;
const TX_ROOM: usize = 4_608;
const INT_RX: u32 = 1 << 3;
const INT_TX_SPACE: u32 = 1 << 9;
const INT_PHY: u32 = 1 << 18;

impl Chip {
    pub fn new() -> Self {
        Self::with(Fault::None)
    }

    pub fn with(fault: Fault) -> Self {
        let mut phy = [0; 32];
        (phy[1], phy[4], phy[5]) = (1 << 2, 0x1e1, 0x1e1);
        Self(Rc::new(RefCell::new(State {
            fault,
            hw_cfg: 0,
            irq_cfg: 0,
            int_sts: 0,
            int_en: 0,
            fifo_int: 0x4800_0000,
            tx_cfg: 0,
            mac: [0; 13],
            mac_data: 0,
            phy,
            busy: 0,
            statuses: VecDeque::new(),
            data: VecDeque::new(),
            head: 0,
            dropped: 0,
            at_acknowledgement: None,
            sending: Vec::new(),
            sent: VecDeque::new(),
            tx_used: 0,
        })))
    }

    fn state(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }

    /// A good frame arrives; says whether there was room for it.
    pub fn arrives(&self, frame: &[u8]) -> bool {
        self.state().arrives(frame, 0)
    }

    pub fn arrives_damaged(&self, frame: &[u8]) -> bool {
        self.state().arrives(frame, 1 << 15 | 1 << 1)
    }

    /// A frame arrives just before the next acknowledgement of received frames.
    pub fn arrives_at_acknowledgement(&self, frame: &[u8]) {
        self.state().at_acknowledgement = Some(frame.to_vec());
    }

    /// The next frame that was to be sent leaves the chip.
    pub fn leaves(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        let frame = state.sent.pop_front()?;
        state.tx_used -= room(frame.len());
        state.note_tx_space();
        Some(frame)
    }

    pub fn unplug(&self) {
        let mut state = self.state();
        state.phy[1] &= !(1 << 2);
        state.phy_event(1 << 4);
    }

    /// The cable is connected to one that can do this.
    pub fn plug(&self, abilities: u16) {
        let mut state = self.state();
        state.phy[1] |= 1 << 2;
        state.phy[5] = abilities;
        state.phy_event(1 << 6);
    }

    pub fn interrupt_line(&self) -> bool {
        let state = self.state();
        let active = state.int_sts & state.int_en != 0 && state.irq_cfg & 1 << 8 != 0;
        let active_high = state.irq_cfg & 0x11 == 0x11;
        active == active_high
    }

    pub fn is_on(&self) -> bool {
        let state = self.state();
        state.tx_cfg & 2 != 0 && state.mac[1] & 0xc == 0xc && state.hw_cfg == 5 << 16 | 1 << 20
    }

    pub fn full_duplex(&self) -> bool {
        self.state().mac[1] & 1 << 20 != 0
    }

    pub fn address(&self) -> [u8; 6] {
        let state = self.state();
        let ([a, b, c, d], [e, f, _, _]) = (state.mac[3].to_le_bytes(), state.mac[2].to_le_bytes());
        [a, b, c, d, e, f]
    }
}

/// Bytes of the transmit FIFO that a frame takes with its command.
fn room(length: usize) -> usize {
    8 + length.next_multiple_of(4)
}

impl State {
    fn reset(&mut self) {
        self.busy = 3;
        (self.int_en, self.irq_cfg, self.tx_cfg) = (0, 0, 0);
        // Whatever was there before has to be acknowledged.
        self.int_sts = 1 << 31 | INT_PHY;
        if self.fault != Fault::EepromEmpty {
            let [a, b, c, d, e, f] = EEPROM_ADDRESS;
            self.mac[3] = u32::from_le_bytes([a, b, c, d]);
            self.mac[2] = u32::from_le_bytes([e, f, 0, 0]);
        } else {
            (self.mac[2], self.mac[3]) = (0xffff, u32::MAX);
        }
    }

    fn arrives(&mut self, frame: &[u8], errors: u32) -> bool {
        // An empty one stands for a status without data.
        let length = if frame.is_empty() { 0 } else { frame.len() + 4 };
        let words = length.div_ceil(4);
        if self.data.len() * 4 + words * 4 > RX_ROOM {
            self.dropped += 1;
            return false;
        }
        let mut bytes = frame.to_vec();
        bytes.resize(words * 4, 0xfc);
        self.data.extend(bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())));
        self.statuses.push_back(((length as u32) << 16 | errors, words));
        self.int_sts |= INT_RX;
        true
    }

    fn pop_data(&mut self) -> u32 {
        assert!(self.head > 0, "a word is read of a frame that is over");
        self.head -= 1;
        self.data.pop_front().unwrap()
    }

    fn push_tx(&mut self, word: u32) {
        self.sending.push(word);
        let [a, b, data @ ..] = self.sending.as_slice() else { return };
        let length = (a & 0x7ff) as usize;
        assert_eq!((a >> 12 & 3, b & 0x7ff), (3, length as u32), "one frame in one piece");
        if data.len() == length.div_ceil(4) {
            let bytes: Vec<u8> = data.iter().flat_map(|word| word.to_le_bytes()).take(length).collect();
            self.tx_used += room(length);
            assert!(self.tx_used <= TX_ROOM, "the FIFO overflows");
            self.sent.push_back(bytes);
            self.sending.clear();
        }
    }

    fn note_tx_space(&mut self) {
        if TX_ROOM - self.tx_used > (self.fifo_int >> 24) as usize * 64 {
            self.int_sts |= INT_TX_SPACE;
        }
    }

    fn phy_event(&mut self, event: u16) {
        self.phy[29] |= event;
        if self.phy[29] & self.phy[30] != 0 {
            self.int_sts |= INT_PHY;
        }
    }

    fn mac_command(&mut self, command: u32) {
        let register = (command & 0xff) as usize;
        self.busy = 2;
        if command & 1 << 30 != 0 {
            self.mac_data = self.mac[register];
            return;
        }
        self.mac[register] = self.mac_data;
        if register == 6 {
            let command = self.mac_data;
            assert_eq!(command >> 11 & 0x1f, 1, "the transceiver inside");
            let phy = (command >> 6 & 0x1f) as usize;
            if command & 2 != 0 {
                self.phy[phy] = self.mac[7] as u16;
            } else {
                self.mac[7] = self.phy[phy].into();
                if phy == 29 {
                    self.phy[29] = 0;
                }
            }
            self.mac[6] = command & !1;
        }
    }

    /// Says no a few times.
    fn ready(&mut self) -> bool {
        self.busy = self.busy.saturating_sub(1);
        self.busy == 0
    }
}

impl Registers for Chip {
    fn read(&self, offset: usize) -> u32 {
        let mut state = self.state();
        match offset {
            0x00 => state.pop_data(),
            0x40 => {
                assert_eq!(state.head, 0, "the frame before was not taken as a whole");
                let (status, words) = state.statuses.pop_front().expect("a status is read where there is none");
                state.head = words;
                status
            }
            0x54 => state.irq_cfg,
            0x58 => state.int_sts,
            0x5c => state.int_en,
            0x64 if state.fault == Fault::Swapped => 0x4321_8765,
            0x64 => 0x8765_4321,
            0x74 if state.fault == Fault::ResetHangs || !state.ready() => state.hw_cfg | 1,
            0x74 => state.hw_cfg,
            0x78 => 0,
            0x7c => (state.statuses.len() as u32) << 16 | (state.data.len() * 4) as u32,
            0x80 => (TX_ROOM - state.tx_used) as u32,
            0x84 => 1,
            0xa0 => std::mem::take(&mut state.dropped),
            0xa4 if state.fault == Fault::MacHangs || !state.ready() => 1 << 31,
            0xa4 => 0,
            0xa8 => state.mac_data,
            0xb0 => 0,
            _ => panic!("read of {offset:#x}"),
        }
    }

    fn write(&self, offset: usize, value: u32) {
        let mut state = self.state();
        match offset {
            0x20 => state.push_tx(value),
            0x54 => state.irq_cfg = value,
            0x58 => {
                if let Some(frame) = state.at_acknowledgement.take_if(|_| value & INT_RX != 0) {
                    state.arrives(&frame, 0);
                }
                state.int_sts &= !value;
                state.note_tx_space();
            }
            0x5c => state.int_en = value,
            0x68 => state.fifo_int = value,
            0x70 => state.tx_cfg = value,
            0x74 if value & 1 != 0 => state.reset(),
            0x74 => state.hw_cfg = value,
            0x78 => {
                assert!(state.head >= 4, "fast-forward skips four words at least");
                while state.head > 0 {
                    state.pop_data();
                }
            }
            0xa4 => state.mac_command(value),
            0xa8 => state.mac_data = value,
            _ => panic!("write of {offset:#x}"),
        }
    }
}
