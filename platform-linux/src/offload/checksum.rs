//! The Internet checksum (RFC 1071).

#[cfg(target_arch = "x86_64")]
use std::{
    arch::x86_64::{
        __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_srli_epi64,
    },
    mem::transmute,
};

/// What is added up at a time, in bytes.
const BLOCK: usize = 64;

/// The ones' complement sum of big-endian 16-bit words, in 16 bits; an odd last byte counts as if a zero followed.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    // Byte order does not matter until the end: sums of swapped words are swapped sums. Nor does the width of the words
    // that are added, a multiple of 16 bits: what is above the lowest 16 is added to them in the end.
    let mut sum = sum_of_blocks(blocks);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        sum += u128::from(u64::from_ne_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    sum += u128::from(u64::from_ne_bytes(last));
    // Ones' complement: what is carried out at the top comes in again at the bottom.
    let (high, low) = ((sum >> 64) as u64, sum as u64);
    let (folded, carry) = low.overflowing_add(high);
    let folded = folded + u64::from(carry);
    let folded = (folded >> 32) + (folded & 0xffff_ffff);
    let folded = (folded >> 32) + (folded & 0xffff_ffff);
    u16::from_be(fold(folded as u32))
}

fn sum_of_blocks(blocks: &[[u8; BLOCK]]) -> u128 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[allow(unsafe_code, reason = "the compiler does not know the processor")]
        // SAFETY: this processor has AVX2.
        return unsafe { sum_wide(blocks) };
    }
    sum_portable(blocks)
}

/// 64 bits at a time, and written out: the program is compiled for size, which unrolls no loops.
fn sum_portable(blocks: &[[u8; BLOCK]]) -> u128 {
    let mut sums = [0_u128; 2];
    for b in blocks {
        let word = |at: usize| {
            let bytes = [b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5], b[at + 6], b[at + 7]];
            u128::from(u64::from_ne_bytes(bytes))
        };
        sums[0] += word(0) + word(8) + word(16) + word(24);
        sums[1] += word(32) + word(40) + word(48) + word(56);
    }
    sums[0] + sums[1]
}

/// 32 bits in each of eight lanes at a time, which have 64 to fill.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code, reason = "the only way to load and to store that needs no pointer")]
fn sum_wide(blocks: &[[u8; BLOCK]]) -> u128 {
    let low_half = _mm256_set1_epi64x(0xffff_ffff);
    let mut sums = [_mm256_setzero_si256(); 2];
    for block in blocks {
        // SAFETY: both are 512 bits without invalid values.
        let [first, second] = unsafe { transmute::<[u8; BLOCK], [__m256i; 2]>(*block) };
        let low = _mm256_add_epi64(_mm256_and_si256(first, low_half), _mm256_and_si256(second, low_half));
        let high = _mm256_add_epi64(_mm256_srli_epi64::<32>(first), _mm256_srli_epi64::<32>(second));
        sums = [_mm256_add_epi64(sums[0], low), _mm256_add_epi64(sums[1], high)];
    }
    // SAFETY: as above.
    let lanes = unsafe { transmute::<[__m256i; 2], [u64; 8]>(sums) };
    lanes.into_iter().map(u128::from).sum()
}

/// Folds a sum of such sums, complements and lengths to 16 bits.
pub(super) fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_sum_of_all_words(bytes in prop::collection::vec(prop_oneof![Just(0xff), Just(0), any::<u8>()], 0..300)) {
            let mut naive = 0_u32;
            for pair in bytes.chunks(2) {
                naive += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
                naive = (naive & 0xffff) + (naive >> 16);
            }
            prop_assert_eq!(u32::from(sum(&bytes)), naive);
            let blocks = bytes.as_chunks().0;
            prop_assert_eq!(sum_portable(blocks) % 0xffff, sum_of_blocks(blocks) % 0xffff);
        }
    }
}
