//! The two ends of a link need not agree on `reneg-sec`. One end asked for new keys every few seconds; the other one
//! thought of an hour, and went on sending with the old key for a minute after each renegotiation, as the rule of
//! protocol section 3.13 says for its own settings. So it used the last key but one when the next renegotiation was
//! over, and what was under way was lost each time: the other end has just two keys.

use super::*;

#[test]
fn no_packet_is_lost_if_only_one_end_wants_new_keys_often() {
    for lines in [["reneg-sec 3600\n", "reneg-sec 4\n"], ["reneg-sec 4\n", "reneg-sec 3600\n"]] {
        let mut pair = Pair::with(lines);
        pair.run(1);
        assert_eq!(pair.talk(20_000), 0);
        assert!(pair.ends[0].said.iter().any(|line| line.contains("key 4")), "{:#?}", pair.ends[0].said);
        assert_eq!(pair.discarded(), []);
    }
}
