//! A link with certificates, as the client. Through the tunnel the board answers pings, and has the services of
//! [`longcable_examples::services`].
#![no_std]
#![no_main]

use longcable_examples::{TLS_LINK, services};
use qemu_mps2_an386::settings::Settings;
use qemu_mps2_an386::{ethernet, executor, link, watch};

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let settings = Settings::read();
        let ethernet = ethernet::start(spawner, &settings);
        let tunnel = link::start(spawner, ethernet, TLS_LINK);
        services::start(spawner, tunnel);
        watch::start(spawner, &settings);
    })
}
