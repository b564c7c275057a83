//! A TLS link whose peer has every key and certificate that it needs, and then does whatever it likes; and a stranger who
//! sends from the same address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::LazyLock;

use longcable_core::control::HEADROOM;
use longcable_core::control::wrapping::{Wrapping, peek};
use longcable_core::crypto::replay::PacketIdSender;
use longcable_core::crypto::{Cipher, Digest, Direction, KeyMaterial, RustCrypto, StaticKey, Suite};
use longcable_core::data::{Format, Sealer};
use longcable_core::error::Discard;
use longcable_core::event::{Reason, Signal};
use longcable_core::options::LinkConfig;
use longcable_core::packet::{self, PacketBuf, TAILROOM};
use longcable_core::time::{Duration, Instant};
use longcable_core::tls::Role;
use longcable_core::wire::control::{Message, SessionId, write_header};
use longcable_core::wire::internal::{OCC_MAGIC, PING};
use longcable_core::wire::key_method2::{KeyMessage, KeySource};
use longcable_core::wire::opcode::{Head, KeyId, Opcode};

use crate::input::{Input, chunk};
use crate::toy::{self, CLIENT_KEY, DATA, Dice, End, Guard, HELLO, UNIX};
use crate::vectors;

const LINES: [&str; 3] = [
    "reneg-sec 30\nkeepalive 10 60\nfloat\n",
    "data-epoch\nreneg-pkts 4\nhand-window 20\ntran-window 40\ncomp-lzo no\nsingle-session\nreneg-sec 0\n",
    "data-ciphers AES-256-GCM:AES-128-CBC\nmax-packet-size 154\ntls-exit\nreneg-bytes 500\nexplicit-exit-notify 2\n",
];

/// For each role, protection and set of lines.
static CONFIGS: LazyLock<Vec<LinkConfig<'static>>> = LazyLock::new(|| {
    let roles = [Role::Client, Role::Server];
    let both = |guard| roles.map(|role| LINES.map(|lines| toy::config(role, guard, lines)));
    Guard::ALL.into_iter().flat_map(both).flatten().collect()
});

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.below(CONFIGS.len());
    let config = &CONFIGS[choice];
    let guard = Guard::ALL[choice / (2 * LINES.len())];
    let mut link = Link::new(config, guard);
    while !input.is_empty() {
        link.act(&mut input);
    }
    link.later(Duration::from_secs(100));
}

struct Link {
    victim: End,
    attacker: Attacker,
    now: Instant,
    address: SocketAddr,
}

const ADDRESSES: [([u8; 4], u16); 3] = [([192, 0, 2, 1], 1194), ([192, 0, 2, 1], 1195), ([192, 0, 2, 9], 1194)];

impl Link {
    fn new(config: &'static LinkConfig<'static>, guard: Guard) -> Self {
        let now = Instant::from_millis(1000);
        let address = SocketAddr::from(ADDRESSES[0]);
        let victim = End::new(config, address, &[], now);
        let role = config.tls.role.expect("a TLS link").other();
        let mut link = Self { victim, attacker: Attacker::new(role, guard), now, address };
        link.settle();
        link
    }

    fn act(&mut self, input: &mut Input<'_>) {
        let attacker = &mut self.attacker;
        let datagram = match input.byte() % 13 {
            0 => input.chunk().to_vec(),
            1 => {
                let (first, flags, id) = (input.byte(), input.byte(), input.byte());
                let Some(head) = Head::parse(first).filter(|head| !head.opcode.is_data()) else { return };
                if flags & 1 == 0 {
                    attacker.acks.clear();
                }
                let victim = if flags & 2 == 0 { attacker.victim } else { SessionId::new([9; 8]) };
                let id =
                    (head.opcode != Opcode::Ack).then_some(if flags & 4 == 0 { attacker.next_id } else { id.into() });
                if flags & 8 == 0 {
                    attacker.next_id += 1;
                }
                attacker.control(head, victim, id, input.chunk())
            }
            2 => {
                let kind = input.below(5) as u8;
                let contents = input.chunk();
                if kind == HELLO {
                    attacker.greeting = contents.to_vec();
                }
                attacker.say(Opcode::Control, &toy::record(kind, contents))
            }
            3 => attacker.hard_reset(),
            4 => attacker.soft_reset(),
            5 => {
                let message = attacker.key_message(input.one_of(&PEER_INFOS), input.one_of(&OPTIONS));
                attacker.say(Opcode::Control, &toy::record(DATA, &message))
            }
            6 => {
                let kind = input.byte();
                let Some(datagram) = attacker.data(kind, input.chunk()) else { return };
                datagram
            }
            7 => return self.later(Duration::from_millis(u64::from(input.u16()) * 8)),
            8 => {
                self.victim.seal(self.now, &[&[0x45], input.chunk()].concat());
                {
                    self.settle();
                    return;
                }
            }
            9 => {
                self.victim.peer.leave(self.now, Reason::hard(Signal::Term));
                {
                    self.settle();
                    return;
                }
            }
            10 => return self.address = input.one_of(&ADDRESSES).into(),
            11 => attacker.say(Opcode::Ack, &[]),
            _ => {
                attacker.greeting.clear();
                attacker.say(Opcode::Control, &toy::record(HELLO, &[]))
            }
        };
        self.deliver(datagram);
    }

    /// What is dropped is counted, and not answered.
    fn deliver(&mut self, mut datagram: Vec<u8>) {
        let before = self.victim.peer.counters().discarded;
        let opened = self.victim.peer.handle_datagram(self.now, self.address, &mut datagram);
        if let Ok(Some(packet)) = &opened {
            assert!(matches!(packet[0] >> 4, 4 | 6));
        }
        let dropped = opened.map(|_| ()).err();
        assert_eq!(self.victim.peer.counters().discarded - before, u64::from(dropped.is_some()));
        // An authentic packet counts even if there is nothing of use in it.
        use Discard::{Compressed, Empty, Framing, NotIp, Occ};
        let (sent, _) = self.victim.settle(self.now);
        if let Some(why) = dropped.filter(|why| !matches!(why, Framing(_) | Compressed(_) | Empty | NotIp(_) | Occ(_)))
        {
            assert!(sent.is_empty(), "an answer to what was dropped: {why}");
        }
        sent.into_iter().for_each(|datagram| self.attacker.hear(datagram));
    }

    /// Lets the attacker hear what the victim has to say; when it has more.
    fn settle(&mut self) -> Option<Instant> {
        let (sent, wake) = self.victim.settle(self.now);
        sent.into_iter().for_each(|datagram| self.attacker.hear(datagram));
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
}

/// The peer gone mad.
struct Attacker {
    role: Role,
    wrapping: Wrapping<RustCrypto>,
    ids: PacketIdSender,
    sid: SessionId,
    victim: Option<SessionId>,
    /// Ids of the victim's packets that are not acknowledged.
    acks: Vec<u32>,
    key_id: KeyId,
    next_id: u32,
    /// What it said with its last hello.
    greeting: Vec<u8>,
    /// By their kind: the key id, and 8 times cipher and format.
    sealers: HashMap<u8, Sealer<RustCrypto>>,
}

impl Attacker {
    fn new(role: Role, guard: Guard) -> Self {
        let key = StaticKey::parse(vectors::COUNT_KEY).expect("a key file");
        let direction = if role == Role::Server { Direction::Normal } else { Direction::Inverse };
        let wrapping = match guard {
            Guard::None => Ok(Wrapping::None),
            Guard::TlsAuth => Wrapping::tls_auth(&key, Digest::Sha1, Some(direction)),
            Guard::TlsCrypt => Wrapping::tls_crypt(&key, role),
            Guard::TlsCryptV2 => Wrapping::tls_crypt(CLIENT_KEY.key(), role),
        };
        Self {
            role,
            wrapping: wrapping.expect("the algorithms are there"),
            ids: PacketIdSender::new(UNIX as u32),
            sid: SessionId::new([1; 8]).expect("not zero"),
            victim: None,
            acks: Vec::new(),
            key_id: KeyId::FIRST,
            next_id: 0,
            greeting: Vec::new(),
            sealers: HashMap::new(),
        }
    }

    fn dynamic(&self) -> Wrapping<RustCrypto> {
        let mut exported = [0; 256];
        self.export("EXPORTER-OpenVPN-dynamic-tls-crypt", &mut exported);
        Wrapping::dynamic(&exported, self.wrapping.key(), self.role).expect("SHA-256 is there")
    }

    fn export(&self, label: &str, out: &mut [u8]) {
        match self.role {
            Role::Client => toy::export(&self.greeting, &[], label, out),
            Role::Server => toy::export(&[], &self.greeting, label, out),
        }
    }

    /// Learns from what the victim sends.
    fn hear(&mut self, mut datagram: Vec<u8>) {
        let Some((head, sid)) = peek(&datagram).filter(|(head, _)| !head.opcode.is_data()) else { return };
        if self.victim != Some(sid) {
            self.victim = Some(sid);
            self.acks.clear();
        }
        if matches!(head.opcode, Opcode::HardResetClientV3 | Opcode::ControlWkc) {
            datagram.truncate(datagram.len() - CLIENT_KEY.wrapped().len());
        }
        let dynamic = self.dynamic();
        let wrapping = if head.key_id == KeyId::FIRST { &self.wrapping } else { &dynamic };
        let Ok(opened) = wrapping.open(&mut datagram) else { return };
        let message = Message::parse(head.opcode, opened.body).expect("the victim keeps to the rules");
        assert!(message.peer.is_none_or(|peer| peer == self.sid || message.acks.is_empty()) || self.next_id > 0);
        self.acks.extend(message.id);
        self.acks.drain(..self.acks.len().saturating_sub(8));
    }

    fn hard_reset(&mut self) -> Vec<u8> {
        let mut bytes = *self.sid.as_bytes();
        bytes[7] = bytes[7].wrapping_add(1);
        self.sid = SessionId::new(bytes).expect("not zero");
        (self.key_id, self.next_id) = (KeyId::FIRST, 0);
        self.sealers.clear();
        let is_v2 = self.wrapping.key() == Some(&CLIENT_KEY.key().to_bytes());
        self.say(
            match self.role {
                Role::Server => Opcode::HardResetServerV2,
                Role::Client if is_v2 => Opcode::HardResetClientV3,
                Role::Client => Opcode::HardResetClientV2,
            },
            if self.role == Role::Server && is_v2 { &[0, 1, 0, 2, 0, 1] } else { &[] },
        )
    }

    fn soft_reset(&mut self) -> Vec<u8> {
        (self.key_id, self.next_id) = (self.key_id.next(), 0);
        self.sealers.retain(|kind, _| kind % 8 != self.key_id.get());
        self.say(Opcode::SoftReset, &[])
    }

    /// The packet that comes next, with all acknowledgements.
    fn say(&mut self, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let id = (opcode != Opcode::Ack).then_some(self.next_id);
        self.next_id += u32::from(id.is_some());
        self.control(Head { opcode, key_id: self.key_id }, self.victim, id, payload)
    }

    fn control(&mut self, head: Head, victim: Option<SessionId>, id: Option<u32>, payload: &[u8]) -> Vec<u8> {
        let mut buffer = [&[0; HEADROOM][..], payload, &[0; 1024]].concat();
        let mut packet = PacketBuf::new(&mut buffer, HEADROOM, payload.len()).expect("it fits");
        let acks = if victim.is_some() { std::mem::take(&mut self.acks) } else { Vec::new() };
        write_header(&mut packet, &acks, victim, id).expect("there is room");
        let dynamic = self.dynamic();
        let wrapping = if head.key_id == KeyId::FIRST { &self.wrapping } else { &dynamic };
        wrapping.seal(&mut self.ids, UNIX as u32, head, self.sid, &mut packet).expect("there is room");
        if matches!(head.opcode, Opcode::HardResetClientV3 | Opcode::ControlWkc) {
            let wrapped = CLIENT_KEY.wrapped();
            packet.append(wrapped.len()).expect("there is room").copy_from_slice(wrapped);
        }
        packet.as_slice().to_vec()
    }

    fn key_message(&self, peer_info: &str, options: &str) -> Vec<u8> {
        let mut out = [0; 1024];
        let source = KeySource::generate(&mut Dice(7));
        let len = KeyMessage::write(&source, self.role, options, "", "", peer_info, &mut out).expect("there is room");
        out[..len].to_vec()
    }

    /// A data packet under the key that the victim has if keys were exported.
    fn data(&mut self, kind: u8, payload: &[u8]) -> Option<Vec<u8>> {
        let material = KeyMaterial::from_export(|label, out| {
            self.export(label, out);
            Ok::<_, ()>(())
        })
        .expect("exported");
        let mut id = [0; 4];
        self.export("EXPORTER-OpenVPN-p2p-peerid", &mut id[1..]);
        let (key_id, peer_id) = (kind % 8, u32::from_be_bytes(id));
        let (cipher, format) = match kind / 8 % 3 {
            0 => (Cipher::Aes256Gcm, Format::V2 { key_id, peer_id }),
            1 => (Cipher::Aes256Gcm, Format::Epoch { key_id, peer_id }),
            _ => (Cipher::Aes128Cbc, Format::V2 { key_id, peer_id }),
        };
        let suite = Suite::new(cipher, Digest::Sha1);
        let sealer = self.sealers.entry(kind % 24).or_insert_with(|| {
            Sealer::for_tls(suite, material.keys(self.role).send, format, true).expect("a TLS cipher")
        });
        let mut buffer = [&[0; packet::HEADROOM][..], payload, &[0; TAILROOM]].concat();
        let mut packet = PacketBuf::new(&mut buffer, packet::HEADROOM, payload.len()).expect("it fits");
        sealer.seal(UNIX as u32, &mut Dice(1), &mut packet).ok()?;
        Some(packet.into_slice().to_vec())
    }
}

const PEER_INFOS: [&str; 5] = [
    "IV_CIPHERS=AES-256-GCM:AES-128-GCM\nIV_PROTO=2046\n",
    "IV_CIPHERS=AES-128-CBC\nIV_PROTO=1022\n",
    "IV_CIPHERS=AES-256-GCM\nIV_PROTO=34\n",
    "IV_NCP=2\n",
    "IV_CIPHERS=nonsense\nIV_PROTO=4294967295\n",
];
const OPTIONS: [&str; 3] = ["V4,cipher AES-256-GCM,tun-mtu 1500", "V0 UNDEF", "V4,cipher BF-CBC,,,tun-mtu,tun-mtu 99"];

/// Handshake, traffic, a renegotiation, the end: for every configuration.
pub fn seeds() -> Vec<Vec<u8>> {
    let handshake = |info| [12, 5, info, 0, 11];
    let time = [7, 0x0f, 0xa0];
    let text = |text: &[u8]| [&[2, DATA], &chunk(text)[..]].concat();
    let out = [&[8], &chunk(&[7; 20])[..]].concat();
    let mut seeds = Vec::new();
    for choice in 0..CONFIGS.len() as u8 {
        let framing: &[u8] = if LINES[usize::from(choice) % LINES.len()].contains("comp-lzo") { &[0xfa] } else { &[] };
        for info in 0..PEER_INFOS.len() as u8 {
            let format = match (usize::from(choice) % LINES.len(), info) {
                (1, 0) => 8,
                (2, 1) => 16,
                _ => 0,
            };
            let data =
                |key: u8, payload: &[u8]| [&[6, format + key], &chunk(&[framing, payload].concat())[..]].concat();
            let occ = |rest: &[u8]| data(0, &[&OCC_MAGIC, rest].concat());
            let script: [&[u8]; 19] = [
                &[choice, 3],
                &handshake(info),
                &data(0, &[0x45; 40]),
                &data(0, &PING),
                &out,
                &occ(&[0]),
                &occ(b"\x01V4,cipher x"),
                &time,
                &[4],
                &handshake(info),
                &data(1, &[0x60; 60]),
                &out,
                &text(b"INFO,x\0EXI"),
                &time,
                &[9],
                &text(b"EXIT\0"),
                &[3],
                &handshake(0),
                &occ(&[6]),
            ];
            seeds.push(script.concat());
        }
        seeds.push(vec![choice, 3, 12, 1, 0x21, 1, 0, 0, 4, 1, 2, 3, 4, 5, 2, 0]);
    }
    seeds
}
