//! A subnet router: the networks behind the peer can be reached by way of the board, and the board's LAN through the
//! tunnel. The configuration's `route` lines say what is behind the peer.

use embassy_executor::Spawner;
use embassy_futures::join::join4;
use embassy_net::{Config, Stack, StackResources};
use embassy_net_driver::Driver;
use longcable_embassy::core::crypto::Rng;
use longcable_embassy::router::{self, Control, Lan, Tunnel};
use longcable_embassy::{Host, State, Store};
use static_cell::{ConstStaticCell, StaticCell};

use crate::{network, services};

/// Packets of 1,500 bytes, four that wait each way, two that wait for a neighbor's address.
type Memory = router::State<'static, 1500, 4, 2>;

/// Sockets in the tunnel: those of the services, and the resolver that each stack has.
const SOCKETS: usize = services::SOCKETS + 1;

/// Runs the Ethernet, the link and the router for ever; what is wrong with the link's configuration is logged. `lan` is
/// the configuration of the stack on the Ethernet.
///
/// # Panics
/// It runs already.
pub async fn run<E: Driver, R: Rng, S: Store>(
    spawner: Spawner,
    ethernet: E,
    lan: Config,
    config: &'static str,
    host: Host<R, S>,
    seed: u64,
) {
    static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
    static ROUTER: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();

    let (device, link) = match longcable_embassy::new(STATE.take(), config, host) {
        Ok(link) => link,
        Err(error) => return defmt::error!("{}", defmt::Display2Format(&error)),
    };
    let networks = match Tunnel::from_config(link.config()) {
        Ok(networks) => networks,
        Err(error) => return defmt::error!("{}", defmt::Display2Format(&error)),
    };
    let tunnel_config = link.net_config();
    let (lan_port, tunnel_port, control) = router::new(ROUTER.take(), ethernet, device, Lan::default(), networks);
    let (lan, mut lan_runner) = network::with_config(lan_port, lan, seed);
    let resources = RESOURCES.init(StackResources::new());
    let (tunnel, mut tunnel_runner) = embassy_net::new(tunnel_port, tunnel_config, resources, seed);
    services::start(spawner, tunnel);
    join4(lan_runner.run(), tunnel_runner.run(), link.run(lan), follow(lan, control)).await;
}

/// Tells the router which addresses the board has on its LAN.
async fn follow(stack: Stack<'static>, router: Control<'static>) -> ! {
    loop {
        stack.wait_config_up().await;
        if let Some(config) = stack.config_v4() {
            defmt::info!("ethernet: {}", config.address);
            router.set_lan(Lan { ipv4: Some(config.address.into()), ..Lan::default() });
        }
        stack.wait_config_down().await;
        router.set_lan(Lan::default());
    }
}
