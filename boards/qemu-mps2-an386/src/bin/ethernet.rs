//! The board without a tunnel: it answers pings and echoes on its Ethernet. What does not work here is not the tunnel's
//! fault.
#![no_std]
#![no_main]

use longcable_examples::services;
use qemu_mps2_an386::settings::Settings;
use qemu_mps2_an386::{ethernet, executor, watch};

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let settings = Settings::read();
        let stack = ethernet::start(spawner, &settings);
        services::start_udp_echo(spawner, stack);
        watch::start(spawner, &settings);
    })
}
