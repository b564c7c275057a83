//! An OpenVPN endpoint on a microcontroller: the engine of `longcable-core` under embassy, without heap.
//!
//! # The contract
//!
//! [`new`] takes the text of an OpenVPN configuration, keys inline, and static memory. It gives a [`Device`], on which
//! the application opens a second [`embassy_net::Stack`] whose sockets go through the tunnel, and a [`Runner`], which a
//! task runs over the first stack.
//! - The runner owns the UDP socket and the lookups of the peer's name, follows the peer and the board's own address when
//!   they change, and restarts the link when it must. It never blocks the executor for longer than one step of TLS, and
//!   lets other tasks run after four packets each way.
//! - The device's link is up while packets can pass: with TLS from the first keys on, with a static key, where nothing
//!   tells whether the peer is there, while the tunnel is open. A restart takes it down unless `persist-tun` is set.
//! - What a board cannot do is an error of [`new`] that names the option. Options that matter only to programs on Unix,
//!   such as `user`, `daemon` or `log`, make no difference.
//! - Memory is fixed: [`State`], the task of the runner, and the stack. On a Cortex-M with a static key the first has 15.6 KB,
//!   the second about 8.3 KB; with TLS it is 41 KB and 15 KB, and 21 KB of stack. Packets in the tunnel have up to 1500 bytes.
//!
//! The module `tls` is its TLS stack; the module `router` makes the board a way for others to the tunnel.
//!
//! ```no_run
//! use embassy_net::{Stack, StackResources};
//! use longcable_embassy::{Host, Random, State};
//! use static_cell::ConstStaticCell;
//! # struct Trng;
//! # impl rand_core::RngCore for Trng {
//! #     fn next_u32(&mut self) -> u32 { 4 }
//! #     fn next_u64(&mut self) -> u64 { 4 }
//! #     fn fill_bytes(&mut self, bytes: &mut [u8]) { bytes.fill(4) }
//! # }
//! # impl rand_core::CryptoRng for Trng {}
//! # fn unix_time() -> u64 { 0 }
//!
//! static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
//! static RESOURCES: ConstStaticCell<StackResources<4>> = ConstStaticCell::new(StackResources::new());
//!
//! # async fn application(ethernet: Stack<'static>, trng: Trng) -> Result<(), longcable_embassy::StartError> {
//! # const CONFIG: &str = "";
//! let host = Host::new(Random(trng)).with_clock(unix_time);
//! // CONFIG is include_str!("link.ovpn")
//! let (device, link) = longcable_embassy::new(STATE.take(), CONFIG, host)?;
//! let (tunnel, tunnel_runner) = embassy_net::new(device, link.net_config(), RESOURCES.take(), 4);
//! // In two tasks of their own:
//! # let tasks = async move { let mut tunnel_runner = tunnel_runner; embassy_futures::join::join(
//! tunnel_runner.run(), link.run(ethernet)
//! # ).await };
//! // TCP and UDP sockets on `tunnel` go through the tunnel.
//! tunnel.wait_link_up().await;
//! # Ok(())
//! # }
//! # fn main() {}
//! ```
#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should"))]

#[cfg(test)]
extern crate std;

#[cfg(not(any(feature = "static-key", feature = "tls")))]
compile_error!("a link has a static key or TLS: enable the feature 'static-key' or 'tls'");

mod addresses;
#[cfg(feature = "tls")]
mod certificates;
mod device;
mod host;
mod log;
mod platform;
mod resolver;
#[cfg(feature = "router")]
pub mod router;
mod runner;
mod start;
mod state;
mod store;
#[cfg(feature = "tls")]
pub mod tls;

use embassy_net_driver::HardwareAddress;
use embassy_net_driver_channel as channel;
use longcable_core::crypto::Rng;

pub use device::Device;
pub use host::{Host, Random};
pub use longcable_core as core;
pub use runner::Runner;
pub use start::StartError;
pub use state::{MTU_MAX, State};
pub use store::{Flash, Forgetful, Remembered, Store, StoreError};

/// A link from the text of its configuration, which stands in flash as a whole. It does nothing until the [`Runner`]
/// runs.
///
/// # Errors
/// The configuration is wrong, or wants something that a board cannot do.
pub fn new<R: Rng, S: Store, const N: usize>(
    state: &'static mut State<N>,
    config: &'static str,
    host: Host<R, S>,
) -> Result<(Device, Runner<R, S>), StartError> {
    let config = start::configure(&mut state.config, config)?;
    match config.role() {
        #[cfg(feature = "tls")]
        Some(role) => {
            tls::check(config).map_err(StartError::Tls)?;
            drop(start::protection(config, role)?);
        }
        // A firmware without TLS has refused the option.
        _ => {
            if config.packet_ids && host.unix_time.is_none() && !S::REMEMBERS {
                let why = "packet ids must not repeat after a reset: give the board a clock ('Host::with_clock') or lasting \
                           memory ('Host::with_store')";
                return Err(start::impossible("secret", why));
            }
            drop(start::static_key(config)?);
        }
    }
    #[cfg(feature = "tls")]
    let (session, credentials) = state.tls.load(config)?;
    let (channel, device) = channel::new(&mut state.channel, HardwareAddress::Ip);
    let runner = Runner {
        config,
        host,
        channel,
        received: state.received.as_flattened_mut(),
        sent: state.sent.as_flattened_mut(),
        buffer: &mut state.buffer,
        #[cfg(feature = "tls")]
        session,
        #[cfg(feature = "tls")]
        credentials,
        #[cfg(feature = "tls")]
        memory: &mut state.link,
    };
    Ok((Device::new(device, config.tun_mtu.into()), runner))
}
