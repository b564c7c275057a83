//! HMAC-SHA1 and HMAC-SHA256 of eight messages at a time, each in its own lane of the vectors of AVX2.
//!
//! A round of these digests waits for the one before it, but not for those of other messages. So eight take little longer
//! than one, also where the processor has instructions for one.

use std::arch::x86_64::*;
use std::array::from_fn;
use std::marker::PhantomData;
use std::mem::transmute;

use longcable_core::crypto::Digest;

/// Messages that are signed side by side.
const LANES: usize = 8;

/// Length of a block in bytes, for either digest.
const BLOCK: usize = 64;
/// Length in bytes of the longest tag.
const TAG_MAX: usize = 32;

/// An HMAC key.
pub(super) struct HmacLanes {
    key: Key,
    fewest: usize,
}

enum Key {
    Sha1(Keyed<Sha1, 5>),
    Sha256(Keyed<Sha256, 8>),
}

impl HmacLanes {
    /// `None`: not with this digest, or there is a faster way on this processor.
    pub(super) fn new(digest: Digest, key: &[u8]) -> Option<Self> {
        let fewest = match (digest, is_x86_feature_detected!("sha")) {
            (_, false) => 3,
            // With instructions of its own it takes as long for five messages as for all lanes, SHA-256 for eight.
            (Digest::Sha1, true) => 6,
            (_, true) => return None,
        };
        Key::new(digest, key).map(|key| Self { key, fewest })
    }

    /// Lanes for any number of messages, if they can be had at all.
    #[cfg(test)]
    pub(super) fn for_test(digest: Digest, key: &[u8]) -> Option<Self> {
        Key::new(digest, key).map(|key| Self { key, fewest: 1 })
    }

    /// The tags of so many messages at most are made in one go.
    pub(super) const fn most() -> usize {
        LANES
    }

    /// Below this number of messages it is faster to sign one after the other.
    pub(super) fn fewest(&self) -> usize {
        self.fewest
    }

    /// The tags of [`HmacLanes::most`] messages or less, left-aligned.
    pub(super) fn sign(&self, messages: &[&[u8]]) -> [[u8; TAG_MAX]; LANES] {
        self.key.sign(messages)
    }
}

impl Key {
    /// `None`: another digest, or the processor lacks AVX2.
    fn new(digest: Digest, key: &[u8]) -> Option<Self> {
        if !is_x86_feature_detected!("avx2") || key.len() > BLOCK {
            return None;
        }
        match digest {
            Digest::Sha1 => Some(Self::Sha1(Keyed::new(key))),
            Digest::Sha256 => Some(Self::Sha256(Keyed::new(key))),
            _ => None,
        }
    }

    fn sign(&self, messages: &[&[u8]]) -> [[u8; TAG_MAX]; LANES] {
        match self {
            Self::Sha1(key) => key.sign(messages),
            Self::Sha256(key) => key.sign(messages),
        }
    }
}

/// Word by word, the states of all lanes.
type States<const WORDS: usize> = [[u32; LANES]; WORDS];

/// Only for processors with AVX2.
type Compress<const WORDS: usize> = unsafe fn(&mut States<WORDS>, &[&[u8; BLOCK]; LANES]);

/// A digest with a state of so many words.
trait Hash<const WORDS: usize> {
    const INITIAL: [u32; WORDS];

    /// One more block in each lane.
    const COMPRESS: Compress<WORDS>;
}

/// The states after the padded key. There is one only where the processor has AVX2.
struct Keyed<H, const WORDS: usize> {
    inner: [u32; WORDS],
    outer: [u32; WORDS],
    hash: PhantomData<H>,
}

impl<H: Hash<WORDS>, const WORDS: usize> Keyed<H, WORDS> {
    fn new(key: &[u8]) -> Self {
        let after = |padding: u8| {
            let block = from_fn(|nth| key.get(nth).unwrap_or(&0) ^ padding);
            let mut states = H::INITIAL.map(|word| [word; LANES]);
            compress::<H, WORDS>(&mut states, &[&block; LANES]);
            states.map(|word| word[0])
        };
        Self { inner: after(0x36), outer: after(0x5c), hash: PhantomData }
    }

    fn sign(&self, messages: &[&[u8]]) -> [[u8; TAG_MAX]; LANES] {
        let lanes: [Padded<'_>; LANES] = from_fn(|lane| Padded::new(messages.get(lane).copied().unwrap_or_default()));
        let mut digests = [[0; TAG_MAX]; LANES];
        let mut states = self.inner.map(|word| [word; LANES]);
        for nth in 0..lanes.iter().map(Padded::blocks).max().unwrap_or(0) {
            compress::<H, WORDS>(&mut states, &lanes.each_ref().map(|lane| lane.block(nth)));
            for (lane, digest) in digests.iter_mut().enumerate().filter(|(lane, _)| lanes[*lane].blocks() == nth + 1) {
                *digest = bytes(&states, lane);
            }
        }
        let lanes = digests.each_ref().map(|digest| Padded::new(&digest[..WORDS * 4]));
        let mut states = self.outer.map(|word| [word; LANES]);
        compress::<H, WORDS>(&mut states, &lanes.each_ref().map(|lane| lane.block(0)));
        from_fn(|lane| bytes(&states, lane))
    }
}

fn compress<H: Hash<WORDS>, const WORDS: usize>(states: &mut States<WORDS>, blocks: &[&[u8; BLOCK]; LANES]) {
    // SAFETY: `Key::new` has seen that the processor has AVX2.
    unsafe { (H::COMPRESS)(states, blocks) }
}

/// The state of one lane as it is written.
fn bytes<const WORDS: usize>(states: &States<WORDS>, lane: usize) -> [u8; TAG_MAX] {
    let mut bytes = [0; TAG_MAX];
    for (word, place) in states.iter().zip(bytes.chunks_exact_mut(4)) {
        place.copy_from_slice(&word[lane].to_be_bytes());
    }
    bytes
}

/// A message that follows the block of a key, with the end that the digests demand.
struct Padded<'m> {
    whole: &'m [[u8; BLOCK]],
    end: [[u8; BLOCK]; 2],
    end_blocks: usize,
}

impl<'m> Padded<'m> {
    fn new(message: &'m [u8]) -> Self {
        let (whole, rest) = message.as_chunks();
        let mut end = [[0; BLOCK]; 2];
        let end_blocks = if rest.len() < BLOCK - 8 { 1 } else { 2 };
        let place = end.as_flattened_mut();
        place[..rest.len()].copy_from_slice(rest);
        place[rest.len()] = 0x80;
        let bits = (BLOCK + message.len()) as u64 * 8;
        place[end_blocks * BLOCK - 8..][..8].copy_from_slice(&bits.to_be_bytes());
        Self { whole, end, end_blocks }
    }

    fn blocks(&self) -> usize {
        self.whole.len() + self.end_blocks
    }

    /// Any block once all have been had.
    fn block(&self, nth: usize) -> &[u8; BLOCK] {
        self.whole.get(nth).unwrap_or_else(|| &self.end[(nth - self.whole.len()).min(1)])
    }
}

struct Sha1;

impl Hash<5> for Sha1 {
    const INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    const COMPRESS: Compress<5> = compress_sha1;
}

#[target_feature(enable = "avx2")]
fn compress_sha1(states: &mut States<5>, blocks: &[&[u8; BLOCK]; LANES]) {
    let mut w = [load_half(blocks, 0), load_half(blocks, 1)];
    macro_rules! w {
        ($nth:expr) => {
            w[$nth % 16 / 8][$nth % 8]
        };
    }
    let before = states.map(|words| load(words));
    let [mut a, mut b, mut c, mut d, mut e] = before;
    macro_rules! round {
        ($a:ident, $b:ident, $c:ident, $d:ident, $e:ident, $at:expr, $mix:expr, $k:expr) => {
            let nth = $at % 16;
            if $at >= 16 {
                let sum = xor(xor(w!(nth + 13), w!(nth + 8)), xor(w!(nth + 2), w!(nth)));
                w!(nth) = rotate::<1, 31>(sum);
            }
            let mixed = add(add($e, $k), add(w!(nth), $mix($b, $c, $d)));
            $e = add(mixed, rotate::<5, 27>($a));
            $b = rotate::<30, 2>($b);
        };
    }
    macro_rules! five_rounds {
        ($at:expr, $mix:expr, $k:expr) => {
            round!(a, b, c, d, e, $at, $mix, $k);
            round!(e, a, b, c, d, $at + 1, $mix, $k);
            round!(d, e, a, b, c, $at + 2, $mix, $k);
            round!(c, d, e, a, b, $at + 3, $mix, $k);
            round!(b, c, d, e, a, $at + 4, $mix, $k);
        };
    }
    macro_rules! twenty_rounds {
        ($at:expr, $mix:expr, $k:expr) => {
            let k = _mm256_set1_epi32($k as i32);
            five_rounds!($at, $mix, k);
            five_rounds!($at + 5, $mix, k);
            five_rounds!($at + 10, $mix, k);
            five_rounds!($at + 15, $mix, k);
        };
    }
    twenty_rounds!(0, choose, 0x5a82_7999_u32);
    twenty_rounds!(20, parity, 0x6ed9_eba1_u32);
    twenty_rounds!(40, majority, 0x8f1b_bcdc_u32);
    twenty_rounds!(60, parity, 0xca62_c1d6_u32);
    let after = [a, b, c, d, e];
    *states = from_fn(|word| store(add(before[word], after[word])));
}

struct Sha256;

impl Hash<8> for Sha256 {
    const INITIAL: [u32; 8] =
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
    const COMPRESS: Compress<8> = compress_sha256;
}

#[target_feature(enable = "avx2")]
fn compress_sha256(states: &mut States<8>, blocks: &[&[u8; BLOCK]; LANES]) {
    let mut w = [load_half(blocks, 0), load_half(blocks, 1)];
    macro_rules! w {
        ($nth:expr) => {
            w[$nth % 16 / 8][$nth % 8]
        };
    }
    let before = states.map(|words| load(words));
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = before;
    macro_rules! round {
        ($a:ident, $b:ident, $c:ident, $d:ident, $e:ident, $f:ident, $g:ident, $h:ident, $at:expr) => {
            let nth = $at % 16;
            if $at >= 16 {
                let (near, far) = (w!(nth + 14), w!(nth + 1));
                let near = xor(xor(rotate::<15, 17>(near), rotate::<13, 19>(near)), _mm256_srli_epi32::<10>(near));
                let far = xor(xor(rotate::<25, 7>(far), rotate::<14, 18>(far)), _mm256_srli_epi32::<3>(far));
                w!(nth) = add(add(w!(nth), near), add(w!(nth + 9), far));
            }
            let k = _mm256_set1_epi32(SHA256_K[$at] as i32);
            let turned = xor(xor(rotate::<26, 6>($e), rotate::<21, 11>($e)), rotate::<7, 25>($e));
            let mixed = add(add(add($h, k), add(w!(nth), choose($e, $f, $g))), turned);
            let turned = xor(xor(rotate::<30, 2>($a), rotate::<19, 13>($a)), rotate::<10, 22>($a));
            $d = add($d, mixed);
            $h = add(mixed, add(turned, majority($a, $b, $c)));
        };
    }
    macro_rules! eight_rounds {
        ($at:expr) => {
            round!(a, b, c, d, e, f, g, h, $at);
            round!(h, a, b, c, d, e, f, g, $at + 1);
            round!(g, h, a, b, c, d, e, f, $at + 2);
            round!(f, g, h, a, b, c, d, e, $at + 3);
            round!(e, f, g, h, a, b, c, d, $at + 4);
            round!(d, e, f, g, h, a, b, c, $at + 5);
            round!(c, d, e, f, g, h, a, b, $at + 6);
            round!(b, c, d, e, f, g, h, a, $at + 7);
        };
    }
    eight_rounds!(0);
    eight_rounds!(8);
    eight_rounds!(16);
    eight_rounds!(24);
    eight_rounds!(32);
    eight_rounds!(40);
    eight_rounds!(48);
    eight_rounds!(56);
    let after = [a, b, c, d, e, f, g, h];
    *states = from_fn(|word| store(add(before[word], after[word])));
}

#[rustfmt::skip]
const SHA256_K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

#[target_feature(enable = "avx2")]
#[inline]
fn add(x: __m256i, y: __m256i) -> __m256i {
    _mm256_add_epi32(x, y)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor(x: __m256i, y: __m256i) -> __m256i {
    _mm256_xor_si256(x, y)
}

/// To the left by `LEFT` bits; `RIGHT` is the rest of the 32.
#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_slli_epi32::<LEFT>(x), _mm256_srli_epi32::<RIGHT>(x))
}

#[target_feature(enable = "avx2")]
#[inline]
fn choose(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    xor(z, _mm256_and_si256(x, xor(y, z)))
}

#[target_feature(enable = "avx2")]
#[inline]
fn parity(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    xor(xor(x, y), z)
}

#[target_feature(enable = "avx2")]
#[inline]
fn majority(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    xor(_mm256_and_si256(x, y), _mm256_and_si256(z, xor(x, y)))
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(words: [u32; LANES]) -> __m256i {
    // SAFETY: both are 256 bits without invalid values.
    unsafe { transmute(words) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(words: __m256i) -> [u32; LANES] {
    // SAFETY: both are 256 bits without invalid values.
    unsafe { transmute(words) }
}

/// The words of one half of a block in each lane, word by word.
#[target_feature(enable = "avx2")]
#[inline]
fn load_half(blocks: &[&[u8; BLOCK]; LANES], half: usize) -> [__m256i; 8] {
    let &[a, b, c, d, e, f, g, h] = blocks;
    let (a, b, c, d) = (load_row(a, half), load_row(b, half), load_row(c, half), load_row(d, half));
    let (e, f, g, h) = (load_row(e, half), load_row(f, half), load_row(g, half), load_row(h, half));
    let ([a0, a1, a2, a3], [e0, e1, e2, e3]) = (transpose(a, b, c, d), transpose(e, f, g, h));
    [
        _mm256_permute2x128_si256::<0x20>(a0, e0),
        _mm256_permute2x128_si256::<0x20>(a1, e1),
        _mm256_permute2x128_si256::<0x20>(a2, e2),
        _mm256_permute2x128_si256::<0x20>(a3, e3),
        _mm256_permute2x128_si256::<0x31>(a0, e0),
        _mm256_permute2x128_si256::<0x31>(a1, e1),
        _mm256_permute2x128_si256::<0x31>(a2, e2),
        _mm256_permute2x128_si256::<0x31>(a3, e3),
    ]
}

/// Words 0 and 4 of the four, then 1 and 5, 2 and 6, 3 and 7.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [__m256i; 4] {
    let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab, cd),
        _mm256_unpackhi_epi64(ab, cd),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// Eight words of one block, which are big-endian.
#[target_feature(enable = "avx2")]
#[inline]
fn load_row(block: &[u8; BLOCK], half: usize) -> __m256i {
    let [first, second] = block.as_chunks().0 else { return _mm256_setzero_si256() };
    // SAFETY: both are 256 bits without invalid values.
    let row = unsafe { transmute::<[u8; BLOCK / 2], __m256i>(if half == 0 { *first } else { *second }) };
    let (high, low) = (0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm256_shuffle_epi8(row, _mm256_set_epi64x(high, low, high, low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use longcable_core::crypto::rustcrypto::HmacKey;
    use longcable_core::crypto::{Mac, Rng};

    /// Of all lengths, and side by side with all others.
    #[test]
    fn tags_are_those_of_rustcrypto() {
        let mut rng = crate::crypto::FastRng::new();
        for digest in [Digest::Sha1, Digest::Sha256] {
            let tag_len = digest.tag_len();
            let mut key = vec![0; tag_len];
            rng.fill(&mut key);
            let portable = HmacKey::new(digest, &key).ok().unwrap();
            let lanes = Key::new(digest, &key).expect("this test needs a processor with AVX2");
            let mut bytes = vec![0; 2000];
            rng.fill(&mut bytes);
            for len in 0..300 {
                for count in 0..=LANES {
                    let lens = [len, 299 - len, len / 2, 64, len, 0, 1400 + len, 119];
                    let messages: Vec<&[u8]> = lens[..count].iter().map(|len| &bytes[bytes.len() - len..]).collect();
                    let tags = lanes.sign(&messages);
                    for (message, tag) in messages.iter().zip(tags) {
                        let mut expected = vec![0; tag_len];
                        portable.sign(&[message], &mut expected);
                        assert_eq!(tag[..tag_len], expected, "{digest:?}, {} bytes of {lens:?}", message.len());
                    }
                }
            }
            assert!(Key::new(digest, &[0; BLOCK + 1]).is_none());
        }
        assert!(Key::new(Digest::Sha512, &[0; 64]).is_none());
    }
}
