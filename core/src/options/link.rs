//! The configuration of one point-to-point link.

mod apply;
mod tls;
mod validate;
mod warning;

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use heapless::Vec;

use super::check::{Checker, Verdict};
use super::error::ConfigError;
use super::lexer::{Directive, Lexer, SyntaxError};
use super::word::Word;
use crate::crypto::{Cipher, Digest, Direction, Suite};
use crate::event::Signal;
use crate::tls::Role;
use crate::wire::compress::Framing;

use tls::DEFAULT_DATA_CIPHERS;
pub use tls::{
    CertProfile, ControlKey, DATA_CIPHERS_MAX, FINGERPRINTS_MAX, Fingerprint, KEY_USAGES_MAX, NameKind, PeerRules,
    RevocationList, TlsOptions, TlsVersion, USER_NAME_FIELDS_MAX,
};
pub use warning::Warning;

/// The port that IANA has registered for OpenVPN.
const DEFAULT_PORT: u16 = 1194;

/// The most `remote` options.
pub const REMOTES_MAX: usize = 16;

/// The most `<connection>` blocks.
pub const BLOCKS_MAX: usize = 8;

/// The most `route` options, and the most `route-ipv6` options.
pub const ROUTES_MAX: usize = 64;

/// Everything that the engine and any host must know about a link. Words borrow the configuration's
/// text, so that names can still be resolved when they are needed.
///
/// A later option overrides an earlier one, except for `remote` and routes, which are lists.
#[derive(Clone, Debug)]
pub struct LinkConfig<'a> {
    /// Kind of the tunnel device.
    pub device: DeviceKind,
    /// `ifconfig`.
    pub ifconfig: Option<Ifconfig<'a>>,
    /// `ifconfig-ipv6`.
    pub ifconfig_ipv6: Option<IfconfigIpv6>,
    /// `ifconfig-noexec`: the addresses are left to a script.
    pub ifconfig_noexec: bool,
    /// `ifconfig-nowarn`: the addresses are not compared with the peer's.
    pub ifconfig_nowarn: bool,
    /// `topology`.
    pub topology: Topology,
    /// `tun-mtu`: largest packet in the tunnel, in bytes.
    pub tun_mtu: u16,
    /// Second argument of `tun-mtu`: what the options string says instead.
    pub occ_mtu: Option<u16>,
    /// `mssfix`.
    pub mssfix: Mssfix,
    /// `route`.
    pub routes: Vec<Route<'a>, ROUTES_MAX>,
    /// `route-ipv6`.
    pub routes_ipv6: Vec<RouteIpv6<'a>, ROUTES_MAX>,
    /// `route-gateway`: a name or address.
    pub route_gateway: Option<Word<'a>>,
    /// `route-metric`, for routes without one.
    pub route_metric: Option<u32>,
    /// `route-delay`: routes are added so many seconds after the link is up.
    pub route_delay: Option<u32>,
    /// `route-noexec`: the routes are left to a script.
    pub route_noexec: bool,
    /// `allow-recursive-routing`.
    pub allow_recursive_routing: bool,

    /// `remote`, in the order in which they are tried. If there are blocks, those of the blocks only.
    pub remotes: Vec<Remote<'a>, REMOTES_MAX>,
    /// The settings outside of blocks.
    pub connection: Connection<'a>,
    /// The `<connection>` blocks.
    pub blocks: Vec<Connection<'a>, BLOCKS_MAX>,
    /// `remote-random`: the remotes are tried in random order.
    pub remote_random: bool,
    /// `remote-random-hostname`: 12 random characters and a dot are put before the names of remotes.
    pub remote_random_hostname: bool,
    /// `connect-retry-max`: how often each remote is tried before the program gives up; 0 is for ever. In a block it
    /// means nothing, as in openvpn.
    pub connect_retry_max: u32,

    /// `secret`.
    pub secret: Option<KeySource<'a>>,
    /// `key-direction`, or the second argument of `secret` or `tls-auth`.
    pub key_direction: Option<Direction>,
    /// `cipher`, if given.
    pub cipher: Option<Cipher>,
    /// `auth`, if given.
    pub auth: Option<Digest>,
    /// `keysize`, if given: length of the cipher key, in bits.
    pub keysize: Option<u16>,
    /// Whether packets carry ids (not with `no-replay`).
    pub packet_ids: bool,
    /// `replay-window`: in packet ids and in seconds.
    pub replay_window: (u32, u32),
    /// `replay-persist`: a file.
    pub replay_persist: Option<Word<'a>>,
    /// `mute-replay-warnings`.
    pub mute_replay_warnings: bool,
    /// `comp-lzo` or `compress`.
    pub framing: Framing,
    /// Whether options are compared with the peer (not with `disable-occ`).
    pub occ: bool,
    /// `opt-verify`.
    pub opt_verify: bool,
    /// What is configured about TLS.
    pub tls: TlsOptions<'a>,

    /// `ping`: in seconds; 0 is off.
    pub ping: u32,
    /// `ping-restart` or `ping-exit`.
    pub receive_timeout: ReceiveTimeout,
    /// `ping-timer-rem`: the receive time-out runs only while the peer's address is known.
    pub ping_timer_rem: bool,
    /// `inactive`.
    pub inactive: Option<Inactive>,
    /// `session-timeout`: in seconds; 0 is off.
    pub session_timeout: u32,
    /// `persist-tun`.
    pub persist_tun: bool,
    /// `persist-local-ip`.
    pub persist_local_ip: bool,
    /// `persist-remote-ip`.
    pub persist_remote_ip: bool,
    /// `resolv-retry`.
    pub resolv_retry: ResolvRetry,
    /// `follow-link`: a change of this end's address or route is told to the peer at once.
    pub follow_link: bool,
    /// `follow-name`: the peer's name is looked up again while the link stands.
    pub follow_name: bool,
    /// `probe-interval`: a silent peer is asked so often, in seconds, wherever it may be; 0 is off.
    pub probe_interval: u32,
    /// `remap-usr1`: what a restart becomes.
    pub remap_usr1: Option<Signal>,
    /// `up-delay`: the tunnel is opened when the peer is heard.
    pub up_delay: bool,
    /// `up-restart`: the scripts run on every restart.
    pub up_restart: bool,

    dev: Option<Word<'a>>,
    dev_type: Option<DeviceKind>,
    /// The block whose options are being read.
    open: Option<Block<'a>>,
    /// `proto-force udp`.
    udp_only: bool,
    /// A TCP remote has been passed over.
    passed_over: bool,
    /// A `remote` outside of the blocks.
    own_remote: bool,
    keepalive: bool,
    own_ping: bool,
    allow_compression: Option<bool>,
    /// `tls-version-min` is older than what is supported.
    old_tls_version: bool,
    /// The last option that only a TLS link has.
    tls_option: Option<Word<'a>>,
}

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
    /// The index of its block in [`LinkConfig::blocks`]; see [`LinkConfig::connection_of`].
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
    /// `connect-retry`: the pause before a restart, and its upper limit where it grows, in seconds.
    pub connect_retry: (u32, u32),
    /// `connect-timeout`: how long a TLS peer may take to answer, in seconds; 0 is for ever.
    pub connect_timeout: u32,
    /// `explicit-exit-notify`: how often the peer is told; 0 is off.
    pub explicit_exit_notify: u8,
    own_local_port: bool,
}

/// A `<connection>` block of which some options have been read.
#[derive(Clone, Copy, Debug)]
struct Block<'a> {
    connection: Connection<'a>,
    /// There was a `remote`.
    called: bool,
    remote: Option<Remote<'a>>,
    /// `proto-force` passes it over.
    tcp: bool,
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

/// Whom an option concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The link, which has taken it.
    Taken,
    /// Somebody else.
    NotMine,
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
            own_local_port: false,
        }
    }
}

impl Default for LinkConfig<'_> {
    /// What openvpn does without options.
    fn default() -> Self {
        Self {
            device: DeviceKind::Tun,
            ifconfig: None,
            ifconfig_ipv6: None,
            ifconfig_noexec: false,
            ifconfig_nowarn: false,
            topology: Topology::default(),
            tun_mtu: 1500,
            occ_mtu: None,
            mssfix: Mssfix::default(),
            routes: Vec::new(),
            routes_ipv6: Vec::new(),
            route_gateway: None,
            route_metric: None,
            route_delay: None,
            route_noexec: false,
            allow_recursive_routing: false,
            remotes: Vec::new(),
            connection: Connection::default(),
            blocks: Vec::new(),
            remote_random: false,
            remote_random_hostname: false,
            connect_retry_max: 0,
            secret: None,
            key_direction: None,
            cipher: None,
            auth: None,
            keysize: None,
            packet_ids: true,
            replay_window: (64, 15),
            replay_persist: None,
            mute_replay_warnings: false,
            framing: Framing::None,
            occ: true,
            opt_verify: false,
            tls: TlsOptions::default(),
            ping: 0,
            receive_timeout: ReceiveTimeout::None,
            ping_timer_rem: false,
            inactive: None,
            session_timeout: 0,
            persist_tun: false,
            persist_local_ip: false,
            persist_remote_ip: false,
            follow_link: true,
            follow_name: true,
            probe_interval: 5,
            resolv_retry: ResolvRetry::default(),
            remap_usr1: None,
            up_delay: false,
            up_restart: false,
            dev: None,
            dev_type: None,
            open: None,
            udp_only: false,
            passed_over: false,
            own_remote: false,
            keepalive: false,
            own_ping: false,
            allow_compression: None,
            old_tls_version: false,
            tls_option: None,
        }
    }
}

impl<'a> LinkConfig<'a> {
    /// Reads and validates a whole configuration text; options of the host are passed over.
    ///
    /// # Errors
    /// The first option that is wrong, or what is missing.
    pub fn parse(text: &'a str) -> Result<Self, ParseError<'a>> {
        let mut config = Self::default();
        let mut checker = Checker::new();
        for directive in Lexer::new(text.as_bytes()) {
            let directive = directive.map_err(ParseError::Syntax)?;
            let line = directive.line;
            let at_line = |error| ParseError::Option(line, error);
            if let Verdict::Apply(directive) = checker.check(directive).map_err(at_line)? {
                config.apply(&directive).map_err(at_line)?;
            }
        }
        config.validate().map_err(ParseError::Whole)?;
        Ok(config)
    }

    /// The settings for the remote of this index in [`LinkConfig::remotes`], or for listening.
    pub fn connection_of(&self, remote_index: usize) -> &Connection<'a> {
        let block = self.remotes.get(remote_index).and_then(|remote| self.blocks.get(usize::from(remote.block?)));
        block.unwrap_or(&self.connection)
    }

    /// The name of the tunnel device; `None` is the next free `tunN`.
    pub fn device_name(&self) -> Option<Word<'a>> {
        self.dev.filter(|name| *name != "tun" && *name != "null")
    }

    /// The direction of the static key, or of the key of `tls-auth`.
    pub fn direction(&self) -> Option<Direction> {
        self.key_direction
    }

    /// The cipher for a peer that negotiates none: `data-ciphers-fallback` or `cipher`, or BF-CBC with `compat-mode` of
    /// a version before 2.4 (protocol sections 3.14 and 7.4).
    pub fn fallback_cipher(&self) -> Option<Cipher> {
        let old = self.tls.compat.is_some_and(|version| version < (2, 4, 0));
        self.tls.data_ciphers_fallback.or(self.cipher).or(old.then_some(Cipher::BfCbc))
    }

    /// Cipher, key length and digest as `cipher` (or `data-ciphers-fallback`) and `auth` have them, with openvpn's defaults BF-CBC and SHA1.
    /// In TLS mode this is what the options string says and what is used if the peer negotiates nothing.
    pub fn suite(&self) -> Suite {
        let cipher = self.fallback_cipher().unwrap_or(Cipher::BfCbc);
        let suite = Suite::new(cipher, self.auth.unwrap_or(Digest::Sha1));
        match self.keysize {
            Some(bits) => Suite { key_len: usize::from(bits / 8), ..suite },
            None => suite,
        }
    }
}

/// Why a text is no valid configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError<'a> {
    /// It cannot be split into options.
    Syntax(SyntaxError),
    /// The option that starts on this line is wrong.
    Option(u32, ConfigError<'a>),
    /// The options do not go together.
    Whole(ConfigError<'a>),
}

impl fmt::Display for ParseError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => write!(f, "line {}: {}", error.position.line, error.problem),
            Self::Option(line, error) => write!(f, "line {line}: {error}"),
            Self::Whole(error) => error.fmt(f),
        }
    }
}
