//! The text of the link's configuration, which the board keeps in flash pages of its own.

use core::slice;

/// The configuration in flash; while there is none, `default`.
///
/// It ends at the first byte of zeros, or of ones, which is flash that nobody has written.
pub fn text(default: &'static str) -> &'static str {
    unsafe extern "C" {
        static _config_start: u8;
        static _config_end: u8;
    }
    let start = &raw const _config_start;
    let length = (&raw const _config_end as usize) - (start as usize);
    // SAFETY: the linker script puts both symbols at the ends of flash that nothing else is in and nothing writes.
    let flash = unsafe { slice::from_raw_parts(start, length) };
    let text = flash.split(|byte| matches!(byte, 0 | 0xff)).next().unwrap_or_default();
    match str::from_utf8(text) {
        Ok("") => default,
        Ok(text) => text,
        Err(error) => {
            defmt::panic!("the configuration in flash is not text from byte {=usize} on", error.valid_up_to())
        }
    }
}
