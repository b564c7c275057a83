//! A link with certificates, as the client. Through the tunnel the board answers pings, and has the services of
//! [`qemu_mps2_an386::services`].
#![no_std]
#![no_main]

use qemu_mps2_an386::settings::Settings;
use qemu_mps2_an386::{ethernet, executor, link, services, watch};

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let settings = Settings::read();
        let ethernet = ethernet::start(spawner, &settings);
        let tunnel = link::start(spawner, ethernet, include_str!("tls-link.ovpn"));
        services::start(spawner, tunnel);
        watch::start(spawner, &settings);
    })
}
