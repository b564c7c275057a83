//! Two gateways and the internet between them:
//!
//! ```text
//! LAN 192.168.10.1 - home 203.0.113.10 -- 203.0.113.1 internet 198.51.100.1 -- 198.51.100.20 office - LAN 192.168.20.1
//! ```

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use crate::net::{InterfaceAddress, Route};

use super::lab::{self, Namespace, in_words};

/// What is particular to a gateway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// The name that follows its address.
    pub(super) host: &'static str,
    /// On the internet, at first.
    pub(super) address: Ipv4Addr,
    /// The provider's router.
    pub(super) provider: Ipv4Addr,
    /// In the network behind it.
    pub(super) lan: Ipv4Addr,
    /// Its end of the link.
    pub(super) tunnel: Ipv4Addr,
    /// Its direction of the key: the other one has the other.
    pub(super) direction: u8,
}

pub(super) const HOME: Site = Site {
    host: "home.example",
    address: Ipv4Addr::new(203, 0, 113, 10),
    provider: Ipv4Addr::new(203, 0, 113, 1),
    lan: Ipv4Addr::new(192, 168, 10, 1),
    tunnel: Ipv4Addr::new(10, 1, 0, 2),
    direction: 1,
};

pub(super) const OFFICE: Site = Site {
    host: "office.example",
    address: Ipv4Addr::new(198, 51, 100, 20),
    provider: Ipv4Addr::new(198, 51, 100, 1),
    lan: Ipv4Addr::new(192, 168, 20, 1),
    tunnel: Ipv4Addr::new(10, 1, 0, 1),
    direction: 0,
};

const WAN: &str = "wan";

pub(super) struct Topology {
    pub(super) home: Place,
    pub(super) office: Place,
}

impl Topology {
    /// Makes this process's own namespace the internet, and one for each gateway.
    pub(super) fn build() -> io::Result<Self> {
        lab::leave_the_network()?;
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        let internet = Namespace::current()?;
        Ok(Self {
            home: Place::connect(&internet, "to-home", HOME)?,
            office: Place::connect(&internet, "to-office", OFFICE)?,
        })
    }

    /// The names of both and where they are now.
    pub(super) fn names(&self) -> [(&'static str, Ipv4Addr); 2] {
        [&self.home, &self.office].map(|place| (place.host, place.address))
    }
}

/// Where a gateway lives.
pub(super) struct Place {
    pub(super) namespace: Namespace,
    host: &'static str,
    /// On the internet, now.
    address: Ipv4Addr,
}

impl Place {
    fn connect(internet: &Namespace, port: &str, site: Site) -> io::Result<Self> {
        let namespace = Namespace::create()?;
        connect(internet, port, &namespace, &site)?;
        Ok(Self { namespace, host: site.host, address: site.address })
    }

    /// The provider gives it another address and takes the old one away. The routes stay.
    pub(super) fn move_to(&mut self, address: Ipv4Addr) -> io::Result<()> {
        let netlink = self.namespace.netlink()?;
        let wan = netlink.link(WAN).map_err(in_words)?;
        netlink.add_address(&wan, alone(address)).map_err(in_words)?;
        netlink.remove_address(&wan, alone(self.address)).map_err(in_words)?;
        self.address = address;
        Ok(())
    }
}

fn connect(internet: &Namespace, port: &str, gateway: &Namespace, site: &Site) -> io::Result<()> {
    lab::cable((internet, port), (gateway, WAN))?;
    let provider = InterfaceAddress::Subnet { local: site.provider.into(), prefix: 24 };
    let netlink = internet.netlink()?;
    netlink.link(port).and_then(|port| netlink.add_address(&port, provider)).map_err(in_words)?;

    let netlink = gateway.netlink()?;
    let configure = || {
        // The address of the LAN may as well be on the loopback device: nobody else lives there.
        let loopback = netlink.link("lo")?;
        netlink.set_up(&loopback, true)?;
        netlink.add_address(&loopback, alone(site.lan))?;
        // An address without a subnet, as from a dial-up provider: two of them do not depend on each other.
        let wan = netlink.link(WAN)?;
        netlink.add_address(&wan, alone(site.address))?;
        let provider = IpAddr::from(site.provider);
        let neighbour = Route { destination: provider, prefix: 32, gateway: None, device: Some(wan), metric: None };
        netlink.add_route(&neighbour)?;
        let everywhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        netlink.add_route(&Route { destination: everywhere, prefix: 0, gateway: Some(provider), ..neighbour })
    };
    configure().map_err(in_words)
}

fn alone(address: Ipv4Addr) -> InterfaceAddress {
    InterfaceAddress::Subnet { local: address.into(), prefix: 32 }
}
