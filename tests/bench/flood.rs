//! As many packets as get through, without drowning the programs in those that would not.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use longcable::demo::lab::Namespace;

/// Packets under way at most: enough to keep both programs busy, and few enough for every default queue.
const WINDOW: u64 = 64;

/// What arrived.
pub(crate) struct Flood {
    pub(crate) packets: f64,
    pub(crate) per_second: f64,
}

/// Sends IPv4 packets of `size` bytes for `length`, the next as soon as one of the window has arrived.
pub(crate) fn flood(
    from: &Namespace,
    to: &Namespace,
    address: Ipv4Addr,
    size: usize,
    length: Duration,
) -> io::Result<Flood> {
    const HEADERS: usize = 28;
    let receiver = to.inside(|| UdpSocket::bind((address, 0)))?;
    receiver.set_read_timeout(Some(Duration::from_millis(20)))?;
    let sender = from.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    sender.connect(receiver.local_addr()?)?;

    let (arrived, finished) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 2048];
            while !finished.load(Ordering::Relaxed) {
                if receiver.recv(&mut buffer).is_ok() {
                    arrived.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let payload = vec![0x6c; size - HEADERS];
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
            if sent < now_arrived + WINDOW {
                // A full queue is like a loss.
                let _ = sender.send(&payload);
                sent += 1;
            } else {
                thread::sleep(Duration::from_micros(10));
            }
        }
        let packets = arrived.load(Ordering::Relaxed) as f64;
        let per_second = packets / start.elapsed().as_secs_f64();
        finished.store(true, Ordering::Relaxed);
        Ok(Flood { packets, per_second })
    })
}
