//! The clock of a machine without a battery was behind when it came back, and the sequence that it had stored was to be
//! exceeded. But the start of the link began yet another sequence, at the time of that clock, and the peer took every
//! packet for a replay.

use std::boxed::Box;
use std::string::ToString;

use crate::crypto::{Rng, RustCrypto, StaticKey};
use crate::options::LinkConfig;
use crate::peer::{Keys, Peer};
use crate::platform::Platform;
use crate::time::Instant;
use crate::tls::NoTls;

struct Test;

impl Platform for Test {
    type Crypto = RustCrypto;
    type Rng = Fixed;
    type ReplayBits = [u64; 1];
    type Tls = NoTls;
    type TlsSessions = [NoTls; 1];
    type ControlMemory = [u8; 0];
    const CONTROL_MEMORY: [u8; 0] = [];
}

struct Fixed;

impl Rng for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

#[test]
fn a_stored_sequence_is_exceeded_although_the_clock_is_behind() {
    const STORED: u32 = 1_800_000_000;
    let (now, unix_now) = (Instant::from_millis(0), u64::from(STORED) - 86_400);
    let text = Box::leak("dev tun\nsecret key\ncipher AES-128-CBC\n".to_string().into_boxed_str());
    let config = Box::leak(Box::new(LinkConfig::parse(text).unwrap()));
    let keys = Keys::Static(StaticKey::generate(&mut Fixed));
    let mut peer = Peer::<Test>::new(config, keys, Fixed, now, unix_now).unwrap();
    peer.preset_sent(STORED, unix_now);
    peer.connect(now, &[]);
    assert_eq!(peer.sent_sequence(), Some(STORED + 1));
}
