//! Keys that have been used as much as is safe. No test can send so much, so what is used up is preset.

use super::*;
use crate::data::DataKey;

const CIPHERS: [&str; 4] = ["AES-256-GCM", "CHACHA20-POLY1305", "AES-256-CBC", "AES-128-CFB"];

fn pair(cipher: &str) -> Pair {
    let lines = format!("remote 192.0.2.9\nreneg-sec 3600\ndata-ciphers {cipher}\nauth SHA256\n");
    let mut pair = Pair::new(&lines);
    pair.run(1);
    pair
}

impl Pair {
    fn key(&mut self, end: usize) -> &mut DataKey<RustCrypto, [u64; 1]> {
        self.ends[end].peer.link.tls_mut().expect("a link with TLS").data_key().expect("the link stands")
    }

    fn keys(&self) -> usize {
        self.ends[0].said.iter().filter(|line| line.contains("Data Channel")).count()
    }
}

/// Packet-id roll-over: a new key is asked for at 0xff000000, and what is sent meanwhile arrives.
#[test]
fn a_new_key_is_negotiated_before_packet_ids_run_out() {
    for cipher in CIPHERS {
        for end in [0, 1] {
            let mut pair = pair(cipher);
            pair.send(end, b"x").unwrap();
            pair.key(end).sealer.continue_after(0xfeff_fffe);
            pair.send(end, b"x").unwrap();
            pair.run(1);
            assert_eq!(pair.keys(), 1, "{cipher}: 0xfeffffff is not the one");
            for _ in 0..10 {
                pair.send(end, b"x").unwrap();
            }
            pair.run(1);
            assert_eq!(pair.keys(), 2, "{cipher}");
            for _ in 0..10 {
                pair.send(end, b"x").unwrap();
                pair.run(0);
            }
            pair.run(1);
            assert_eq!(pair.ends[1 - end].received.len(), 22 * 2, "{cipher}: a packet is lost");
            assert_eq!(pair.keys(), 2, "{cipher}");
        }
    }
}

/// The peer does not go along: sending stops, for an id is never used twice, and goes on with the next key.
#[test]
fn packet_ids_never_wrap() {
    for cipher in ["AES-256-GCM", "CHACHA20-POLY1305", "AES-256-CBC"] {
        let mut pair = pair(cipher);
        pair.loss = 255;
        pair.key(0).sealer.continue_after(u32::MAX - 2);
        let mut ids = Vec::new();
        for _ in 0..2 {
            pair.send(0, b"x").unwrap();
            ids.push(pair.wire.pop().unwrap().2);
        }
        assert_ne!(ids[0], ids[1]);
        for _ in 0..1_000 {
            assert_eq!(pair.send(0, b"x"), Err(NotReady::PacketIdsExhausted), "{cipher}");
        }
        pair.run(30);
        assert_eq!(pair.send(0, b"x"), Err(NotReady::PacketIdsExhausted), "{cipher}");
        pair.loss = 0;
        pair.run(100);
        assert!(pair.keys() >= 2, "{cipher}: {:?}", pair.ends[0].said);
        pair.send(0, b"hello").unwrap();
        pair.run(1);
        assert!(pair.ends[1].received.ends_with(b"hello"), "{cipher}");
    }
}

/// AEAD usage limits, in both directions.
#[test]
fn a_new_key_is_negotiated_before_gcm_is_used_too_much() {
    for cipher in ["AES-128-GCM", "AES-192-GCM", "AES-256-GCM"] {
        for sends in [true, false] {
            let mut pair = pair(cipher);
            match sends {
                true => pair.key(0).sealer.wear(20),
                false => pair.key(1).opener.wear(20),
            }
            // Each is one block and one packet.
            for count in 1..=15 {
                pair.send(0, b"x").unwrap();
                pair.run(1);
                assert_eq!(pair.keys(), if count < 10 { 1 } else { 2 }, "{cipher}: {count}");
            }
            assert_eq!(pair.ends[1].received.len(), 15 * 2, "{cipher}: a packet is lost");
        }
    }
}
