//! Private network namespaces for tests.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use super::Netlink;

/// Runs `test` on a thread of its own in a new, empty network namespace with loopback up; the namespace goes with it.
pub(crate) fn in_namespace(test: impl FnOnce(&Netlink) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("this test makes a network namespace: run it as root");
        let netlink = Netlink::open().unwrap();
        let loopback = netlink.link("lo").unwrap();
        netlink.set_up(&loopback, true).unwrap();
        test(&netlink);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits until the kernel accepts packets to an IPv6 address that was added just now to another interface than
/// loopback.
pub(crate) fn wait_until_local(netlink: &Netlink, address: IpAddr) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while netlink.path_to(address).ok().is_none_or(|path| path.device.name != "lo") {
        assert!(Instant::now() < deadline, "{address} is not accepted after 5 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}
