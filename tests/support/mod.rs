//! A laboratory for whole programs: two sites joined by a cable, an OpenVPN program at each, and checks of what passes
//! through the link between them.
//!
//! Everything vanishes with the values here, also when a test panics: the namespaces because only their file
//! descriptors hold them, the programs because the kernel ends them with the thread that started them. A test that
//! fails prints the end of the log of every program it had running.

pub mod board;
mod daemon;
mod lab;
mod link;
pub mod pki;
mod program;
pub mod relay;
mod traffic;
pub mod volatile;

pub use daemon::Daemon;
pub use lab::{Lab, Site};
pub use link::{Link, end, tls_end};
pub use program::{Program, baseline};
pub use traffic::{Filling, Pinger, syn_sizes, tcp_check};

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until `condition` gives a value; None after `patience`.
pub fn poll<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        let last_chance = Instant::now() >= deadline;
        match condition() {
            None if !last_chance => thread::sleep(Duration::from_millis(10)),
            result => return result,
        }
    }
}
