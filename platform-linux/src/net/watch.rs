//! Notices when this machine's way to the peer changes: an address, a link or a route.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;

use super::{Answer, Link, NetError, Netlink};
use crate::sys::errno;

const GROUPS: [i32; 5] = [
    libc::RTMGRP_LINK,
    libc::RTMGRP_IPV4_IFADDR,
    libc::RTMGRP_IPV4_ROUTE,
    libc::RTMGRP_IPV6_IFADDR,
    libc::RTMGRP_IPV6_ROUTE,
];

/// Remembers the way to the peer. Its descriptor is readable when something has changed on this machine, mostly
/// something else.
#[derive(Debug)]
pub struct PathWatch {
    news: Socket,
    netlink: Netlink,
    way: Option<Way>,
}

/// The way to a peer. As long as no peer is known, or if none of this version of IP can be reached, the default route.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    peer: Option<IpAddr>,
    /// Interface, gateway and source address; None if there is no way.
    path: Option<(u32, Option<IpAddr>, Option<IpAddr>)>,
}

impl PathWatch {
    /// Watches the network namespace that the thread is in.
    ///
    /// # Errors
    /// The kernel has no netlink, or there are no descriptors left.
    pub fn open() -> Result<Self, NetError> {
        let groups = GROUPS.into_iter().fold(0, |groups, group| groups | group.unsigned_abs());
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, groups))?;
            socket.set_non_blocking(true)?;
            Ok(socket)
        };
        let news =
            open().map_err(|error| NetError { attempt: "watch addresses and routes".into(), errno: errno(&error) })?;
        Ok(Self { news, netlink: Netlink::open()?, way: None })
    }

    /// Reads what has been reported. Something has changed, perhaps more than is told; returns the numbers of the
    /// interfaces that were down meanwhile, as far as that is known.
    pub fn read(&self) -> Vec<u32> {
        let mut down = Vec::new();
        let mut buffer = Vec::with_capacity(32 << 10);
        loop {
            buffer.clear();
            match self.news.recv_from(&mut buffer, 0).map_err(|error| errno(&error)) {
                Ok(_) => down.extend(links(&buffer).filter(|link| !link.up).map(|link| link.index)),
                Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(_) => return down,
            }
        }
    }

    /// Remembers the way to this peer as it is now.
    pub fn remember(&mut self, peer: Option<IpAddr>) {
        self.way = Some(self.look(peer));
    }

    /// Whether this end has another way to the same peer than was remembered, or has one again; it is remembered.
    pub fn has_moved(&mut self, peer: Option<IpAddr>) -> bool {
        let way = self.look(peer);
        let moved = way.path.is_some() && self.way.as_ref().is_some_and(|before| before.peer == peer && *before != way);
        self.way = Some(way);
        moved
    }

    fn look(&self, peer: Option<IpAddr>) -> Way {
        let to_peer = peer.and_then(|peer| self.netlink.path_to(peer).ok());
        let default = || [false, true].into_iter().find_map(|ipv6| self.netlink.default_gateway(ipv6).ok().flatten());
        let path = to_peer.or_else(default);
        let path = path.filter(|path| path.device.up);
        Way { peer, path: path.map(|path| (path.device.index, path.gateway, path.source)) }
    }
}

/// The interfaces that a buffer of netlink messages tells of.
fn links(buffer: &[u8]) -> impl Iterator<Item = Link> {
    let mut rest = buffer;
    std::iter::from_fn(move || {
        let length = NetlinkBuffer::new_checked(&rest).ok()?.length() as usize;
        let message = NetlinkMessage::<Answer>::deserialize(rest.get(..length)?);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
    .filter_map(|message| match message.ok()?.payload {
        NetlinkPayload::InnerMessage(Answer::Link(link)) => Some(link),
        _ => None,
    })
}

impl AsFd for PathWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::in_namespace;
    use crate::net::{InterfaceAddress, Route};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn subnet(text: &str) -> InterfaceAddress {
        InterfaceAddress::Subnet { local: text.parse().unwrap(), prefix: 24 }
    }

    #[test]
    fn another_address_or_route_is_a_move_and_nothing_else() {
        in_namespace(|netlink| {
            let peer = Some("198.51.100.7".parse().unwrap());
            let (near, far) = netlink.add_veth("lcw0", "lcw1").unwrap();
            netlink.set_up(&far, true).unwrap();
            let default = Route {
                destination: "0.0.0.0".parse().unwrap(),
                prefix: 0,
                gateway: Some("192.0.2.1".parse().unwrap()),
                device: None,
                metric: None,
            };
            let mut watch = PathWatch::open().unwrap();
            let heard = |watch: &PathWatch| {
                let heard = poll(&mut [PollFd::new(watch.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1;
                assert_eq!(watch.read(), []);
                heard
            };
            assert!(watch.read().is_empty());
            watch.remember(peer);
            assert!(!watch.has_moved(peer), "there is no way, as before");
            netlink.add_address(&near, subnet("192.0.2.2")).unwrap();
            netlink.set_up(&near, true).unwrap();
            netlink.add_route(&default).unwrap();
            assert!(heard(&watch) && watch.has_moved(peer), "the line is up");
            // More may be told of it later.
            assert!(!watch.has_moved(peer));
            netlink.set_mtu(&near, 1492).unwrap();
            let moved = watch.has_moved(peer);
            assert!(heard(&watch) && !moved, "the MTU is no matter");
            netlink.add_address(&near, subnet("203.0.113.9")).unwrap();
            assert!(heard(&watch) && !watch.has_moved(peer), "another address that is not used");
            netlink.remove_address(&near, subnet("192.0.2.2")).unwrap();
            assert!(heard(&watch) && watch.has_moved(peer), "the first one has gone");
            netlink.delete_route(&default).unwrap();
            assert!(heard(&watch) && !watch.has_moved(peer), "no way is no new one");
            let default = Route { gateway: Some("203.0.113.1".parse().unwrap()), ..default };
            netlink.add_route(&default).unwrap();
            assert!(heard(&watch) && watch.has_moved(peer), "another line");
            let ipv6 = Some("2001:db8::7".parse().unwrap());
            assert!(!watch.has_moved(ipv6), "another peer is no move of ours");
            netlink.delete_route(&default).unwrap();
            assert!(heard(&watch) && !watch.has_moved(ipv6));
            netlink.add_route(&default).unwrap();
            assert!(heard(&watch) && watch.has_moved(ipv6), "there is IPv4, where the peer may be as well");
            assert!(!watch.has_moved(peer));
            netlink.set_up(&near, false).unwrap();
            netlink.set_up(&near, true).unwrap();
            assert!(watch.read().contains(&near.index), "it was down");
            assert!(!watch.has_moved(peer) && !watch.has_moved(peer));
        });
    }
}
