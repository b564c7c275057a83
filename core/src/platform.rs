//! What a host brings to the engine.

use crate::control::LinkMemory;
use crate::crypto::replay::ReplayBits;
use crate::crypto::{Provider, Rng};
use crate::tls::TlsSession;

/// The host's cryptography, its randomness, its TLS stack, and how much memory it gives.
pub trait Platform {
    /// Cryptography.
    type Crypto: Provider;
    /// Randomness.
    type Rng: Rng;
    /// Bits of a replay window: `[u64; N]` for windows of up to 64 N packets.
    type ReplayBits: ReplayBits;
    /// The TLS stack; [`NoTls`](crate::tls::NoTls) links with static keys only.
    type Tls: TlsSession;
    /// The TLS sessions of one link. One is enough: a key whose negotiation is over gives it to the next one, and hears
    /// no more text messages then. With two it keeps its own, with three a peer that comes back need not wait for a
    /// renegotiation either.
    type TlsSessions: AsMut<[Self::Tls]>;
    /// Memory for the data keys and control packets of one link with TLS; `()` without TLS.
    type TlsMemory: LinkMemory<Self::Crypto, Self::ReplayBits>;
}
