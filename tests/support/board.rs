//! An emulated board at a site: longcable on a microcontroller, with the site's address on the network between the
//! sites.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use longcable::demo::lab::find_program;

use super::traffic::Random;
use super::{Daemon, Filling, Lab, Pinger, Site, poll};

/// How long anything may take that a board does: it is slow, and its processor cores are shared.
pub const BOARD_PATIENCE: Duration = Duration::from_secs(60);

/// What a board reports when its link has come up, once for each session.
pub const UP: &str = "Initialized";

/// After so long a board ends by itself, so that none is ever left behind.
const LIFETIME: Duration = Duration::from_secs(600);

/// A task of the board that gets no turn for so many milliseconds is starved. That is long, because QEMU itself has to
/// wait for its turn.
const STARVED: &str = "1000";

/// A program of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// A link with a static key.
    Static,
    /// A link with certificates.
    Tls,
    /// Either kind; addresses change.
    Dynamic,
    /// A link with a static key; hosts on the board's Ethernet reach what is behind the tunnel.
    Router,
    /// A link with a static key, on a Cortex-M3.
    CortexM3,
    /// A link with a static key, on a Cortex-M7.
    CortexM7,
}

impl Firmware {
    fn name(self) -> &'static str {
        match self {
            Self::Static | Self::CortexM3 | Self::CortexM7 => "static-link",
            Self::Tls => "tls-link",
            Self::Dynamic => "dynamic-link",
            Self::Router => "subnet-router",
        }
    }

    /// What QEMU calls the board.
    fn machine(self) -> &'static str {
        match self {
            Self::CortexM3 => "mps2-an385",
            Self::CortexM7 => "mps2-an500",
            Self::Static | Self::Tls | Self::Dynamic | Self::Router => "mps2-an386",
        }
    }

    /// Its ELF file, built once.
    ///
    /// # Panics
    /// When it cannot be built.
    fn elf(self) -> &'static str {
        static ELF: [OnceLock<String>; 6] = [const { OnceLock::new() }; 6];
        ELF[self as usize].get_or_init(|| {
            let mut build = vec![self.name(), "--machine", self.machine(), "--build", "--features"];
            build.push(match self {
                Self::Static | Self::CortexM3 | Self::CortexM7 => "panic-messages",
                Self::Tls | Self::Dynamic | Self::Router => "panic-messages,ed25519",
            });
            let output = Command::new(runner()).args(build).output().expect("the board's run");
            assert!(output.status.success(), "{self:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("a path").trim().to_owned()
        })
    }
}

/// How a board has its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// That of its site.
    Fixed,
    /// By DHCP.
    Dhcp,
}

/// A running board.
pub struct Board {
    daemon: Daemon,
    /// Where QEMU takes orders.
    socket: PathBuf,
}

impl Board {
    /// Puts a board in the place of a site's computer: it has the site's address, and the site's namespace becomes the
    /// switch that it is plugged into.
    ///
    /// # Panics
    /// When something is not installed, saying what.
    pub fn start(lab: &Lab, site: &Site, firmware: Firmware, config: &str) -> Self {
        Self::start_for(lab, site, firmware, config, Addressing::Fixed, LIFETIME)
    }

    /// As [`start`](Self::start), with an address by any means; the board reports and ends after so long.
    ///
    /// # Panics
    /// When something is not installed, saying what.
    pub fn start_for(
        lab: &Lab,
        site: &Site,
        firmware: Firmware,
        config: &str,
        addressing: Addressing,
        lifetime: Duration,
    ) -> Self {
        for (program, package) in [("qemu-system-arm", "qemu-system-arm"), ("unshare", "util-linux")] {
            assert!(find_program(Path::new(program)).is_some(), "no program {program}: apt-get install {package}");
        }
        plug(site);
        let mac = Self::mac(site);
        let file = lab.write(&format!("{mac}.ovpn"), &inline(lab, config));
        let socket = lab.directory().join(format!("{mac}.qmp"));
        let mut command = Command::new("unshare");
        // Whatever `run` has started ends with it.
        command.args(["--pid", "--fork", "--kill-child"]).arg(runner());
        command
            .args([firmware.name(), "--machine", firmware.machine(), "--elf", firmware.elf()])
            .args(["--tap", "tap0", "--mac", &mac])
            .arg("--config")
            .arg(file);
        command.args(["--starved", STARVED, "--seconds", &lifetime.as_secs().to_string()]);
        if addressing == Addressing::Fixed {
            command.args(["--address", &format!("{}/24", site.outside)]);
        }
        command.args(["--", "-qmp", &format!("unix:{},server=on,wait=off", socket.display())]);
        let name = format!("{firmware:?} board at {}", site.outside);
        Self { daemon: Daemon::spawn(lab, &site.namespace, &name, &mut command), socket }
    }

    /// The Ethernet address of the board at a site.
    pub fn mac(site: &Site) -> String {
        format!("02:00:00:00:00:{:02x}", site.outside.octets()[3])
    }

    /// Pulls its Ethernet cable, or plugs it in again.
    ///
    /// # Panics
    /// When QEMU does not do it.
    pub fn plug(&self, plugged: bool) {
        let mut qemu = UnixStream::connect(&self.socket).expect("QEMU listens");
        qemu.set_read_timeout(Some(BOARD_PATIENCE)).expect("a time limit");
        let mut answers = BufReader::new(qemu.try_clone().expect("a descriptor")).lines();
        let mut next = || answers.next().expect("QEMU goes on").expect("QEMU says something");
        // Its greeting.
        next();
        let link = format!(r#"{{"execute":"set_link","arguments":{{"name":"lan9118.0","up":{plugged}}}}}"#);
        for command in [r#"{"execute":"qmp_capabilities"}"#, &link] {
            writeln!(qemu, "{command}").expect("QEMU listens");
            let answer = next();
            assert!(answer.contains(r#""return""#), "{command}: {answer}");
        }
    }

    /// The first line that contains this, as soon as the board has reported it.
    ///
    /// # Panics
    /// When it is not there in time.
    pub fn wait_for(&self, text: &str) -> String {
        self.daemon.wait_for_within(text, BOARD_PATIENCE)
    }

    /// Waits until this many lines contain this.
    ///
    /// # Panics
    /// When it is not there in time.
    pub fn wait_for_count(&self, text: &str, count: usize) {
        let there = poll(BOARD_PATIENCE, || (self.count(text) >= count).then_some(()));
        assert!(there.is_some(), "the board said '{text}' {} times, not {count}", self.count(text));
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

    /// Waits for its end, and gives its exit status.
    ///
    /// # Panics
    /// When it goes on.
    pub fn wait(&mut self) -> Option<i32> {
        self.daemon.wait_within(BOARD_PATIENCE).code()
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

/// An echo comes back. One that is lost is asked for again: where a fragment of a large packet is lost, the board throws
/// away other fragments for a minute.
///
/// # Panics
/// When none does.
pub fn must_answer(pinger: &mut Pinger, size: usize) {
    let mut ping = || pinger.ping(size, Filling::Random, Duration::from_secs(5)).ok();
    assert!(poll(2 * BOARD_PATIENCE, &mut ping).is_some(), "no echo of {size} bytes from the board");
}

/// The board's TCP echo gives back so many bytes as they were.
///
/// # Panics
/// When something is lost, damaged or late.
pub fn echo_tcp(from: &Site, board: &Site, bytes: usize) {
    const ECHO: u16 = 7;
    let to = (IpAddr::V4(board.inside), ECHO).into();
    // The board takes one connection at a time, and refuses others until it has ended the last one.
    let connect = || from.namespace.inside(|| TcpStream::connect_timeout(&to, BOARD_PATIENCE)).ok();
    let stream = poll(BOARD_PATIENCE, connect).unwrap_or_else(|| panic!("no connection to {to}"));
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
