//! Lines that get another address every half minute, for a whole day: no memory, descriptor or thread stays behind.
//!
//! The addresses change as fast as the ends notice. `FLAPS` says how often: 2,880 times are a day, and with TLS fewer are
//! the default.

use std::env;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use longcable_core::tls::Role;
use longcable_tests::support::volatile::{NAMES, NameServer, Proof};
use longcable_tests::support::{Daemon, Filling, Lab, Link, Program, poll};

/// One every half minute.
const A_DAY: usize = 2880;

/// As many as take half a minute.
const FEWER: usize = 400;

/// By then everything that is made once has been, and the heap has found its size.
const WARM_UP: usize = 400;

/// Every so many flaps both ends move at the same time: only the names tell where they are.
const BOTH: usize = 40;

/// An end looks what has become of its addresses some time after they have changed.
const NOTICE: Duration = Duration::from_millis(30);

/// How much more memory may be in use afterwards, in KiB.
const DRIFT: i64 = 64;

#[test]
fn a_day_of_flaps_with_a_static_key() {
    a_day_of_flaps(Proof::StaticKey, A_DAY, "");
}

#[test]
fn a_day_of_flaps_with_tls() {
    // New keys all the time, as in a day.
    a_day_of_flaps(Proof::Tls(Role::Client), FEWER, "\nreneg-sec 3");
}

fn a_day_of_flaps(proof: Proof, flaps: usize, more: &str) {
    let flaps = env::var("FLAPS").map_or(flaps, |number| number.parse().expect("FLAPS is a number"));
    let lab = Lab::volatile();
    let server = NameServer::start(&lab);
    let more = format!("float\nkeepalive 1 60\npersist-tun\npersist-key{more}");
    let link = Link::named(&lab, [Program::Longcable; 2], proof, [&more; 2]);
    let mut pinger = link.pinger();
    let mut last = [lab.left.outside, lab.right.outside].map(|address| address.octets()[3]);
    let mut run = |flaps: usize| {
        for flap in 1..=flaps {
            let moves = if flap % BOTH == 0 { [true; 2] } else { [flap % 2 == 0, flap % 2 == 1] };
            for ((last, site), _) in last.iter_mut().zip([&lab.left, &lab.right]).zip(moves).filter(|(_, moves)| *moves)
            {
                *last = if *last < 200 { *last + 1 } else { 10 };
                site.renumber(*last);
            }
            thread::sleep(NOTICE);
            server.set(&[(NAMES[0], lab.left.address(last[0])), (NAMES[1], lab.right.address(last[1]))]);
            let back =
                poll(Duration::from_secs(20), || pinger.ping(8, Filling::Random, Duration::from_millis(20)).ok());
            assert!(back.is_some(), "the link is not back after flap {flap}");
        }
    };
    run(WARM_UP);
    let ends = [("left", &link.left), ("right", &link.right)];
    let before = ends.map(|(_, end)| Use::of(end));
    let start = Instant::now();
    run(flaps);
    let (took, after) = (start.elapsed(), ends.map(|(_, end)| Use::of(end)));
    for (((name, _), before), after) in ends.iter().zip(before).zip(after) {
        println!("{proof:?}, {flaps} flaps in {took:?}, {name}: {before:?} -> {after:?}");
        assert!(after.memory - before.memory < DRIFT, "{name}: {before:?} -> {after:?}");
        assert_eq!(after.descriptors, before.descriptors, "{name}: descriptors");
    }
    for (name, end) in ends {
        let noticed = end.count("The local address or route has changed: telling the peer");
        assert!(noticed >= (WARM_UP + flaps) / 4, "{name}: noticed {noticed} flaps");
    }
    assert_eq!(link.restarts(), 0, "nothing restarts");
    link.stop();
}

/// What a process has of the machine.
#[derive(Debug)]
struct Use {
    /// Private memory that was written to, in KiB.
    memory: i64,
    descriptors: usize,
}

impl Use {
    fn of(program: &Daemon) -> Self {
        let process = format!("/proc/{}", program.pid());
        let count = |what: &str| fs::read_dir(format!("{process}/{what}")).expect("our child").count();
        // A lookup that is under way has a thread and a descriptor; it ends.
        let quiet = poll(Duration::from_secs(60), || {
            let before = count("task");
            let rollup = fs::read_to_string(format!("{process}/smaps_rollup")).expect("our child");
            let descriptors = count("fd");
            (before == 1 && count("task") == 1).then_some((rollup, descriptors))
        });
        let (rollup, descriptors) = quiet.expect("lookups end");
        let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).expect("a size");
        let memory = line.trim().trim_end_matches(" kB").parse().expect("a size in kB");
        Self { memory, descriptors }
    }
}
