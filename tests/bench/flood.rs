//! As many packets as get through, without drowning the programs in those that would not.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use longcable::demo::lab::Namespace;
use nix::sys::socket::sockopt::{RcvBufForce, UdpGsoSegment};
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg, setsockopt};

/// Packets that one system call sends or receives at most: the generator must not be what is measured.
const BATCH: usize = 32;

/// How packets leave the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// One after the other, as from many programs.
    Single,
    /// A batch as one packet that is cut into pieces as late as possible.
    Segmented,
}

/// What arrived.
pub(crate) struct Flood {
    pub(crate) packets: f64,
    pub(crate) per_second: f64,
}

/// Sends UDP payloads of `size` bytes for `length`, the next as soon as one of the window has arrived.
pub(crate) fn flood(
    from: &Namespace,
    to: &Namespace,
    address: Ipv4Addr,
    size: usize,
    sender: Sender,
    length: Duration,
) -> io::Result<Flood> {
    let receiver = to.inside(|| UdpSocket::bind((address, 0)))?;
    receiver.set_read_timeout(Some(Duration::from_millis(20)))?;
    // Without root in the machine itself the default must do.
    let _ = setsockopt(&receiver, RcvBufForce, &(4 << 20));
    let socket = from.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    socket.connect(receiver.local_addr()?)?;
    if sender == Sender::Segmented {
        setsockopt(&socket, UdpGsoSegment, &i32::try_from(size).map_err(io::Error::other)?)?;
    }

    let (arrived, finished) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !finished.load(Ordering::Relaxed) {
                arrived.fetch_add(receive(&receiver), Ordering::Relaxed);
            }
        });
        let outcome = send(&socket, size, sender, length, &arrived);
        finished.store(true, Ordering::Relaxed);
        outcome
    })
}

fn send(socket: &UdpSocket, size: usize, sender: Sender, length: Duration, arrived: &AtomicU64) -> io::Result<Flood> {
    let batch = BATCH as u64;
    let window = window(size);
    let payload = vec![0x6c; size * BATCH];
    let slices: Vec<_> = payload.chunks(size).map(|payload| [IoSlice::new(payload)]).collect();
    let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
    let start = Instant::now();
    let (mut sent, mut last_arrived, mut progress) = (0_u64, 0, start);
    while start.elapsed() < length {
        let now_arrived = arrived.load(Ordering::Relaxed);
        if now_arrived != last_arrived {
            (last_arrived, progress) = (now_arrived, Instant::now());
        } else if progress.elapsed() > Duration::from_millis(5) {
            // What is still under way is lost: start over.
            (sent, progress) = (now_arrived, Instant::now());
        }
        if sent + batch > now_arrived + window {
            thread::sleep(Duration::from_micros(10));
            continue;
        }
        // A full queue is like a loss.
        match sender {
            Sender::Single => {
                let _ = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, [None; BATCH], [], MsgFlags::empty());
            }
            Sender::Segmented => drop(socket.send(&payload)),
        }
        sent += batch;
    }
    let packets = arrived.load(Ordering::Relaxed) as f64;
    Ok(Flood { packets, per_second: packets / start.elapsed().as_secs_f64() })
}

/// How many packets may be under way: enough to keep both programs busy, and no more memory than every default socket
/// buffer has.
fn window(size: usize) -> u64 {
    const BUFFER: usize = 160_000;
    /// What the kernel counts for a packet besides its bytes.
    const OVERHEAD: usize = 1024;
    (BUFFER / (size + OVERHEAD)) as u64
}

/// Waits for packets; how many there were.
fn receive(socket: &UdpSocket) -> u64 {
    let mut buffers = [[0; 2048]; BATCH];
    let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
    let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
    let received = recvmmsg(socket.as_raw_fd(), &mut headers, &mut slices, MsgFlags::MSG_WAITFORONE, None);
    received.map_or(0, |messages| messages.count() as u64)
}
