//! Interfaces: find, set up, size, make, move, delete.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{DecodeError, Emitable, NLM_F_CREATE, NLM_F_EXCL, NlasIterator, parse_string, parse_u32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkHeader, LinkInfo, LinkMessage,
};
use nix::errno::Errno;

use super::{Answer, NetError, Netlink};

/// A network interface as it was when looked up. Displayed as its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Number of the interface in its namespace; stays when the name changes.
    pub index: u32,
    /// Name, at most 15 bytes.
    pub name: String,
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// Packets that may wait for the device.
    pub txqueuelen: u32,
    /// Whether it was administratively up.
    pub up: bool,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Netlink {
    /// Finds an interface by name.
    ///
    /// # Errors
    /// ENODEV when there is none.
    pub fn link(&self, name: &str) -> Result<Link, NetError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.into()));
        self.get_link(message, &format_args!("find interface {name}"))
    }

    /// Finds an interface by index.
    ///
    /// # Errors
    /// ENODEV when there is none.
    pub fn link_by_index(&self, index: u32) -> Result<Link, NetError> {
        self.get_link(with_index(index), &format_args!("find interface number {index}"))
    }

    /// Sets an interface administratively up or down.
    ///
    /// # Errors
    /// No permission, or the interface is gone.
    pub fn set_up(&self, link: &Link, up: bool) -> Result<(), NetError> {
        let mut message = with_index(link.index);
        message.header.change_mask = LinkFlags::Up;
        message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        self.set_link(message, &format_args!("set {link} {}", if up { "up" } else { "down" }))
    }

    /// Sets the largest packet of an interface, in bytes.
    ///
    /// # Errors
    /// No permission, the interface is gone, or EINVAL for a size that it cannot carry.
    pub fn set_mtu(&self, link: &Link, mtu: u32) -> Result<(), NetError> {
        self.set_attribute(link, LinkAttribute::Mtu(mtu), &format_args!("set {link} mtu {mtu}"))
    }

    /// Sets how many packets may wait for an interface.
    ///
    /// # Errors
    /// No permission, or the interface is gone.
    pub fn set_txqueuelen(&self, link: &Link, packets: u32) -> Result<(), NetError> {
        let attempt = format_args!("set {link} txqueuelen {packets}");
        self.set_attribute(link, LinkAttribute::TxQueueLen(packets), &attempt)
    }

    /// Sets how large a packet the kernel gives to an interface that cuts it, in bytes of IP packet.
    ///
    /// # Errors
    /// No permission, the interface is gone, or more than the kernel can.
    pub fn set_gso_max_size(&self, link: &Link, bytes: u32) -> Result<(), NetError> {
        let attempt = format_args!("set {link} gso_max_size {bytes}");
        self.set_attribute(link, LinkAttribute::GsoMaxSize(bytes), &attempt)
    }

    /// Makes a pair of joined Ethernet interfaces, both down.
    ///
    /// # Errors
    /// No permission, EEXIST for a name in use, or EOPNOTSUPP where the kernel has no veth.
    pub fn add_veth(&self, name: &str, peer: &str) -> Result<(Link, Link), NetError> {
        let mut other = LinkMessage::default();
        other.attributes.push(LinkAttribute::IfName(peer.into()));
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.into()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other))),
            ]),
        ];
        let attempt = format_args!("add veth {name} peer {peer}");
        self.request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL, &attempt)?;
        Ok((self.link(name)?, self.link(peer)?))
    }

    /// Moves an interface into the network namespace that `namespace` refers to (an open
    /// `/proc/PID/ns/net` or `/run/netns/NAME`). It arrives down and without addresses, possibly under another index.
    ///
    /// # Errors
    /// No permission in either namespace, or EEXIST when the name is taken there.
    pub fn move_link(&self, link: &Link, namespace: BorrowedFd<'_>) -> Result<(), NetError> {
        let attempt = format_args!("move {link} to another network namespace");
        self.set_attribute(link, LinkAttribute::NetNsFd(namespace.as_raw_fd()), &attempt)
    }

    /// Deletes an interface; a veth takes its other end along.
    ///
    /// # Errors
    /// No permission, or the interface is gone.
    pub fn delete_link(&self, link: &Link) -> Result<(), NetError> {
        let message = RouteNetlinkMessage::DelLink(with_index(link.index));
        self.request(message, 0, &format_args!("delete interface {link}"))
    }

    fn set_attribute(&self, link: &Link, attribute: LinkAttribute, attempt: &dyn fmt::Display) -> Result<(), NetError> {
        let mut message = with_index(link.index);
        message.attributes.push(attribute);
        self.set_link(message, attempt)
    }

    fn set_link(&self, message: LinkMessage, attempt: &dyn fmt::Display) -> Result<(), NetError> {
        self.request(RouteNetlinkMessage::SetLink(message), 0, attempt)
    }

    fn get_link(&self, message: LinkMessage, attempt: &dyn fmt::Display) -> Result<Link, NetError> {
        match self.get(RouteNetlinkMessage::GetLink(message), attempt)? {
            Answer::Link(link) => Ok(link),
            _ => Err(NetError { attempt: attempt.to_string(), errno: Errno::EBADMSG }),
        }
    }
}

impl Link {
    /// Reads the kernel's description of an interface.
    pub(super) fn parse(message: &[u8]) -> Result<Self, DecodeError> {
        let header = LinkHeader::parse(message)?;
        let up = header.flags.contains(LinkFlags::Up);
        let mut link = Self { index: header.index, name: String::new(), mtu: 0, txqueuelen: 0, up };
        for attribute in NlasIterator::new(&message[header.buffer_len()..]) {
            let attribute = attribute?;
            match attribute.kind() {
                libc::IFLA_IFNAME => link.name = parse_string(attribute.value())?,
                libc::IFLA_MTU => link.mtu = parse_u32(attribute.value())?,
                libc::IFLA_TXQLEN => link.txqueuelen = parse_u32(attribute.value())?,
                _ => {}
            }
        }
        Ok(link)
    }
}

fn with_index(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}
