//! What happens in the demonstration, in this order.

use std::time::{Duration, Instant};

mod changes;
mod files;
mod gateways;
mod results;

use super::Options;
use super::lab::{self, Scratch};
use super::names::Names;
use super::probe::{self, Pinger, median};
use super::screen::Screen;
use super::topology::{HOME, OFFICE, Topology};
use super::trouble::Trouble;
use changes::Change;
use gateways::Gateways;
use results::Results;

const PINGS: usize = 100;
const TRANSFER: Duration = Duration::from_secs(2);
/// Between changes a link is in use for so long: longcable replaces no TLS session that is younger than two seconds.
const IN_USE: Duration = Duration::from_millis(2200);

/// All that the story is about; the programs end before their names and their network.
struct Link {
    gateways: Gateways,
    names: Names,
    topology: Topology,
    /// From LAN to LAN.
    pinger: Pinger,
}

pub(super) fn play(options: &Options, screen: &mut Screen) -> Result<(), Trouble> {
    lab::catch_interrupts()?;
    Trouble::check_tun()?;
    introduce(options, screen);

    screen.step("Two gateways with a small internet between them");
    let topology = Topology::build().map_err(Trouble::building)?;
    let scratch = Scratch::create(options.keep)?;
    let mut names = Names::take_over(scratch.path()).map_err(Trouble::building)?;
    names.publish(&topology.names()).map_err(Trouble::building)?;
    screen.done();

    screen.step(match options.tls {
        true => "Two fresh certificates, each pinned at the other end",
        false => "A fresh static key and two config files",
    });
    files::write(options, scratch.path())?;
    screen.done();

    screen.step("Both gateways start; first ping from LAN to LAN");
    let start = Instant::now();
    let gateways = Gateways::start(options, &topology, scratch.path())?;
    let pinger = Pinger::new(&topology.home.namespace, HOME.lan, OFFICE.lan)?;
    let mut link = Link { gateways, names, topology, pinger };
    let handshake = link.await_ping(start)?;
    screen.done();
    link.gateways.show_logs(screen);

    screen.step(&format!("{PINGS} pings through the link"));
    let mut round_trips = link.ping(PINGS)?;
    screen.done();
    link.gateways.show_logs(screen);

    screen.step("TCP from home to office, each byte checked");
    let [sender, receiver] = [&link.topology.home, &link.topology.office].map(|place| &place.namespace);
    let transfer = probe::transfer(sender, receiver, OFFICE.lan, TRANSFER)
        .map_err(|error| link.gateways.trouble(format!("The transfer broke: {error}")))?;
    link.gateways.check()?;
    screen.done();
    link.gateways.show_logs(screen);

    let mut new_key = None;
    if options.tls {
        screen.step("A new key is negotiated while pings go on");
        new_key = Some(link.gateways.await_new_key(&mut link.pinger)?);
        screen.done();
        link.gateways.show_logs(screen);
    }

    let mut recoveries = Vec::new();
    for change in Change::ALL {
        let quiet = Instant::now();
        while !recoveries.is_empty() && quiet.elapsed() < IN_USE {
            link.ping(1)?;
        }
        screen.step(change.announcement());
        let start = Instant::now();
        change.happen(&mut link)?;
        recoveries.push((change, link.await_ping(start)?));
        screen.done();
        link.gateways.show_logs(screen);
    }

    screen.step("Both gateways stop");
    link.gateways.stop()?;
    screen.done();
    link.gateways.show_logs(screen);

    let answered = round_trips.len();
    let round_trip = median(&mut round_trips);
    Results { new_key, handshake, answered, round_trip, transfer, recoveries }.show(screen);
    match options.keep {
        true => screen.line(format_args!("Keys, configs and logs are in {}", scratch.path().display())),
        false => screen.line("Nothing is left behind."),
    }
    Ok(())
}

impl Link {
    /// The time from `since` to the next answered ping.
    fn await_ping(&mut self, since: Instant) -> Result<Duration, Trouble> {
        self.gateways.await_ping(&mut self.pinger, since)
    }

    /// The round trips of those of `count` pings that were answered.
    fn ping(&mut self, count: usize) -> Result<Vec<Duration>, Trouble> {
        let mut round_trips = Vec::with_capacity(count);
        for _ in 0..count {
            self.gateways.check()?;
            round_trips.extend(self.pinger.ping(Duration::from_millis(500))?);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(round_trips)
    }
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
