//! What the Linux host does itself.

use std::path::PathBuf;
use std::time::Duration;

use longcable_core::options::{Applied, Args, ConfigError, Directive, Problem, Refused};

use crate::environment::Environment;
use crate::link::udp::MtuDiscovery;
use crate::log::{Destination, LogOptions};
use crate::scripts::Hook;
use crate::tun;

const DEFAULT_STATUS_INTERVAL: Duration = Duration::from_secs(60);
/// What syslog calls the program if the configuration does not say.
const DEFAULT_SYSLOG_NAME: &str = "openvpn";

/// The options that concern the program around the link.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The script options in their order, as command lines; a later one of the same kind counts.
    pub scripts: Vec<(Hook, String)>,
    /// `script-security`.
    pub script_security: u8,
    /// `down-pre`.
    pub down_pre: bool,
    /// `setenv` and `setenv-safe`.
    pub environment: Environment,
    /// `daemon`.
    pub daemon: bool,
    /// `writepid`.
    pub writepid: Option<PathBuf>,
    /// Everything about the log.
    pub log: LogOptions,
    /// `status`.
    pub status: Option<Status>,
    /// `cd`: where all of them lead.
    pub cd: Option<PathBuf>,
    /// `chroot`.
    pub chroot: Option<PathBuf>,
    /// `user`.
    pub user: Option<String>,
    /// `group`.
    pub group: Option<String>,
    /// `nice`.
    pub nice: Option<i32>,
    /// `mlock`.
    pub mlock: bool,
    /// `sndbuf`, in bytes.
    pub sndbuf: Option<usize>,
    /// `rcvbuf`, in bytes.
    pub rcvbuf: Option<usize>,
    /// `mark`.
    pub mark: Option<u32>,
    /// `bind-dev`.
    pub bind_dev: Option<String>,
    /// `passtos`.
    pub passtos: bool,
    /// `mtu-disc`.
    pub mtu_disc: Option<MtuDiscovery>,
    /// Unless `disable-tun-offload`: large packets are exchanged with the device.
    pub tun_offload: bool,
    /// Unless `disable-udp-gso`: many datagrams are sent with one call.
    pub udp_gso: bool,
    /// Unless `disable-udp-gro`: many datagrams are received with one call.
    pub udp_gro: bool,
    /// `spin`: how long to look for packets before sleeping.
    pub spin: Duration,
    /// `threads`: 2 gives packets from the tunnel to the network a thread of their own.
    pub threads: u8,
    /// `txqueuelen`, in packets.
    pub txqueuelen: Option<u32>,
    /// `dev-node`.
    pub dev_node: PathBuf,
    /// `replay-persist`.
    pub replay_persist: Option<PathBuf>,
    /// `remap-usr1 SIGHUP`: what restarts the link reads the configuration anew instead.
    pub restart_reads_anew: bool,
    /// The file that `secret` names, if it does.
    pub secret_file: Option<PathBuf>,
    /// The file that `tls-auth`, `tls-crypt` or `tls-crypt-v2` names, if it does.
    pub wrapping_file: Option<PathBuf>,
    /// `askpass`: the file with the password of the private key; without one the terminal is asked.
    pub askpass: Option<Option<PathBuf>>,
    /// The first config file, as it was named.
    pub config_file: Option<String>,
    pub(super) mode: Mode,
    log_file: Option<Destination>,
    syslog_name: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Run the link.
    #[default]
    Link,
    /// `help`.
    Help,
    /// `version`.
    Version,
    /// `genkey`: write a new key to this file, or to standard output.
    GenerateKey(KeyKind, Option<PathBuf>),
    /// `test-crypto`.
    TestCrypto,
    /// `show-ciphers`.
    ShowCiphers,
    /// `show-digests`.
    ShowDigests,
    /// `show-tls`.
    ShowTls,
    /// `show-groups` or `show-curves`.
    ShowGroups,
    /// `mktun`.
    MakeTun,
    /// `rmtun`.
    RemoveTun,
}

/// What `genkey` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `secret`, `tls-auth` and `tls-crypt`, which are of one kind.
    Static,
    /// `tls-crypt-v2-server`.
    TlsCryptV2Server,
    /// `tls-crypt-v2-client`, from the server's key, which stands in the link's `tls-crypt-v2`.
    TlsCryptV2Client {
        /// What the server's script is told about the client, in base64; without it the key says when it was made.
        metadata: Option<String>,
    },
}

/// `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The file.
    pub path: PathBuf,
    /// How often it is written.
    pub interval: Duration,
}

impl Default for HostConfig {
    /// What openvpn does without options.
    fn default() -> Self {
        Self {
            scripts: Vec::new(),
            script_security: 1,
            down_pre: false,
            environment: Environment::new(),
            daemon: false,
            writepid: None,
            log: LogOptions::default(),
            status: None,
            cd: None,
            chroot: None,
            user: None,
            group: None,
            nice: None,
            mlock: false,
            sndbuf: None,
            rcvbuf: None,
            mark: None,
            bind_dev: None,
            passtos: false,
            mtu_disc: None,
            tun_offload: true,
            udp_gso: true,
            udp_gro: true,
            spin: Duration::ZERO,
            threads: 1,
            txqueuelen: None,
            dev_node: PathBuf::from(tun::DEFAULT_NODE),
            replay_persist: None,
            restart_reads_anew: false,
            secret_file: None,
            wrapping_file: None,
            askpass: None,
            config_file: None,
            mode: Mode::Link,
            log_file: None,
            syslog_name: None,
        }
    }
}

type Done = Result<Applied, Refused>;

impl HostConfig {
    /// Takes an option that the table lets pass, if it is one of the host's.
    pub(super) fn apply<'a>(&mut self, directive: &Directive<'a>) -> Result<Applied, ConfigError<'a>> {
        directive.read(|args| {
            for topic in [Self::apply_process, Self::apply_log, Self::apply_network, Self::apply_mode] {
                if topic(self, args)? == Applied::Taken {
                    return Ok(Applied::Taken);
                }
            }
            Ok(Applied::NotMine)
        })
    }

    /// Settles what depends on several options.
    pub(super) fn finish(&mut self) {
        let name = self.syslog_name.take();
        let syslog = name.clone().map(|name| Destination::Syslog { name });
        if let Some(destination) = self.log_file.take().or(syslog) {
            self.log.destination = destination;
        }
    }

    fn apply_process(&mut self, d: &Args<'_, '_>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            "up" => self.scripts.push((Hook::Up, text(d, 0)?)),
            "down" => self.scripts.push((Hook::Down, text(d, 0)?)),
            "route-up" => self.scripts.push((Hook::RouteUp, text(d, 0)?)),
            "route-pre-down" => self.scripts.push((Hook::RoutePreDown, text(d, 0)?)),
            "ipchange" => self.scripts.push((Hook::IpChange, text(d, 0)?)),
            "tls-verify" => self.scripts.push((Hook::TlsVerify, text(d, 0)?)),
            "askpass" => self.askpass = Some(d.arg(0).map(|_| path(d, 0)).transpose()?),
            "script-security" => {
                let levels = [("0", 0), ("1", 1), ("2", 2), ("3", 3)];
                self.script_security = d.choice(0, &levels, "a level from 0 to 3")?;
            }
            "down-pre" => self.down_pre = true,
            "setenv" => {
                let value = d.arg(1).map(|value| value.to_string()).unwrap_or_default();
                self.environment.setenv(&text(d, 0)?, &value);
            }
            "setenv-safe" => {
                let value = d.arg(1).map(|value| value.to_string()).unwrap_or_default();
                self.environment.setenv_safe(&text(d, 0)?, &value);
            }
            "writepid" => self.writepid = Some(path(d, 0)?),
            "chroot" => self.chroot = Some(path(d, 0)?),
            "user" => self.user = Some(text(d, 0)?),
            "group" => self.group = Some(text(d, 0)?),
            "nice" => self.nice = Some(d.parsed(0, "a number, larger for less priority", |word| word.parse())?),
            "mlock" => self.mlock = true,
            // The loader has followed it.
            "cd" | "config" => {}
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    fn apply_log(&mut self, d: &Args<'_, '_>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            name @ ("daemon" | "syslog") => {
                self.daemon |= name == "daemon";
                let given = d.arg(0).map(|name| name.to_string());
                self.syslog_name = given.or(self.syslog_name.take()).or(Some(DEFAULT_SYSLOG_NAME.to_owned()));
            }
            name @ ("log" | "log-append") => {
                self.log_file = Some(Destination::File { path: path(d, 0)?, append: name == "log-append" });
            }
            "verb" => self.log.verb = d.number::<u64>(0, "a level from 0 to 15")?.min(15) as u8,
            "mute" => self.log.mute = d.number(0, "a number of lines")?,
            "suppress-timestamps" => self.log.suppress_timestamps = true,
            "machine-readable-output" => self.log.machine_readable = true,
            "errors-to-stderr" => self.log.errors_to_stderr = true,
            "status" => {
                let interval = d.number_if_any(1, "a time in seconds")?.map(Duration::from_secs);
                self.status = Some(Status { path: path(d, 0)?, interval: interval.unwrap_or(DEFAULT_STATUS_INTERVAL) });
            }
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    fn apply_network(&mut self, d: &Args<'_, '_>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            "sndbuf" => self.sndbuf = Some(d.number(0, "a number of bytes")?),
            "rcvbuf" => self.rcvbuf = Some(d.number(0, "a number of bytes")?),
            "mark" => self.mark = Some(d.parsed(0, "a number, decimal or 0x...", |word| number(word.as_str()?))?),
            "bind-dev" => self.bind_dev = Some(text(d, 0)?),
            "passtos" => self.passtos = true,
            "mtu-disc" => {
                let choices = [("no", MtuDiscovery::No), ("maybe", MtuDiscovery::Maybe), ("yes", MtuDiscovery::Yes)];
                self.mtu_disc = Some(d.choice(0, &choices, "no, maybe or yes")?);
            }
            "disable-tun-offload" => self.tun_offload = false,
            "disable-udp-gso" => self.udp_gso = false,
            "disable-udp-gro" => self.udp_gro = false,
            "spin" => {
                let micros = d.parsed(0, "microseconds, at most 1000", |word| {
                    number(word.as_str()?).filter(|micros| *micros <= 1000)
                })?;
                self.spin = Duration::from_micros(micros.into());
            }
            "threads" => self.threads = d.choice(0, &[("1", 1), ("2", 2)], "1 or 2")?,
            "txqueuelen" => self.txqueuelen = Some(d.number(0, "a number of packets")?),
            "dev-node" => self.dev_node = path(d, 0)?,
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    fn apply_mode(&mut self, d: &Args<'_, '_>) -> Done {
        let mode = match d.name.as_str().unwrap_or_default() {
            "help" => Mode::Help,
            "version" => Mode::Version,
            "test-crypto" => Mode::TestCrypto,
            "show-ciphers" => Mode::ShowCiphers,
            "show-digests" => Mode::ShowDigests,
            "mktun" => Mode::MakeTun,
            "rmtun" => Mode::RemoveTun,
            "show-tls" => Mode::ShowTls,
            "show-groups" | "show-curves" => Mode::ShowGroups,
            "genkey" => generate_key(d)?,
            _ => return Ok(Applied::NotMine),
        };
        // Help is help, whatever else is asked for.
        if self.mode != Mode::Help {
            self.mode = mode;
        }
        Ok(Applied::Taken)
    }
}

/// `genkey TYPE FILE [METADATA]`, or `genkey` alone beside `secret FILE`.
fn generate_key(d: &Args<'_, '_>) -> Result<Mode, Refused> {
    const KINDS: &str = "secret, tls-auth, tls-crypt, tls-crypt-v2-server or tls-crypt-v2-client";
    let kind = match d.arg(0) {
        None => KeyKind::Static,
        Some(kind) if ["secret", "tls-auth", "tls-crypt"].iter().any(|name| kind == *name) => KeyKind::Static,
        Some(kind) if kind == "tls-crypt-v2-server" => KeyKind::TlsCryptV2Server,
        Some(kind) if kind == "tls-crypt-v2-client" => {
            KeyKind::TlsCryptV2Client { metadata: d.arg(2).map(|data| data.to_string()) }
        }
        Some(kind) if kind == "auth-token" => return Err(d.not_yet(0, KINDS)),
        Some(_) => return Err(d.bad_value(0, KINDS)),
    };
    if d.args.len() > 2 && !matches!(kind, KeyKind::TlsCryptV2Client { .. }) {
        let problem = Problem::WrongArgumentCount { given: d.args.len(), usage: "type file" };
        return Err(d.refuse(3, problem));
    }
    Ok(Mode::GenerateKey(kind, d.arg(1).map(|_| path(d, 1)).transpose()?))
}

fn text(d: &Args<'_, '_>, index: usize) -> Result<String, Refused> {
    Ok(d.required(index)?.to_string())
}

fn path(d: &Args<'_, '_>, index: usize) -> Result<PathBuf, Refused> {
    text(d, index).map(PathBuf::from)
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
