//! The log, in openvpn's format (protocol sections 5.5 and 9.3).
//!
//! One log belongs to the process. Messages come through [`line()`] and its sisters or through the `log` crate, whose
//! levels count as these `verb` levels: error and warn 1, info 3, debug 7, trace 9.
//!
//! A message is one line: control characters in it become `_`, so that no peer can forge a line of its own.

mod burst;
mod mute;

pub use burst::{Burst, Omitted};

use crate::local_time::LocalTime;
use mute::{Mute, Verdict};
use std::fmt::{self, Write as _};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the configuration says about the log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// `verb`: messages of a higher level are not shown. 0 shows only what ends the program.
    pub verb: u8,
    /// `mute`: at most so many consecutive messages of one kind; 0 for no limit.
    pub mute: u32,
    /// Where messages go.
    pub destination: Destination,
    /// `suppress-timestamps`.
    pub suppress_timestamps: bool,
    /// `machine-readable-output`: unix time with microseconds, then openvpn's message flags in hexadecimal.
    pub machine_readable: bool,
    /// `errors-to-stderr`: what ends the program goes to standard error.
    pub errors_to_stderr: bool,
}

impl Default for LogOptions {
    /// openvpn's defaults: `verb 1` to standard output.
    fn default() -> Self {
        Self {
            verb: 1,
            mute: 0,
            destination: Destination::Stdout,
            suppress_timestamps: false,
            machine_readable: false,
            errors_to_stderr: false,
        }
    }
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// `log` and `log-append`: standard output and standard error become this file, for scripts too.
    File {
        /// The file; made with mode 0600 if it does not exist.
        path: PathBuf,
        /// Keep what the file holds.
        append: bool,
    },
    /// `syslog` and `daemon`: facility daemon.
    Syslog {
        /// The program name in the messages.
        name: String,
    },
}

/// How bad a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is wrong.
    Info,
    /// The operator should look at it.
    Warning,
    /// Something failed and the program goes on.
    Error,
    /// The program ends because of this.
    Fatal,
}

/// The log file could not be opened; messages stay on standard output.
#[derive(Debug)]
pub struct LogFileError {
    path: PathBuf,
    cause: io::Error,
}

impl fmt::Display for LogFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, cause) = (self.path.display(), Errno(&self.cause));
        write!(f, "Warning: Error redirecting stdout/stderr to --log file: {path}: {cause}")
    }
}

impl std::error::Error for LogFileError {}

/// Sets the log up, or changes it. A log file, once opened, stays open and is not truncated again: it survives
/// SIGHUP (protocol section 5.2).
///
/// # Errors
/// If the log file cannot be opened. Everything else is in force then.
pub fn init(options: LogOptions) -> Result<(), LogFileError> {
    let mut log = lock();
    let mut result = Ok(());
    match &options.destination {
        Destination::Stdout => log.syslog = None,
        Destination::Syslog { name } => log.syslog = Some(Syslog::new(name, Path::new("/dev/log"))),
        Destination::File { path, append } => {
            log.syslog = None;
            if !log.has_file {
                result = redirect(path, *append).map_err(|cause| LogFileError { path: path.clone(), cause });
                log.has_file = result.is_ok();
            }
        }
    }
    log.mute.limit = options.mute;
    log.style = Style::from(&options);
    log.errors_to_stderr = options.errors_to_stderr;
    drop(log);
    // It can be set only once, and it is always the same one.
    let _ = ::log::set_logger(&Bridge);
    set_verb(options.verb);
    result
}

/// The `verb` level in force.
pub fn verb() -> u8 {
    VERB.load(Ordering::Relaxed)
}

/// Changes the `verb` level.
pub fn set_verb(level: u8) {
    VERB.store(level, Ordering::Relaxed);
    lock().style.micros = level >= 4;
    ::log::set_max_level(match level {
        0 => ::log::LevelFilter::Off,
        1 | 2 => ::log::LevelFilter::Warn,
        3..=6 => ::log::LevelFilter::Info,
        7 | 8 => ::log::LevelFilter::Debug,
        _ => ::log::LevelFilter::Trace,
    });
}

/// Writes a message that is shown from `verb` level `level` on.
pub fn line(level: u8, text: fmt::Arguments<'_>) {
    record(Severity::Info, level, text);
}

/// Writes a warning, shown from `verb 1` on.
pub fn warning(text: fmt::Arguments<'_>) {
    record(Severity::Warning, 1, text);
}

/// Writes about a failure that the program survives, shown from `verb 1` on.
pub fn error(text: fmt::Arguments<'_>) {
    record(Severity::Error, 1, text);
}

/// Writes why the program ends. Shown at every `verb` level.
pub fn fatal(text: fmt::Arguments<'_>) {
    record(Severity::Fatal, 0, text);
}

/// Writes one character for a packet at `verb 5`: `R` and `W` for the link, `r` and `w` for the tunnel.
pub fn traffic(mark: char) {
    if verb() == 5 {
        let log = lock();
        if log.syslog.is_none() {
            print(&mark.to_string());
        }
    }
}

/// Says what `mute` holds back so far. To be called before the program ends.
pub fn flush() {
    let mut log = lock();
    let held_back = log.mute.finish();
    log.tell_held_back(held_back);
}

/// An error of the system as openvpn words it: `No such file or directory (errno=2)`.
#[derive(Debug)]
pub struct Errno<'e>(pub &'e io::Error);

impl fmt::Display for Errno<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.raw_os_error() {
            Some(code) => write!(f, "{} (errno={code})", nix::errno::Errno::from_raw(code).desc()),
            None => write!(f, "{}", self.0),
        }
    }
}

static VERB: AtomicU8 = AtomicU8::new(1);
static LOG: Mutex<Log> = Mutex::new(Log {
    style: Style { timestamps: Timestamps::Local, micros: false },
    mute: Mute::new(),
    syslog: None,
    has_file: false,
    errors_to_stderr: false,
});

struct Log {
    style: Style,
    mute: Mute,
    syslog: Option<Syslog>,
    /// Standard output is the log file already.
    has_file: bool,
    errors_to_stderr: bool,
}

fn lock() -> MutexGuard<'static, Log> {
    // A thread that panicked while it wrote leaves a log that still works.
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record(severity: Severity, level: u8, text: fmt::Arguments<'_>) {
    if level > verb() && severity != Severity::Fatal {
        return;
    }
    let mut message = OneLine(String::with_capacity(128));
    // A Display that fails has at least said something.
    let _ = message.write_fmt(text);
    lock().message(severity, level, &message.0);
}

impl Log {
    fn message(&mut self, severity: Severity, level: u8, text: &str) {
        match self.mute.judge(text) {
            _ if severity == Severity::Fatal => self.write(severity, level, text),
            Verdict::Show(held_back) => {
                self.tell_held_back(held_back);
                self.write(severity, level, text);
            }
            Verdict::Announce => self.write(Severity::Info, 1, "NOTE: --mute triggered..."),
            Verdict::Hide => {}
        }
    }

    fn tell_held_back(&mut self, count: u32) {
        if count > 0 {
            let limit = self.mute.limit;
            let text = format!("{count} variation(s) on previous {limit} message(s) suppressed by --mute");
            self.write(Severity::Info, 1, &text);
        }
    }

    fn write(&mut self, severity: Severity, level: u8, text: &str) {
        let now = LocalTime::now();
        if let Some(syslog) = &mut self.syslog {
            syslog.send(severity, now, text);
            return;
        }
        let line = self.style.format(severity, level, now, text);
        if self.errors_to_stderr && severity == Severity::Fatal {
            let _ = io::stderr().write_all(line.as_bytes());
        } else {
            print(&line);
        }
    }
}

/// Writes to standard output. If nobody reads it any more, there is nobody to tell.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[derive(Clone, Copy, Debug)]
struct Style {
    timestamps: Timestamps,
    /// Show microseconds, as from `verb 4` on.
    micros: bool,
}

#[derive(Clone, Copy, Debug)]
enum Timestamps {
    None,
    Local,
    Machine,
}

impl Style {
    fn format(self, severity: Severity, level: u8, now: LocalTime, text: &str) -> String {
        match self.timestamps {
            Timestamps::None => format!("{text}\n"),
            Timestamps::Local if self.micros => format!("{now} us={} {text}\n", now.micros),
            Timestamps::Local => format!("{now} {text}\n"),
            Timestamps::Machine => {
                let flags = severity.flag() | u32::from(level);
                format!("{}.{:06} {flags:x} {text}\n", now.unix, now.micros)
            }
        }
    }
}

impl From<&LogOptions> for Style {
    fn from(options: &LogOptions) -> Self {
        let timestamps = match (options.machine_readable, options.suppress_timestamps) {
            (true, _) => Timestamps::Machine,
            (false, true) => Timestamps::None,
            (false, false) => Timestamps::Local,
        };
        Self { timestamps, micros: options.verb >= 4 }
    }
}

impl Severity {
    /// openvpn's message flag.
    const fn flag(self) -> u32 {
        match self {
            Self::Info => 0,
            Self::Fatal => 0x10,
            Self::Error => 0x20,
            Self::Warning => 0x40,
        }
    }

    /// The priority of the syslog protocol.
    const fn syslog(self) -> libc::c_int {
        match self {
            Self::Info => libc::LOG_NOTICE,
            Self::Warning => libc::LOG_WARNING,
            Self::Error | Self::Fatal => libc::LOG_ERR,
        }
    }
}

/// The system's log. It is connected again when the daemon behind it has been restarted; messages in between are lost.
struct Syslog {
    name: String,
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    /// Connects at once: later the process may be in another root directory.
    fn new(name: &str, path: &Path) -> Self {
        Self { name: name.to_owned(), path: path.to_owned(), socket: Self::connect(path) }
    }

    fn connect(path: &Path) -> Option<UnixDatagram> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(path).ok()?;
        // A log daemon that hangs must not stop the tunnel.
        socket.set_nonblocking(true).ok()?;
        Some(socket)
    }

    fn send(&mut self, severity: Severity, now: LocalTime, text: &str) {
        let datagram = self.format(severity, now, text);
        let sent = self.socket.as_ref().is_some_and(|socket| match socket.send(datagram.as_bytes()) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        });
        if !sent {
            self.socket = Self::connect(&self.path);
            if let Some(socket) = &self.socket {
                let _ = socket.send(datagram.as_bytes());
            }
        }
    }

    fn format(&self, severity: Severity, now: LocalTime, text: &str) -> String {
        let priority = libc::LOG_DAEMON | severity.syslog();
        format!("<{priority}>{} {}[{}]: {text}", now.syslog(), self.name, std::process::id())
    }
}

/// Makes the file standard output and standard error.
fn redirect(path: &Path, append: bool) -> io::Result<()> {
    // Always in append mode, so that a tool which empties the file leaves no hole behind.
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if !append && file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    io::stdout().flush()?;
    nix::unistd::dup2_stdout(&file)?;
    nix::unistd::dup2_stderr(&file)?;
    Ok(())
}

struct OneLine(String);

impl fmt::Write for OneLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.chars().map(|c| if c.is_control() && c != '\t' { '_' } else { c }));
        Ok(())
    }
}

struct Bridge;

impl ::log::Log for Bridge {
    fn enabled(&self, metadata: &::log::Metadata<'_>) -> bool {
        metadata.level() <= ::log::max_level()
    }

    fn log(&self, message: &::log::Record<'_>) {
        let (severity, level) = match message.level() {
            ::log::Level::Error => (Severity::Error, 1),
            ::log::Level::Warn => (Severity::Warning, 1),
            ::log::Level::Info => (Severity::Info, 3),
            ::log::Level::Debug => (Severity::Info, 7),
            ::log::Level::Trace => (Severity::Info, 9),
        };
        record(severity, level, *message.args());
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests;
