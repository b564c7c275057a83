//! Sinks: they swallow what comes, and count it.

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_time::{Duration, Instant, with_timeout};

use super::{BUFFER, GONE, end};

const SINK: u16 = 5001;
/// A UDP flow that has been quiet for so long is over.
const QUIET: Duration = Duration::from_secs(1);

/// Starts both.
pub(super) fn start(spawner: Spawner, stack: Stack<'static>) {
    spawner.spawn(udp_sink(stack).expect("it is started once"));
    spawner.spawn(tcp_sink(stack).expect("it is started once"));
}

#[embassy_executor::task]
async fn tcp_sink(stack: Stack<'static>) -> ! {
    let (mut received, mut sent) = ([0; 2 * BUFFER], [0; 64]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut received, &mut sent);
        socket.set_timeout(Some(GONE));
        if socket.accept(SINK).await.is_err() {
            continue;
        }
        let mut flow = Flow::new();
        while let Ok(length @ 1..) = socket.read_with(|bytes| (bytes.len(), bytes.len())).await {
            flow.count(length);
        }
        flow.report("tcp");
        end(&mut socket).await;
    }
}

#[embassy_executor::task]
async fn udp_sink(stack: Stack<'static>) -> ! {
    let (mut received, mut sent) = ([0; 2 * BUFFER], [0; 64]);
    let (mut received_from, mut sent_to) = ([PacketMetadata::EMPTY; 8], [PacketMetadata::EMPTY; 1]);
    let mut socket = UdpSocket::new(stack, &mut received_from, &mut received, &mut sent_to, &mut sent);
    socket.bind(SINK).expect("the port is free");
    loop {
        let length = socket.recv_from_with(|datagram, _| datagram.len()).await;
        let mut flow = Flow::new();
        flow.count(length);
        while let Ok(length) = with_timeout(QUIET, socket.recv_from_with(|datagram, _| datagram.len())).await {
            flow.count(length);
        }
        flow.report("udp");
    }
}

/// What a sink has swallowed.
struct Flow {
    started: Instant,
    last: Instant,
    bytes: u64,
    pieces: u32,
}

impl Flow {
    fn new() -> Self {
        let now = Instant::now();
        Self { started: now, last: now, bytes: 0, pieces: 0 }
    }

    fn count(&mut self, length: usize) {
        self.last = Instant::now();
        self.bytes += length as u64;
        self.pieces += 1;
    }

    fn report(&self, protocol: &'static str) {
        let millis = (self.last - self.started).as_millis();
        defmt::info!(
            "sink: {=str}: {=u64} bytes in {=u32} pieces, {=u64} ms",
            protocol,
            self.bytes,
            self.pieces,
            millis
        );
    }
}
