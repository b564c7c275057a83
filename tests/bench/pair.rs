//! Two namespaces joined by a cable, one program in each, and everything that is measured of them.

use std::error::Error;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use longcable::demo::lab::{self, Namespace, Scratch, interrupted};
use longcable::demo::probe::Pinger;
use longcable::net::InterfaceAddress;

use crate::contenders::{Pair, Program, Work};
use crate::figures::{Figure, Sample, mean, quantile};
use crate::flood::{Flood, Sender, flood};
use crate::forwarder;
use crate::kind::{End, Kind, Protection};
use crate::machine::{cpu_seconds, memory};
use crate::process::Process;
use crate::tcp::{Amount, Tcp, Way};

const SMALL: usize = 64;
const MIDDLE: usize = 512;
const LARGE: usize = 1400;

/// A ping that is lost counts as one that took so long.
const LOST: Duration = Duration::from_millis(100);

/// The place where pairs take turns.
pub(crate) struct Bench {
    pub(crate) iperf3: PathBuf,
    pub(crate) ethtool: Option<PathBuf>,
    /// How long a TCP measurement takes; one of packets takes half of it.
    pub(crate) length: Duration,
    scratch: Scratch,
    pub(crate) a: Namespace,
    pub(crate) b: Namespace,
}

/// A pair at work.
pub(crate) struct Running<'b> {
    pub(crate) bench: &'b Bench,
    a: Process,
    b: Process,
}

/// When one ping follows the other.
#[derive(Clone, Copy)]
enum Pace {
    AtOnce,
    Millisecond,
}

impl Bench {
    /// Lays the cable. To be called by a process that may change its network.
    pub(crate) fn new(iperf3: PathBuf, ethtool: Option<PathBuf>, length: Duration) -> io::Result<Self> {
        let (a, b) = (Namespace::create()?, Namespace::create()?);
        lab::cable((&a, End::A.device()), (&b, End::B.device()))?;
        for (namespace, end) in [(&a, End::A), (&b, End::B)] {
            let netlink = namespace.netlink()?;
            let address = InterfaceAddress::Subnet { local: IpAddr::V4(end.outer()), prefix: 24 };
            netlink
                .link("lo")
                .and_then(|loopback| netlink.set_up(&loopback, true))
                .and_then(|()| netlink.link(end.device()))
                .and_then(|device| netlink.add_address(&device, address))
                .map_err(io::Error::other)?;
        }
        Ok(Self { iperf3, ethtool, length, scratch: Scratch::create(false)?, a, b })
    }

    /// Starts a pair with a link of this kind, A so long after B, measures it, and ends it. With the log when
    /// something breaks. `long_haul` adds a transfer of 10 GB.
    pub(crate) fn measure(
        &self,
        kind: &Kind,
        pair: &Pair,
        lead: Duration,
        long_haul: bool,
    ) -> Result<Sample, Box<dyn Error>> {
        if pair.plain_cable {
            self.cable_offload(false)?;
        }
        let sample = self.measure_on_cable(kind, pair, lead, long_haul);
        if pair.plain_cable {
            self.cable_offload(true)?;
        }
        sample
    }

    fn measure_on_cable(
        &self,
        kind: &Kind,
        pair: &Pair,
        lead: Duration,
        long_haul: bool,
    ) -> Result<Sample, Box<dyn Error>> {
        let directory = self.scratch.path();
        self.write_configs(kind, pair)?;
        let run = |namespace, end: End, program: &Program| match program {
            Program::WireGuard { daemon, arguments, keys } => {
                keys.start((namespace, end), (daemon, arguments), directory)
            }
            Program::Gateway { program, .. } => {
                let mut command = Command::new(program);
                command.arg(Path::new(end.name()).with_extension("conf")).current_dir(directory);
                let log = directory.join(end.name()).with_extension("log");
                Ok(Process::start(namespace, &mut command, log)?)
            }
            Program::Forwarder => Ok(forwarder::start(namespace, end, directory)?),
        };
        let b = run(&self.b, End::B, &pair.b)?;
        thread::sleep(lead);
        let start = Instant::now();
        let a = run(&self.a, End::A, &pair.a)?;
        let mut running = Running { bench: self, a, b };
        running.measure(start, pair.work, long_haul).map_err(|error| {
            let [a, b] = [&running.a, &running.b].map(Process::last_lines);
            format!("{error}\n  log of A:\n    {a}\n  log of B:\n    {b}").into()
        })
    }

    /// The files that gateways read.
    fn write_configs(&self, kind: &Kind, pair: &Pair) -> Result<(), Box<dyn Error>> {
        let directory = self.scratch.path();
        for (end, program) in [(End::A, &pair.a), (End::B, &pair.b)] {
            let Program::Gateway { program, config } = program else { continue };
            let lines = kind.config_of(end, &format!("{}{config}", pair.config));
            fs::write(directory.join(end.name()).with_extension("conf"), lines)?;
            if kind.protection == Protection::Static && !directory.join("static.key").exists() {
                let mut genkey = Command::new(program);
                genkey.args(["--genkey", "secret", "static.key"]).current_dir(directory);
                if !genkey.stdout(Stdio::null()).status()?.success() {
                    return Err("--genkey secret FILE made no key".into());
                }
            }
        }
        Ok(())
    }

    /// Whether the cable carries packets that are cut only by a network card, and joins those that arrive.
    fn cable_offload(&self, on: bool) -> Result<(), Box<dyn Error>> {
        let ethtool = self.ethtool.as_ref().ok_or("ethtool is not installed")?;
        let state = if on { "on" } else { "off" };
        for (namespace, end) in [(&self.a, End::A), (&self.b, End::B)] {
            let mut command = Command::new(ethtool);
            command.args(["--features", end.device()]);
            // A veth's GRO is off unless somebody switches it on.
            let features = ["tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation", "gso"];
            command.args(features.iter().flat_map(|feature| [feature, state]));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let output = namespace.spawn(&mut command)?.wait_with_output()?;
            if !output.status.success() {
                return Err(format!("ethtool: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
            }
        }
        Ok(())
    }
}

impl Running<'_> {
    fn measure(&mut self, start: Instant, work: Work, long_haul: bool) -> Result<Sample, Box<dyn Error>> {
        let mut sample = Sample::new();
        let mut pinger = self.pinger()?;
        let first = pinger.first_answer(start, Duration::from_secs(10), || self.check())?;
        let first = first.ok_or("no ping came through in ten seconds")?;
        thread::sleep(Duration::from_millis(200));
        let (idle, pss) = memory(self.a.pid())?;
        self.round_trips(&mut pinger, &mut sample)?;
        if work < Work::Bulk {
            return Ok(sample);
        }
        sample.push((Figure::FirstPing, first.as_secs_f64() * 1e3));
        sample.extend([(Figure::RssIdle, idle), (Figure::PssIdle, pss)]);
        self.bulk(&mut sample)?;
        if work >= Work::Packets {
            self.small_packets(&mut sample)?;
        }
        if work >= Work::Latency {
            let (sent, times) = self.loaded_pings()?;
            sample.push((Figure::LoadedPingAnswered, 100.0 * times.len() as f64 / sent.max(1) as f64));
            report(&mut sample, times, Figure::LoadedPingAverage, Figure::LoadedPingP99)?;
        }
        if work >= Work::All {
            let segmented = self.packets(Way::AToB, SMALL, Sender::Segmented)?.per_second / 1e3;
            sample.extend([
                (Figure::FourStreamsAToB, self.tcp(Way::AToB, 4, self.seconds())?.megabits_per_second),
                (Figure::FourStreamsBToA, self.tcp(Way::BToA, 4, self.seconds())?.megabits_per_second),
                (Figure::SegmentedPacketsAToB, segmented),
            ]);
            for (figure, way, size) in [
                (Figure::MiddlePacketsAToB, Way::AToB, MIDDLE),
                (Figure::MiddlePacketsBToA, Way::BToA, MIDDLE),
                (Figure::LargePacketsAToB, Way::AToB, LARGE),
                (Figure::LargePacketsBToA, Way::BToA, LARGE),
            ] {
                sample.push((figure, self.packets(way, size, Sender::Single)?.per_second / 1e3));
            }
        }

        let (rss, pss) = memory(self.a.pid())?;
        sample.extend([(Figure::RssLoaded, rss), (Figure::PssLoaded, pss)]);
        sample.push((Figure::RssGrowth, (rss - idle) * 1024.0));
        if long_haul {
            self.tcp(Way::AToB, 1, Amount::Gigabytes(10))?;
            sample.push((Figure::RssGrowthLong, (memory(self.a.pid())?.0 - idle) * 1024.0));
        }
        Ok(sample)
    }

    /// Pings through a link that has nothing else to do, and what they cost.
    fn round_trips(&self, pinger: &mut Pinger, sample: &mut Sample) -> Result<(), Box<dyn Error>> {
        // So many that the measurement takes about as long as one of packets.
        let length = self.bench.length / 2;
        let before = cpu_seconds(self.a.pid())?;
        let times = pings(pinger, Pace::AtOnce, |pinged, since| pinged < 500 || since < length / 4)?;
        let cpu = cpu_seconds(self.a.pid())? - before;
        sample.push((Figure::CpuPerPingA, cpu / times.len().max(1) as f64 * 1e6));
        report(sample, times, Figure::PingAverage, Figure::PingP99)?;
        let times = pings(pinger, Pace::Millisecond, |_, since| since < length)?;
        Ok(report(sample, times, Figure::PacedPingAverage, Figure::PacedPingP99)?)
    }

    /// One TCP stream each way, and what it costs.
    fn bulk(&mut self, sample: &mut Sample) -> Result<(), Box<dyn Error>> {
        let before = self.cpu_seconds()?;
        let to_b = self.tcp(Way::AToB, 1, self.seconds())?;
        let to_a = self.tcp(Way::BToA, 1, self.seconds())?;
        let after = self.cpu_seconds()?;
        let gigabytes = (to_a.bytes + to_b.bytes) / 1e9;
        sample.extend([
            (Figure::OneStreamAToB, to_b.megabits_per_second),
            (Figure::OneStreamBToA, to_a.megabits_per_second),
            (Figure::CpuPerGigabyteA, (after[0] - before[0]) / gigabytes),
            (Figure::CpuPerGigabyteB, (after[1] - before[1]) / gigabytes),
        ]);
        Ok(())
    }

    /// As many small packets as possible each way, and what they cost.
    fn small_packets(&mut self, sample: &mut Sample) -> Result<(), Box<dyn Error>> {
        let before = self.cpu_seconds()?;
        let to_b = self.packets(Way::AToB, SMALL, Sender::Single)?;
        let to_a = self.packets(Way::BToA, SMALL, Sender::Single)?;
        let after = self.cpu_seconds()?;
        let packets = to_a.packets + to_b.packets;
        sample.extend([
            (Figure::SmallPacketsAToB, to_b.per_second / 1e3),
            (Figure::SmallPacketsBToA, to_a.per_second / 1e3),
            (Figure::CpuPerPacketA, (after[0] - before[0]) / packets * 1e6),
            (Figure::CpuPerPacketB, (after[1] - before[1]) / packets * 1e6),
        ]);
        Ok(())
    }

    /// How many pings there were while a TCP stream goes from A to B, and the round trips of those that were answered:
    /// a stream fills a queue until it is too full for some.
    fn loaded_pings(&mut self) -> Result<(usize, Vec<f64>), Box<dyn Error>> {
        /// The stream begins a moment after the program that makes it, and slowly.
        const BEGINNING: Duration = Duration::from_millis(200);
        // A round trip takes so long that one after the other they would be too few for a percentile.
        let pingers = [self.pinger()?, self.pinger()?, self.pinger()?, self.pinger()?];
        let length = 2 * self.bench.length;
        thread::scope(|scope| {
            let pinging = pingers.map(|mut pinger| {
                scope.spawn(move || {
                    thread::sleep(BEGINNING);
                    pings(&mut pinger, Pace::Millisecond, |_, since| since < length - 2 * BEGINNING)
                })
            });
            self.tcp(Way::AToB, 1, Amount::Seconds(length.as_secs()))?;
            let mut times = Vec::new();
            for thread in pinging {
                times.extend(thread.join().map_err(|_| "a pinging thread has panicked")??);
            }
            let sent = times.len();
            times.retain(|time| *time < LOST.as_secs_f64() * 1e6);
            Ok((sent, times))
        })
    }

    fn packets(&mut self, way: Way, size: usize, sender: Sender) -> Result<Flood, Box<dyn Error>> {
        self.check()?;
        let Bench { a, b, length, .. } = self.bench;
        let flood = match way {
            Way::AToB => flood(a, b, End::B.inner(), size, sender, *length / 2),
            Way::BToA => flood(b, a, End::A.inner(), size, sender, *length / 2),
        }?;
        if flood.packets == 0.0 { Err("no packet came through".into()) } else { Ok(flood) }
    }

    fn tcp(&mut self, way: Way, streams: u32, amount: Amount) -> Result<Tcp, Box<dyn Error>> {
        self.check()?;
        let tcp = Tcp::measure(self.bench, way, streams, amount, || self.check());
        // A program that has ended explains more than what iperf3 makes of it.
        self.check().and(tcp)
    }

    fn seconds(&self) -> Amount {
        Amount::Seconds(self.bench.length.as_secs())
    }

    fn pinger(&self) -> io::Result<Pinger> {
        Pinger::new(&self.bench.a, Ipv4Addr::UNSPECIFIED, End::B.inner())
    }

    fn cpu_seconds(&self) -> io::Result<[f64; 2]> {
        Ok([cpu_seconds(self.a.pid())?, cpu_seconds(self.b.pid())?])
    }

    /// Both programs are alive, and nobody wants us to end.
    fn check(&mut self) -> Result<(), Box<dyn Error>> {
        if interrupted() {
            return Err("interrupted".into());
        }
        for (name, process) in [("A", &mut self.a), ("B", &mut self.b)] {
            if let Some(status) = process.exited() {
                return Err(format!("the program at {name} has ended: {status}").into());
            }
        }
        Ok(())
    }
}

/// Round trips, in microseconds, as long as `go_on` says so: it knows how many there were, and since when.
fn pings(pinger: &mut Pinger, pace: Pace, go_on: impl Fn(usize, Duration) -> bool) -> io::Result<Vec<f64>> {
    const TOO_MANY: usize = 100_000;
    let (mut times, start) = (Vec::new(), Instant::now());
    while go_on(times.len(), start.elapsed()) && times.len() < TOO_MANY && !interrupted() {
        times.push(pinger.ping(LOST)?.unwrap_or(LOST).as_secs_f64() * 1e6);
        if let Pace::Millisecond = pace {
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(times)
}

fn report(sample: &mut Sample, times: Vec<f64>, average: Figure, p99: Figure) -> Result<(), &'static str> {
    sample.push((average, mean(&times).ok_or("there was no time for a ping")?));
    sample.extend(quantile(times, 0.99).map(|time| (p99, time)));
    Ok(())
}
