//! The board's Ethernet and the network stack on it.

use cortex_m::peripheral::CPUID;
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Runner, Stack, StaticConfigV4};
use lan9118::{Counters, Doorbell, Lan9118, Mapped};
use longcable_examples::network;

use crate::settings::Settings;
use crate::{host, mmio};

/// The interrupt of the Ethernet controller.
pub const INTERRUPT: i16 = 13;

static DOORBELL: Doorbell = Doorbell::new();

/// The driver of the Ethernet controller.
pub type Driver = Lan9118<Mapped>;

/// Starts the Ethernet controller.
pub fn driver() -> Driver {
    let ethernet = match Lan9118::start(registers(), &DOORBELL, None) {
        Ok(ethernet) => ethernet,
        Err(error) => panic!("{error}"),
    };
    mmio::unmask(INTERRUPT);
    ethernet
}

/// The settings' address, or one by DHCP.
pub fn config(settings: &Settings) -> Config {
    match settings.address {
        Some(address) => Config::ipv4_static(StaticConfigV4 {
            address,
            gateway: settings.gateway,
            dns_servers: settings.dns.clone(),
        }),
        None => Config::dhcpv4(DhcpConfig::default()),
    }
}

/// Starts the network.
pub fn start(spawner: Spawner, settings: &Settings) -> Stack<'static> {
    let (stack, runner) = network::with_config(driver(), config(settings), host::seed());
    spawner.spawn(run(runner).expect("it is started once"));
    spawner.spawn(addresses(stack).expect("it is started once"));
    stack
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
async fn run(mut runner: Runner<'static, Driver>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn addresses(stack: Stack<'static>) -> ! {
    network::tell_addresses(stack).await
}
