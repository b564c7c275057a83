//! The addresses of the tunnel, for the network stack in it.

use core::net::Ipv4Addr;

use embassy_net::{Config, ConfigV4, Ipv4Cidr, StaticConfigV4};
#[cfg(feature = "ipv6")]
use embassy_net::{ConfigV6, Ipv6Cidr, StaticConfigV6};
use longcable_core::options::{LinkConfig, Topology};

/// The configuration for the network stack in the tunnel: the addresses of `ifconfig` and `ifconfig-ipv6`, and the tunnel
/// as the way to everything else. Without them it is empty. `None` if an address is a name, or the netmask is none.
pub(crate) fn net_config(config: &LinkConfig<'_>) -> Option<Config> {
    let mut net = Config::default();
    if let Some(ifconfig) = &config.ifconfig {
        let (local, second) = ifconfig.addresses()?;
        let (prefix, gateway) = match config.topology {
            Topology::Subnet => (prefix_len(second)?, config.route_gateway.and_then(|word| word.parse())),
            Topology::Net30 | Topology::P2p => (32, Some(second)),
        };
        net.ipv4 = ConfigV4::Static(StaticConfigV4 {
            address: Ipv4Cidr::new(local, prefix),
            // The tunnel has one other end, so any will do.
            gateway: Some(gateway.unwrap_or(local)),
            dns_servers: Default::default(),
        });
    }
    #[cfg(feature = "ipv6")]
    if let Some(ifconfig) = &config.ifconfig_ipv6 {
        net.ipv6 = ConfigV6::Static(StaticConfigV6 {
            address: Ipv6Cidr::new(ifconfig.local, ifconfig.prefix),
            gateway: Some(ifconfig.remote.unwrap_or(ifconfig.local)),
            dns_servers: Default::default(),
        });
    }
    Some(net)
}

/// The length of a netmask in bits.
fn prefix_len(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let prefix = bits.leading_ones();
    (bits.checked_shl(prefix).unwrap_or(0) == 0).then_some(u8::try_from(prefix).ok()?)
}
