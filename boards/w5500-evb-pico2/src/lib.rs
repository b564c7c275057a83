//! The W5500-EVB-Pico2 board (RP2350, W5500): what an application needs of it.
#![no_std]

use defmt_rtt as _;
use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_embedded_hal::shared_bus::asynch::spi::SpiDevice;
use embassy_executor::{SpawnError, Spawner};
use embassy_futures::join::join3;
use embassy_net::{Config as NetConfig, DhcpConfig};
use embassy_net_wiznet::chip::W5500;
use embassy_net_wiznet::{Device, Runner, State};
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, FLASH, SPI0, TRNG};
use embassy_rp::spi::{Async, Spi};
use embassy_rp::trng::Trng;
use embassy_rp::{bind_interrupts, dma, otp, spi, trng};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::Mutex;
use longcable_embassy::{Flash as Memory, Host, Random};
use longcable_examples::{link, network, router};
use panic_probe as _;
use static_cell::StaticCell;

bind_interrupts!(struct Irqs {
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>;
});

/// The Ethernet port, for [`embassy_net`](https://docs.rs/embassy-net).
pub type Driver = Device<'static>;

/// The SPI bus of the Ethernet chip.
type Bus = Mutex<NoopRawMutex, Spi<'static, SPI0, Async>>;
type Chip = SpiDevice<'static, NoopRawMutex, Spi<'static, SPI0, Async>, Output<'static>>;

/// The chip is specified for up to 33.3 MHz.
const SPI_HZ: u32 = 33_000_000;

/// The parts of the board that a link needs.
pub struct Board {
    /// The Ethernet port.
    pub ethernet: Driver,
    /// True random numbers.
    pub rng: Trng<'static, TRNG>,
    /// The flash beside the chip.
    pub flash: BoardFlash,
}

/// The flash beside the chip, all of it.
pub type BoardFlash = Flash<'static, FLASH, Blocking, FLASH_LEN>;

/// Bytes of it.
const FLASH_LEN: usize = 2 << 20;

/// Its last sectors keep what must outlive a reset.
const MEMORY: core::ops::Range<u32> = 0x1f_c000..0x20_0000;

impl Board {
    /// Starts the board: Ethernet by SPI and DMA, random numbers.
    ///
    /// # Panics
    /// The Ethernet chip does not answer: it is not connected as the README says.
    pub async fn start(spawner: Spawner) -> Self {
        static STATE: StaticCell<State<4, 4>> = StaticCell::new();
        static BUS: StaticCell<Bus> = StaticCell::new();

        let p = embassy_rp::init(embassy_rp::config::Config::default());
        let mut config = spi::Config::default();
        config.frequency = SPI_HZ;
        let spi = Spi::new(p.SPI0, p.PIN_18, p.PIN_19, p.PIN_16, p.DMA_CH0, p.DMA_CH1, Irqs, config);
        let chip = SpiDevice::new(BUS.init(Mutex::new(spi)), Output::new(p.PIN_17, Level::High));
        let interrupt = Input::new(p.PIN_21, Pull::Up);
        let reset = Output::new(p.PIN_20, Level::High);
        let state = STATE.init(State::new());
        let Ok((ethernet, runner)) = embassy_net_wiznet::new(mac_address(), state, chip, interrupt, reset).await else {
            defmt::panic!("the W5500 does not answer: SPI0 on GPIO 16-19, reset on 20, interrupt on 21")
        };
        drive(runner).map(|task| spawner.spawn(task)).unwrap_or_else(|_: SpawnError| defmt::unreachable!());
        let rng = Trng::new(p.TRNG, Irqs, trng::Config::default());
        Self { ethernet, rng, flash: Flash::new_blocking(p.FLASH) }
    }

    /// Runs the link that `config` describes; the board's own address comes by DHCP.
    pub async fn run_link(mut self, spawner: Spawner, config: &'static str) {
        let seed = self.rng.blocking_next_u64();
        let (stack, mut runner) = network::start(self.ethernet, seed);
        let link = link::run(spawner, stack, config, host(self.rng, self.flash), seed);
        join3(runner.run(), network::tell_addresses(stack), link).await;
    }

    /// Runs a router between the board's network and those behind the peer.
    pub async fn run_router(mut self, spawner: Spawner, config: &'static str) {
        let seed = self.rng.blocking_next_u64();
        let lan = NetConfig::dhcpv4(DhcpConfig::default());
        router::run(spawner, self.ethernet, lan, config, host(self.rng, self.flash), seed).await;
    }
}

#[embassy_executor::task]
async fn drive(runner: Runner<'static, W5500, Chip, Input<'static>, Output<'static>>) -> ! {
    runner.run().await
}

/// What the link gets of the board.
fn host(
    rng: Trng<'static, TRNG>,
    flash: BoardFlash,
) -> Host<Random<Trng<'static, TRNG>>, Memory<BlockingAsync<BoardFlash>>> {
    let memory = Memory::new(BlockingAsync::new(flash), MEMORY).expect("these are whole sectors");
    Host::new(Random(rng)).with_store(memory)
}

/// A locally administered address, of the chip's serial number.
fn mac_address() -> [u8; 6] {
    let [.., a, b, c, d] = otp::get_chipid().unwrap_or_default().to_be_bytes();
    [0x02, 0x4c, a, b, c, d]
}
