//! What was measured.

use std::time::Duration;

use super::super::probe::Transfer;
use super::super::screen::Screen;
use super::PINGS;
use super::changes::Change;
use super::gateways::Renegotiation;

pub(super) struct Results {
    pub(super) new_key: Option<Renegotiation>,
    /// From the start to the first ping.
    pub(super) handshake: Duration,
    /// How many of the pings were answered.
    pub(super) answered: usize,
    /// Their median.
    pub(super) round_trip: Duration,
    pub(super) transfer: Transfer,
    /// From each change to the next answered ping.
    pub(super) recoveries: Vec<(Change, Duration)>,
}

impl Results {
    pub(super) fn show(&self, screen: &Screen) {
        let row =
            |name: &str, how: &str, value: String| screen.line(format_args!("    {name:<11} {how:<45} {value:>12}"));
        screen.line("");
        if let Some(Renegotiation { tls, cipher, pings, lost }) = &self.new_key {
            row("Encryption", tls, cipher.clone());
            row("New key", &format!("of {pings} pings, lost meanwhile"), lost.to_string());
        }
        let (answered, megabytes) = (self.answered, self.transfer.bytes / 1_000_000);
        let rate = format!("{:.0} Mbit/s", self.transfer.megabits_per_second());
        row("Handshake", "from start to the first ping", in_figures(self.handshake));
        let pings = format!("ICMP echo, median of {answered} answers to {PINGS}");
        row("Round trip", &pings, in_figures(self.round_trip));
        row("Throughput", &format!("TCP, {megabytes} MB"), rate);
        screen.line("");
        screen.line("    Recovery: from each change to the next answered ping from LAN to LAN");
        for (change, time) in &self.recoveries {
            row("", change.label(), in_figures(*time));
        }
        screen.line("");
    }
}

/// With three digits that mean something.
fn in_figures(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    match milliseconds {
        ..9.995 => format!("{milliseconds:.2} ms"),
        ..99.95 => format!("{milliseconds:.1} ms"),
        ..999.5 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.2} s", milliseconds / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (microseconds, text) in [
            (55, "0.06 ms"),
            (9_994, "9.99 ms"),
            (9_999, "10.0 ms"),
            (99_990, "100 ms"),
            (999_400, "999 ms"),
            (999_900, "1.00 s"),
            (4_213_000, "4.21 s"),
        ] {
            assert_eq!(in_figures(Duration::from_micros(microseconds)), text);
        }
    }
}
