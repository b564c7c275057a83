//! A subnet router: the networks behind the peer can be reached by way of the board, and the board's LAN through the
//! tunnel. The configuration's `route` lines say what is behind the peer.

use embassy_executor::Spawner;
use embassy_futures::join::join4;
use embassy_net::{Config, Stack, StackResources};
use embassy_net_driver::Driver;
use embassy_time::{Duration, with_timeout};
use longcable_embassy::core::crypto::Rng;
use longcable_embassy::router::{self, Control, Lan, Tunnel};
use longcable_embassy::{Host, State, Store};
use static_cell::ConstStaticCell;

use crate::{network, services};

/// Packets of 1,500 bytes, four that wait each way, two that wait for a neighbor's address.
type Memory = router::State<'static, 1500, 4, 2>;

/// Sockets in the tunnel: those of the services, and the resolver that each stack has.
const SOCKETS: usize = services::SOCKETS + 1;

const REPORT: Duration = Duration::from_secs(10);

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
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());

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
    let (tunnel, mut tunnel_runner) = embassy_net::new(tunnel_port, tunnel_config, RESOURCES.take(), seed);
    services::start(spawner, tunnel);
    join4(lan_runner.run(), tunnel_runner.run(), link.run(lan), follow(lan, control)).await;
}

/// Tells the router which address the board has, as DHCP may change it, and tells what it has forwarded.
pub async fn follow(lan: Stack<'static>, router: Control<'static>) -> ! {
    let (mut known, mut counters) = (None, router.counters());
    loop {
        let config = lan.config_v4();
        if config != known {
            let address = config.as_ref().map(|config| config.address);
            let gateway = config.as_ref().and_then(|config| config.gateway);
            router.set_lan(Lan { ipv4: address, gateway_ipv4: gateway, ..Lan::default() });
            match address {
                Some(address) => defmt::info!("ethernet: address {}", defmt::Display2Format(&address)),
                None => defmt::info!("ethernet: no address"),
            }
            known = config;
        }
        let changed =
            async { if lan.is_config_up() { lan.wait_config_down().await } else { lan.wait_config_up().await } };
        // An address may also be replaced by another at once.
        if with_timeout(REPORT, changed).await.is_err() && counters != router.counters() {
            counters = router.counters();
            defmt::info!("router: {}", counters);
        }
    }
}
