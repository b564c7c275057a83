//! What a board brings to the engine.

use core::marker::PhantomData;

use longcable_core::crypto::{Rng, RustCrypto};
use longcable_core::platform::Platform;

use crate::host::Shared;

/// The largest `replay-window`, in packets.
pub(crate) const REPLAY_WINDOW_MAX: u32 = 512;

const REPLAY_WORDS: usize = (REPLAY_WINDOW_MAX / u64::BITS) as usize;

/// A board with this random number generator.
pub(crate) struct Board<'a, R>(PhantomData<&'a R>);

/// TLS sessions: the one in use and the one that is negotiated.
#[cfg(feature = "tls")]
pub(crate) const SESSIONS: usize = 2;

/// Memory for control packets: of each session two flights of a handshake, and what comes out of order.
#[cfg(feature = "tls")]
const CONTROL_MEMORY: usize = SESSIONS * 3 * longcable_core::control::CELL;

#[cfg(feature = "tls")]
impl<'a, R: Rng> Platform for Board<'a, R> {
    type Crypto = RustCrypto;
    type Rng = Shared<'a, R>;
    type ReplayBits = [u64; REPLAY_WORDS];
    type Tls = crate::tls::EmbeddedTlsSession<'a>;
    type TlsSessions = [Self::Tls; SESSIONS];
    type ControlMemory = [u8; CONTROL_MEMORY];
    const CONTROL_MEMORY: Self::ControlMemory = [0; CONTROL_MEMORY];
}

#[cfg(not(feature = "tls"))]
impl<'a, R: Rng> Platform for Board<'a, R> {
    type Crypto = RustCrypto;
    type Rng = Shared<'a, R>;
    type ReplayBits = [u64; REPLAY_WORDS];
    type Tls = longcable_core::tls::NoTls;
    type TlsSessions = [Self::Tls; 0];
    type ControlMemory = [u8; 0];
    const CONTROL_MEMORY: Self::ControlMemory = [];
}
