//! A link with certificates, as the client. Through the tunnel the board answers pings, and has the services of
//! [`longcable_examples::services`].
#![no_std]
#![no_main]

use longcable_examples::TLS_LINK;
use qemu_mps2_an386::link;

#[cortex_m_rt::entry]
fn main() -> ! {
    link::firmware(TLS_LINK)
}
