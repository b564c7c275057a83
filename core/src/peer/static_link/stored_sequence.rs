//! The clock of a machine without a battery was behind when it came back, and the sequence that it had stored was to be
//! exceeded. But the start of the link began yet another sequence, at the time of that clock, and the peer took every
//! packet for a replay.

use std::boxed::Box;
use std::string::ToString;

use super::tests::{KEY, Test, Zeros};
use crate::crypto::StaticKey;
use crate::options::LinkConfig;
use crate::peer::{Keys, Peer};
use crate::time::Instant;

#[test]
fn a_stored_sequence_is_exceeded_although_the_clock_is_behind() {
    const STORED: u32 = 1_800_000_000;
    let (now, unix_now) = (Instant::from_millis(0), u64::from(STORED) - 86_400);
    let text = Box::leak("dev tun\nsecret key\ncipher AES-128-CBC\n".to_string().into_boxed_str());
    let config = Box::leak(Box::new(LinkConfig::parse(text).unwrap()));
    let keys = Keys::Static(StaticKey::parse(KEY).unwrap());
    let mut peer = Peer::<Test>::new(config, keys, Zeros, now, unix_now).unwrap();
    peer.preset_sent(STORED, unix_now);
    peer.connect(now, &[]);
    assert_eq!(peer.sent_sequence(), Some(STORED + 1));
}
