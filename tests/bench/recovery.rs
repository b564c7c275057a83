//! How long links between two gateways with names need to come back after something has changed.
//!
//! Pairs take turns in each round. In a pair's turn all changes happen at the same time, each in a laboratory of its
//! own: nearly all of it is waiting.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use longcable::demo::lab::interrupted;
use longcable::demo::probe::Pinger;
use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof, named_ends};
use longcable_tests::support::{Daemon, Lab, Site};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::change::{Change, LATE, LIMIT, Target};
use crate::figures::median;
use crate::kind::{Kind, Protection};
use crate::lead;
use crate::machine::{description, unix_time};
use crate::table::aligned;

/// Age of a link when the change comes, and up to a second more: longcable replaces no session that is younger, and
/// openvpn drops packets in the first second.
const AGE: Duration = Duration::from_millis(2200);

/// How long packets are counted when a name gains an address, which is long enough to be looked up twice.
const COUNTING: Duration = Duration::from_secs(5);

/// longcable's default `probe-interval`, in seconds.
const PROBE: f64 = 5.0;

/// What each line's second address ends in.
const ANEW: u8 = 11;

/// Name and program of both ends.
type Pair<'p> = (&'static str, &'p Path);

/// What is measured, and how.
pub(crate) struct Recovery {
    pub(crate) kind: Kind,
    /// Interval and patience, in seconds.
    pub(crate) keepalive: &'static str,
    pub(crate) rounds: u32,
}

/// For each round and each pair, what all changes led to: seconds, infinite when the link did not come
/// back, or a count.
pub(crate) struct Recovered(Vec<Vec<Sample>>);

type Sample = Vec<(Change, f64)>;

impl Recovery {
    /// Each pair has its turn in each round. To be called by a process that may make namespaces.
    ///
    /// Panics when a laboratory cannot be built, as in tests.
    pub(crate) fn measure(&self, pairs: &[Pair<'_>]) -> io::Result<Recovered> {
        let mut rounds = Vec::new();
        for number in 1..=self.rounds {
            eprint!("round {number} of {}, {}:", self.rounds, self.kind.protection.name());
            let mut round = Vec::new();
            for pair in pairs {
                eprint!(" {}", pair.0);
                round.push(self.turn(pair, number)?);
            }
            eprintln!();
            rounds.push(round);
        }
        Ok(Recovered(rounds))
    }

    fn turn(&self, pair: &Pair<'_>, number: u32) -> io::Result<Sample> {
        thread::scope(|scope| {
            let start = |(change, place)| {
                let age = AGE + lead(number * Change::SEPARATE.len() as u32 + place);
                scope.spawn(move || self.undergo(change, pair, age))
            };
            let threads: Vec<_> = Change::SEPARATE.into_iter().zip(0..).map(start).collect();
            let samples: io::Result<Vec<Sample>> =
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect();
            Ok(samples?.concat())
        })
    }

    /// A link that is so old undergoes a change.
    fn undergo(&self, change: Change, pair: &Pair<'_>, age: Duration) -> io::Result<Sample> {
        let mut sample = Sample::new();
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        // With float nobody asks where an unknown sender may come from.
        let float = if change == Change::SecondAddress { "" } else { "float\n" };
        let more = format!("{float}keepalive {}\npersist-tun\n{}", self.keepalive, self.kind.config);
        let proof = match self.kind.protection {
            Protection::Static => Proof::StaticKey,
            Protection::Tls => Proof::Tls(Role::Client),
        };
        for (name, config) in ["left.conf", "right.conf"].iter().zip(named_ends(&lab, proof, [&more; 2])) {
            lab.write(name, &config);
        }
        let run = |site, program: &Path, config| {
            let mut command = Site::command(site, program);
            Daemon::with_command(&lab, site, pair.0, command.args(["--config", config]))
        };
        let (left, mut right) = (run(&lab.left, pair.1, "left.conf"), run(&lab.right, pair.1, "right.conf"));

        let (from, to) = if change == Change::PeerAddress { (&lab.right, &lab.left) } else { (&lab.left, &lab.right) };
        let mut pinger = Pinger::new(&from.namespace, Ipv4Addr::UNSPECIFIED, to.inside)?;
        let up = pinger.first_answer(Instant::now(), LIMIT, go_on)?;
        if up.is_none() {
            return Err(broken("the link does not come up", &[left, right]));
        }
        // There is traffic until the change, so all timers begin with it.
        let before = ping_on(&mut pinger, age, || Ok(()))?;
        if change == Change::LocalAddress {
            sample.extend(median(before.round_trips).map(|round_trip| (Change::RoundTrip, round_trip)));
        }

        let start = match change {
            Change::LocalAddress | Change::PeerAddress => {
                lab.left.redial(ANEW);
                let start = Instant::now();
                server.set(&[(NAMES[0], lab.left.address(ANEW)), (NAMES[1], lab.right.outside)]);
                start
            }
            Change::BothAddresses => {
                lab.redial_both(ANEW);
                let start = Instant::now();
                server.set_both(ANEW);
                start
            }
            Change::LateNames => {
                lab.redial_both(ANEW);
                let start = Instant::now();
                if let Some(early) = pinger.first_answer(start, Duration::from_secs_f64(LATE), go_on)? {
                    sample.push((change, early.as_secs_f64()));
                    return Ok(sample);
                }
                server.set_both(ANEW);
                start
            }
            Change::Reboot => {
                right.signal(Signal::SIGKILL);
                right.wait();
                let start = Instant::now();
                right = run(&lab.right, pair.1, "right.conf");
                start
            }
            Change::RoundTrip | Change::SecondAddress | Change::Lookups => {
                lab.right.ip(&["addr add 198.51.100.66/24 dev eth0"]);
                let stranger = lab.right.namespace.inside(|| UdpSocket::bind("198.51.100.66:6666"))?;
                let right = [lab.right.address(ANEW), lab.right.outside].map(|address| (NAMES[1], address));
                server.set(&[(NAMES[0], lab.left.outside), right[0], right[1]]);
                // Where a stranger may come from is a reason for longcable to look the name up.
                let before = server.asked(NAMES[1]);
                let knock = || stranger.send_to(&[0x38; 40], (lab.left.outside, 1194)).map(drop);
                let pings = ping_on(&mut pinger, COUNTING, knock)?;
                let lookups = server.asked(NAMES[1]) - before;
                sample.extend([(Change::SecondAddress, pings.lost), (Change::Lookups, lookups as f64)]);
                return Ok(sample);
            }
        };
        let back = pinger.first_answer(start, LIMIT, go_on)?;
        let mut ends = [left, right];
        if ends.iter_mut().any(|end| end.ended().is_some()) {
            return Err(broken("a program has ended", &ends));
        }
        sample.push((change, back.map_or(f64::INFINITY, |time| time.as_secs_f64())));
        Ok(sample)
    }
}

impl Recovered {
    /// Medians and worst cases, and whether the last pair's reach the targets.
    pub(crate) fn markdown(&self, recovery: &Recovery, pairs: &[Pair<'_>]) -> String {
        let mut rows = vec![vec!["what changes".to_owned()]];
        rows[0].extend(pairs.iter().flat_map(|pair| ["median", "worst"].map(|what| format!("{}, {what}", pair.0))));
        rows[0].extend(["target", "result"].map(str::to_owned));
        for change in Change::ALL {
            let mut row = vec![change.label().to_owned()];
            for pair in 0..pairs.len() {
                let values = self.values(pair, change);
                let worst = values.iter().copied().reduce(f64::max);
                row.extend([median(values), worst].map(|value| value.map_or("-".into(), |value| change.show(value))));
            }
            match self.target(recovery, pairs, change) {
                Some(target) => row.extend([target.text, if target.is_met { "met" } else { "**missed**" }.to_owned()]),
                None => row.extend(["-".to_owned(), "-".to_owned()]),
            }
            rows.push(row);
        }
        format!(
            "{}\n{}, on {}. Both ends name each other, `float` (not where a name gains an address), `keepalive {}`, \
             `persist-tun`; rounds: {}. Times are from the moment the line is up again to the first ping answered through \
             the tunnel, with pings every 5 ms until the change and after.\n",
            aligned(&rows),
            recovery.kind.title(),
            description(),
            recovery.keepalive,
            self.0.len(),
        )
    }

    /// What the last pair is to reach.
    fn target(&self, recovery: &Recovery, pairs: &[Pair<'_>], change: Change) -> Option<Target> {
        let last = pairs.len().checked_sub(1)?;
        let ping = recovery.keepalive.split_whitespace().next()?.parse().ok()?;
        let round_trip = median(self.values(last, Change::RoundTrip))?;
        change.target(&self.values(last, change), ping, PROBE, round_trip)
    }

    /// Everything, for whoever wants to compute something else; null for what did not come back.
    pub(crate) fn json(&self, recovery: &Recovery, pairs: &[Pair<'_>]) -> Value {
        let values = |pair| -> Value {
            Change::ALL
                .map(|change| (change.label().to_owned(), json!(self.values(pair, change))))
                .into_iter()
                .collect()
        };
        let of_pairs: Value =
            pairs.iter().enumerate().map(|(number, pair)| (pair.0.to_owned(), values(number))).collect();
        let verdict = |change| -> Option<(String, Value)> {
            let target: Target = self.target(recovery, pairs, change)?;
            Some((change.label().to_owned(), json!({ "target": target.text, "met": target.is_met })))
        };
        json!({
            "unix_time": unix_time(),
            "machine": description(),
            "protection": recovery.kind.protection.name(),
            "config": recovery.kind.config,
            "keepalive": recovery.keepalive,
            "recovery": of_pairs,
            "targets": Change::ALL.into_iter().filter_map(verdict).collect::<Value>(),
        })
    }

    /// What this change led to for a pair, in each round.
    fn values(&self, pair: usize, change: Change) -> Vec<f64> {
        let samples = self.0.iter().filter_map(|round| round.get(pair)).flatten();
        samples.filter(|(candidate, _)| *candidate == change).map(|(_, value)| *value).collect()
    }
}

/// What became of pings in a row.
struct Pings {
    lost: f64,
    /// In seconds.
    round_trips: Vec<f64>,
}

/// Pings for so long, with something done after each.
fn ping_on(pinger: &mut Pinger, length: Duration, mut between: impl FnMut() -> io::Result<()>) -> io::Result<Pings> {
    let (start, mut pings) = (Instant::now(), Pings { lost: 0.0, round_trips: Vec::new() });
    while start.elapsed() < length {
        match pinger.ping(Duration::from_secs(1))? {
            Some(round_trip) => pings.round_trips.push(round_trip.as_secs_f64()),
            None => pings.lost += 1.0,
        }
        go_on()?;
        between()?;
        thread::sleep(Duration::from_millis(5));
    }
    Ok(pings)
}

/// With the last lines of both logs.
fn broken(what: &str, ends: &[Daemon; 2]) -> io::Error {
    let [left, right] = ends.each_ref().map(|end| {
        let log = end.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n    ")
    });
    io::Error::other(format!("{what}\n  log of A:\n    {left}\n  log of B:\n    {right}"))
}

/// Nobody wants us to end.
fn go_on() -> io::Result<()> {
    if interrupted() { Err(io::Error::other("interrupted")) } else { Ok(()) }
}
