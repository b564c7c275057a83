//! An end that knows the protocol and says what it likes.

use std::net::SocketAddr;

use longcable::crypto::{Fast, FastRng};
use longcable_core::control::{CELL, HEADROOM, Opened, Reliability, Wrapping};
use longcable_core::crypto::replay::PacketIdSender;
use longcable_core::crypto::{Cipher, Digest, KeyMaterial, Suite};
use longcable_core::data::{Format, Sealer};
use longcable_core::error::Discard;
use longcable_core::packet::{PacketBuf, TAILROOM};
use longcable_core::time::{Duration, Instant};
use longcable_core::tls::Role;
use longcable_core::wire::control::{Message, SessionId, write_header};
use longcable_core::wire::key_method2::{KeyMessage, KeySource};
use longcable_core::wire::opcode::{Head, Opcode};

use rustls::{ALL_VERSIONS, SupportedProtocolVersion};

use super::careless::CarelessTls;
use super::pki::Issued;
use super::world::{ADDRESSES, EPOCH, World, address};

/// `IV_PROTO` of openvpn 2.6 in a link of two equal peers, without dynamic tls-crypt.
pub const PEER_INFO: &str = "IV_CIPHERS=AES-256-GCM\nIV_PROTO=234\n";
pub const OPTIONS: &str = "V4,dev-type tun,link-mtu 1549,tun-mtu 1500,proto UDPv4,cipher AES-256-GCM,auth SHA1";

pub fn head(opcode: Opcode, key_id: u8) -> Head {
    Head::parse((opcode as u8) << 3 | key_id).expect("an opcode")
}

/// Makes control packets.
pub struct Forger {
    pub wrapping: Wrapping<Fast>,
    pub ids: PacketIdSender,
    pub own: SessionId,
}

impl Forger {
    pub fn new(wrapping: Wrapping<Fast>, own: [u8; 8]) -> Self {
        let own = SessionId::new(own).expect("not zero");
        Self { wrapping, ids: PacketIdSender::new(u32::try_from(EPOCH).expect("before 2106")), own }
    }

    /// Without a wrapping.
    pub fn plain(own: [u8; 8]) -> Self {
        Self::new(Wrapping::None, own)
    }

    pub fn packet(
        &mut self,
        head: Head,
        acks: &[u32],
        peer: Option<SessionId>,
        id: Option<u32>,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut buffer = vec![0; HEADROOM + payload.len() + TAILROOM];
        buffer[HEADROOM..][..payload.len()].copy_from_slice(payload);
        let mut packet = PacketBuf::new(&mut buffer, HEADROOM, payload.len()).expect("it fits");
        write_header(&mut packet, acks, peer, id).expect("it fits");
        self.wrapping.seal(&mut self.ids, 0, head, self.own, &mut packet).expect("it fits");
        packet.as_slice().to_vec()
    }

    pub fn reset(&mut self, opcode: Opcode) -> Vec<u8> {
        self.packet(head(opcode, 0), &[], None, Some(0), &[])
    }
}

/// The hard reset of the end with this role.
pub fn hard_reset(role: Role) -> Opcode {
    match role {
        Role::Client => Opcode::HardResetClientV2,
        Role::Server => Opcode::HardResetServerV2,
    }
}

struct Key {
    id: u8,
    reliability: Reliability,
    memory: Vec<u8>,
    tls: CarelessTls,
    /// The peer's reset has come.
    open: bool,
    /// What data keys would be made of, from the moment when TLS stands for this end.
    material: Option<KeyMaterial>,
}

pub struct Hostile {
    role: Role,
    pub address: SocketAddr,
    pub forger: Forger,
    pub peer: Option<SessionId>,
    keys: Vec<Key>,
    /// Makes TLS sessions.
    session: Box<dyn Fn() -> CarelessTls>,
    peer_id: u32,
    /// What is said as soon as TLS stands for this end, whatever the victim thinks of it.
    pub eager: Vec<u8>,
    /// What the victim has sent inside TLS.
    pub heard: Vec<Vec<u8>>,
    source: KeySource,
}

impl Hostile {
    /// The end with this role and certificate, at its usual address.
    pub fn new(role: Role, identity: &Issued) -> Self {
        let mut rng = FastRng::new();
        Self {
            role,
            address: address(ADDRESSES[role as usize]),
            forger: Forger::plain(*SessionId::generate(&mut rng).as_bytes()),
            peer: None,
            keys: Vec::new(),
            session: sessions(role, identity, ALL_VERSIONS),
            peer_id: 0,
            eager: Vec::new(),
            heard: Vec::new(),
            source: KeySource::generate(&mut rng),
        }
    }

    /// With its hard reset sent, TLS up if the victim goes along; no key messages yet.
    pub fn greeted(role: Role, identity: &Issued, world: &mut World) -> Self {
        let mut hostile = Self::new(role, identity);
        hostile.start_key(0, hard_reset(role));
        hostile.run(world, 100);
        hostile
    }

    /// With data keys; what it tells the victim about itself is `info`.
    pub fn connected(role: Role, identity: &Issued, info: &str, world: &mut World) -> Self {
        let mut hostile = Self::greeted(role, identity, world);
        hostile.say(&hostile.key_message(OPTIONS, "", "", info));
        hostile.run(world, 100);
        hostile
    }

    /// Begins the negotiation of a key.
    pub fn start_key(&mut self, id: u8, reset: Opcode) {
        let tls = (self.session)();
        self.keys.retain(|key| key.id != id);
        let mut memory = vec![0; 30 * CELL];
        let mut reliability = Reliability::new(30, Duration::from_secs(2));
        assert!(reliability.send(&mut memory, reset, 0, |_| 0));
        self.keys.push(Key { id, reliability, memory, tls, open: false, material: None });
    }

    /// Exchanges packets with the victim for this long, in ms.
    pub fn run(&mut self, world: &mut World, millis: u64) {
        let until = world.now + Duration::from_millis(millis);
        loop {
            world.run(1);
            let mut busy = false;
            for datagram in std::mem::take(&mut world.elsewhere) {
                if datagram.to == self.address {
                    busy = true;
                    self.handle(&datagram.bytes);
                }
            }
            for datagram in self.poll(world.now) {
                busy = true;
                let _ = self.inject(world, &datagram);
            }
            if world.now >= until {
                return;
            }
            if !busy {
                world.run(10);
            }
        }
    }

    /// Sends the victim any datagram.
    pub fn inject(&self, world: &mut World, datagram: &[u8]) -> Result<Option<Vec<u8>>, Discard> {
        let now = world.now;
        world.ends[0].receive(now, self.address, datagram)
    }

    fn handle(&mut self, datagram: &[u8]) {
        let mut datagram = datagram.to_vec();
        let Ok(Opened { head, sid, body, .. }) = self.forger.wrapping.open(&mut datagram) else { return };
        let Ok(message) = Message::parse(head.opcode, body) else { return };
        self.peer = Some(sid);
        let Some(key) = self.keys.iter_mut().find(|key| key.id == head.key_id.get()) else { return };
        key.reliability.acked(&message.acks);
        let Key { reliability, memory, tls, open, material, .. } = key;
        let mut said = Vec::new();
        if let Some(id) = message.id {
            reliability.receive(memory, id, message.payload, &mut |id, payload| match id {
                0 => *open = true,
                _ => said = tls.read_tls(payload),
            });
        }
        if material.is_none() && tls.stands() {
            *material = KeyMaterial::from_export(|label, out| tls.export(label, out)).ok();
            let mut id = [0; 3];
            tls.export("EXPORTER-OpenVPN-p2p-peerid", &mut id).expect("TLS stands");
            if key.id == 0 {
                self.peer_id = u32::from_be_bytes([0, id[0], id[1], id[2]]);
            }
            if !self.eager.is_empty() {
                tls.write_plain(&self.eager);
            }
        }
        if !said.is_empty() {
            self.heard.push(said);
        }
    }

    /// What is to be sent.
    fn poll(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        for key in &mut self.keys {
            while key.open
                && key.reliability.send(&mut key.memory, Opcode::Control, 1100, |cell| key.tls.write_tls(cell))
            {
            }
            while let Some(outgoing) = key.reliability.due(&key.memory, now) {
                let (opcode, id, payload) = (outgoing.opcode, outgoing.id, outgoing.payload.to_vec());
                let acks = key.reliability.take_acks(4);
                let peer = self.peer.filter(|_| !acks.is_empty());
                datagrams.push(self.forger.packet(head(opcode, key.id), &acks, peer, Some(id), &payload));
            }
            if key.reliability.has_pending_acks() {
                let acks = key.reliability.take_acks(8);
                datagrams.push(self.forger.packet(head(Opcode::Ack, key.id), &acks, self.peer, None, &[]));
            }
        }
        datagrams
    }

    /// Does not wait for acknowledgements.
    pub fn resend(&mut self) {
        for key in &mut self.keys {
            key.reliability.resend_now();
        }
    }

    /// Goes on with this certificate and these versions of TLS.
    pub fn pose_as(&mut self, identity: &Issued, versions: &'static [&'static SupportedProtocolVersion]) {
        self.session = sessions(self.role, identity, versions);
    }

    /// Whether TLS of the newest key stands or has stood for this end.
    pub fn had_tls(&self) -> bool {
        self.keys.last().is_some_and(|key| key.material.is_some())
    }

    /// Says something inside the newest key's TLS, as one record.
    pub fn say(&mut self, record: &[u8]) {
        let key = self.keys.last_mut().expect("a key");
        key.tls.write_plain(record);
    }

    /// A well-formed key message with any texts.
    pub fn key_message(&self, options: &str, user: &str, password: &str, info: &str) -> Vec<u8> {
        let mut record = vec![0; 1 << 14];
        let len = KeyMessage::write(&self.source, self.role, options, user, password, info, &mut record);
        record.truncate(len.expect("it fits"));
        record
    }

    /// Seals data under the newest key as if everything had been agreed on, with a short or a long header. Without TLS
    /// the key is a guess.
    pub fn sealer(&self, has_peer_id: bool) -> Sealer<Fast> {
        let key = self.keys.last().expect("a key");
        let guess = || {
            let fill = |_: &str, out: &mut [u8]| {
                out.fill(7);
                Ok::<_, ()>(())
            };
            KeyMaterial::from_export(fill).expect("bytes")
        };
        let material = key.material.clone().unwrap_or_else(guess);
        let format = match has_peer_id {
            true => Format::V2 { key_id: key.id, peer_id: self.peer_id },
            false => Format::V1 { key_id: key.id },
        };
        let suite = Suite::new(Cipher::Aes256Gcm, Digest::Sha1);
        Sealer::for_tls(suite, material.keys(self.role).send, format, true).expect("a known cipher")
    }
}

fn sessions(
    role: Role,
    identity: &Issued,
    versions: &'static [&'static SupportedProtocolVersion],
) -> Box<dyn Fn() -> CarelessTls> {
    let identity = identity.clone();
    Box::new(move || CarelessTls::start(role, &identity, versions))
}

/// Seals one packet.
pub fn seal(sealer: &mut Sealer<Fast>, payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; HEADROOM + payload.len() + TAILROOM];
    buffer[HEADROOM..][..payload.len()].copy_from_slice(payload);
    let mut packet = PacketBuf::new(&mut buffer, HEADROOM, payload.len()).expect("it fits");
    sealer.seal(0, &mut FastRng::new(), &mut packet).expect("it can be sealed");
    packet.as_slice().to_vec()
}
