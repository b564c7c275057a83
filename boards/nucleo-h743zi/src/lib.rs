//! The NUCLEO-H743ZI2 board: what an application needs of it.
#![no_std]

use defmt_rtt as _;
use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_executor::Spawner;
use embassy_futures::join::join3;
use embassy_net::{Config as NetConfig, DhcpConfig};
use embassy_stm32::eth::{Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::flash::{Blocking, Flash};
use embassy_stm32::peripherals::{ETH, ETH_SMA, RNG};
use embassy_stm32::rng::Rng;
use embassy_stm32::{Config, bind_interrupts, eth, rcc, rng, uid};
use longcable_embassy::{Flash as Memory, Host, Random};
use longcable_examples::{link, network, router};
use panic_probe as _;
use static_cell::StaticCell;

bind_interrupts!(struct Irqs {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
});

/// The Ethernet port, for [`embassy_net`](https://docs.rs/embassy-net).
pub type Driver = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

/// The parts of the board that a link needs.
pub struct Board {
    /// The Ethernet port.
    pub ethernet: Driver,
    /// True random numbers.
    pub rng: Rng<'static, RNG>,
    /// The chip's own flash.
    pub flash: Flash<'static, Blocking>,
}

/// The last two sectors of the flash keep what must outlive a reset.
const MEMORY: core::ops::Range<u32> = 0x1c_0000..0x20_0000;

impl Board {
    /// Starts the board: 400 MHz, Ethernet by RMII, random numbers.
    pub fn start() -> Self {
        static QUEUE: StaticCell<PacketQueue<4, 4>> = StaticCell::new();

        let p = embassy_stm32::init(clocks());
        let ethernet = Ethernet::new(
            QUEUE.init(PacketQueue::new()),
            p.ETH,
            Irqs,
            p.PA1,
            p.PA7,
            p.PC4,
            p.PC5,
            p.PG13,
            p.PB13,
            p.PG11,
            mac_address(),
            p.ETH_SMA,
            p.PA2,
            p.PC1,
        );
        Self { ethernet, rng: Rng::new(p.RNG, Irqs), flash: Flash::new_blocking(p.FLASH) }
    }

    /// Runs the link that `config` describes; the board's own address comes by DHCP.
    pub async fn run_link(mut self, spawner: Spawner, config: &'static str) {
        let seed = self.rng.next_u64();
        let (stack, mut runner) = network::start(self.ethernet, seed);
        let link = link::run(spawner, stack, config, host(self.rng, self.flash), seed);
        join3(runner.run(), network::tell_addresses(stack), link).await;
    }

    /// Runs a router between the board's network and those behind the peer.
    pub async fn run_router(mut self, spawner: Spawner, config: &'static str) {
        let seed = self.rng.next_u64();
        let lan = NetConfig::dhcpv4(DhcpConfig::default());
        router::run(spawner, self.ethernet, lan, config, host(self.rng, self.flash), seed).await;
    }
}

/// What the link gets of the board.
fn host(
    rng: Rng<'static, RNG>,
    flash: Flash<'static, Blocking>,
) -> Host<Random<Rng<'static, RNG>>, Memory<BlockingAsync<Flash<'static, Blocking>>>> {
    let memory = Memory::new(BlockingAsync::new(flash), MEMORY).expect("these are two sectors");
    Host::new(Random(rng)).with_store(memory)
}

/// A locally administered address, of the chip's serial number.
fn mac_address() -> [u8; 6] {
    let id = uid::uid();
    let hash = id.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_be_bytes();
    [0x02, 0x4c, a, b, c, d]
}

/// The processor at 400 MHz from the internal oscillator: the board needs no crystal.
fn clocks() -> Config {
    let mut config = Config::default();
    config.rcc.hsi = Some(rcc::HSIPrescaler::DIV1);
    config.rcc.csi = true;
    config.rcc.hsi48 = Some(rcc::Hsi48Config::default()); // for the random numbers
    config.rcc.pll1 = Some(rcc::Pll {
        source: rcc::PllSource::HSI,
        prediv: rcc::PllPreDiv::DIV4,
        mul: rcc::PllMul::MUL50,
        fracn: None,
        divp: Some(rcc::PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    config.rcc.sys = rcc::Sysclk::PLL1_P;
    config.rcc.ahb_pre = rcc::AHBPrescaler::DIV2;
    config.rcc.apb1_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb2_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb3_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb4_pre = rcc::APBPrescaler::DIV2;
    config.rcc.voltage_scale = rcc::VoltageScale::Scale1;
    config
}
