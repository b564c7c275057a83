//! What differs from one run of a firmware to the next, as QEMU passes it: instead of switches or a settings menu.

use core::net::Ipv4Addr;
use core::str::FromStr;

use embassy_net::Ipv4Cidr;
use embassy_time::Duration;
use heapless::Vec;
use semihosting::experimental::env;

/// Room for all arguments in bytes.
const ARGUMENTS_MAX: usize = 512;

/// The settings of a run.
#[derive(Debug)]
pub struct Settings {
    /// `--address 192.0.2.2/24`: the board's address on the Ethernet; by DHCP if there is none.
    pub address: Option<Ipv4Cidr>,
    /// `--gateway 192.0.2.1`: the way to other networks.
    pub gateway: Option<Ipv4Addr>,
    /// `--dns 192.0.2.1`: asked for names; up to three.
    pub dns: Vec<Ipv4Addr, 3>,
    /// `--seconds 60`: how long the firmware runs before it reports and ends; for ever if not given.
    pub lifetime: Option<Duration>,
    /// `--starved 250`: after how many milliseconds without a turn a task counts as starved.
    pub starved: Duration,
}

impl Settings {
    /// Reads what QEMU passes. What it does not understand ends the firmware.
    pub fn read() -> Self {
        let mut settings =
            Self { address: None, gateway: None, dns: Vec::new(), lifetime: None, starved: Duration::from_millis(250) };
        let Ok(arguments) = env::args::<ARGUMENTS_MAX>() else { defmt::panic!("the arguments are too long") };
        let mut arguments = (&arguments).map(|argument| match argument {
            Ok(argument) => argument,
            Err(_) => defmt::panic!("an argument is not text"),
        });
        // The firmware's name.
        arguments.next();
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            match name {
                "--address" => settings.address = Some(parse(name, value)),
                "--gateway" => settings.gateway = Some(parse(name, value)),
                "--dns" => defmt::expect!(settings.dns.push(parse(name, value)), "there may be three of --dns"),
                "--seconds" => settings.lifetime = Some(Duration::from_secs(parse(name, value))),
                "--starved" => settings.starved = Duration::from_millis(parse(name, value)),
                _ => defmt::panic!("there is no setting '{=str}'", name),
            }
        }
        settings
    }
}

fn parse<T: FromStr>(name: &str, value: &str) -> T {
    match value.parse() {
        Ok(value) => value,
        Err(_) => defmt::panic!("{=str} cannot be '{=str}'", name, value),
    }
}
