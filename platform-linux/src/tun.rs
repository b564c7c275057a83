//! The TUN device: the near end of the tunnel.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::net::{InterfaceAddress, Link, NetError, Netlink};
use crate::offload::{VNET_HEADER_LEN, VnetHeader};
use crate::sys::{self, errno, errno_text};

/// Where the kernel offers its TUN devices.
pub const DEFAULT_NODE: &str = "/dev/net/tun";

/// With everything that is added to its segments, a large packet of this length in bytes leaves with one call.
const SUPER_PACKET_BEST: u32 = 60_000;

/// Which device to open.
#[derive(Clone, Copy, Debug)]
pub struct TunOptions<'a> {
    /// Name of the interface, at most 15 bytes; None or `tun` is the first free of tun0, tun1, ...
    pub name: Option<&'a str>,
    /// The device node.
    pub node: &'a Path,
}

impl Default for TunOptions<'_> {
    fn default() -> Self {
        Self { name: None, node: Path::new(DEFAULT_NODE) }
    }
}

/// An open TUN device, non-blocking. Closing it deletes the interface, unless that is persistent.
#[derive(Debug)]
pub struct Tun {
    file: File,
    name: String,
    /// None: packets have no [`VnetHeader`].
    offloads: Option<Offloads>,
}

/// Kinds of large packets that stand for many. Displayed as `TSO, USO`, or `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// TCP segments, of IPv4 and IPv6.
    pub tso: bool,
    /// UDP datagrams, of IPv4 and IPv6; the kernel has them since 6.2.
    pub uso: bool,
}

impl Offloads {
    /// Every kind.
    pub const ALL: Self = Self { tso: true, uso: true };
}

/// What the interface is set to. The default changes nothing but to set it up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// Its addresses, IPv4 and IPv6.
    pub addresses: Vec<InterfaceAddress>,
    /// Its largest packet, in bytes.
    pub mtu: Option<u32>,
    /// How many packets may wait to be read.
    pub txqueuelen: Option<u32>,
}

/// Why a TUN device cannot be had or used: one line with the cause and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunError {
    /// The device node does not open.
    Node {
        /// The device node.
        node: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The interface cannot be made or joined, or its owner cannot be set.
    Ioctl {
        /// The request, such as `TUNSETIFF`.
        request: &'static str,
        /// Name of the interface as it was asked for.
        name: String,
        /// Why.
        errno: Errno,
    },
    /// A packet could not be read or written.
    Packet {
        /// Whether it was a write.
        write: bool,
        /// Why.
        errno: Errno,
        /// The descriptor, for the message.
        fd: RawFd,
    },
}

impl Tun {
    /// Opens the device. A persistent interface of that name is joined, any other name is made.
    ///
    /// # Errors
    /// [`TunError::Node`] or [`TunError::Ioctl`].
    pub fn open(options: TunOptions<'_>) -> Result<Self, TunError> {
        let tun = Self::join(options, 0, None)?;
        // What a persistent interface was set to before would go on: large packets that nobody can cut.
        let _ = sys::tun_set_offload(tun.as_fd(), 0);
        Ok(tun)
    }

    /// Opens the device for [`read_super`](Self::read_super) and [`write_super`](Self::write_super), with those of the
    /// wanted offloads that the kernel has: see [`offloads`](Self::offloads).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_offloading(options: TunOptions<'_>, wanted: Offloads) -> Result<Self, TunError> {
        let mut tun = Self::join(options, libc::IFF_VNET_HDR, Some(Offloads::default()))?;
        sys::tun_set_header_size(tun.as_fd(), VNET_HEADER_LEN as i32)
            .map_err(|errno| ioctl_error("TUNSETVNETHDRSZ", &tun.name, errno))?;
        let tso = if wanted.tso { libc::TUN_F_TSO4 | libc::TUN_F_TSO6 } else { 0 };
        let ecn = if wanted.tso { libc::TUN_F_TSO_ECN } else { 0 };
        let uso = if wanted.uso { libc::TUN_F_USO4 | libc::TUN_F_USO6 } else { 0 };
        // The last is never refused, and takes back what a persistent interface was set to before.
        for (flags, uso) in [(tso | ecn | uso, wanted.uso), (tso | ecn, false), (tso, false), (0, false)] {
            let checksum = if flags == 0 { 0 } else { libc::TUN_F_CSUM };
            if sys::tun_set_offload(tun.as_fd(), flags | checksum).is_ok() {
                tun.offloads = Some(Offloads { tso: flags & tso != 0, uso });
                break;
            }
        }
        Ok(tun)
    }

    fn join(options: TunOptions<'_>, flags: i32, offloads: Option<Offloads>) -> Result<Self, TunError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(options.node)
            .map_err(|error| TunError::Node { node: options.node.into(), errno: errno(&error) })?;
        let wanted = match options.name {
            None | Some("tun") => "tun%d",
            Some(name) => name,
        };
        let name = sys::tun_set_interface(file.as_fd(), wanted, libc::IFF_TUN | libc::IFF_NO_PI | flags)
            .map_err(|errno| ioctl_error("TUNSETIFF", options.name.unwrap_or("tun"), errno))?;
        Ok(Self { file, name, offloads })
    }

    /// The offloads that are in use; None unless [opened for them](Self::open_offloading).
    pub fn offloads(&self) -> Option<Offloads> {
        self.offloads
    }

    /// Name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads one IP packet; None when none is waiting. What does not fit into `packet` is cut off. Not for a device
    /// with offloads.
    ///
    /// # Errors
    /// [`TunError::Packet`]; see [`TunError::is_gone`].
    pub fn read(&self, packet: &mut [u8]) -> Result<Option<usize>, TunError> {
        self.reading(|mut file| file.read(packet))
    }

    /// Reads one packet, which may be a large one that stands for many, and how to cut it; None when none is waiting.
    /// Of a device without offloads every packet is what it is.
    ///
    /// `packet` needs room for [`SUPER_PACKET_MAX`](crate::offload::SUPER_PACKET_MAX) bytes: the rest is cut off.
    ///
    /// # Errors
    /// [`TunError::Packet`]; see [`TunError::is_gone`].
    pub fn read_super(&self, packet: &mut [u8]) -> Result<Option<(VnetHeader, usize)>, TunError> {
        if self.offloads.is_none() {
            return Ok(self.read(packet)?.map(|length| (VnetHeader::default(), length)));
        }
        let mut header = [0; VNET_HEADER_LEN];
        let length =
            self.reading(|mut file| file.read_vectored(&mut [IoSliceMut::new(&mut header), IoSliceMut::new(packet)]))?;
        Ok(length.map(|length| (VnetHeader::from_bytes(header), length.saturating_sub(VNET_HEADER_LEN))))
    }

    /// Writes one IP packet.
    ///
    /// # Errors
    /// [`TunError::Packet`]: the packet is lost. EINVAL for what is no IP packet, EIO while the interface is down.
    pub fn write(&self, packet: &[u8]) -> Result<(), TunError> {
        match self.offloads {
            None => self.writing(|mut file| file.write(packet)),
            Some(_) => self.write_super(&[IoSlice::new(&VnetHeader::default().to_bytes()), IoSlice::new(packet)]),
        }
    }

    /// Writes one packet to a device with offloads: the bytes of a [`VnetHeader`], then the packet in parts.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_super(&self, parts: &[IoSlice<'_>]) -> Result<(), TunError> {
        self.writing(|mut file| file.write_vectored(parts))
    }

    fn reading(&self, mut read: impl FnMut(&File) -> io::Result<usize>) -> Result<Option<usize>, TunError> {
        loop {
            match read(&self.file) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.packet_error(false, &error)),
            }
        }
    }

    fn writing(&self, mut write: impl FnMut(&File) -> io::Result<usize>) -> Result<(), TunError> {
        loop {
            match write(&self.file) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.packet_error(true, &error)),
            }
        }
    }

    /// Keeps the interface when the device is closed (`mktun`), or no longer does (`rmtun`).
    ///
    /// # Errors
    /// [`TunError::Ioctl`].
    pub fn persist(&self, persist: bool) -> Result<(), TunError> {
        sys::tun_set_persist(self.as_fd(), persist).map_err(|errno| ioctl_error("TUNSETPERSIST", &self.name, errno))
    }

    /// Lets a user and the members of a group open the interface later without further rights.
    ///
    /// # Errors
    /// [`TunError::Ioctl`].
    pub fn set_owner(&self, user: Option<u32>, group: Option<u32>) -> Result<(), TunError> {
        if let Some(user) = user {
            sys::tun_set_owner(self.as_fd(), user).map_err(|errno| ioctl_error("TUNSETOWNER", &self.name, errno))?;
        }
        if let Some(group) = group {
            sys::tun_set_group(self.as_fd(), group).map_err(|errno| ioctl_error("TUNSETGROUP", &self.name, errno))?;
        }
        Ok(())
    }

    /// Sizes the interface, sets it up and gives it its addresses; an address that it has already is fine.
    ///
    /// # Errors
    /// The first step that failed.
    pub fn configure(&self, netlink: &Netlink, config: &InterfaceConfig) -> Result<Link, NetError> {
        let link = netlink.link(&self.name)?;
        if let Some(mtu) = config.mtu {
            netlink.set_mtu(&link, mtu)?;
        }
        if let Some(packets) = config.txqueuelen {
            netlink.set_txqueuelen(&link, packets)?;
        }
        if self.offloads.is_some_and(|offloads| offloads.tso) {
            // A kernel that refuses gives larger ones, which leave with two calls.
            let _ = netlink.set_gso_max_size(&link, SUPER_PACKET_BEST);
        }
        netlink.set_up(&link, true)?;
        for address in &config.addresses {
            match netlink.add_address(&link, *address) {
                Err(NetError { errno: Errno::EEXIST, .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        netlink.link(&self.name)
    }

    /// Takes the addresses of `configure` away again, which matters for a persistent interface. Those that are gone
    /// are no failure.
    ///
    /// # Errors
    /// The first address that stays, and why.
    pub fn unconfigure(&self, netlink: &Netlink, config: &InterfaceConfig) -> Result<(), NetError> {
        let remove = || {
            let link = netlink.link(&self.name)?;
            config.addresses.iter().try_for_each(|address| netlink.remove_address(&link, *address))
        };
        match remove() {
            Err(NetError { errno: Errno::ENODEV | Errno::EADDRNOTAVAIL, .. }) => Ok(()),
            result => result,
        }
    }

    fn packet_error(&self, write: bool, error: &io::Error) -> TunError {
        TunError::Packet { write, errno: errno(error), fd: self.file.as_raw_fd() }
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl TunError {
    /// Somebody deleted the interface: the device is readable forever and useless. Close it.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Packet { errno: Errno::EBADFD, .. })
    }
}

impl fmt::Display for Offloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.tso, self.uso) {
            (true, true) => "TSO, USO",
            (true, false) => "TSO",
            (false, true) => "USO",
            (false, false) => "none",
        })
    }
}

impl fmt::Display for TunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { node, errno } => {
                let node = node.display();
                let code = *errno as i32;
                write!(f, "ERROR: Cannot open TUN/TAP dev {node}: {} (errno={code}); ", errno_text(*errno))?;
                match errno {
                    Errno::ENOENT => write!(
                        f,
                        "the node is missing: load the module ('modprobe tun', on OpenWrt the package kmod-tun) or \
                         make it with 'mkdir -p /dev/net && mknod {DEFAULT_NODE} c 10 200'"
                    ),
                    Errno::ENODEV | Errno::ENXIO => f.write_str(
                        "the kernel has no TUN driver: load it with 'modprobe tun', on OpenWrt install kmod-tun",
                    ),
                    Errno::EACCES | Errno::EPERM => f.write_str(
                        "no permission: run as root; in a container pass the device in ('--device /dev/net/tun')",
                    ),
                    _ => write!(f, "'dev-node' must be a TUN device node such as {DEFAULT_NODE}"),
                }
            }
            Self::Ioctl { request, name, errno } => {
                let code = *errno as i32;
                write!(f, "ERROR: Cannot ioctl {request} {name}: {} (errno={code}); ", errno_text(*errno))?;
                match errno {
                    Errno::EPERM | Errno::EACCES => f.write_str(
                        "no permission: run as root or with CAP_NET_ADMIN, or let root make the device with \
                         '--mktun --dev NAME --user USER'",
                    ),
                    Errno::EBUSY => f.write_str(
                        "another program has this device open: is the link running already? If not, choose another \
                         name with 'dev'",
                    ),
                    Errno::EINVAL if name.len() > sys::NAME_MAX => {
                        write!(f, "the name has {} bytes, at most {} are possible", name.len(), sys::NAME_MAX)
                    }
                    Errno::EINVAL => f.write_str(
                        "the name is in use by an interface that is no TUN device, or is not possible for one \
                         ('/', ':' or a space in it)",
                    ),
                    Errno::ENOTTY => f.write_str("'dev-node' is not a TUN device node"),
                    Errno::EBADFD => f.write_str("the interface was deleted meanwhile: start again"),
                    _ => f.write_str("is the kernel out of memory or of interfaces?"),
                }
            }
            Self::Packet { write, errno, fd } => {
                let action = if *write { "write to" } else { "read from" };
                write!(f, "{action} TUN/TAP : {} (fd={fd},code={})", errno_text(*errno), *errno as i32)?;
                if self.is_gone() { f.write_str("; the interface was deleted") } else { Ok(()) }
            }
        }
    }
}

impl std::error::Error for TunError {}

fn ioctl_error(request: &'static str, name: &str, errno: Errno) -> TunError {
    TunError::Ioctl { request, name: name.into(), errno }
}

#[cfg(test)]
mod tests;
