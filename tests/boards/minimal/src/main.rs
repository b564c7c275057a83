//! A static-key link and nothing else: no board, no network, no log. What it links is what the engine takes.
//!
//! It has no allocator, so nothing in it can use a heap. Packets come and go through buffers that the compiler cannot
//! look through.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::net::SocketAddr;
use core::panic::PanicInfo;

use longcable_core::crypto::{Rng, RustCrypto, StaticKey};
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::{KeySource, LinkConfig};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX};
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use longcable_core::tls::NoTls;
use static_cell::StaticCell;

static CONFIG: StaticCell<LinkConfig<'static>> = StaticCell::new();
static GATEWAY: StaticCell<Gateway<'static, Board>> = StaticCell::new();

/// Largest packet in the tunnel in bytes.
const MTU: usize = 1500;

#[cortex_m_rt::entry]
fn main() -> ! {
    if let Some(gateway) = start() {
        loop {
            turn(gateway);
        }
    }
    stop()
}

/// None if the configuration is wrong.
fn start() -> Option<&'static mut Gateway<'static, Board>> {
    let config = CONFIG.try_init(LinkConfig::parse(black_box(include_str!("link.ovpn"))).ok()?)?;
    let Some(KeySource::Inline(key)) = config.secret else { return None };
    let keys = Keys::Static(StaticKey::parse(key).ok()?);
    GATEWAY.try_init(Gateway::new(config, keys, Dice, now(), unix_now()).ok()?)
}

/// What is due, one packet each way.
fn turn(gateway: &mut Gateway<'static, Board>) {
    let mut buffer = [0; HEADROOM + MTU + TAILROOM];

    let (from, length) = black_box((SocketAddr::from(([192, 0, 2, 1], 1194)), 0_usize));
    if let Some(datagram) = black_box(&mut buffer).get_mut(..length) {
        let _ = black_box(gateway.handle_datagram(now(), from, datagram));
    }

    if let Some(packet) = PacketBuf::new(black_box(&mut buffer), HEADROOM, black_box(MTU)) {
        let _ = black_box(gateway.seal(now(), packet));
    }

    gateway.handle_timeout(now());
    let mut out = [0; OUTPUT_MAX];
    loop {
        match gateway.poll_output(now(), &mut out) {
            Output::Timeout(at) => {
                black_box(at);
                break;
            }
            Output::Transmit(sealed) => {
                black_box(sealed);
            }
            Output::Resolve(number, _) => gateway.resolved(now(), number, Err(())),
            Output::Bind(_) => gateway.bound(now(), unix_now(), Ok(())),
            Output::OpenTunnel => gateway.tunnel_opened(now()),
            Output::Exit(_) => stop(),
            _ => {}
        }
    }
}

fn now() -> Instant {
    Instant::from_millis(black_box(0))
}

/// Seconds since 1970.
fn unix_now() -> u64 {
    black_box(0)
}

fn stop() -> ! {
    loop {
        black_box(());
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if cfg!(feature = "locations") {
        black_box(info.location());
    }
    stop()
}

/// What a board brings to the engine.
struct Board;

impl Platform for Board {
    type Crypto = RustCrypto;
    type Rng = Dice;
    type ReplayBits = [u64; 1];
    type Tls = NoTls;
    type TlsSessions = [NoTls; 0];
    type TlsMemory = ();
}

/// A source of randomness that the compiler cannot look through.
struct Dice;

impl Rng for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        black_box(bytes);
    }
}
