//! Lines for the operator: to defmt, or nowhere. Without defmt their text is no part of the firmware.

/// Whether lines go anywhere.
pub(crate) const LOGS: bool = cfg!(feature = "defmt");

macro_rules! line {
    ($level:ident, $text:literal $(, $argument:expr)*) => {{
        #[cfg(feature = "defmt")]
        ::defmt::$level!($text $(, ::defmt::Display2Format(&$argument))*);
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
