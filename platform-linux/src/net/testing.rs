//! Private network namespaces for tests.

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
