//! One option at a time.

mod connection;
#[cfg(feature = "tls")]
mod tls;

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use super::*;
use crate::options::args::{Args, Refused};
use crate::options::error::Problem;

const SECONDS: &str = "a time in seconds";
const YES_OR_NO: [(&str, bool); 2] = [("yes", true), ("no", false)];
const PORT: &str = "a port number from 1 to 65535";
const METRIC: &str = "a metric from 0 to 4294967295, or default";
const ADDRESS: &str = "a name or an IPv4 address";
const PROTO: &str = "udp, udp4 or udp6";
const DEVICE_NAME_MAX: usize = 15;

type Done = Result<Applied, Refused>;

impl<'a> LinkConfig<'a> {
    /// Takes an option that [`Checker`] has let pass, if it is one of the link's.
    ///
    /// # Errors
    /// An argument is missing or has no valid value.
    pub fn apply(&mut self, directive: &Directive<'a>) -> Result<Applied, ConfigError<'a>> {
        directive.read(|args| self.apply_any(args))
    }

    fn apply_any(&mut self, directive: &Args<'_, 'a>) -> Done {
        if self.apply_block(directive)? == Applied::Taken || self.connection.apply(directive)? == Applied::Taken {
            return Ok(Applied::Taken);
        }
        for topic in [
            Self::apply_tunnel,
            Self::apply_routes,
            Self::apply_remotes,
            Self::apply_crypto,
            #[cfg(feature = "tls")]
            Self::apply_tls,
            Self::apply_timers,
        ] {
            if topic(self, directive)? == Applied::Taken {
                return Ok(Applied::Taken);
            }
        }
        Ok(Applied::NotMine)
    }

    fn apply_tunnel(&mut self, d: &Args<'_, 'a>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            "dev" => {
                let valid = "tun, tunN, null or a name of at most 15 characters";
                let usable = |name: &Word<'_>| {
                    let mut chars = name.chars();
                    chars.next().is_some()
                        && chars.nth(DEVICE_NAME_MAX.saturating_sub(1)).is_none()
                        && !name.chars().any(|c| c == '/' || c <= ' ')
                };
                self.dev = Some(d.parsed(0, valid, |name| Some(name).filter(usable))?);
            }
            "dev-type" if d.required(0)? == "tap" => return Err(d.not_yet(0, "dev-type tun")),
            "dev-type" => self.dev_type = Some(d.choice(0, &[("tun", DeviceKind::Tun)], "tun")?),
            "ifconfig" => {
                self.ifconfig = Some(Ifconfig {
                    local: ipv4_or_name(d, 0, ADDRESS)?,
                    remote_or_netmask: ipv4_or_name(d, 1, "a name, an IPv4 address or a netmask")?,
                });
            }
            "ifconfig-ipv6" => {
                let valid = "an IPv6 address and prefix length, as in fd00::1/64";
                let (local, prefix) = d.parsed(0, valid, network_ipv6)?;
                let remote = d.parsed_if_any(1, "an IPv6 address", |word| word.parse())?;
                self.ifconfig_ipv6 = Some(IfconfigIpv6 { local, prefix, remote });
            }
            "ifconfig-noexec" => self.ifconfig_noexec = true,
            "ifconfig-nowarn" => self.ifconfig_nowarn = true,
            "topology" => {
                let choices = [("net30", Topology::Net30), ("p2p", Topology::P2p), ("subnet", Topology::Subnet)];
                self.topology = d.choice(0, &choices, "net30, p2p or subnet")?;
            }
            "tun-mtu" => {
                let valid = "a number of bytes from 100 to 65535";
                let mtu = |word: Word<'_>| u16::try_from(word.parse_number()?).ok().filter(|mtu| *mtu >= 100);
                self.tun_mtu = d.parsed(0, valid, mtu)?;
                self.occ_mtu = d.parsed_if_any(1, valid, mtu)?;
            }
            "mssfix" => {
                let size = d.number_if_any(0, "a number of bytes up to 65535")?;
                let kind = d.choice_if_any(1, &[("mtu", false), ("fixed", true)], "mtu or fixed")?;
                self.mssfix = match (size, kind) {
                    (None, _) => Mssfix::Default,
                    (Some(0), _) => Mssfix::Off,
                    (Some(size), None) => Mssfix::Plain(size),
                    (Some(size), Some(false)) => Mssfix::Mtu(size),
                    (Some(size), Some(true)) => Mssfix::Fixed(size),
                };
            }
            "up-delay" => self.up_delay = true,
            "up-restart" => self.up_restart = true,
            _ => return Ok(Applied::NotMine),
        }
        self.device = match (self.dev_type, self.dev) {
            (Some(kind), _) => kind,
            (None, Some(name)) if name == "null" => DeviceKind::Null,
            _ => DeviceKind::Tun,
        };
        Ok(Applied::Taken)
    }

    fn apply_routes(&mut self, d: &Args<'_, 'a>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            "route" => {
                let valid = "a netmask such as 255.255.255.0, or default";
                let route = Route {
                    network: ipv4_or_name(d, 0, ADDRESS)?,
                    netmask: unless_default(d, 1)
                        .map(|_| d.parsed(1, valid, netmask))
                        .transpose()?
                        .unwrap_or(Ipv4Addr::BROADCAST),
                    gateway: unless_default(d, 2).map(|_| ipv4_or_name(d, 2, ADDRESS)).transpose()?,
                    metric: metric(d, 3)?,
                };
                push(&mut self.routes, route, d)?;
            }
            "route-ipv6" => {
                let (network, prefix) = d.parsed(0, "an IPv6 network, as in fd00::/64", network_ipv6)?;
                let gateway = unless_default(d, 1);
                let metric = metric(d, 2)?;
                push(&mut self.routes_ipv6, RouteIpv6 { network, prefix, gateway, metric }, d)?;
            }
            "route-gateway" if d.required(0)? == "dhcp" => return Err(d.not_yet(0, "a name or an IPv4 address")),
            "route-gateway" => {
                self.route_gateway = Some(ipv4_or_name(d, 0, ADDRESS)?);
            }
            "route-metric" => self.route_metric = Some(d.number(0, METRIC)?),
            "route-delay" => {
                self.route_delay = Some(d.number_if_any(0, SECONDS)?.unwrap_or(0));
                d.number_if_any::<u32>(1, SECONDS)?;
            }
            "route-noexec" => self.route_noexec = true,
            "allow-recursive-routing" => self.allow_recursive_routing = true,
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    fn apply_remotes(&mut self, d: &Args<'_, 'a>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            // Blocks take the place of all others.
            "remote" if !self.blocks.is_empty() => drop(remote(d)?),
            "remote" if self.udp_only && is_tcp(d, 2) => self.passed_over = true,
            "remote" => {
                push(&mut self.remotes, remote(d)?, d)?;
                self.own_remote = true;
            }
            "proto-force" if d.required(0)? == "tcp" => return Err(d.not_yet(0, "proto-force udp")),
            "proto-force" => self.udp_only = d.choice(0, &[("udp", true)], "udp")?,
            "remote-random" => self.remote_random = true,
            "remote-random-hostname" => self.remote_random_hostname = true,
            "connect-retry-max" => self.connect_retry_max = d.number(0, "a number of attempts")?,
            "mode" if d.required(0)? == "server" => return Err(d.not_yet(0, "mode p2p")),
            "mode" => d.choice(0, &[("p2p", ())], "p2p")?,
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    fn apply_crypto(&mut self, d: &Args<'_, 'a>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            "secret" => {
                self.secret = source(d)?.or(self.secret);
                if d.arg(1).is_some() {
                    self.key_direction = Some(direction(d, 1)?);
                }
            }
            "key-direction" => self.key_direction = Some(direction(d, 0)?),
            "cipher" => {
                let cipher = cipher(d)?;
                self.cipher = Some(cipher);
                // openvpn takes the two options for one, so the later one counts.
                self.tls.data_ciphers_fallback = self.tls.data_ciphers_fallback.and(Some(cipher));
            }
            "auth" => {
                let valid = "a digest from --show-digests";
                self.auth = Some(d.parsed(0, valid, |name| Digest::from_name(name.as_str()?))?);
            }
            "keysize" => {
                let whole_bytes =
                    |word: Word<'_>| word.parse_number()?.try_into().ok().filter(|bits: &u16| bits.is_multiple_of(8));
                self.keysize = Some(d.parsed(0, "a number of bits, a multiple of 8", whole_bytes)?);
            }
            "no-replay" => self.packet_ids = false,
            "replay-window" => {
                let upto =
                    |limit: u32| move |word: Word<'_>| u32::try_from(word.parse_number()?).ok().filter(|n| *n <= limit);
                let size = d.parsed(0, "a number of packets from 0 to 65536", upto(65_536))?;
                let valid = "a time in seconds from 0 to 600";
                let seconds = d.parsed_if_any(1, valid, upto(600))?;
                self.replay_window = (size, seconds.unwrap_or(15));
            }
            "replay-persist" => self.replay_persist = Some(d.required(0)?),
            "mute-replay-warnings" => self.mute_replay_warnings = true,
            "disable-occ" => self.occ = false,
            "opt-verify" => self.opt_verify = true,
            "comp-lzo" => {
                let choices = [("no", Framing::LzoStub), ("yes", Framing::Lzo), ("adaptive", Framing::Lzo)];
                let framing = d.choice_if_any(0, &choices, "yes, no or adaptive")?;
                self.framing = framing.unwrap_or(Framing::Lzo);
            }
            "compress" if d.arg(0).is_some_and(|algorithm| algorithm == "migrate") => {
                return Err(d.not_yet(0, "stub, stub-v2, lzo, lz4 or lz4-v2"));
            }
            "compress" => {
                let choices = [
                    ("stub", Framing::Stub),
                    ("stub-v2", Framing::StubV2),
                    ("lzo", Framing::Lzo),
                    ("lz4", Framing::Lz4),
                    ("lz4-v2", Framing::Lz4V2),
                ];
                let valid = "stub, stub-v2, lzo, lz4 or lz4-v2";
                let framing = d.choice_if_any(0, &choices, valid)?;
                self.framing = framing.unwrap_or(Framing::Stub);
            }
            "allow-compression" => {
                let choices = [("no", false), ("asym", true), ("yes", true)];
                self.allow_compression = Some(d.choice(0, &choices, "no, asym or yes")?);
            }
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    fn apply_timers(&mut self, d: &Args<'_, 'a>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            "keepalive" => {
                let positive = |word: Word<'_>| u32::try_from(word.parse_number()?).ok().filter(|n| *n > 0);
                let interval = d.parsed(0, "a time in seconds, at least 1", positive)?;
                let long_enough = |word: Word<'_>| positive(word).filter(|n| n / 2 >= interval);
                let timeout = d.parsed(1, "a time in seconds, at least twice the interval of pings", long_enough)?;
                self.keepalive = true;
                self.ping = interval;
                self.receive_timeout = ReceiveTimeout::Restart(timeout);
            }
            "ping" => {
                self.own_ping = true;
                self.ping = d.number(0, SECONDS)?;
            }
            "ping-restart" | "ping-exit" => {
                self.own_ping = true;
                self.receive_timeout = match d.number(0, SECONDS)? {
                    0 => ReceiveTimeout::None,
                    seconds if d.name == "ping-exit" => ReceiveTimeout::Exit(seconds),
                    seconds => ReceiveTimeout::Restart(seconds),
                };
            }
            "ping-timer-rem" => self.ping_timer_rem = true,
            "inactive" => {
                let seconds = d.number(0, SECONDS)?;
                let bytes = d.number_if_any(1, "a number of bytes")?.unwrap_or(0);
                self.inactive = (seconds > 0).then_some(Inactive { seconds, bytes });
            }
            "session-timeout" => self.session_timeout = d.number(0, SECONDS)?,
            "persist-tun" => self.persist_tun = true,
            "persist-local-ip" => self.persist_local_ip = true,
            "persist-remote-ip" => self.persist_remote_ip = true,
            "resolv-retry" if d.required(0)? == "infinite" => self.resolv_retry = ResolvRetry::Infinite,
            "resolv-retry" => self.resolv_retry = ResolvRetry::Seconds(d.number(0, "a time in seconds, or infinite")?),
            "follow-link" => self.follow_link = d.choice(0, &YES_OR_NO, "yes or no")?,
            "follow-name" => self.follow_name = d.choice(0, &YES_OR_NO, "yes or no")?,
            "probe-interval" => self.probe_interval = d.number(0, SECONDS)?,
            "remap-usr1" => {
                let choices = [("SIGHUP", Signal::Hup), ("SIGTERM", Signal::Term)];
                self.remap_usr1 = Some(d.choice(0, &choices, "SIGHUP or SIGTERM")?);
            }
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }
}

/// The inline block or the file of an option; `None` for `[inline]`, with which old configurations announce a block.
fn source<'a>(d: &Args<'_, 'a>) -> Result<Option<KeySource<'a>>, Refused> {
    match d.inline {
        Some(text) => Ok(Some(KeySource::Inline(text))),
        None => Ok(Some(d.required(0)?).filter(|file| *file != "[inline]").map(KeySource::File)),
    }
}

fn direction(d: &Args<'_, '_>, index: usize) -> Result<Direction, Refused> {
    d.choice(index, &[("0", Direction::Normal), ("1", Direction::Inverse)], "0 or 1")
}

fn cipher(d: &Args<'_, '_>) -> Result<Cipher, Refused> {
    d.parsed(0, "a cipher from --show-ciphers, such as AES-256-CBC", |name| Cipher::from_name(name.as_str()?))
}

fn remote<'a>(d: &Args<'_, 'a>) -> Result<Remote<'a>, Refused> {
    let host = d.parsed(
        0,
        "a name or an address, and the port as a word of its own, as in 'remote 192.0.2.1 1194'",
        |word| {
            let has_port = |word: &Word<'_>| {
                // An IPv6 address has more colons.
                let mut colons = word.chars().filter(|c| *c == ':');
                let one = colons.next().is_some() && colons.next().is_none();
                one || word.parse::<SocketAddr>().is_some()
            };
            Some(word).filter(|word| *word != "" && !word.starts_with("[") && !has_port(word))
        },
    )?;
    let port = d.parsed_if_any(1, PORT, port)?;
    let family = d.arg(2).map(|_| family(d, 2)).transpose()?;
    Ok(Remote { host, port, family, block: None })
}

fn family(d: &Args<'_, '_>, index: usize) -> Result<Family, Refused> {
    if is_tcp(d, index) {
        return Err(d.not_yet(index, PROTO));
    }
    d.choice(index, &[("udp", Family::Any), ("udp4", Family::V4), ("udp6", Family::V6)], PROTO)
}

fn is_tcp(d: &Args<'_, '_>, index: usize) -> bool {
    d.arg(index).is_some_and(|word| word.starts_with("tcp"))
}

/// Argument `index` unless it is absent or says `default`.
fn unless_default<'a>(d: &Args<'_, 'a>, index: usize) -> Option<Word<'a>> {
    d.arg(index).filter(|word| *word != "default")
}

#[inline(never)]
fn metric(d: &Args<'_, '_>, index: usize) -> Result<Option<u32>, Refused> {
    unless_default(d, index).map(|_| d.number(index, METRIC)).transpose()
}

#[inline(never)]
fn push<T, const N: usize>(list: &mut Vec<T, N>, item: T, d: &Args<'_, '_>) -> Result<(), Refused> {
    list.push(item).map_err(|_| d.refuse(0, Problem::TooMany { limit: N }))
}

fn port(word: Word<'_>) -> Option<u16> {
    u16::try_from(word.parse_number()?).ok().filter(|port| *port > 0)
}

#[inline(never)]
fn ipv4_or_name<'a>(d: &Args<'_, 'a>, index: usize, valid: &'static str) -> Result<Word<'a>, Refused> {
    d.parsed(index, valid, |word| Some(word).filter(is_ipv4_or_name))
}

/// Whether this may be a name, or is a well-formed address: nothing but digits and dots is a name.
fn is_ipv4_or_name(word: &Word<'_>) -> bool {
    let Some(text) = word.as_str() else { return false };
    let numeric = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    let name = text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'));
    if numeric { word.parse::<Ipv4Addr>().is_some() } else { name }
}

fn netmask(word: Word<'_>) -> Option<Ipv4Addr> {
    word.parse().filter(is_netmask)
}

/// Whether all ones stand before all zeros.
pub(super) fn is_netmask(mask: &Ipv4Addr) -> bool {
    let bits = mask.to_bits();
    bits.leading_ones().saturating_add(bits.trailing_zeros()) == u32::BITS
}

/// `address/bits`; without bits it is 64, as in openvpn.
fn network_ipv6(word: Word<'_>) -> Option<(Ipv6Addr, u8)> {
    let text = word.as_str()?;
    let (address, prefix) = match text.split_once('/') {
        Some((address, bits)) => (address, u8::from_str(bits).ok().filter(|bits| *bits <= 128)?),
        None => (text, 64),
    };
    Some((address.parse().ok()?, prefix))
}

#[cfg(test)]
mod tests;
