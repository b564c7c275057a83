//! A board with a router, and an executor that polls only what has been woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use embassy_net::{Config, ConfigV4, ConfigV6, Stack, StackResources, StaticConfigV4, StaticConfigV6};
use embassy_net_driver::{Driver, HardwareAddress};
use embassy_time::{Duration, MockDriver};
use longcable_core::options::LinkConfig;
use longcable_embassy::router::{self, Control, Lan, Tunnel};

use super::network::{Cable, Port};

pub(crate) const BOARD_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
pub(crate) const LAN_MTU: usize = 1500;
pub(crate) const TUNNEL_MTU: usize = 1400;
/// Packets in each of the router's queues.
pub(crate) const QUEUE: usize = 4;
/// The board's end of both cables.
pub(crate) const BOARD: usize = 0;

const CONFIG: &str = "
dev tun
remote 192.0.2.1
secret static.key
topology subnet
ifconfig 10.8.0.2 255.255.255.0
ifconfig-ipv6 fd00:8::2/64 fd00:8::1
route 10.20.0.0 255.255.0.0
route-ipv6 fd00:2::/32";

/// The clock is one for the whole program.
static CLOCK: Mutex<()> = Mutex::new(());

pub(crate) struct World {
    tasks: Vec<Task>,
    pub(crate) wire: Cable,
    pub(crate) tunnel: Cable,
    pub(crate) board_on_lan: Stack<'static>,
    pub(crate) board_in_tunnel: Stack<'static>,
    pub(crate) router: Control<'static>,
    _clock: MutexGuard<'static, ()>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl World {
    /// The board with both its stacks, and nobody else.
    pub(crate) fn new() -> Self {
        let clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
        MockDriver::get().reset();
        let (wire, tunnel) = (Cable::new(LAN_MTU + 14), Cable::new(TUNNEL_MTU));
        let state = Box::leak(Box::new(router::State::<LAN_MTU, QUEUE, 2>::new()));
        let lan = Lan {
            ipv4: Some("192.168.1.1/24".parse().unwrap()),
            ipv6: Some("fd00:1::1/64".parse().unwrap()),
            ..Lan::default()
        };
        let (lan_port, tunnel_port, router) = router::new(
            state,
            wire.port(HardwareAddress::Ethernet(BOARD_MAC)),
            tunnel.port(HardwareAddress::Ip),
            lan,
            Tunnel::from_config(&LinkConfig::parse(CONFIG).unwrap()).unwrap(),
        );
        let mut tasks = Vec::new();
        let board_on_lan = stack(&mut tasks, lan_port, "192.168.1.1/24", "fd00:1::1/64", "");
        let board_in_tunnel = stack(&mut tasks, tunnel_port, "10.8.0.2/24", "fd00:8::2/64", "");
        let mut world = Self { tasks, wire, tunnel, board_on_lan, board_in_tunnel, router, _clock: clock };
        world.run(Duration::from_millis(1));
        world
    }

    /// An end of the wire and one of the tunnel, to be used by hand.
    pub(crate) fn ends(&self) -> (Port, Port) {
        (self.wire.port(HardwareAddress::Ethernet(HOST_MAC)), self.tunnel.port(HardwareAddress::Ip))
    }

    /// The host on the wire and the one behind the peer, each with a stack.
    pub(crate) fn hosts(&mut self) -> (Stack<'static>, Stack<'static>) {
        let (on_wire, in_tunnel) = self.ends();
        let host = stack(&mut self.tasks, on_wire, "192.168.1.7/24", "fd00:1::7/64", "192.168.1.1 fd00:1::1");
        let peer = stack(&mut self.tasks, in_tunnel, "10.20.0.1/16", "fd00:2::1/64", "10.20.0.2 fd00:2::2");
        (host, peer)
    }

    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        spawn(&mut self.tasks, future);
    }

    /// Lets this time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        self.settle();
        for _ in 0..time.as_millis() {
            MockDriver::get().advance(Duration::from_millis(1));
            self.settle();
        }
    }

    /// Lets time pass until `future` is done.
    pub(crate) fn run_until<T: 'static>(&mut self, limit: Duration, future: impl Future<Output = T> + 'static) -> T {
        let result = std::rc::Rc::new(std::cell::RefCell::new(None));
        let place = result.clone();
        self.spawn(async move {
            let done = future.await;
            *place.borrow_mut() = Some(done);
        });
        for _ in 0..=limit.as_millis() {
            self.settle();
            if let Some(done) = result.borrow_mut().take() {
                return done;
            }
            MockDriver::get().advance(Duration::from_millis(1));
        }
        panic!("not done after {} ms; {:?}", limit.as_millis(), self.router.counters());
    }

    /// Polls until nobody is woken any more.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut idle = true;
            self.tasks.retain_mut(|task| {
                if !task.woken.0.swap(false, Ordering::SeqCst) {
                    return true;
                }
                idle = false;
                let waker = Waker::from(task.woken.clone());
                task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
            if idle {
                return;
            }
        }
        panic!("tasks keep waking each other");
    }
}

fn spawn(tasks: &mut Vec<Task>, future: impl Future<Output = ()> + 'static) {
    tasks.push(Task { future: Box::pin(future), woken: Arc::new(Flag(AtomicBool::new(true))) });
}

fn stack<D: Driver + 'static>(
    tasks: &mut Vec<Task>,
    driver: D,
    ipv4: &str,
    ipv6: &str,
    gateways: &str,
) -> Stack<'static> {
    let mut gateways = gateways.split_whitespace();
    let gateway_ipv4 = gateways.next().map(|gateway| gateway.parse().unwrap());
    let gateway_ipv6 = gateways.next().map(|gateway| gateway.parse().unwrap());
    let mut config = Config::default();
    config.ipv4 = ConfigV4::Static(StaticConfigV4 {
        address: ipv4.parse().unwrap(),
        gateway: gateway_ipv4,
        dns_servers: Default::default(),
    });
    config.ipv6 = ConfigV6::Static(StaticConfigV6 {
        address: ipv6.parse().unwrap(),
        gateway: gateway_ipv6,
        dns_servers: Default::default(),
    });
    let resources = Box::leak(Box::new(StackResources::<4>::new()));
    let (stack, mut runner) = embassy_net::new(driver, config, resources, 1);
    spawn(tasks, async move {
        runner.run().await;
    });
    stack
}
