//! What is at the ends of links: boards with applications, a name server.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;

use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Stack, StackResources};
use embassy_time::{Duration, Instant, Timer};
use longcable_core::crypto::Rng;
use longcable_core::event::Event;
use longcable_embassy::{Host, Remembered, State, Store, StoreError};

use crate::world::{World, leak};

/// The time of day when the time of the test is 0.
pub(crate) const UNIX: u64 = 1_780_000_000;

thread_local! {
    /// What the boards have said.
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn hear(event: &Event<'_>) {
    SAID.with_borrow_mut(|said| said.push(event.to_string()));
}

/// How many events have this text, since the last time.
pub(crate) fn said(text: &str) -> usize {
    SAID.with_borrow_mut(std::mem::take).iter().filter(|line| line.contains(text)).count()
}

pub(crate) fn clock() -> u64 {
    UNIX + Instant::now().as_secs()
}

/// The same numbers every time.
pub(crate) struct Dice(pub(crate) u64);

impl Rng for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0 as u8;
        }
    }
}

/// Memory that outlives a reset, and counts how often it is written.
#[derive(Clone, Default)]
pub(crate) struct Backup(pub(crate) Rc<Cell<(Option<Remembered>, usize)>>);

impl Store for Backup {
    async fn load(&mut self) -> Option<Remembered> {
        self.0.get().0
    }

    async fn save(&mut self, remembered: Remembered) -> Result<(), StoreError> {
        self.0.set((Some(remembered), self.0.get().1 + 1));
        Ok(())
    }
}

/// A board that runs.
pub(crate) struct Board {
    pub(crate) tunnel: Stack<'static>,
    tasks: [usize; 2],
}

impl Board {
    pub(crate) fn start<S: Store + 'static>(
        world: &mut World,
        stack: Stack<'static>,
        config: &str,
        host: Host<Dice, S>,
    ) -> Self {
        let text = String::leak(config.to_string());
        let (device, link) = longcable_embassy::new(leak(State::<2>::new()), text, host.with_events(hear)).unwrap();
        let config = link.net_config();
        let (tunnel, mut runner) = embassy_net::new(device, config, leak(StackResources::<6>::new()), 3);
        let link = world.spawn(async move { link.run(stack).await });
        let net = world.spawn(async move { runner.run().await });
        Self { tunnel, tasks: [link, net] }
    }

    /// Power is cut.
    pub(crate) fn stop(self, world: &mut World) {
        self.tasks.into_iter().for_each(|task| world.kill(task));
    }

    /// An application that sends back whatever comes on port 7.
    pub(crate) fn echo(&self, world: &mut World) {
        let tunnel = self.tunnel;
        world.spawn(async move {
            loop {
                let (mut received, mut sent, mut buffer) = ([0; 4096], [0; 4096], [0; 1024]);
                let mut socket = TcpSocket::new(tunnel, &mut received, &mut sent);
                socket.accept(7).await.unwrap();
                while let Ok(len @ 1..) = socket.read(&mut buffer).await {
                    let mut rest = &buffer[..len];
                    while let Ok(written @ 1..) = socket.write(rest).await {
                        rest = &rest[written..];
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
                socket.abort();
            }
        });
    }

    /// Sends so many bytes to the echo at the other end, and checks what comes back.
    pub(crate) async fn shout(&self, to: Ipv4Addr, bytes: usize) {
        let (mut received, mut sent) = ([0; 4096], [0; 4096]);
        let mut socket = TcpSocket::new(self.tunnel, &mut received, &mut sent);
        socket.connect((to, 7)).await.unwrap();
        let (mut reader, mut writer) = socket.split();
        let byte = |n: usize| (n * 31 + n / 251) as u8;
        let send = async {
            let mut at = 0;
            while at < bytes {
                let piece: Vec<u8> = (at..bytes.min(at + 700)).map(byte).collect();
                at += writer.write(&piece).await.unwrap();
            }
        };
        let receive = async {
            let (mut at, mut buffer) = (0, [0; 900]);
            while at < bytes {
                let len = reader.read(&mut buffer).await.unwrap();
                assert!(len > 0, "the echo stopped after {at} bytes");
                buffer[..len].iter().enumerate().for_each(|(n, got)| assert_eq!(*got, byte(at + n)));
                at += len;
            }
        };
        embassy_futures::join::join(send, receive).await;
        socket.abort();
        socket.flush().await.unwrap();
    }

    /// Whether the echo at the other end answers within the time.
    pub(crate) fn reaches(&self, world: &mut World, to: Ipv4Addr, limit: u64) -> bool {
        let answered = world.run_until(Duration::from_secs(limit), self.shout(to, 3000)).is_some();
        // The echo has one connection at a time: it has to know that this one is over.
        world.run(Duration::from_millis(100));
        answered
    }
}

/// A name server that knows one address for every name, and none while that is not set.
pub(crate) fn name_server(world: &mut World, stack: Stack<'static>, address: Rc<Cell<Option<Ipv4Addr>>>) {
    world.spawn(async move {
        let (mut meta_in, mut meta_out) = ([PacketMetadata::EMPTY; 4], [PacketMetadata::EMPTY; 4]);
        let (mut received, mut sent) = ([0; 2048], [0; 2048]);
        let mut socket = UdpSocket::new(stack, &mut meta_in, &mut received, &mut meta_out, &mut sent);
        socket.bind(53).unwrap();
        loop {
            let mut query = [0; 512];
            let (len, from) = socket.recv_from(&mut query).await.unwrap();
            let Some(address) = address.get() else { continue };
            let mut answer = query[..len].to_vec();
            (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
            // The name of the question, A, IN, a minute, four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(address.octets());
            socket.send_to(&answer, from).await.unwrap();
        }
    });
}

/// Sends nonsense, a hundred datagrams a second.
pub(crate) async fn pester(stack: Stack<'static>, to: (Ipv4Addr, u16)) {
    let (mut meta_in, mut meta_out) = ([PacketMetadata::EMPTY; 4], [PacketMetadata::EMPTY; 4]);
    let (mut received, mut sent) = ([0; 64], [0; 2048]);
    let mut socket = UdpSocket::new(stack, &mut meta_in, &mut received, &mut meta_out, &mut sent);
    socket.bind(0).unwrap();
    for n in (0_u8..=255).cycle() {
        socket.send_to(&vec![n; 1 + usize::from(n) * 5], to).await.unwrap();
        Timer::after_millis(10).await;
    }
}
