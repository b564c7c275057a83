//! The program as a process: signals, the background, log and status files, other users.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Duration;

use longcable_tests::support::{Daemon, Filling, Lab, Link, PATIENCE, Pinger, Program, end, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A program that went to the background; killed with this value.
pub(crate) struct Background(Pid);

impl Background {
    /// The one that wrote its process id into this file.
    pub(crate) fn from_pid_file(lab: &Lab, name: &str) -> Self {
        let pid = poll(PATIENCE, || lab.read(name)?.strip_suffix('\n')?.parse().ok());
        Self(Pid::from_raw(pid.expect("a decimal number and a line end")))
    }

    fn stop(&self) {
        kill(self.0, Signal::SIGTERM).expect("it runs");
        let gone = poll(PATIENCE, || kill(self.0, None).is_err().then_some(()));
        assert!(gone.is_some(), "it ends");
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

fn alone(lab: &Lab, more: &str) -> Daemon {
    Daemon::start(lab, &lab.left, Program::tested(), &end(&lab.left, &lab.right, more))
}

#[test]
fn termination_signals() {
    let lab = Lab::new();
    for (signal, line) in [
        (Signal::SIGTERM, "SIGTERM[hard,] received, process exiting"),
        (Signal::SIGINT, "SIGINT[hard,] received, process exiting"),
    ] {
        let mut left = alone(&lab, "");
        left.wait_for("link remote");
        left.signal(signal);
        assert_eq!(left.wait().code(), Some(0));
        left.wait_for(line);
    }
}

#[test]
fn the_first_lines_of_a_link() {
    let lab = Lab::new();
    let link = Link::up(&lab, [Program::tested(), Program::Openvpn], ["verb 3", ""]);
    for line in [
        "TUN/TAP device tun0 opened",
        "UDPv4 link local (bound): [AF_INET][undef]:1194",
        "UDPv4 link remote: [AF_INET]192.0.2.2:1194",
        "Peer Connection Initiated with [AF_INET]192.0.2.2:1194",
        "Initialization Sequence Completed",
    ] {
        link.left.wait_for(line);
    }
    link.stop();
}

#[test]
fn statistics_on_sigusr2() {
    let lab = Lab::new();
    let mut link = Link::up(&lab, [Program::tested(), Program::Openvpn], ["", ""]);
    link.left.signal(Signal::SIGUSR2);
    for line in ["OpenVPN STATISTICS", "TUN/TAP read bytes,", "TCP/UDP write bytes,", "Auth read bytes,", "END"] {
        link.left.wait_for(line);
    }
    link.pinger().must_answer(10, Filling::Random);
    link.stop();
}

#[test]
fn status_file() {
    let lab = Lab::new();
    let programs = [Program::tested(), Program::Openvpn];
    let link = Link::up(&lab, programs, ["status status.txt 1\nping 1", "status status2.txt 1\nping 1"]);
    (0..10).for_each(|_| link.pinger().must_answer(1000, Filling::Random));
    let names = |text: &str| text.lines().map(|line| line.split(',').next().unwrap().to_owned()).collect::<Vec<_>>();
    let read =
        |name: &str| poll(PATIENCE, || lab.read(name).filter(|text| text.ends_with("END\n"))).expect("a status file");
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(',').next().unwrap().parse::<u64>().unwrap()
    };
    let counted = poll(PATIENCE, || (value(&read("status.txt"), "TUN/TAP read bytes") > 10_280).then_some(()));
    assert!(counted.is_some(), "ten packets of 1028 bytes:\n{}", read("status.txt"));
    let (ours, openvpns) = (read("status.txt"), read("status2.txt"));
    assert_eq!(names(&ours), names(&openvpns));
    assert_eq!(ours.lines().nth(1).unwrap().len(), "Updated,2026-11-22 14:28:03".len());
    link.stop();
}

#[test]
fn background_with_pid_and_log_files() {
    let lab = Lab::new();
    // Once in the background, the program is in the root directory.
    let pid_file = lab.directory().join("pid").display().to_string();
    let files = format!("daemon\nwritepid {pid_file}\nlog longcable.log\nverb 3");
    lab.write("longcable.log", "an old line\n");
    let mut link = Link::start(&lab, [Program::tested(), Program::Openvpn], [&files, ""]);
    assert_eq!(link.left.wait().code(), Some(0), "the foreground ends");
    let left = Background::from_pid_file(&lab, "pid");
    link.wait_for_traffic();
    let log = || lab.read("longcable.log").unwrap_or_default();
    assert!(
        poll(PATIENCE, || log().contains("Initialization Sequence Completed").then_some(())).is_some(),
        "{}",
        log()
    );
    assert!(!log().contains("an old line"), "`log` starts anew");
    assert_eq!(link.left.count("Initialization"), 0, "nothing to the terminal");
    left.stop();
    assert!(log().contains("SIGTERM[hard,] received, process exiting"));
    assert_eq!(lab.read("pid"), None, "the file goes with the process");
}

#[test]
fn log_append_keeps_what_is_there() {
    let lab = Lab::new();
    lab.write("longcable.log", "an old line\n");
    let mut left = alone(&lab, "log-append longcable.log");
    let log = || lab.read("longcable.log").unwrap_or_default();
    assert!(poll(PATIENCE, || log().contains("link remote").then_some(())).is_some());
    left.stop();
    assert!(log().starts_with("an old line\n"));
    assert!(log().contains("SIGTERM[hard,] received, process exiting"));
}

#[test]
fn suppress_timestamps() {
    let lab = Lab::new();
    let mut left = alone(&lab, "suppress-timestamps");
    left.wait_for("link remote");
    left.stop();
    assert!(left.log().lines().any(|line| line.starts_with("UDPv4 link remote: ")), "no time before the text");
}

#[test]
fn another_user_and_group() {
    let lab = Lab::new();
    let more = "user nobody\ngroup nogroup\npersist-tun\npersist-key";
    let mut link = Link::up(&lab, [Program::tested(), Program::Openvpn], [more, ""]);
    let status = fs::read_to_string(format!("/proc/{}/status", link.left.pid())).unwrap();
    let identities = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace();
    for name in ["Uid:", "Gid:", "Groups:"] {
        assert!(identities(name).all(|identity| identity == "65534"), "{status}");
    }
    link.check_pings();
    link.left.signal(Signal::SIGUSR1);
    link.left.wait_for("process restarting");
    link.wait_for_traffic();
    link.stop();
}

/// A restart with a new configuration before the tunnel was ever open must not lose the drop of privileges.
#[test]
fn another_user_after_a_hangup_while_waiting() {
    let lab = Lab::new();
    let left = end(&lab.left, &lab.right, "user nobody\nup-delay\npersist-tun");
    let mut left = Daemon::start(&lab, &lab.left, Program::tested(), &left);
    left.wait_for("link remote");
    left.signal(Signal::SIGHUP);
    left.wait_for_count("link remote", 2);
    let right = Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, "ping 1"));
    let link = Link::with(&lab, left, right);
    link.wait_for_traffic();
    let status = fs::read_to_string(format!("/proc/{}/status", link.left.pid())).unwrap();
    assert!(status.lines().any(|line| line.starts_with("Uid:\t65534\t65534")), "{status}");
    link.stop();
}

/// systemd's `Type=notify`, as in Debian's `openvpn@.service`: the process stays the one that was started.
#[test]
fn a_service_says_when_it_is_ready() {
    let lab = Lab::new();
    let path = lab.directory().join("notify").display().to_string();
    for (program, name, more) in [
        (Program::Openvpn, path.as_str(), "daemon\nlog notify.log"),
        (Program::tested(), &path, "daemon\nlog notify.log"),
        (Program::tested(), "@longcable-notify", ""),
    ] {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(name),
        };
        let socket = lab.left.namespace.inside(|| UnixDatagram::bind_addr(&address.unwrap())).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        lab.write("notify.conf", &end(&lab.left, &lab.right, more));
        let mut command = Command::new(program.path());
        let command = command.args(["--config", "notify.conf"]).env("NOTIFY_SOCKET", name);
        let daemon = Daemon::with_command(&lab, &lab.left, "service", command);
        let ready = format!("READY=1\nSTATUS=Pre-connection initialization successful\nMAINPID={}", daemon.pid());
        let mut buffer = [0; 200];
        let mut receive = || {
            let len = socket.recv(&mut buffer).expect("a message");
            String::from_utf8_lossy(&buffer[..len]).into_owned()
        };
        let first = receive();
        assert_eq!(if first == "READY=0" { receive() } else { first }, ready, "{program:?}");
        // openvpn does not see a signal that comes so early.
        drop((daemon, socket));
        let _ = fs::remove_file(&path);
    }
}

/// Errors that the kernel keeps in the socket's queue must not keep the program busy.
#[test]
fn a_prohibited_path_costs_no_processor_time() {
    let lab = Lab::new();
    // The right site is a router that lets nothing through.
    lab.right.namespace.inside(|| fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")).unwrap();
    lab.right.ip(&["route add prohibit 2001:db8:1::/64"]);
    lab.left.ip(&["route add 2001:db8:1::/64 via 2001:db8::2"]);
    let config = end(&lab.left, &lab.right, "proto udp6").replace("remote 192.0.2.2", "remote 2001:db8:1::9");
    let mut left = Daemon::start(&lab, &lab.left, Program::tested(), &config);
    left.wait_for("link remote");
    let mut pinger = Pinger::new(&lab.left, lab.right.inside);
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", left.pid())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    for packets in 1..6 {
        // All at once, so that one is sent before the error of the one before is looked at.
        let process = Pid::from_raw(left.pid() as i32);
        kill(process, Signal::SIGSTOP).unwrap();
        (0..packets).for_each(|_| pinger.poke());
        kill(process, Signal::SIGCONT).unwrap();
        let before = ticks();
        std::thread::sleep(Duration::from_millis(300));
        let used = ticks() - before;
        assert!(used < 10, "{used} of 30 ticks");
    }
    left.wait_for("Permission denied");
    assert!(left.stop().success());
}

#[test]
fn cd_and_chroot() {
    let lab = Lab::new();
    for name in ["elsewhere", "tmp"] {
        fs::create_dir(lab.directory().join(name)).unwrap();
    }
    let directory = lab.directory().display().to_string();
    fs::rename(lab.directory().join("static.key"), lab.directory().join("elsewhere/other.key")).unwrap();
    let left = format!("cd {directory}/elsewhere\nsecret other.key\nchroot {directory}");
    let right = format!("secret {directory}/elsewhere/other.key");
    let link = Link::up(&lab, [Program::tested(), Program::Openvpn], [&left, &right]);
    let root = fs::read_link(format!("/proc/{}/root", link.left.pid())).unwrap();
    assert_eq!(root, lab.directory());
    link.check_pings();
    link.stop();
}

#[test]
fn command_line_instead_of_a_file() {
    let lab = Lab::new();
    let arguments =
        "--dev tun0 --remote 192.0.2.2 --ifconfig 10.9.0.1 10.9.0.2 --secret static.key --cipher AES-256-CBC --verb 4";
    let arguments: Vec<_> = arguments.split(' ').collect();
    let left = Daemon::with_arguments(&lab, &lab.left, Program::tested(), &arguments);
    let link =
        Link::with(&lab, left, Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, "")));
    link.wait_for_traffic();
    link.stop();
}

#[test]
fn a_single_argument_is_a_config_file() {
    let lab = Lab::new();
    // A file as Windows editors leave it.
    let config = format!("\u{feff}{}", end(&lab.left, &lab.right, "verb 4").trim_end().replace('\n', "\r\n"));
    lab.write("left.conf", &config);
    let left = Daemon::with_arguments(&lab, &lab.left, Program::tested(), &["left.conf"]);
    let link =
        Link::with(&lab, left, Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, "")));
    link.wait_for_traffic();
    link.stop();
}

for_each_pair! {
    /// The peer's port closes for a while: the kernel reports it, and the link goes on by itself.
    fn a_closed_port_is_no_end(programs) {
        let lab = Lab::new();
        let mut link = Link::up(&lab, programs, ["", ""]);
        link.right.signal(Signal::SIGKILL);
        link.right.wait();
        (0..20).for_each(|_| link.pinger().poke());
        link.left.wait_for("read UDPv4 [ECONNREFUSED]: Connection refused");
        std::thread::sleep(Duration::from_millis(1100));
        link.right = Daemon::start(&lab, &lab.right, programs[1], &end(&lab.right, &lab.left, ""));
        link.wait_for_traffic();
        link.stop();
    }
}

for_each_pair! {
    /// The way to the peer is gone for a while.
    fn an_unreachable_network_is_no_end(programs) {
        let lab = Lab::routed();
        let link = Link::up(&lab, programs, ["", ""]);
        lab.left.ip(&["route del default"]);
        (0..20).for_each(|_| link.pinger().poke());
        link.left.wait_for("Network is unreachable");
        lab.left.ip(&["route add default via 192.0.2.254"]);
        link.wait_for_traffic();
        lab.left.ip(&["link set eth0 down"]);
        (0..20).for_each(|_| link.pinger().poke());
        lab.left.ip(&["link set eth0 up", "route add default via 192.0.2.254"]);
        link.wait_for_traffic();
        link.stop();
    }
}
