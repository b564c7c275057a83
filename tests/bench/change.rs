//! What happens to a link, what is measured then, and what longcable is to reach.

use std::time::Duration;

use crate::figures::median;

/// What takes longer has not come back.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// How late the names are that are late, in seconds.
pub(crate) const LATE: f64 = 10.0;

/// What happens to a link. The left end pings when nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing has happened yet.
    RoundTrip,
    LocalAddress,
    PeerAddress,
    BothAddresses,
    LateNames,
    Reboot,
    SecondAddress,
    /// Seen in the course of the former.
    Lookups,
}

/// What is to be reached: in words, and whether it is.
pub(crate) struct Target {
    pub(crate) text: String,
    pub(crate) is_met: bool,
}

impl Change {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 8] = [
        Self::RoundTrip,
        Self::LocalAddress,
        Self::PeerAddress,
        Self::BothAddresses,
        Self::LateNames,
        Self::Reboot,
        Self::SecondAddress,
        Self::Lookups,
    ];

    /// Those that have a laboratory of their own.
    pub(crate) const SEPARATE: [Self; 6] = [
        Self::LocalAddress,
        Self::PeerAddress,
        Self::BothAddresses,
        Self::LateNames,
        Self::Reboot,
        Self::SecondAddress,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::RoundTrip => "a round trip before the change",
            Self::LocalAddress => "local change: the end that pings gets another address",
            Self::PeerAddress => "peer change: the end that is pinged gets another address",
            Self::BothAddresses => "both get other addresses, DNS updated at once",
            Self::LateNames => "both get other addresses, DNS updated 10 s later",
            Self::Reboot => "peer reboot: killed, counted from its new start",
            Self::SecondAddress => "packets lost when the peer's name gains a second address",
            Self::Lookups => "how often the name was looked up meanwhile",
        }
    }

    /// What was measured, as it is shown.
    pub(crate) fn show(self, value: f64) -> String {
        match (self, value) {
            (Self::SecondAddress | Self::Lookups, count) => format!("{count}"),
            (_, 0.0..0.001) => format!("{:.2} ms", value * 1e3),
            (_, 0.001..0.1) => format!("{:.1} ms", value * 1e3),
            (_, 0.1..1.0) => format!("{:.0} ms", value * 1e3),
            (_, f64::INFINITY) => format!(">{} s", LIMIT.as_secs()),
            _ => format!("{value:.1} s"),
        }
    }

    /// What longcable is to reach with this `ping` interval and `probe-interval`, in seconds, on a line with such round
    /// trips, and whether these rounds do.
    pub(crate) fn target(self, rounds: &[f64], ping: f64, probe: f64, round_trip: f64) -> Option<Target> {
        let (middle, worst) = (median(rounds.to_vec())?, rounds.iter().copied().reduce(f64::max)?);
        let (text, is_met) = match self {
            Self::RoundTrip => return None,
            Self::LocalAddress | Self::PeerAddress => {
                ("median <= 2 round trips + 100 ms".to_owned(), middle <= 2.0 * round_trip + 0.1)
            }
            Self::BothAddresses => ("median <= 6 s".to_owned(), middle <= 6.0),
            // It is asked at the distance of the probes.
            Self::LateNames => {
                let bound = LATE + probe + 1.0;
                (format!("worst <= {bound} s"), worst <= bound)
            }
            Self::Reboot => {
                let bound = ping + 1.0;
                (format!("worst <= {bound} s"), worst <= bound)
            }
            Self::SecondAddress => ("worst 0".to_owned(), worst == 0.0),
            // Otherwise the row above says nothing.
            Self::Lookups => (">= 1 each time".to_owned(), rounds.iter().all(|count| *count >= 1.0)),
        };
        Some(Target { text, is_met })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_met_and_missed() {
        let verdict =
            |change: Change, rounds: &[f64]| change.target(rounds, 10.0, 5.0, 0.01).map(|target| target.is_met);
        for (change, good, bad) in [
            (Change::LocalAddress, [0.02, 0.12, 5.0], [0.02, 0.13, 0.14]),
            (Change::BothAddresses, [5.0, 6.0, 60.0], [5.0, 6.1, 7.0]),
            (Change::LateNames, [13.0, 14.0, 16.0], [13.0, 14.0, f64::INFINITY]),
            (Change::Reboot, [0.1, 0.1, 11.0], [0.1, 0.1, 11.1]),
            (Change::SecondAddress, [0.0; 3], [0.0, 0.0, 1.0]),
            (Change::Lookups, [1.0, 2.0, 3.0], [0.0, 2.0, 3.0]),
        ] {
            assert_eq!(verdict(change, &good), Some(true), "{change:?}");
            assert_eq!(verdict(change, &bad), Some(false), "{change:?}");
            assert_eq!(verdict(change, &[]), None, "nothing was measured");
        }
    }
}
