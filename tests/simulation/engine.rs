//! The engine on platforms of every size, behind one interface.

use std::array;
use std::cell::Cell;
use std::marker::PhantomData;
use std::net::SocketAddr;

use longcable_core::control::{CELL, Memory, Protection};
use longcable_core::crypto::{Rng, RustCrypto, StaticKey};
use longcable_core::error::{Discard, NotReady};
use longcable_core::event::Signal;
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::LinkConfig;
use longcable_core::packet::PacketBuf;
use longcable_core::peer::{Keys, Sealed};
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use longcable_core::tls::{NoTls, TlsSession};

use crate::world::Dice;

/// A platform with this TLS stack, so many sessions of it, and so many bytes for control packets.
struct Simulated<T, const SESSIONS: usize, const MEMORY: usize>(PhantomData<T>);

impl<T: TlsSession, const SESSIONS: usize, const MEMORY: usize> Platform for Simulated<T, SESSIONS, MEMORY> {
    type Crypto = RustCrypto;
    type Rng = Dice;
    type ReplayBits = [u64; 1];
    type Tls = T;
    type TlsSessions = [T; SESSIONS];
    type TlsMemory = Memory<RustCrypto, [u64; 1], [u8; MEMORY]>;
}

impl Rng for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.below(256) as u8;
        }
    }
}

/// A gateway on any platform.
pub trait Engine {
    fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Result<Option<&'b mut [u8]>, Discard>;
    fn seal<'b>(&mut self, now: Instant, packet: PacketBuf<'b>) -> Result<Sealed<'b>, NotReady>;
    fn handle_timeout(&mut self, now: Instant);
    fn poll_output<'o>(&'o mut self, now: Instant, out: &'o mut [u8]) -> Output<'o>;
    fn has_output(&self, now: Instant) -> bool;
    fn resolved(&mut self, now: Instant, lookup: u32, addresses: Result<&[SocketAddr], ()>);
    fn local_changed(&mut self, now: Instant);
    fn bound(&mut self, now: Instant, unix_now: u64);
    fn tunnel_opened(&mut self, now: Instant);
    fn signal(&mut self, now: Instant, signal: Signal);
    fn peer_address(&self) -> Option<SocketAddr>;
    /// What `replay-persist` keeps over a restart of the machine.
    fn stored(&self) -> Stored;
    fn restore(&mut self, stored: Stored, unix_now: u64);
}

/// The time of the sequence that is being sent, and the last packet id received with that of its sequence.
#[derive(Clone, Copy, Default)]
pub struct Stored {
    sent: Option<u32>,
    received: Option<(u32, u32)>,
}

impl<P: Platform> Engine for Gateway<'_, P> {
    fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Result<Option<&'b mut [u8]>, Discard> {
        weighed::<P, _>(|| self.handle_datagram(now, from, datagram))
    }

    fn seal<'b>(&mut self, now: Instant, packet: PacketBuf<'b>) -> Result<Sealed<'b>, NotReady> {
        weighed::<P, _>(|| self.seal(now, packet))
    }

    fn handle_timeout(&mut self, now: Instant) {
        weighed::<P, _>(|| self.handle_timeout(now));
    }

    fn poll_output<'o>(&'o mut self, now: Instant, out: &'o mut [u8]) -> Output<'o> {
        weighed::<P, _>(|| self.poll_output(now, out))
    }

    fn has_output(&self, now: Instant) -> bool {
        weighed::<P, _>(|| self.has_output(now))
    }

    fn resolved(&mut self, now: Instant, lookup: u32, addresses: Result<&[SocketAddr], ()>) {
        weighed::<P, _>(|| self.resolved(now, lookup, addresses));
    }

    fn local_changed(&mut self, now: Instant) {
        weighed::<P, _>(|| self.local_changed(now));
    }

    fn bound(&mut self, now: Instant, unix_now: u64) {
        weighed::<P, _>(|| self.bound(now, unix_now, Ok(())));
    }

    fn tunnel_opened(&mut self, now: Instant) {
        weighed::<P, _>(|| self.tunnel_opened(now));
    }

    fn signal(&mut self, now: Instant, signal: Signal) {
        weighed::<P, _>(|| self.signal(now, signal));
    }

    fn peer_address(&self) -> Option<SocketAddr> {
        weighed::<P, _>(|| self.peer().address())
    }

    fn stored(&self) -> Stored {
        Stored { sent: self.peer().sent_sequence(), received: self.peer().replay_state() }
    }

    fn restore(&mut self, stored: Stored, unix_now: u64) {
        if let Some((id, time)) = stored.received {
            self.peer_mut().preset_replay(id, time);
        }
        if let Some(time) = stored.sent {
            self.peer_mut().preset_sent(time, unix_now);
        }
    }
}

thread_local! {
    /// Bytes that the calls of gateways on this thread have taken from the heap and not given back.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// What [`weighed`] calls have left on the heap so far, in bytes: all of it belongs to TLS stacks.
pub fn held() -> i64 {
    HELD.get()
}

/// A call of a gateway. It uses no heap at all; only a TLS stack may.
fn weighed<P: Platform, T>(call: impl FnOnce() -> T) -> T {
    let mut result = None;
    let heap = allocation_counter::measure(|| result = Some(call()));
    let has_stack = size_of::<P::TlsSessions>() > 0;
    assert!(has_stack || heap.count_total == 0, "the gateway takes memory from the heap {} times", heap.count_total);
    HELD.set(HELD.get() + heap.bytes_current);
    result.expect("it was called")
}

/// What starts the process of a gateway, as often as it is wanted, at this Unix time.
pub type Start<'c> = Box<dyn Fn(Instant, u64, Dice) -> Box<dyn Engine + 'c> + 'c>;

/// Starts a gateway with a static key.
pub fn with_static_key<'c>(config: &'c LinkConfig<'c>, key: &'c StaticKey) -> Start<'c> {
    start::<Simulated<NoTls, 0, 0>>(config, || Keys::Static(key.clone()))
}

/// Starts a gateway with TLS and memory as on a computer.
pub fn with_tls<'c, T: TlsSession + 'c>(config: &'c LinkConfig<'c>, session: impl Fn() -> T + 'c) -> Start<'c> {
    start::<Simulated<T, 3, { 3 * 18 * CELL }>>(config, move || tls_keys(config, &session))
}

/// Starts a gateway with TLS and as little memory as works.
pub fn with_little_tls<'c, T: TlsSession + 'c>(config: &'c LinkConfig<'c>, session: impl Fn() -> T + 'c) -> Start<'c> {
    start::<Simulated<T, 1, { 3 * CELL }>>(config, move || tls_keys(config, &session))
}

fn start<'c, P: Platform<Rng = Dice> + 'c>(config: &'c LinkConfig<'c>, keys: impl Fn() -> Keys<P> + 'c) -> Start<'c> {
    Box::new(move |now, unix_now, dice| {
        Box::new(Gateway::new(config, keys(), dice, now, unix_now).expect("the suite is supported"))
    })
}

fn tls_keys<T: TlsSession, const SESSIONS: usize, const MEMORY: usize>(
    config: &LinkConfig<'_>,
    session: impl Fn() -> T,
) -> Keys<Simulated<T, SESSIONS, MEMORY>> {
    let role = config.tls.role.expect("it is a TLS link");
    Keys::Tls {
        protection: Protection::new(config, role).expect("the keys are well-formed"),
        sessions: array::from_fn(|_| session()),
        memory: Memory::new([0; MEMORY]),
    }
}
