//! What systemd wants to know of a service with `Type=notify`.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::{env, io, process};

/// Whether systemd started this process and waits to be told; it wants the process itself, so it must not fork.
pub fn is_waiting() -> bool {
    notify("READY=0")
}

/// Tells systemd that the start is over; whether the link comes up is another question.
pub fn ready() {
    let status = "Pre-connection initialization successful";
    notify(&format!("READY=1\nSTATUS={status}\nMAINPID={}", process::id()));
}

fn notify(message: &str) -> bool {
    env::var_os("NOTIFY_SOCKET").is_some_and(|name| send(&name, message).is_ok())
}

/// Sends to a path, or to a name in the abstract namespace, which begins with `@`.
fn send(name: &OsStr, message: &str) -> io::Result<()> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}
