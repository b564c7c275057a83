//! What the options of a link say.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::options::Word;

/// The port that IANA has registered for OpenVPN.
const DEFAULT_PORT: u16 = 1194;

/// Kind of the tunnel device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// IP packets.
    Tun,
    /// No device: what comes out of the tunnel is thrown away.
    Null,
}

/// The arguments of `ifconfig`, which may be names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ifconfig<'a> {
    /// Our address in the tunnel.
    pub local: Word<'a>,
    /// The peer's address in the tunnel, or the netmask with [`Topology::Subnet`].
    pub remote_or_netmask: Word<'a>,
}

impl Ifconfig<'_> {
    /// Both arguments if they are addresses; `None` if a name must be resolved first.
    pub fn addresses(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        Some((self.local.parse()?, self.remote_or_netmask.parse()?))
    }
}

/// The arguments of `ifconfig-ipv6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfconfigIpv6 {
    /// Our address in the tunnel.
    pub local: Ipv6Addr,
    /// Length of the network's prefix, in bits.
    pub prefix: u8,
    /// The peer's address in the tunnel.
    pub remote: Option<Ipv6Addr>,
}

/// What `ifconfig` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// Our address and the peer's, out of a network of four.
    #[default]
    Net30,
    /// Our address and the peer's.
    P2p,
    /// Our address and a netmask.
    Subnet,
}

/// `mssfix` (protocol section 6.6); numbers in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mssfix {
    /// TCP segments are not clamped.
    Off,
    /// No value is configured.
    #[default]
    Default,
    /// The UDP payload is at most this long.
    Plain(u16),
    /// The packet with its outer IP and UDP header is at most this long.
    Mtu(u16),
    /// The inner packet is at most this long.
    Fixed(u16),
}

/// One `route`. Network and gateway may be names or the keywords `vpn_gateway`, `net_gateway`,
/// `remote_host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The network.
    pub network: Word<'a>,
    /// The netmask.
    pub netmask: Ipv4Addr,
    /// The gateway, if it is not that of all routes.
    pub gateway: Option<Word<'a>>,
    /// The metric, if it is not that of all routes.
    pub metric: Option<u32>,
}

/// One `route-ipv6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteIpv6<'a> {
    /// The network.
    pub network: Ipv6Addr,
    /// Length of the network's prefix, in bits.
    pub prefix: u8,
    /// The gateway, if it is not the tunnel.
    pub gateway: Option<Word<'a>>,
    /// The metric, if it is not that of all routes.
    pub metric: Option<u32>,
}

/// One `remote`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote<'a> {
    /// A name or address.
    pub host: Word<'a>,
    /// The port, if it is not [`Connection::remote_port`].
    pub port: Option<u16>,
    /// The protocol, if it is not [`Connection::family`].
    pub family: Option<Family>,
    /// The index of its block in [`LinkConfig::blocks`](super::LinkConfig::blocks); see
    /// [`LinkConfig::connection_of`](super::LinkConfig::connection_of).
    pub block: Option<u8>,
}

/// What may differ from one remote to the next (protocol section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// `proto`, for remotes without one and for listening.
    pub family: Family,
    /// `local`: a name or address.
    pub local: Option<Word<'a>>,
    /// `lport` or `port`; 0 lets the system choose.
    pub local_port: u16,
    /// `rport` or `port`, for remotes without one.
    pub remote_port: u16,
    /// Whether the local port is bound (not with `nobind`).
    pub bind: bool,
    /// `bind ipv6only`.
    pub ipv6_only: bool,
    /// `float`: authentic packets are accepted from any address.
    pub float: bool,
    /// `connect-retry`: the pause before a restart, and its upper limit where it grows, in seconds. As long as nobody has
    /// written it, the limit is 30 s instead where names are followed.
    pub connect_retry: (u32, u32),
    /// `connect-timeout`: how long a TLS peer may take to answer, in seconds; 0 is for ever.
    pub connect_timeout: u32,
    /// `explicit-exit-notify`: how often the peer is told; 0 is off.
    pub explicit_exit_notify: u8,
    /// `connect-retry` was written.
    pub(crate) own_connect_retry: bool,
    pub(super) own_local_port: bool,
}

/// The IP version under the tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// `udp`: whichever the addresses have.
    #[default]
    Any,
    /// `udp4`.
    V4,
    /// `udp6`.
    V6,
}

/// Where a key or certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// The text of the file stands in the configuration.
    Inline(&'a str),
    /// A file.
    File(Word<'a>),
}

/// What happens if nothing is received for a time, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiveTimeout {
    /// Nothing.
    #[default]
    None,
    /// The link restarts.
    Restart(u32),
    /// The link ends.
    Exit(u32),
}

/// `inactive`: the link ends if too little traffic passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inactive {
    /// The time, in seconds.
    pub seconds: u32,
    /// Fewer bytes than this in that time are too little; 0 means none at all.
    pub bytes: u64,
}

/// `resolv-retry`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResolvRetry {
    /// For ever.
    #[default]
    Infinite,
    /// For so many seconds; 0 means that the first failure is the end.
    Seconds(u32),
}

impl Connection<'_> {
    /// The port of this remote, if these are its settings.
    pub fn port_of(&self, remote: &Remote<'_>) -> u16 {
        remote.port.unwrap_or(self.remote_port)
    }

    /// The IP version towards this remote, if these are its settings.
    pub fn family_of(&self, remote: &Remote<'_>) -> Family {
        remote.family.unwrap_or(self.family)
    }
}

impl Default for Connection<'_> {
    /// What openvpn does without options.
    fn default() -> Self {
        Self {
            family: Family::default(),
            local: None,
            local_port: DEFAULT_PORT,
            remote_port: DEFAULT_PORT,
            bind: true,
            ipv6_only: false,
            float: false,
            connect_retry: (1, 300),
            connect_timeout: 120,
            explicit_exit_notify: 0,
            own_connect_retry: false,
            own_local_port: false,
        }
    }
}
