//! Notes for whoever debugs the engine: to the `log` crate on hosts, to defmt on boards, or nowhere.
//!
//! What an operator should know is an [`Event`](crate::event::Event), not a note. A note's arguments are numbers, so that
//! each of the two can print them.

/// A note at debug level.
macro_rules! debug {
    ($text:literal $(, $number:expr)* $(,)?) => {{
        #[cfg(feature = "log")]
        ::log::debug!($text $(, $number)*);
        #[cfg(feature = "defmt")]
        ::defmt::debug!($text $(, $number)*);
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        { $(let _ = $number;)* }
    }};
}

pub(crate) use debug;
