//! Who is measured, with which settings, and how thoroughly.

use std::path::PathBuf;
use std::rc::Rc;

use crate::kind::Protection;
use crate::wireguard::Keys;

/// What is common to all tuned links: queues that a burst does not fill.
const TUNED: &str = "fast-io\nsndbuf 1048576\nrcvbuf 1048576\ntxqueuelen 2000\n";

/// The same, with packets of 48,000 bytes in the tunnel, which the line carries as fragments.
const LARGE_MTU: &str = "fast-io\nsndbuf 1048576\nrcvbuf 1048576\ntxqueuelen 2000\ntun-mtu 48000\nmssfix 0\n";

/// The largest packet of WireGuard on an IPv4 line of 1500 bytes.
pub(crate) const WIREGUARD_MTU: u32 = 1440;

pub(crate) const OPENVPN: &str = "openvpn";
pub(crate) const LONGCABLE: &str = "longcable";
pub(crate) const BARE_FORWARDER: &str = "bare forwarder";
pub(crate) const OPENVPN_TUNED: &str = "openvpn, tuned";
pub(crate) const OPENVPN_LARGE_MTU: &str = "openvpn, tun-mtu 48000";
pub(crate) const LONGCABLE_LARGE_MTU: &str = "longcable, tun-mtu 48000";
pub(crate) const LONGCABLE_TWO_THREADS: &str = "longcable, threads 2";
pub(crate) const LONGCABLE_AT_A: &str = "mixed, longcable at A";
pub(crate) const LONGCABLE_AT_B: &str = "mixed, longcable at B";
pub(crate) const WIREGUARD_GO: &str = "wireguard-go";
pub(crate) const BORINGTUN: &str = "boringtun";
pub(crate) const OPENVPN_PLAIN_CABLE: &str = "openvpn, cable without offload";
pub(crate) const LONGCABLE_PLAIN_CABLE: &str = "longcable, cable without offload";

/// One end's program.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// openvpn, or what takes its config file; with more lines that are its own.
    Gateway { program: PathBuf, config: String },
    /// A WireGuard that is told its configuration by `wg`.
    WireGuard { daemon: PathBuf, arguments: &'static [&'static str], keys: Rc<Keys> },
    /// This program, started anew as a bare forwarder.
    Forwarder,
}

/// Who runs at the two ends.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    pub(crate) a: Program,
    pub(crate) b: Program,
    /// More config lines for both ends.
    pub(crate) config: &'static str,
    /// The cable's own segmentation offload is off, as with many a network card.
    pub(crate) plain_cable: bool,
    pub(crate) work: Work,
}

/// How much of a pair is measured; each includes the former.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// Round trips.
    RoundTrips,
    /// Start, one TCP stream each way, processor time and memory.
    Bulk,
    /// Small packets.
    Packets,
    /// Round trips beside a TCP stream.
    Latency,
    /// Four TCP streams, other sizes of packets.
    All,
}

/// A contender that is not here, and why.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) name: &'static str,
    pub(crate) reason: String,
}

/// The programs that there are.
pub(crate) struct Installed {
    pub(crate) openvpn: PathBuf,
    pub(crate) longcable: PathBuf,
    /// Config lines that only longcable gets.
    pub(crate) longcable_config: String,
    pub(crate) wireguard_go: Result<Program, String>,
    pub(crate) boringtun: Result<Program, String>,
    /// What switches a cable's offload off.
    pub(crate) ethtool: Result<PathBuf, String>,
}

impl Installed {
    /// What others are compared with, what it is all about, and the floor for a round trip.
    pub(crate) fn main(&self, work: Work) -> Vec<Pair> {
        let (openvpn, longcable, forwarder) = (self.openvpn(), self.longcable(), Program::Forwarder);
        vec![
            pair(OPENVPN, (&openvpn, &openvpn), "", work),
            pair(LONGCABLE, (&longcable, &longcable), "", work),
            pair(BARE_FORWARDER, (&forwarder, &forwarder), "", Work::RoundTrips),
        ]
    }

    /// Everybody who can have such a link, and who is missing.
    pub(crate) fn pairs(&self, protection: Protection, quick: bool) -> (Vec<Pair>, Vec<Missing>) {
        let (openvpn, longcable) = (self.openvpn(), self.longcable());
        let (thorough, rough) = if quick { (Work::Latency, Work::Bulk) } else { (Work::All, Work::Packets) };
        let mut pairs = self.main(thorough);
        let work = if quick { Work::Packets } else { Work::All };
        pairs.push(pair(LONGCABLE_AT_A, (&longcable, &openvpn), "", work));
        pairs.push(pair(LONGCABLE_AT_B, (&openvpn, &longcable), "", work));
        let mut missing = Vec::new();
        if protection == Protection::Tls {
            pairs.push(pair(OPENVPN_TUNED, (&openvpn, &openvpn), TUNED, rough));
            pairs.push(pair(OPENVPN_LARGE_MTU, (&openvpn, &openvpn), LARGE_MTU, rough));
            pairs.push(pair(LONGCABLE_LARGE_MTU, (&longcable, &longcable), LARGE_MTU, rough));
            pairs.push(pair(LONGCABLE_TWO_THREADS, (&longcable, &longcable), "threads 2\n", rough));
            for (name, program) in [(WIREGUARD_GO, &self.wireguard_go), (BORINGTUN, &self.boringtun)] {
                match program {
                    Ok(program) => pairs.push(pair(name, (program, program), "", rough.max(Work::Packets))),
                    Err(reason) => missing.push(Missing { name, reason: reason.clone() }),
                }
            }
            for (name, program) in [(OPENVPN_PLAIN_CABLE, &openvpn), (LONGCABLE_PLAIN_CABLE, &longcable)] {
                let pair = Pair { plain_cable: true, ..pair(name, (program, program), "", Work::Bulk) };
                match &self.ethtool {
                    Ok(_) => pairs.push(pair),
                    Err(reason) => missing.push(Missing { name, reason: reason.clone() }),
                }
            }
        }
        (pairs, missing)
    }

    fn openvpn(&self) -> Program {
        Program::Gateway { program: self.openvpn.clone(), config: String::new() }
    }

    fn longcable(&self) -> Program {
        Program::Gateway { program: self.longcable.clone(), config: self.longcable_config.clone() }
    }
}

fn pair(name: &'static str, (a, b): (&Program, &Program), config: &'static str, work: Work) -> Pair {
    Pair { name, a: a.clone(), b: b.clone(), config, plain_cable: false, work }
}
