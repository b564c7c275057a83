use super::*;
use proptest::prelude::*;
use std::ops::{Deref, DerefMut};
use std::vec::Vec as Heap;

const TIMEOUT: Duration = Duration::from_secs(2);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// With its memory.
struct End(Reliability, Heap<u8>);

impl Deref for End {
    type Target = Reliability;

    fn deref(&self) -> &Reliability {
        &self.0
    }
}

impl DerefMut for End {
    fn deref_mut(&mut self) -> &mut Reliability {
        &mut self.0
    }
}

impl End {
    fn send(&mut self, opcode: Opcode, limit: usize, fill: impl FnOnce(&mut [u8]) -> usize) -> bool {
        self.0.send(&mut self.1, opcode, limit, fill)
    }

    fn due(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        self.0.due(&self.1, now)
    }

    fn receive(&mut self, id: u32, payload: &[u8], deliver: &mut dyn FnMut(u32, &[u8])) -> bool {
        self.0.receive(&mut self.1, id, payload, deliver)
    }
}

fn end(cells: usize) -> End {
    End(Reliability::new(cells, TIMEOUT), std::vec![0; cells * CELL])
}

fn queue(end: &mut End, payload: &[u8]) -> bool {
    end.send(Opcode::Control, CELL, |room| {
        room[..payload.len()].copy_from_slice(payload);
        payload.len()
    })
}

/// The ids that are to leave at `now`.
fn due(end: &mut End, now: u64) -> Heap<u32> {
    std::iter::from_fn(|| end.due(at(now)).map(|outgoing| outgoing.id)).collect()
}

/// Whether the packet is to be acknowledged, and what was delivered.
fn receive(end: &mut End, id: u32) -> (bool, Heap<u32>) {
    let mut delivered = Heap::new();
    let taken = end.receive(id, &id.to_be_bytes(), &mut |id, payload| {
        assert_eq!(payload, id.to_be_bytes());
        delivered.push(id);
    });
    (taken, delivered)
}

#[test]
fn a_packet_is_repeated_at_doubling_intervals_until_it_is_acknowledged() {
    let mut end = end(2);
    assert!(end.is_all_acked());
    assert_eq!(end.next_due(), None);
    assert!(end.send(Opcode::HardResetClientV2, CELL, |_| 0));
    assert!(!end.is_all_acked());
    assert!(end.next_due().unwrap() <= at(0));
    for (now, next) in [(500, 2_500), (2_500, 6_500), (6_600, 14_600), (14_600, 30_600)] {
        assert_eq!(end.due(at(now)), Some(Outgoing { opcode: Opcode::HardResetClientV2, id: 0, payload: &[] }));
        assert_eq!(end.due(at(next - 1)), None);
        assert_eq!(end.next_due(), Some(at(next)));
    }
    end.resend_now();
    assert_eq!(due(&mut end, 15_000), [0]);
    assert_eq!(end.next_due(), Some(at(17_000)), "the first interval again");
    end.acked(&[7, 0, 0]);
    assert!(end.is_all_acked());
    assert_eq!((end.next_due(), end.due(at(99_000))), (None, None));
}

#[test]
fn no_more_than_the_window_is_under_way() {
    let mut end = end(12);
    for _ in 0..6 {
        assert!(queue(&mut end, b"x"));
    }
    assert!(!end.can_send());
    assert!(!queue(&mut end, b"x"));
    end.acked(&[1, 2, 3]);
    assert!(!end.can_send(), "what is missing is the oldest");
    end.acked(&[0]);
    for _ in 0..4 {
        assert!(queue(&mut end, b"x"));
    }
    assert!(!end.can_send());
    assert_eq!(due(&mut end, 0), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn the_last_free_cell_is_for_receiving() {
    assert!(!end(0).can_send() && !end(1).can_send());
    let mut end = end(3);
    assert!(queue(&mut end, b"x") && queue(&mut end, b"x") && !end.can_send());
    assert_eq!(receive(&mut end, 1), (true, std::vec![]));
    assert_eq!(receive(&mut end, 2), (false, std::vec![]), "there is no cell for it");
    end.acked(&[0]);
    assert!(end.can_send(), "receiving has one");
    assert_eq!(receive(&mut end, 0), (true, std::vec![0, 1]));
    assert_eq!(end.take_acks(8), [0, 1]);
}

#[test]
fn an_empty_piece_of_the_stream_is_no_packet() {
    let mut end = end(2);
    assert!(!end.send(Opcode::Control, CELL, |_| 0));
    assert!(end.is_all_acked());
    assert!(end.send(Opcode::ControlWkc, CELL, |_| 0));
    end.acked(&[0]);
    assert!(end.send(Opcode::Control, 3, |room| {
        room.fill(7);
        room.len()
    }));
    assert_eq!(end.due(at(0)).unwrap().payload, [7; 3]);
    end.acked(&[1]);
    assert!(end.send(Opcode::Control, usize::MAX, |room| room.len()));
    assert_eq!(end.due(at(0)).unwrap().payload.len(), CELL);
}

#[test]
fn what_later_packets_overtake_is_repeated_at_once() {
    let mut end = end(8);
    for _ in 0..6 {
        queue(&mut end, b"x");
    }
    assert_eq!(due(&mut end, 0), [0, 1, 2, 3, 4, 5]);
    end.acked(&[2, 3, 3, 2]);
    assert_eq!(due(&mut end, 1), []);
    end.acked(&[4]);
    assert_eq!(due(&mut end, 1), [0, 1]);
    assert_eq!(end.next_due(), Some(at(2_000)), "packet 5");
    end.acked(&[5]);
    assert_eq!((due(&mut end, 1), end.next_due()), (std::vec![], Some(at(2_001))));
}

#[test]
fn packets_are_delivered_in_order_once_and_acknowledged_each_time() {
    let mut end = end(12);
    assert_eq!(receive(&mut end, 2), (true, std::vec![]));
    assert_eq!(receive(&mut end, 11), (true, std::vec![]));
    assert_eq!(receive(&mut end, 12), (false, std::vec![]), "too far ahead");
    assert_eq!(receive(&mut end, u32::MAX), (false, std::vec![]));
    assert_eq!(receive(&mut end, 2), (true, std::vec![]));
    assert_eq!(end.take_acks(8), [11, 2]);
    assert!(!end.has_pending_acks());
    assert_eq!(receive(&mut end, 0), (true, std::vec![0]));
    assert_eq!(receive(&mut end, 1), (true, std::vec![1, 2]));
    assert_eq!(receive(&mut end, 0), (true, std::vec![]));
    assert!(end.has_pending_acks());
    assert_eq!(end.take_acks(4), [1, 0, 11, 2]);
    let long = [0; CELL + 1];
    assert!(!end.receive(4, &long, &mut |_, _| panic!()), "too long to wait");
    assert!(end.receive(3, &long, &mut |id, payload| assert_eq!((id, payload.len()), (3, CELL + 1))));
}

#[test]
fn acknowledgements_are_repeated_and_never_lost() {
    let mut end = end(2);
    for id in 0..9 {
        assert_eq!(receive(&mut end, id).0, id < 8, "the list is full");
    }
    assert_eq!(end.take_acks(4), [3, 2, 1, 0]);
    assert!(end.has_pending_acks());
    assert_eq!(end.take_acks(0), []);
    assert_eq!(end.take_acks(8), [7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(receive(&mut end, 8), (true, std::vec![8]));
    assert_eq!(end.take_acks(usize::MAX), [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(end.take_acks(3), [8, 7, 6]);
}

#[test]
fn starts_again_in_the_same_memory_or_after_the_resets() {
    let mut end = end(4);
    queue(&mut end, b"x");
    receive(&mut end, 1);
    receive(&mut end, 0);
    end.restart();
    assert!(end.is_all_acked() && !end.has_pending_acks());
    assert_eq!(end.take_acks(8), []);
    assert_eq!(receive(&mut end, 0), (true, std::vec![0]));
    queue(&mut end, b"x");
    assert_eq!(due(&mut end, 0), [0]);

    let mut end = End(Reliability::after_resets(2, TIMEOUT), std::vec![0; 2 * CELL]);
    queue(&mut end, b"x");
    assert_eq!(due(&mut end, 0), [1]);
    assert_eq!(receive(&mut end, 0), (true, std::vec![]));
    assert_eq!(receive(&mut end, 1), (true, std::vec![1]));
}

struct Packet {
    arrives: u64,
    acks: Heap<u32>,
    id: Option<u32>,
    payload: Heap<u8>,
}

/// One end with what it has to say, what it has heard, and what is on its way to it.
struct Talker {
    end: End,
    to_say: Heap<u8>,
    said: usize,
    heard: Heap<u8>,
    inbox: Heap<Packet>,
}

/// A bad network: how many of 100 packets it loses and doubles, and how long it takes at most (ms).
#[derive(Clone, Copy, Debug)]
struct Network {
    loses: u32,
    doubles: u32,
    delay: u64,
    state: u64,
}

impl Network {
    fn draw(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) % below
    }

    fn carry(&mut self, now: u64, inbox: &mut Heap<Packet>, packet: (Heap<u32>, Option<u32>, &[u8])) {
        let copies = 1 + u32::from(self.draw(100) < self.doubles.into());
        for _ in 0..copies {
            if self.draw(100) >= self.loses.into() {
                let arrives = now + self.draw(self.delay);
                inbox.push(Packet { arrives, acks: packet.0.clone(), id: packet.1, payload: packet.2.to_vec() });
            }
        }
    }
}

impl Talker {
    fn new(cells: usize, to_say: Heap<u8>) -> Self {
        Self { end: end(cells), to_say, said: 0, heard: Heap::new(), inbox: Heap::new() }
    }

    fn talk(&mut self, now: u64, network: &mut Network, inbox: &mut Heap<Packet>) {
        loop {
            let rest = &self.to_say[self.said..];
            let mut len = 0;
            let limit = 1 + network.draw(40) as usize;
            let queued = self.end.send(Opcode::Control, limit, |room| {
                len = room.len().min(rest.len());
                room[..len].copy_from_slice(&rest[..len]);
                len
            });
            if !queued {
                break;
            }
            self.said += len;
        }
        while self.end.next_due().is_some_and(|due| due <= at(now)) {
            let acks = self.end.take_acks(4).to_vec();
            let outgoing = self.end.due(at(now)).expect("it is due");
            network.carry(now, inbox, (acks, Some(outgoing.id), outgoing.payload));
        }
        while self.end.has_pending_acks() {
            let acks = self.end.take_acks(8).to_vec();
            network.carry(now, inbox, (acks, None, &[]));
        }
    }

    fn listen(&mut self, now: u64) {
        while let Some(index) = self.inbox.iter().position(|packet| packet.arrives <= now) {
            let packet = self.inbox.swap_remove(index);
            self.end.acked(&packet.acks);
            if let Some(id) = packet.id {
                self.end.receive(id, &packet.payload, &mut |_, payload| self.heard.extend_from_slice(payload));
            }
        }
    }
}

proptest! {
    #[test]
    fn two_ends_hear_each_other_over_a_bad_network(
        cells in (2_usize..10, 2_usize..10),
        words in (proptest::collection::vec(any::<u8>(), 0..600), proptest::collection::vec(any::<u8>(), 0..600)),
        loses in 0_u32..40, doubles in 0_u32..40, delay in 1_u64..5_000, state: u64,
    ) {
        let mut network = Network { loses, doubles, delay, state };
        let (mut a, mut b) = (Talker::new(cells.0, words.0), Talker::new(cells.1, words.1));
        let mut now = 0;
        while a.heard.len() < b.to_say.len()
            || b.heard.len() < a.to_say.len()
            || !a.end.is_all_acked()
            || !b.end.is_all_acked()
        {
            a.talk(now, &mut network, &mut b.inbox);
            b.talk(now, &mut network, &mut a.inbox);
            let arrivals = a.inbox.iter().chain(&b.inbox).map(|packet| packet.arrives);
            let timers = [&a, &b].into_iter().filter_map(|talker| talker.end.next_due()).map(Instant::as_millis);
            now = arrivals.chain(timers).min().expect("something will happen").max(now + 1);
            prop_assert!(now < 1 << 50, "they have fallen silent");
            a.listen(now);
            b.listen(now);
        }
        prop_assert_eq!(a.heard, b.to_say);
        prop_assert_eq!(b.heard, a.to_say);
    }

    #[test]
    fn any_ids_leave_it_sound(
        cells in 0_usize..5,
        steps in proptest::collection::vec((0_u8..4, prop_oneof![0_u32..30, any::<u32>()], 0_usize..CELL + 9), 0..200),
    ) {
        let mut end = end(cells);
        let mut next = 0;
        for (now, (step, id, len)) in (0..).zip(steps) {
            match step {
                0 => _ = end.acked(&[id, id]),
                1 => {
                    let payload = std::vec![0; len];
                    end.receive(id, &payload, &mut |id, _| {
                        assert_eq!(id, next, "in order");
                        next += 1;
                    });
                }
                2 => {
                    end.send(Opcode::Control, len, |room| room.len());
                }
                _ => {
                    while end.due(at(now * 1000)).is_some() {}
                    prop_assert!(end.take_acks(len).len() <= ACKS_MAX.min(len));
                    prop_assert!(end.next_due().is_none_or(|due| due > at(now * 1000)));
                }
            }
            prop_assert!(end.sent.len() + end.held.len() <= cells);
        }
    }
}
