//! A subnet router: the hosts on the board's Ethernet reach the networks behind the tunnel through the board, and are
//! reached from there.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_net::{Runner, Stack, StackResources};
use longcable_embassy::Device;
use longcable_embassy::router::{self, Control, Lan, LanPort, State, Tunnel, TunnelPort};
use longcable_examples::{SUBNET_ROUTER, services};
use qemu_mps2_an386::settings::Settings;
use qemu_mps2_an386::{ethernet, executor, host, link, watch};
use static_cell::ConstStaticCell;

/// The largest packet that is forwarded, in bytes.
const MTU: usize = 1500;
/// Packets that wait, each way.
const QUEUE: usize = 3;
/// Hosts that are looked for at the same time.
const PENDING: usize = 2;

type LanDriver = LanPort<'static, ethernet::Driver, MTU, PENDING>;
type TunnelDriver = TunnelPort<'static, Device, MTU>;

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(start)
}

fn start(spawner: Spawner) {
    static ROUTER: ConstStaticCell<State<'static, MTU, QUEUE, PENDING>> = ConstStaticCell::new(State::new());
    static LAN: ConstStaticCell<ethernet::Resources> = ConstStaticCell::new(StackResources::new());
    static TUNNEL: ConstStaticCell<link::Resources> = ConstStaticCell::new(StackResources::new());

    let settings = Settings::read();
    let (device, link) = link::open(SUBNET_ROUTER);
    let tunnel = match Tunnel::from_config(link.config()) {
        Ok(tunnel) => tunnel,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    let (lan_port, tunnel_port, control) =
        router::new(ROUTER.take(), ethernet::driver(), device, Lan::default(), tunnel);

    let config = ethernet::config(&settings);
    let (lan, lan_runner) = embassy_net::new(lan_port, config, LAN.take(), host::seed());
    let (_, tunnel_runner) = embassy_net::new(tunnel_port, link.net_config(), TUNNEL.take(), host::seed());
    link::run(spawner, link, lan);
    spawner.spawn(run_lan(lan_runner).expect("it is started once"));
    spawner.spawn(run_tunnel(tunnel_runner).expect("it is started once"));
    spawner.spawn(follow(lan, control).expect("it is started once"));
    services::start_udp_echo(spawner, lan);
    watch::start(spawner, &settings);
}

#[embassy_executor::task]
async fn run_lan(mut runner: Runner<'static, LanDriver>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn run_tunnel(mut runner: Runner<'static, TunnelDriver>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn follow(lan: Stack<'static>, control: Control<'static>) -> ! {
    longcable_examples::router::follow(lan, control).await
}
