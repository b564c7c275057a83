//! What passes through a tunnel: echoes, TCP with checked content, and the segment sizes that connections agree on.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::{PATIENCE, Site, poll};

const TCP_HEADER: usize = 20;

/// TCP content is made and compared in pieces of so many bytes.
const PIECE: usize = 64 << 10;

/// What a packet is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// Bytes without a pattern, different in each packet.
    Random,
    /// What every compressor likes.
    Zeros,
}

/// Sends echo requests to one address, one at a time; the other site's kernel answers.
pub struct Pinger {
    socket: Socket,
    request: u8,
    sequence: u16,
    random: Random,
    to: IpAddr,
}

impl Pinger {
    /// Pings `to` from this site.
    ///
    /// # Panics
    /// When the kernel knows no echo sockets.
    pub fn new(from: &Site, to: impl Into<IpAddr>) -> Self {
        let to = to.into();
        let (domain, protocol, request) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128),
        };
        let open = || Socket::new(domain, Type::DGRAM, Some(protocol));
        let socket = from.namespace.inside(open).expect("an echo socket");
        Self { socket, request, sequence: 0, random: Random(1), to }
    }

    /// The round trip of one echo with so many bytes of payload. Whether it came back unchanged is checked.
    ///
    /// # Errors
    /// When there is no answer in time, or no way to send.
    ///
    /// # Panics
    /// When the answer's content is not the request's.
    pub fn ping(&mut self, size: usize, filling: Filling, patience: Duration) -> io::Result<Duration> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![self.request, 0, 0, 0, 0, 0, 0, 0];
        packet[6..].copy_from_slice(&self.sequence.to_be_bytes());
        packet.resize(8 + size, 0);
        if filling == Filling::Random {
            self.random.fill(&mut packet[8..]);
        }
        let sent = Instant::now();
        self.socket.send_to(&packet, &SocketAddr::new(self.to, 0).into())?;
        let mut answer = [0; 2048];
        loop {
            let rest = patience.checked_sub(sent.elapsed()).filter(|rest| !rest.is_zero());
            self.socket.set_read_timeout(Some(rest.ok_or(io::ErrorKind::TimedOut)?))?;
            let length = (&self.socket).read(&mut answer)?;
            if answer[6..8] == packet[6..8] {
                assert!(answer[8..length] == packet[8..], "an echo of {size} bytes came back changed");
                return Ok(sent.elapsed());
            }
        }
    }

    /// One echo that has to come back at once.
    ///
    /// # Panics
    /// When it does not.
    pub fn must_answer(&mut self, size: usize, filling: Filling) {
        let result = self.ping(size, filling, Duration::from_secs(3));
        result.unwrap_or_else(|error| panic!("no echo of {size} bytes ({filling:?}) from {}: {error}", self.to));
    }

    /// One echo that must not come back.
    ///
    /// # Panics
    /// When it does.
    pub fn must_not_answer(&mut self, size: usize, filling: Filling) {
        let result = self.ping(size, filling, Duration::from_millis(300));
        assert!(result.is_err(), "an unexpected echo of {size} bytes ({filling:?}) from {}", self.to);
    }

    /// Sends one request and does not wait for the answer.
    pub fn poke(&mut self) {
        // There may be no way to send yet.
        let _ = self.ping(8, Filling::Random, Duration::from_micros(1));
    }

    /// Pings until there is an answer.
    ///
    /// # Panics
    /// When there is none within ten seconds.
    pub fn wait_for_answer(&mut self) {
        self.back_within(PATIENCE);
    }

    /// As [`wait_for_answer`](Self::wait_for_answer), with its own patience; gives how long it took.
    ///
    /// # Panics
    /// When there is no answer in time.
    pub fn back_within(&mut self, patience: Duration) -> Duration {
        let (start, to) = (Instant::now(), self.to);
        let answer = poll(patience, || self.ping(8, Filling::Random, Duration::from_millis(100)).ok());
        answer.unwrap_or_else(|| panic!("no answer from {to} within {patience:?}"));
        start.elapsed()
    }
}

/// Sends so many bytes each way through one connection from `client` to `address` of `server`.
///
/// # Panics
/// When something is lost, damaged or late.
pub fn tcp_check(client: &Site, server: &Site, address: IpAddr, bytes: usize) {
    let listener = server.namespace.inside(|| TcpListener::bind((address, 0))).expect("a listening socket");
    let to = listener.local_addr().expect("its address");
    let connect = || TcpStream::connect_timeout(&to, PATIENCE);
    let near = client.namespace.inside(connect).unwrap_or_else(|error| panic!("no connection to {to}: {error}"));
    let (far, _) = listener.accept().expect("the connection");
    thread::scope(|scope| {
        for (number, stream) in [&near, &far].into_iter().enumerate() {
            stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
            stream.set_write_timeout(Some(PATIENCE)).expect("a time limit");
            scope.spawn(move || send(stream, number, bytes).expect("all sent"));
            scope.spawn(move || receive(stream, 1 - number, bytes));
        }
    });
}

fn send(mut stream: &TcpStream, number: usize, bytes: usize) -> io::Result<()> {
    let (mut random, mut piece) = (Random(number as u64 + 1), vec![0; PIECE]);
    for at in (0..bytes).step_by(PIECE) {
        let piece = &mut piece[..PIECE.min(bytes - at)];
        random.fill(piece);
        stream.write_all(piece)?;
    }
    stream.shutdown(Shutdown::Write)
}

fn receive(mut stream: &TcpStream, number: usize, bytes: usize) {
    let (mut random, mut expected, mut received) = (Random(number as u64 + 1), vec![0; PIECE], vec![0; PIECE]);
    for at in (0..bytes).step_by(PIECE) {
        let length = PIECE.min(bytes - at);
        random.fill(&mut expected[..length]);
        let result = stream.read_exact(&mut received[..length]);
        assert!(result.is_ok(), "{at} of {bytes} bytes received, and less than {PIECE} more: {result:?}");
        assert!(received[..length] == expected[..length], "not as they were sent, from byte {at} of {bytes} on");
    }
    assert_eq!(stream.read(&mut received).expect("the end"), 0, "more than {bytes} bytes received");
}

/// The maximum segment sizes that arrive with the SYN at `server` and with the SYN-ACK at `client`, when a connection
/// is made to this address.
///
/// # Panics
/// When none can be made.
pub fn syn_sizes(client: &Site, server: &Site, address: IpAddr) -> (u16, u16) {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let open = |site: &Site| {
        let open = || Socket::new(domain, Type::RAW, Some(Protocol::TCP));
        site.namespace.inside(open).expect("a raw socket")
    };
    let (near, far) = (open(client), open(server));
    let listener = server.namespace.inside(|| TcpListener::bind((address, 0))).expect("a listening socket");
    let to = listener.local_addr().expect("its address");
    let connection = client.namespace.inside(|| TcpStream::connect_timeout(&to, PATIENCE));
    let connection = connection.unwrap_or_else(|error| panic!("no connection to {to}: {error}"));
    let ports = (connection.local_addr().expect("its address").port(), to.port());
    let with_header = address.is_ipv4();
    (segment_size(&far, ports, with_header), segment_size(&near, (ports.1, ports.0), with_header))
}

/// The size in the first SYN that the raw socket has got from one port to the other; IPv4 sockets get the IP header too.
fn segment_size(socket: &Socket, (source, target): (u16, u16), with_header: bool) -> u16 {
    const SYN: u8 = 2;
    let ports = [source.to_be_bytes(), target.to_be_bytes()].concat();
    socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut packet = [0; 2048];
    loop {
        let length = (&*socket).read(&mut packet).expect("a SYN with a segment size");
        let start = if with_header { usize::from(packet[0] & 15) * 4 } else { 0 };
        let segment = &packet[start..length];
        if segment[..4] == ports && segment[13] & SYN != 0 {
            return option_2(&segment[TCP_HEADER..usize::from(segment[12] >> 4) * 4]);
        }
    }
}

fn option_2(mut options: &[u8]) -> u16 {
    loop {
        match *options {
            [1, ..] => options = &options[1..],
            [2, 4, high, low, ..] => return u16::from_be_bytes([high, low]),
            [_, length, ..] => options = &options[usize::from(length)..],
            _ => panic!("a SYN without a segment size"),
        }
    }
}

/// xorshift: reproducible bytes that do not compress.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[..chunk.len()]);
        }
    }
}
