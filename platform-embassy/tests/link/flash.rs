//! What must outlive a reset, in flash.

use std::cell::RefCell;
use std::rc::Rc;

use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use longcable_embassy::{Flash, Remembered, Store};

const SECTOR: usize = 4096;
const SECTORS: u32 = 2;

/// Two sectors with a word of 8 bytes, which may be written once.
#[derive(Clone)]
struct Chip(Rc<RefCell<Cells>>);

struct Cells {
    bytes: Vec<u8>,
    erasures: usize,
    /// How many more words can be written before the power is cut.
    power: usize,
}

#[derive(Debug)]
struct Failed(NorFlashErrorKind);

impl From<NorFlashErrorKind> for Failed {
    fn from(kind: NorFlashErrorKind) -> Self {
        Self(kind)
    }
}

impl NorFlashError for Failed {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

impl ErrorType for Chip {
    type Error = Failed;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        bytes.copy_from_slice(&self.0.borrow().bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        SECTOR * SECTORS as usize
    }
}

impl NorFlash for Chip {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        assert!([from, to].iter().all(|at| (*at as usize).is_multiple_of(SECTOR)));
        let mut cells = self.0.borrow_mut();
        cells.bytes[from as usize..to as usize].fill(0xff);
        cells.erasures += 1;
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        assert!((offset as usize).is_multiple_of(Self::WRITE_SIZE) && bytes.len().is_multiple_of(Self::WRITE_SIZE));
        let mut cells = self.0.borrow_mut();
        for (n, word) in bytes.chunks(Self::WRITE_SIZE).enumerate() {
            cells.power = cells.power.checked_sub(1).ok_or(NorFlashErrorKind::Other)?;
            let place = &mut cells.bytes[offset as usize + n * Self::WRITE_SIZE..][..word.len()];
            assert!(place.iter().all(|byte| *byte == 0xff), "a word is written twice");
            place.copy_from_slice(word);
        }
        Ok(())
    }
}

fn chip() -> Chip {
    Chip(Rc::new(RefCell::new(Cells { bytes: vec![0xff; SECTOR * SECTORS as usize], erasures: 0, power: usize::MAX })))
}

fn flash(chip: &Chip) -> Flash<Chip> {
    Flash::new(chip.clone(), 0..SECTOR as u32 * SECTORS).unwrap()
}

fn state(n: u32) -> Remembered {
    Remembered { sent: n, received: (n.wrapping_mul(7), n ^ 0x1234) }
}

#[test]
fn the_newest_state_outlives_resets_and_flash_is_spared() {
    let chip = chip();
    assert_eq!(block_on(flash(&chip).load()), None);
    for n in 1..=1000 {
        block_on(flash(&chip).save(state(n))).unwrap();
        assert_eq!(block_on(flash(&chip).load()), Some(state(n)));
    }
    let erasures = chip.0.borrow().erasures;
    assert!((1..=20).contains(&erasures), "{erasures} erasures");
}

#[test]
fn a_power_cut_leaves_the_old_or_the_new_state() {
    let chip = chip();
    block_on(flash(&chip).save(state(1))).unwrap();
    let mut last = 1;
    // Over the ends of both sectors.
    for n in 2..=600 {
        chip.0.borrow_mut().power = n as usize % 7;
        let saved = block_on(flash(&chip).save(state(n)));
        chip.0.borrow_mut().power = usize::MAX;
        let found = block_on(flash(&chip).load()).unwrap();
        assert!(found == state(n) || saved.is_err() && found == state(last), "{found:?} after {n}");
        last = found.sent;
    }
}

#[test]
fn one_sector_is_too_small() {
    assert!(Flash::new(chip(), 0..SECTOR as u32).is_err());
    assert!(Flash::new(chip(), 100..SECTOR as u32 * SECTORS).is_err());
}
