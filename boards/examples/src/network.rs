//! The network stack on the board's Ethernet.

#[cfg(feature = "dhcp")]
use embassy_net::DhcpConfig;
use embassy_net::{Config, Runner, Stack, StackResources};
use embassy_net_driver::Driver;
use static_cell::ConstStaticCell;

/// Sockets of this stack: for DHCP, DNS and the link, and one of the application.
const SOCKETS: usize = 4;

/// A stack that gets its address by DHCP. The runner wants to run.
///
/// # Panics
/// There is one already.
#[cfg(feature = "dhcp")]
pub fn start<D: Driver>(ethernet: D, seed: u64) -> (Stack<'static>, Runner<'static, D>) {
    with_config(ethernet, Config::dhcpv4(DhcpConfig::default()), seed)
}

/// A stack with this address. The runner wants to run.
///
/// # Panics
/// There is one already.
pub fn with_config<D: Driver>(ethernet: D, config: Config, seed: u64) -> (Stack<'static>, Runner<'static, D>) {
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());
    embassy_net::new(ethernet, config, RESOURCES.take(), seed)
}

/// Says which address the stack has, whenever it gets one.
pub async fn tell_addresses(stack: Stack<'static>) -> ! {
    loop {
        stack.wait_config_up().await;
        if let Some(config) = stack.config_v4() {
            defmt::info!("ethernet: {}", config.address);
        }
        stack.wait_config_down().await;
        defmt::info!("ethernet: no address");
    }
}
