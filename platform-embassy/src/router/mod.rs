//! A subnet router: packets are forwarded between the board's Ethernet and the tunnel, so that a LAN behind the board
//! can be reached through it.
//!
//! Both interfaces keep their own embassy-net stack. The router wraps the two drivers, and takes out of what comes in
//! the packets that are for the other side; it needs no task of its own.
//!
//! ```text
//!  Ethernet driver -> LanPort -> first stack          tunnel device -> TunnelPort -> second stack
//!                        \____ two queues of packets ____/
//! ```
//!
//! What it does is what RFC 1812 asks of a router, for IPv4 and IPv6: longest prefix first, hop limits, ICMP errors at
//! a limited rate, fragments where they are allowed, ARP and neighbor discovery. Beyond that it clamps the segment size
//! of TCP to what both sides carry. A packet passes only if its source lies on the side it came from, as by the same
//! routes; packets with a source route are dropped. While the tunnel is down, nothing is forwarded and nothing leaks:
//! what is for the tunnel never goes anywhere else. Multicast, broadcast and link-local packets stay on their side.
//!
//! The board itself is reached by its address on the side one is on. There is no address translation: the hosts of the
//! LAN need a route to the networks behind the tunnel by way of the board, and the peer needs one to the LAN (`route`
//! or `iroute`).
//!
//! ```
//! # use embassy_net_driver::Driver;
//! # use longcable_core::options::LinkConfig;
//! use longcable_embassy::router::{self, Lan, Tunnel};
//!
//! # fn example<E: Driver, D: Driver>(
//! #     state: &'static mut router::State<'static, 1500, 4, 2>, ethernet: E, device: D, config: &LinkConfig,
//! # ) -> Result<(), router::UnsuitableRoute> {
//! // `state` is a `StaticCell<router::State<'static, 1500, 4, 2>>`: packets of 1500 bytes, 4 queued each way, 2 that wait
//! // for ARP. `ethernet` is the driver of the chip, `device` that of the tunnel.
//! let lan = Lan { ipv4: Some("192.168.1.1/24".parse().unwrap()), ..Lan::default() };
//! let (lan_port, tunnel_port, router) = router::new(state, ethernet, device, lan, Tunnel::from_config(config)?);
//! // let (lan_stack, lan_runner) = embassy_net::new(lan_port, lan_config, lan_resources, seed);
//! // let (tunnel_stack, tunnel_runner) = embassy_net::new(tunnel_port, tunnel_config, tunnel_resources, seed);
//! // With DHCP, whenever the address changes:
//! // router.set_lan(Lan { ipv4: lan_stack.config_v4().map(|config| config.address), ..Lan::default() });
//! let counters = router.counters();
//! assert_eq!((counters.to_lan, counters.to_tunnel), (0, 0));
//! # let _ = (lan_port, tunnel_port);
//! # Ok(())
//! # }
//! ```

mod forward;
mod icmp;
mod neighbors;
mod packet;
mod port;
#[cfg(test)]
mod samples;
mod table;

use core::cell::RefCell;

use embassy_net_driver::Driver;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::zerocopy_channel::Channel;
use longcable_core::time::{Duration, Instant};

pub use forward::Refusal;
use icmp::ERROR_MAX;
use neighbors::Neighbors;
use packet::Packet;
use port::Exchange;
pub use port::{LanPort, TunnelPort};
use table::Table;
pub use table::{Lan, NETWORKS_MAX, Side, Tunnel, UnsuitableRoute};

/// ICMP errors are limited to so many at once, to either side,
const ERRORS_MAX: u32 = 10;

/// and to one in this time in the long run.
const ERROR_INTERVAL: Duration = Duration::from_millis(100);

type Shared = Mutex<CriticalSectionRawMutex, RefCell<Common>>;
type Queue<'a, const MTU: usize> = Channel<'a, CriticalSectionRawMutex, Packet<MTU>>;

/// The memory of a router: `MTU` bytes are the largest packet that is forwarded, `QUEUE` packets fit into each of the two
/// queues (a packet that has to be fragmented needs two or more places), and `PENDING` neighbors can be looked for at a
/// time, each with one packet that waits. That makes `(2 * QUEUE + PENDING) * MTU` bytes, and about 4 KB.
pub struct State<'a, const MTU: usize, const QUEUE: usize, const PENDING: usize> {
    shared: Shared,
    to_lan: [Packet<MTU>; QUEUE],
    to_tunnel: [Packet<MTU>; QUEUE],
    lan_queue: Option<Queue<'a, MTU>>,
    tunnel_queue: Option<Queue<'a, MTU>>,
    lan_reply: Packet<ERROR_MAX>,
    tunnel_reply: Packet<ERROR_MAX>,
    neighbors: Neighbors<PENDING, MTU>,
}

/// The application's hold on a running router.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    shared: &'a Shared,
}

/// What a router has done since its start. Numbers wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// Packets out of the tunnel that were queued for the LAN.
    pub to_lan: u32,
    /// Packets from the LAN that were queued for the tunnel.
    pub to_tunnel: u32,
    /// Packets among them that had to be fragmented.
    pub fragmented: u32,
    /// ICMP errors that were written.
    pub errors: u32,
    refused: [u32; Refusal::COUNT],
}

/// Makes a router out of two drivers, of which the first is an Ethernet and the second carries IP packets. Each port
/// is the driver of one stack; both stacks have to run.
///
/// # Panics
/// If `QUEUE` is 0.
pub fn new<'a, E, T, const MTU: usize, const QUEUE: usize, const PENDING: usize>(
    state: &'a mut State<'a, MTU, QUEUE, PENDING>,
    ethernet: E,
    tunnel_device: T,
    lan: Lan,
    tunnel: Tunnel,
) -> (LanPort<'a, E, MTU, PENDING>, TunnelPort<'a, T, MTU>, Control<'a>)
where
    E: Driver,
    T: Driver,
{
    const { assert!(QUEUE > 0) };
    let State { shared, to_lan, to_tunnel, lan_queue, tunnel_queue, lan_reply, tunnel_reply, neighbors } = state;
    let lan_mtu = ethernet.capabilities().max_transmission_unit.saturating_sub(port::ETHERNET_HEADER).min(MTU);
    let tunnel_mtu = tunnel_device.capabilities().max_transmission_unit.min(MTU);
    shared.get_mut().get_mut().table = Table { lan, tunnel, lan_mtu, tunnel_mtu, tunnel_up: false };
    let shared = &*shared;
    let (into_lan, from_tunnel) = lan_queue.insert(Channel::new(to_lan)).split();
    let (into_tunnel, from_lan) = tunnel_queue.insert(Channel::new(to_tunnel)).split();
    (
        LanPort::new(ethernet, Exchange::new(Side::Lan, shared, into_tunnel, QUEUE, lan_reply), from_tunnel, neighbors),
        TunnelPort::new(tunnel_device, Exchange::new(Side::Tunnel, shared, into_lan, QUEUE, tunnel_reply), from_lan),
        Control { shared },
    )
}

impl<const MTU: usize, const QUEUE: usize, const PENDING: usize> State<'_, MTU, QUEUE, PENDING> {
    /// Memory for one router.
    pub const fn new() -> Self {
        Self {
            shared: Mutex::new(RefCell::new(Common::new())),
            to_lan: [const { Packet::new() }; QUEUE],
            to_tunnel: [const { Packet::new() }; QUEUE],
            lan_queue: None,
            tunnel_queue: None,
            lan_reply: Packet::new(),
            tunnel_reply: Packet::new(),
            neighbors: Neighbors::new(),
        }
    }
}

impl<const MTU: usize, const QUEUE: usize, const PENDING: usize> Default for State<'_, MTU, QUEUE, PENDING> {
    fn default() -> Self {
        Self::new()
    }
}

impl Control<'_> {
    /// The board has another address on the LAN, or none.
    pub fn set_lan(&self, lan: Lan) {
        self.shared.lock(|common| common.borrow_mut().table.lan = lan);
    }

    /// The tunnel has other addresses or routes.
    pub fn set_tunnel(&self, tunnel: Tunnel) {
        self.shared.lock(|common| common.borrow_mut().table.tunnel = tunnel);
    }

    /// What has been done.
    pub fn counters(&self) -> Counters {
        self.shared.lock(|common| common.borrow().counters)
    }
}

impl Counters {
    /// How many packets were refused for this reason.
    pub fn refused(&self, why: Refusal) -> u32 {
        self.refused.get(why as usize).copied().unwrap_or(0)
    }
}

/// What the two ports share.
struct Common {
    table: Table,
    counters: Counters,
    limit: ErrorLimit,
}

impl Common {
    const fn new() -> Self {
        Self { table: Table::new(), counters: Counters::new(), limit: ErrorLimit::new() }
    }

    fn count_refusal(&mut self, why: Refusal) {
        if let Some(count) = self.counters.refused.get_mut(why as usize) {
            *count = count.wrapping_add(1);
            // At 1, 2, 4, 8 and so on: a flood does not drown the log.
            #[cfg(feature = "defmt")]
            if count.is_power_of_two() {
                defmt::warn!("router: {} packets refused: {}", *count, why);
            }
        }
    }
}

impl Counters {
    const fn new() -> Self {
        Self { to_lan: 0, to_tunnel: 0, fragmented: 0, errors: 0, refused: [0; Refusal::COUNT] }
    }
}

/// A bucket of tokens (RFC 4443 section 2.4 (f)). It counts those that are missing, because a static takes no flash only if
/// all of it is zero.
struct ErrorLimit {
    taken: u32,
    /// Up to when tokens have been filled in.
    since: Instant,
}

impl ErrorLimit {
    const fn new() -> Self {
        Self { taken: 0, since: Instant::from_millis(0) }
    }

    /// Whether an error may be sent now.
    fn take(&mut self, now: Instant) -> bool {
        let intervals = now.since(self.since).as_millis().checked_div(ERROR_INTERVAL.as_millis()).unwrap_or(0);
        let intervals = u32::try_from(intervals).unwrap_or(u32::MAX);
        if intervals > 0 {
            self.taken = self.taken.saturating_sub(intervals);
            self.since = if self.taken == 0 { now } else { self.since + ERROR_INTERVAL.saturating_mul(intervals) };
        }
        let may = self.taken < ERRORS_MAX;
        self.taken = self.taken.saturating_add(may.into());
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_limited() {
        let mut limit = ErrorLimit::new();
        let mut sent = |millis: u64| (0..100).filter(|_| limit.take(Instant::from_millis(millis))).count();
        assert_eq!(sent(0), 10);
        assert_eq!(sent(99), 0);
        assert_eq!(sent(100), 1);
        assert_eq!(sent(350), 2, "the rest of the interval counts for the next");
        assert_eq!(sent(400), 1);
        assert_eq!(sent(1_000_000), 10);
        assert_eq!(sent(1_000_099), 0);
    }
}
