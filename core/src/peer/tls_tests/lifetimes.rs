//! How long a key lives before its successor is asked for, as `reneg-sec` says.

use std::collections::BTreeSet;

use super::*;

/// The lifetimes of some keys in a row, in seconds, if this end alone asks for new ones. The seed decides what is drawn.
fn lifetimes(end: usize, line: &str, seed: u32) -> BTreeSet<u64> {
    let line = format!("{line}\n");
    let lines = [0, 1].map(|number| if number == end { line.as_str() } else { "reneg-sec 0\n" });
    let mut pair = Pair::with(lines);
    pair.ends[end].peer.rng = Dice(seed);
    let mut begin = pair.wait_for(end, "Data Channel");
    let mut all = BTreeSet::new();
    for _ in 0..4 {
        let asked = pair.wait_for(end, "soft reset");
        // Rounded to what is drawn.
        all.insert((asked.since(begin).as_millis() as u64 + 500) / 1000);
        begin = pair.wait_for(end, "Data Channel");
    }
    all
}

fn all(end: usize, line: &str) -> BTreeSet<u64> {
    (0..8).flat_map(|seed| lifetimes(end, line, seed * 7_919)).collect()
}

#[test]
fn a_time_between_min_and_max_is_drawn() {
    for end in [0, 1] {
        assert_eq!(all(end, "reneg-sec 7 4"), (4..=7).collect());
        assert_eq!(all(end, "reneg-sec 5 5"), [5].into());
    }
}

/// So that two ends with the same configuration do not ask at once.
#[test]
fn a_server_alone_draws_up_to_a_tenth_less() {
    assert_eq!(all(0, "reneg-sec 20"), [20].into());
    assert_eq!(all(1, "reneg-sec 20"), (18..=20).collect());
    assert_eq!(all(1, "reneg-sec 20 20"), [20].into());
}
