//! A link, with a network stack of its own: sockets on that go through the tunnel.

use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources};
use longcable_embassy::core::crypto::Rng;
use longcable_embassy::{Device, Host, Runner, StartError, State, Store};
use static_cell::ConstStaticCell;

use crate::services;

/// Sockets in the tunnel: those of the services, and the resolver that each stack has.
const SOCKETS: usize = services::SOCKETS + 1;

/// The link that `config` describes, a stack in its tunnel, and the [`services`] on that. The link does nothing until the
/// runner runs on the board's other stack.
///
/// # Errors
/// The configuration is wrong, or wants something that a board cannot do.
///
/// # Panics
/// There is one already.
pub fn start<R: Rng, S: Store>(
    spawner: Spawner,
    config: &'static str,
    host: Host<R, S>,
    seed: u64,
) -> Result<(Stack<'static>, Runner<R, S>), StartError> {
    static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());
    let (device, link) = longcable_embassy::new(STATE.take(), config, host)?;
    let (stack, runner) = embassy_net::new(device, link.net_config(), RESOURCES.take(), seed);
    spawner.spawn(run_stack(runner).expect("it is started once"));
    services::start(spawner, stack);
    Ok((stack, link))
}

/// Runs such a link on this stack for ever; what is wrong with its configuration is logged.
pub async fn run<R: Rng, S: Store>(
    spawner: Spawner,
    ethernet: Stack<'static>,
    config: &'static str,
    host: Host<R, S>,
    seed: u64,
) {
    match start(spawner, config, host, seed) {
        Ok((_, link)) => link.run(ethernet).await,
        Err(error) => defmt::error!("{}", defmt::Display2Format(&error)),
    }
}

#[embassy_executor::task]
async fn run_stack(mut runner: embassy_net::Runner<'static, Device>) -> ! {
    runner.run().await
}
