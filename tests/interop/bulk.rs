//! Hundreds of megabytes through a network that loses packets and changes their order, byte by byte; and what memory
//! that leaves behind.
//!
//! `BULK_MEGABYTES` makes it more, for those who have the time.

use std::env;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use longcable_core::tls::Role;
use longcable_tests::support::relay::{self, Damage, PORTS};
use longcable_tests::support::{Daemon, Lab, Link, PATIENCE, Program, end, pki, poll, tls_end};

/// What passes each way.
const MEGABYTES: usize = 100;

/// What a link keeps of the stack, in KiB.
const STACK_MAX: usize = 100;

/// What a transfer may leave behind in memory, in KiB.
const GROWTH_MAX: i64 = 128;

#[test]
fn loss_and_reordering_damage_nothing_with_a_static_key() {
    through_a_bad_network(false);
}

#[test]
fn loss_and_reordering_damage_nothing_with_tls() {
    through_a_bad_network(true);
}

/// What a link needs it has when it stands; half a gigabyte takes no more of it.
#[test]
fn memory_does_not_grow() {
    for tls in [false, true] {
        let lab = Lab::new();
        let programs = [Program::Longcable; 2];
        let link = if tls {
            Link::start_tls(&lab, programs, Role::Client, ["", ""])
        } else {
            Link::start(&lab, programs, ["", ""])
        };
        link.wait_for_traffic();
        let before = [&link.left, &link.right].map(taken);
        link.check_tcp((megabytes() << 20) * 5 / 2);
        let after = [&link.left, &link.right].map(taken);
        println!("TLS: {tls}; {before:?} KiB before, {after:?} KiB after");
        assert!(before.into_iter().zip(after).all(|(before, after)| after - before <= GROWTH_MAX));
        link.stop();
    }
}

/// A start and a handshake take several times as much of the stack as what follows, and most of the code.
#[test]
fn what_a_start_took_is_given_back() {
    let lab = Lab::new();
    let link = Link::tls(&lab, [Program::Longcable; 2], Role::Client, ["", ""]);
    for end in [&link.left, &link.right] {
        let maps = fs::read_to_string(format!("/proc/{}/smaps", end.pid())).expect("our child");
        let kilobytes = |mapping: &str, field: &str| {
            let (_, rest) = maps.split_once(mapping).expect("such a mapping");
            let size = rest.lines().find_map(|line| line.strip_prefix(field)).expect("a size").trim();
            size.trim_end_matches(" kB").parse::<usize>().expect("a size in kB")
        };
        let stack = kilobytes("[stack]", "Rss:");
        assert!(stack <= STACK_MAX, "{stack} KiB of the stack");
        let (code, of) = (kilobytes(" r-xp ", "Rss:"), kilobytes(" r-xp ", "Size:"));
        assert!(code < of * 9 / 10, "{code} KiB of {of} KiB code");
    }
    link.stop();
}

fn through_a_bad_network(tls: bool) {
    let lab = Lab::new();
    let more = PORTS.map(|port| format!("remote {} {port}\nport 1194", lab.right.outside));
    let configs = if tls {
        pki::write(&lab);
        [tls_end(&lab.left, &lab.right, Role::Client, ""), tls_end(&lab.right, &lab.left, Role::Server, "")]
    } else {
        [end(&lab.left, &lab.right, ""), end(&lab.right, &lab.left, "")]
    };
    // The peer is found at the relay only.
    let lines = |text: &str, more: &str| {
        let kept = text.lines().filter(|line| !line.starts_with("remote ")).collect::<Vec<_>>();
        format!("{}\n{more}\n", kept.join("\n"))
    };
    let configs = [lines(&configs[0], &more[0]), lines(&configs[1], &more[1])];
    let (damage, done) = (Damage::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| relay::run(&lab, &damage, &done));
        // However this ends, the relay has to.
        let _end = End(&done);
        let link = Link::with_configs(&lab, [Program::Longcable; 2], [&configs[0], &configs[1]]);
        link.wait_for_traffic();
        link.check_tcp(megabytes() << 20);
        link.stop();
    });
    assert!(damage.lost.load(Relaxed) > 0 && damage.late.load(Relaxed) > 0, "the network was too good: {damage:?}");
}

/// Says that it is done when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn megabytes() -> usize {
    env::var("BULK_MEGABYTES").map_or(MEGABYTES, |number| number.parse().expect("BULK_MEGABYTES is a number"))
}

/// The memory that it has taken, in KiB, when no lookup is under way. Pages of the program itself come and go.
fn taken(program: &Daemon) -> i64 {
    let process = format!("/proc/{}", program.pid());
    let threads = || fs::read_dir(format!("{process}/task")).expect("our child").count();
    assert!(poll(PATIENCE, || (threads() == 1).then_some(())).is_some(), "lookups do not end");
    let rollup = fs::read_to_string(format!("{process}/smaps_rollup")).expect("our child");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a size in kB")
}
