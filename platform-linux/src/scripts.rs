//! The user's scripts: when they are called, with which arguments and variables (protocol section 5.4).

use crate::environment::Environment;
use crate::log::{self, Errno};
use crate::sys_process::default_signals;
use longcable_core::event::Reason;
use nix::unistd::{AccessFlags, access};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// An option that names a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// `up`: the tunnel device is open and has its addresses.
    Up,
    /// `down`: the tunnel device is closed (with `down-pre`: about to be).
    Down,
    /// `route-up`: the routes are set.
    RouteUp,
    /// `route-pre-down`: the routes are about to be removed.
    RoutePreDown,
    /// `ipchange`: the peer's address is known or has changed.
    IpChange,
    /// `tls-verify`: a certificate of the peer is in order but for what the script says.
    TlsVerify,
}

/// What the tunnel scripts are told about the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Name of the interface.
    pub device: String,
    /// `tun` or `tap`.
    pub device_type: &'static str,
    /// MTU of the interface, in bytes.
    pub mtu: u16,
    /// `ifconfig`.
    pub ipv4: Option<Ipv4>,
    /// `ifconfig-ipv6`.
    pub ipv6: Option<Ipv6>,
}

/// The two arguments of `ifconfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Our address in the tunnel.
    pub local: Ipv4Addr,
    /// The second argument.
    pub other: Other,
}

/// What the second argument of `ifconfig` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// The peer's address in the tunnel (point to point).
    Remote(Ipv4Addr),
    /// The netmask (`topology subnet`, `dev tap`).
    Netmask(Ipv4Addr),
}

/// The arguments of `ifconfig-ipv6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Our address in the tunnel.
    pub local: Ipv6Addr,
    /// Length of the prefix, in bits.
    pub bits: u8,
    /// The peer's address in the tunnel.
    pub remote: Option<Ipv6Addr>,
}

/// Why a tunnel script is called; its last argument and `script_context`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The device is opened or closed.
    Init,
    /// `up-restart`: the device stays open.
    Restart,
}

/// A script option that cannot work.
#[derive(Debug)]
pub enum BadScript {
    /// The file does not exist or cannot be executed.
    File {
        /// The option.
        hook: Hook,
        /// The file as written in the option.
        path: String,
        /// What the system says.
        cause: io::Error,
    },
    /// The command line breaks the quoting rules.
    Quoting {
        /// The option.
        hook: Hook,
        /// The command line.
        line: String,
        /// The rule that is broken.
        rule: String,
    },
}

/// A script was not run or did not succeed. For `up`, `down` and `route-pre-down` openvpn exits then.
#[derive(Debug)]
pub struct Failure {
    hook: Hook,
    cause: FailureCause,
}

#[derive(Debug)]
enum FailureCause {
    Disallowed,
    NotStarted(Option<io::Error>),
    Killed,
    Status(i32),
}

/// The scripts of one configuration.
#[derive(Debug, Default)]
pub struct Scripts {
    security: u8,
    commands: Vec<(Hook, Vec<String>)>,
    warned: AtomicBool,
}

impl Scripts {
    /// No scripts yet. `security` is the level of `script-security`: user scripts run from 2 on.
    pub fn new(security: u8) -> Self {
        Self { security, ..Self::default() }
    }

    /// Sets the script of an option; a later one replaces an earlier one.
    ///
    /// # Errors
    /// If the command line breaks the quoting rules or its file is not there or not executable.
    pub fn set(&mut self, hook: Hook, line: &str) -> Result<(), BadScript> {
        let words = split_command(line).map_err(|rule| BadScript::Quoting { hook, line: line.to_owned(), rule })?;
        let path = words.first().map_or("", String::as_str);
        check_executable(path).map_err(|cause| BadScript::File { hook, path: path.to_owned(), cause })?;
        self.commands.retain(|(known, _)| *known != hook);
        self.commands.push((hook, words));
        Ok(())
    }

    /// Whether the option has a script.
    pub fn has(&self, hook: Hook) -> bool {
        self.command(hook).is_some()
    }

    /// What is to be said about `script-security` at the start, if there are scripts.
    pub fn note(&self) -> Option<&'static str> {
        match (self.commands.is_empty(), self.security) {
            (true, _) => None,
            (false, 0 | 1) => Some(
                "NOTE: starting with OpenVPN 2.1, '--script-security 2' or higher is required to call user-defined \
                 scripts or executables",
            ),
            (false, _) => Some(
                "NOTE: the current --script-security setting may allow this configuration to call user-defined \
                 scripts",
            ),
        }
    }

    /// Runs `up` and waits for it.
    ///
    /// # Errors
    /// If there is such a script and it does not succeed; so for all that follow.
    pub fn up(&self, env: &mut Environment, tunnel: &Tunnel, context: Context) -> Result<(), Failure> {
        env.unset("signal");
        self.tunnel_script(Hook::Up, env, tunnel, context)
    }

    /// Runs `down` and waits for it.
    ///
    /// # Errors
    /// The script was not run or did not succeed.
    pub fn down(
        &self,
        env: &mut Environment,
        tunnel: &Tunnel,
        context: Context,
        reason: &Reason,
    ) -> Result<(), Failure> {
        env.set("signal", signal_variable(reason));
        self.tunnel_script(Hook::Down, env, tunnel, context)
    }

    /// Runs `route-up` and waits for it.
    ///
    /// # Errors
    /// The script was not run or did not succeed.
    pub fn route_up(&self, env: &mut Environment) -> Result<(), Failure> {
        self.run(Hook::RouteUp, env, &[])
    }

    /// Runs `route-pre-down` and waits for it.
    ///
    /// # Errors
    /// The script was not run or did not succeed.
    pub fn route_pre_down(&self, env: &mut Environment, tunnel: &Tunnel, reason: &Reason) -> Result<(), Failure> {
        env.set("signal", signal_variable(reason));
        self.tunnel_script(Hook::RoutePreDown, env, tunnel, Context::Init)
    }

    /// Runs `ipchange` and waits for it. The variables `trusted_*` are set even if there is no such script.
    ///
    /// # Errors
    /// The script was not run or did not succeed.
    pub fn ip_change(&self, env: &mut Environment, peer: SocketAddr) -> Result<(), Failure> {
        let (family, variable, other) = match peer.ip() {
            IpAddr::V4(_) => ("AF_INET", "trusted_ip", "trusted_ip6"),
            IpAddr::V6(_) => ("AF_INET6", "trusted_ip6", "trusted_ip"),
        };
        env.unset(other);
        env.set(variable, peer.ip());
        env.set("trusted_port", peer.port());
        // One argument, as openvpn passes it; scripts that use `$*` or an unquoted `$1` see two.
        self.run(Hook::IpChange, env, &[format!("[{family}]{} {}", peer.ip(), peer.port())])
    }

    /// Runs `tls-verify` and waits for it: `depth` is the certificate's place in the chain, where 0 is the peer's own.
    ///
    /// # Errors
    /// The script was not run or says no: the certificate is refused.
    pub fn tls_verify(&self, env: &mut Environment, depth: u8, subject: &str) -> Result<(), Failure> {
        self.run(Hook::TlsVerify, env, &[depth.to_string(), subject.to_owned()])
    }

    fn tunnel_script(
        &self,
        hook: Hook,
        env: &mut Environment,
        tunnel: &Tunnel,
        context: Context,
    ) -> Result<(), Failure> {
        tunnel.describe(env);
        env.set("script_context", context.name());
        let (local, other) = match tunnel.ipv4 {
            None => (String::new(), String::new()),
            Some(Ipv4 { local, other: Other::Remote(other) | Other::Netmask(other) }) => {
                (local.to_string(), other.to_string())
            }
        };
        // The third argument was the link MTU before openvpn 2.6.
        let device = tunnel.device.clone();
        let arguments = [device, tunnel.mtu.to_string(), "0".to_owned(), local, other, context.name().to_owned()];
        if let Some(words) = self.command(hook) {
            log::line(1, format_args!("{} {}", words.join(" "), arguments.join(" ")));
        }
        self.run(hook, env, &arguments)
    }

    fn run(&self, hook: Hook, env: &mut Environment, arguments: &[String]) -> Result<(), Failure> {
        let Some([path, words @ ..]) = self.command(hook) else { return Ok(()) };
        env.set("script_type", hook.option());
        let failed = |cause| Err(Failure { hook, cause });
        if self.security < 2 {
            if !self.warned.swap(true, Ordering::Relaxed) {
                log::warning(format_args!(
                    "WARNING: External program may not be called unless '--script-security 2' or higher is enabled. \
                     See --help text or man page for detailed info."
                ));
            }
            return failed(FailureCause::Disallowed);
        }
        let mut command = Command::new(executable(path));
        command.arg0(path).args(words).args(arguments).env_clear().envs(env.iter());
        match default_signals(&mut command).status().map(|status| status.code()) {
            Ok(Some(0)) => Ok(()),
            // What a shell says of a program that it did not find.
            Ok(Some(127)) => failed(FailureCause::NotStarted(None)),
            Ok(Some(code)) => failed(FailureCause::Status(code)),
            Ok(None) => failed(FailureCause::Killed),
            Err(error) => failed(FailureCause::NotStarted(Some(error))),
        }
    }

    fn command(&self, hook: Hook) -> Option<&[String]> {
        self.commands.iter().find(|(known, _)| *known == hook).map(|(_, words)| words.as_slice())
    }
}

impl Hook {
    /// Name of the option, which is also `script_type`.
    pub const fn option(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::RouteUp => "route-up",
            Self::RoutePreDown => "route-pre-down",
            Self::IpChange => "ipchange",
            Self::TlsVerify => "tls-verify",
        }
    }
}

impl Context {
    const fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Restart => "restart",
        }
    }
}

impl Tunnel {
    /// Sets the variables that tell of the device and its addresses.
    pub fn describe(&self, env: &mut Environment) {
        env.set("dev", &self.device);
        env.set("dev_type", self.device_type);
        env.set("tun_mtu", self.mtu);
        for name in ["local", "remote", "netmask", "ipv6_local", "ipv6_netbits", "ipv6_remote"] {
            env.unset(&format!("ifconfig_{name}"));
        }
        if let Some(Ipv4 { local, other }) = self.ipv4 {
            env.set("ifconfig_local", local);
            match other {
                Other::Remote(remote) => env.set("ifconfig_remote", remote),
                Other::Netmask(netmask) => env.set("ifconfig_netmask", netmask),
            }
        }
        if let Some(Ipv6 { local, bits, remote }) = self.ipv6 {
            env.set("ifconfig_ipv6_local", local);
            env.set("ifconfig_ipv6_netbits", bits);
            if let Some(remote) = remote {
                env.set("ifconfig_ipv6_remote", remote);
            }
        }
    }
}

impl fmt::Display for BadScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { hook, path, cause } => {
                write!(f, "--{} script fails with '{path}': {}", hook.option(), Errno(cause))
            }
            Self::Quoting { hook, line, rule } => {
                write!(f, "--{} script fails with '{line}': {rule}", hook.option())
            }
        }
    }
}

impl std::error::Error for BadScript {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = match self.hook {
            Hook::Up | Hook::Down | Hook::RoutePreDown => "--up/--down",
            Hook::RouteUp => "--route-up",
            Hook::IpChange => "--ipchange",
            Hook::TlsVerify => "--tls-verify script",
        };
        write!(f, "WARNING: Failed running command ({options}): ")?;
        match &self.cause {
            FailureCause::Disallowed => f.write_str("disallowed by script-security setting"),
            FailureCause::NotStarted(None) => f.write_str("could not execute external program"),
            FailureCause::NotStarted(Some(error)) => {
                write!(f, "could not execute external program: {}", Errno(error))
            }
            FailureCause::Killed => f.write_str("external program did not exit normally"),
            FailureCause::Status(code) => write!(f, "external program exited with error status: {code}"),
        }
    }
}

impl std::error::Error for Failure {}

/// The value of the variable `signal`: `sigterm` for a signal from outside, else the cause from within.
fn signal_variable(reason: &Reason) -> String {
    match reason.cause {
        Some(cause) => cause.name().to_owned(),
        None => reason.signal.name().to_ascii_lowercase(),
    }
}

/// The file of a command: without a slash it is one in the current directory, not one of PATH.
fn executable(path: &str) -> OsString {
    if path.contains('/') { path.into() } else { format!("./{path}").into() }
}

fn check_executable(path: &str) -> io::Result<()> {
    if path.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    let file = executable(path);
    if std::fs::metadata(&file)?.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    Ok(access(file.as_os_str(), AccessFlags::X_OK)?)
}

/// Splits a command line by the quoting rules of the config file.
fn split_command(line: &str) -> Result<Vec<String>, String> {
    let words = longcable_core::options::words(line).map_err(|error| error.problem.to_string())?;
    Ok(words.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests;
