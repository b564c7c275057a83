//! The configuration of one point-to-point link.

mod apply;
mod tls;
mod validate;
mod values;
mod warning;

use core::fmt;

use heapless::Vec;

use super::check::{Checker, Verdict};
use super::error::ConfigError;
use super::lexer::{Directive, Lexer, SyntaxError};
use super::word::Word;
use crate::crypto::{Cipher, Digest, Direction, Suite};
use crate::event::Signal;
use crate::tls::Role;
use crate::wire::compress::Framing;

#[cfg(feature = "tls")]
use tls::DEFAULT_DATA_CIPHERS;
pub use tls::{
    CertProfile, ControlKey, DATA_CIPHERS_MAX, FINGERPRINTS_MAX, Fingerprint, KEY_USAGES_MAX, NameKind, PeerRules,
    RevocationList, TlsOptions, TlsVersion, USER_NAME_FIELDS_MAX,
};
pub use values::{
    Connection, DeviceKind, Family, Ifconfig, IfconfigIpv6, Inactive, KeySource, Mssfix, ReceiveTimeout, Remote,
    ResolvRetry, Route, RouteIpv6, Topology,
};
pub use warning::Warning;

/// The most `remote` options.
pub const REMOTES_MAX: usize = if cfg!(feature = "host") { 16 } else { 4 };

/// The most `<connection>` blocks.
pub const BLOCKS_MAX: usize = if cfg!(feature = "host") { 8 } else { 2 };

/// The most `route` options, and the most `route-ipv6` options.
pub const ROUTES_MAX: usize = if cfg!(feature = "host") { 64 } else { 8 };

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

/// Whom an option concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The link, which has taken it.
    Taken,
    /// Somebody else.
    NotMine,
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
                let applied = config.apply(&directive).map_err(at_line)?;
                // With the feature the checker knows all of them.
                if applied == Applied::NotMine && !cfg!(feature = "host") {
                    checker.unknown(&directive).map_err(at_line)?;
                }
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

    /// `tls-client` or `tls-server`; `None` is a static-key link, as is every link without the feature `tls`.
    pub fn role(&self) -> Option<Role> {
        self.tls.role.filter(|_| cfg!(feature = "tls"))
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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
