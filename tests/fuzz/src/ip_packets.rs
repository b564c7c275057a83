//! Packets in the tunnel, whose headers are looked at.

use std::net::SocketAddr;

use longcable_core::wire::ip::{clamp_mss, is_udp_to};

use crate::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let max = input.u16();
    let packet = input.rest();
    let mut clamped = packet.to_vec();
    clamp_mss(&mut clamped, max);
    check_change(packet, &clamped, max);
    let mut twice = clamped.clone();
    clamp_mss(&mut twice, max);
    assert_eq!(twice, clamped, "there is nothing left to do");

    let addresses = [4, 6].map(|version| match (version, packet) {
        (4, [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d, ..]) => [*a, *b, *c, *d].into(),
        (6, packet) => packet
            .get(24..40)
            .map_or([0; 4].into(), |address| <[u8; 16]>::try_from(address).expect("sixteen bytes").into()),
        _ => std::net::IpAddr::from([0; 4]),
    });
    for address in addresses {
        let found = [1194, max].map(|port| is_udp_to(packet, SocketAddr::new(address, port)));
        assert!(found == [false; 2] || packet.len() >= 20);
    }
}

/// Nothing has changed but segment sizes, downwards, and the checksum, which is as right or wrong as it was.
fn check_change(before: &[u8], after: &[u8], max: u16) {
    assert_eq!(before.len(), after.len());
    if before == after {
        return;
    }
    let (header, max) = match before[0] >> 4 {
        4 => (usize::from(before[0] & 15) * 4, max),
        _ => (40, max.saturating_sub(20)),
    };
    assert_eq!(before[..header], after[..header]);
    let (before, after) = (&before[header..], &after[header..]);
    assert_eq!(before[13] & 2, 2, "SYN");
    let number = |segment: &[u8], at| u16::from_be_bytes([segment[at], segment[at + 1]]);
    let is_size = |at: usize| {
        at + 1 < before.len() && before[at - 2..at] == [2, 4] && number(after, at) == max && number(before, at) > max
    };
    for at in (0..before.len()).filter(|at| before[*at] != after[*at]) {
        assert!((16..18).contains(&at) || (at > 20 && (is_size(at) || is_size(at - 1))), "byte {at}");
    }
    assert_eq!(sum(before), sum(after), "the checksum follows");
}

/// The Internet checksum of the segment with its checksum in it, without the pseudo-header, which has not changed. Of
/// the two zeros it has only one.
fn sum(segment: &[u8]) -> u32 {
    let words = segment.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)));
    words.sum::<u32>() % 0xffff
}

pub fn seeds() -> Vec<Vec<u8>> {
    let options: [&[u8]; 4] =
        [&[2, 4, 0x05, 0xb4], &[1, 2, 4, 0xff, 0x01, 3, 3, 7], &[4, 2, 1, 1, 2, 4, 5, 0xb4], &[1, 1, 1, 0]];
    let mut seeds = Vec::new();
    for options in options {
        let offset = u8::try_from((20 + options.len()) / 4).expect("a short header") << 4;
        let tcp = [&[0, 1, 0, 2, 1, 2, 3, 4, 0, 0, 0, 0, offset, 2, 0, 9, 0x12, 0x34, 0, 0][..], options].concat();
        let len = u8::try_from(tcp.len()).expect("a short segment");
        let v4 = [0x45, 0, 0, 20 + len, 0, 0, 0, 0, 64, 6, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2];
        seeds.push([&[5, 0x00][..], &v4, &tcp].concat());
        seeds.push([&[5, 0x00, 0x60, 0, 0, 0, 0, len, 6, 64][..], &[0xfd; 32], &tcp].concat());
    }
    seeds.push(
        [&[0, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0], &[10; 8][..], &[0x30, 9, 4, 0xaa, 0, 8, 0, 0]].concat(),
    );
    seeds.push([&[0, 0, 0x60, 0, 0, 0, 0, 8, 17, 64], &[0xfd; 32][..], &[0x30, 9, 4, 0xaa, 0, 8, 0, 0]].concat());
    seeds
}
