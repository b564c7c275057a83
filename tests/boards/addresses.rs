//! Addresses that change, of the peer and of the board.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use longcable::demo::lab::find_program;
use longcable_tests::support::board::{Addressing, Board, Firmware, check_board};
use longcable_tests::support::{Daemon, Lab, Program, end};
use nix::sys::signal::Signal;

const TIMERS: &str = "ping 1\nping-restart 8";

#[test]
fn the_peer_floats() {
    let lab = Lab::new();
    let more = format!("float\n{TIMERS}");
    let mut peer = Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, &more));
    let mut board = Board::start(&lab, &lab.left, Firmware::Dynamic, &end(&lab.left, &lab.right, &more));
    check_board(&lab.right, &lab.left);
    lab.right.ip(&["addr flush dev eth0", "addr add 192.0.2.7/24 dev eth0"]);
    check_board(&lab.right, &lab.left);
    board.wait_for("192.0.2.7");
    board.must_be_well();
    assert!(peer.stop().success(), "exit status 0 after SIGTERM");
}

#[test]
fn the_name_of_the_peer_changes() {
    let lab = Lab::new();
    let server = NameServer::start(&lab, 50, 2);
    // The server stays where it is.
    lab.right.ip(&["addr add 192.0.2.7/24 dev eth0"]);
    let start = |address: &str| {
        let config = end(&lab.right, &lab.left, &format!("local {address}\nfloat\n{TIMERS}"));
        Daemon::start(&lab, &lab.right, Program::Openvpn, &config)
    };
    let peer = start("192.0.2.2");
    let mut board = named_board(&lab);
    board.wait_for("ethernet: address 192.0.2.50");
    check_board(&lab.right, &lab.left);
    drop(peer);
    server.set(50, 7);
    let _peer = start("192.0.2.7");
    check_board(&lab.right, &lab.left);
    board.wait_for("192.0.2.7");
    board.must_be_well();
}

#[test]
fn the_board_gets_another_address() {
    let lab = Lab::new();
    let server = NameServer::start(&lab, 50, 2);
    let config = end(&lab.right, &lab.left, &format!("float\n{TIMERS}"));
    let _peer = Daemon::start(&lab, &lab.right, Program::Openvpn, &config);
    let mut board = named_board(&lab);
    board.wait_for("ethernet: address 192.0.2.50");
    check_board(&lab.right, &lab.left);
    board.plug(false);
    board.wait_for("ethernet: no address");
    server.set(51, 2);
    board.plug(true);
    board.wait_for("ethernet: address 192.0.2.51");
    check_board(&lab.right, &lab.left);
    board.must_be_well();
}

/// A board with an address by DHCP that finds its peer by name.
fn named_board(lab: &Lab) -> Board {
    let config = end(&lab.left, &lab.right, &format!("float\n{TIMERS}"));
    let config = config.replace(&format!("remote {}", lab.right.outside), "remote right.example");
    Board::start_for(lab, &lab.left, Firmware::Dynamic, &config, Addressing::Dhcp, Duration::from_secs(600))
}

/// dnsmasq at the right site: it gives the board its address, and tells it the peer's.
struct NameServer<'a> {
    lab: &'a Lab,
    program: std::cell::RefCell<Daemon>,
}

impl<'a> NameServer<'a> {
    /// The addresses end so.
    fn start(lab: &'a Lab, board: u8, peer: u8) -> Self {
        write(lab, board, peer);
        let program = find_program(Path::new("dnsmasq")).expect("no program dnsmasq: apt-get install dnsmasq-base");
        let mut command = Command::new(program);
        // Stays root: what changes its user outlives its parent.
        command.args(["--no-daemon", "--user=root", "--log-facility=-", "--conf-file=/dev/null", "--pid-file"]);
        command.args(["--no-resolv", "--no-hosts", "--local-ttl=0", "--cache-size=0", "--log-queries", "--log-dhcp"]);
        command.args(["--local=/example/", "--dhcp-authoritative", "--dhcp-leasefile=leases"]);
        command.args(["--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0", "--dhcp-option=option:dns-server,192.0.2.2"]);
        for option in ["--addn-hosts", "--dhcp-hostsfile"] {
            command.arg(option).arg(lab.directory().join(option.trim_start_matches('-')));
        }
        let program = Daemon::with_command(lab, &lab.right, "dnsmasq", &mut command);
        program.wait_for("read ");
        Self { lab, program: program.into() }
    }

    /// From now on the addresses end so.
    fn set(&self, board: u8, peer: u8) {
        write(self.lab, board, peer);
        let mut program = self.program.borrow_mut();
        let before = program.count("read ");
        program.signal(Signal::SIGHUP);
        program.wait_for_count("read ", before + 2);
    }
}

fn write(lab: &Lab, board: u8, peer: u8) {
    lab.write("addn-hosts", &format!("192.0.2.{peer} right.example\n"));
    lab.write("dhcp-hostsfile", &format!("{},192.0.2.{board}\n", Board::mac(&lab.left)));
}
