//! ddclient keeps both ends' names, with the files of the README: only the service is ours, and what it is told is what
//! dnsmasq answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use std::{fs, thread};

use longcable::demo::lab::find_program;
use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof};
use longcable_tests::support::{Daemon, Lab, Link, Site};

const LOGIN: &str = "Authorization: Basic bXlsb2dpbjpteXBhc3N3b3Jk";

/// The block of the README that begins so.
fn readme(begin: &str) -> &'static str {
    let readme = include_str!("../../README.md");
    readme
        .split("```")
        .find_map(|text| text.split_once('\n').map(|(_, text)| text).filter(|text| text.starts_with(begin)))
        .unwrap_or_else(|| panic!("the README has no block that begins with {begin:?}"))
}

/// What somebody has told the service: a name, and where it leads.
type Update = (String, Ipv4Addr);

/// The service that members.dyndns.org was: each update is one GET.
fn service(lab: &Lab) -> (SocketAddr, Receiver<Update>) {
    let router = lab.router.as_ref().expect("a routed laboratory");
    let listener = router.inside(|| TcpListener::bind("0.0.0.0:80")).expect("a socket");
    let address = SocketAddr::from((lab.left.gateway(), 80));
    let (sender, updates) = channel();
    // It ends with the process.
    thread::spawn(move || {
        for connection in listener.incoming() {
            serve(connection.expect("a connection"), &sender);
        }
    });
    (address, updates)
}

fn serve(mut connection: TcpStream, updates: &Sender<Update>) {
    let lines: Vec<_> =
        BufReader::new(&connection).lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
    let of = |name: &str| {
        let request = lines.first()?.split([' ', '?', '&']);
        request.filter_map(|word| word.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    let is_known = lines.iter().any(|line| line == LOGIN);
    let body = match (of("hostname"), of("myip").and_then(|ip| ip.parse().ok())) {
        _ if !is_known => "badauth".to_owned(),
        (Some(name), Some(ip)) => {
            // The test may be over.
            let _ = updates.send((name, ip));
            format!("good {ip}")
        }
        _ => "notfqdn".to_owned(),
    };
    let head = format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = connection.write_all(format!("{head}{body}").as_bytes());
}

/// The files of one end.
fn install(lab: &Lab, name: &str, service: SocketAddr) {
    let config = readme("protocol=dyndns2").replace("home.example.net", name);
    let config = config.replace("members.dyndns.org", &service.to_string());
    let config = lab.write(&format!("{name}.ddclient.conf"), &format!("ssl=no\n{config}"));
    fs::set_permissions(config, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let own = format!("ddclient -file {name}.ddclient.conf -cache {name}.cache");
    lab.write_script(&format!("{name}.ip-up"), &readme("#!/bin/sh\nddclient").replace("ddclient", &own));
}

/// What pppd does when the line is up.
fn ip_up(lab: &Lab, site: &Site, name: &str, address: Ipv4Addr) -> Daemon {
    let mut command = site.command(Path::new("/usr/bin/env"));
    command.arg(format!("PPP_LOCAL={address}")).arg(lab.directory().join(format!("{name}.ip-up")));
    Daemon::with_command(lab, site, "ip-up", &mut command)
}

for_each_pair! {
    /// Where there is an openvpn, longcable finds it.
    fn both_ends_move_and_ddclient_tells(programs) {
        find_program(Path::new("ddclient")).expect("no program ddclient: apt-get install ddclient");
        for proof in [Proof::StaticKey, Proof::Tls(Role::Client)] {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            let (service, updates) = service(&lab);
            for name in NAMES {
                install(&lab, name, service);
            }
            let link = Link::named(&lab, programs, proof, ["float\nkeepalive 10 60\npersist-tun"; 2]);
            // A session must be so old to be replaced.
            thread::sleep(Duration::from_millis(2100));
            lab.redial_both(11);
            let sites = [&lab.left, &lab.right].into_iter().zip(NAMES);
            let mut scripts: Vec<_> =
                sites.map(|(site, name)| ip_up(&lab, site, name, site.address(11))).collect();
            let mut records = vec![];
            while records.len() < 2 {
                let (name, address) = updates.recv_timeout(Duration::from_secs(10)).expect("ddclient tells");
                records.push((NAMES.into_iter().find(|known| **known == name).expect("a known name"), address));
            }
            server.set(&records);
            link.back_within(&format!("{programs:?} {proof:?}, ddclient"), Duration::from_secs(6));
            for script in &mut scripts {
                assert_eq!(script.wait().code(), Some(0), "{}", script.log());
            }
            assert_eq!(link.restarts(), 0, "nothing restarts");
            link.check_pings_between(programs);
            link.stop();
        }
    }
}
