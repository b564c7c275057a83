//! An emulated board at a site: longcable on a microcontroller, with the site's address on the network between the
//! sites.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use longcable::demo::lab::find_program;

use super::{Daemon, Filling, Lab, Pinger, Site, traffic::Random};

/// How long anything may take that a board does: it is slow, and its processor cores are shared.
pub const BOARD_PATIENCE: Duration = Duration::from_secs(60);

/// After so long a board ends by itself, so that none is ever left behind.
const LIFETIME: Duration = Duration::from_secs(600);

/// A program of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// A link with a static key.
    Static,
    /// A link with certificates.
    Tls,
    /// Either kind; addresses change.
    Dynamic,
}

impl Firmware {
    fn name(self) -> &'static str {
        match self {
            Self::Static => "static-link",
            Self::Tls => "tls-link",
            Self::Dynamic => "dynamic-link",
        }
    }

    /// Its ELF file, built once.
    ///
    /// # Panics
    /// When it cannot be built.
    fn elf(self) -> &'static str {
        static ELF: [OnceLock<String>; 3] = [const { OnceLock::new() }; 3];
        ELF[self as usize].get_or_init(|| {
            let features: &[&str] = if self == Self::Static { &[] } else { &["--features", "ed25519"] };
            let output = Command::new(runner()).args([self.name(), "--build"]).args(features).output();
            let output = output.expect("the board's run");
            assert!(output.status.success(), "{self:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("a path").trim().to_owned()
        })
    }
}

/// Where a board is, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// The last byte of its Ethernet address.
    pub mac: u8,
    /// Its own settings; without any it has an address by DHCP.
    pub settings: &'p str,
    /// After so long it reports, and ends.
    pub lifetime: Duration,
}

impl Default for Place<'_> {
    fn default() -> Self {
        Self { mac: 2, settings: "", lifetime: LIFETIME }
    }
}

/// A running board.
pub struct Board {
    /// QEMU, and what the firmware reports.
    pub daemon: Daemon,
}

impl Board {
    /// Puts a board in the place of a site's computer: it has the site's address, and the site's namespace becomes the
    /// switch that it is plugged into.
    ///
    /// # Panics
    /// When something is not installed, saying what.
    pub fn start(lab: &Lab, site: &Site, firmware: Firmware, config: &str) -> Self {
        Self::start_for(lab, site, firmware, config, LIFETIME)
    }

    /// As [`start`](Self::start); the board reports and ends after so long.
    ///
    /// # Panics
    /// When something is not installed, saying what.
    pub fn start_for(lab: &Lab, site: &Site, firmware: Firmware, config: &str, lifetime: Duration) -> Self {
        let settings = format!("--address {}/24", site.outside);
        let mac = site.outside.octets()[3];
        Self::place(lab, site, firmware, config, Place { mac, settings: &settings, lifetime })
    }

    /// As [`start`](Self::start), with settings of its own.
    ///
    /// # Panics
    /// When something is not installed, saying what.
    pub fn place(lab: &Lab, site: &Site, firmware: Firmware, config: &str, place: Place<'_>) -> Self {
        for (program, package) in [("qemu-system-arm", "qemu-system-arm"), ("unshare", "util-linux")] {
            assert!(find_program(Path::new(program)).is_some(), "no program {program}: apt-get install {package}");
        }
        plug(site);
        let name = format!("board-{}.ovpn", place.mac);
        let file = lab.write(&name, &inline(lab, config));
        let mut command = Command::new("unshare");
        // Whatever `run` has started ends with it.
        command.args(["--pid", "--fork", "--kill-child"]).arg(runner());
        command.args([firmware.name(), "--elf", firmware.elf(), "--tap", "tap0"]).arg("--config").arg(file);
        command.arg("--mac").arg(format!("02:00:00:00:00:{:02x}", place.mac));
        command.arg("--seconds").arg(place.lifetime.as_secs().to_string());
        command.args(place.settings.split_whitespace());
        let name = format!("{firmware:?} board at {}", site.outside);
        Self { daemon: Daemon::spawn(lab, &site.namespace, &name, &mut command) }
    }

    /// The first line that contains this, as soon as the board has reported it.
    ///
    /// # Panics
    /// When it is not there in time.
    pub fn wait_for(&self, text: &str) -> String {
        self.daemon.wait_for_within(text, BOARD_PATIENCE)
    }

    /// How many lines contain this.
    pub fn count(&self, text: &str) -> usize {
        self.daemon.count(text)
    }

    /// Nothing has gone wrong until now.
    ///
    /// # Panics
    /// When it has ended, or a task of it had to wait for its turn.
    pub fn must_be_well(&mut self) {
        assert_eq!(self.daemon.ended(), None, "the board goes on");
        assert_eq!(self.count("starved"), 0, "no task starves");
    }

    /// Waits until its time is over, and gives its report.
    ///
    /// # Panics
    /// When it ends in another way, or a task of it had to wait for its turn.
    pub fn finish(mut self, patience: Duration) -> String {
        let status = self.daemon.wait_within(patience);
        assert!(status.success(), "the firmware's end: {status}");
        assert_eq!(self.count("starved"), 0, "no task starves");
        self.daemon.log()
    }
}

/// The link to a board at this site is up, and is good: pings and TCP with checked content come back through the tunnel.
///
/// # Panics
/// When something is lost, damaged or late.
pub fn check_board(from: &Site, board: &Site) {
    let mut pinger = Pinger::new(from, board.inside);
    pinger.back_within(BOARD_PATIENCE);
    for size in [0, 1, 56, 500, 1400, 1472] {
        must_answer(&mut pinger, size);
    }
    echo_tcp(from, board, 64 * 1024);
}

/// An echo that comes back, at the third attempt at the latest.
///
/// # Panics
/// When none does.
pub fn must_answer(pinger: &mut Pinger, size: usize) {
    let answer = (0..3).find_map(|_| pinger.ping(size, Filling::Random, Duration::from_secs(10)).ok());
    assert!(answer.is_some(), "no echo of {size} bytes from the board");
}

/// The board's TCP echo gives back so many bytes as they were.
///
/// # Panics
/// When something is lost, damaged or late.
pub fn echo_tcp(from: &Site, board: &Site, bytes: usize) {
    const ECHO: u16 = 7;
    let to = (IpAddr::V4(board.inside), ECHO).into();
    let connect = || TcpStream::connect_timeout(&to, BOARD_PATIENCE);
    let stream = from.namespace.inside(connect).unwrap_or_else(|error| panic!("no connection to {to}: {error}"));
    stream.set_read_timeout(Some(BOARD_PATIENCE)).expect("a time limit");
    stream.set_write_timeout(Some(BOARD_PATIENCE)).expect("a time limit");
    let mut content = vec![0; bytes];
    Random(bytes as u64).fill(&mut content);
    let mut echo = Vec::new();
    thread::scope(|scope| {
        let (mut out, content) = (&stream, &content);
        scope.spawn(move || {
            out.write_all(content).expect("all sent");
            out.shutdown(Shutdown::Write).expect("an open connection");
        });
        let result = (&stream).read_to_end(&mut echo);
        assert!(result.is_ok(), "{} of {bytes} bytes came back: {result:?}", echo.len());
    });
    assert!(echo == content, "{} of {bytes} bytes came back, not as they were sent", echo.len());
}

/// The config with the contents of its files in it; later options win, as in a file.
pub fn inline(lab: &Lab, config: &str) -> String {
    const FILES: [&str; 7] = ["secret", "ca", "cert", "key", "tls-auth", "tls-crypt", "tls-crypt-v2"];
    let mut lines = Vec::<(&str, String)>::new();
    for line in config.lines() {
        let mut words = line.split_whitespace();
        let (option, file) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !FILES.contains(&option) {
            lines.push(("", line.to_owned()));
            continue;
        }
        let text = lab.read(file).unwrap_or_else(|| panic!("no file {file}"));
        let direction = words.next().map_or_else(String::new, |direction| format!("\nkey-direction {direction}"));
        lines.retain(|(earlier, _)| *earlier != option);
        lines.push((option, format!("<{option}>\n{}\n</{option}>{direction}", text.trim_end())));
    }
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line + "\n").collect();
    lines.concat()
}

/// Makes the site's namespace a switch with a socket for one board, unless it is one already.
fn plug(site: &Site) {
    if site.output("ip -o link show dev tap0").contains(" tap0: ") {
        return;
    }
    site.ip(&[
        "addr flush dev eth0",
        "link add switch type bridge",
        "tuntap add dev tap0 mode tap",
        "link set eth0 master switch",
        "link set tap0 master switch",
        "link set tap0 up",
        "link set switch up",
    ]);
}

fn runner() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/qemu-mps2-an386/run");
    fs::canonicalize(path).expect("the board's run")
}
