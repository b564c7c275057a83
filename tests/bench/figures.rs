//! What is measured of a pair of programs.

/// One row of the table. A and B are the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    FirstPing,
    PingAverage,
    PingP99,
    PacedPingAverage,
    PacedPingP99,
    LoadedPingAverage,
    LoadedPingP99,
    LoadedPingAnswered,
    OneStreamAToB,
    OneStreamBToA,
    FourStreamsAToB,
    FourStreamsBToA,
    SmallPacketsAToB,
    SmallPacketsBToA,
    SegmentedPacketsAToB,
    MiddlePacketsAToB,
    MiddlePacketsBToA,
    LargePacketsAToB,
    LargePacketsBToA,
    CpuPerGigabyteA,
    CpuPerGigabyteB,
    CpuPerPacketA,
    CpuPerPacketB,
    CpuPerPingA,
    RssIdle,
    PssIdle,
    RssLoaded,
    PssLoaded,
    RssGrowth,
    RssGrowthLong,
}

impl Figure {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 30] = [
        Self::OneStreamAToB,
        Self::OneStreamBToA,
        Self::FourStreamsAToB,
        Self::FourStreamsBToA,
        Self::SmallPacketsAToB,
        Self::SmallPacketsBToA,
        Self::SegmentedPacketsAToB,
        Self::MiddlePacketsAToB,
        Self::MiddlePacketsBToA,
        Self::LargePacketsAToB,
        Self::LargePacketsBToA,
        Self::CpuPerGigabyteA,
        Self::CpuPerGigabyteB,
        Self::CpuPerPacketA,
        Self::CpuPerPacketB,
        Self::PingAverage,
        Self::PingP99,
        Self::CpuPerPingA,
        Self::PacedPingAverage,
        Self::PacedPingP99,
        Self::LoadedPingAverage,
        Self::LoadedPingP99,
        Self::LoadedPingAnswered,
        Self::FirstPing,
        Self::RssIdle,
        Self::RssLoaded,
        Self::PssIdle,
        Self::PssLoaded,
        Self::RssGrowth,
        Self::RssGrowthLong,
    ];

    /// What it is, with its unit.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::FirstPing => "start of A to first ping, ms",
            Self::PingAverage => "ping, one after the other, average, us",
            Self::PingP99 => "ping, one after the other, 99th percentile, us",
            Self::PacedPingAverage => "ping, one a millisecond, average, us",
            Self::PacedPingP99 => "ping, one a millisecond, 99th percentile, us",
            Self::LoadedPingAverage => "ping beside a TCP stream, average, us",
            Self::LoadedPingP99 => "ping beside a TCP stream, 99th percentile, us",
            Self::LoadedPingAnswered => "pings answered beside a TCP stream, %",
            Self::OneStreamAToB => "TCP, 1 stream, A to B, Mbit/s",
            Self::OneStreamBToA => "TCP, 1 stream, B to A, Mbit/s",
            Self::FourStreamsAToB => "TCP, 4 streams, A to B, Mbit/s",
            Self::FourStreamsBToA => "TCP, 4 streams, B to A, Mbit/s",
            Self::SmallPacketsAToB => "64-byte UDP payloads, A to B, 1000/s",
            Self::SmallPacketsBToA => "64-byte UDP payloads, B to A, 1000/s",
            Self::SegmentedPacketsAToB => "64-byte UDP payloads, sent with UDP_SEGMENT, A to B, 1000/s",
            Self::MiddlePacketsAToB => "512-byte UDP payloads, A to B, 1000/s",
            Self::MiddlePacketsBToA => "512-byte UDP payloads, B to A, 1000/s",
            Self::LargePacketsAToB => "1400-byte UDP payloads, A to B, 1000/s",
            Self::LargePacketsBToA => "1400-byte UDP payloads, B to A, 1000/s",
            Self::CpuPerGigabyteA => "CPU of A, TCP 1 stream both ways, s/GB",
            Self::CpuPerGigabyteB => "CPU of B, TCP 1 stream both ways, s/GB",
            Self::CpuPerPacketA => "CPU of A, 64-byte payloads both ways, us each",
            Self::CpuPerPacketB => "CPU of B, 64-byte payloads both ways, us each",
            Self::CpuPerPingA => "CPU of A, ping, one after the other, us each",
            Self::RssIdle => "memory of A idle, RSS, MB",
            Self::PssIdle => "memory of A idle, PSS, MB",
            Self::RssLoaded => "memory of A after load, RSS, MB",
            Self::PssLoaded => "memory of A after load, PSS, MB",
            Self::RssGrowth => "RSS of A after load less idle, KB",
            Self::RssGrowthLong => "RSS of A after 10 GB less idle, KB",
        }
    }
}

/// What one pair showed in one round.
pub(crate) type Sample = Vec<(Figure, f64)>;

/// The value that `share` of all are not above; of none, nothing.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share) as usize;
    values.get(place.min(values.len().saturating_sub(1))).copied()
}

/// The middle, or half way between the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[half - 1] + upper) / 2.0 })
}

/// The arithmetic mean; of none, nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
