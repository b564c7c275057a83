//! Routes: add, delete, look up, and undo.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::{Answer, Link, NetError, Netlink};

/// A route of the main table. Displayed as `10.0.0.0/24 via 10.1.0.2 dev tun0 metric 5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// First address of the destination.
    pub destination: IpAddr,
    /// Length of the destination's prefix in bits: at most 32 or 128.
    pub prefix: u8,
    /// Next hop, of the destination's family; None when the destination is on the link itself.
    pub gateway: Option<IpAddr>,
    /// Interface; needed without a gateway and for link-local gateways.
    pub device: Option<Link>,
    /// Smaller is preferred; None is 0 for IPv4 and 1024 for IPv6.
    pub metric: Option<u32>,
}

/// The way towards an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Next hop; None when the address is on the link itself.
    pub gateway: Option<IpAddr>,
    /// The interface that the packets leave by.
    pub device: Link,
    /// The source address that the kernel chooses for it.
    pub source: Option<IpAddr>,
}

/// Remembers the routes that were added, to take them away in the end.
#[derive(Debug, Default)]
pub struct RouteTable {
    added: Vec<Route>,
}

impl RouteTable {
    /// Adds a route. False when the same destination and metric had a route already: that one stays, and is not ours.
    ///
    /// # Errors
    /// What [`Netlink::add_route`] says, but for EEXIST.
    pub fn add(&mut self, netlink: &Netlink, route: Route) -> Result<bool, NetError> {
        match netlink.add_route(&route) {
            Ok(()) => {
                self.added.push(route);
                Ok(true)
            }
            Err(NetError { errno: Errno::EEXIST, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The routes that were added, oldest first.
    pub fn routes(&self) -> &[Route] {
        &self.added
    }

    /// Takes all added routes away, newest first. Routes that went with their interface are no failure; the
    /// failures that there were (no permission any more, say) are returned.
    pub fn remove_all(&mut self, netlink: &Netlink) -> Vec<NetError> {
        let gone = |errno| matches!(errno, Errno::ESRCH | Errno::ENODEV | Errno::ENOENT | Errno::ENETUNREACH);
        self.added
            .drain(..)
            .rev()
            .filter_map(|route| netlink.delete_route(&route).err())
            .filter(|error| !gone(error.errno))
            .collect()
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.destination, self.prefix)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(device) = &self.device {
            write!(f, " dev {device}")?;
        }
        match self.metric {
            Some(metric) => write!(f, " metric {metric}"),
            None => Ok(()),
        }
    }
}

impl Netlink {
    /// Adds a route to the main table.
    ///
    /// # Errors
    /// No permission, EEXIST, ENETUNREACH when the gateway itself cannot be reached, EINVAL for a destination with
    /// bits beyond its prefix.
    pub fn add_route(&self, route: &Route) -> Result<(), NetError> {
        let message = RouteNetlinkMessage::NewRoute(message(route));
        self.request(message, NLM_F_CREATE | NLM_F_EXCL, &format_args!("add route {route}"))
    }

    /// Deletes the route that matches in everything that is given.
    ///
    /// # Errors
    /// No permission, or ESRCH when there is no such route.
    pub fn delete_route(&self, route: &Route) -> Result<(), NetError> {
        self.request(RouteNetlinkMessage::DelRoute(message(route)), 0, &format_args!("delete route {route}"))
    }

    /// The way that a packet from here to `destination` takes now.
    ///
    /// # Errors
    /// ENETUNREACH (or what a `blackhole` or `prohibit` route asks for) when there is none.
    pub fn path_to(&self, destination: IpAddr) -> Result<Path, NetError> {
        let attempt = format_args!("look up the route to {destination}");
        let mut message = with_family(destination);
        message.header.destination_prefix_length = full_prefix(destination);
        message.attributes.push(RouteAttribute::Destination(destination.into()));
        match self.get(RouteNetlinkMessage::GetRoute(message), &attempt)? {
            Answer::Route(message) => self.path(&Found::from(&message)),
            _ => Err(NetError { attempt: attempt.to_string(), errno: Errno::EBADMSG }),
        }
    }

    /// The default route of the main table with the smallest metric (`net_gateway`), for IPv4 or IPv6.
    ///
    /// # Errors
    /// Only those of the system; no default route is Ok(None).
    pub fn default_gateway(&self, ipv6: bool) -> Result<Option<Path>, NetError> {
        let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let routes = self.dump(RouteNetlinkMessage::GetRoute(with_family(any)), &"list the routes")?;
        routes
            .iter()
            .filter_map(|route| match route {
                Answer::Route(route) => Some(route),
                _ => None,
            })
            .filter(|route| route.header.destination_prefix_length == 0)
            .filter(|route| route.header.table == RouteHeader::RT_TABLE_MAIN && route.header.kind == RouteType::Unicast)
            .map(Found::from)
            .min_by_key(|found| found.metric)
            .map(|found| self.path(&found))
            .transpose()
    }

    fn path(&self, found: &Found) -> Result<Path, NetError> {
        let device = self.link_by_index(found.device)?;
        Ok(Path { gateway: found.gateway, device, source: found.source })
    }
}

/// What a route message says.
#[derive(Default)]
struct Found {
    gateway: Option<IpAddr>,
    device: u32,
    source: Option<IpAddr>,
    metric: u32,
}

impl From<&RouteMessage> for Found {
    fn from(message: &RouteMessage) -> Self {
        let mut found = Self::default();
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Gateway(gateway) => found.gateway = address(gateway),
                RouteAttribute::PrefSource(source) => found.source = address(source),
                RouteAttribute::Oif(index) => found.device = *index,
                RouteAttribute::Priority(metric) => found.metric = *metric,
                _ => {}
            }
        }
        found
    }
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn full_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn with_family(address: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message
}

fn message(route: &Route) -> RouteMessage {
    let mut message = with_family(route.destination);
    message.header.destination_prefix_length = route.prefix;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.kind = RouteType::Unicast;
    if route.gateway.is_none() && route.destination.is_ipv4() {
        message.header.scope = RouteScope::Link;
    }
    message.attributes.push(RouteAttribute::Destination(route.destination.into()));
    message.attributes.extend(route.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    message.attributes.extend(route.device.as_ref().map(|device| RouteAttribute::Oif(device.index)));
    message.attributes.extend(route.metric.map(RouteAttribute::Priority));
    message
}
