//! Lines that go down, interfaces that are set down, addresses that strangers get, clocks that go back.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof, meanwhile, named_ends};
use longcable_tests::support::{Daemon, Lab, Link, Program, Site, end, poll, tls_end};
use nix::sys::signal::Signal;

const PATIENT: &str = "float\nkeepalive 10 60\npersist-tun\npersist-key";

const PROOFS: [Proof; 2] = [Proof::StaticKey, Proof::Tls(Role::Client)];

/// No session is replaced that is younger.
const SESSION_AGE: Duration = Duration::from_millis(2100);

for_each_pair! {
    /// The line is down for a while, and its address is the same afterwards.
    fn a_line_is_down_for_a_while(programs) {
        for proof in PROOFS {
            let lab = Lab::volatile();
            let _server = NameServer::start(&lab);
            let link = Link::named(&lab, programs, proof, [PATIENT; 2]);
            lab.left.hang_up();
            for _ in 0..10 {
                link.pinger().poke();
                thread::sleep(Duration::from_millis(150));
            }
            lab.left.dial(1);
            link.back_within(&format!("{programs:?} {proof:?}, the line was down"), Duration::from_secs(2));
            assert_eq!(link.restarts(), 0, "nothing restarts");
            link.check_pings_between(programs);
            link.stop();
        }
    }
}

/// The routes that went with it come back.
#[test]
fn the_tunnel_is_set_down_and_up() {
    for proof in PROOFS {
        let lab = Lab::volatile();
        let _server = NameServer::start(&lab);
        let more = format!("{PATIENT}\nroute 10.66.0.0 255.255.0.0");
        let link = Link::named(&lab, [Program::Longcable, Program::Openvpn], proof, [&more, PATIENT]);
        for _ in 0..2 {
            lab.left.ip(&["link set tun0 down"]);
            link.pinger().poke();
            thread::sleep(Duration::from_millis(100));
            assert!(!lab.left.output("ip route").contains("10.66.0.0/16"));
            lab.left.ip(&["link set tun0 up"]);
            link.back_within(&format!("{proof:?}, the tunnel was set down"), Duration::from_secs(2));
            let routed = || lab.left.output("ip route").contains("10.66.0.0/16").then_some(());
            assert!(poll(Duration::from_secs(2), routed).is_some(), "the route is back");
        }
        assert_eq!(link.restarts(), 0, "nothing restarts");
        link.stop();
    }
}

/// The end where a longcable looks for the other one, and its log; and that other end, which an openvpn may be at.
fn looking<'a, 'l>(lab: &'a Lab, link: &'l Link<'_>, programs: [Program; 2]) -> [(&'a Site, &'l Daemon); 2] {
    let ends = [(&lab.left, &link.left), (&lab.right, &link.right)];
    if programs[0] == Program::Openvpn { [ends[1], ends[0]] } else { ends }
}

for_each_pair! {
    /// Both ends move, and somebody who answers everything gets one's address before the names are right.
    fn a_stranger_answers_where_the_peer_was(programs) {
        for proof in PROOFS {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            // Without a direction, what a static key protects is authentic to its sender too: an echo would be followed.
            let directions =
                if proof == Proof::StaticKey { ["key-direction 0", "key-direction 1"] } else { [""; 2] };
            let more = directions.map(|direction| format!("{PATIENT}\n{direction}"));
            let link = Link::named(&lab, programs, proof, more.each_ref().map(String::as_str));
            let [(_, looking), (there, _)] = looking(&lab, &link, programs);
            thread::sleep(SESSION_AGE);
            lab.redial_both(11);
            let stranger = lab.give_away(there, there.outside.octets()[3]);
            let socket = stranger.namespace.inside(|| UdpSocket::bind((stranger.outside, 1194))).expect("a socket");
            socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time limit");
            let mut heard = 0;
            let answer = |goes_on: &dyn Fn() -> bool| {
                let mut buffer = [0; 2048];
                while goes_on() {
                    let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                    heard += 1;
                    // Its own words, some of them changed, and nothing that makes sense.
                    for bit in [0, 1] {
                        buffer[length / 2] ^= bit;
                        socket.send_to(&buffer[..length], from).expect("sent");
                    }
                    socket.send_to(&[0x55; 100], from).expect("sent");
                }
            };
            meanwhile(answer, || {
                // Long enough for it to be asked.
                thread::sleep(Duration::from_millis(1500));
                server.set_both(11);
                link.back_within(&format!("{programs:?} {proof:?}, a stranger echoes"), Duration::from_secs(6));
            });
            assert!(heard > 0, "the stranger was asked");
            assert_eq!(link.restarts(), 0, "nothing restarts");
            assert_eq!(
                looking.count(&format!("Peer Connection Initiated with [AF_INET]{}:1194", stranger.outside)),
                1
            );
            link.check_pings_between(programs);
            link.stop();
        }
    }
}

for_each_pair! {
    /// As above; this one is an openvpn, of somebody else's. Who answers a greeting first is talked to, and openvpn comes
    /// back with a new session only: only a key for the control channel keeps a stranger from that.
    fn an_openvpn_with_another_key_is_where_the_peer_was(programs) {
        for proof in PROOFS {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            let is_guarded = proof != Proof::StaticKey && programs.contains(&Program::Openvpn);
            let more = format!("{PATIENT}\n{}", if is_guarded { "tls-crypt ta.key" } else { "" });
            let link = Link::named(&lab, programs, proof, [&more; 2]);
            let [(here, looking), (there, _)] = looking(&lab, &link, programs);
            thread::sleep(SESSION_AGE);
            lab.redial_both(11);
            let stranger = lab.give_away(there, there.outside.octets()[3]);
            let config = match proof {
                Proof::StaticKey => {
                    let key = lab.directory().join("strangers.key");
                    let made = Command::new(Program::Openvpn.path()).args(["--genkey", "secret"]).arg(&key).status();
                    assert!(made.is_ok_and(|status| status.success()), "openvpn makes a key");
                    end(&stranger, here, "secret strangers.key\nfloat\nping 1")
                }
                // Nobody whom the other end trusts.
                Proof::Tls(role) => {
                    let role = if here.outside == lab.left.outside { role.other() } else { role };
                    tls_end(&stranger, here, role, "cert self-server.crt\nkey server.key\nfloat\nping 1")
                }
            };
            let config =
                config.replace(&format!("remote {}", here.outside), &format!("remote {}", here.address(11)));
            let other = Daemon::start(&lab, &stranger, Program::Openvpn, &config);
            other.wait_for(match proof {
                Proof::StaticKey => "Authenticate/Decrypt packet error",
                Proof::Tls(_) if is_guarded => "link remote",
                Proof::Tls(_) => "TLS: Initial packet",
            });
            thread::sleep(Duration::from_millis(500));
            server.set_both(11);
            link.back_within(&format!("{programs:?} {proof:?}, a stranger's openvpn"), Duration::from_secs(6));
            assert_eq!(link.restarts(), 0, "nothing restarts");
            assert_eq!(
                looking.count(&format!("Peer Connection Initiated with [AF_INET]{}:1194", stranger.outside)),
                1
            );
            link.check_pings_between(programs);
            link.stop();
        }
    }
}

/// The clock of the left end goes back a day while the link is up. It is the clock that the program sees; the machine's
/// own is left alone.
#[test]
fn the_clock_goes_back_a_day() {
    for (proof, peer) in PROOFS.into_iter().flat_map(|proof| [(proof, Program::Longcable), (proof, Program::Openvpn)]) {
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        let more = format!("{PATIENT}\nreplay-persist replays");
        let [left, right] = named_ends(&lab, proof, [&more, PATIENT]);
        lab.write("left.conf", &left);
        lab.write("clock", "+0\n");
        let start = || {
            let program = Program::Longcable.path();
            let mut command = lab.left.command(Path::new("/usr/bin/env"));
            command.arg(format!("LD_PRELOAD={}", faketime().display()));
            command.arg(format!("FAKETIME_TIMESTAMP_FILE={}", lab.directory().join("clock").display()));
            command.args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]);
            command.arg(program).args(["--config", "left.conf"]);
            Daemon::with_command(&lab, &lab.left, "Longcable with a clock", &mut command)
        };
        let mut link = Link::with(&lab, start(), Daemon::start(&lab, &lab.right, peer, &right));
        link.wait_for_traffic();
        let day = link.left.log().lines().next().expect("a line")[..10].to_owned();
        lab.write("clock", "-1d\n");
        thread::sleep(SESSION_AGE);
        link.check_pings();
        lab.redial_both(11);
        server.set_both(11);
        link.back_within(
            &format!("{peer:?} {proof:?}, the clock goes back and both ends move"),
            Duration::from_secs(6),
        );
        assert_eq!(link.restarts(), 0, "nothing restarts");
        assert!(!link.left.log().lines().last().expect("a line").starts_with(&day), "the clock went back");
        // Its numbers go on where they were.
        thread::sleep(SESSION_AGE);
        link.left.signal(Signal::SIGKILL);
        link.left.wait();
        server.set(&[(NAMES[0], lab.left.address(22)), (NAMES[1], lab.right.address(11))]);
        lab.left.redial(22);
        link.left = start();
        link.back_within(&format!("{peer:?} {proof:?}, started with a clock of yesterday"), Duration::from_secs(6));
        link.check_pings_between([Program::Longcable, peer]);
        link.stop();
    }
}

fn faketime() -> std::path::PathBuf {
    let machines = std::fs::read_dir("/usr/lib").expect("/usr/lib");
    let places = machines.flatten().map(|machine| machine.path().join("faketime/libfaketime.so.1"));
    places.into_iter().find(|file| file.is_file()).expect("no libfaketime: apt-get install faketime")
}

/// Packets after a power cut are none that were sent before, however early it comes and whatever the clock says.
#[test]
fn the_power_goes_as_the_first_packet_is_sent() {
    let lab = Lab::new();
    let library = lab.library("power_cut", include_str!("../support/power_cut.c"));
    lab.write("left.conf", &end(&lab.left, &lab.right, "ping 1\nreplay-persist replays"));
    let mut before = 0;
    for _ in 0..3 {
        let mut command = Command::new(Program::Longcable.path());
        command.args(["--config", "left.conf"]).env("LD_PRELOAD", &library);
        let mut left = Daemon::with_command(&lab, &lab.left, "power-cut", &mut command);
        assert_eq!(left.wait().code(), Some(42), "the sequence is on the disk before a packet of it is sent");
        let stored = fs::read(lab.directory().join("replays")).expect("the file");
        let stored = u64::from_ne_bytes(stored[16..24].try_into().expect("8 bytes"));
        assert!(stored > before, "{stored} after {before}");
        before = stored;
    }
}
