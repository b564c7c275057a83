//! Packets that are sealed and opened in batches: byte for byte, and state for state, what becomes of them one by one.
//! Two links live through the same, one in batches.

use super::*;
use crate::crypto::StaticKey;
use crate::data::{BATCH, Incoming, Outgoing};

const KEY: &str = include_str!("../../../../tests/vectors/count.key");

/// Longer than what is worked on side by side, and no multiple of it.
const BURST_MAX: u32 = BATCH as u32 * 2 + 3;

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        let mut drawn = [0; 4];
        self.fill(&mut drawn);
        u32::from_le_bytes(drawn) % limit
    }
}

impl Pair {
    /// A link with a static key.
    fn with_static_key(lines: &str) -> Self {
        let mut pair = Self::new("");
        for (number, end) in (1..).zip(&mut pair.ends) {
            let text =
                format!("dev tun\nifconfig 10.9.0.{number} 10.9.0.{}\n{lines}<secret>\n{KEY}</secret>\n", 3 - number);
            let config = Box::leak(Box::new(LinkConfig::parse(Box::leak(text.into_boxed_str())).unwrap()));
            let keys = Keys::Static(StaticKey::parse(KEY).unwrap());
            *end.peer = Peer::new(config, keys, Dice(number.into()), pair.now, UNIX).unwrap();
            end.peer.connect(pair.now, &[SocketAddr::from(([192, 0, 2, 3 - number], 1194))]);
        }
        pair
    }

    /// Says where each would go, or why it does not.
    fn send_all(&mut self, from: usize, payloads: &[Vec<u8>], batched: bool) -> Vec<Result<SocketAddr, NotReady>> {
        let with_room = |payload: &Vec<u8>| [&[0; HEADROOM], &payload[..], &[0; TAILROOM]].concat();
        let mut buffers: Vec<_> = payloads.iter().map(with_room).collect();
        let packets = buffers.iter_mut().zip(payloads);
        let packets = packets.map(|(buffer, payload)| PacketBuf::new(buffer, HEADROOM, payload.len()).unwrap());
        let (now, end) = (self.now, &mut self.ends[from]);
        let sealed: Vec<Result<Sealed<'_>, NotReady>> = if batched {
            let mut packets: Vec<Outgoing<'_>> = packets.map(Ok).collect();
            let to = end.peer.seal_batch(now, &mut packets);
            packets
                .into_iter()
                .map(|packet| Ok(Sealed { to: to.expect("an address"), datagram: packet?.into_slice() }))
                .collect()
        } else {
            packets.map(|packet| end.peer.seal(now, packet)).collect()
        };
        let mut send = |sealed: Sealed<'_>| {
            self.wire.push((1 - from, end.address, sealed.datagram.to_vec()));
            sealed.to
        };
        sealed.into_iter().map(|sealed| sealed.map(&mut send)).collect()
    }

    /// What is under way arrives.
    fn deliver(&mut self, batched: bool) {
        self.drain();
        self.now = self.now + Duration::from_millis(1);
        let mut wire = core::mem::take(&mut self.wire);
        for datagrams in wire.chunk_by_mut(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let (to, from, _) = datagrams[0];
            let end = &mut self.ends[to];
            let datagrams = datagrams.iter_mut().map(|(_, _, datagram)| &mut datagram[..]);
            let opened: Vec<Incoming<'_>> = if batched {
                let mut opened: Vec<_> = datagrams.map(|datagram| Ok(Some(datagram))).collect();
                end.peer.open_batch(self.now, from, &mut opened);
                opened
            } else {
                datagrams.map(|datagram| end.peer.handle_datagram(self.now, from, datagram)).collect()
            };
            for opened in opened {
                match opened {
                    Ok(Some(packet)) => end.received.extend_from_slice(packet),
                    Ok(None) => {}
                    Err(discard) => end.said.push(format!("! {discard}")),
                }
            }
        }
        for end in &mut self.ends {
            end.peer.handle_timeout(self.now);
        }
    }

    /// All that can be seen from outside, and the keys' budgets.
    fn state(&mut self) -> impl PartialEq + core::fmt::Debug + use<> {
        let (now, wire) = (self.now, self.wire.clone());
        let ends = self.ends.each_mut().map(|end| {
            let peer = &mut end.peer;
            let seen = (peer.counters(), peer.address(), peer.last_heard(), peer.has_output(now), peer.replay_state());
            let key = peer
                .link
                .tls_mut()
                .and_then(TlsLink::data_key)
                .map(|key| (key.key_id, key.budget, key.sealer.is_worn_out(), key.opener.is_worn_out()));
            (seen, peer.newest(), key, end.said.clone(), end.received.clone(), end.ended)
        });
        (wire, ends)
    }
}

impl Peer<'_, Test> {
    /// Id and time of the newest data packet.
    fn newest(&self) -> Option<(u32, u32)> {
        match &self.link {
            Link::Static(link) => link.opener.window()?.highest(),
            Link::Tls(link) => link.get().newest_data(),
        }
    }
}

/// What an operator or a program may send: among good packets empty ones, and some that would go round in circles.
fn payload(dice: &mut Dice, peer: SocketAddr) -> Vec<u8> {
    let len = [0, 1, 20, 577, 1400][dice.below(5) as usize] + dice.below(17) as usize;
    let mut payload = vec![0; len];
    dice.fill(&mut payload);
    if let Some(first) = payload.first_mut() {
        *first = if dice.below(20) == 0 { 0x35 } else { 0x45 };
    }
    let SocketAddr::V4(peer) = peer else { panic!("an IPv4 address") };
    if len >= 28 && dice.below(8) == 0 {
        payload[9] = 17;
        payload[16..20].copy_from_slice(&peer.ip().octets());
        payload[22..24].copy_from_slice(&peer.port().to_be_bytes());
    }
    payload
}

type Wire = Vec<(usize, SocketAddr, Vec<u8>)>;

/// What a network, or somebody in it, does to packets. Some come late, perhaps when there is a new key.
fn disturb(dice: &mut Dice, with_tls: bool, wire: &mut Wire, late: &mut Wire) {
    for _ in 0..late.len() / 16 {
        let packet = late.remove(dice.below(late.len() as u32) as usize);
        wire.insert(dice.below(wire.len() as u32 + 1) as usize, packet);
    }
    for nth in 0..wire.len() {
        let other = dice.below(wire.len() as u32) as usize;
        let datagram = &mut wire[nth].2;
        // Renegotiations are to succeed.
        let head = datagram.first().and_then(|first| Head::parse(*first));
        if with_tls && head.is_some_and(|head| !head.opcode.is_data()) {
            continue;
        }
        let at = dice.below(datagram.len().max(1) as u32) as usize;
        match dice.below(24) {
            0 if !datagram.is_empty() => datagram[at] ^= 1 << dice.below(8),
            1 => datagram.truncate(at),
            2 => datagram.clear(),
            3 if !datagram.is_empty() => datagram[0] ^= 1 << dice.below(8),
            4 => {
                let repeated = wire[nth].clone();
                wire.insert(other, repeated);
            }
            5 => wire.swap(nth, other),
            6 => wire[nth].1 = SocketAddr::from(([203, 0, 113, 66], 6666)),
            7 => {
                let instead = wire[other].clone();
                late.push(core::mem::replace(&mut wire[nth], instead));
            }
            _ => {}
        }
    }
}

fn live_through_the_same(make: impl Fn() -> Pair, seed: u32) -> Pair {
    let mut pairs = [make(), make()];
    let mut late = [Wire::new(), Wire::new()];
    let mut dice = Dice(seed);
    for turn in 0..400 {
        for from in [0, 1] {
            let peer = pairs[0].ends[1 - from].address;
            let payloads: Vec<_> = (0..dice.below(BURST_MAX)).map(|_| payload(&mut dice, peer)).collect();
            // Nobody can send much before there is a key.
            let [one_by_one, together] = [0, 1].map(|nth| pairs[nth].send_all(from, &payloads, nth == 1));
            assert_eq!(together, one_by_one, "turn {turn}");
        }
        let again = dice.below(u32::MAX);
        for ((pair, late), batched) in pairs.iter_mut().zip(&mut late).zip([false, true]) {
            // The first turns are for a handshake without loss.
            if turn > 60 {
                pair.drain();
                disturb(&mut Dice(again), pair.ends[0].peer.link.tls().is_some(), &mut pair.wire, late);
            }
            pair.deliver(batched);
        }
        let [one_by_one, together] = &mut pairs;
        assert_eq!(together.state(), one_by_one.state(), "turn {turn}");
        if turn % 25 == 24 {
            // Time for a new key.
            let millis = 700 + u64::from(dice.below(900));
            for pair in &mut pairs {
                pair.now = pair.now + Duration::from_millis(millis);
                pair.ends.iter_mut().for_each(|end| end.peer.handle_timeout(pair.now));
            }
        }
    }
    let [pair, _] = pairs;
    for end in &pair.ends {
        assert!(end.received.len() > 100_000, "{} bytes", end.received.len());
    }
    pair
}

#[test]
fn batches_on_links_with_tls() {
    for (seed, suite) in (1..).zip([
        "data-ciphers AES-256-CBC\nauth SHA1\n",
        "data-ciphers AES-128-CBC\nauth SHA512\ncomp-lzo\n",
        "data-ciphers AES-256-CBC\nauth none\n",
        "data-ciphers AES-256-GCM\n",
        "data-ciphers AES-192-OFB\nauth SHA256\n",
        "data-ciphers none\nauth SHA256\ncompress\n",
    ]) {
        let pair = live_through_the_same(|| Pair::new(&format!("{suite}float\nreneg-sec 3\n")), seed);
        assert!(pair.count(0, "Data Channel") > 2, "{suite}{:#?}", pair.said());
    }
}

#[test]
fn batches_on_links_with_a_static_key() {
    for (seed, suite) in (1..).zip([
        "cipher AES-256-CBC\nauth SHA1\n",
        "cipher AES-192-CBC\nauth SHA256\ncomp-lzo\nreplay-window 8\n",
        "cipher AES-128-CBC\nauth none\n",
        "cipher none\nauth SHA384\nno-replay\n",
        "cipher none\nauth none\n",
    ]) {
        live_through_the_same(|| Pair::with_static_key(&format!("{suite}float\n")), seed);
    }
}

/// Packet ids run out in the midst of a batch.
#[test]
fn a_batch_ends_where_packet_ids_do() {
    for batched in [false, true] {
        let mut pair = Pair::new("data-ciphers AES-256-CBC\nreneg-sec 3600\n");
        pair.run(1);
        pair.ends[0].peer.link.tls_mut().unwrap().data_key().unwrap().sealer.continue_after(u32::MAX - 3);
        let budget = |pair: &mut Pair| pair.ends[0].peer.link.tls_mut().unwrap().data_key().unwrap().budget.packets;
        let before = budget(&mut pair);
        let sent = pair.send_all(0, &vec![vec![0x45; 9]; BATCH], batched);
        assert_eq!(
            sent,
            [[Ok(pair.ends[1].address); 3].as_slice(), &[Err(NotReady::PacketIdsExhausted); BATCH - 3]].concat()
        );
        assert_eq!(budget(&mut pair), before - 3);
        pair.deliver(batched);
        assert_eq!(pair.ends[1].received, [0x45; 3 * 9]);
    }
}

#[test]
fn what_is_no_packet_is_left_alone() {
    let mut pair = Pair::new("data-ciphers AES-256-CBC\n");
    let mut nothing: [Outgoing<'_>; 2] = [Err(NotReady::Recursive), Err(NotReady::Down)];
    let mut none: [Incoming<'_>; 3] = [Ok(None), Err(Discard::Empty), Ok(None)];
    pair.run(1);
    let (counters, peer) = (pair.ends[0].peer.counters(), &mut pair.ends[0].peer);
    peer.seal_batch(pair.now, &mut nothing);
    peer.open_batch(pair.now, SocketAddr::from(([192, 0, 2, 2], 1194)), &mut none);
    assert!(matches!(nothing, [Err(NotReady::Recursive), Err(NotReady::Down)]));
    assert_eq!(none, [Ok(None), Err(Discard::Empty), Ok(None)]);
    assert_eq!(peer.counters(), counters);
}
