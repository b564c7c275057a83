//! The FAQ's recipes for addresses that change, word for word, and what people put around them: scripts that edit a
//! hosts file, several links on one machine, privileges that are dropped, another root directory.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof, named_ends};
use longcable_tests::support::{Daemon, Lab, Link, Pinger, Program, Site, pki, poll};
use nix::sys::signal::Signal;

const PROOFS: [Proof; 2] = [Proof::StaticKey, Proof::Tls(Role::Client)];

fn etc(site: &Site) -> &Path {
    site.etc.as_deref().expect("a volatile laboratory")
}

/// Between two gateways on PPPoE lines without any name server: SIGUSR1 when the line is up again, and each end keeps
/// the other's address in its hosts file.
mod pppoe {
    use super::*;

    fn recipe(name: &str) -> String {
        format!(
            "float\npersist-tun\npersist-key\npersist-remote-ip\nresolv-retry 60\nwritepid {name}.pid\n\
             script-security 2\nipchange ./{name}-ipchange"
        )
    }

    fn prepare(lab: &Lab) {
        for (number, (site, there)) in [(&lab.left, &lab.right), (&lab.right, &lab.left)].into_iter().enumerate() {
            let (here, peer) = (NAMES[number], NAMES[1 - number]);
            fs::write(etc(site).join("hosts"), format!("127.0.0.1 localhost\n{} {peer}\n", there.outside)).unwrap();
            // As the README has it.
            let readme = include_str!("../../README.md");
            let script =
                readme.split("```").find_map(|text| text.strip_prefix("sh\n").filter(|text| text.starts_with("#!")));
            let script = script.expect("the script of the README").replace("office.example.net", peer);
            lab.write_script(&format!("{here}-ipchange"), &script);
            lab.write_script(&format!("{here}-ip-up"), &format!("#!/bin/sh\nkill -USR1 $(cat {here}.pid)\n"));
        }
    }

    fn ip_up(lab: &Lab, name: &str) {
        let script = lab.directory().join(format!("{name}-ip-up"));
        let ended = std::process::Command::new(script).current_dir(lab.directory()).status();
        assert!(ended.expect("a script").success());
    }

    for_each_pair! {
        fn either_line_is_redialled(programs) {
            for proof in PROOFS {
                let lab = Lab::volatile();
                prepare(&lab);
                let [left, right] = [recipe(NAMES[0]), recipe(NAMES[1])];
                let link = Link::named(&lab, programs, proof, [&left, &right]);
                for (site, name, end, other) in [
                    (&lab.left, NAMES[0], &link.left, &lab.right),
                    (&lab.right, NAMES[1], &link.right, &lab.left),
                ] {
                    site.redial(11);
                    ip_up(&lab, name);
                    end.wait_for("SIGUSR1[hard,] received, process restarting");
                    // The one that has moved speaks first.
                    let took = Pinger::new(site, other.inside).back_within(Duration::from_secs(6));
                    println!("{programs:?} {proof:?}, {name} redialled: back after {} ms", took.as_millis());
                    let line = format!("{} {name}", site.address(11));
                    let edited = || fs::read_to_string(etc(other).join("hosts")).ok().filter(|text| text.contains(&line));
                    let text = poll(Duration::from_secs(3), edited).expect("ipchange has edited the hosts file");
                    assert_eq!(text.lines().count(), 2, "{text}");
                }
                link.check_pings_between(programs);
                link.stop();
            }
        }
    }
}

/// One end of the FAQ's pair with two dynamic addresses.
fn dynamic(remote: &str, ifconfig: &str, name: &str, proof: &str) -> String {
    format!(
        "remote {remote}\ndev tun\nifconfig {ifconfig}\nup ./up-script # optional\n\n# crypto config\n\
         replay-persist {name}-replay-persist-file # optional (1.4.0 or above)\n\n\
         # TLS config (or omit TLS security by using a pre-shared key\n# such as 'secret static.key').\n{proof}\n\n\
         # timeouts\nping 15\nping-restart 300 # 5 minutes\nresolv-retry 300 # 5 minutes\npersist-tun\npersist-key\n\n\
         # compression (optional)\ncomp-lzo\n\n# UID (optional)\nuser nobody\ngroup nobody\n\n\
         # verbosity (optional)\nverb 4\n\n# Later versions want to be told that scripts are meant.\nscript-security 2\n"
    )
}

/// A laboratory for the pair, and the configs of both ends.
fn dynamic_pair(proof: Proof) -> (Lab, [String; 2]) {
    let mut lab = Lab::volatile();
    (lab.left.inside, lab.right.inside) = ([10, 1, 0, 2].into(), [10, 1, 0, 1].into());
    pki::write(&lab);
    fs::create_dir(lab.directory().join("key")).unwrap();
    let copy =
        |from: &str, to: &str| fs::copy(lab.directory().join(from), lab.directory().join("key").join(to)).unwrap();
    copy("ca.crt", "my-ca.crt");
    copy("ta.key", "my-tls-password");
    for role in ["client", "server"] {
        copy(&format!("{role}.crt"), &format!("{role}-cert.crt"));
        copy(&format!("{role}.key"), &format!("{role}-key.key"));
    }
    lab.write_script("up-script", "#!/bin/sh\nexit 0\n");
    let proofs = match proof {
        // The cipher of then is not in every OpenSSL of today.
        Proof::StaticKey => {
            ["secret static.key\ncipher AES-256-CBC".to_owned(), "secret static.key\ncipher AES-256-CBC".to_owned()]
        }
        Proof::Tls(_) => [("tls-client", "client"), ("tls-server\ndh dh.pem", "server")].map(|(role, name)| {
            format!(
                "{role}\nca key/my-ca.crt\ncert key/{name}-cert.crt\nkey key/{name}-key.key\n\
                 tls-auth key/my-tls-password # optional"
            )
        }),
    };
    let left = dynamic("office.mydomain.com", "10.1.0.2 10.1.0.1", "left", &proofs[0]);
    let right = dynamic("myremote.mydomain.com", "10.1.0.1 10.1.0.2", "right", &proofs[1]);
    (lab, [left, right])
}

fn dynamic_names(lab: &Lab, server: &NameServer<'_>, last: [u8; 2]) {
    server.set(&[
        ("myremote.mydomain.com", lab.left.address(last[0])),
        ("office.mydomain.com", lab.right.address(last[1])),
    ]);
}

#[test]
fn both_ends_are_dynamic() {
    for proof in PROOFS {
        let (lab, [left, right]) = dynamic_pair(proof);
        let server = NameServer::start(&lab);
        dynamic_names(&lab, &server, [1, 2]);
        let link = Link::with_configs(&lab, [Program::Longcable; 2], [&left, &right]);
        link.wait_for_traffic();
        lab.redial_both(11);
        dynamic_names(&lab, &server, [11, 11]);
        link.back_within(&format!("{proof:?}, the FAQ's pair, both ends move"), Duration::from_secs(6));
        lab.right.redial(12);
        // ddclient takes its time.
        thread::sleep(Duration::from_millis(1500));
        dynamic_names(&lab, &server, [11, 12]);
        link.back_within(&format!("{proof:?}, the FAQ's pair, one end moves"), Duration::from_secs(6));
        assert_eq!(link.restarts(), 0, "nothing restarts");
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    /// openvpn needs its five minutes, which are three seconds here, and needs them twice: it restarts towards the
    /// address that it knows before it looks the name up.
    fn both_ends_are_dynamic_and_openvpn_waits(programs) {
        for proof in PROOFS {
            let (lab, configs) = dynamic_pair(proof);
            let configs = configs.map(|config| config.replace("ping 15", "ping 1").replace("ping-restart 300", "ping-restart 3"));
            let server = NameServer::start(&lab);
            dynamic_names(&lab, &server, [1, 2]);
            let link = Link::with_configs(&lab, programs, [&configs[0], &configs[1]]);
            link.wait_for_traffic();
            lab.redial_both(11);
            dynamic_names(&lab, &server, [11, 11]);
            link.back_within(&format!("{programs:?} {proof:?}, the FAQ's pair"), Duration::from_secs(14));
            link.check_pings_between(programs);
            link.stop();
        }
    }
}

for_each_pair! {
    /// Two links of two kinds between the same machines: each finds its own peer again.
    fn two_links_on_one_machine(programs) {
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        let both = "float\nkeepalive 10 60\npersist-tun";
        let first = Link::named(&lab, programs, Proof::StaticKey, [both; 2]);
        let second = [
            format!("{both}\ndev tun1\nport 1195\nifconfig 10.9.1.1 10.9.1.2"),
            format!("{both}\ndev tun1\nport 1195\nifconfig 10.9.1.2 10.9.1.1"),
        ];
        let [left, right] = named_ends(&lab, Proof::Tls(Role::Server), second.each_ref().map(String::as_str));
        let second = Link::with_configs(&lab, programs, [&left, &right]);
        let pinger = || Pinger::new(&lab.left, std::net::Ipv4Addr::new(10, 9, 1, 2));
        pinger().wait_for_answer();
        for last in [11, 12] {
            if programs.contains(&Program::Openvpn) {
                // It takes a session from nowhere else, and is given another one only when this one is so old.
                thread::sleep(Duration::from_millis(2100));
            }
            lab.redial_both(last);
            server.set_both(last);
            first.back_within(&format!("{programs:?}, two links, the first"), Duration::from_secs(7));
            let took = pinger().back_within(Duration::from_secs(7));
            println!("{programs:?}, two links, the second: back after {} ms more", took.as_millis());
            assert_eq!(first.restarts() + second.restarts(), 0, "nothing restarts");
        }
        first.stop();
        second.stop();
    }
}

/// After a restart without privileges and from another root directory: the link is back, and moves are followed.
#[test]
fn restarts_in_another_root_directory() {
    for (proof, equipped) in [(Proof::StaticKey, true), (Proof::Tls(Role::Client), true), (Proof::StaticKey, false)] {
        let lab = Lab::volatile();
        let server = NameServer::start(&lab);
        fs::create_dir_all(lab.directory().join("jail/etc")).unwrap();
        if equipped {
            for name in ["resolv.conf", "hosts", "nsswitch.conf"] {
                fs::copy(etc(&lab.left).join(name), lab.directory().join("jail/etc").join(name)).unwrap();
            }
        }
        let more = "float\nkeepalive 10 60\npersist-tun\npersist-key";
        let dropped = format!("{more}\nuser nobody\ngroup nobody\nchroot jail");
        let mut link = Link::named(&lab, [Program::Longcable; 2], proof, [&dropped, more]);
        link.left.signal(Signal::SIGUSR1);
        link.left.wait_for("SIGUSR1[hard,] received, process restarting");
        link.back_within(&format!("{proof:?}, a restart in a jail, equipped: {equipped}"), Duration::from_secs(6));
        link.left
            .wait_for("WARNING: with 'chroot', names resolve after the start only if etc/resolv.conf and etc/hosts");
        if equipped {
            lab.redial_both(11);
            server.set_both(11);
            link.back_within(&format!("{proof:?}, a move in a jail"), Duration::from_secs(6));
        } else {
            link.left.wait_for("RESOLVE: Cannot resolve host address: right.example:1194");
            link.left.wait_for("Hint: names are looked up with the files in 'chroot'");
        }
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    /// What needs privileges is done before they are dropped.
    fn restarts_without_privileges(programs) {
        for proof in PROOFS {
            let lab = Lab::volatile();
            let server = NameServer::start(&lab);
            let more = "float\nkeepalive 1 10\npersist-tun\npersist-key\nuser nobody\ngroup nobody";
            let mut link = Link::named(&lab, programs, proof, [more; 2]);
            lab.redial_both(11);
            server.set_both(11);
            for end in [&mut link.left, &mut link.right] {
                end.signal(Signal::SIGUSR1);
                end.wait_for("SIGUSR1[hard,] received, process restarting");
            }
            link.back_within(&format!("{programs:?} {proof:?}, both restart as nobody"), Duration::from_secs(8));
            link.check_pings_between(programs);
            link.stop();
        }
    }
}

/// At boot the link may be there before the line: it comes up with it.
#[test]
fn a_link_that_is_started_before_the_line_is_up() {
    for proof in PROOFS {
        let lab = Lab::volatile();
        let _server = NameServer::start(&lab);
        let [left, right] = named_ends(&lab, proof, ["float\nkeepalive 10 60"; 2]);
        lab.left.hang_up();
        let left = Daemon::start(&lab, &lab.left, Program::Longcable, &left);
        let link = Link::with(&lab, left, Daemon::start(&lab, &lab.right, Program::Longcable, &right));
        thread::sleep(Duration::from_millis(1500));
        lab.left.dial(1);
        link.back_within(&format!("{proof:?}, started without a line"), Duration::from_secs(6));
        link.stop();
    }
}
