//! An executor whose time is moved by the test, and a network between stacks, without delay and loss.

use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use embassy_net::{Config, ConfigV4, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{HardwareAddress, LinkState};
use embassy_net_driver_channel as channel;
use embassy_time::{Duration, Instant, MockDriver};

pub(crate) const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);

/// Longest packet between the stacks: they do not fragment.
const MTU: usize = 1800;

const STEP: Duration = Duration::from_millis(10);

/// There is one clock, so there is one world at a time.
static TURN: Mutex<()> = Mutex::new(());

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    number: usize,
    flag: Arc<Flag>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

struct Node {
    channel: channel::Runner<'static, MTU>,
    stack: Stack<'static>,
}

pub(crate) struct World {
    tasks: Vec<Task>,
    nodes: Vec<Node>,
    last: usize,
    _turn: MutexGuard<'static, ()>,
}

pub(crate) fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

impl World {
    pub(crate) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        MockDriver::get().reset();
        Self { tasks: Vec::new(), nodes: Vec::new(), last: 0, _turn: turn }
    }

    /// Starts a task.
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) -> usize {
        self.last += 1;
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(Task { number: self.last, flag, future: Box::pin(future) });
        self.last
    }

    /// Ends a task wherever it is.
    pub(crate) fn kill(&mut self, number: usize) {
        self.tasks.retain(|task| task.number != number);
    }

    /// A stack that is connected to all others.
    pub(crate) fn node(&mut self, address: Ipv4Addr) -> Stack<'static> {
        let (mut channel, device) = channel::new(leak(channel::State::<MTU, 16, 16>::new()), HardwareAddress::Ip);
        channel.set_link_state(LinkState::Up);
        let (stack, mut runner) = embassy_net::new(device, config(address), leak(StackResources::<16>::new()), 7);
        self.spawn(async move { runner.run().await });
        self.nodes.push(Node { channel, stack });
        stack
    }

    /// Lets time pass until the future is done; `None` if it is not after so long.
    pub(crate) fn run_until<T>(&mut self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let until = Instant::now() + limit;
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        loop {
            while self.turn() | flag.0.load(Ordering::Relaxed) {
                if flag.0.swap(false, Ordering::Relaxed)
                    && let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker))
                {
                    return Some(result);
                }
            }
            if Instant::now() >= until {
                return None;
            }
            MockDriver::get().advance(STEP);
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(time, std::future::pending::<()>());
    }

    /// Polls what has been woken and moves packets; says whether there was anything.
    fn turn(&mut self) -> bool {
        let mut busy = false;
        for task in &mut self.tasks {
            if task.flag.0.swap(false, Ordering::Relaxed) {
                busy = true;
                let waker = Waker::from(task.flag.clone());
                assert!(task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            }
        }
        for index in 0..self.nodes.len() {
            while let Some(packet) = self.nodes[index].channel.try_tx_buf().map(|packet| packet.to_vec()) {
                busy = true;
                self.nodes[index].channel.tx_done();
                let to: [u8; 4] = packet[16..20].try_into().unwrap();
                let Some(node) = self.nodes.iter_mut().find(|node| address_of(node.stack) == Some(to.into())) else {
                    continue;
                };
                if let Some(room) = node.channel.try_rx_buf() {
                    room[..packet.len()].copy_from_slice(&packet);
                    node.channel.rx_done(packet.len());
                }
            }
        }
        busy
    }
}

fn address_of(stack: Stack<'_>) -> Option<Ipv4Addr> {
    stack.config_v4().map(|config| config.address.address())
}

fn config(address: Ipv4Addr) -> Config {
    let mut config = Config::default();
    config.ipv4 = ConfigV4::Static(StaticConfigV4 {
        address: Ipv4Cidr::new(address, 24),
        gateway: None,
        dns_servers: [NAME_SERVER].into_iter().collect(),
    });
    config
}

/// As DHCP does it.
pub(crate) fn renumber(stack: Stack<'_>, address: Ipv4Addr) {
    stack.set_config_v4(config(address).ipv4);
}
