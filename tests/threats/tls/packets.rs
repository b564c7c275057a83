//! Packets of impossible forms, on links with TLS.

use longcable::crypto::{AeadKey, Fast, FastRng};
use longcable_core::crypto::tls_crypt::TlsCryptKey;
use longcable_core::crypto::{Aead, Cipher, Digest, Mac, Provider, Rng};
use longcable_core::error::Discard;
use longcable_core::tls::Role;
use longcable_core::wire::control::PAYLOAD_MAX;
use longcable_core::wire::opcode::Opcode;

use super::hostile::{Forger, hard_reset, head};
use super::world::{ADDRESSES, CLIENT, End, SERVER, World, address};
use super::wrappings::{self, Lines};

type DataMac = <Fast as Provider>::Mac;

const PACKET: [u8; 40] = {
    let mut packet = [7; 40];
    packet[0] = 0x45;
    packet
};

/// A pair whose peer has said nothing yet, and one that works.
fn worlds(lines: &Lines) -> [World; 2] {
    let mut fresh = lines.world();
    fresh.passes = Box::new(|_| false);
    fresh.run(1);
    let mut live = lines.world();
    // Long enough for another session to be welcome.
    live.run(3_000);
    live.assert_works();
    [fresh, live]
}

/// Every truncation of every packet of a handshake, and of data, before there is a session and while there is one.
#[test]
fn truncated_packets_are_dropped() {
    for lines in wrappings::ALL.iter() {
        let [fresh, mut live] = worlds(lines);
        let recorded = [CLIENT, SERVER].map(|end| {
            let mut sent = live.ends[end].sent.clone();
            sent.push(live.ends[end].seal(live.now, &PACKET).unwrap());
            sent
        });
        for (mut world, is_live) in [(fresh, false), (live, true)] {
            for sender in [CLIENT, SERVER] {
                for datagram in &recorded[sender] {
                    for len in 0..datagram.bytes.len() {
                        let (now, victim) = (world.now, &mut world.ends[1 - sender]);
                        let (sent, discarded) = (victim.sent.len(), victim.discarded());
                        let result = victim.receive(now, datagram.from, &datagram.bytes[..len]);
                        // Where nothing protects control packets, half a payload is one. Here it is an old one.
                        let may_pass = lines.is_open() && is_live && len >= 14;
                        assert!(result.is_err() || may_pass, "{}: {len} of {}", lines.name, datagram.bytes.len());
                        if result.is_err() {
                            assert_eq!(
                                (victim.sent.len(), victim.discarded()),
                                (sent, discarded + 1),
                                "{}",
                                lines.name
                            );
                        }
                    }
                }
            }
            for end in &world.ends {
                assert_eq!((end.count("Error"), end.restarts.len()), (0, 0), "{:?}", end.said);
            }
            world.passes = Box::new(|_| true);
            world.run(10_000);
            world.assert_works();
        }
    }
}

/// Every single changed bit of a handshake's packets, where they are authenticated.
#[test]
fn changed_packets_are_dropped() {
    for lines in wrappings::keyed() {
        let [fresh, live] = worlds(lines);
        let recorded = [CLIENT, SERVER].map(|end| live.ends[end].sent.clone());
        for mut world in [fresh, live] {
            for sender in [CLIENT, SERVER] {
                for datagram in &recorded[sender] {
                    for bit in 0..datagram.bytes.len().min(120) * 8 {
                        let mut changed = datagram.bytes.clone();
                        changed[bit / 8] ^= 1 << (bit % 8);
                        let (now, victim) = (world.now, &mut world.ends[1 - sender]);
                        let sent = victim.sent.len();
                        let result = victim.receive(now, datagram.from, &changed);
                        assert!(result.is_err(), "{}: bit {bit}: {result:?}", lines.name);
                        assert_eq!(victim.sent.len(), sent);
                    }
                }
            }
            world.passes = Box::new(|_| true);
            world.run(10_000);
            world.assert_works();
        }
    }
}

/// An oversized first control payload, in every kind of packet.
#[test]
fn oversized_control_packets_are_dropped() {
    let open = &wrappings::ALL[0];
    for size in [PAYLOAD_MAX + 1, 3_000, 9_000, 60_000] {
        for mut world in worlds(open) {
            for (victim, role) in [(CLIENT, Role::Server), (SERVER, Role::Client)] {
                let mut forger = Forger::plain(*b"attacker");
                let before = (world.ends[victim].sent.len(), world.ends[victim].said.len());
                for (opcode, id) in [
                    (hard_reset(role), Some(0)),
                    (Opcode::HardResetClientV3, Some(0)),
                    (Opcode::SoftReset, Some(0)),
                    (Opcode::Control, Some(1)),
                    (Opcode::Control, Some(0)),
                    (Opcode::ControlWkc, Some(1)),
                    (Opcode::Ack, None),
                ] {
                    for filling in [0, 1, 0x16, 0xff] {
                        let packet = forger.packet(head(opcode, 0), &[], None, id, &vec![filling; size]);
                        let (now, from) = (world.now, address(ADDRESSES[1 - victim]));
                        let result = world.ends[victim].receive(now, from, &packet);
                        assert!(result.is_err(), "{opcode:?} with {size} bytes: {result:?}");
                    }
                }
                let end = &world.ends[victim];
                assert_eq!((end.sent.len(), end.said.len()), before, "a reply or a line");
            }
            world.passes = Box::new(|_| true);
            world.run(10_000);
            world.assert_works();
        }
    }
}

/// A greeting with something in it that does not belong there.
#[test]
fn greetings_with_rubbish_in_them_are_dropped() {
    for mut world in worlds(&wrappings::ALL[0]) {
        for (victim, role) in [(CLIENT, Role::Server), (SERVER, Role::Client)] {
            let sent = world.ends[victim].sent.len();
            for rubbish in [&[0][..], &[0, 1, 0, 3, 0, 1], &[0, 1, 0, 2, 0], &[0x16; 700], &[0xff; 2_000]] {
                let mut forger = Forger::plain(*b"attacker");
                let packet = forger.packet(head(hard_reset(role), 0), &[], None, Some(0), rubbish);
                let (now, from) = (world.now, address(ADDRESSES[1 - victim]));
                assert_eq!(world.ends[victim].receive(now, from, &packet), Err(Discard::ControlMalformed));
            }
            assert_eq!(world.ends[victim].sent.len(), sent, "a reply");
        }
    }
}

/// All short packets of every kind, and many acknowledgements.
#[test]
fn packets_that_make_no_sense_are_dropped() {
    for lines in wrappings::ALL.iter() {
        for mut world in worlds(lines) {
            for victim in [CLIENT, SERVER] {
                let (now, from) = (world.now, address(ADDRESSES[1 - victim]));
                let sent = world.ends[victim].sent.len();
                for first in 0..=u8::MAX {
                    // The length of a greeting is 14 bytes.
                    for (len, filling) in (0..14).map(|len| (len, 0)).chain([(9, 1), (13, 1), (300, 0), (1_500, 0xff)])
                    {
                        let mut bytes = vec![filling; len];
                        if let Some(byte) = bytes.first_mut() {
                            *byte = first;
                        }
                        let result = world.ends[victim].receive(now, from, &bytes);
                        assert!(result.is_err(), "{}: {first:#x} and {len} bytes: {result:?}", lines.name);
                    }
                }
                assert_eq!(world.ends[victim].sent.len(), sent, "{}", lines.name);
            }
            world.passes = Box::new(|_| true);
            world.run(10_000);
            world.assert_works();
        }
    }
}

/// A tls-crypt-v2 server and a client's wrapped key that lies about its length, or is no key of this server.
#[test]
fn a_wrapped_key_that_lies_is_dropped() {
    let lines = wrappings::ALL.last().expect("tls-crypt-v2");
    let [mut fresh, live] = worlds(lines);
    let greeting = fresh.ends[CLIENT].sent[0].bytes.clone();
    assert_eq!(greeting[0] >> 3, Opcode::HardResetClientV3 as u8);
    let now = fresh.now;
    fresh.ends[SERVER].drain(now);
    let len = greeting.len();
    let real = u16::from_be_bytes([greeting[len - 2], greeting[len - 1]]);
    for mut world in [fresh, live] {
        let (now, from) = (world.now, address(ADDRESSES[CLIENT]));
        let sent = world.ends[SERVER].sent.len();
        let refuse = |end: &mut End, bytes: &[u8], what: &str| {
            let result = end.receive(now, from, bytes);
            assert!(result.is_err(), "{what}: {result:?}");
        };
        let victim = &mut world.ends[SERVER];
        for opcode in [Opcode::HardResetClientV3, Opcode::ControlWkc] {
            let mut lie = greeting.clone();
            lie[0] = head(opcode, 0).byte();
            for claimed in 0..=u16::MAX {
                if claimed == real && opcode == Opcode::HardResetClientV3 {
                    continue;
                }
                lie[len - 2..].copy_from_slice(&claimed.to_be_bytes());
                refuse(victim, &lie, "a length");
            }
            // A length that fits, and a packet that is only a key, or not even that.
            for whole in [0_usize, 1, 2, 9, 10, 289, 290, 291, 1_024, 1_025, 1_100] {
                for claimed in [whole, whole.saturating_sub(1), whole + 1, 290, 1_024] {
                    let mut lie = vec![0xa5; whole];
                    if let Some(end) = lie.last_chunk_mut() {
                        *end = u16::try_from(claimed).unwrap().to_be_bytes();
                    }
                    if let Some(first) = lie.first_mut() {
                        *first = head(opcode, 0).byte();
                    }
                    refuse(victim, &lie, "only a key");
                }
            }
        }
        // Every byte of the key counts.
        for position in len - usize::from(real)..len {
            let mut changed = greeting.clone();
            changed[position] ^= 0x10;
            refuse(victim, &changed, "a changed key");
        }
        // No key at all, or none where one belongs.
        let packet = &greeting[..len - usize::from(real)];
        refuse(victim, packet, "without a key");
        let mut plain = packet.to_vec();
        plain[0] = head(Opcode::HardResetClientV2, 0).byte();
        refuse(victim, &plain, "a greeting without a key");
        refuse(victim, &Forger::plain(*b"attacker").reset(Opcode::HardResetClientV2), "unprotected");
        assert_eq!(world.ends[SERVER].sent.len(), sent, "a reply");
        world.passes = Box::new(|_| true);
        world.run(10_000);
        world.assert_works();
    }
}

/// Another server's client key.
#[test]
fn a_key_of_another_server_is_dropped() {
    let lines = wrappings::ALL.last().expect("tls-crypt-v2");
    let stranger = wrappings::v2();
    let mut world = World::pair_of(&stranger.client, &lines.server);
    world.run(30_000);
    assert!(world.ends[SERVER].sent.is_empty());
    assert!(!world.ends[SERVER].refused.is_empty());
    assert!(world.ends[SERVER].refused.iter().all(|discard| *discard == Discard::ControlAuthentication));
}

/// Whether tags are compared in constant time shows in no test. What does: that all of the tag is compared, so that
/// nobody learns one byte after the other, and that every wrong one meets the same answer.
#[test]
fn every_byte_of_a_tag_counts() {
    let mut rng = FastRng::new();
    let mut key = [0; 64];
    rng.fill(&mut key);
    for digest in [Digest::Md5, Digest::Sha1, Digest::Sha224, Digest::Sha256, Digest::Sha384, Digest::Sha512] {
        let len = digest.tag_len();
        let mac = DataMac::new(digest, &key[..len]).expect("a known digest");
        let mut tag = vec![0; len];
        mac.sign(&[b"text"], &mut tag);
        assert!(mac.verify(&[b"text"], &tag));
        for bit in 0..len * 8 {
            let mut wrong = tag.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!mac.verify(&[b"text"], &wrong), "{digest:?}: bit {bit}");
        }
        for len in 0..len {
            assert!(!mac.verify(&[b"text"], &tag[..len]), "{digest:?}: {len} bytes");
        }
        assert!(!mac.verify(&[b"text"], &[&tag[..], &[0]].concat()), "{digest:?}: too long");
    }
    for cipher in [Cipher::Aes128Gcm, Cipher::Aes192Gcm, Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
        let Ok(aead) = AeadKey::new(cipher, &key[..cipher.key_len()]) else { panic!("{cipher:?} is not known") };
        let mut text = *b"text";
        let tag = aead.seal(&[1; 12], b"header", &mut text).expect("it fits");
        assert!(aead.open(&[1; 12], b"header", &mut text.clone(), &tag));
        for bit in 0..tag.len() * 8 {
            let mut wrong = tag;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!aead.open(&[1; 12], b"header", &mut text.clone(), &wrong), "{cipher:?}: bit {bit}");
        }
    }
    let crypt = TlsCryptKey::<DataMac>::new(&key[..32], &key[32..]).expect("SHA-256");
    let mut text = *b"text";
    let tag = crypt.seal([b"header", b""], &mut text);
    assert!(crypt.open([b"header", b""], &mut text.clone(), &tag));
    for bit in 0..tag.len() * 8 {
        let mut wrong = tag;
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(!crypt.open([b"header", b""], &mut text.clone(), &wrong), "bit {bit}");
    }
}

/// And at the entry point: one answer for every wrong tag, whatever is behind it.
#[test]
fn every_wrong_tag_meets_the_same_answer() {
    for (lines, header, tag) in [
        ("", 8, 16),
        ("data-ciphers CHACHA20-POLY1305", 8, 16),
        ("data-ciphers AES-256-CBC\nauth SHA256", 4, 32),
        ("data-ciphers AES-128-OFB\nauth SHA512", 4, 64),
    ] {
        let mut world = World::connected(lines);
        let packet = world.ends[CLIENT].seal(world.now, &PACKET).unwrap();
        let now = world.now;
        for position in header..header + tag {
            for cut in [0, 1, 16] {
                let mut wrong = packet.bytes.clone();
                wrong[position] ^= 0x80;
                wrong.truncate(packet.bytes.len() - cut);
                let result = world.ends[SERVER].receive(now, packet.from, &wrong);
                assert_eq!(result, Err(Discard::Authentication), "{lines}: byte {position}");
            }
        }
        assert!(world.ends[SERVER].receive(now, packet.from, &packet.bytes).is_ok());
    }
}
