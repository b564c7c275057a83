//! A router between the network that the board is in and those behind its peer: hosts there reach each other through the
//! tunnel. The configuration's `route` lines say which networks those are.
#![no_std]
#![no_main]

use qemu_mps2_an386::settings::Settings;
use qemu_mps2_an386::{executor, link, watch};

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let settings = Settings::read();
        link::start_router(spawner, &settings, longcable_examples::SUBNET_ROUTER);
        watch::start(spawner, &settings);
    })
}
