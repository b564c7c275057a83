//! Two gateways under one virtual clock, and a network that does its worst.
//!
//! Every run is decided by its seed: what the network does, what the clock says, which configurations meet.
//! `SIMULATION_SEEDS=FIRST..END` chooses other seeds than those of a normal run: 1,000 for the seconds of a link, 500 for
//! the hours of volatile gateways, 8 or 4 for a day of flapping. A nightly run of 10,000 is
//! `SIMULATION_SEEDS=0..10000 cargo test -p longcable-tests --test simulation volatile`. TLS stacks draw random numbers of
//! their own, so the bytes of a TLS link differ from run to run, but not what is sent when and how much of it.

mod course;
mod engine;
mod lines;
mod names;
mod network;
mod node;
mod static_keys;
mod tls;
mod tls_links;
mod volatile;
mod world;

use std::ops::Range;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

/// The seeds of this run, if it does not choose other ones.
fn seeds(count: u64) -> Range<u64> {
    let Ok(range) = std::env::var("SIMULATION_SEEDS") else { return 0..count };
    let (first, end) = range.split_once("..").expect("SIMULATION_SEEDS is FIRST..END");
    first.parse().expect("a number")..end.parse().expect("a number")
}

/// Runs `scenario` for each seed, on all processors, and gives what it says of each; a failure names its seed.
fn for_each_seed<T: Send>(scenario: impl Fn(u64) -> T + Sync + RefUnwindSafe) -> Vec<T> {
    for_each_seed_of(1000, scenario)
}

/// The same for scenarios that take longer.
fn for_each_seed_of<T: Send>(count: u64, scenario: impl Fn(u64) -> T + Sync + RefUnwindSafe) -> Vec<T> {
    let (left, results, failed) = (Mutex::new(seeds(count)), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let next =
        || left.lock().expect("no one panics here").next().filter(|_| failed.lock().expect("nor here").is_empty());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, |count| count.get()) {
            scope.spawn(|| {
                while let Some(seed) = next() {
                    match catch_unwind(|| scenario(seed)) {
                        Ok(result) => results.lock().expect("nor here").push(result),
                        Err(_) => failed.lock().expect("nor here").push(seed),
                    }
                }
            });
        }
    });
    if let Some(seed) = failed.into_inner().expect("nor here").first() {
        panic!("seed {seed} failed; repeat it with SIMULATION_SEEDS={seed}..{}", seed + 1);
    }
    results.into_inner().expect("nor here")
}
