//! A link between two ends whose addresses change: the board has its own by DHCP, finds its peer by name, asks for the
//! name again when the peer falls silent, and lets the peer float. Either kind of link, with a key that both ends share or
//! with certificates, may be in flash.
#![no_std]
#![no_main]

use longcable_examples::{DYNAMIC_LINK, services};
use qemu_mps2_an386::settings::Settings;
use qemu_mps2_an386::{ethernet, executor, link, watch};

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let settings = Settings::read();
        let ethernet = ethernet::start(spawner, &settings);
        let tunnel = link::start(spawner, ethernet, DYNAMIC_LINK);
        services::start(spawner, tunnel);
        watch::start(spawner, &settings);
    })
}
