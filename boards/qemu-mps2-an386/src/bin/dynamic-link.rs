//! A link between two ends whose addresses change: the board has its own by DHCP, finds its peer by name, asks for the
//! name again when the peer falls silent, and lets the peer float. Either kind of link, with a key that both ends share or
//! with certificates, may be in flash.
#![no_std]
#![no_main]

use longcable_examples::DYNAMIC_LINK;
use qemu_mps2_an386::link;

#[cortex_m_rt::entry]
fn main() -> ! {
    link::firmware(DYNAMIC_LINK)
}
