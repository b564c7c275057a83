//! What a restart keeps of what names have led to.

use std::fs;

use longcable_tests::support::{Daemon, Lab, Program, end};
use nix::sys::signal::Signal;

/// The addresses in these lines of the log, and those after a restart, before which the hosts file changes so.
fn over_a_restart(config: impl Fn(&Lab) -> String, hosts: [&str; 2], line: &str) -> Vec<String> {
    let lab = Lab::volatile();
    lab.left.ip(&["addr add 192.0.2.3/24 dev eth0"]);
    let file = lab.left.etc.as_deref().expect("a volatile laboratory").join("hosts");
    fs::write(&file, hosts[0]).expect("room on the disk");
    let _right = Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, "float\nping 1"));
    let mut left = Daemon::start(&lab, &lab.left, Program::tested(), &config(&lab));
    left.wait_for(line);
    left.wait_for("Peer Connection Initiated");
    fs::write(&file, hosts[1]).expect("room on the disk");
    left.signal(Signal::SIGUSR1);
    left.wait_for("SIGUSR1[hard,] received, process restarting");
    left.wait_for_count(line, 2);
    assert!(left.stop().success());
    left.log().lines().filter_map(|text| Some(text.split_once(line)?.1.to_owned())).collect()
}

#[test]
fn persist_local_ip_keeps_what_the_name_led_to() {
    for (more, second) in [("persist-local-ip", "192.0.2.1:1194"), ("", "192.0.2.3:1194")] {
        let config =
            |lab: &Lab| end(&lab.left, &lab.right, &format!("local here.example\npersist-tun\npersist-key\n{more}"));
        let hosts = ["192.0.2.1 here.example\n", "192.0.2.3 here.example\n"];
        let bound = over_a_restart(config, hosts, "link local (bound): [AF_INET]");
        assert_eq!(bound, ["192.0.2.1:1194", second], "{more}");
    }
}

/// It was heard there. An address that nobody has answered from is not kept by longcable.
#[test]
fn persist_remote_ip_keeps_where_the_peer_was() {
    let config = |lab: &Lab| {
        let more = "persist-tun\npersist-key\npersist-remote-ip";
        end(&lab.left, &lab.right, more).replace("remote 198.51.100.2", "remote there.example")
    };
    let hosts = ["198.51.100.2 there.example\n", "198.51.100.3 there.example\n"];
    let remotes = over_a_restart(config, hosts, "link remote: [AF_INET]");
    assert_eq!(remotes, ["198.51.100.2:1194"; 2]);
}
