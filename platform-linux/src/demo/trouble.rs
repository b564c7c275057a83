//! What went wrong, what the programs said about it, and what to do.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};

use nix::errno::Errno;
use nix::unistd::geteuid;

/// Why the demonstration ended early.
#[derive(Debug)]
pub(super) struct Trouble {
    what: String,
    /// The last lines of somebody's log, ready to show.
    log: Vec<String>,
    remedy: String,
}

impl Trouble {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), log: Vec::new(), remedy: remedy.into() }
    }

    /// Something is wrong with a program, which has said this last.
    pub(super) fn with_log(what: String, log: Vec<String>) -> Self {
        Self { what, log, remedy: look_closer() }
    }

    /// The kernel did not let us build the network or mount over its names: mostly a matter of rights.
    pub(super) fn building(error: io::Error) -> Self {
        let remedy = match error.kind() {
            ErrorKind::PermissionDenied => more_rights("make namespaces and mounts"),
            ErrorKind::StorageFull => "Too many namespaces: see /proc/sys/user/max_*_namespaces.".into(),
            ErrorKind::Unsupported => "This kernel may lack veth devices. Try: sudo modprobe veth".into(),
            ErrorKind::ReadOnlyFilesystem => outside_of_container("/proc/sys is read-only"),
            _ => look_closer(),
        };
        Self::new(format!("Cannot build the network: {error}"), remedy)
    }

    /// Whether TUN devices can be had, before anything is built.
    pub(super) fn check_tun() -> Result<(), Self> {
        const DEVICE: &str = "/dev/net/tun";
        let Err(error) = OpenOptions::new().read(true).write(true).open(DEVICE) else { return Ok(()) };
        let remedy = match (error.kind(), error.raw_os_error().map(Errno::from_raw)) {
            (ErrorKind::NotFound, _) => "Load the driver: sudo modprobe tun\n\
                 In a container: start it with --device /dev/net/tun --cap-add NET_ADMIN."
                .into(),
            (_, Some(Errno::ENODEV | Errno::ENXIO)) => "Load the driver: sudo modprobe tun".into(),
            (ErrorKind::PermissionDenied, _) => more_rights("use it"),
            _ => look_closer(),
        };
        Err(Self::new(format!("Cannot open {DEVICE}: {error}"), remedy))
    }

    pub(super) fn interrupted() -> Self {
        Self::new("Interrupted; everything is tidied up.", "")
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string(), look_closer())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.what)?;
        for line in &self.log {
            write!(f, "\n{line}")?;
        }
        match self.remedy.as_str() {
            "" => Ok(()),
            remedy => write!(f, "\n\n{remedy}"),
        }
    }
}

fn look_closer() -> String {
    format!("To look closer: {} --keep --verbose", this_command())
}

/// How this program was called.
fn this_command() -> String {
    let program = std::env::current_exe().map_or_else(|_| "longcable".into(), |path| path.display().to_string());
    std::env::args().skip(1).fold(program, |command, argument| format!("{command} {argument}"))
}

fn more_rights(to_do_what: &str) -> String {
    if geteuid().is_root() {
        outside_of_container(&format!("Root may not {to_do_what}"))
    } else {
        format!("An ordinary user may not {to_do_what} here. Run:\n\n    sudo {}", this_command())
    }
}

fn outside_of_container(what: &str) -> String {
    format!("{what} here, as in a container.\nRun this outside of it, or in one that was started with --privileged.")
}
