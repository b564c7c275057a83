//! Several remotes: which one is tried, how long, and when the next one is.

use std::collections::BTreeSet;
use std::time::Duration;

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Lab, Link, Program, end, pki, tls_end};

/// Nobody has this address.
const NOBODY: &str = "192.0.2.77";

/// The usual config of the left end with these lines in place of its `remote`.
fn left_end(lab: &Lab, remotes: &str) -> String {
    end(&lab.left, &lab.right, "").replace("remote 192.0.2.2\n", &format!("{remotes}\n"))
}

/// The same with TLS.
fn left_client(lab: &Lab, remotes: &str) -> String {
    tls_end(&lab.left, &lab.right, Role::Client, "").replace("remote 192.0.2.2\n", &format!("{remotes}\n"))
}

fn alone(lab: &Lab, config: &str) -> Daemon {
    Daemon::start(lab, &lab.left, Program::tested(), config)
}

/// What follows this text in the lines of the log that have it.
fn told(daemon: &Daemon, text: &str) -> Vec<String> {
    daemon.log().lines().filter_map(|line| Some(line.split_once(text)?.1.to_owned())).collect()
}

for_each_pair! {
    fn the_second_remote_is_tried_when_the_first_is_dead(programs) {
        let lab = Lab::new();
        let left = left_end(&lab, &format!("remote {NOBODY}\nremote 192.0.2.2\nping 1\nping-restart 2"));
        let link = Link::with_configs(&lab, programs, [&left, &end(&lab.right, &lab.left, "ping 1")]);
        link.wait_for_traffic();
        let remotes = told(&link.left, "link remote: [AF_INET]");
        assert_eq!(remotes, [format!("{NOBODY}:1194"), "192.0.2.2:1194".to_owned()]);
        assert_eq!(told(&link.left, "Restart pause, "), ["1 second(s)"]);
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    /// The settings before the blocks count for both, and those after them for none.
    fn each_connection_block_has_its_ports(programs) {
        let lab = Lab::new();
        let blocks = "float\nping 1\nping-restart 2\n<connection>\nremote 192.0.2.2 5001\nnobind\n</connection>\n\
                      <connection>\nremote 192.0.2.2 9\nrport 5002\nlport 5003\n</connection>\nlport 5004\nremote 192.0.2.3";
        let right = end(&lab.right, &lab.left, "lport 5002\nrport 5003\nping 1");
        let link = Link::with_configs(&lab, programs, [&left_end(&lab, blocks), &right]);
        link.wait_for_traffic();
        assert_eq!(told(&link.left, "link remote: [AF_INET]"), ["192.0.2.2:5001", "192.0.2.2:5002"]);
        assert_eq!(told(&link.left, "link local"), [": (not bound)", " (bound): [AF_INET][undef]:5003"]);
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    /// There is nothing to wait for then.
    fn a_tls_peer_that_does_not_answer_makes_room_at_once(programs) {
        let lab = Lab::new();
        pki::write(&lab);
        for remotes in [
            format!("connect-timeout 2\nremote {NOBODY}\nremote 192.0.2.2"),
            format!(
                "<connection>\nremote {NOBODY}\nserver-poll-timeout 2\n</connection>\n\
                 <connection>\nremote 192.0.2.2\n</connection>"
            ),
        ] {
            let right = tls_end(&lab.right, &lab.left, Role::Server, "");
            let link = Link::with_configs(&lab, programs, [&left_client(&lab, &remotes), &right]);
            link.left.wait_for("Server poll timeout, restarting");
            link.left.wait_for("SIGUSR1[soft,server_poll] received, process restarting");
            link.wait_for_traffic();
            assert_eq!(told(&link.left, "Restart pause, "), [""; 0]);
            assert_eq!(told(&link.left, "link remote: [AF_INET]").len(), 2);
            link.check_pings();
            link.stop();
        }
    }
}

#[test]
fn remotes_are_tried_in_random_order() {
    let lab = Lab::new();
    let remotes: String = (1..=4).map(|number| format!("remote 192.0.2.10{number}\n")).collect();
    let config = format!(
        "dev null\nsecret static.key\ncipher AES-256-CBC\nverb 4\nnobind\n{remotes}remote-random\nping-restart 1"
    );
    let daemons: Vec<_> = (0..6).map(|_| alone(&lab, &config)).collect();
    let orders: BTreeSet<_> = daemons
        .into_iter()
        .map(|mut daemon| {
            daemon.wait_for_count("link remote: [AF_INET]", 5);
            let order = told(&daemon, "link remote: [AF_INET]");
            assert_eq!(order[..4].iter().collect::<BTreeSet<_>>().len(), 4, "nobody is left out: {order:?}");
            assert_eq!(order[4], order[0], "the order stays");
            assert!(daemon.stop().success());
            order[..4].to_vec()
        })
        .collect();
    assert!(orders.len() > 1, "all six went the same way: {orders:?}");
}

#[test]
fn connect_retry_max_ends_the_program() {
    let lab = Lab::new();
    pki::write(&lab);
    let two = format!("remote {NOBODY}\nremote 192.0.2.78\nconnect-retry-max 2");
    for config in [
        left_end(&lab, &format!("{two}\nping-restart 1")),
        left_client(&lab, &format!("{two}\nhand-window 1")),
        left_client(&lab, &format!("{two}\nconnect-timeout 1")),
    ] {
        let mut left = alone(&lab, &config);
        assert_eq!(left.wait().code(), Some(1));
        left.wait_for("All connections have been connect-retry-max (2) times unsuccessful, exiting");
        left.wait_for("Exiting due to fatal error");
        assert_eq!(told(&left, "link remote: [AF_INET]").len(), 4);
        let pauses = told(&left, "Restart pause, ");
        assert_eq!(pauses, vec!["1 second(s)"; if config.contains("connect-timeout") { 0 } else { 4 }]);
    }
}

#[test]
fn the_pauses_of_a_tls_client_grow() {
    let lab = Lab::new();
    pki::write(&lab);
    let mut left = alone(&lab, &left_client(&lab, &format!("remote {NOBODY}\nhand-window 1")));
    let right = left_end(&lab, &format!("remote {NOBODY}\nping-restart 1"));
    let mut patient = Daemon::start(&lab, &lab.right, Program::tested(), &right);
    left.wait_for_within("Restart pause, 4 second(s)", Duration::from_secs(20));
    assert_eq!(told(&left, "Restart pause, "), [1, 1, 1, 1, 2, 4].map(|pause| format!("{pause} second(s)")));
    let pauses = told(&patient, "Restart pause, ");
    assert!(pauses.len() >= 5 && pauses.iter().all(|pause| pause == "1 second(s)"), "a static key: {pauses:?}");
    assert!(left.stop().success());
    assert!(patient.stop().success());
}

#[test]
fn a_block_that_is_wrong_is_refused() {
    let lab = Lab::new();
    for (block, openvpn, longcable) in [
        (
            "nobind",
            "Options error: Each 'connection' block must contain exactly one 'remote' directive",
            "each <connection> block must contain exactly one 'remote'",
        ),
        (
            "remote 192.0.2.2\nping 3",
            "Options error: option 'ping' cannot be used in this context ([CONNECTION-OPTIONS])",
            "option 'ping' cannot stand in a <connection> block",
        ),
    ] {
        let mut left = alone(&lab, &left_end(&lab, &format!("<connection>\n{block}\n</connection>")));
        assert_eq!(left.wait().code(), Some(1));
        left.wait_for(Program::tested().words(openvpn, longcable));
    }
}
