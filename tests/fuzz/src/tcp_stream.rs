//! The stream of a TCP peer, cut into packets.

use longcable_core::packet::PacketBuf;
use longcable_core::wire::tcp_stream::{BadLength, PREFIX_LEN, Reassembler, write_prefix};

use crate::input::{Input, chunk};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let capacity = usize::from(input.byte());
    let cuts = input.take(8);
    let stream = input.rest();
    let whole = reassemble(capacity, stream, &[]);
    assert_eq!(reassemble(capacity, stream, cuts), whole, "however it is cut");

    let (packets, _) = whole;
    let mut again = Vec::new();
    for packet in &packets {
        assert!((1..=capacity - PREFIX_LEN).contains(&packet.len()));
        let mut buffer = [&[0; PREFIX_LEN], packet.as_slice()].concat();
        let mut packet = PacketBuf::new(&mut buffer, PREFIX_LEN, packet.len()).expect("it fits");
        write_prefix(&mut packet).expect("there is room");
        again.extend_from_slice(packet.as_slice());
    }
    assert!(stream.starts_with(&again), "nothing is lost or changed");
}

/// The packets in pieces of these lengths, and how it ended.
fn reassemble(capacity: usize, mut stream: &[u8], cuts: &[u8]) -> (Vec<Vec<u8>>, Option<BadLength>) {
    let mut reassembler = Reassembler::new(vec![0; capacity]);
    let mut packets = Vec::new();
    let mut cuts = cuts.iter().cycle();
    loop {
        let piece = cuts.next().map_or(stream.len(), |cut| usize::from(*cut).clamp(1, stream.len().max(1)));
        let taken = reassembler.push(&stream[..piece.min(stream.len())]);
        stream = &stream[taken..];
        loop {
            match reassembler.next_packet() {
                Ok(Some(packet)) => packets.push(packet.to_vec()),
                Ok(None) => break,
                Err(bad) => {
                    assert_eq!(reassembler.next_packet(), Err(bad), "it stays so");
                    return (packets, Some(bad));
                }
            }
        }
        if stream.is_empty() || capacity < PREFIX_LEN {
            return (packets, None);
        }
        assert!(!reassembler.room().is_empty(), "there is room again");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let stream = [chunk(&[1]), chunk(&[2; 40]), chunk(&[3; 98]), chunk(&[4; 99])].concat();
    vec![
        [&[100, 1, 2, 3, 4, 5, 6, 7, 200][..], &stream].concat(),
        [&[255, 255, 1, 1, 1, 1, 1, 1, 1][..], &stream, &[0, 0]].concat(),
        [&[64, 9, 9, 9, 9, 9, 9, 9, 9][..], &stream, &[255, 255]].concat(),
    ]
}
