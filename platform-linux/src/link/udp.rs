//! The UDP link: one unconnected socket, whose errors are news and never the end.

mod batch;

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::sys::{self, errno, errno_text};
use longcable_core::event::Address;

/// What is asked for unless `rcvbuf` says otherwise, in bytes: some fifty times what one call may bring. So much comes
/// while another process has the processor.
const DEFAULT_RCVBUF: usize = 2 << 20;

/// What is asked for unless `sndbuf` says otherwise, in bytes: one call's packets are on their way while the next are
/// sealed.
const DEFAULT_SNDBUF: usize = 512 << 10;

/// The IP version of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 (`udp4`).
    V4,
    /// IPv6 (`udp6`), and IPv4 through it unless `only`.
    V6 {
        /// Refuse IPv4 (`bind ipv6only`).
        only: bool,
    },
    /// Both through one socket, IPv4 alone where the kernel has no IPv6.
    #[default]
    Any,
}

/// What the kernel does about the path MTU (`mtu-disc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuDiscovery {
    /// Never sets Don't Fragment (`no`).
    No,
    /// Fragments to the known path MTU (`maybe`).
    Maybe,
    /// Refuses what is larger than the known path MTU (`yes`).
    Yes,
}

/// How to open a [`UdpLink`]. None leaves a setting to the system.
#[derive(Clone, Debug, Default)]
pub struct UdpOptions {
    /// IP version.
    pub family: Family,
    /// The address to bind to, of any family if unspecified (`0.0.0.0` or `::`); None binds to none (`nobind`).
    pub local: Option<SocketAddr>,
    /// Bytes of packets that may wait to be sent; None is as much as the kernel allows, up to 512 KiB.
    pub sndbuf: Option<usize>,
    /// Bytes of packets that may wait to be received; None is 2 MiB, without rights as much of it as
    /// the kernel allows.
    pub rcvbuf: Option<usize>,
    /// The firewall mark of packets sent.
    pub mark: Option<u32>,
    /// Name of the only interface to send and receive by (`bind-dev`).
    pub bind_device: Option<String>,
    /// Path MTU discovery.
    pub mtu_discovery: Option<MtuDiscovery>,
}

/// An open UDP socket, non-blocking and not connected.
#[derive(Debug)]
pub struct UdpLink {
    socket: UdpSocket,
    ipv6: bool,
    buffers: Buffers,
    tos: AtomicU8,
    /// Whether the kernel may hold details of errors, which keep the descriptor ready until they are read.
    queued: AtomicBool,
    /// Whether the kernel cuts what is sent into datagrams (UDP_SEGMENT).
    segments: AtomicBool,
    /// Whether it joins what is received (UDP_GRO).
    batches: AtomicBool,
}

/// What [`UdpLink::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A datagram.
    Datagram {
        /// Its length in bytes.
        length: usize,
        /// Its source; IPv4 addresses always as IPv4.
        from: SocketAddr,
    },
    /// An earlier datagram met an error on its way. Receive again.
    Failed(LinkError),
    /// Nothing is waiting.
    WouldBlock,
}

/// What [`UdpLink::send`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The kernel has it.
    Sent,
    /// The datagram is lost, like any on its way. The link goes on.
    Failed(LinkError),
    /// The buffer is full: the datagram is lost or to be sent again when the socket is writable.
    WouldBlock,
}

/// A passing error. Displayed as `read UDPv4 [ECONNREFUSED]: Connection refused (fd=4,code=111)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkError {
    /// Whether sending failed at once (`write`), or an answer told of it later (`read`).
    pub write: bool,
    /// Whether the socket is an IPv6 one.
    pub ipv6: bool,
    /// What happened.
    pub errno: Errno,
    /// Where the datagram was sent to, if known.
    pub destination: Option<SocketAddr>,
    /// For EMSGSIZE: the largest IP packet that passes, in bytes.
    pub path_mtu: Option<u32>,
    /// The descriptor, for the message.
    pub fd: RawFd,
}

/// Why a link cannot be opened: one line with the cause and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpError {
    /// The kernel gives no socket.
    Socket(Errno),
    /// The local address is not to be had.
    Bind {
        /// The address.
        local: SocketAddr,
        /// Why.
        errno: Errno,
    },
    /// A setting is refused.
    Setting {
        /// The option and its value, as in a configuration.
        setting: String,
        /// Why.
        errno: Errno,
    },
}

/// Sizes in bytes before and after the settings. Displayed as `Socket Buffers: R=[212992->212992] S=[212992->425984]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Of the receive buffer.
    pub receive: (usize, usize),
    /// Of the send buffer.
    pub send: (usize, usize),
}

impl UdpLink {
    /// Opens the socket.
    ///
    /// # Errors
    /// Each names the option to change.
    pub fn open(options: &UdpOptions) -> Result<Self, UdpError> {
        let (socket, ipv6) = open_socket(options.family).map_err(|error| UdpError::Socket(errno(&error)))?;
        let buffers = set_buffers(&socket, options)?;
        if let Some(mark) = options.mark {
            socket.set_mark(mark).map_err(setting(|| format!("mark {mark}")))?;
        }
        if let Some(device) = &options.bind_device {
            socket.bind_device(Some(device.as_bytes())).map_err(setting(|| format!("bind-dev {device}")))?;
        }
        if let Some(discovery) = options.mtu_discovery {
            set_mtu_discovery(&socket, ipv6, discovery)
                .map_err(|errno| UdpError::Setting { setting: "mtu-disc".into(), errno })?;
        }
        report_errors(&socket, ipv6).map_err(UdpError::Socket)?;
        if let Some(local) = options.local {
            let local = in_family(local, ipv6);
            socket.bind(&local.into()).map_err(|error| UdpError::Bind { local, errno: errno(&error) })?;
        }
        // A kernel that does not know the option would send one large datagram.
        let segments = sys::set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
        Ok(Self {
            socket: socket.into(),
            ipv6,
            buffers,
            tos: AtomicU8::new(0),
            queued: AtomicBool::new(false),
            segments: AtomicBool::new(segments),
            batches: AtomicBool::new(false),
        })
    }

    /// Takes one datagram, or one error that an earlier one met. Whenever poll reports the descriptor as ready, and
    /// be it with POLLERR only, call this until it says [`Received::WouldBlock`]: errors left keep it ready.
    pub fn receive(&self, datagram: &mut [u8]) -> Received {
        self.receiving(|socket| socket.recv_from(datagram))
    }

    /// Takes many datagrams of one sender at a time with [`receive_batch`](Self::receive_batch) from now on, if the
    /// kernel can do that (UDP_GRO, since 5.0). [`receive`](Self::receive) could then not tell them apart.
    pub fn set_batches(&self, batches: bool) -> bool {
        self.batches.store(setsockopt(&self.socket, sockopt::UdpGroSegment, &batches).is_ok() && batches, Relaxed);
        self.batches.load(Relaxed)
    }

    /// Whether the kernel joins what it receives: see [`set_batches`](Self::set_batches).
    pub fn receives_batches(&self) -> bool {
        self.batches.load(Relaxed)
    }

    /// Sends one datagram.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) -> SendOutcome {
        let to = in_family(to, self.ipv6);
        self.sending(to, |socket| socket.send_to(datagram, to)).map_or_else(|outcome| outcome, |_| SendOutcome::Sent)
    }

    /// Whether the kernel cuts large packets into datagrams (UDP_SEGMENT, since 4.18).
    pub fn sends_batches(&self) -> bool {
        self.segments.load(Relaxed)
    }

    /// No longer lets the kernel do that.
    pub fn send_one_by_one(&self) {
        self.segments.store(false, Relaxed);
    }

    fn receiving(&self, mut receive: impl FnMut(&UdpSocket) -> io::Result<(usize, SocketAddr)>) -> Received {
        loop {
            if self.queued.load(Relaxed) {
                match self.take_queued() {
                    Some(error) => return Received::Failed(error),
                    None => self.queued.store(false, Relaxed),
                }
            }
            match receive(&self.socket) {
                Ok((length, from)) => return Received::Datagram { length, from: unmapped(from) },
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Received::WouldBlock,
                    ErrorKind::Interrupted => {}
                    // The error itself says less than the queue does.
                    _ => {
                        self.queued.store(true, Relaxed);
                        if let Some(error) = self.take_queued() {
                            return Received::Failed(error);
                        }
                        return Received::Failed(self.error(false, errno(&error), None));
                    }
                },
            }
        }
    }

    /// What `send` returns, or why not.
    fn sending(&self, to: SocketAddr, send: impl Fn(&UdpSocket) -> io::Result<usize>) -> Result<usize, SendOutcome> {
        let mut again = true;
        loop {
            let error = match send(&self.socket) {
                Ok(sent) => return Ok(sent),
                Err(error) => error,
            };
            match errno(&error) {
                Errno::EAGAIN => return Err(SendOutcome::WouldBlock),
                Errno::EINTR => {}
                // What an earlier datagram met is said once, instead of sending this one.
                Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EPROTO if again => {
                    self.queued.store(true, Relaxed);
                    again = false;
                }
                errno => {
                    // Whatever it is, its details may wait in the queue, which keeps the descriptor ready.
                    self.queued.store(true, Relaxed);
                    let mut failure = self.error(true, errno, Some(unmapped(to)));
                    if errno == Errno::EMSGSIZE {
                        self.queued.store(true, Relaxed);
                        failure.path_mtu = self.take_queued().and_then(|queued| queued.path_mtu);
                    }
                    return Err(SendOutcome::Failed(failure));
                }
            }
        }
    }

    /// Sets the type of service (IPv6: traffic class) of the datagrams that follow; a system call only when it changes.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_tos(&self, tos: u8) -> io::Result<()> {
        if self.tos.load(Relaxed) == tos {
            return Ok(());
        }
        let socket = SockRef::from(&self.socket);
        socket.set_tos_v4(tos.into())?;
        if self.ipv6 {
            socket.set_tclass_v6(tos.into())?;
        }
        self.tos.store(tos, Relaxed);
        Ok(())
    }

    /// The address that the socket is bound to; unspecified with `nobind` until something was sent.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr().map(unmapped)
    }

    /// The protocol for log lines: `UDPv4` or `UDPv6`.
    pub fn protocol(&self) -> &'static str {
        protocol(self.ipv6)
    }

    /// Sizes of the socket's buffers.
    pub fn buffers(&self) -> Buffers {
        self.buffers
    }

    /// The oldest error that the kernel holds for the socket.
    fn take_queued(&self) -> Option<LinkError> {
        let mut payload = [0; 1];
        let mut parts = [IoSliceMut::new(&mut payload)];
        let mut control = nix::cmsg_space!([libc::sock_extended_err; 2], [libc::sockaddr_in6; 2]);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut parts, Some(&mut control), flags).ok()?;
        let destination = message.address.as_ref().and_then(socket_addr);
        let report = message.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(report, _) | ControlMessageOwned::Ipv6RecvErr(report, _) => Some(report),
            _ => None,
        })?;
        let errno = Errno::from_raw(i32::try_from(report.ee_errno).unwrap_or_default());
        let path_mtu = (errno == Errno::EMSGSIZE).then_some(report.ee_info);
        Some(LinkError { path_mtu, ..self.error(false, errno, destination.map(unmapped)) })
    }

    fn error(&self, write: bool, errno: Errno, destination: Option<SocketAddr>) -> LinkError {
        LinkError { write, ipv6: self.ipv6, errno, destination, path_mtu: None, fd: self.socket.as_raw_fd() }
    }
}

impl AsFd for UdpLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = if self.write { "write" } else { "read" };
        write!(f, "{action} {} [{:?}", protocol(self.ipv6), self.errno)?;
        if let Some(path_mtu) = self.path_mtu {
            write!(f, " Path-MTU={path_mtu}")?;
        }
        write!(f, "]: {} (fd={},code={})", errno_text(self.errno), self.fd, self.errno as i32)
    }
}

impl fmt::Display for UdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(errno) => {
                write!(f, "TCP/UDP: Socket creation failed: {} (errno={})", errno_text(*errno), *errno as i32)?;
                match errno {
                    Errno::EAFNOSUPPORT => f.write_str("; the kernel has no IPv6: use 'proto udp4'"),
                    _ => Ok(()),
                }
            }
            Self::Bind { local, errno } => {
                let (address, code) = (Address(*local), *errno as i32);
                let text = errno_text(*errno);
                write!(f, "TCP/UDP: Socket bind failed on local address {address}: {text} (errno={code}); ")?;
                match errno {
                    Errno::EADDRINUSE => f.write_str(
                        "another program uses this port: is the link running already? If not, choose another with \
                         'port' or 'lport', or use 'nobind'",
                    ),
                    Errno::EADDRNOTAVAIL => {
                        f.write_str("no interface here has this address: correct or remove 'local'")
                    }
                    Errno::EACCES => {
                        f.write_str("ports below 1024 are for root: choose another with 'port' or 'lport'")
                    }
                    _ => f.write_str("see 'local', 'lport' and 'proto'"),
                }
            }
            Self::Setting { setting, errno } => {
                let (text, code) = (errno_text(*errno), *errno as i32);
                write!(f, "TCP/UDP: Cannot set '{setting}': {text} (errno={code})")?;
                match errno {
                    Errno::EPERM => f.write_str("; run as root or with CAP_NET_ADMIN"),
                    Errno::ENODEV => f.write_str("; there is no such interface"),
                    _ => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((r0, r1), (s0, s1)) = (self.receive, self.send);
        write!(f, "Socket Buffers: R=[{r0}->{r1}] S=[{s0}->{s1}]")
    }
}

impl std::error::Error for LinkError {}
impl std::error::Error for UdpError {}

/// The socket, and whether it is an IPv6 one.
fn open_socket(family: Family) -> io::Result<(Socket, bool)> {
    let open = |domain| {
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let open_v6 = |only| {
        let socket: Socket = open(Domain::IPV6)?;
        socket.set_only_v6(only)?;
        Ok((socket, true))
    };
    match family {
        Family::V4 => open(Domain::IPV4).map(|socket| (socket, false)),
        Family::V6 { only } => open_v6(only),
        Family::Any => open_v6(false).or_else(|_: io::Error| open(Domain::IPV4).map(|socket| (socket, false))),
    }
}

fn set_buffers(socket: &Socket, options: &UdpOptions) -> Result<Buffers, UdpError> {
    let sizes = || (socket.recv_buffer_size().unwrap_or_default(), socket.send_buffer_size().unwrap_or_default());
    let before = sizes();
    match options.rcvbuf {
        Some(bytes) => socket.set_recv_buffer_size(bytes).map_err(setting(|| format!("rcvbuf {bytes}")))?,
        // Without it a burst overflows the kernel's default. Without rights a kernel gives what it allows everybody.
        None => match setsockopt(socket, sockopt::RcvBufForce, &DEFAULT_RCVBUF) {
            Ok(()) => {}
            Err(_) => drop(socket.set_recv_buffer_size(DEFAULT_RCVBUF)),
        },
    }
    match options.sndbuf {
        Some(bytes) => socket.set_send_buffer_size(bytes).map_err(setting(|| format!("sndbuf {bytes}")))?,
        None => drop(socket.set_send_buffer_size(DEFAULT_SNDBUF)),
    }
    let after = sizes();
    Ok(Buffers { receive: (before.0, after.0), send: (before.1, after.1) })
}

fn set_mtu_discovery(socket: &Socket, ipv6: bool, discovery: MtuDiscovery) -> Result<(), Errno> {
    let (v4, v6) = match discovery {
        MtuDiscovery::No => (libc::IP_PMTUDISC_DONT, libc::IPV6_PMTUDISC_DONT),
        MtuDiscovery::Maybe => (libc::IP_PMTUDISC_WANT, libc::IPV6_PMTUDISC_WANT),
        MtuDiscovery::Yes => (libc::IP_PMTUDISC_DO, libc::IPV6_PMTUDISC_DO),
    };
    if ipv6 {
        sys::set_option(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, v6)?;
    }
    sys::set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, v4)
}

/// Asks the kernel to tell of what ICMP says: it would tell an unconnected socket nothing.
fn report_errors(socket: &Socket, ipv6: bool) -> Result<(), Errno> {
    if ipv6 {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
    }
    setsockopt(socket, sockopt::Ipv4RecvErr, &true)
}

fn setting(text: impl FnOnce() -> String) -> impl FnOnce(io::Error) -> UdpError {
    move |error| UdpError::Setting { setting: text(), errno: errno(&error) }
}

fn protocol(ipv6: bool) -> &'static str {
    if ipv6 { "UDPv6" } else { "UDPv4" }
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

/// An address as a socket of the family takes it, as far as that can be.
fn in_family(address: SocketAddr, ipv6: bool) -> SocketAddr {
    match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv6() != ipv6 => {
            let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            SocketAddr::new(any, address.port())
        }
        IpAddr::V4(ip) if ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}

fn unmapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
