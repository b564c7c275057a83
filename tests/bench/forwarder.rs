//! A bare forwarder: a TUN device, a UDP socket, and between them the fewest system calls with which a program that sleeps
//! until a packet comes can move it. So much of a round trip is wake-ups and the kernel's own way; the rest is a link's own.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, ExitCode};

use longcable::demo::lab::Namespace;
use longcable::net::{InterfaceAddress, Netlink};
use longcable::tun::{InterfaceConfig, Tun, TunOptions};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::kind::End;
use crate::process::Process;

/// The first argument of this program when it only forwards packets; the other is the name of its end.
pub(crate) const WORKER: &str = "--forward-packets";

const PORT: u16 = 1194;

/// The MTU of a TUN device: so large is a packet at most.
const PACKET_MAX: usize = 1500;

/// Starts this program once more, at one end.
pub(crate) fn start(namespace: &Namespace, end: End, directory: &Path) -> io::Result<Process> {
    let mut command = Command::new(env::current_exe()?);
    command.args([WORKER, end.name()]);
    Process::start(namespace, &mut command, directory.join(end.name()).with_extension("log"))
}

/// What runs at that end, until it is ended.
pub(crate) fn worker(arguments: &[&str]) -> ExitCode {
    let end = [End::A, End::B].into_iter().find(|end| arguments == [end.name()]);
    let Some(Err(error)) = end.map(forward) else { return ExitCode::FAILURE };
    eprintln!("bare forwarder: {error}");
    ExitCode::FAILURE
}

fn forward(end: End) -> Result<Infallible, Box<dyn Error>> {
    let tun = Tun::open(TunOptions::default())?;
    let address = InterfaceAddress::Subnet { local: IpAddr::V4(end.inner()), prefix: 24 };
    let config = InterfaceConfig { addresses: vec![address], ..InterfaceConfig::default() };
    tun.configure(&Netlink::open()?, &config)?;
    let socket = UdpSocket::bind((end.outer(), PORT))?;
    socket.connect((end.other().outer(), PORT))?;
    socket.set_nonblocking(true)?;

    let mut packet = [0; PACKET_MAX];
    loop {
        let mut sources = [tun.as_fd(), socket.as_fd()].map(|source| PollFd::new(source, PollFlags::POLLIN));
        poll(&mut sources, PollTimeout::NONE)?;
        let [from_tun, from_socket] = sources.map(|source| source.any() != Some(false));
        // One packet, and poll says whether there are more: to read until none is left would be one call more for a ping.
        // What the other end or the network does not take is lost.
        if from_tun && let Some(length) = tun.read(&mut packet)? {
            let _ = socket.send(&packet[..length]);
        }
        if from_socket && let Ok(length) = socket.recv(&mut packet) {
            let _ = tun.write(&packet[..length]);
        }
    }
}
