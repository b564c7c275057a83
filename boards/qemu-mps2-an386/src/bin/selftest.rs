//! placeholder
#![no_std]
#![no_main]
use qemu_mps2_an386 as board;
#[cortex_m_rt::entry]
fn main() -> ! {
    defmt::info!("selftest: {} bytes of stack", board::stack_used());
    board::exit(0)
}
