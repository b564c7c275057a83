//! The link: an OpenVPN tunnel over the board's Ethernet, with a network stack of its own.

use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources};
use longcable_embassy::core::crypto::Rng;
use longcable_embassy::{Device, Host, Runner, State};
use static_cell::{ConstStaticCell, StaticCell};

use crate::{config, exit, host, services};

/// Sockets in the tunnel: those of the services, and the resolver that each stack has.
const SOCKETS: usize = services::SOCKETS + 1;

/// Starts the link that the configuration in flash describes, or if there is none, `default`. Sockets on the stack that
/// this gives go through the tunnel.
pub fn start(spawner: Spawner, ethernet: Stack<'static>, default: &'static str) -> Stack<'static> {
    static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let host = Host::new(Random(host::Random::new())).with_clock(host::unix_time);
    let (device, link) = match longcable_embassy::new(STATE.take(), config::text(default), host) {
        Ok(link) => link,
        Err(error) => {
            defmt::error!("{}", error);
            exit(1)
        }
    };
    let resources = RESOURCES.init(StackResources::new());
    let (stack, runner) = embassy_net::new(device, link.net_config(), resources, host::seed());
    spawner.spawn(run_link(link, ethernet).expect("it is started once"));
    spawner.spawn(run_stack(runner).expect("it is started once"));
    stack
}

#[embassy_executor::task]
async fn run_link(link: Runner<Random, longcable_embassy::Forgetful>, ethernet: Stack<'static>) -> ! {
    link.run(ethernet).await
}

#[embassy_executor::task]
async fn run_stack(mut runner: embassy_net::Runner<'static, Device>) -> ! {
    runner.run().await
}

/// The board's randomness for the engine.
struct Random(host::Random);

impl Rng for Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}
