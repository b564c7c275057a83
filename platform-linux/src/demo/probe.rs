//! What is done through a link to see how well it works: pings and a TCP transfer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::lab::{Namespace, interrupted};

/// Sends ICMP echo requests of 56 bytes, as ping(8) does, through a raw socket.
#[derive(Debug)]
pub struct Pinger {
    socket: Socket,
    to: SockAddr,
    identifier: u16,
    sequence: u16,
}

impl Pinger {
    /// Pings `to` from the address `from` (unspecified: the one that the route suggests) inside `namespace`.
    ///
    /// # Errors
    /// When raw sockets are not allowed, or `from` is not an address of the namespace.
    pub fn new(namespace: &Namespace, from: Ipv4Addr, to: Ipv4Addr) -> io::Result<Self> {
        static PINGERS: AtomicU16 = AtomicU16::new(1);
        let socket =
            namespace.inside(|| Socket::new(Domain::IPV4, Type::from(libc::SOCK_RAW), Some(Protocol::ICMPV4)))?;
        socket.bind(&SocketAddrV4::new(from, 0).into())?;
        let identifier = PINGERS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { socket, to: SocketAddrV4::new(to, 0).into(), identifier, sequence: 0 })
    }

    /// One round trip. None when no answer has come within `patience`, which is then used up even if the request
    /// could not be sent.
    ///
    /// # Errors
    /// When the socket cannot be set up for it.
    pub fn ping(&mut self, patience: Duration) -> io::Result<Option<Duration>> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = echo_request(self.identifier, self.sequence);
        let start = Instant::now();
        if self.socket.send_to(&request, &self.to).is_err() {
            thread::sleep(patience);
            return Ok(None);
        }
        loop {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            let mut buffer = [0; 128];
            if (&self.socket).read(&mut buffer).is_ok_and(|length| is_reply(&buffer[..length], &request)) {
                return Ok(Some(start.elapsed()));
            }
        }
    }

    /// Pings until an answer comes; the time from `since` to that answer. None when none has come within `patience`.
    /// `stop` is asked between pings and ends the waiting with its error.
    ///
    /// # Errors
    /// Those of [`Self::ping`] and of `stop`.
    pub fn first_answer<E: From<io::Error>>(
        &mut self,
        since: Instant,
        patience: Duration,
        mut stop: impl FnMut() -> Result<(), E>,
    ) -> Result<Option<Duration>, E> {
        while since.elapsed() < patience {
            if self.ping(Duration::from_millis(5))?.is_some() {
                return Ok(Some(since.elapsed()));
            }
            stop()?;
        }
        Ok(None)
    }
}

/// The middle of some figures; zero of none.
pub fn median(figures: &mut [Duration]) -> Duration {
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// What a transfer moved.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    /// Bytes that arrived, all as they were sent.
    pub bytes: u64,
    /// From the first byte to the last, at the receiver.
    pub elapsed: Duration,
}

impl Transfer {
    /// Payload in Mbit/s.
    pub fn megabits_per_second(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e6 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Sends random bytes over TCP from `sender` to `receiver`, which has the address `to`, for `length`; checks each byte.
///
/// # Errors
/// When no connection comes about, nothing moves for five seconds, or what arrives is not what was sent.
pub fn transfer(sender: &Namespace, receiver: &Namespace, to: Ipv4Addr, length: Duration) -> io::Result<Transfer> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let listener = receiver.inside(|| TcpListener::bind((to, 0)))?;
    let target = listener.local_addr()?;
    let mut outgoing = sender.inside(|| TcpStream::connect_timeout(&target, PATIENCE))?;
    let (mut incoming, _) = listener.accept()?;
    outgoing.set_write_timeout(Some(PATIENCE))?;
    incoming.set_read_timeout(Some(PATIENCE))?;

    // An odd length, so that no packet size divides it and a segment in the wrong place shows.
    let mut block = vec![0; 1_000_003];
    StdRng::seed_from_u64(1).fill_bytes(&mut block);
    let (block, start) = (&block, Instant::now());
    thread::scope(|scope| {
        let check = scope.spawn(move || check_stream(&mut incoming, block));
        let sent = send_stream(&mut outgoing, block, || start.elapsed() < length && !check.is_finished());
        // What the receiver found wrong is the better explanation if both ends complain.
        let transfer = check.join().map_err(|_| io::Error::other("the receiver broke"))??;
        let sent = sent?;
        if transfer.bytes == sent {
            Ok(transfer)
        } else {
            Err(io::Error::other(format!("{sent} bytes were sent, {} arrived", transfer.bytes)))
        }
    })
}

/// Sends `block` over and over while `more` says so; the number of bytes sent.
fn send_stream(outgoing: &mut TcpStream, block: &[u8], more: impl Fn() -> bool) -> io::Result<u64> {
    let mut sent = 0;
    while more() && !interrupted() {
        let place = sent % block.len();
        let end = block.len().min(place + 64 * 1024);
        match outgoing.write(&block[place..end]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => sent += result?,
        }
    }
    outgoing.shutdown(Shutdown::Write)?;
    Ok(sent as u64)
}

/// Reads to the end and compares with `block` repeated for ever.
fn check_stream(incoming: &mut TcpStream, block: &[u8]) -> io::Result<Transfer> {
    let mut buffer = vec![0; 128 * 1024];
    let (mut bytes, mut start) = (0, Instant::now());
    loop {
        let length = match incoming.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        };
        if bytes == 0 {
            start = Instant::now();
        }
        let mut arrived = &buffer[..length];
        if arrived.is_empty() {
            return Ok(Transfer { bytes: bytes as u64, elapsed: start.elapsed() });
        }
        while !arrived.is_empty() {
            let place = bytes % block.len();
            let (here, rest) = arrived.split_at(arrived.len().min(block.len() - place));
            if here != &block[place..place + here.len()] {
                return Err(io::Error::new(ErrorKind::InvalidData, format!("wrong content after {bytes} bytes")));
            }
            bytes += here.len();
            arrived = rest;
        }
    }
}

fn echo_request(identifier: u16, sequence: u16) -> [u8; 64] {
    const ECHO_REQUEST: u8 = 8;
    let mut packet = [0x6c; 64];
    packet[..4].copy_from_slice(&[ECHO_REQUEST, 0, 0, 0]);
    packet[4..6].copy_from_slice(&identifier.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    let sum = packet.chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// Whether an IPv4 packet is the answer to `request`: a reply that repeats identifier, sequence and content.
fn is_reply(packet: &[u8], request: &[u8]) -> bool {
    const ECHO_REPLY: u8 = 0;
    let header = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    packet.get(header..).is_some_and(|icmp| icmp.first() == Some(&ECHO_REPLY) && icmp.get(4..) == request.get(4..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_request_is_that_of_the_rfc() {
        for sequence in [0, 1, 0x1234, u16::MAX] {
            let sum = echo_request(7, sequence)
                .chunks(2)
                .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
                .sum::<u32>();
            assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "RFC 792: the sum over all words is minus zero");
        }
    }

    #[test]
    fn only_the_answer_to_the_same_request_counts() {
        let request = echo_request(7, 1);
        let packet = |icmp: [u8; 64]| [&[0x46; 24][..], &icmp].concat();
        let mut reply = request;
        reply[0] = 0;
        assert!(is_reply(&packet(reply), &request), "the header may have options");
        assert!(!is_reply(&packet(request), &request), "that is the request itself");
        assert!(!is_reply(&packet(reply), &echo_request(7, 2)), "a late answer");
        assert!(!is_reply(&packet(reply)[..60], &request), "cut off");
        assert!(!is_reply(&[], &request));
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let mut times = [5, 1, 9].map(Duration::from_secs);
        assert_eq!((median(&mut times), median(&mut [])), (Duration::from_secs(5), Duration::ZERO));
    }
}
