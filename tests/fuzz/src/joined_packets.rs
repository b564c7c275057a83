//! Packets that came out of the tunnel, joined for a TUN device where that can be done.
//!
//! Input: whether UDP is joined, then for each packet a byte that says how it is made: from the packet before it in its
//! flow, with changes, or of any bytes.

use std::collections::HashMap;

use crate::input::{Input, chunk};
use crate::offload::VnetHeader;
use crate::offload::coalesce::{Coalescer, PACKETS_MAX};
use crate::offload::segment::Segmenter;

const FLOWS: usize = 4;
const TCP: u8 = 6;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let udp = input.byte().is_multiple_of(2);
    let mut flows: [Vec<u8>; FLOWS] = std::array::from_fn(first);
    let mut packets = Vec::new();
    while !input.is_empty() && packets.len() < PACKETS_MAX {
        let flow = input.below(FLOWS + 1);
        if let Some(last) = flows.get_mut(flow) {
            follow(last, &mut input);
            packets.push(last.clone());
        } else {
            packets.push(input.chunk().to_vec());
        }
    }

    let written = join(packets.clone(), udp);
    let by_flow = |packets: &[Vec<u8>]| {
        let mut flows: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
        for packet in packets {
            flows.entry(ends(packet)).or_default().push(identity(packet));
        }
        flows
    };
    assert_eq!(by_flow(&packets), by_flow(&written), "each flow as it was");
}

/// What is written, cut again.
fn join(mut packets: Vec<Vec<u8>>, udp: bool) -> Vec<Vec<u8>> {
    let mut coalescer = Coalescer::new(udp);
    for packet in &mut packets {
        coalescer.push(packet).expect("there is room");
    }
    let mut written = Vec::new();
    coalescer.drain(|parts| {
        let header = VnetHeader::from_bytes((*parts[0]).try_into().expect("the header comes first"));
        let packet: Vec<u8> = parts[1..].iter().flat_map(|part| part.to_vec()).collect();
        if !header.is_super_packet() {
            assert_eq!((header, parts.len()), (VnetHeader::default(), 2));
            return written.push(packet);
        }
        assert!(packet.len() <= 65_535);
        assert!(udp || header.gso_type != 5);
        let mut segmenter = Segmenter::new(header, &packet).expect("it is well-formed");
        assert_eq!(segmenter.len(), parts.len() - 1);
        while !segmenter.is_empty() {
            let mut slot = vec![0; segmenter.segment_len()];
            segmenter.next(&mut slot, 0).expect("it fits");
            written.push(slot);
        }
    });
    written
}

/// The first packet of a flow, without payload: TCP and UDP over both versions.
fn first(flow: usize) -> Vec<u8> {
    let protocol = if flow < 2 { TCP } else { 17 };
    let mut packet = if flow.is_multiple_of(2) {
        vec![0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, protocol, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2]
    } else {
        [&[0x60, 0, 0, 0, 0, 0, protocol, 64][..], &[0xfd; 32]].concat()
    };
    packet.extend([0, flow as u8, 0, 9]);
    packet.extend(if protocol == TCP {
        &[0xff, 0xff, 0xff, 0, 0, 0, 0, 5, 0x50, 0x10, 0, 9, 0, 0, 0, 0][..]
    } else {
        &[0; 4]
    });
    packet
}

/// Makes a packet the one that follows it, then changes bytes of it.
fn follow(packet: &mut Vec<u8>, input: &mut Input<'_>) {
    let (ip, headers, tcp) = shape(packet);
    if tcp {
        let payload = (packet.len() - headers) as u32;
        let sequence = u32::from_be_bytes(packet[ip + 4..ip + 8].try_into().expect("four bytes"));
        packet[ip + 4..ip + 8].copy_from_slice(&sequence.wrapping_add(payload).to_be_bytes());
    }
    let id = u16::from_be_bytes([packet[4], packet[5]]).wrapping_add(1);
    let how = input.byte();
    packet.resize(headers + usize::from(how & 0x3f), how);
    if ip == 20 {
        packet[4..6].copy_from_slice(&id.to_be_bytes());
    }
    if how & 0x40 != 0 {
        let (at, value) = (input.below(headers), input.byte());
        // The ends stay: they are what makes a flow.
        let kept = if ip == 20 { [0..1, 9..10, 12..24] } else { [0..1, 6..7, 8..44] };
        if !kept.iter().any(|range| range.contains(&at)) && !(tcp && at == ip + 12) {
            packet[at] ^= value;
        }
    }
    finish(packet, ip, tcp);
    if how & 0x80 != 0 {
        let at = packet.len() - 1;
        packet[at] ^= input.byte();
    }
}

/// Where the transport header and the payload begin, and whether it is TCP.
fn shape(packet: &[u8]) -> (usize, usize, bool) {
    let (ip, protocol) = if packet[0] >> 4 == 4 { (20, packet[9]) } else { (40, packet[6]) };
    (ip, ip + if protocol == TCP { 20 } else { 8 }, protocol == TCP)
}

/// Sets lengths and checksums.
fn finish(packet: &mut [u8], ip: usize, tcp: bool) {
    let length = packet.len();
    let [whole, inner] =
        [length, length - ip].map(|length| u16::try_from(length).expect("a short packet").to_be_bytes());
    if ip == 20 {
        packet[2..4].copy_from_slice(&whole);
        packet[10..12].fill(0);
        let checksum = !sum(&packet[..20]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        packet[4..6].copy_from_slice(&inner);
    }
    let place = ip + if tcp { 16 } else { 6 };
    if !tcp {
        packet[ip + 4..ip + 6].copy_from_slice(&inner);
    }
    packet[place..place + 2].fill(0);
    let addresses = if ip == 20 { 12 } else { 8 };
    let covered = [&packet[addresses..], &[0, if tcp { TCP } else { 17 }], &inner].map(<[u8]>::to_vec);
    // Behind the rest: it may have an odd length.
    let [rest, protocol, length] = covered;
    let checksum = match !sum(&[protocol, length, rest].concat()) {
        0 if !tcp => 0xffff,
        checksum => checksum,
    };
    packet[place..place + 2].copy_from_slice(&checksum.to_be_bytes());
}

fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)));
    let sum = words.sum::<u32>();
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// What makes a flow, wherever it may be.
fn ends(packet: &[u8]) -> Vec<u8> {
    let range = match packet.first().map(|first| first >> 4) {
        Some(4) => 9..24,
        _ => 6..44,
    };
    let mut ends = packet.get(range).unwrap_or(packet).to_vec();
    // Time to live, protocol, checksum: only the protocol.
    if packet.first().is_some_and(|first| first >> 4 == 4) && ends.len() == 15 {
        ends[1..3].fill(0);
    } else if ends.len() == 38 {
        ends[1] = 0;
    }
    ends
}

/// The packet, without an identification that means nothing.
fn identity(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet.len() >= 20 && packet[0] == 0x45 && packet[6] == 0x40 && sum(&packet[..20]) == 0xffff {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (0..FLOWS as u8).map(|flow| [&[0][..], &[flow, 0x20].repeat(20)].concat()).collect();
    seeds.push([&[1][..], &[0, 0x20, 1, 0x20, 2, 0x20, 3, 0x20].repeat(8)].concat());
    seeds.push([&[0][..], &[0, 0x3f].repeat(3), &[0, 0x1f, 0, 0x1f], &[0, 0x5f, 33, 8, 0, 0x9f, 1]].concat());
    seeds.push([&[0, 0, 0x20, 0, 0x20, 4][..], &chunk(&first(0)), &[0, 0x20]].concat());
    seeds
}
