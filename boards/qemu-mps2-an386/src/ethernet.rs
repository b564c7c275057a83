//! The board's Ethernet and the network stack on it.

use cortex_m::peripheral::CPUID;
use embassy_executor::Spawner;
#[cfg(feature = "dhcp")]
use embassy_net::DhcpConfig;
use embassy_net::{Config, Runner, Stack, StackResources, StaticConfigV4};
use lan9118::{Counters, Doorbell, Lan9118, Mapped};
use static_cell::{ConstStaticCell, StaticCell};

use crate::settings::Settings;
use crate::{host, mmio};

/// The interrupt of the Ethernet controller.
pub const INTERRUPT: i16 = 13;

/// Sockets of this stack: for DHCP, DNS and the link, and one of the application.
const SOCKETS: usize = 4;

static DOORBELL: Doorbell = Doorbell::new();

/// The driver of the board's Ethernet. It holds two frames, and stays where it is.
pub type Driver = &'static mut Lan9118<Mapped>;

/// Memory of the network stack on it.
pub type Resources = StackResources<SOCKETS>;

/// Starts the network: with the settings' address, or by DHCP.
pub fn start(spawner: Spawner, settings: &Settings) -> Stack<'static> {
    start_on(spawner, driver(), settings)
}

#[inline(never)] // so that its large values lie on the stack one after the other
fn start_on(spawner: Spawner, driver: Driver, settings: &Settings) -> Stack<'static> {
    static RESOURCES: ConstStaticCell<Resources> = ConstStaticCell::new(StackResources::new());
    let (stack, runner) = embassy_net::new(driver, config(settings), RESOURCES.take(), host::seed());
    spawner.spawn(network(runner).expect("it is started once"));
    spawner.spawn(addresses(stack).expect("it is started once"));
    stack
}

/// Starts the Ethernet controller, once.
#[inline(never)] // as above
pub fn driver() -> Driver {
    static DRIVER: StaticCell<Lan9118<Mapped>> = StaticCell::new();
    let ethernet = match Lan9118::start(registers(), &DOORBELL, None) {
        Ok(ethernet) => DRIVER.init(ethernet),
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    mmio::unmask(INTERRUPT);
    ethernet
}

/// The address that the settings give to the board, or without one DHCP.
pub fn config(settings: &Settings) -> Config {
    match settings.address {
        Some(address) => Config::ipv4_static(StaticConfigV4 {
            address,
            gateway: settings.gateway,
            dns_servers: settings.dns.clone(),
        }),
        #[cfg(feature = "dhcp")]
        None => Config::dhcpv4(DhcpConfig::default()),
        #[cfg(not(feature = "dhcp"))]
        None => defmt::panic!("--address is missing: this firmware is built without the feature 'dhcp'"),
    }
}

/// Frames that did not reach the stack.
pub fn counters() -> Counters {
    DOORBELL.counters()
}

pub(crate) fn on_interrupt() {
    DOORBELL.on_interrupt(&registers());
}

fn registers() -> Mapped {
    const CORTEX_M7: u32 = 0xc27;
    // SAFETY: reading it changes nothing.
    let processor = unsafe { (*CPUID::PTR).base.read() } >> 4 & 0xfff;
    let base = if processor == CORTEX_M7 { 0xa000_0000 } else { 0x4020_0000 };
    // SAFETY: that is where the AN500, which has a Cortex-M7, and the AN385 and AN386 have it.
    unsafe { Mapped::new(base) }
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Driver>) -> ! {
    runner.run().await
}

/// Says which address the board has.
#[embassy_executor::task]
async fn addresses(stack: Stack<'static>) -> ! {
    loop {
        stack.wait_config_up().await;
        if let Some(config) = stack.config_v4() {
            defmt::info!("ethernet: address {}", defmt::Display2Format(&config.address));
        }
        stack.wait_config_down().await;
        defmt::info!("ethernet: no address");
    }
}
