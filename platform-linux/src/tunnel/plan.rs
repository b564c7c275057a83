//! What the tunnel shall look like, after names in the configuration have become addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use longcable_core::options::{DeviceKind, Ifconfig, LinkConfig, Topology, Word};

use crate::environment::Environment;
use crate::failure::Fatal;
use crate::log;
use crate::net::{InterfaceAddress, Netlink, Route};
use crate::scripts::{Ipv4, Ipv6, Other};

/// Addresses and name of the device, and what the routes are made from.
pub struct Plan {
    pub(super) device: Option<String>,
    pub(super) addresses: Vec<InterfaceAddress>,
    pub(super) ipv4: Option<Ipv4>,
    pub(super) ipv6: Option<Ipv6>,
    gateway: Option<Ipv4Addr>,
}

/// A route and how it is called in the log.
pub struct PlannedRoute {
    /// It leads to the tunnel device itself.
    pub(super) on_device: bool,
    pub(super) route: Route,
    pub(super) name: String,
}

impl Plan {
    /// Resolves the names in `ifconfig` and `route-gateway`, which may wait for a name server once, at the start.
    ///
    /// # Errors
    /// A name that cannot be resolved, or addresses that make no sense.
    pub fn new(config: &LinkConfig<'_>) -> Result<Self, Fatal> {
        let ipv4 = config.ifconfig.map(|ifconfig| ipv4(config.topology, &ifconfig)).transpose()?;
        let ipv6 = config.ifconfig_ipv6.map(|ifconfig| Ipv6 {
            local: ifconfig.local,
            bits: ifconfig.prefix,
            remote: ifconfig.remote,
        });
        let mut addresses = Vec::new();
        if let Some(Ipv4 { local, other }) = ipv4 {
            addresses.push(match other {
                Other::Remote(peer) => InterfaceAddress::PointToPoint { local, peer },
                Other::Netmask(mask) => {
                    InterfaceAddress::Subnet { local: local.into(), prefix: prefix("ifconfig", mask)? }
                }
            });
        }
        if let Some(Ipv6 { local, bits, .. }) = ipv6 {
            addresses.push(InterfaceAddress::Subnet { local: local.into(), prefix: bits });
        }
        let gateway = match (config.route_gateway, ipv4) {
            (Some(word), _) => Some(resolve("route-gateway", word)?),
            (None, Some(Ipv4 { other: Other::Remote(peer), .. })) => Some(peer),
            (None, _) => None,
        };
        if config.device == DeviceKind::Tun && addresses.is_empty() && !config.ifconfig_noexec {
            log::warning(format_args!("WARNING: without 'ifconfig' the tunnel device gets no address"));
        }
        let device = config.device_name().map(|name| name.to_string());
        Ok(Self { device, addresses, ipv4, ipv6, gateway })
    }

    /// The routes of the configuration, and their variables for the scripts. What cannot be worked out is said in the
    /// log and left out.
    pub(super) fn routes(
        &self,
        config: &LinkConfig<'_>,
        netlink: &Netlink,
        peer: Option<SocketAddr>,
        environment: &mut Environment,
    ) -> Vec<PlannedRoute> {
        let net_gateway = netlink.default_gateway(false).ok().flatten().and_then(|path| path.gateway);
        if let Some(gateway) = net_gateway {
            environment.set("route_net_gateway", gateway);
        }
        if let Some(gateway) = self.gateway {
            environment.set("route_vpn_gateway", gateway);
        }
        let address = |word: Word<'_>| match (word.as_str(), net_gateway, peer) {
            (Some("vpn_gateway"), ..) => self.gateway.ok_or("there is no 'route-gateway' and no peer in 'ifconfig'"),
            (Some("net_gateway"), Some(IpAddr::V4(gateway)), _) => Ok(gateway),
            (Some("net_gateway"), ..) => Err("there is no default route"),
            (Some("remote_host"), _, Some(SocketAddr::V4(peer))) => Ok(*peer.ip()),
            (Some("remote_host"), ..) => Err("the peer's IPv4 address is not known"),
            _ => resolve("route", word).map_err(|_| "the name cannot be resolved"),
        };
        let mut planned = Vec::new();
        for (number, route) in (1..).zip(&config.routes) {
            let work_out = || {
                let destination = address(route.network)?;
                let gateway = match route.gateway {
                    Some(word) => address(word)?,
                    None => self
                        .gateway
                        .ok_or("it needs a gateway: set 'ifconfig' with the peer's address, or 'route-gateway'")?,
                };
                let prefix = prefix("route", route.netmask).map_err(|_| "its netmask has holes")?;
                if u32::from(destination) & !u32::from(route.netmask) != 0 {
                    return Err(
                        "it names a host: write the first address of the network, as in 10.0.0.0 255.255.255.0",
                    );
                }
                Ok::<_, &str>((destination, prefix, gateway))
            };
            let (destination, prefix, gateway) = match work_out() {
                Ok(route) => route,
                Err(reason) => {
                    log::error(format_args!(
                        "ERROR: 'route {} {}' is left out: {reason}",
                        route.network, route.netmask
                    ));
                    continue;
                }
            };
            let metric = route.metric.or(config.route_metric);
            let own_gateway = route.gateway.is_none();
            environment.set(&format!("route_network_{number}"), destination);
            environment.set(&format!("route_netmask_{number}"), route.netmask);
            environment.set(&format!("route_gateway_{number}"), gateway);
            if let Some(metric) = metric {
                environment.set(&format!("route_metric_{number}"), metric);
            }
            let name = format!("{destination}/{prefix} via {gateway}");
            let route =
                Route { destination: destination.into(), prefix, gateway: Some(gateway.into()), device: None, metric };
            // The tunnel's own gateway is on the device, whatever other routes say.
            planned.push(PlannedRoute { route, name, on_device: own_gateway });
        }
        for (number, route) in (1..).zip(&config.routes_ipv6) {
            let own = self.ipv6.and_then(|ipv6| ipv6.remote);
            let gateway = route.gateway.and_then(|word| word.parse()).or(own);
            environment
                .set(&format!("route_ipv6_network_{number}"), format_args!("{}/{}", route.network, route.prefix));
            if let Some(gateway) = gateway {
                environment.set(&format!("route_ipv6_gateway_{number}"), gateway);
            }
            // A point-to-point device has one neighbour: no gateway is needed.
            planned.push(PlannedRoute {
                name: format!("{}/{}", route.network, route.prefix),
                route: Route {
                    destination: route.network.into(),
                    prefix: route.prefix,
                    gateway: None,
                    device: None,
                    metric: route.metric.or(config.route_metric),
                },
                on_device: true,
            });
        }
        planned
    }
}

fn ipv4(topology: Topology, ifconfig: &Ifconfig<'_>) -> Result<Ipv4, Fatal> {
    let local = resolve("ifconfig", ifconfig.local)?;
    let other = resolve("ifconfig", ifconfig.remote_or_netmask)?;
    let other = if topology == Topology::Subnet { Other::Netmask(other) } else { Other::Remote(other) };
    Ok(Ipv4 { local, other })
}

/// The address that a word is or names.
fn resolve(option: &str, word: Word<'_>) -> Result<Ipv4Addr, Fatal> {
    if let Some(address) = word.parse() {
        return Ok(address);
    }
    let name = word.to_string();
    let found = (name.as_str(), 0).to_socket_addrs().map_err(|error| {
        Fatal::new(format!("RESOLVE: Cannot resolve host address: {name} ({error}), an argument of '{option}'"))
    })?;
    let v4 = |address| if let SocketAddr::V4(address) = address { Some(*address.ip()) } else { None };
    let none = || Fatal::new(format!("RESOLVE: {name}, an argument of '{option}', has no IPv4 address"));
    found.into_iter().find_map(v4).ok_or_else(none)
}

fn prefix(option: &str, mask: Ipv4Addr) -> Result<u8, Fatal> {
    let bits = u32::from(mask);
    if bits.leading_ones() + bits.trailing_zeros() < 32 && bits != 0 {
        return Err(Fatal::new(format!("Options error: {mask}, an argument of '{option}', is no netmask")));
    }
    Ok(bits.leading_ones() as u8)
}
