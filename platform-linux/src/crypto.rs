//! Randomness for the engine.

use longcable_core::crypto::Rng;
use rand::rngs::StdRng;

/// A generator fit for keys that asks the kernel only once, so that a packet costs no system call.
pub struct FastRng(StdRng);

impl FastRng {
    /// A generator seeded by the kernel.
    ///
    /// # Panics
    /// The kernel gives no random bytes: nothing can be encrypted then.
    pub fn new() -> Self {
        Self(rand::make_rng())
    }
}

impl Default for FastRng {
    fn default() -> Self {
        Self::new()
    }
}

impl Rng for FastRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        rand::Rng::fill_bytes(&mut self.0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_generators_never_agree_and_one_never_repeats() {
        let mut drawn = [[0; 16]; 4];
        let (mut one, mut other) = (FastRng::new(), FastRng::new());
        let [a, b, c, d] = &mut drawn;
        one.fill(a);
        one.fill(b);
        other.fill(c);
        other.fill(d);
        let distinct: std::collections::HashSet<_> = drawn.iter().collect();
        assert_eq!(distinct.len(), drawn.len());
    }
}
