//! The link: an OpenVPN tunnel over the board's Ethernet, with a network stack of its own.

use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources};
use longcable_embassy::core::crypto::Rng;
use longcable_embassy::{Device, Host, State};
use longcable_examples::services;
use static_cell::ConstStaticCell;

use crate::settings::Settings;
use crate::{config, ethernet, executor, exit, host, watch};

/// Runs a link of this board.
pub type Runner = longcable_embassy::Runner<Random, longcable_embassy::Forgetful>;

/// Memory of the network stack in the tunnel: for the services, and the resolver that each stack has.
pub type Resources = StackResources<{ services::SOCKETS + 1 }>;

/// A firmware with a link and the [`services`] in its tunnel. The configuration in flash describes the link, or if there is
/// none, `default`.
pub fn firmware(default: &'static str) -> ! {
    executor::run(|spawner| {
        let settings = Settings::read();
        let ethernet = ethernet::start(spawner, &settings);
        let (device, link) = open(default);
        let tunnel = start(spawner, ethernet, device, link);
        services::start(spawner, tunnel);
        watch::start(spawner, &settings);
    })
}

/// Starts a link. Sockets on the stack that this gives go through the tunnel.
#[inline(never)] // so that its large values lie on the stack one after the other
fn start(spawner: Spawner, ethernet: Stack<'static>, device: Device, link: Runner) -> Stack<'static> {
    static RESOURCES: ConstStaticCell<Resources> = ConstStaticCell::new(StackResources::new());
    let (stack, runner) = embassy_net::new(device, link.net_config(), RESOURCES.take(), host::seed());
    run(spawner, link, ethernet);
    spawner.spawn(run_stack(runner).expect("it is started once"));
    stack
}

/// The link that the configuration in flash describes, or if there is none, `default`, before it runs, and without a
/// stack. A configuration that the board cannot do ends the firmware.
#[inline(never)] // as above
pub fn open(default: &'static str) -> (Device, Runner) {
    static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
    let host = Host::new(Random(host::Random::new())).with_clock(host::unix_time);
    match longcable_embassy::new(STATE.take(), config::text(default), host) {
        Ok(link) => link,
        Err(error) => {
            defmt::error!("{}", error);
            exit(1)
        }
    }
}

/// Runs the link over this stack.
pub fn run(spawner: Spawner, link: Runner, ethernet: Stack<'static>) {
    spawner.spawn(run_link(link, ethernet).expect("it is started once"));
}

#[embassy_executor::task]
async fn run_link(link: Runner, ethernet: Stack<'static>) -> ! {
    link.run(ethernet).await
}

#[embassy_executor::task]
async fn run_stack(mut runner: embassy_net::Runner<'static, Device>) -> ! {
    runner.run().await
}

/// The board's randomness for the engine.
pub struct Random(host::Random);

impl Rng for Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}
