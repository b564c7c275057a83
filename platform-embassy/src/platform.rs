//! What a board brings to the engine.

use core::marker::PhantomData;

use longcable_core::crypto::{Rng, RustCrypto};
use longcable_core::platform::Platform;

use crate::host::Shared;

/// The largest `replay-window`, in packets.
pub(crate) const REPLAY_WINDOW_MAX: u32 = 512;

type ReplayBits = [u64; (REPLAY_WINDOW_MAX / u64::BITS) as usize];

/// A board with this random number generator.
pub(crate) struct Board<'a, R>(PhantomData<&'a R>);

/// Memory for data keys, and for control packets: two flights of a handshake, and what comes out of order.
#[cfg(feature = "tls")]
pub(crate) type LinkMemory =
    longcable_core::control::Memory<RustCrypto, ReplayBits, [u8; 3 * longcable_core::control::CELL]>;

#[cfg(feature = "tls")]
impl<'a, R: Rng> Platform for Board<'a, R> {
    type Crypto = RustCrypto;
    type Rng = Shared<'a, R>;
    type ReplayBits = ReplayBits;
    type Tls = crate::tls::EmbeddedTlsSession<'a>;
    type TlsSessions = [Self::Tls; 1];
    type TlsMemory = &'static mut LinkMemory;
}

#[cfg(not(feature = "tls"))]
impl<'a, R: Rng> Platform for Board<'a, R> {
    type Crypto = RustCrypto;
    type Rng = Shared<'a, R>;
    type ReplayBits = ReplayBits;
    type Tls = longcable_core::tls::NoTls;
    type TlsSessions = [Self::Tls; 0];
    type TlsMemory = ();
}
