//! What happens in the demonstration, in this order.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use longcable_core::tls::Role;

use super::Options;
use super::lab::{self, Daemon, Scratch, interrupted};
use super::probe::{self, Pinger, median};
use super::screen::Screen;
use super::topology::{HOME, HOME_MOVED, OFFICE, Site, Topology};
use super::trouble::Trouble;
use crate::credentials::Credentials;

/// What a gateway may take for anything that it should do at once. With TLS, openvpn follows a peer to another address
/// only after that one has restarted.
const PATIENCE: Duration = Duration::from_secs(15);
const PINGS: usize = 100;
const TRANSFER: Duration = Duration::from_secs(2);
/// After this time a TLS key is replaced: when the transfer is over.
const KEY_AGE: Duration = Duration::from_secs(4);
/// Pings under the new key.
const PINGS_AFTER: usize = 20;

pub(super) fn play(options: &Options, screen: &mut Screen) -> Result<(), Trouble> {
    lab::catch_interrupts()?;
    Trouble::check_tun()?;
    introduce(options, screen);

    screen.step("Two gateways with a small internet between them");
    let topology = Topology::build().map_err(Trouble::building)?;
    screen.done();

    screen.step(match options.tls {
        true => "Two fresh certificates, each pinned at the other end",
        false => "A fresh static key and two config files",
    });
    let scratch = Scratch::create(options.keep)?;
    match options.tls {
        true => write_tls_files(scratch.path())?,
        false => write_files(options, scratch.path())?,
    }
    screen.done();

    screen.step("Both gateways start; first ping from LAN to LAN");
    let start = Instant::now();
    let mut gateways = Gateways::start(options, &topology, scratch.path())?;
    let mut pinger = Pinger::new(&topology.home, HOME.lan, OFFICE.lan)?;
    let handshake = gateways.await_ping(&mut pinger, start)?;
    screen.done();
    gateways.show_logs(screen);

    screen.step(&format!("{PINGS} pings through the link"));
    let mut round_trips = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        gateways.check()?;
        round_trips.extend(pinger.ping(Duration::from_millis(500))?);
        std::thread::sleep(Duration::from_millis(5));
    }
    let answered = round_trips.len();
    let round_trip = median(&mut round_trips);
    screen.done();
    gateways.show_logs(screen);

    screen.step("TCP from home to office, each byte checked");
    let transfer = probe::transfer(&topology.home, &topology.office, OFFICE.lan, TRANSFER)
        .map_err(|error| gateways.trouble(format!("The transfer broke: {error}")))?;
    gateways.check()?;
    screen.done();
    gateways.show_logs(screen);

    let mut new_key = None;
    if options.tls {
        screen.step("A new key is negotiated while pings go on");
        new_key = Some(gateways.await_new_key(&mut pinger)?);
        screen.done();
        gateways.show_logs(screen);
    }

    screen.step(&format!("Home moves to {HOME_MOVED}; the link comes back"));
    let moved = Instant::now();
    topology.move_home().map_err(Trouble::building)?;
    let recovery = gateways.await_ping(&mut pinger, moved)?;
    screen.done();
    gateways.show_logs(screen);

    screen.step("Both gateways stop");
    gateways.stop()?;
    screen.done();
    gateways.show_logs(screen);

    let megabytes = transfer.bytes / 1_000_000;
    screen.line("");
    if let Some(Renegotiation { tls, cipher, pings, lost }) = new_key {
        screen.line(format_args!("    {:<11} {tls:<45} {cipher:>12}", "Encryption"));
        screen.line(format_args!(
            "    {:<11} {:<45} {lost:>12}",
            "New key",
            format!("of {pings} pings, lost meanwhile")
        ));
    }
    for (name, how, value) in [
        ("Handshake", "from start to the first ping".to_owned(), milliseconds(handshake)),
        ("Round trip", format!("ICMP echo, median of {answered} answers to {PINGS}"), milliseconds(round_trip)),
        ("Throughput", format!("TCP, {megabytes} MB"), format!("{:.0} Mbit/s", transfer.megabits_per_second())),
        ("Recovery", "from the change of address to the next ping".to_owned(), milliseconds(recovery)),
    ] {
        screen.line(format_args!("    {name:<11} {how:<45} {value:>12}"));
    }
    screen.line("");
    match options.keep {
        true => screen.line(format_args!("Keys, configs and logs are in {}", scratch.path().display())),
        false => screen.line("Nothing is left behind."),
    }
    Ok(())
}

fn introduce(options: &Options, screen: &Screen) {
    let kind = if options.tls { "TLS" } else { "static-key" };
    screen.title(&format!("A {kind} link between two gateways, on this machine alone"));
    screen.line("");
    for (name, site, program) in [("home", HOME, &options.home), ("office", OFFICE, &options.office)] {
        let [address, lan, tunnel] = [site.address, site.lan, site.tunnel].map(|address| address.to_string());
        let program = program.file_name().unwrap_or_default().display();
        screen.line(format_args!("    {name:<7} {address:<14} LAN {lan:<13} tunnel {tunnel:<9} {program}"));
    }
    screen.line("");
}

fn write_files(options: &Options, directory: &Path) -> Result<(), Trouble> {
    let program = options.home.display();
    let Output { status, stdout, stderr } = Command::new(&options.home)
        .args(["--genkey", "secret", "static.key"])
        .current_dir(directory)
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("Cannot run {program}: {error}")))?;
    if !status.success() || !directory.join("static.key").exists() {
        let said =
            String::from_utf8_lossy(&[stdout, stderr].concat()).lines().map(|line| format!("    {line}")).collect();
        return Err(Trouble::with_log(format!("{program} --genkey secret FILE has made no key"), said));
    }
    let key = |site: &Site| format!("secret static.key {}\ncipher AES-256-CBC\nauth SHA256\n", site.direction);
    fs::write(directory.join("home.conf"), config(&HOME, &OFFICE, &key(&HOME)))?;
    fs::write(directory.join("office.conf"), config(&OFFICE, &HOME, &key(&OFFICE)))?;
    Ok(())
}

fn write_tls_files(directory: &Path) -> Result<(), Trouble> {
    let credentials = Credentials::generate("home", "office").map_err(io::Error::other)?;
    let renegotiating = format!("reneg-sec {}\n{}", KEY_AGE.as_secs(), &*credentials.options(Role::Client));
    fs::write(directory.join("home.conf"), config(&HOME, &OFFICE, &renegotiating))?;
    fs::write(directory.join("office.conf"), config(&OFFICE, &HOME, &credentials.options(Role::Server)))?;
    Ok(())
}

/// A config as either program has read it for twenty years, and what is particular to the keys.
fn config(here: &Site, there: &Site, keys: &str) -> String {
    format!(
        "dev tun\n\
         proto udp\n\
         remote {}\n\
         float\n\
         ifconfig {} {}\n\
         route {} 255.255.255.255\n\
         ping 1\n\
         ping-restart 3\n\
         verb 3\n\
         {keys}",
        there.address, here.tunnel, there.tunnel, there.lan
    )
}

/// What a renegotiation was like.
struct Renegotiation {
    /// Version and cipher suite of TLS.
    tls: String,
    /// What encrypts the packets of the tunnel.
    cipher: String,
    pings: usize,
    lost: usize,
}

/// The two programs.
struct Gateways {
    ends: [Daemon; 2],
    verbose: bool,
}

/// Which of the ends is home.
const HOME_END: usize = 1;

impl Gateways {
    fn start(options: &Options, topology: &Topology, directory: &Path) -> io::Result<Self> {
        let office = Daemon::start(&topology.office, &options.office, directory, "office")?;
        let home = Daemon::start(&topology.home, &options.home, directory, "home")?;
        Ok(Self { ends: [office, home], verbose: options.verbose })
    }

    /// Both are alive, and nobody wants us to end.
    fn check(&mut self) -> Result<(), Trouble> {
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

    fn await_ping(&mut self, pinger: &mut Pinger, since: Instant) -> Result<Duration, Trouble> {
        pinger
            .first_answer(since, PATIENCE, || self.check())?
            .ok_or_else(|| self.trouble(format!("No ping has come through the link for {PATIENCE:?}")))
    }

    /// Pings until home has got its next key, and a little longer.
    fn await_new_key(&mut self, pinger: &mut Pinger) -> Result<Renegotiation, Trouble> {
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

    fn stop(&mut self) -> Result<(), Trouble> {
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
    fn trouble(&self, what: String) -> Trouble {
        let log = self.ends.iter().flat_map(|daemon| labelled(daemon.name(), daemon.last_lines(8))).collect();
        Trouble::with_log(what, log)
    }

    fn show_logs(&mut self, screen: &Screen) {
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

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    if milliseconds < 10.0 { format!("{milliseconds:.2} ms") } else { format!("{milliseconds:.0} ms") }
}
