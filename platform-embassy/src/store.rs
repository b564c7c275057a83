//! Memory that outlives a reset, for packet ids (protocol section 2.7).

use core::fmt;
use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapConfigError, MapStorage};

/// What must outlive a reset: packet ids that are sent never repeat, and with `replay-persist` none is accepted twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Sequences of sent packets up to this one may have been used.
    pub sent: u32,
    /// The highest packet id received and its sequence; zeros are none.
    pub received: (u32, u32),
}

/// Memory that outlives a reset: flash by [`Flash`], or whatever else a board has, such as backup registers.
///
/// It is written once a start, and at most once an hour if the link restarts; with `replay-persist` also once a minute
/// while packets come.
#[allow(async_fn_in_trait, reason = "embassy's tasks stay on their thread")]
pub trait Store {
    /// Whether it remembers anything.
    const REMEMBERS: bool = true;

    /// What was saved last; `None` if nothing was, or it cannot be read.
    async fn load(&mut self) -> Option<Remembered>;

    /// Saves it, before it returns. A power cut in between must leave the old or the new state.
    ///
    /// # Errors
    /// It could not be saved.
    async fn save(&mut self, remembered: Remembered) -> Result<(), StoreError>;
}

/// It could not be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreError;

/// No lasting memory.
#[derive(Clone, Copy, Debug)]
pub struct Forgetful;

impl Store for Forgetful {
    const REMEMBERS: bool = false;

    async fn load(&mut self) -> Option<Remembered> {
        None
    }

    async fn save(&mut self, _remembered: Remembered) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Two or more sectors of flash. They are written from end to end before one is erased: sectors of 4 KB take about 400
/// writes for two erasures.
pub struct Flash<F: NorFlash> {
    map: MapStorage<u8, F, NoCache>,
}

type NoCache = Cache<Uncached, Uncached, Uncached, u8>;

/// The key of the one entry.
const ENTRY: u8 = 0;

/// Room for an entry and its header, in bytes, whatever the flash's word is.
const ENTRY_MAX: usize = 64;

impl<F: NorFlash> Flash<F> {
    /// The bytes `range` of this flash, which nothing else uses: two sectors at least.
    ///
    /// # Errors
    /// The range does not begin and end with sectors, or is too small.
    pub fn new(flash: F, range: Range<u32>) -> Result<Self, MapConfigError> {
        Ok(Self { map: MapStorage::new(flash, MapConfig::try_new(range)?, Cache::new_uncached()) })
    }
}

impl<F: NorFlash> Store for Flash<F> {
    async fn load(&mut self) -> Option<Remembered> {
        let [sent, id, time] = self.map.fetch_item(&mut [0; ENTRY_MAX], &ENTRY).await.ok()??;
        Some(Remembered { sent, received: (id, time) })
    }

    async fn save(&mut self, remembered: Remembered) -> Result<(), StoreError> {
        let Remembered { sent, received: (id, time) } = remembered;
        self.map.store_item(&mut [0; ENTRY_MAX], &ENTRY, &[sent, id, time]).await.map_err(|_| StoreError)
    }
}

impl<F: NorFlash> fmt::Debug for Flash<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flash").finish_non_exhaustive()
    }
}
