//! Where packets go: the networks on either side, and the board's own addresses.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use heapless::Vec;
use longcable_core::options::{LinkConfig, Topology, Word};
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Cidr, Ipv6Cidr};

/// The most networks in [`Tunnel::networks`].
pub const NETWORKS_MAX: usize = 32;

/// One of the two interfaces of the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Side {
    /// The Ethernet.
    Lan,
    /// The tunnel.
    Tunnel,
}

/// The board on its LAN, as the first network stack is configured. A family without address is not forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lan {
    /// The board's address and the network around it.
    pub ipv4: Option<Ipv4Cidr>,
    /// The board's address and the network around it.
    pub ipv6: Option<Ipv6Cidr>,
    /// Who forwards packets from the tunnel that are for neither network. `None`: only the LAN itself can be reached.
    pub gateway_ipv4: Option<Ipv4Addr>,
    /// The same for IPv6; link-local or not.
    pub gateway_ipv6: Option<Ipv6Addr>,
}

/// The board in the tunnel, and the networks behind the tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// The board's address and the network around it; 32 bits of prefix if there is only the peer.
    pub ipv4: Option<Ipv4Cidr>,
    /// The board's address and the network around it.
    pub ipv6: Option<Ipv6Cidr>,
    /// Networks and the way to them. [`Side::Lan`] is an exception from a larger network and leads to the LAN's gateway.
    pub networks: Vec<(IpCidr, Side), NETWORKS_MAX>,
}

/// Why a router cannot be made of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UnsuitableRoute {
    /// An address or network is a name; a board resolves none of these.
    Name,
    /// A netmask is none.
    Netmask,
    /// A gateway that is not in the tunnel (`net_gateway` may be used).
    Gateway,
    /// More than [`NETWORKS_MAX`] routes.
    TooMany,
}

/// A way for one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The board itself, by its address on this side.
    Board(Side),
    /// Out of the Ethernet, to this neighbor.
    Lan(IpAddress),
    /// Into the tunnel.
    Tunnel,
}

/// Everything that a decision depends on, besides the packet.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) lan: Lan,
    pub(crate) tunnel: Tunnel,
    /// Largest IP packet, in bytes.
    pub(crate) lan_mtu: usize,
    /// Largest IP packet, in bytes.
    pub(crate) tunnel_mtu: usize,
    pub(crate) tunnel_up: bool,
}

impl Tunnel {
    /// The addresses of `ifconfig` and `ifconfig-ipv6` and the networks of `route` and `route-ipv6`.
    ///
    /// # Errors
    /// A name instead of an address, a gateway that is elsewhere, or too many routes.
    pub fn from_config(config: &LinkConfig<'_>) -> Result<Self, UnsuitableRoute> {
        let mut tunnel = Self::default();
        if let Some(ifconfig) = &config.ifconfig {
            let (local, remote_or_netmask) = ifconfig.addresses().ok_or(UnsuitableRoute::Name)?;
            tunnel.ipv4 = Some(if config.topology == Topology::Subnet {
                netmask_cidr(local, remote_or_netmask)?
            } else {
                tunnel.add(Ipv4Cidr::new(remote_or_netmask, 32).into(), Side::Tunnel)?;
                Ipv4Cidr::new(local, 32)
            });
        }
        if let Some(ifconfig) = &config.ifconfig_ipv6 {
            tunnel.ipv6 = Some(ipv6_cidr(ifconfig.local, ifconfig.prefix)?);
        }
        for route in &config.routes {
            let side = tunnel.side_of(route.gateway.as_ref())?;
            let network = route.network.parse::<Ipv4Addr>().ok_or(UnsuitableRoute::Name)?;
            tunnel.add(netmask_cidr(network, route.netmask)?.into(), side)?;
        }
        for route in &config.routes_ipv6 {
            let side = tunnel.side_of(route.gateway.as_ref())?;
            tunnel.add(ipv6_cidr(route.network, route.prefix)?.into(), side)?;
        }
        Ok(tunnel)
    }

    fn add(&mut self, network: IpCidr, side: Side) -> Result<(), UnsuitableRoute> {
        self.networks.push((network, side)).map_err(|_| UnsuitableRoute::TooMany)
    }

    fn side_of(&self, gateway: Option<&Word<'_>>) -> Result<Side, UnsuitableRoute> {
        let Some(gateway) = gateway else { return Ok(Side::Tunnel) };
        if *gateway == "vpn_gateway" {
            return Ok(Side::Tunnel);
        }
        if *gateway == "net_gateway" || *gateway == "net_gateway_ipv6" {
            return Ok(Side::Lan);
        }
        let address = gateway.parse::<core::net::IpAddr>().ok_or(UnsuitableRoute::Name)?.into();
        let inside = self.connected().any(|network| network.contains_addr(&address))
            || self.networks.iter().any(|(network, side)| *side == Side::Tunnel && network.contains_addr(&address));
        if inside { Ok(Side::Tunnel) } else { Err(UnsuitableRoute::Gateway) }
    }

    fn connected(&self) -> impl Iterator<Item = IpCidr> {
        self.ipv4.map(IpCidr::from).into_iter().chain(self.ipv6.map(IpCidr::from))
    }
}

impl Lan {
    /// Whether `address` is on the wire itself.
    pub(crate) fn contains(&self, address: IpAddress) -> bool {
        self.connected().any(|network| network.contains_addr(&address))
    }

    fn connected(&self) -> impl Iterator<Item = IpCidr> {
        self.ipv4.map(IpCidr::from).into_iter().chain(self.ipv6.map(IpCidr::from))
    }

    fn gateway_for(&self, address: IpAddress) -> Option<IpAddress> {
        match address {
            IpAddress::Ipv4(_) => self.gateway_ipv4.map(IpAddress::from),
            IpAddress::Ipv6(_) => self.gateway_ipv6.map(IpAddress::from),
        }
    }
}

impl Table {
    /// Nothing is forwarded.
    pub(crate) const fn new() -> Self {
        let lan = Lan { ipv4: None, ipv6: None, gateway_ipv4: None, gateway_ipv6: None };
        let tunnel = Tunnel { ipv4: None, ipv6: None, networks: Vec::new() };
        Self { lan, tunnel, lan_mtu: 0, tunnel_mtu: 0, tunnel_up: false }
    }

    /// The way to `address`: the longest prefix decides, of equals that of the LAN.
    pub(crate) fn route(&self, address: IpAddress) -> Option<Route> {
        let is_own = |network: IpCidr| network.address() == address;
        if self.lan.connected().any(is_own) {
            return Some(Route::Board(Side::Lan));
        }
        if self.tunnel.connected().any(is_own) {
            return Some(Route::Board(Side::Tunnel));
        }
        let gateway = self.lan.gateway_for(address).map(Route::Lan);
        let lan = self.lan.connected().map(|network| (network, Some(Route::Lan(address))));
        let tunnel = self.tunnel.connected().map(|network| (network, Some(Route::Tunnel)));
        let networks = self.tunnel.networks.iter().map(|(network, side)| match side {
            Side::Lan => (*network, gateway),
            Side::Tunnel => (*network, Some(Route::Tunnel)),
        });
        let mut best = (None, gateway);
        for (network, route) in lan.chain(tunnel).chain(networks) {
            if network.contains_addr(&address) && best.0.is_none_or(|length| network.prefix_len() > length) {
                best = (Some(network.prefix_len()), route);
            }
        }
        best.1
    }

    /// The board's address on one side, in the family of `other`.
    pub(crate) fn own_address(&self, side: Side, other: IpAddress) -> Option<IpAddress> {
        let (ipv4, ipv6) = match side {
            Side::Lan => (self.lan.ipv4, self.lan.ipv6),
            Side::Tunnel => (self.tunnel.ipv4, self.tunnel.ipv6),
        };
        match other {
            IpAddress::Ipv4(_) => ipv4.map(|network| network.address().into()),
            IpAddress::Ipv6(_) => ipv6.map(|network| network.address().into()),
        }
    }

    /// Whether `address` is that of one host that may be beyond a router (RFC 1812 section 5.3.7, RFC 6890).
    pub(crate) fn is_host(&self, address: IpAddress) -> bool {
        match address {
            IpAddress::Ipv4(address) => {
                let [first, ..] = address.octets();
                first != 0
                    && first < 224
                    && !address.is_loopback()
                    && !address.is_link_local()
                    && ![self.lan.ipv4, self.tunnel.ipv4].into_iter().flatten().any(|network| {
                        // Of a /31 or /32 all addresses are hosts.
                        network.prefix_len() < 31
                            && (network.broadcast() == Some(address) || network.network().address() == address)
                    })
            }
            IpAddress::Ipv6(address) => {
                !address.is_unspecified()
                    && !address.is_loopback()
                    && !address.is_multicast()
                    && !address.is_unicast_link_local()
                    && address.to_ipv4_mapped().is_none()
            }
        }
    }
}

impl fmt::Display for UnsuitableRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a route or ifconfig with a name; only addresses can be forwarded to",
            Self::Netmask => "a netmask with holes",
            Self::Gateway => "a route with a gateway that is not in the tunnel",
            Self::TooMany => "too many routes",
        })
    }
}

fn netmask_cidr(address: Ipv4Addr, netmask: Ipv4Addr) -> Result<Ipv4Cidr, UnsuitableRoute> {
    Ipv4Cidr::from_netmask(address, netmask).map_err(|_| UnsuitableRoute::Netmask)
}

fn ipv6_cidr(address: Ipv6Addr, prefix: u8) -> Result<Ipv6Cidr, UnsuitableRoute> {
    // The constructor panics beyond.
    if prefix > 128 { Err(UnsuitableRoute::Netmask) } else { Ok(Ipv6Cidr::new(address, prefix)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::samples::table;

    fn route(table: &Table, to: &str) -> Option<Route> {
        table.route(to.parse().unwrap())
    }

    #[test]
    fn the_longest_prefix_decides() {
        let mut table = table();
        let lan = |address: &str| Some(Route::Lan(address.parse().unwrap()));
        assert_eq!(route(&table, "192.168.1.77"), lan("192.168.1.77"));
        assert_eq!(route(&table, "192.168.1.1"), Some(Route::Board(Side::Lan)));
        assert_eq!(route(&table, "10.8.0.2"), Some(Route::Board(Side::Tunnel)));
        assert_eq!(route(&table, "10.8.0.1"), Some(Route::Tunnel));
        assert_eq!(route(&table, "10.20.3.4"), Some(Route::Tunnel));
        assert_eq!(route(&table, "10.20.9.4"), None, "an exception without a gateway");
        assert_eq!(route(&table, "8.8.8.8"), None);
        assert_eq!(route(&table, "fd00:1::77"), lan("fd00:1::77"));
        assert_eq!(route(&table, "fd00:2::1"), Some(Route::Tunnel));
        assert_eq!(route(&table, "fd00:3::1"), None);

        table.lan.gateway_ipv4 = Some(Ipv4Addr::new(192, 168, 1, 254));
        assert_eq!(route(&table, "10.20.9.4"), lan("192.168.1.254"));
        assert_eq!(route(&table, "8.8.8.8"), lan("192.168.1.254"));
        table.tunnel.add("0.0.0.0/0".parse().unwrap(), Side::Tunnel).unwrap();
        assert_eq!(route(&table, "8.8.8.8"), Some(Route::Tunnel), "before a gateway that nobody routes to");
        table.tunnel.add("192.168.1.0/24".parse().unwrap(), Side::Tunnel).unwrap();
        assert_eq!(route(&table, "192.168.1.77"), lan("192.168.1.77"), "the LAN is nearer");
        table.tunnel.add("192.168.1.64/26".parse().unwrap(), Side::Tunnel).unwrap();
        assert_eq!(route(&table, "192.168.1.77"), Some(Route::Tunnel));
    }

    #[test]
    fn hosts_are_told_from_martians() {
        let table = table();
        for host in ["1.0.0.0", "192.168.1.77", "10.8.0.1", "223.255.255.255", "fd00::1", "2001:db8::1"] {
            assert!(table.is_host(host.parse().unwrap()), "{host}");
        }
        for other in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "169.254.1.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.168.1.255",
            "192.168.1.0",
            "10.8.0.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "::ffff:192.168.1.77",
        ] {
            assert!(!table.is_host(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn reads_the_configuration() {
        let read = |text: &str| {
            let text = std::format!("dev tun\nremote 192.0.2.1\nsecret k\n{text}");
            Tunnel::from_config(&LinkConfig::parse(&text).map_err(|error| std::format!("{error}")).unwrap())
        };
        let tunnel = read(
            "ifconfig 10.8.0.2 10.8.0.1\nroute 10.20.0.0 255.255.0.0\nroute 10.20.9.0 255.255.255.0 net_gateway\n\
             route 10.30.0.0 255.255.0.0 10.8.0.1\nifconfig-ipv6 fd00:8::2/64 fd00:8::1\nroute-ipv6 fd00:2::/32",
        )
        .unwrap();
        assert_eq!(tunnel.ipv4, Some("10.8.0.2/32".parse().unwrap()));
        assert_eq!(tunnel.ipv6, Some("fd00:8::2/64".parse().unwrap()));
        let networks: std::vec::Vec<_> =
            tunnel.networks.iter().map(|(network, side)| std::format!("{network} {side:?}")).collect();
        assert_eq!(
            networks,
            [
                "10.8.0.1/32 Tunnel",
                "10.20.0.0/16 Tunnel",
                "10.20.9.0/24 Lan",
                "10.30.0.0/16 Tunnel",
                "fd00:2::/32 Tunnel"
            ]
        );
        let subnet = read("topology subnet\nifconfig 10.8.0.2 255.255.255.0").unwrap();
        assert_eq!(subnet.ipv4, Some("10.8.0.2/24".parse().unwrap()));
        assert!(subnet.networks.is_empty());
        assert_eq!(read("route office.example.net"), Err(UnsuitableRoute::Name));
        assert_eq!(read("route 10.20.0.0 255.255.0.0 192.168.1.254"), Err(UnsuitableRoute::Gateway));
        let many: std::string::String = (0..33).map(|n| std::format!("route 10.{n}.0.0 255.255.0.0\n")).collect();
        assert_eq!(read(&many), Err(UnsuitableRoute::TooMany));
    }
}
