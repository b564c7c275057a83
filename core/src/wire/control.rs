//! Control packets without their wrapping (protocol section 3.2).

use core::fmt;

use crate::crypto::Rng;

/// The number that one end gives to a session; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 8]);

impl SessionId {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// A new one.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut bytes = [0; Self::LEN];
        rng.fill(&mut bytes);
        // All zero means that there is none.
        Self::new(bytes).unwrap_or(Self([1; Self::LEN]))
    }

    /// `None` if all bytes are zero.
    pub fn new(bytes: [u8; Self::LEN]) -> Option<Self> {
        (bytes != [0; Self::LEN]).then_some(Self(bytes))
    }

    /// Its bytes as they are sent.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x} {e:02x}{g:02x}{h:02x}{i:02x}")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}
