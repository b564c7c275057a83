//! What a packet costs in a link, and what its cipher and its HMAC cost alone, in instructions: `run` has QEMU take a
//! nanosecond for each.

use core::array;
use core::hint::black_box;
use core::net::SocketAddr;

use aes::{Aes256Dec, Aes256Enc};
use cbc::cipher::inout::InOutBuf;
use cbc::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, InnerIvInit as _, KeyInit as _};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use hmac::{Hmac, Mac as _};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::time::Instant;
use sha1::Sha1;

use super::{config, end, turn};

/// Of the packet in the tunnel, in bytes.
const LENGTH: usize = 1400;
/// What is encrypted: packet id, time, packet, padding. The IV is before it.
const ENCRYPTED: usize = 1424;
const IV: usize = 16;

/// Averages are of so many.
const PACKETS: u32 = 16;

/// Reports both, for packets that are sealed and for packets that are opened.
pub(crate) fn report() {
    start_timer();
    let (link, bare) = (link(), bare());
    for (what, link, bare) in [("seal", link[0], bare[0]), ("open", link[1], bare[1])] {
        defmt::info!("selftest: to {=str} a packet: {=u32} instructions, bare {=u32}", what, link, bare);
    }
}

/// By two gateways.
#[inline(never)]
fn link() -> [u32; 2] {
    let near = config(concat!(include_str!("../link.ovpn"), "\nauth SHA1\nremote 192.0.2.2\nkey-direction 0"));
    let far = config(concat!(include_str!("../link.ovpn"), "\nauth SHA1\nremote 192.0.2.1\nkey-direction 1"));
    let (mut near, mut far) = (end(&near, 1), end(&far, 2));
    let [near_address, far_address] = [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 1194)));
    let mut now = Instant::from_millis(0);
    for second in 0..3 {
        now = Instant::from_millis(second * 1000);
        turn(now, &mut near, near_address, &mut far);
        turn(now, &mut far, far_address, &mut near);
    }
    average(|| {
        let mut buffer = [0x45; HEADROOM + LENGTH + TAILROOM];
        let packet = PacketBuf::new(&mut buffer, HEADROOM, LENGTH).unwrap();
        let (sealing, sealed) = time(|| near.seal(now, black_box(packet)));
        let datagram = sealed.unwrap().datagram;
        let (opening, opened) = time(|| far.handle_datagram(now, near_address, black_box(datagram)));
        assert_eq!(opened.unwrap().as_deref(), Some(&[0x45; LENGTH][..]));
        [sealing, opening]
    })
}

/// By nothing but the cipher and the HMAC.
#[inline(never)]
fn bare() -> [u32; 2] {
    let key = black_box([7; 32]);
    let (encrypt, decrypt) = (Aes256Enc::new(&key.into()), Aes256Dec::new(&key.into()));
    let hmac = <Hmac<Sha1> as hmac::Mac>::new_from_slice(&key[..20]).unwrap();
    let mac = |packet: &[u8]| hmac.clone().chain_update(packet);
    average(|| {
        let mut packet = black_box([0x45; IV + ENCRYPTED]);
        let (sealing, tag) = time(|| {
            let (iv, blocks) = packet.split_at_mut(IV);
            let mut mode = cbc::Encryptor::inner_iv_slice_init(&encrypt, iv).unwrap();
            mode.encrypt_blocks_inout_mut(InOutBuf::from(blocks).into_chunks().0);
            mac(&packet).finalize().into_bytes()
        });
        let (opening, ()) = time(|| {
            mac(black_box(&packet)).verify(&tag).unwrap();
            let (iv, blocks) = packet.split_at_mut(IV);
            let mut mode = cbc::Decryptor::inner_iv_slice_init(&decrypt, iv).unwrap();
            mode.decrypt_blocks_inout_mut(InOutBuf::from(blocks).into_chunks().0);
        });
        assert_eq!(packet, [0x45; IV + ENCRYPTED]);
        [sealing, opening]
    })
}

fn average(mut costs: impl FnMut() -> [u32; 2]) -> [u32; 2] {
    let mut sums = [0; 2];
    for _ in 0..PACKETS {
        let costs = costs();
        sums = array::from_fn(|i| sums[i] + costs[i]);
    }
    sums.map(|sum| sum / PACKETS)
}

const TIMER_MAX: u32 = 0x00ff_ffff;

/// The processor's timer counts down at 25 MHz.
fn start_timer() {
    let mut timer = cortex_m::Peripherals::take().expect("nobody else takes them").SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(TIMER_MAX);
    timer.clear_current();
    timer.enable_counter();
}

/// Instructions of `work`, and its result.
fn time<T>(work: impl FnOnce() -> T) -> (u32, T) {
    const INSTRUCTIONS_PER_TICK: u32 = 40;
    let before = SYST::get_current();
    let result = work();
    let ticks = before.wrapping_sub(SYST::get_current()) & TIMER_MAX;
    (ticks * INSTRUCTIONS_PER_TICK, result)
}
