//! Addresses of interfaces.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Link, NetError, Netlink};

/// An address of an interface. Displayed as `10.1.0.1 peer 10.1.0.2` or `10.1.0.1/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterfaceAddress {
    /// One address here, one at the other end.
    PointToPoint {
        /// The address here.
        local: Ipv4Addr,
        /// The address at the other end; the kernel routes it to the interface.
        peer: Ipv4Addr,
    },
    /// One address in a subnet, IPv4 or IPv6.
    Subnet {
        /// The address here.
        local: IpAddr,
        /// Length of the subnet's prefix in bits; the kernel routes the subnet to the interface.
        prefix: u8,
    },
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PointToPoint { local, peer } => write!(f, "{local} peer {peer}"),
            Self::Subnet { local, prefix } => write!(f, "{local}/{prefix}"),
        }
    }
}

impl Netlink {
    /// Gives an interface one more address. No duplicate address detection delays IPv6 ones,
    /// but the kernel takes some milliseconds until it accepts packets to them.
    ///
    /// # Errors
    /// No permission, EEXIST when it has the address already, or the interface is gone.
    pub fn add_address(&self, link: &Link, address: InterfaceAddress) -> Result<(), NetError> {
        let message = RouteNetlinkMessage::NewAddress(message(link, address));
        self.request(message, NLM_F_CREATE | NLM_F_EXCL, &format_args!("add address {address} dev {link}"))
    }

    /// Takes an address away from an interface.
    ///
    /// # Errors
    /// No permission, EADDRNOTAVAIL when it does not have the address, or the interface is gone.
    pub fn remove_address(&self, link: &Link, address: InterfaceAddress) -> Result<(), NetError> {
        let message = RouteNetlinkMessage::DelAddress(message(link, address));
        self.request(message, 0, &format_args!("delete address {address} dev {link}"))
    }
}

fn message(link: &Link, address: InterfaceAddress) -> AddressMessage {
    let (local, far, prefix) = match address {
        InterfaceAddress::PointToPoint { local, peer } => (local.into(), peer.into(), 32),
        InterfaceAddress::Subnet { local, prefix } => (local, local, prefix),
    };
    let mut message = AddressMessage::default();
    message.header.index = link.index;
    message.header.prefix_len = prefix;
    message.attributes = vec![AddressAttribute::Local(local), AddressAttribute::Address(far)];
    match local {
        IpAddr::V4(_) => message.header.family = AddressFamily::Inet,
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.header.flags = AddressHeaderFlags::Nodad;
        }
    }
    message
}
