//! Two namespaces joined by a cable, one program in each, and everything that is measured of them.

use std::error::Error;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use longcable::demo::lab::{self, Daemon, Namespace, Scratch, interrupted};
use longcable::demo::probe::Pinger;
use longcable::net::InterfaceAddress;

use crate::figures::{Figure, Sample, quantile};
use crate::flood::{Flood, flood};
use crate::kind::{End, Kind, Protection};
use crate::machine::{cpu_seconds, memory};

const PINGS: usize = 1500;
const SMALL: usize = 64;
const LARGE: usize = 1400;

/// Who runs at the two ends.
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    pub(crate) a: PathBuf,
    pub(crate) b: PathBuf,
}

/// The place where pairs take turns.
pub(crate) struct Bench {
    iperf3: PathBuf,
    /// How long a TCP measurement takes; one of packets takes half of it.
    length: Duration,
    scratch: Scratch,
    a: Namespace,
    b: Namespace,
}

/// A pair at work.
struct Running<'b> {
    bench: &'b Bench,
    a: Daemon,
    b: Daemon,
}

#[derive(Clone, Copy)]
enum Way {
    AToB,
    BToA,
}

impl Bench {
    /// Lays the cable. To be called by a process that may change its network.
    pub(crate) fn new(iperf3: PathBuf, length: Duration) -> io::Result<Self> {
        let (a, b) = (Namespace::create()?, Namespace::create()?);
        lab::cable((&a, "wan-a"), (&b, "wan-b"))?;
        for (namespace, device, address) in [(&a, "wan-a", End::A.outer()), (&b, "wan-b", End::B.outer())] {
            let netlink = namespace.netlink()?;
            let address = InterfaceAddress::Subnet { local: IpAddr::V4(address), prefix: 24 };
            netlink
                .link("lo")
                .and_then(|loopback| netlink.set_up(&loopback, true))
                .and_then(|()| netlink.link(device))
                .and_then(|device| netlink.add_address(&device, address))
                .map_err(io::Error::other)?;
        }
        Ok(Self { iperf3, length, scratch: Scratch::create(false)?, a, b })
    }

    /// Starts a pair with a link of this kind, A so long after B, measures all there is, and ends it. With the log when
    /// something breaks.
    pub(crate) fn measure(&self, kind: &Kind, pair: &Pair, lead: Duration) -> Result<Sample, Box<dyn Error>> {
        let directory = self.scratch.path();
        if kind.protection == Protection::Static && !directory.join("static.key").exists() {
            let mut genkey = Command::new(&pair.a);
            genkey.args(["--genkey", "secret", "static.key"]).current_dir(directory);
            if !genkey.stdout(Stdio::null()).status()?.success() {
                return Err("--genkey secret FILE made no key".into());
            }
        }
        for end in [End::A, End::B] {
            fs::write(directory.join(end.name()).with_extension("conf"), kind.config_of(end))?;
        }
        let b = Daemon::start(&self.b, &pair.b, directory, End::B.name())?;
        thread::sleep(lead);
        let start = Instant::now();
        let a = Daemon::start(&self.a, &pair.a, directory, End::A.name())?;
        let mut running = Running { bench: self, a, b };
        running.measure(start).map_err(|error| {
            let log = |daemon: &Daemon| daemon.last_lines(8).join("\n    ");
            format!("{error}\n  log of A:\n    {}\n  log of B:\n    {}", log(&running.a), log(&running.b)).into()
        })
    }
}

impl Running<'_> {
    fn measure(&mut self, start: Instant) -> Result<Sample, Box<dyn Error>> {
        let mut sample = Sample::new();
        let mut pinger = Pinger::new(&self.bench.a, Ipv4Addr::UNSPECIFIED, End::B.inner())?;
        let first = pinger.first_answer(start, Duration::from_secs(10), || self.check())?;
        sample.push((Figure::FirstPing, first.ok_or("no ping came through in ten seconds")?.as_secs_f64() * 1e3));
        thread::sleep(Duration::from_millis(200));
        let (rss, pss) = memory(self.a.pid())?;
        sample.extend([(Figure::RssIdle, rss), (Figure::PssIdle, pss)]);

        let mut round_trips = Vec::with_capacity(PINGS);
        for _ in 0..PINGS {
            round_trips.extend(pinger.ping(Duration::from_millis(100))?.map(|time| time.as_secs_f64() * 1e6));
        }
        for (figure, share) in [(Figure::PingMedian, 0.5), (Figure::PingP99, 0.99)] {
            sample.push((figure, quantile(round_trips.clone(), share).ok_or("all pings were lost")?));
        }

        let before = self.cpu_seconds()?;
        let to_b = self.tcp(Way::AToB, 1)?;
        let to_a = self.tcp(Way::BToA, 1)?;
        let after = self.cpu_seconds()?;
        let gigabytes = (to_a.bytes + to_b.bytes) / 1e9;
        sample.extend([
            (Figure::OneStreamAToB, to_b.megabits_per_second),
            (Figure::OneStreamBToA, to_a.megabits_per_second),
            (Figure::CpuPerGigabyteA, (after[0] - before[0]) / gigabytes),
            (Figure::CpuPerGigabyteB, (after[1] - before[1]) / gigabytes),
            (Figure::FourStreamsAToB, self.tcp(Way::AToB, 4)?.megabits_per_second),
            (Figure::FourStreamsBToA, self.tcp(Way::BToA, 4)?.megabits_per_second),
        ]);

        let before = self.cpu_seconds()?;
        let to_b = self.packets(Way::AToB, SMALL)?;
        let to_a = self.packets(Way::BToA, SMALL)?;
        let after = self.cpu_seconds()?;
        let packets = to_a.packets + to_b.packets;
        sample.extend([
            (Figure::SmallPacketsAToB, to_b.per_second / 1e3),
            (Figure::SmallPacketsBToA, to_a.per_second / 1e3),
            (Figure::CpuPerPacketA, (after[0] - before[0]) / packets * 1e6),
            (Figure::CpuPerPacketB, (after[1] - before[1]) / packets * 1e6),
            (Figure::LargePacketsAToB, self.packets(Way::AToB, LARGE)?.per_second / 1e3),
            (Figure::LargePacketsBToA, self.packets(Way::BToA, LARGE)?.per_second / 1e3),
        ]);

        let (rss, pss) = memory(self.a.pid())?;
        sample.extend([(Figure::RssLoaded, rss), (Figure::PssLoaded, pss)]);
        Ok(sample)
    }

    fn packets(&mut self, way: Way, size: usize) -> Result<Flood, Box<dyn Error>> {
        self.check()?;
        let Bench { a, b, length, .. } = self.bench;
        let flood = match way {
            Way::AToB => flood(a, b, End::B.inner(), size, *length / 2),
            Way::BToA => flood(b, a, End::A.inner(), size, *length / 2),
        }?;
        if flood.packets == 0.0 { Err("no packet came through".into()) } else { Ok(flood) }
    }

    /// One run of iperf3, whose server is always at B.
    fn tcp(&mut self, way: Way, streams: u32) -> Result<Tcp, Box<dyn Error>> {
        self.check()?;
        let Bench { iperf3, length, a, b, .. } = self.bench;
        let mut server = Command::new(iperf3);
        server.args(["--server", "--one-off"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = b.spawn(&mut server)?;
        let mut client = Command::new(iperf3);
        client.args(["--json", "--client"]).arg(End::B.inner().to_string());
        client.arg("--time").arg(length.as_secs().to_string()).arg("--parallel").arg(streams.to_string());
        if let Way::BToA = way {
            client.arg("--reverse");
        }
        client.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // The server does not say when it listens, so whoever comes too early comes again.
        let mut outcome = Err("iperf3 has not run".into());
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(20));
            outcome = Tcp::read(&a.spawn(&mut client)?.wait_with_output()?.stdout);
            if outcome.is_ok() || self.check().is_err() {
                break;
            }
        }
        if outcome.is_err() {
            server.kill()?;
        }
        server.wait()?;
        outcome
    }

    fn cpu_seconds(&self) -> io::Result<[f64; 2]> {
        Ok([cpu_seconds(self.a.pid())?, cpu_seconds(self.b.pid())?])
    }

    /// Both programs are alive, and nobody wants us to end.
    fn check(&mut self) -> Result<(), Box<dyn Error>> {
        if interrupted() {
            return Err("interrupted".into());
        }
        for (name, daemon) in [("A", &mut self.a), ("B", &mut self.b)] {
            if let Some(status) = daemon.exited() {
                return Err(format!("the program at {name} has ended: {status}").into());
            }
        }
        Ok(())
    }
}

/// What iperf3 has seen at the receiver.
struct Tcp {
    bytes: f64,
    megabits_per_second: f64,
}

impl Tcp {
    fn read(report: &[u8]) -> Result<Self, Box<dyn Error>> {
        let report: serde_json::Value = serde_json::from_slice(report)?;
        if let Some(error) = report["error"].as_str() {
            return Err(format!("iperf3: {error}").into());
        }
        let received = &report["end"]["sum_received"];
        let figure = |name: &str| received[name].as_f64().ok_or("iperf3 reports no bytes received");
        Ok(Self { bytes: figure("bytes")?, megabits_per_second: figure("bits_per_second")? / 1e6 })
    }
}
