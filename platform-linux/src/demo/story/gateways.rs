//! The two programs, watched while the story goes on.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::Options;
use super::super::lab::{Daemon, interrupted};
use super::super::probe::Pinger;
use super::super::screen::Screen;
use super::super::topology::Topology;
use super::super::trouble::Trouble;
use super::files::KEY_AGE;

/// What a gateway may take to come up or to come back. With TLS, openvpn follows a peer to another address only after
/// that one has restarted.
const PATIENCE: Duration = Duration::from_secs(15);
/// Pings under a new key.
const PINGS_AFTER: usize = 20;

/// What a renegotiation was like.
pub(super) struct Renegotiation {
    /// Version and cipher suite of TLS.
    pub(super) tls: String,
    /// What encrypts the packets of the tunnel.
    pub(super) cipher: String,
    pub(super) pings: usize,
    pub(super) lost: usize,
}

/// The two programs.
pub(super) struct Gateways {
    ends: [Daemon; 2],
    verbose: bool,
}

/// Which of the ends is which.
const OFFICE_END: usize = 0;
const HOME_END: usize = 1;

impl Gateways {
    pub(super) fn start(options: &Options, topology: &Topology, directory: &Path) -> io::Result<Self> {
        let office = Daemon::start(&topology.office.namespace, &options.office, directory, "office")?;
        let home = Daemon::start(&topology.home.namespace, &options.home, directory, "home")?;
        Ok(Self { ends: [office, home], verbose: options.verbose })
    }

    /// Both are alive, and nobody wants us to end.
    pub(super) fn check(&mut self) -> Result<(), Trouble> {
        if interrupted() {
            return Err(Trouble::interrupted());
        }
        let ended = |daemon: &mut Daemon| {
            daemon.exited().map(|status| format!("The gateway at {} has ended by itself: {status}", daemon.name()))
        };
        match self.ends.iter_mut().find_map(ended) {
            Some(what) => Err(self.trouble(what)),
            None => Ok(()),
        }
    }

    /// The program at the office is killed, so that it says good-bye to nobody, and started again at once.
    pub(super) fn replace_office(&mut self, topology: &Topology) -> io::Result<()> {
        self.ends[OFFICE_END].kill_and_restart(&topology.office.namespace)
    }

    /// The time from `since` to the next answered ping.
    pub(super) fn await_ping(&mut self, pinger: &mut Pinger, since: Instant) -> Result<Duration, Trouble> {
        pinger
            .first_answer(since, PATIENCE, || self.check())?
            .ok_or_else(|| self.trouble(format!("No ping has come through the link for {PATIENCE:?}")))
    }

    /// Pings until home has got its next key, and a little longer.
    pub(super) fn await_new_key(&mut self, pinger: &mut Pinger) -> Result<Renegotiation, Trouble> {
        let negotiations = |gateways: &Self| gateways.ends[HOME_END].lines_with("Control Channel: TLSv");
        let (start, before) = (Instant::now(), negotiations(self).len());
        let (mut pings, mut lost, mut left) = (0, 0, PINGS_AFTER);
        while left > 0 {
            self.check()?;
            pings += 1;
            lost += usize::from(pinger.ping(Duration::from_millis(500))?.is_none());
            std::thread::sleep(Duration::from_millis(5));
            if negotiations(self).len() > before {
                left -= 1;
            } else if start.elapsed() > 2 * KEY_AGE + PATIENCE {
                return Err(self.trouble("Home has negotiated no new key".to_owned()));
            }
        }
        let established = negotiations(self).pop().unwrap_or_default();
        let data = self.ends[HOME_END].lines_with("Data Channel: cipher '").pop().unwrap_or_default();
        let cipher = data.split('\'').nth(1).unwrap_or_default().to_owned();
        Ok(Renegotiation { tls: tls_in(&established), cipher, pings, lost })
    }

    pub(super) fn stop(&mut self) -> Result<(), Trouble> {
        for place in 0..self.ends.len() {
            let daemon = &mut self.ends[place];
            let how = match daemon.stop() {
                Ok(status) if status.success() => continue,
                Ok(status) => format!("ended with {status}"),
                Err(error) => error.to_string(),
            };
            let what = format!("The gateway at {}: {how}", daemon.name());
            return Err(self.trouble(what));
        }
        Ok(())
    }

    /// With what both have logged last.
    pub(super) fn trouble(&self, what: String) -> Trouble {
        let log = self.ends.iter().flat_map(|daemon| labelled(daemon.name(), daemon.last_lines(8))).collect();
        Trouble::with_log(what, log)
    }

    pub(super) fn show_logs(&mut self, screen: &Screen) {
        for daemon in self.ends.iter_mut().filter(|_| self.verbose) {
            let lines = daemon.new_lines();
            labelled(daemon.name(), lines).iter().for_each(|line| screen.line(line));
        }
    }
}

/// As in `TLSv1.3, TLS_AES_256_GCM_SHA384`, from a line such as `Control Channel: TLSv1.3, cipher TLSv1.3
/// TLS_AES_256_GCM_SHA384, peer certificate: ...`.
fn tls_in(line: &str) -> String {
    let text = line.split_once("Control Channel: ").map_or("", |(_, text)| text);
    let mut parts = text.split(", ").map(|part| part.split(' ').next_back().unwrap_or_default());
    format!("{}, {}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn labelled(name: &str, lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| format!("    {name:<6} | {line}")).collect()
}
