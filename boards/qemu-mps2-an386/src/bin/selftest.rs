//! What the tests prove of the engine on a desktop, proved again on a 32-bit microcontroller.
#![no_std]
#![no_main]

use core::mem::size_of;

use longcable_core::crypto::replay::ReplayWindow;
use longcable_core::crypto::{Cipher, Digest, Direction, Rng, RustCrypto, StaticKey, Suite};
use longcable_core::data::{Opener, Sealer};
use longcable_core::error::Discard;
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::time::{Duration, Instant, Timer, TimerTable};
use qemu_mps2_an386 as board;

/// A check says how many cases it has proved, or reports what is wrong.
const CHECKS: [(&str, &str, fn() -> Option<usize>); 4] = [
    ("timers", "steps", timers),
    ("packet buffer", "steps", packet_buffer),
    ("packets of openvpn", "packets", recordings),
    ("sealed and opened", "packets", burst),
];

#[cortex_m_rt::entry]
fn main() -> ! {
    for (name, unit, check) in CHECKS {
        let Some(count) = check() else {
            defmt::error!("selftest: {=str}: FAILED", name);
            board::exit(1)
        };
        defmt::info!("selftest: {=str}: {=usize} {=str} ok", name, count, unit);
    }
    for (name, size) in [
        ("StaticKey", size_of::<StaticKey>()),
        ("Sealer", size_of::<Sealer<RustCrypto>>()),
        ("Opener, replay window of 64", size_of::<TestOpener>()),
        ("TimerTable", size_of::<TimerTable>()),
    ] {
        defmt::info!("selftest: size of {=str}: {=usize} bytes", name, size);
    }
    defmt::info!("selftest: stack: {=usize} bytes at most", board::stack_used());
    defmt::info!("selftest: all {=usize} checks ok", CHECKS.len());
    board::exit(0)
}

/// Reports the message and leaves the check if the condition does not hold.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            defmt::error!($($message)+);
            return None;
        }
    };
}

type TestOpener = Opener<RustCrypto, [u64; 1]>;

const NOW: Instant = Instant::from_millis(1000);
const PACKET_MAX: usize = 1500;

fn timers() -> Option<usize> {
    let at = Instant::from_millis;
    let mut timers = TimerTable::new();
    timers.set(Timer::Ping, at(u64::from(u32::MAX) + 20));
    timers.set(Timer::Receive, at(u64::from(u32::MAX) + 10));
    timers.set(Timer::Inactive, at(5));
    timers.stop(Timer::Inactive);
    for (step, (now, expected)) in
        [(9, None), (25, Some(Timer::Receive)), (25, Some(Timer::Ping)), (25, None)].into_iter().enumerate()
    {
        let expired = timers.expire(at(u64::from(u32::MAX) + now));
        ensure!(expired == expected, "step {}: {}", step, defmt::Debug2Format(&expired));
    }
    Some(4)
}

fn packet_buffer() -> Option<usize> {
    let mut buffer = *b"..abc..";
    ensure!(PacketBuf::new(&mut buffer, 5, 3).is_none(), "a payload beyond its buffer was accepted");
    let mut packet = PacketBuf::new(&mut buffer, 2, 3)?;
    packet.prepend(1)?.copy_from_slice(b"<");
    packet.append(2)?.copy_from_slice(b">>");
    ensure!(packet.prepend(2).is_none() && packet.append(1).is_none(), "a packet grew beyond its buffer");
    ensure!(packet.as_slice() == b"<abc>>", "grown to {=[u8]:a}", packet.as_slice());
    Some(4)
}

/// Packets that openvpn sent over static-key links.
struct Recording {
    name: &'static str,
    key: &'static str,
    cipher: &'static str,
    digest: &'static str,
    packet_ids: bool,
    ends: [End; 2],
}

struct End {
    direction: Option<Direction>,
    sent: &'static [Packet],
}

struct Packet {
    wire: &'static [u8],
    /// What is encrypted: the packet id, unless there are none, and the payload.
    plain: &'static [u8],
}

static RECORDINGS: &[Recording] = include!(concat!(env!("OUT_DIR"), "/recordings.rs"));

/// Every recorded packet opens to what was recorded, only once, and is sealed to the same bytes again.
fn recordings() -> Option<usize> {
    let mut count = 0;
    for recording in RECORDINGS {
        let suite = Suite::new(Cipher::from_name(recording.cipher)?, Digest::from_name(recording.digest)?);
        let key = StaticKey::parse(recording.key).ok()?;
        let [a, b] = &recording.ends;
        for (sender, receiver) in [(a, b), (b, a)] {
            let keys = [key.keys(sender.direction).send, key.keys(receiver.direction).receive];
            let window = recording.packet_ids.then(|| ReplayWindow::new([0], 64, Duration::from_secs(15)));
            let mut opener: TestOpener = Opener::new(suite, keys[1], window).ok()?;
            let mut sealer = None;
            for Packet { wire, plain } in sender.sent {
                let (id, payload) = if recording.packet_ids { plain.split_at_checked(8)? } else { (&[][..], *plain) };

                let mut buffer = [0; HEADROOM + PACKET_MAX + TAILROOM];
                let opened = {
                    let datagram = buffer.get_mut(..wire.len())?;
                    datagram.copy_from_slice(wire);
                    opener.open(NOW, datagram)
                };
                ensure!(opened.as_deref() == Ok(payload), "{=str}: does not open", recording.name);
                if recording.packet_ids {
                    let datagram = buffer.get_mut(..wire.len())?;
                    datagram.copy_from_slice(wire);
                    let again = opener.open(NOW, datagram);
                    ensure!(matches!(again, Err(Discard::Replay { .. })), "{=str}: opened twice", recording.name);
                }

                let (id, time) = match id.split_first_chunk() {
                    Some((id, time)) => (u32::from_be_bytes(*id), Some(u32::from_be_bytes(*time.first_chunk()?))),
                    None => (0, None),
                };
                let (next, sealer) = sealer.get_or_insert((1, Sealer::<RustCrypto>::new(suite, keys[0], time).ok()?));
                let iv = &mut RecordedIv(wire.get(suite.digest.tag_len()..)?);
                // The packets in between were not recorded.
                while *next < id {
                    sealer.seal(0, iv, &mut PacketBuf::new(&mut buffer, HEADROOM, 1)?).ok()?;
                    *next += 1;
                }
                *next += 1;
                let mut packet = PacketBuf::new(&mut buffer, HEADROOM, payload.len())?;
                packet.as_mut_slice().copy_from_slice(payload);
                sealer.seal(0, iv, &mut packet).ok()?;
                ensure!(packet.as_slice() == *wire, "{=str}: sealed to other bytes", recording.name);
                count += 1;
            }
        }
    }
    Some(count)
}

/// Repeats the initialisation vector of a recorded packet.
struct RecordedIv(&'static [u8]);

impl Rng for RecordedIv {
    fn fill(&mut self, bytes: &mut [u8]) {
        for (byte, recorded) in bytes.iter_mut().zip(self.0) {
            *byte = *recorded;
        }
    }
}

/// Packets of all lengths from one end to the other, through every cipher and every digest; what was changed on the
/// way or arrives twice is refused.
fn burst() -> Option<usize> {
    let mut dice = Dice(1);
    let key = StaticKey::generate(&mut dice);
    let mut count = 0;
    for (cipher, digest) in Cipher::ALL.into_iter().zip(Digest::ALL.into_iter().cycle()) {
        let suite = Suite::new(cipher, digest);
        let window = ReplayWindow::new([0], 64, Duration::from_secs(15));
        let mut sealer = Sealer::<RustCrypto>::new(suite, key.keys(Some(Direction::Normal)).send, Some(1)).ok()?;
        let mut opener: TestOpener =
            Opener::new(suite, key.keys(Some(Direction::Inverse)).receive, Some(window)).ok()?;
        for len in [1, 7, 8, 15, 16, 20, 64, 100, 576, 1400, 1499, PACKET_MAX] {
            let (mut buffer, mut payload) = ([0; HEADROOM + PACKET_MAX + TAILROOM], [0; PACKET_MAX]);
            let payload = payload.get_mut(..len)?;
            dice.fill(payload);
            let mut packet = PacketBuf::new(&mut buffer, HEADROOM, len)?;
            packet.as_mut_slice().copy_from_slice(payload);
            sealer.seal(1, &mut dice, &mut packet).ok()?;
            let datagram = packet.into_slice();

            let mut copy = [0; HEADROOM + PACKET_MAX + TAILROOM];
            let copy = copy.get_mut(..datagram.len())?;
            if digest != Digest::None {
                copy.copy_from_slice(datagram);
                *copy.last_mut()? ^= 1;
                let forged = opener.open(NOW, copy);
                ensure!(forged == Err(Discard::Authentication), "{=str}: forgery accepted", digest.name());
            }
            copy.copy_from_slice(datagram);
            let opened = opener.open(NOW, datagram);
            ensure!(opened.as_deref() == Ok(&*payload), "{=str} {=str} {=usize}", cipher.name(), digest.name(), len);
            let again = opener.open(NOW, copy);
            ensure!(matches!(again, Err(Discard::Replay { .. })), "{=str}: opened twice", cipher.name());
            count += 1;
        }
    }
    Some(count)
}

/// Repeatable randomness (xorshift), fit for tests only.
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
