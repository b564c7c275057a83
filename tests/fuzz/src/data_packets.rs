//! Packets of the data channel: of strangers, damaged, repeated; and what is inside an authentic one.

use std::collections::HashSet;

use longcable_core::crypto::replay::ReplayWindow;
use longcable_core::crypto::{Cipher, Digest, Direction, KeyMaterial, Rng, RustCrypto, StaticKey, Suite};
use longcable_core::data::{Format, Opener, Sealer};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::time::{Duration, Instant};
use longcable_core::tls::Role;
use longcable_core::wire::compress::Framing;
use longcable_core::wire::internal::Payload;

use crate::input::Input;
use crate::vectors;

type Ends = (Sealer<RustCrypto>, Opener<RustCrypto, [u64; 1]>);

/// "Random" bytes: a counter.
struct Counter(u8);

impl Rng for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.below(KINDS);
    let framing = input.one_of(&FRAMINGS);
    let (mut sealer, mut opener) = ends(kind);
    let is_protected = kind != UNPROTECTED;
    let mut rng = Counter(0);
    let mut now = Instant::from_millis(0);
    let mut sent: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut delivered = HashSet::new();
    while !input.is_empty() {
        match input.byte() % 8 {
            0 => {
                let mut datagram = input.chunk().to_vec();
                if let Some(payload) = open(&mut opener, now, &mut datagram) {
                    unframe(framing, payload);
                }
            }
            1 => now = now + Duration::from_millis(u64::from(input.u16()) * 16),
            2 => sealer.raise_epoch(input.u16() % 8),
            // Much later in the sequence.
            3 => (0..input.byte()).for_each(|_| drop(seal(&mut sealer, &mut rng, &[0]))),
            4 | 5 => {
                let payload = input.chunk();
                if let Some(datagram) = seal(&mut sealer, &mut rng, payload) {
                    sent.push((payload.to_vec(), datagram));
                }
            }
            6 => {
                let (choice, bit) = (input.below(sent.len().max(1)), usize::from(input.u16()));
                let Some((_, datagram)) = sent.get(choice) else { continue };
                let mut forged = datagram.clone();
                let at = bit / 8 % datagram.len();
                forged[at] ^= 1 << (bit % 8);
                let opened = open(&mut opener, now, &mut forged).is_some();
                assert!(!opened || !is_protected || is_header(kind, at), "forged");
            }
            _ => {
                let choice = input.below(sent.len().max(1));
                let Some((payload, datagram)) = sent.get(choice) else { continue };
                if let Some(opened) = open(&mut opener, now, &mut datagram.clone()) {
                    assert_eq!(opened, payload);
                    assert!(delivered.insert(choice) || !is_protected, "repeated");
                    unframe(framing, opened);
                }
            }
        }
    }
}

/// What is refused leaves no trace.
fn open<'b>(opener: &mut Opener<RustCrypto, [u64; 1]>, now: Instant, datagram: &'b mut [u8]) -> Option<&'b mut [u8]> {
    let state = |opener: &Opener<_, _>| (opener.window().and_then(ReplayWindow::highest), opener.epoch());
    let before = state(opener);
    match opener.open(now, datagram) {
        Ok(payload) => Some(payload),
        Err(error) => {
            assert_eq!(state(opener), before, "{error}");
            None
        }
    }
}

fn seal(sealer: &mut Sealer<RustCrypto>, rng: &mut Counter, payload: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = [&[0; HEADROOM][..], payload, &[0; TAILROOM]].concat();
    let mut packet = PacketBuf::new(&mut buffer, HEADROOM, payload.len()).expect("it fits");
    sealer.seal(1000, rng, &mut packet).ok()?;
    Some(packet.into_slice().to_vec())
}

fn unframe(framing: Framing, packet: &mut [u8]) {
    let Ok(payload) = framing.open(packet) else { return };
    assert!(!payload.is_empty());
    let _ = Payload::parse(payload);
    let mut buffer = [&[0; 2][..], payload, &[0; 1]].concat();
    let mut framed = PacketBuf::new(&mut buffer, 2, payload.len()).expect("it fits");
    framing.seal(&mut framed).expect("there is room");
    assert_eq!(framing.open(framed.into_slice()).expect("it was framed"), payload);
}

const FRAMINGS: [Framing; 7] =
    [Framing::None, Framing::Lzo, Framing::LzoStub, Framing::Stub, Framing::Lz4, Framing::StubV2, Framing::Lz4V2];

const STATIC: [(Cipher, Digest); 4] = [
    (Cipher::Aes256Cbc, Digest::Sha1),
    (Cipher::None, Digest::None),
    (Cipher::BfCbc, Digest::Sha256),
    (Cipher::None, Digest::Md5),
];
const UNPROTECTED: usize = 1;
const TLS: [(Cipher, Format); 7] = [
    (Cipher::Aes256Gcm, Format::Epoch { key_id: 1, peer_id: 1 }),
    (Cipher::ChaCha20Poly1305, Format::Epoch { key_id: 2, peer_id: 0xff_ffff }),
    (Cipher::Aes128Gcm, Format::V1 { key_id: 7 }),
    (Cipher::ChaCha20Poly1305, Format::V2 { key_id: 0, peer_id: 0x76_706e }),
    (Cipher::Aes128Cbc, Format::V1 { key_id: 0 }),
    (Cipher::Aes256Ofb, Format::V2 { key_id: 3, peer_id: 1 }),
    (Cipher::Aes192Cfb, Format::V2 { key_id: 4, peer_id: 2 }),
];
const KINDS: usize = STATIC.len() + TLS.len();

/// Whether the byte at `at` of a datagram may change: what is in the clear header and not covered by the tag.
fn is_header(kind: usize, at: usize) -> bool {
    match kind.checked_sub(STATIC.len()).map(|kind| TLS[kind]) {
        None => false,
        Some((cipher, Format::V1 { .. })) => at < 1 && cipher != Cipher::None,
        Some((Cipher::Aes256Ofb | Cipher::Aes192Cfb, _)) => at < 4,
        Some(_) => false,
    }
}

fn ends(kind: usize) -> Ends {
    let window = Some(ReplayWindow::new([0], 64, Duration::from_secs(15)));
    let key = StaticKey::parse(vectors::COUNT_KEY).expect("a key file");
    match kind.checked_sub(STATIC.len()) {
        None => {
            let (cipher, digest) = STATIC[kind];
            let suite = Suite::new(cipher, digest);
            let [send, receive] = [None, None::<Direction>].map(|direction| key.keys(direction));
            (
                Sealer::new(suite, send.send, Some(1000)).expect("a static-key cipher"),
                Opener::new(suite, receive.receive, window).expect("a static-key cipher"),
            )
        }
        Some(kind) => {
            let (cipher, format) = TLS[kind];
            let suite = Suite::new(cipher, Digest::Sha256);
            let exported = KeyMaterial::from_export(|_, bytes| {
                bytes.copy_from_slice(&*key.to_bytes());
                Ok::<_, ()>(())
            });
            let material = exported.expect("exported");
            let epoch = matches!(format, Format::Epoch { .. });
            (
                Sealer::for_tls(suite, material.keys(Role::Client).send, format, true).expect("a TLS cipher"),
                Opener::for_tls(suite, material.keys(Role::Server).receive, epoch, window).expect("a TLS cipher"),
            )
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for text in [vectors::STATIC_AES, vectors::OCC] {
        for (wire, plain) in vectors::all(text, ".wire").zip(vectors::all(text, ".plain")) {
            seeds.push([&[0, 0, 0], &crate::input::chunk(&wire)[..]].concat());
            for kind in 1..KINDS as u8 {
                let payload = crate::input::chunk(&plain[8..]);
                let framing = kind % 7;
                let script = [&[kind, framing, 4], &payload[..], &[7, 0, 5], &payload, &[6, 1, 0, 99, 7, 1, 7, 1]];
                seeds.push([&script.concat()[..], &[3, 70, 7, 0, 2, 0, 2, 4], &payload, &[7, 2, 1, 9, 9]].concat());
            }
        }
    }
    seeds
}
