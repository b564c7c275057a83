//! The two ends of a link need not agree on `reneg-sec`. One end asked for a new key every 4 seconds. The other one had
//! 12 seconds, so after each renegotiation it took the old key again as soon as that was 6 seconds old, as the rule of
//! protocol section 3.13 says for its own settings. It still used it when the next renegotiation was over, and what was
//! under way was lost each time: the other end has just two keys.

use super::*;

#[test]
fn no_packet_is_lost_if_only_one_end_wants_new_keys_often() {
    for lines in [["reneg-sec 12\n", "reneg-sec 4\n"], ["reneg-sec 4\n", "reneg-sec 12\n"]] {
        let mut pair = Pair::with(lines);
        pair.run(1);
        pair.talk(20_000);
        assert_eq!(pair.count(0, "key 4"), 1);
    }
}
