//! Whatever is sealed opens, once, and nothing else does: every cipher with every digest in every format.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::crypto::replay::ReplayWindow;
use crate::crypto::{Cipher, Digest, KeyMaterial, Mode, Rng, RustCrypto, Suite};
use crate::error::Discard;
use crate::packet::{HEADROOM, PacketBuf, TAILROOM};
use crate::time::{Duration, Instant};
use crate::tls::Role;

const NOW: Instant = Instant::from_millis(0);
const UNIX: u32 = 1_800_000_000;

/// Repeatable "randomness" (xorshift).
pub(super) struct Dice(pub(super) u64);

impl Rng for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0.to_le_bytes()[0];
        }
    }
}

pub(super) fn keys() -> KeyMaterial {
    KeyMaterial::from_export(|_, out| -> Result<(), ()> {
        Dice(1).fill(out);
        Ok(())
    })
    .unwrap()
}

fn window() -> ReplayWindow<[u64; 1]> {
    ReplayWindow::new([0], 64, Duration::from_secs(15))
}

/// A sealer and the opener for its packets.
struct Link {
    suite: Suite,
    format: Format,
    packet_ids: bool,
    sealer: Sealer<RustCrypto>,
    opener: Opener<RustCrypto, [u64; 1]>,
}

impl Link {
    /// `None` where the parts do not go together.
    fn new(suite: Suite, format: Format, packet_ids: bool) -> Option<Self> {
        let keys = keys();
        let (send, receive) = (keys.keys(Role::Server).send, keys.keys(Role::Client).receive);
        let window = packet_ids.then(window);
        let (sealer, opener) = match format {
            Format::Static => {
                (Sealer::new(suite, send, packet_ids.then_some(UNIX)), Opener::new(suite, receive, window))
            }
            _ => {
                let epoch = matches!(format, Format::Epoch { .. });
                let sealer = Sealer::for_tls(suite, send, format, packet_ids);
                (sealer, Opener::for_tls(suite, receive, epoch, window))
            }
        };
        assert_eq!(sealer.is_ok(), opener.is_ok(), "{suite:?} {format:?}");
        Some(Self { suite, format, packet_ids, sealer: sealer.ok()?, opener: opener.ok()? })
    }

    fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; HEADROOM + payload.len() + TAILROOM];
        buffer[HEADROOM..][..payload.len()].copy_from_slice(payload);
        let mut packet = PacketBuf::new(&mut buffer, HEADROOM, payload.len()).unwrap();
        self.sealer.seal(UNIX, &mut Dice(7), &mut packet).unwrap();
        packet.as_slice().to_vec()
    }

    fn open(&mut self, datagram: &[u8]) -> Result<Vec<u8>, Discard> {
        self.opener.open(NOW, &mut datagram.to_vec()).map(|payload| payload.to_vec())
    }

    fn is_authenticated(&self) -> bool {
        self.suite.cipher.mode() == Mode::Aead || self.suite.digest != Digest::None
    }

    /// Which bits of the byte at `index` nobody authenticates: they choose the key, and have done that by now.
    fn uncovered_bits(&self, index: usize) -> u8 {
        match (self.format, self.suite.cipher.mode(), index) {
            (Format::V1 { .. }, _, 0) => 0x07,
            (Format::V2 { .. }, Mode::Aead, _) => 0,
            (Format::V2 { .. }, _, 0) => 0x07,
            (Format::V2 { .. }, _, 1..=3) => 0xff,
            _ => 0,
        }
    }
}

/// Every combination that exists.
fn links() -> impl Iterator<Item = Link> {
    let formats = [
        Format::Static,
        Format::V1 { key_id: 3 },
        Format::V2 { key_id: 7, peer_id: 0xab_cdef },
        Format::Epoch { key_id: 0, peer_id: 0 },
    ];
    Cipher::ALL.into_iter().filter(|cipher| cfg!(feature = "legacy") || is_modern(*cipher)).flat_map(move |cipher| {
        Digest::ALL.into_iter().filter(|digest| cfg!(feature = "legacy") || digest.name().starts_with("SHA")).flat_map(
            move |digest| {
                let link = move |format| [true, false].map(|ids| Link::new(Suite::new(cipher, digest), format, ids));
                formats.into_iter().flat_map(link).flatten()
            },
        )
    })
}

fn is_modern(cipher: Cipher) -> bool {
    cipher.mode() != Mode::Cbc || cipher.name().starts_with("AES")
}

#[test]
fn what_is_sealed_opens_once() {
    let mut count = 0;
    for mut link in links() {
        let (suite, format) = (link.suite, link.format);
        for len in [1, 2, 15, 16, 17, 100, 1400] {
            let mut payload = vec![0; len];
            Dice(len as u64).fill(&mut payload);
            let datagram = link.seal(&payload);
            assert_eq!(link.open(&datagram).as_deref(), Ok(&payload[..]), "{suite:?} {format:?}, {len} bytes");
            let repeated = link.open(&datagram);
            assert_eq!(matches!(repeated, Err(Discard::Replay { .. })), link.packet_ids, "{suite:?} {format:?}");
            count += 1;
        }
    }
    assert!(count > 1000, "{count} packets");
}

/// Whatever their number, they have the ids of their order, and each opens by itself.
#[test]
fn packets_sealed_together_open_one_by_one() {
    for mut link in links() {
        let payloads: Vec<Vec<u8>> = (1..=11).map(|number| vec![number; usize::from(number) * 37 % 50 + 1]).collect();
        let mut buffers: Vec<_> =
            payloads.iter().map(|payload| [&[0; HEADROOM], &payload[..], &[0; TAILROOM]].concat()).collect();
        let slots = buffers.iter_mut().zip(&payloads);
        let mut packets: Vec<_> =
            slots.map(|(slot, payload)| PacketBuf::new(slot, HEADROOM, payload.len()).unwrap()).collect();
        link.sealer.seal_all(UNIX, &mut Dice(7), &mut packets).unwrap();
        let datagrams: Vec<_> = packets.iter().map(|packet| packet.as_slice().to_vec()).collect();
        let suite = link.suite;
        for (datagram, payload) in datagrams.iter().zip(&payloads) {
            assert_eq!(link.open(datagram).as_ref(), Ok(payload), "{suite:?}");
        }
        if let Some(window) = link.opener.window() {
            assert_eq!(window.highest().map(|(id, _)| id), Some(11), "{suite:?} {:?}", link.format);
        }
    }
}

#[test]
fn the_layouts_are_as_long_as_they_must_be() {
    let v1 = Format::V1 { key_id: 0 };
    let v2 = Format::V2 { key_id: 0, peer_id: 1 };
    let epoch = Format::Epoch { key_id: 0, peer_id: 1 };
    for (cipher, format, packet_ids, len) in [
        (Cipher::Aes256Gcm, v1, true, 1 + 4 + 16 + 100),
        (Cipher::Aes256Gcm, v2, true, 4 + 4 + 16 + 100),
        (Cipher::ChaCha20Poly1305, epoch, true, 4 + 8 + 100 + 16),
        (Cipher::Aes256Cbc, Format::Static, true, 20 + 16 + 112),
        (Cipher::Aes256Cbc, v1, true, 1 + 20 + 16 + 112),
        (Cipher::Aes256Cbc, v2, false, 4 + 20 + 16 + 112),
        (Cipher::Aes256Ofb, v2, true, 4 + 20 + 16 + 100),
        (Cipher::Aes128Cfb, v1, true, 1 + 20 + 16 + 100),
        (Cipher::None, v2, true, 4 + 20 + 4 + 100),
        (Cipher::None, Format::Static, false, 20 + 100),
    ] {
        let datagram = Link::new(Suite::new(cipher, Digest::Sha1), format, packet_ids).unwrap().seal(&[9; 100]);
        assert_eq!(datagram.len(), len, "{cipher:?} {format:?}");
    }
    let datagram = Link::new(Suite::new(Cipher::Aes256Ofb, Digest::Sha1), v2, true).unwrap().seal(&[9; 100]);
    assert_eq!(datagram[..4], [0x48, 0, 0, 1]);
    assert_eq!(datagram[24..][..16], [[0, 0, 0, 1], UNIX.to_be_bytes(), [0; 4], [0; 4]].concat());
}

#[test]
fn parts_that_do_not_go_together_are_refused() {
    let (v1, v2) = (Format::V1 { key_id: 0 }, Format::V2 { key_id: 0, peer_id: 1 });
    let epoch = Format::Epoch { key_id: 0, peer_id: 1 };
    for (cipher, format, packet_ids) in [
        (Cipher::Aes256Gcm, Format::Static, true),
        (Cipher::Aes256Cfb, Format::Static, true),
        (Cipher::Aes256Gcm, v2, false),
        (Cipher::Aes256Ofb, v1, false),
        (Cipher::Aes256Cbc, epoch, true),
        (Cipher::None, epoch, true),
        (Cipher::Aes256Gcm, epoch, false),
    ] {
        let link = Link::new(Suite::new(cipher, Digest::Sha1), format, packet_ids);
        assert!(link.is_none(), "{cipher:?} {format:?} {packet_ids}");
    }
    let send = keys();
    let suite = Suite::new(Cipher::Aes256Cbc, Digest::Sha1);
    assert!(Sealer::<RustCrypto>::for_tls(suite, send.keys(Role::Client).send, Format::Static, true).is_err());
}

/// The receiver takes both headers at any time, and remembers ids across them.
#[test]
fn either_header_will_do() {
    for cipher in [Cipher::Aes128Gcm, Cipher::Aes128Cbc, Cipher::None] {
        let suite = Suite::new(cipher, Digest::Sha256);
        let mut long = Link::new(suite, Format::V2 { key_id: 0, peer_id: 5 }, true).unwrap();
        let mut short = Link::new(suite, Format::V1 { key_id: 0 }, true).unwrap();
        let [first, _second, third] = [(); 3].map(|()| short.seal(b"short"));
        assert_eq!(long.open(&first).as_deref(), Ok(&b"short"[..]));
        let datagram = long.seal(b"long");
        assert_eq!(long.open(&datagram), Err(Discard::Replay { id: 1, time: 0 }), "{cipher:?}");
        assert_eq!(long.open(&third).as_deref(), Ok(&b"short"[..]));
        let datagram = long.seal(b"long");
        assert_eq!(long.open(&datagram).as_deref(), Ok(&b"long"[..]), "{cipher:?}");
    }
}

#[test]
fn any_changed_bit_and_any_cut_is_refused_without_a_trace() {
    for mut link in links().filter(Link::is_authenticated) {
        let (suite, format) = (link.suite, link.format);
        let datagram = link.seal(b"what nobody may change");
        for (index, bit) in (0..datagram.len()).flat_map(|index| (0..8).map(move |bit| (index, 1 << bit))) {
            if link.uncovered_bits(index) & bit != 0 {
                continue;
            }
            let mut forged = datagram.clone();
            forged[index] ^= bit;
            let verdict = link.open(&forged);
            let refused = matches!(verdict, Err(Discard::Authentication | Discard::TooShort));
            assert!(refused, "{suite:?} {format:?}, bit {bit:#x} of byte {index}: {verdict:?}");
        }
        for len in 0..datagram.len() {
            let verdict = link.open(&datagram[..len]);
            let refused = matches!(verdict, Err(Discard::Authentication | Discard::TooShort));
            assert!(refused, "{suite:?} {format:?}, {len} bytes: {verdict:?}");
        }
        assert!(link.open(&[&datagram[..], &[0]].concat()).is_err(), "{suite:?} {format:?}");
        assert!(link.open(&datagram).is_ok(), "{suite:?} {format:?}");
    }
}

/// Keys of another link, of the other direction, or of another cipher with the same layout.
#[test]
fn other_keys_open_nothing() {
    let keys = keys();
    let format = Format::V2 { key_id: 0, peer_id: 0 };
    for cipher in [Cipher::Aes256Gcm, Cipher::Aes256Cbc, Cipher::None] {
        let suite = Suite::new(cipher, Digest::Sha1);
        let mut link = Link::new(suite, format, true).unwrap();
        let mut datagram = link.seal(b"for the client only");
        let reflected = keys.keys(Role::Server).receive;
        let mut opener = Opener::<RustCrypto, _>::for_tls(suite, reflected, false, Some(window())).unwrap();
        assert_eq!(opener.open(NOW, &mut datagram), Err(Discard::Authentication), "{cipher:?}");
    }
    let mut gcm = Link::new(Suite::new(Cipher::Aes256Gcm, Digest::Sha1), format, true).unwrap();
    let mut chacha = Link::new(Suite::new(Cipher::ChaCha20Poly1305, Digest::Sha1), format, true).unwrap();
    assert_eq!(chacha.open(&gcm.seal(b"AES")), Err(Discard::Authentication));
}

proptest! {
    #[test]
    fn arbitrary_datagrams_open_nothing_and_stop_nothing(
        mut datagram in proptest::collection::vec(any::<u8>(), 0..120),
        opcode in prop_oneof![Just(0x30_u8), Just(0x48), any::<u8>()],
    ) {
        if let Some(first) = datagram.first_mut() {
            *first = opcode;
        }
        for mut link in links() {
            let verdict = link.open(&datagram);
            prop_assert!(!link.is_authenticated() || verdict.is_err());
        }
    }

    /// Whatever the order: every packet opens once, unless it comes too late.
    #[test]
    fn nothing_opens_twice(order in proptest::collection::vec(0_usize..40, 0..120)) {
        for (cipher, format) in [
            (Cipher::Aes128Gcm, Format::V2 { key_id: 0, peer_id: 0 }),
            (Cipher::Aes128Cbc, Format::V1 { key_id: 0 }),
            (Cipher::Aes128Ofb, Format::V1 { key_id: 0 }),
            (Cipher::ChaCha20Poly1305, Format::Epoch { key_id: 0, peer_id: 0 }),
        ] {
            let mut link = Link::new(Suite::new(cipher, Digest::Sha256), format, true).unwrap();
            let datagrams: Vec<_> = (0..40).map(|number| link.seal(&[number])).collect();
            let mut opened = [false; 40];
            for &number in &order {
                let verdict = link.open(&datagrams[number]);
                prop_assert_eq!(verdict.is_ok(), !opened[number]);
                opened[number] = true;
            }
        }
    }
}
