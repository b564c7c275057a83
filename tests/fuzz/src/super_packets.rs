//! Large packets as a TUN device gives them, to be cut into the packets that they stand for.
//!
//! Input: the header that precedes them, or a byte for each of its fields, then the packet.

use crate::input::Input;
use crate::offload::segment::{Segmenter, finish_checksum};
use crate::offload::{VNET_HEADER_LEN, VnetHeader};

const ROOM: usize = 9;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let header = if input.byte().is_multiple_of(2) {
        VnetHeader::from_bytes(input.take(VNET_HEADER_LEN).try_into().unwrap_or_default())
    } else {
        VnetHeader {
            flags: 1,
            gso_type: input.one_of(&[0, 1, 4, 5]),
            hdr_len: 0,
            gso_size: input.byte().into(),
            csum_start: input.one_of(&[20, 24, 40, 48]),
            csum_offset: input.one_of(&[6, 16]),
        }
    };
    let packet = input.rest();
    finish(header, packet);
    let Ok(mut segmenter) = Segmenter::new(header, packet) else { return };
    assert!(header.is_super_packet());
    let (count, size) = (segmenter.len(), usize::from(header.gso_size));
    let mut payload = Vec::new();
    for nth in 1..=count {
        let length = segmenter.segment_len();
        let mut slot = vec![0xee; ROOM + length + ROOM];
        assert!(segmenter.next(&mut slot[..ROOM + length - 1], ROOM).is_none(), "it does not fit");
        let range = segmenter.next(&mut slot, ROOM).expect("it fits").range();
        assert_eq!(range, ROOM..ROOM + length);
        assert!(slot[..ROOM].iter().chain(&slot[ROOM + length..]).all(|byte| *byte == 0xee));
        let segment = &slot[range];
        let said = usize::from(u16::from_be_bytes(match segment[0] >> 4 {
            4 => [segment[2], segment[3]],
            _ => [segment[4], segment[5]],
        }));
        assert_eq!(said + if segment[0] >> 4 == 4 { 0 } else { 40 }, length);
        // The headers are as long as those of the whole.
        let transport = usize::from(header.csum_start);
        let headers =
            transport + if header.csum_offset == 16 { usize::from(packet[transport + 12] >> 4) * 4 } else { 8 };
        assert!(length - headers == size || (nth == count && length - headers <= size));
        payload.extend_from_slice(&segment[headers..]);
        if nth == count {
            assert_eq!(payload, &packet[headers..]);
        }
    }
    assert!(segmenter.is_empty() && segmenter.next(&mut [0; 70_000], 0).is_none());
}

/// A checksum is two bytes.
fn finish(header: VnetHeader, packet: &[u8]) {
    let mut finished = packet.to_vec();
    let result = finish_checksum(header, &mut finished);
    let place = usize::from(header.csum_start) + usize::from(header.csum_offset);
    for at in (0..packet.len()).filter(|at| packet[*at] != finished[*at]) {
        assert!(result.is_ok() && (at == place || at == place + 1), "byte {at}");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let v4 = [0x45, 0, 0, 80, 0, 7, 0x40, 0, 64, 6, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2];
    let v6 = [&[0x60, 0, 0, 0, 0, 60, 6, 64][..], &[0xfd; 32]].concat();
    let tcp = [&[0, 1, 0, 2, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, 0x99, 0, 9, 0x12, 0x34, 0, 0][..], &[7; 40]].concat();
    let udp = [&[0, 1, 0, 2, 0, 60, 0, 0][..], &[7; 52]].concat();
    let mut udp4 = v4;
    udp4[9] = 17;
    let mut udp6 = v6.clone();
    udp6[6] = 17;
    vec![
        [&[1, 1, 16, 0, 1][..], &v4, &tcp].concat(),
        [&[1, 2, 16, 2, 1][..], &v6, &tcp].concat(),
        [&[1, 3, 9, 0, 0][..], &udp4, &udp].concat(),
        [&[1, 3, 9, 2, 0][..], &udp6, &udp].concat(),
        [&[1, 0, 0, 0, 1][..], &v4, &tcp].concat(),
        [&[0][..], &VnetHeader::default().to_bytes(), &v4, &tcp].concat(),
    ]
}
