//! From the command line to a running link: openvpn's program, `longcable demo` and `longcable migrate`.

use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use longcable_core::control::{Protection, ProtectionError};
use longcable_core::crypto::StaticKey;
use longcable_core::event::{Cause, Event, Reason, Signal};
use longcable_core::options::{ControlKey, DeviceKind, KeySource, LinkConfig, Remote, Side, options_string};
use longcable_core::peer::Keys;

use crate::config::{HostConfig, KeyKind, Loaded, Mode, Sources, print_help};
use crate::daemon::{self, PidFile};
use crate::environment::Environment;
use crate::event_loop::{self, Check, EventLoop, Linux};
use crate::failure::Fatal;
use crate::log::{self, Destination};
use crate::privileges::{self, Identity};
use crate::scripts::Scripts;
use crate::signals::Signals;
use crate::tls::{TlsContext, TlsStack};
use crate::tun::{Tun, TunOptions};
use crate::tunnel::{Plan, Tunnel};
use crate::{demo, migrate, standalone, systemd};

/// The first line of `--version`; scripts look for the version in it.
pub const VERSION: &str = concat!("longcable ", env!("CARGO_PKG_VERSION"), " (speaks OpenVPN 2.6)");

/// Runs the program with these arguments (without its name).
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    run_with::<TlsContext>(arguments)
}

/// As [`run`], with another TLS stack for links.
pub fn run_with<S: TlsStack>(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments == ["-h"] {
        arguments = vec!["--help".into()];
    }
    match arguments.first().and_then(|first| first.to_str()) {
        Some("demo") => return demo::run(arguments.into_iter().skip(1)),
        Some("migrate") => return migrate::run(arguments.into_iter().skip(1)),
        _ => {}
    }
    // Without a current directory only absolute paths work, and errors say what is missing.
    let mut process = Process { directory: env::current_dir().unwrap_or_default(), ..Process::default() };
    loop {
        match start::<S>(&arguments, &mut process) {
            Ok(Next::ReadConfigurationAnew) => {}
            Ok(Next::Exit(code)) => {
                log::flush();
                return code;
            }
            Err(fatal) => {
                for line in fatal.to_string().lines() {
                    log::fatal(format_args!("{line}"));
                }
                log::fatal(format_args!("Exiting due to fatal error"));
                log::flush();
                return ExitCode::FAILURE;
            }
        }
    }
}

/// What belongs to the process and outlives a restart with a new configuration.
#[derive(Default)]
struct Process {
    /// Where it was started: `cd` counts from there, also when the configuration is read anew.
    directory: PathBuf,
    signals: Option<Signals>,
    pid_file: Option<PidFile>,
    detached: bool,
    settled: bool,
    /// systemd has been told.
    ready: bool,
}

enum Next {
    ReadConfigurationAnew,
    Exit(ExitCode),
}

fn start<S: TlsStack>(arguments: &[OsString], process: &mut Process) -> Result<Next, Fatal> {
    let sources = Sources::load(arguments.iter().cloned(), &process.directory).map_err(Fatal::new)?;
    let Loaded { mode, link, host, warnings, notes } = sources.parse().map_err(Fatal::new)?;
    let done = |result: io::Result<()>| result.map(|()| Next::Exit(ExitCode::SUCCESS)).map_err(Fatal::new);
    let mut out = io::stdout().lock();
    match mode {
        Mode::Link => {}
        Mode::Help if arguments.is_empty() => {
            print_help(&mut out).map_err(Fatal::new)?;
            return Ok(Next::Exit(ExitCode::FAILURE));
        }
        Mode::Help => return done(print_help(&mut out)),
        Mode::Version => return done(print_version(&mut out)),
        Mode::GenerateKey(KeyKind::Static, file) => return done(standalone::genkey(file.as_deref())),
        Mode::GenerateKey(KeyKind::TlsCryptV2Server, file) => {
            return done(standalone::genkey_tls_crypt_v2_server(file.as_deref()));
        }
        Mode::GenerateKey(KeyKind::TlsCryptV2Client { metadata }, file) => {
            let ControlKey::CryptV2(KeySource::Inline(server_key)) = link.tls.wrapping else {
                return Err(Fatal::new("Options error: option 'tls-crypt-v2': the server's key was not read"));
            };
            let (metadata, file) = (metadata.as_deref(), file.as_deref());
            return done(standalone::genkey_tls_crypt_v2_client(server_key, metadata, file));
        }
        Mode::ShowTls => return done(standalone::show_tls(&mut out)),
        Mode::ShowGroups => return done(standalone::show_groups(&mut out)),
        Mode::TestCrypto => {
            return done(standalone::test_crypto(link.suite(), &key(&link, &host)?, link.direction(), &mut out));
        }
        Mode::ShowCiphers => return done(standalone::show_ciphers(&mut out)),
        Mode::ShowDigests => return done(standalone::show_digests(&mut out)),
        Mode::MakeTun | Mode::RemoveTun => return persistent_device(&link, &host, mode == Mode::MakeTun),
    }
    drop(out);
    let start = process.directory.clone();
    let check = move || check::<S>(arguments, &start);
    run_link::<S>(&link, &host, &warnings, &notes, process, Box::new(check))
        .map_err(|fatal| fatal.at(|option| sources.place_of(option)))
}

/// What SIGHUP asks first: whether the configuration, as it is now, can take the place of the one in use.
fn check<S: TlsStack>(arguments: &[OsString], start: &Path) -> Result<(), Fatal> {
    let sources = Sources::load(arguments.iter().cloned(), start).map_err(Fatal::new)?;
    let Loaded { mode, link, host, .. } = sources.parse().map_err(Fatal::new)?;
    if mode != Mode::Link {
        return Err(Fatal::new("Options error: this is no configuration of a link any more"));
    }
    let here = env::current_dir();
    if let Some(directory) = &host.cd {
        daemon::change_directory(directory).map_err(Fatal::new)?;
    }
    // What there is to say is said when it is used.
    let verb = log::verb();
    log::set_verb(0);
    let usable = Prepared::<S>::new(&link, &host)
        .and_then(|Prepared { keys, .. }| check_files(&host).and_then(|()| event_loop::check(&link, keys)))
        .map_err(|fatal| fatal.at(|option| sources.place_of(option)));
    log::set_verb(verb);
    if let Ok(here) = here {
        daemon::change_directory(&here).map_err(Fatal::new)?;
    }
    usable
}

/// Whether the files that a link writes can be opened, perhaps with fewer privileges than at the start.
fn check_files(host: &HostConfig) -> Result<(), Fatal> {
    let status = host.status.as_ref().map(|status| ("status", status.path.as_path()));
    let replays = host.replay_persist.as_deref().map(|path| ("replay-persist", path));
    for (option, path) in status.into_iter().chain(replays) {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| Fatal::new(format!("Options error: --{option} {}: {error}", path.display())))?;
    }
    Ok(())
}

fn run_link<S: TlsStack>(
    link: &LinkConfig<'_>,
    host: &HostConfig,
    warnings: &[String],
    notes: &[String],
    process: &mut Process,
    check: Check<'_>,
) -> Result<Next, Fatal> {
    // First of all: a SIGUSR1 or SIGHUP of a script that looks after all links must not end one that is about to start.
    let signals = match process.signals.take() {
        Some(signals) => signals,
        None => Signals::new().map_err(|error| Fatal::new(format!("Cannot take over signals: {error}")))?,
    };
    let signals = process.signals.insert(signals);
    if let Some(directory) = &host.cd {
        daemon::change_directory(directory).map_err(Fatal::new)?;
    }
    if let Err(error) = log::init(host.log.clone()) {
        log::warning(format_args!("{error}"));
    }
    for note in notes {
        log::line(3, format_args!("{note}"));
    }
    for warning in warnings {
        log::warning(format_args!("{warning}"));
    }
    log::line(1, format_args!("{VERSION}"));
    let Prepared { keys, tls, scripts, plan } = Prepared::<S>::new(link, host)?;
    for (side, whose) in [(Side::Local, "Local"), (Side::Remote, "Expected Remote")] {
        let mut options = String::new();
        // A String takes any text.
        let _ = options_string(link, side, &mut options);
        log::line(4, format_args!("{whose} Options String (VER=V4): '{options}'"));
    }

    if (host.user.is_some() || host.group.is_some() || host.chroot.is_some()) && !link.persist_tun {
        log::warning(format_args!(
            "WARNING: 'user', 'group' or 'chroot' without persist-tun -- this may cause restarts to fail: the device \
             cannot be opened again; add 'persist-tun'"
        ));
    }
    let is_name = |remote: &Remote<'_>| remote.host.parse::<IpAddr>().is_none();
    if host.chroot.is_some() && link.remotes.iter().any(is_name) {
        log::warning(format_args!(
            "WARNING: with 'chroot', names resolve after the start only if etc/resolv.conf and etc/hosts are in it"
        ));
    }

    // After the first time there is no way back, and what is looked up here may be out of reach.
    let identity = match process.settled {
        true => None,
        false => Some(Identity::resolve(host.user.as_deref(), host.group.as_deref(), host.chroot.as_deref())),
    };
    let identity = identity.transpose().map_err(Fatal::new)?;
    if let Some(note) = scripts.note() {
        log::warning(format_args!("{note}"));
    }
    if host.daemon && !process.detached {
        if !systemd::is_waiting() {
            let to_file = matches!(host.log.destination, Destination::File { .. });
            daemon::detach(if to_file { daemon::Output::LogFile } else { daemon::Output::Null }).map_err(Fatal::new)?;
        }
        process.detached = true;
    }
    if process.pid_file.is_none() {
        process.pid_file = host.writepid.as_deref().map(PidFile::write).transpose().map_err(Fatal::new)?;
    }

    let environment = environment(link, host);
    if let Some(tls) = &tls {
        tls.set_environment(environment.clone());
    }
    let tunnel = Tunnel::new(link, host, plan, scripts, environment)?;
    let settled = &mut process.settled;
    let settle = move || {
        let Some(identity) = identity else { return Ok(()) };
        host.nice.map_or(Ok(()), privileges::set_nice).map_err(Fatal::new)?;
        if host.mlock {
            privileges::lock_memory().map_err(Fatal::new)?;
        }
        if host.daemon && host.cd.is_none() {
            daemon::change_directory(Path::new("/")).map_err(Fatal::new)?;
        }
        if identity.changes_something() {
            identity.assume().map_err(Fatal::new)?;
        }
        *settled = true;
        Ok(())
    };
    let mut event_loop = EventLoop::new(link, host, keys, tls, tunnel, Box::new(settle))?;
    if !std::mem::replace(&mut process.ready, true) {
        systemd::ready();
    }
    let reason = event_loop.run(signals, &check)?;
    Ok(match reason {
        Reason { signal: Signal::Hup | Signal::Usr1, .. } => {
            log::line(1, format_args!("{}", Event::Restarting(reason)));
            Next::ReadConfigurationAnew
        }
        Reason { cause: Some(Cause::Resolve | Cause::Socket), .. } => {
            log::fatal(format_args!("{}", Event::Exiting(reason)));
            Next::Exit(ExitCode::FAILURE)
        }
        Reason { cause: Some(Cause::RetriesUsedUp), .. } => {
            log::fatal(format_args!("Exiting due to fatal error"));
            Next::Exit(ExitCode::FAILURE)
        }
        _ => {
            log::line(1, format_args!("{}", Event::Exiting(reason)));
            Next::Exit(ExitCode::SUCCESS)
        }
    })
}

/// What a link is made of, read and found good.
struct Prepared<'c, S: TlsStack> {
    keys: Box<Keys<Linux<S::Session<'c>>>>,
    tls: Option<S>,
    scripts: Scripts,
    plan: Plan,
}

impl<'c, S: TlsStack> Prepared<'c, S> {
    fn new(link: &'c LinkConfig<'c>, host: &'c HostConfig) -> Result<Self, Fatal> {
        let (keys, tls) = keys::<S>(link, host)?;
        let mut scripts = Scripts::new(host.script_security);
        for (hook, command) in &host.scripts {
            scripts.set(*hook, command).map_err(|error| Fatal::new(format!("Options error: {error}")))?;
        }
        Ok(Self { keys, tls, scripts, plan: Plan::new(link)? })
    }
}

/// On the heap: room for them on the stack would stay taken as long as the link runs.
type KeysWith<'c, S> = (Box<Keys<Linux<<S as TlsStack>::Session<'c>>>>, Option<S>);

/// What authenticates the link.
fn keys<'c, S: TlsStack>(link: &'c LinkConfig<'c>, host: &'c HostConfig) -> Result<KeysWith<'c, S>, Fatal> {
    let Some(role) = link.tls.role else {
        let key = key(link, host)?;
        for (level, line) in standalone::key_listing(link.suite(), &key, link.direction()) {
            log::line(level, format_args!("{line}"));
        }
        return Ok((Box::new(Keys::Static(key)), None));
    };
    let (stack, sessions) = S::open(link, host)?;
    let protection = Protection::new(link, role).map_err(|error| wrapping_error(link, host, &error))?;
    Ok((Box::new(Keys::Tls { protection, sessions, memory: event_loop::tls_memory() }), Some(stack)))
}

/// What is wrong with the key of the control channel.
fn wrapping_error(link: &LinkConfig<'_>, host: &HostConfig, error: &ProtectionError) -> Fatal {
    let (option, text) = match link.tls.wrapping {
        ControlKey::Auth(KeySource::Inline(text)) => ("tls-auth", text),
        ControlKey::Crypt(KeySource::Inline(text)) => ("tls-crypt", text),
        ControlKey::CryptV2(KeySource::Inline(text)) => ("tls-crypt-v2", text),
        _ => return Fatal::new(format!("Options error: {error}")),
    };
    let what = match (option, error) {
        (_, ProtectionError::Unsupported | ProtectionError::NotRead(_)) => "",
        ("tls-crypt-v2", _) if text.contains("-----BEGIN OpenVPN Static key") => {
            "; it is a key for 'tls-crypt' or 'tls-auth'"
        }
        ("tls-crypt" | "tls-auth", _) if text.contains("-----BEGIN OpenVPN tls-crypt-v2") => {
            "; it is a key for 'tls-crypt-v2'"
        }
        _ if text.contains(" PRIVATE KEY-----") || text.contains(" CERTIFICATE-----") => {
            "; it is a certificate or its key, and 'longcable --genkey tls-crypt FILE' makes what is needed here"
        }
        _ => "",
    };
    match &host.wrapping_file {
        Some(file) => Fatal::of_option(option, format_args!("the key file '{}': {error}{what}", file.display())),
        None => Fatal::of_option(option, format_args!("the inline key: {error}{what}")),
    }
}

/// The static key; the text of a key file has been read by now.
fn key(link: &LinkConfig<'_>, host: &HostConfig) -> Result<StaticKey, Fatal> {
    match link.secret {
        Some(KeySource::Inline(text)) => StaticKey::parse(text).map_err(|error| match &host.secret_file {
            Some(file) => Fatal::of_option("secret", format_args!("the key file '{}': {error}", file.display())),
            None => Fatal::of_option("secret", format_args!("the inline key: {error}")),
        }),
        Some(KeySource::File(file)) => Err(Fatal::new(format!("Options error: the key file '{file}' was not read"))),
        None => Err(Fatal::new("Options error: there is no static key: set 'secret FILE'")),
    }
}

/// The variables that scripts see from the start (protocol section 5.4).
fn environment(link: &LinkConfig<'_>, host: &HostConfig) -> Environment {
    let mut environment = host.environment.clone();
    environment.set("daemon", u8::from(host.daemon));
    environment.set("daemon_log_redirect", u8::from(matches!(host.log.destination, Destination::File { .. })));
    environment.set("daemon_pid", std::process::id());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    environment.set("daemon_start_time", now.as_secs());
    environment.set("verb", host.log.verb);
    if let Some(file) = &host.config_file {
        environment.set("config", file);
    }
    environment.set("redirect_gateway", 0);
    for index in 0..link.remotes.len().max(1) {
        let (connection, remote, number) = (link.connection_of(index), link.remotes.get(index), index + 1);
        environment.set(&format!("proto_{number}"), "udp");
        if let Some(remote) = remote {
            environment.set(&format!("remote_{number}"), remote.host);
        }
        let port = remote.map_or(connection.remote_port, |remote| connection.port_of(remote));
        environment.set(&format!("remote_port_{number}"), port);
        environment.set(&format!("local_port_{number}"), connection.local_port);
        if let Some(local) = connection.local {
            environment.set(&format!("local_{number}"), local);
        }
    }
    environment
}

/// `mktun` and `rmtun`: a device that stays when no program has it open.
fn persistent_device(link: &LinkConfig<'_>, host: &HostConfig, make: bool) -> Result<Next, Fatal> {
    let name = link.device_name().map(|name| name.to_string());
    if link.device == DeviceKind::Null || (name.is_none() && !make) {
        return Err(Fatal::new("Options error: name the device, as in '--dev tun0'"));
    }
    let tun = Tun::open(TunOptions { name: name.as_deref(), node: &host.dev_node }).map_err(Fatal::new)?;
    if make {
        let owner = |kind, name: &Option<String>, find: &dyn Fn(&str) -> Option<u32>| {
            let Some(name) = name else { return Ok(None) };
            find(name).map(Some).ok_or_else(|| Fatal::new(format!("Options error: there is no {kind} '{name}'")))
        };
        let user = |name: &str| Some(nix::unistd::User::from_name(name).ok()??.uid.as_raw());
        let group = |name: &str| Some(nix::unistd::Group::from_name(name).ok()??.gid.as_raw());
        tun.set_owner(owner("user", &host.user, &user)?, owner("group", &host.group, &group)?).map_err(Fatal::new)?;
    }
    tun.persist(make).map_err(Fatal::new)?;
    let state = if make { "ON" } else { "OFF" };
    log::line(1, format_args!("Persist state of {} set to: {state}", tun.name()));
    Ok(Next::Exit(ExitCode::SUCCESS))
}

fn print_version(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{VERSION}")?;
    writeln!(out, "An OpenVPN endpoint written from scratch; licence MIT or Apache-2.0")
}
