//! One end's openvpn is stopped and longcable started with the same config file. The other end goes on.

use longcable_tests::support::{Daemon, Lab, Link, Program, end};

#[test]
fn the_other_end_notices_nothing() {
    let lab = Lab::new();
    let configs =
        [end(&lab.left, &lab.right, "keepalive 1 10\npersist-tun"), end(&lab.right, &lab.left, "keepalive 1 10")];
    let mut link = Link::with_configs(&lab, [Program::Openvpn; 2], [&configs[0], &configs[1]]);
    link.wait_for_traffic();
    link.right.wait_for("Initialization Sequence Completed");
    for program in [Program::tested(), Program::Openvpn, Program::tested()] {
        assert!(link.left.stop().success());
        // Sequences are told apart by their second.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        link.left = Daemon::start(&lab, &lab.left, program, &configs[0]);
        link.wait_for_traffic();
        link.check_pings();
        link.check_tcp(200_000);
    }
    for nothing in ["restarting", "rejected", "packet error", "WARNING: '", "ERROR"] {
        assert_eq!(link.right.count(nothing), 0, "'{nothing}' at the other end");
    }
    assert_eq!(link.right.count("Peer Connection Initiated"), 1);
    link.stop();
}
