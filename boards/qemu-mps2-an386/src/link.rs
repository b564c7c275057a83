//! The link: an OpenVPN tunnel over the board's Ethernet, with a network stack of its own.

use embassy_executor::Spawner;
use embassy_net::Stack;
use longcable_embassy::core::crypto::Rng;
use longcable_embassy::{Forgetful, Host, Runner};
use longcable_examples::{link, router};

use crate::settings::Settings;
use crate::{config, ethernet, exit, host};

/// Starts the link that the configuration in flash describes, or if there is none, `default`. Sockets on the stack that
/// this gives go through the tunnel.
pub fn start(spawner: Spawner, ethernet: Stack<'static>, default: &'static str) -> Stack<'static> {
    match link::start(spawner, config::text(default), host(), host::seed()) {
        Ok((tunnel, link)) => {
            spawner.spawn(run_link(link, ethernet).expect("it is started once"));
            tunnel
        }
        Err(error) => {
            defmt::error!("{}", defmt::Display2Format(&error));
            exit(1)
        }
    }
}

/// Starts a router between the board's network and those behind the peer of such a link.
pub fn start_router(spawner: Spawner, settings: &Settings, default: &'static str) {
    let lan = ethernet::config(settings);
    spawner.spawn(run_router(spawner, lan, config::text(default)).expect("it is started once"));
}

fn host() -> Host<Random> {
    Host::new(Random(host::Random::new())).with_clock(host::unix_time)
}

#[embassy_executor::task]
async fn run_link(link: Runner<Random, Forgetful>, ethernet: Stack<'static>) -> ! {
    link.run(ethernet).await
}

#[embassy_executor::task]
async fn run_router(spawner: Spawner, lan: embassy_net::Config, config: &'static str) {
    router::run(spawner, ethernet::driver(), lan, config, host(), host::seed()).await;
    exit(1)
}

/// The board's randomness for the engine.
struct Random(host::Random);

impl Rng for Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}
