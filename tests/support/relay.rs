//! A network that loses packets and changes their order, between two ends that do not notice that it is there.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use longcable::link::udp::{Family, Received, UdpLink, UdpOptions};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::traffic::Random;
use super::{Lab, Site};

/// Where the left end finds its peer, and where the right end does: both at the right site.
pub const PORTS: [u16; 2] = [2194, 2195];

/// One datagram of so many is lost.
const LOST: u64 = 1500;

/// One of so many is late.
const LATE: u64 = 300;

/// So many that were sent later come before it.
const OVERTAKEN: usize = 4;

/// What it has done so far.
#[derive(Debug, Default)]
pub struct Damage {
    /// Datagrams that were lost.
    pub lost: AtomicU64,
    /// Datagrams that were overtaken.
    pub late: AtomicU64,
}

/// Passes datagrams on between the two ends, which use port 1194, until `done`. Takes and gives many with one call.
///
/// # Panics
/// When a socket cannot be opened.
pub fn run(lab: &Lab, damage: &Damage, done: &AtomicBool) {
    let sockets = PORTS.map(|port| open(&lab.right, port));
    let ends = [&lab.left, &lab.right].map(|site| SocketAddr::new(site.outside.into(), 1194));
    let mut random = Random(6);
    let mut buffer = vec![0; 65_535];
    while !done.load(Relaxed) {
        let mut entries = sockets.each_ref().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        // Interrupted: as if nothing were ready.
        let _ = poll(&mut entries, PollTimeout::from(50_u8));
        for (side, socket) in sockets.iter().enumerate() {
            let (Received::Datagram { length, .. }, each) = socket.receive_batch(&mut buffer) else { continue };
            let mut passed: Vec<&[u8]> = Vec::new();
            let mut late: Option<(usize, &[u8])> = None;
            for datagram in buffer[..length].chunks(each.max(1)) {
                let mut drawn = [0; 8];
                random.fill(&mut drawn);
                let drawn = u64::from_le_bytes(drawn);
                if drawn.is_multiple_of(LOST) {
                    damage.lost.fetch_add(1, Relaxed);
                } else if drawn.is_multiple_of(LATE) && late.is_none() {
                    late = Some((passed.len() + OVERTAKEN, datagram));
                } else {
                    passed.push(datagram);
                }
                if let Some((_, datagram)) = late.take_if(|(at, _)| *at == passed.len()) {
                    passed.push(datagram);
                    damage.late.fetch_add(1, Relaxed);
                }
            }
            passed.extend(late.map(|(_, datagram)| datagram));
            let parts: Vec<_> = passed.into_iter().map(IoSlice::new).collect();
            // What does not go is lost like any other.
            sockets[1 - side].send_batch(&parts, ends[1 - side], |_| {});
        }
    }
}

fn open(site: &Site, port: u16) -> UdpLink {
    let local = Some(SocketAddr::new(IpAddr::V4(site.outside), port));
    let options = UdpOptions { family: Family::V4, local, ..UdpOptions::default() };
    let socket = site.namespace.inside(|| UdpLink::open(&options).map_err(io::Error::other)).expect("a UDP socket");
    socket.set_batches(true);
    socket
}
