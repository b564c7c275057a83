//! The Internet checksum (RFC 1071).

/// The ones' complement sum of big-endian 16-bit words, in 16 bits; an odd last byte counts as if a zero followed.
///
/// 64 bits at a time, and written out: the program is compiled for size, which unrolls no loops.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.as_chunks::<64>();
    // Byte order does not matter until the end: sums of swapped words are swapped sums.
    let mut sums = [0_u128; 2];
    for b in blocks {
        let word = |at: usize| {
            let bytes = [b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5], b[at + 6], b[at + 7]];
            u128::from(u64::from_ne_bytes(bytes))
        };
        sums[0] += word(0) + word(8) + word(16) + word(24);
        sums[1] += word(32) + word(40) + word(48) + word(56);
    }
    let mut sum = sums[0] + sums[1];
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

/// Folds a sum of such sums, complements and lengths to 16 bits.
pub(super) fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::sum;

    proptest! {
        #[test]
        fn it_is_the_sum_of_all_words(bytes in prop::collection::vec(prop_oneof![Just(0xff), Just(0), any::<u8>()], 0..300)) {
            let mut naive = 0_u32;
            for pair in bytes.chunks(2) {
                naive += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
                naive = (naive & 0xffff) + (naive >> 16);
            }
            prop_assert_eq!(u32::from(sum(&bytes)), naive);
        }
    }
}
