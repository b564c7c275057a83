//! What the kernel knows about processors and programs.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// Watches how much processor time the hypervisor takes away.
pub(crate) struct Steal(Ticks);

#[derive(Clone, Copy)]
struct Ticks {
    all: f64,
    stolen: f64,
}

impl Steal {
    /// From now on.
    pub(crate) fn start() -> io::Result<Self> {
        ticks().map(Self)
    }

    /// The share since then, 0 to 1.
    pub(crate) fn share(&self) -> io::Result<f64> {
        let now = ticks()?;
        Ok((now.stolen - self.0.stolen) / (now.all - self.0.all).max(1.0))
    }
}

/// User and system time of a program so far, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> io::Result<f64> {
    // In /proc there are only ticks of 10 ms.
    let clock = clock_getcpuclockid(Pid::from_raw(pid.cast_signed()))?;
    Ok(Duration::from(clock.now()?).as_secs_f64())
}

/// Resident and proportional memory of a program, in MB.
pub(crate) fn memory(pid: u32) -> io::Result<(f64, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let megabytes = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
    };
    megabytes("Rss:")
        .zip(megabytes("Pss:"))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "smaps_rollup without Rss and Pss"))
}

/// Kernel and processor, for the record.
pub(crate) fn description() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let names = || processors.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = names().next().map_or("unknown processor", |(_, name)| name);
    format!("Linux {}, {} x {model}", kernel.trim(), names().count())
}

/// How many programs have wanted a processor in the last minute, for each processor.
pub(crate) fn load() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let load = text.split(' ').next().and_then(|load| load.parse::<f64>().ok()).unwrap_or(0.0);
    Ok(load / std::thread::available_parallelism()?.get() as f64)
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn ticks() -> io::Result<Ticks> {
    const STEAL: usize = 7;
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    let times: Vec<f64> =
        first.split_whitespace().skip(1).take(STEAL + 1).filter_map(|time| time.parse().ok()).collect();
    Ok(Ticks { all: times.iter().sum(), stolen: times.get(STEAL).copied().unwrap_or(0.0) })
}
