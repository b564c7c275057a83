//! A link with a key that both ends share. Through the tunnel the board answers pings, and has the services of
//! [`longcable_examples::services`].
#![no_std]
#![no_main]

use longcable_examples::{STATIC_LINK, services};
use qemu_mps2_an386::settings::Settings;
use qemu_mps2_an386::{ethernet, executor, link, watch};

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let settings = Settings::read();
        let ethernet = ethernet::start(spawner, &settings);
        let tunnel = link::start(spawner, ethernet, STATIC_LINK);
        services::start(spawner, tunnel);
        watch::start(spawner, &settings);
    })
}
