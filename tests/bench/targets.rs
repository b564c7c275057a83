//! What longcable is to reach, and whether it does.

use crate::contenders::{
    BARE_FORWARDER, BORINGTUN, LONGCABLE, LONGCABLE_AT_A, LONGCABLE_AT_B, LONGCABLE_LARGE_MTU, LONGCABLE_PLAIN_CABLE,
    OPENVPN, OPENVPN_LARGE_MTU, OPENVPN_PLAIN_CABLE, WIREGUARD_GO,
};
use crate::figures::Figure::{self, *};
use crate::kind::Protection::{self, Static, Tls};
use crate::study::Study;
use crate::table::{aligned, digits};
use Bound::{Absolute, AtLeast, AtMost};

const BULK: &[Figure] = &[OneStreamAToB, OneStreamBToA];
const PACKETS: &[Figure] = &[SmallPacketsAToB, SmallPacketsBToA];
const LARGE_PACKETS: &[Figure] = &[LargePacketsAToB, LargePacketsBToA];
const CPU_PER_PACKET: &[Figure] = &[CpuPerPacketA, CpuPerPacketB];
const AT_A: &[&str] = &[LONGCABLE_AT_A];
const AT_B: &[&str] = &[LONGCABLE_AT_B];

/// One row: a mean of figures of one pair, compared with another's.
struct Target {
    what: &'static str,
    unit: &'static str,
    link: Protection,
    figures: &'static [Figure],
    /// The best of these counts.
    ours: &'static [&'static str],
    /// What they are compared with.
    theirs: &'static str,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    /// The ratio is that at least.
    AtLeast(f64),
    /// The ratio is that at most.
    AtMost(f64),
    /// Our own value is that at most.
    Absolute(f64),
}

const TARGETS: &[Target] = &[
    target("TCP bulk, TLS AES-256-GCM", "Mbit/s", Tls, BULK, AtLeast(10.0)),
    target("TCP bulk, static key AES-256-CBC/SHA1", "Mbit/s", Static, BULK, AtLeast(5.0)),
    target("TCP bulk, against openvpn with tun-mtu 48000", "Mbit/s", Tls, BULK, AtLeast(1.3))
        .of(&[LONGCABLE_LARGE_MTU, LONGCABLE])
        .against(OPENVPN_LARGE_MTU),
    target("TCP bulk, against wireguard-go", "Mbit/s", Tls, BULK, AtLeast(2.0)).against(WIREGUARD_GO),
    target("TCP bulk, against boringtun", "Mbit/s", Tls, BULK, AtLeast(3.0)).against(BORINGTUN),
    target("TCP bulk, cable without offload", "Mbit/s", Tls, BULK, AtLeast(1.0))
        .of(&[LONGCABLE_PLAIN_CABLE])
        .against(OPENVPN_PLAIN_CABLE),
    target("64-byte packets, TLS", "1000/s", Tls, PACKETS, AtLeast(3.0)),
    target("CPU per 64-byte packet, TLS", "us", Tls, CPU_PER_PACKET, AtMost(0.25)),
    target("ping average, one after the other", "us", Tls, &[PingAverage], AtMost(0.75)),
    target("ping p99, one after the other", "us", Tls, &[PingP99], AtMost(0.75)),
    target("ping average, one a millisecond", "us", Tls, &[PacedPingAverage], AtMost(0.75)),
    target("ping p99, one a millisecond", "us", Tls, &[PacedPingP99], AtMost(0.75)),
    target("ping p99 beside a TCP stream", "us", Tls, &[LoadedPingP99], AtMost(1.0)),
    target("pings answered beside a TCP stream", "%", Tls, &[LoadedPingAnswered], AtLeast(0.99)),
    target("RSS of a TLS link, idle", "MB", Tls, &[RssIdle], AtMost(0.5)),
    target("RSS of a TLS link, after load", "MB", Tls, &[RssLoaded], AtMost(0.5)),
    target("RSS after load less idle", "KB", Tls, &[RssGrowth], Absolute(256.0)),
    target("RSS after 10 GB less idle (`--full`)", "KB", Tls, &[RssGrowthLong], Absolute(256.0)),
    target("start to first ping, TLS", "ms", Tls, &[FirstPing], AtMost(0.2)),
    target("longcable at A only, TLS, TCP A to B", "Mbit/s", Tls, &[OneStreamAToB], AtLeast(1.0)).of(AT_A),
    target("longcable at A only, TLS, TCP B to A", "Mbit/s", Tls, &[OneStreamBToA], AtLeast(1.0)).of(AT_A),
    target("longcable at A only, TLS, 4 x TCP A to B", "Mbit/s", Tls, &[FourStreamsAToB], AtLeast(1.0)).of(AT_A),
    target("longcable at A only, TLS, 4 x TCP B to A", "Mbit/s", Tls, &[FourStreamsBToA], AtLeast(1.0)).of(AT_A),
    target("longcable at A only, TLS, 64-byte packets", "1000/s", Tls, PACKETS, AtLeast(1.0)).of(AT_A),
    target("longcable at A only, TLS, 1400-byte packets", "1000/s", Tls, LARGE_PACKETS, AtLeast(1.0)).of(AT_A),
    target("longcable at A only, TLS, ping average", "us", Tls, &[PingAverage], AtMost(1.0)).of(AT_A),
    target("longcable at A only, TLS, CPU of A per GB", "s", Tls, &[CpuPerGigabyteA], AtMost(1.0)).of(AT_A),
    target("longcable at B only, TLS, TCP A to B", "Mbit/s", Tls, &[OneStreamAToB], AtLeast(1.0)).of(AT_B),
    target("longcable at B only, TLS, TCP B to A", "Mbit/s", Tls, &[OneStreamBToA], AtLeast(1.0)).of(AT_B),
    target("longcable at B only, TLS, 4 x TCP A to B", "Mbit/s", Tls, &[FourStreamsAToB], AtLeast(1.0)).of(AT_B),
    target("longcable at B only, TLS, 4 x TCP B to A", "Mbit/s", Tls, &[FourStreamsBToA], AtLeast(1.0)).of(AT_B),
    target("longcable at B only, TLS, 64-byte packets", "1000/s", Tls, PACKETS, AtLeast(1.0)).of(AT_B),
    target("longcable at B only, TLS, 1400-byte packets", "1000/s", Tls, LARGE_PACKETS, AtLeast(1.0)).of(AT_B),
    target("longcable at B only, TLS, ping average", "us", Tls, &[PingAverage], AtMost(1.0)).of(AT_B),
    target("longcable at B only, TLS, CPU of B per GB", "s", Tls, &[CpuPerGigabyteB], AtMost(1.0)).of(AT_B),
    target("longcable at A only, static key, TCP A to B", "Mbit/s", Static, &[OneStreamAToB], AtLeast(1.0)).of(AT_A),
    target("longcable at A only, static key, TCP B to A", "Mbit/s", Static, &[OneStreamBToA], AtLeast(1.0)).of(AT_A),
    target("longcable at A only, static key, 4 x TCP A to B", "Mbit/s", Static, &[FourStreamsAToB], AtLeast(1.0))
        .of(AT_A),
    target("longcable at A only, static key, 4 x TCP B to A", "Mbit/s", Static, &[FourStreamsBToA], AtLeast(1.0))
        .of(AT_A),
    target("longcable at A only, static key, 64-byte packets", "1000/s", Static, PACKETS, AtLeast(1.0)).of(AT_A),
    target("longcable at A only, static key, 1400-byte packets", "1000/s", Static, LARGE_PACKETS, AtLeast(1.0))
        .of(AT_A),
    target("longcable at A only, static key, ping average", "us", Static, &[PingAverage], AtMost(1.0)).of(AT_A),
    target("longcable at A only, static key, CPU of A per GB", "s", Static, &[CpuPerGigabyteA], AtMost(1.0)).of(AT_A),
    target("longcable at B only, static key, TCP A to B", "Mbit/s", Static, &[OneStreamAToB], AtLeast(1.0)).of(AT_B),
    target("longcable at B only, static key, TCP B to A", "Mbit/s", Static, &[OneStreamBToA], AtLeast(1.0)).of(AT_B),
    target("longcable at B only, static key, 4 x TCP A to B", "Mbit/s", Static, &[FourStreamsAToB], AtLeast(1.0))
        .of(AT_B),
    target("longcable at B only, static key, 4 x TCP B to A", "Mbit/s", Static, &[FourStreamsBToA], AtLeast(1.0))
        .of(AT_B),
    target("longcable at B only, static key, 64-byte packets", "1000/s", Static, PACKETS, AtLeast(1.0)).of(AT_B),
    target("longcable at B only, static key, 1400-byte packets", "1000/s", Static, LARGE_PACKETS, AtLeast(1.0))
        .of(AT_B),
    target("longcable at B only, static key, ping average", "us", Static, &[PingAverage], AtMost(1.0)).of(AT_B),
    target("longcable at B only, static key, CPU of B per GB", "s", Static, &[CpuPerGigabyteB], AtMost(1.0)).of(AT_B),
];

/// A target of the links that longcable has at both ends with default settings, compared with openvpn's.
const fn target(
    what: &'static str,
    unit: &'static str,
    link: Protection,
    figures: &'static [Figure],
    bound: Bound,
) -> Target {
    Target { what, unit, link, figures, ours: &[LONGCABLE], theirs: OPENVPN, bound }
}

/// A row for each target, also for those that could not be measured.
pub(crate) fn table(studies: &[Study]) -> String {
    let heading = ["figure", "unit", "openvpn (or who is named)", "longcable", "ratio", "target", "result"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(TARGETS.iter().map(|target| target.row(studies)));
    aligned(&rows)
}

impl Target {
    const fn of(self, ours: &'static [&'static str]) -> Self {
        Self { ours, ..self }
    }

    const fn against(self, theirs: &'static str) -> Self {
        Self { theirs, ..self }
    }

    fn row(&self, studies: &[Study]) -> Vec<String> {
        let target = match self.bound {
            AtLeast(ratio) => format!(">= {ratio}x"),
            AtMost(ratio) => format!("<= {ratio}x"),
            Absolute(value) => format!("<= {value} {}", self.unit),
        };
        let Some(study) = studies.iter().find(|study| study.kind.protection == self.link) else {
            return self.cells([None; 3], &target, format!("no links with {} in this run", self.link.name()));
        };
        let theirs = study.place(self.theirs);
        let their_value = theirs.and_then(|pair| study.median(pair, self.figures));
        // The best of our pairs: by its ratio, which is what counts.
        let measured = self.ours.iter().filter_map(|name| {
            let pair = study.place(name)?;
            let ratio = theirs.and_then(|theirs| study.ratio(pair, theirs, self.figures));
            Some((study.median(pair, self.figures)?, ratio))
        });
        let best = measured.max_by(|(_, one), (_, other)| one.unwrap_or(0.0).total_cmp(&other.unwrap_or(0.0)));
        let (our_value, ratio) = (best.map(|(value, _)| value), best.and_then(|(_, ratio)| ratio));
        let is_met = match self.bound {
            AtLeast(bound) => ratio.map(|ratio| ratio >= bound),
            AtMost(bound) => ratio.map(|ratio| ratio <= bound),
            Absolute(bound) => our_value.map(|value| value <= bound),
        };
        // It is measured only for what it is the floor of.
        let floor = theirs
            .zip(study.place(BARE_FORWARDER))
            .and_then(|(theirs, bare)| study.ratio(bare, theirs, self.figures))
            .map_or(String::new(), |ratio| format!("; the floor, a bare forwarder, has {ratio:.2}"));
        let result = match is_met {
            Some(true) => format!("met{floor}"),
            Some(false) => format!("**missed**{floor}"),
            None => self.why_unknown(study),
        };
        // Of what is absolute, the ratio says nothing.
        let ratio = ratio.filter(|_| !matches!(self.bound, Absolute(_)));
        self.cells([their_value, our_value, ratio], &target, result)
    }

    fn cells(&self, [theirs, ours, ratio]: [Option<f64>; 3], target: &str, result: String) -> Vec<String> {
        let show = |value: Option<f64>| value.map_or("-".to_owned(), digits);
        vec![
            self.what.to_owned(),
            self.unit.to_owned(),
            show(theirs),
            show(ours),
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
            target.to_owned(),
            result,
        ]
    }

    fn why_unknown(&self, study: &Study) -> String {
        let names = || self.ours.iter().copied().chain([self.theirs]);
        let failed = study.failures();
        if let Some(missing) = study.missing.iter().find(|missing| names().any(|name| name == missing.name)) {
            format!("not measured: {}", missing.reason)
        } else if let Some((name, _)) = failed.iter().find(|(failed, _)| names().any(|name| name == *failed)) {
            format!("not measured: {name} failed")
        } else {
            "not measured in this run".to_owned()
        }
    }
}
