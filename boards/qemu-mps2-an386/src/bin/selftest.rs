//! What the tests prove of the engine on a desktop, proved again on a 32-bit microcontroller.
//!
//! A check that fails panics; the panic's message is reported and QEMU ends with a failure.
#![no_std]
#![no_main]

#[path = "selftest/cost.rs"]
mod cost;
#[path = "../../../../tests/vectors/mod.rs"]
mod vectors;

use core::mem::size_of;
use core::net::SocketAddr;

use longcable_core::crypto::replay::ReplayWindow;
use longcable_core::crypto::{Cipher, Digest, Direction, Rng, RustCrypto, StaticKey, Suite};
use longcable_core::data::{Opener, Sealer};
use longcable_core::error::Discard;
use longcable_core::event::Event;
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::{KeySource, LinkConfig};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX};
use longcable_core::platform::Platform;
use longcable_core::time::{Duration, Instant, Timer, TimerTable};
use longcable_core::tls::NoTls;
use qemu_mps2_an386 as board;

/// Says how many cases it has proved.
type Check = fn() -> usize;

/// The time of day at the start of the link, in seconds since 1970.
const UNIX: u64 = 1_800_000_000;

/// What is proved, in cases of what, by which check.
const CHECKS: [(&str, &str, Check); 6] = [
    ("timers", "steps", timers),
    ("packet buffer", "steps", packet_buffer),
    ("captured from openvpn", "packets", captured),
    ("data of TLS links", "packets", captured_tls),
    ("sealed and opened", "packets", burst),
    ("a link from its config text", "packets", link),
];

#[cortex_m_rt::entry]
fn main() -> ! {
    for (name, unit, check) in CHECKS {
        defmt::info!("selftest: {=str}: {=usize} {=str} ok", name, check(), unit);
    }
    cost::report();
    for (name, size) in [
        ("StaticKey", size_of::<StaticKey>()),
        ("Sealer", size_of::<Sealer<RustCrypto>>()),
        ("Opener with a replay window of 64", size_of::<Opener<RustCrypto, [u64; 1]>>()),
        ("LinkConfig", size_of::<LinkConfig<'_>>()),
        ("Gateway with a replay window of 64", size_of::<Gateway<'_, Board>>()),
    ] {
        defmt::info!("selftest: size of {=str}: {=usize} bytes", name, size);
    }
    defmt::info!("selftest: stack: {=usize} bytes at most", board::stack_used());
    defmt::info!("selftest: all {=usize} checks ok", CHECKS.len());
    board::exit(0)
}

fn timers() -> usize {
    // Deadlines beyond 32 bits of milliseconds.
    let at = |millis| Instant::from_millis(u64::from(u32::MAX) + millis);
    let mut timers = TimerTable::new();
    timers.set(Timer::Ping, at(20));
    timers.set(Timer::Receive, at(10));
    timers.set(Timer::Inactive, at(5));
    timers.stop(Timer::Inactive);
    let steps = [(9, None), (25, Some(Timer::Receive)), (25, Some(Timer::Ping)), (25, None)];
    for (now, expected) in steps {
        assert_eq!(timers.expire(at(now)), expected);
    }
    steps.len()
}

fn packet_buffer() -> usize {
    let mut buffer = *b"..abc..";
    assert!(PacketBuf::new(&mut buffer, 5, 3).is_none());
    let mut packet = PacketBuf::new(&mut buffer, 2, 3).unwrap();
    packet.prepend(1).unwrap().copy_from_slice(b"<");
    packet.append(2).unwrap().copy_from_slice(b">>");
    assert!(packet.prepend(2).is_none());
    assert!(packet.append(1).is_none());
    assert_eq!(packet.into_slice(), b"<abc>>");
    6
}

fn captured() -> usize {
    vectors::STATIC.iter().map(vectors::check::<RustCrypto>).sum()
}

fn captured_tls() -> usize {
    let captured: usize = vectors::tls::CAPTURED.iter().map(vectors::tls::check::<RustCrypto>).sum();
    captured + vectors::tls::check_epochs::<RustCrypto>()
}

/// Packets of many lengths from one end to the other through every cipher of a static-key link and every digest. What was changed on the
/// way or arrives twice is refused.
fn burst() -> usize {
    const LENGTHS: [usize; 20] =
        [1, 2, 7, 8, 9, 15, 16, 17, 20, 40, 64, 84, 100, 128, 576, 1000, 1300, 1400, 1499, LENGTH_MAX];
    const LENGTH_MAX: usize = 1500;
    const BUFFER_LEN: usize = HEADROOM + LENGTH_MAX + TAILROOM;

    let mut dice = Dice(1);
    let key = StaticKey::generate(&mut dice);
    let now = Instant::from_millis(0);
    let mut count = 0;
    let ciphers = Cipher::ALL.into_iter().filter(|cipher| !cipher.mode().needs_tls());
    for (cipher, digest) in ciphers.zip(Digest::ALL.into_iter().cycle()) {
        let suite = Suite::new(cipher, digest);
        let [near, far] = [Direction::Normal, Direction::Inverse].map(|direction| key.keys(Some(direction)));
        let mut sealer = Sealer::<RustCrypto>::new(suite, near.send, Some(1)).unwrap();
        let window = ReplayWindow::new([0_u64], 64, Duration::from_secs(15));
        let mut opener = Opener::<RustCrypto, _>::new(suite, far.receive, Some(window)).unwrap();
        for length in LENGTHS {
            let (mut buffer, mut copy) = ([0; BUFFER_LEN], [0; BUFFER_LEN]);
            dice.fill(&mut buffer);
            copy.copy_from_slice(&buffer);
            let payload = &copy[HEADROOM..][..length];
            let mut packet = PacketBuf::new(&mut buffer, HEADROOM, length).unwrap();
            sealer.seal(1, &mut dice, &mut packet).unwrap();
            let datagram = packet.into_slice();
            assert!(datagram.len() > length + suite.digest.tag_len() + suite.cipher.iv_len());

            let mut repeated = [0; BUFFER_LEN];
            let repeated = &mut repeated[..datagram.len()];
            if digest != Digest::None {
                repeated.copy_from_slice(datagram);
                repeated[datagram.len() - 1] ^= 1;
                assert_eq!(opener.open(now, repeated), Err(Discard::Authentication), "{suite:?}, changed");
            }
            repeated.copy_from_slice(datagram);
            assert_eq!(opener.open(now, datagram).as_deref(), Ok(payload), "{suite:?}, {length} bytes");
            assert!(matches!(opener.open(now, repeated), Err(Discard::Replay { .. })), "{suite:?}, repeated");
            count += 1;
        }
    }
    count
}

/// Two whole gateways from their config texts: they find each other, compare options and carry packets.
#[inline(never)]
fn link() -> usize {
    let near = config(concat!("remote 192.0.2.2\nkey-direction 0\n", include_str!("link.ovpn")));
    let far = config(concat!("remote 192.0.2.1\nkey-direction 1\n", include_str!("link.ovpn")));
    let (mut near, mut far) = (end(&near, 1), end(&far, 2));
    let [near_address, far_address] = [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 1194)));
    let mut count = 0;
    for second in 0..20 {
        let now = Instant::from_millis(second * 1000);
        count += usize::from(turn(now, &mut near, near_address, &mut far));
        count += usize::from(turn(now, &mut far, far_address, &mut near));
    }
    count
}

/// One end does what is due and sends a packet through the tunnel; says whether that came out at the other end.
fn turn(now: Instant, from: &mut Gateway<'_, Board>, address: SocketAddr, to: &mut Gateway<'_, Board>) -> bool {
    from.handle_timeout(now);
    let mut out = [0; OUTPUT_MAX];
    loop {
        match from.poll_output(now, &mut out) {
            Output::Timeout(_) => break,
            Output::Transmit(sealed) => {
                let _ = to.handle_datagram(now, address, sealed.datagram);
            }
            Output::Bind(_) => from.bound(now, UNIX, Ok(())),
            Output::OpenTunnel => from.tunnel_opened(now),
            Output::Event(event) => {
                assert!(!matches!(event, Event::OptionDiffers(_) | Event::PeerSilent { .. }));
            }
            _ => {}
        }
    }
    let mut buffer = [0x45; HEADROOM + 1400 + TAILROOM];
    let packet = PacketBuf::new(&mut buffer, HEADROOM, 1400).unwrap();
    let datagram = from.seal(now, packet).unwrap().datagram;
    to.handle_datagram(now, address, datagram).is_ok_and(|packet| packet.as_deref() == Some(&[0x45; 1400]))
}

fn config(text: &'static str) -> LinkConfig<'static> {
    LinkConfig::parse(text).unwrap()
}

fn end<'c>(config: &'c LinkConfig<'c>, seed: u32) -> Gateway<'c, Board> {
    let Some(KeySource::Inline(key)) = config.secret else { panic!("the key is in the text") };
    Gateway::new(config, Keys::Static(StaticKey::parse(key).unwrap()), Dice(seed), Instant::from_millis(0), UNIX)
        .unwrap()
}

/// What this board brings to the engine.
struct Board;

impl Platform for Board {
    type Crypto = RustCrypto;
    type Rng = Dice;
    type ReplayBits = [u64; 1];
    type Tls = NoTls;
    type TlsSessions = [NoTls; 1];
    type TlsMemory = ();
}

/// Repeatable "randomness" (xorshift).
struct Dice(u32);

impl Rng for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            *byte = self.0 as u8;
        }
    }
}
