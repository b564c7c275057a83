//! Two honest ends, and a network between them that reads, holds back, repeats, damages and invents.
//!
//! Whatever it does, an end hands out only what the other one was given, and once; and when the network is good again,
//! packets flow again.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::LazyLock;

use longcable_core::options::LinkConfig;
use longcable_core::time::{Duration, Instant};
use longcable_core::tls::Role;

use crate::input::{Input, chunk};
use crate::toy::{self, End, Guard};

const LINES: [&str; 2] = [
    "reneg-sec 40\nkeepalive 10 60\n",
    "reneg-sec 30\nkeepalive 5 30\nhand-window 20\ntran-window 25\nmax-packet-size 300\nfloat\ndata-epoch\n",
];

/// Both ends for each protection and set of lines.
static CONFIGS: LazyLock<Vec<[LinkConfig<'static>; 2]>> = LazyLock::new(|| {
    let both = |guard, lines| [Role::Client, Role::Server].map(|role| toy::config(role, guard, lines));
    Guard::ALL.into_iter().flat_map(|guard| LINES.map(|lines| both(guard, lines))).collect()
});

/// So long may it take until packets flow again: what was negotiated has to fail or to go silent first, and a
/// negotiation that was disturbed to give way.
const RECOVERY: Duration = Duration::from_secs(300);

/// The most datagrams that the network remembers.
const MEMORY: usize = 200;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut net = Network::new(&CONFIGS[input.below(CONFIGS.len())]);
    while !input.is_empty() {
        net.act(&mut input);
    }
    net.recover();
}

struct Network {
    ends: [End; 2],
    addresses: [SocketAddr; 3],
    now: Instant,
    /// To which end, and what.
    under_way: VecDeque<(usize, Vec<u8>)>,
    /// Everything that was ever sent, with its receiver.
    recorded: Vec<(usize, Vec<u8>)>,
    /// How many packets each end was given; their number is in them.
    given: [u32; 2],
    delivered: [HashSet<u32>; 2],
}

impl Network {
    fn new(configs: &'static [LinkConfig<'static>; 2]) -> Self {
        let now = Instant::from_millis(1000);
        let addresses =
            [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]].map(|address| SocketAddr::from((address, 1194)));
        let end = |number: usize| {
            let greeting = [&[0, number as u8][..], &[7; 1500]].concat();
            End::new(&configs[number], addresses[1 - number], &greeting, now)
        };
        let mut net = Self {
            ends: [end(0), end(1)],
            addresses,
            now,
            under_way: VecDeque::new(),
            recorded: Vec::new(),
            given: [0; 2],
            delivered: Default::default(),
        };
        net.settle();
        net
    }

    fn act(&mut self, input: &mut Input<'_>) {
        match input.byte() % 12 {
            0 => self.deliver_next(),
            1 => {
                if let Some((to, datagram)) = self.under_way.pop_back() {
                    self.deliver(to, 1 - to, datagram);
                }
            }
            2 => drop(self.under_way.pop_front()),
            3 => self.deliver_all(),
            4 => {
                let (choice, to, from) = (input.byte(), input.below(2), input.below(3));
                let Some((_, datagram)) = self.recorded.iter().rev().nth(choice.into()).cloned() else { return };
                self.deliver(to, from, datagram);
            }
            5 => {
                let (choice, to, from) = (input.byte(), input.below(2), input.below(3));
                let bit = usize::from(input.u16());
                let Some((_, mut datagram)) = self.recorded.iter().rev().nth(choice.into()).cloned() else { return };
                let at = bit / 8 % datagram.len();
                datagram[at] ^= 1 << (bit % 8);
                self.deliver(to, from, datagram);
            }
            6 => {
                let (to, from) = (input.below(2), input.below(3));
                self.deliver(to, from, input.chunk().to_vec());
            }
            7 => {
                // The head of one and the tail of another.
                let (head, tail, len) = (input.byte(), input.byte(), input.byte());
                let (to, from) = (input.below(2), input.below(3));
                let nth = |choice: u8| self.recorded.iter().rev().nth(choice.into()).map(|(_, datagram)| &datagram[..]);
                let (Some(head), Some(tail)) = (nth(head), nth(tail)) else { return };
                let len = usize::from(len).min(head.len());
                let datagram = [&head[..len], tail.get(len..).unwrap_or_default()].concat();
                self.deliver(to, from, datagram);
            }
            8 => self.later(Duration::from_millis(u64::from(input.byte()) * 4)),
            9 => self.later(Duration::from_millis(u64::from(input.byte()) * 250)),
            10 => {
                let end = input.below(2);
                self.give(end);
            }
            _ => {
                // A good second.
                for _ in 0..4 {
                    self.deliver_all();
                    self.later(Duration::from_millis(250));
                }
            }
        }
    }

    fn deliver_next(&mut self) {
        if let Some((to, datagram)) = self.under_way.pop_front() {
            self.deliver(to, 1 - to, datagram);
        }
    }

    fn deliver_all(&mut self) {
        for _ in 0..MEMORY {
            self.deliver_next();
        }
    }

    fn deliver(&mut self, to: usize, from: usize, mut datagram: Vec<u8>) {
        match self.ends[to].peer.handle_datagram(self.now, self.addresses[from], &mut datagram) {
            Ok(None) => {}
            Ok(Some(packet)) => {
                let [0x45, sender, a, b, c, d] = *packet else { panic!("a packet that nobody was given") };
                let number = u32::from_be_bytes([a, b, c, d]);
                assert_eq!(usize::from(sender), 1 - to, "its own packet");
                assert!((1..=self.given[1 - to]).contains(&number), "a packet that nobody was given");
                assert!(self.delivered[to].insert(number), "a packet twice");
            }
            Err(_) => {
                let (sent, _) = self.ends[to].settle(self.now);
                assert!(sent.is_empty(), "an answer to what was dropped");
            }
        }
        self.settle();
    }

    /// A packet for the tunnel.
    fn give(&mut self, end: usize) {
        let number = self.given[end] + 1;
        let [a, b, c, d] = number.to_be_bytes();
        if let Some(datagram) = self.ends[end].seal(self.now, &[0x45, end as u8, a, b, c, d]) {
            self.given[end] = number;
            self.send(1 - end, datagram);
        }
        self.settle();
    }

    fn send(&mut self, to: usize, datagram: Vec<u8>) {
        if self.under_way.len() < MEMORY {
            self.under_way.push_back((to, datagram.clone()));
        }
        if self.recorded.len() < 4 * MEMORY {
            self.recorded.push((to, datagram));
        }
    }

    /// Takes what the ends have to send; when one of them has more.
    fn settle(&mut self) -> Option<Instant> {
        let mut wake = None;
        for from in 0..2 {
            let (sent, at) = self.ends[from].settle(self.now);
            sent.into_iter().for_each(|datagram| self.send(1 - from, datagram));
            wake = [wake, at].into_iter().flatten().min();
        }
        wake
    }

    fn later(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(wake) = self.settle().filter(|wake| *wake <= until) {
            self.now = wake;
        }
        self.now = until;
        self.settle();
    }

    fn recover(&mut self) {
        let until = self.now + RECOVERY;
        let before = self.given;
        while self.now < until {
            self.deliver_all();
            [0, 1].into_iter().for_each(|end| self.give(end));
            self.deliver_all();
            if [0, 1].into_iter().all(|end| self.delivered[end].iter().any(|number| *number > before[1 - end])) {
                return;
            }
            self.later(Duration::from_millis(500));
        }
        panic!("packets do not flow again");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for choice in 0..CONFIGS.len() as u8 {
        let renegotiated = [[11; 46], [11; 46]].concat();
        let traffic = [11, 11, 10, 0, 10, 1, 3, 9, 100];
        let script: [&[u8]; 8] = [
            &[choice, 0, 0, 1, 0, 1, 2, 2],
            &traffic,
            &[4, 0, 0, 1, 4, 1, 1, 0, 4, 30, 1, 0, 4, 40, 0, 1, 5, 1, 0, 1, 0, 99, 7, 3, 8, 40, 0, 1],
            &traffic,
            &[[6, 1, 0].as_slice(), &chunk(&[0x38, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0])].concat(),
            &renegotiated,
            &traffic,
            &[9, 250, 4, 200, 0, 1, 4, 150, 1, 0, 9, 250],
        ];
        seeds.push(script.concat());
        seeds.push(script[..4].concat());
    }
    seeds
}
