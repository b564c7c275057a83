//! The NUCLEO-H743ZI2 board: what an application needs of it.
#![no_std]

use defmt_rtt as _;
use embassy_stm32::eth::{Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::peripherals::{ETH, ETH_SMA, RNG};
use embassy_stm32::rng::Rng;
use embassy_stm32::{Config, bind_interrupts, eth, rcc, rng, uid};
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
}

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
        Self { ethernet, rng: Rng::new(p.RNG, Irqs) }
    }
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
