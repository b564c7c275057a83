//! Lines for the operator: to defmt, or nowhere. Their text is no part of the firmware: with defmt it stays in the ELF file,
//! and what happens is told by its name there, as in `PeerConnected(192.0.2.1:1194)`.

/// Whether lines go anywhere.
pub(crate) const LOGS: bool = cfg!(feature = "defmt");

macro_rules! line {
    ($level:ident, $text:literal $(, $argument:expr)*) => {{
        #[cfg(feature = "defmt")]
        ::defmt::$level!($text $(, $argument)*);
        #[cfg(not(feature = "defmt"))]
        { $(let _ = &$argument;)* }
    }};
}

/// What happened.
macro_rules! note {
    ($($line:tt)*) => { $crate::log::line!(info, $($line)*) };
}

/// What somebody should see to.
macro_rules! warning {
    ($($line:tt)*) => { $crate::log::line!(warn, $($line)*) };
}

pub(crate) use {line, note, warning};
