//! Cutting and joining against packets that are built from scratch, byte by byte.

use std::collections::HashMap;

use proptest::prelude::*;

use super::coalesce::{Coalescer, PACKETS_MAX};
use super::segment::{Segmenter, finish_checksum};
use super::*;

const ROOM: usize = 30;

/// A packet as its sender means it.
#[derive(Clone, Debug)]
struct Packet {
    ipv6: bool,
    tcp: bool,
    tos: u8,
    ttl: u8,
    id: u16,
    dont_fragment: bool,
    /// IPv4 options or IPv6 extension headers.
    extra: Vec<u8>,
    ports: [u16; 2],
    sequence: u32,
    acknowledgement: u32,
    window: u16,
    flags: u16,
    options: Vec<u8>,
    payload: Vec<u8>,
}

impl Packet {
    fn new(ipv6: bool, tcp: bool, payload: usize) -> Self {
        Self {
            ipv6,
            tcp,
            tos: 0x02,
            ttl: 64,
            id: 0xfffe,
            dont_fragment: true,
            extra: vec![],
            ports: [1000, 2000],
            sequence: 0xffff_ff00,
            acknowledgement: 77,
            window: 500,
            flags: u16::from(TCP_ACK),
            options: [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8].to_vec(),
            payload: (0..payload).map(|at| (at * 7 + 1) as u8).collect(),
        }
    }

    fn transport(&self) -> usize {
        self.extra.len() + if self.ipv6 { 40 } else { 20 }
    }

    fn addresses(&self) -> Vec<u8> {
        if self.ipv6 { [[0xfd; 16], [0x20; 16]].concat() } else { vec![10, 8, 0, 1, 10, 8, 0, 2] }
    }

    fn pseudo_header(&self, length: usize) -> Vec<u8> {
        let protocol = if self.tcp { IP_TCP } else { IP_UDP };
        [self.addresses(), (length as u32).to_be_bytes().to_vec(), vec![0, 0, 0, protocol]].concat()
    }

    fn bytes(&self) -> Vec<u8> {
        let [from, to] = self.ports.map(u16::to_be_bytes);
        let mut segment = [from, to].concat();
        if self.tcp {
            let offset = (5 + self.options.len() as u16 / 4) << 12;
            segment.extend(self.sequence.to_be_bytes());
            segment.extend(self.acknowledgement.to_be_bytes());
            segment.extend((offset | self.flags).to_be_bytes());
            segment.extend(self.window.to_be_bytes());
            segment.extend([0, 0, 0, 9]);
            segment.extend(&self.options);
        } else {
            segment.extend((8 + self.payload.len() as u16).to_be_bytes());
            segment.extend([0, 0]);
        }
        segment.extend(&self.payload);
        let mut checksum = naive_checksum(&[self.pseudo_header(segment.len()), segment.clone()].concat());
        if !self.tcp && checksum == 0 {
            checksum = 0xffff;
        }
        put_u16(&mut segment, if self.tcp { 16 } else { 6 }, checksum);

        let mut packet = self.ip_header(segment.len());
        packet.extend(segment);
        packet
    }

    fn ip_header(&self, length: usize) -> Vec<u8> {
        let protocol = if self.tcp { IP_TCP } else { IP_UDP };
        let length = (length + self.extra.len()) as u16;
        if self.ipv6 {
            let first = 0x6000_0000 | u32::from(self.tos) << 20 | 0x12345;
            let next = if self.extra.is_empty() { protocol } else { 60 };
            let length = length.to_be_bytes();
            let header =
                [first.to_be_bytes().to_vec(), length.to_vec(), vec![next, self.ttl], self.addresses()].concat();
            return [header, self.extra.clone()].concat();
        }
        let [[a, b], [c, d]] = [20 + length, self.id].map(u16::to_be_bytes);
        let flags = if self.dont_fragment { 0x40 } else { 0 };
        let first = 0x45 + self.extra.len() as u8 / 4;
        let mut header = vec![first, self.tos, a, b, c, d, flags, 0, self.ttl, protocol, 0, 0];
        header.extend(self.addresses());
        header.extend(&self.extra);
        let checksum = naive_checksum(&header);
        put_u16(&mut header, 10, checksum);
        header
    }

    /// The packet as a kernel gives it, to be cut into segments of `size`.
    fn offloaded(&self, size: u16) -> (VnetHeader, Vec<u8>) {
        let mut bytes = self.bytes();
        let place = if self.tcp { 16 } else { 6 };
        let pseudo_header = !naive_checksum(&self.pseudo_header(bytes.len() - self.transport()));
        put_u16(&mut bytes, self.transport() + place, pseudo_header);
        let gso_type = match (self.tcp, self.ipv6) {
            (true, false) => 1,
            (true, true) => 4,
            (false, _) => 5,
        };
        let [csum_start, csum_offset] = [self.transport(), place].map(|number| number as u16);
        (VnetHeader { flags: 1, gso_type, hdr_len: 0, gso_size: size, csum_start, csum_offset }, bytes)
    }

    /// What follows this packet in its flow.
    fn follower(&self, payload: usize) -> Self {
        let mut next = Self::new(self.ipv6, self.tcp, payload);
        next.sequence = self.sequence.wrapping_add(self.payload.len() as u32);
        next.id = self.id.wrapping_add(1);
        next
    }
}

fn naive_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn cut(header: VnetHeader, packet: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut segmenter = Segmenter::new(header, packet)?;
    let mut segments = Vec::new();
    let count = segmenter.len();
    while !segmenter.is_empty() {
        let mut slot = vec![0xee; ROOM + segmenter.segment_len() + 3];
        assert!(segmenter.next(&mut slot[..ROOM], ROOM).is_none(), "a slot that is too small changes nothing");
        let segment = segmenter.next(&mut slot, ROOM).expect("it fits").as_slice().to_vec();
        assert_eq!((&slot[..ROOM], &slot[ROOM + segment.len()..][..3]), (&[0xee; ROOM][..], &[0xee; 3][..]));
        segments.push(segment);
    }
    assert_eq!(segments.len(), count);
    assert!(segmenter.next(&mut [0; 100_000], 0).is_none());
    Ok(segments)
}

/// What is written for these packets: how many each write stands for, and the packets as they were or are cut again.
fn join(packets: &[Vec<u8>], udp: bool) -> (Vec<usize>, Vec<Vec<u8>>) {
    let mut packets = packets.to_vec();
    let mut coalescer = Coalescer::new(udp);
    for packet in &mut packets {
        coalescer.push(packet).expect("there is room");
    }
    let (mut counts, mut written) = (Vec::new(), Vec::new());
    coalescer.drain(|parts| {
        let header = VnetHeader::from_bytes((*parts[0]).try_into().expect("the header comes first"));
        let packet: Vec<u8> = parts[1..].iter().flat_map(|part| part.to_vec()).collect();
        let cut =
            if header.is_super_packet() { cut(header, &packet).expect("it is well-formed") } else { vec![packet] };
        assert_eq!(cut.len(), parts.len() - 1);
        assert!(cut.len() > 1 || header == VnetHeader::default());
        counts.push(cut.len());
        written.extend(cut);
    });
    (counts, written)
}

fn a_packet() -> impl Strategy<Value = Packet> {
    let payload = prop_oneof![0..200_usize, 1000..1500_usize, 20_000..65_000_usize];
    let options = prop_oneof![Just(0), Just(12), 0..=10_usize].prop_map(|words| vec![3; words / 4 * 4]);
    let extra = prop_oneof![4 => Just(0), 1 => 1..4_usize];
    (any::<[bool; 3]>(), payload, any::<(u8, u8, u16, u32, u32, u16, u16, u8)>(), options, extra).prop_map(
        |([ipv6, tcp, dont_fragment], payload, numbers, options, extra)| {
            let (tos, ttl, id, sequence, acknowledgement, window, flags, salt) = numbers;
            let extra = if ipv6 {
                [if tcp { 6 } else { 17 }, 0, 1, 4, 0, 0, 0, 0][..extra.min(1) * 8].to_vec()
            } else {
                vec![1; extra * 4]
            };
            let mut packet = Packet::new(ipv6, tcp, payload.min(65_535 - 120));
            packet.payload.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(salt));
            Packet {
                tos,
                ttl,
                id,
                dont_fragment,
                extra,
                sequence,
                acknowledgement,
                window,
                flags: flags & 0x1ff,
                options,
                ..packet
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn segments_are_as_if_sent_one_by_one(packet in a_packet(), size in prop_oneof![1..100_u16, 1200..1500_u16], ecn: bool) {
        let size = if packet.payload.len() > 5000 { size.max(500) } else { size };
        let (mut header, bytes) = packet.offloaded(size);
        if ecn {
            header.gso_type |= 0x80;
        }
        let segments = cut(header, &bytes).unwrap();
        let mut payloads: Vec<_> = packet.payload.chunks(size.into()).collect();
        if payloads.is_empty() {
            payloads.push(&[]);
        }
        prop_assert_eq!(segments.len(), payloads.len());
        for (nth, (segment, payload)) in segments.iter().zip(&payloads).enumerate() {
            let mut expected = Packet { payload: payload.to_vec(), ..packet.clone() };
            expected.id = packet.id.wrapping_add(nth as u16);
            expected.sequence = packet.sequence.wrapping_add(nth as u32 * u32::from(size));
            if nth > 0 {
                expected.flags &= !0x80;
            }
            if nth + 1 < payloads.len() {
                expected.flags &= !0x09;
            }
            prop_assert_eq!(segment, &expected.bytes());
        }
    }

    #[test]
    fn a_checksum_left_to_us_is_computed(packet in a_packet()) {
        let (mut header, mut bytes) = packet.offloaded(0);
        header.gso_type = 0;
        finish_checksum(header, &mut bytes).unwrap();
        prop_assert_eq!(&bytes, &packet.bytes());
        // Complete ones stay as they are.
        finish_checksum(VnetHeader::default(), &mut bytes).unwrap();
        prop_assert_eq!(bytes, packet.bytes());
    }

    #[test]
    fn hostile_headers_are_refused_or_harmless(
        packet in a_packet(),
        cut_to in prop_oneof![Just(usize::MAX), 0..100_usize],
        changes in prop::collection::vec((0..70_usize, any::<u8>()), 0..4),
        header: [u8; VNET_HEADER_LEN],
        keep: [bool; 4],
    ) {
        let (mut honest, mut bytes) = packet.offloaded(1000);
        bytes.truncate(cut_to);
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        let strange = VnetHeader::from_bytes(header);
        if !keep[0] { honest.gso_type = strange.gso_type; }
        if !keep[1] { honest.gso_size = strange.gso_size; }
        if !keep[2] { honest.csum_start = strange.csum_start; }
        if !keep[3] { honest.csum_offset = strange.csum_offset; }
        for header in [honest, strange] {
            if let Ok(segmenter) = Segmenter::new(header, &bytes) && segmenter.len() < 5000 {
                let segments = cut(header, &bytes).unwrap();
                prop_assert!(segments.iter().map(Vec::len).sum::<usize>() >= bytes.len());
            }
            let _ = finish_checksum(VnetHeader { gso_type: 0, ..header }, &mut bytes);
        }
    }

    #[test]
    fn what_is_joined_comes_apart_as_it_was(
        steps in prop::collection::vec((0..4_usize, 0..60_u8, prop_oneof![4 => Just(300), 1 => 0..400_usize]), 0..=PACKETS_MAX),
        udp: bool,
    ) {
        let mut flows: Vec<Packet> = (0..4)
            .map(|flow| Packet { ports: [flow, 9], ..Packet::new(flow % 2 == 1, flow < 3, 0) })
            .collect();
        let (mut packets, mut whose) = (Vec::new(), Vec::new());
        for (flow, change, payload) in steps {
            let last = &flows[flow];
            let mut packet = Packet { ports: last.ports, ..last.follower(payload) };
            let mut damage = None;
            match change {
                0 => packet.flags |= 8,
                1 => packet.flags |= 1,
                2 => packet.flags |= 0x80,
                3 => packet.tos ^= 1,
                4 => packet.ttl -= 1,
                5 => packet.id = last.id,
                6 => packet.dont_fragment = false,
                7 => packet.sequence = last.sequence,
                8 => packet.acknowledgement += 1,
                9 => packet.window += 1,
                10 => packet.options[4] += 1,
                11 => packet.options.truncate(4),
                12 => packet.extra = if packet.ipv6 { vec![if packet.tcp { 6 } else { 17 }, 0, 1, 4, 0, 0, 0, 0] } else { vec![1; 4] },
                // Its length, so that it is a stranger; or something else in the header; or the payload.
                13 => damage = Some(if packet.ipv6 { 4 } else { 3 }),
                14 => damage = Some(if packet.ipv6 { 3 } else { 4 }),
                15 => damage = Some(usize::MAX),
                _ => {}
            }
            let mut bytes = packet.bytes();
            if let Some(at) = damage {
                let at = at.min(bytes.len() - 1);
                bytes[at] ^= 0x10;
            }
            let stranger = !packet.extra.is_empty() || change == 13;
            whose.push(if stranger { vec![0, 1, 2, 3] } else { vec![flow] });
            packets.push(bytes);
            flows[flow] = packet;
        }
        let (_, written) = join(&packets, udp);
        prop_assert_eq!(written.len(), packets.len());
        let mut owners: HashMap<Vec<u8>, Vec<Vec<usize>>> = HashMap::new();
        for (packet, whose) in packets.iter().zip(&whose) {
            owners.entry(identity(packet)).or_default().push(whose.clone());
        }
        for flow in 0..4 {
            let of_flow = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
                let mine = |packet: &Vec<u8>| owners.get(&identity(packet)).is_some_and(|all| all.iter().any(|whose| whose.contains(&flow)));
                packets.iter().filter(|packet| mine(packet)).map(|packet| identity(packet)).collect()
            };
            prop_assert_eq!(of_flow(&written), of_flow(&packets));
        }
    }

    #[test]
    fn bytes_that_mean_nothing_pass(packets in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0x45), Just(6), any::<u8>()], 0..60), 0..20)) {
        let (counts, written) = join(&packets, true);
        prop_assert_eq!(counts, vec![1; packets.len()]);
        prop_assert_eq!(written, packets);
    }
}

/// The packet, without the identification where that means nothing.
fn identity(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] == 0x45 && packet[6] == 0x40 && naive_checksum(&packet[..20]) == 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

/// How many packets each write stands for.
fn groups(packets: &[Packet]) -> Vec<usize> {
    let packets: Vec<_> = packets.iter().map(Packet::bytes).collect();
    join(&packets, true).0
}

#[test]
fn equal_packets_in_sequence_are_joined() {
    for (ipv6, tcp) in [(false, true), (true, true), (false, false), (true, false)] {
        let first = Packet::new(ipv6, tcp, 100);
        let second = first.follower(100);
        let third = second.follower(99);
        let fourth = third.follower(99);
        assert_eq!(groups(&[first.clone(), second.clone(), third.clone()]), [3]);
        assert_eq!(groups(&[first.clone(), second.clone(), third, fourth]), [3, 1], "a shorter one is the last");
        assert_eq!(groups(&[first.clone(), second.clone(), second.follower(101)]), [2, 1]);
        assert_eq!(groups(&[first.clone(), second.clone(), second.follower(0)]), [2, 1]);
        if tcp {
            assert_eq!(groups(&[second.clone(), second.follower(100), first.clone()]), [2, 1]);
        }

        // Other flows in between do not matter, whatever else does.
        let other = Packet { ports: [7, 8], ..first.clone() };
        let others = Packet { ports: [7, 8], ..other.follower(100) };
        assert_eq!(groups(&[first.clone(), other.clone(), second.clone(), others]), [2, 2]);
        let mut stranger = other.bytes();
        stranger[if ipv6 { 6 } else { 9 }] = 50;
        assert_eq!(join(&[first.bytes(), stranger, second.bytes()], true).0, [1, 1, 1]);
    }
}

#[test]
fn udp_is_joined_only_for_who_takes_it() {
    let first = Packet::new(false, false, 100);
    let packets = [first.bytes(), first.follower(100).bytes()];
    assert_eq!(join(&packets, false).0, [1, 1]);
    assert_eq!(join(&packets, true).0, [2]);
    let without_checksum = packets.map(|mut packet| {
        packet[26..28].fill(0);
        packet
    });
    assert_eq!(join(&without_checksum, true), (vec![1, 1], without_checksum.to_vec()));
}

#[test]
fn differences_keep_packets_apart() {
    for ipv6 in [false, true] {
        let first = Packet::new(ipv6, true, 100);
        let second = first.follower(100);
        let changes: [fn(&mut Packet); 12] = [
            |packet| packet.tos ^= 1,
            |packet| packet.ttl -= 1,
            |packet| packet.sequence += 1,
            |packet| packet.acknowledgement += 1,
            |packet| packet.window += 1,
            |packet| packet.options[5] += 1,
            |packet| packet.options.truncate(8),
            |packet| packet.flags |= 0x01,
            |packet| packet.flags |= 0x40,
            |packet| packet.flags |= 0x80,
            |packet| packet.flags |= 0x100,
            |packet| packet.flags = 0x18 | 0x20,
        ];
        for (nth, change) in changes.iter().enumerate() {
            let mut changed = second.clone();
            change(&mut changed);
            assert_eq!(groups(&[first.clone(), changed.clone()]), [1, 1], "change {nth}");
            assert_eq!(groups(&[changed, changed_like(&first, change)]), [1, 1], "change {nth} first");
        }
    }
}

fn changed_like(packet: &Packet, change: &fn(&mut Packet)) -> Packet {
    let mut packet = packet.clone();
    change(&mut packet);
    packet
}

#[test]
fn a_push_ends_a_group_and_survives() {
    let first = Packet::new(false, true, 100);
    let mut second = first.follower(100);
    second.flags |= 8;
    let third = second.follower(100);
    assert_eq!(groups(&[first.clone(), second.clone(), third.clone(), third.follower(100)]), [2, 2]);
    let bytes = [first.bytes(), second.bytes()];
    assert_eq!(join(&bytes, false).1, bytes);
}

#[test]
fn timestamps_and_sack_survive() {
    for ipv6 in [false, true] {
        let mut first = Packet::new(ipv6, true, 100);
        first.options.extend([1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0]);
        let second = Packet { options: first.options.clone(), ..first.follower(100) };
        let mut third = Packet { options: first.options.clone(), ..second.follower(100) };
        third.options[19] += 1;
        let packets = [first, second, third].map(|packet| packet.bytes());
        assert_eq!(join(&packets, false), (vec![2, 1], packets.to_vec()));
    }
}

/// A later fragment has no ports, and no fragment has the checksum of all.
#[test]
fn fragments_are_neither_joined_nor_cut() {
    for tcp in [true, false] {
        let first = Packet { dont_fragment: false, ..Packet::new(false, tcp, 100) };
        let second = Packet { dont_fragment: false, ..first.follower(100) };
        let (header, large) = first.offloaded(10);
        // Not a fragment; then the first, a later one and the last.
        for (place, joined) in [(0, true), (0x2000, false), (0x2001, false), (0x0001, false)] {
            let as_fragment = |mut packet: Vec<u8>| {
                put_u16(&mut packet, 6, place);
                with_ip_checksum(packet)
            };
            let packets = [first.bytes(), second.bytes()].map(as_fragment);
            let counts = if joined { vec![2] } else { vec![1, 1] };
            assert_eq!(join(&packets, true), (counts, packets.to_vec()));
            assert_eq!(Segmenter::new(header, &as_fragment(large.clone())).is_ok(), joined);
        }
    }
}

#[test]
fn what_has_no_ports_is_neither_joined_nor_cut() {
    // ICMP, ESP, ICMPv6 and a fragment of IPv6.
    for (ipv6, protocol) in [(false, 1), (false, 50), (true, 58), (true, 50), (true, 44)] {
        let first = Packet::new(ipv6, true, 100);
        let changed = |mut packet: Vec<u8>| {
            packet[if ipv6 { 6 } else { 9 }] = protocol;
            if ipv6 { packet } else { with_ip_checksum(packet) }
        };
        let packets = [first.bytes(), first.follower(100).bytes()].map(changed);
        assert_eq!(join(&packets, true), (vec![1, 1], packets.to_vec()));
        let (header, large) = first.offloaded(10);
        assert!(Segmenter::new(header, &changed(large)).is_err());
    }
}

fn with_ip_checksum(mut packet: Vec<u8>) -> Vec<u8> {
    put_u16(&mut packet, 10, 0);
    let checksum = naive_checksum(&packet[..20]);
    put_u16(&mut packet, 10, checksum);
    packet
}

#[test]
fn identifications_count_where_they_mean_something() {
    let first = Packet::new(false, true, 100);
    let with_ids = |dont_fragment, ids: [u16; 3]| {
        let (mut packets, mut last) = (Vec::new(), first.clone());
        for id in ids {
            packets.push(Packet { id, dont_fragment, ..last.clone() });
            last = last.follower(100);
        }
        groups(&packets)
    };
    for (ids, may_be_fragmented, must_not) in [
        ([0xffff, 0, 1], &[3][..], &[3][..]),
        ([5, 5, 5], &[1, 1, 1], &[3]),
        ([5, 5, 6], &[1, 2], &[2, 1]),
        ([5, 7, 8], &[1, 2], &[1, 2]),
    ] {
        assert_eq!(with_ids(false, ids), may_be_fragmented);
        assert_eq!(with_ids(true, ids), must_not);
    }
}

#[test]
fn damage_stays_visible() {
    for (ipv6, tcp) in [(false, true), (true, true), (false, false), (true, false)] {
        let first = Packet::new(ipv6, tcp, 100);
        let second = first.follower(100);
        let third = second.follower(100);
        let fourth = third.follower(100);
        let whole = [first, second, third, fourth].map(|packet| packet.bytes());
        for (damaged, expected) in [(0, vec![1, 3]), (1, vec![1, 1, 2]), (2, vec![2, 1, 1]), (3, vec![3, 1])] {
            let mut packets = whole.clone();
            *packets[damaged].last_mut().unwrap() ^= 1;
            assert_eq!(join(&packets, true), (expected, packets.to_vec()), "packet {damaged}");
        }
    }
}

#[test]
fn a_joined_packet_has_at_most_65535_bytes() {
    let mut packets = vec![Packet::new(true, true, 1400)];
    while packets.len() < PACKETS_MAX {
        packets.push(packets.last().unwrap().follower(1400));
    }
    assert_eq!(groups(&packets), [46, 18]);
    let mut bytes: Vec<_> = packets.iter().map(Packet::bytes).collect();
    let mut coalescer = Coalescer::new(false);
    for packet in &mut bytes {
        coalescer.push(packet).unwrap();
    }
    assert!(coalescer.is_full());
    assert_eq!(coalescer.push(&mut [1]), Err(&mut [1][..]));
}

#[test]
fn super_packets_that_contradict_themselves_are_refused() {
    let packet = Packet::new(false, true, 3000);
    let (header, bytes) = packet.offloaded(1000);
    let refused = |header| cut(header, &bytes).unwrap_err();
    assert_eq!(refused(VnetHeader { gso_type: 3, ..header }), Malformed::Kind);
    assert_eq!(refused(VnetHeader::default()), Malformed::Kind);
    assert_eq!(refused(VnetHeader { gso_type: 4, ..header }), Malformed::Header);
    assert_eq!(refused(VnetHeader { gso_type: 5, ..header }), Malformed::Header);
    assert_eq!(refused(VnetHeader { csum_start: 24, ..header }), Malformed::Header);
    assert_eq!(refused(VnetHeader { csum_offset: 6, ..header }), Malformed::Checksum);
    assert_eq!(refused(VnetHeader { flags: 0, ..header }), Malformed::Checksum);
    assert_eq!(refused(VnetHeader { gso_size: 0, ..header }), Malformed::Length);
    assert_eq!(cut(header, &bytes[..bytes.len() - 1]), Err(Malformed::Length));
    assert_eq!(cut(header, &[]), Err(Malformed::Header));
    assert_eq!(finish_checksum(header, &mut bytes.clone()), Err(Malformed::Kind));
    let beyond = VnetHeader { gso_type: 0, csum_offset: u16::MAX, ..header };
    assert_eq!(finish_checksum(beyond, &mut bytes.clone()), Err(Malformed::Checksum));
}
