//! Known answers: every captured packet opens to what openvpn sent, and is sealed to the same bytes again.

use longcable_core::crypto::replay::ReplayWindow;
use longcable_core::crypto::{Cipher, Digest, Direction, RustCrypto, StaticKey, Suite};
use longcable_core::data::Opener;
use longcable_core::error::Discard;
use longcable_core::time::{Duration, Instant};
use longcable_tests::vectors::{FAQ_KEY, STATIC, Vector, check, decode, tls};

const NOW: Instant = Instant::from_millis(0);

#[test]
fn every_captured_packet_opens_and_is_sealed_to_the_same_bytes() {
    let packets: usize = STATIC.iter().map(check::<RustCrypto>).sum();
    assert_eq!(packets, 82, "a vector file has lost packets");
}

#[test]
fn every_data_packet_of_a_tls_link_opens_and_is_sealed_to_the_same_bytes() {
    assert_eq!(tls::CAPTURED.each_ref().map(tls::check::<RustCrypto>), [3, 4, 6], "a vector file has lost packets");
    assert_eq!(tls::check_epochs::<RustCrypto>(), 2);
}

#[test]
fn a_changed_or_cut_data_packet_of_a_tls_link_is_refused_and_leaves_no_trace() {
    for vector in &tls::CAPTURED {
        let packet = vector.packets().next().expect("a packet");
        let mut opener = vector.opener::<RustCrypto>(tls::role(packet.sender));
        let mut buffer = [0; 1024];
        let wire = decode(packet.wire, &mut buffer).to_vec();
        for (index, bit) in (0..wire.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut forged = wire.clone();
            forged[index] ^= 1 << bit;
            // The number of the key chooses the opener; it is not covered in P_DATA_V1.
            if forged[0] >> 3 == wire[0] >> 3 && wire[0] >> 3 == 6 && index == 0 {
                continue;
            }
            let verdict = opener.open(NOW, &mut forged).map(|_| ());
            assert!(matches!(verdict, Err(Discard::Authentication | Discard::TooShort)), "{}: {index}", vector.name);
        }
        for len in 0..wire.len() {
            let verdict = opener.open(NOW, &mut wire.clone()[..len]).map(|_| ());
            assert!(matches!(verdict, Err(Discard::Authentication | Discard::TooShort)), "{}: {len}", vector.name);
        }
        assert!(opener.open(NOW, &mut wire.clone()).is_ok(), "{}", vector.name);
        assert!(matches!(opener.open(NOW, &mut wire.clone()), Err(Discard::Replay { .. })), "{}", vector.name);
    }
}

/// An opener for what A sends.
fn opener(vector: &Vector) -> Opener<RustCrypto, [u64; 1]> {
    let window = vector.has_packet_ids().then(|| ReplayWindow::new([0], 64, Duration::from_secs(15)));
    Opener::new(vector.suite(), vector.key().keys(vector.direction("B")).receive, window).expect("a known suite")
}

#[test]
fn a_changed_or_cut_packet_is_refused_and_leaves_no_trace() {
    for vector in STATIC {
        let mut opener = opener(vector);
        let packet = vector.packets().find(|packet| packet.sender == "A").expect("a packet from A");
        let mut buffer = [0; 1024];
        let wire = decode(packet.wire, &mut buffer).to_vec();
        for index in 0..wire.len() {
            let mut forged = wire.clone();
            forged[index] ^= 1;
            assert_eq!(opener.open(NOW, &mut forged), Err(Discard::Authentication), "{} byte {index}", vector.name);
            let cut = opener.open(NOW, &mut wire.clone()[..index]).map(|_| ());
            assert!(matches!(cut, Err(Discard::Authentication | Discard::TooShort)), "{} cut at {index}", vector.name);
        }
        assert!(opener.open(NOW, &mut wire.clone()).is_ok(), "{}", vector.name);
        if vector.has_packet_ids() {
            assert!(matches!(opener.open(NOW, &mut wire.clone()), Err(Discard::Replay { .. })), "{}", vector.name);
        }
    }
}

#[test]
fn the_faq_key_is_cut_as_the_faq_shows() {
    let key = StaticKey::parse(FAQ_KEY).expect("a static key");
    let suite = Suite::new(Cipher::BfCbc, Digest::Sha1);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let first = ["eac9ae92cd73c5c2d6a2338b5a22263a", "f702cb04c7d15ff2606736c1825e830a7e30a796"];
    let second = ["2c2cef8ac550ed15213b216b825ab31e", "adddb889b8173ac79b4261328770bbbe74294bc7"];
    for (direction, send, receive) in
        [(None, first, first), (Some(Direction::Normal), first, second), (Some(Direction::Inverse), second, first)]
    {
        let pair = key.keys(direction);
        for (half, expected) in [(pair.send, send), (pair.receive, receive)] {
            let found = [hex(half.cipher(suite.key_len)), hex(half.hmac(suite.digest.tag_len()))];
            assert_eq!(found, expected, "{direction:?}");
        }
    }
}
