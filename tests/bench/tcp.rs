//! TCP streams through a link, by iperf3.

use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::kind::End;
use crate::pair::Bench;

/// In which direction data go.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    AToB,
    BToA,
}

/// How much is sent.
#[derive(Clone, Copy)]
pub(crate) enum Amount {
    Seconds(u64),
    Gigabytes(u32),
}

/// What iperf3 has seen at the receiver.
pub(crate) struct Tcp {
    pub(crate) bytes: f64,
    pub(crate) megabits_per_second: f64,
}

impl Tcp {
    /// One run of iperf3, whose server is always at B. `check` says whether to go on.
    pub(crate) fn measure(
        bench: &Bench,
        way: Way,
        streams: u32,
        amount: Amount,
        mut check: impl FnMut() -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let Bench { iperf3, a, b, .. } = bench;
        let mut server = Command::new(iperf3);
        server.args(["--server", "--one-off"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = b.spawn(&mut server)?;
        let mut client = Command::new(iperf3);
        client.args(["--json", "--client"]).arg(End::B.inner().to_string());
        match amount {
            Amount::Seconds(seconds) => client.arg("--time").arg(seconds.to_string()),
            Amount::Gigabytes(gigabytes) => client.arg("--bytes").arg(format!("{gigabytes}000000000")),
        };
        let patience = match amount {
            Amount::Seconds(seconds) => Duration::from_secs(3 * seconds + 10),
            Amount::Gigabytes(gigabytes) => Duration::from_secs(60) * gigabytes,
        };
        // Without reports in between, what it says fits in a pipe.
        client.args(["--interval", "0"]).arg("--parallel").arg(streams.to_string());
        if let Way::BToA = way {
            client.arg("--reverse");
        }
        client.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // The server does not say when it listens, so whoever comes too early comes again.
        let mut outcome = Err("iperf3 has not run".into());
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(20));
            outcome = finished(a.spawn(&mut client)?, patience).and_then(|report| Self::read(&report));
            if outcome.is_ok() || check().is_err() {
                break;
            }
        }
        if outcome.is_err() {
            server.kill()?;
        }
        server.wait()?;
        outcome
    }

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

/// What a program has said when it ends by itself in time: on a broken link iperf3 waits for minutes.
fn finished(mut child: Child, patience: Duration) -> Result<Vec<u8>, Box<dyn Error>> {
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Err("iperf3 does not come to an end: TCP is stuck".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(child.wait_with_output()?.stdout)
}
