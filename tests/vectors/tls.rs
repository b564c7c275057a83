//! Data packets of TLS links, and what their keys were made of.
//!
//! Two openvpn 2.6.14 processes in two network namespaces, `ping` through the tunnel, the packets taken from the wire
//! between them. What goes into the pseudo-random function and comes out of it is what they print at `--verb 9`; TLS
//! keying material was logged by a library put between them and OpenSSL. `plain` of the CBC packets was decrypted with
//! Python's `cryptography`. The epoch packets are computed, by the same, because openvpn 2.6 has none.

use longcable_core::crypto::epoch::EpochSchedule;
use longcable_core::crypto::replay::ReplayWindow;
use longcable_core::crypto::static_key::KeyPair;
use longcable_core::crypto::{Cipher, Digest, KeyMaterial, Provider, Suite};
use longcable_core::data::{Format, Opener, Sealer};
use longcable_core::packet::{HEADROOM, TAILROOM};
use longcable_core::time::{Duration, Instant};
use longcable_core::tls::Role;
use longcable_core::wire::control::SessionId;
use longcable_core::wire::key_method2::KeySource;

use super::{BUFFER_LEN, CapturedIv, Packet, Text, decode, packet_buf};

/// Every capture of a TLS link's data packets.
pub const CAPTURED: [TlsVector; 3] = [
    TlsVector { name: "ekm_dataV2_gcm", text: Text(include_str!("ekm_dataV2_gcm.vec")) },
    TlsVector { name: "prf_dataV1_cbc", text: Text(include_str!("prf_dataV1_cbc.vec")) },
    TlsVector { name: "prf_dataV2_gcm", text: Text(include_str!("prf_dataV2_gcm.vec")) },
];

const EPOCH: Text = Text(include_str!("epoch_computed.vec"));

const NOW: Instant = Instant::from_millis(0);

/// One captured link.
pub struct TlsVector {
    /// The file's name without its ending.
    pub name: &'static str,
    text: Text,
}

impl TlsVector {
    /// The cipher and digest of both ends.
    pub fn suite(&self) -> Suite {
        let cipher = Cipher::from_name(self.text.expect("cipher")).expect("a known cipher");
        Suite::new(cipher, self.text.find("auth").and_then(Digest::from_name).unwrap_or(Digest::Sha1))
    }

    /// The data keys, derived as the link did it; panics if they are not those of the file.
    pub fn keys(&self) -> KeyMaterial {
        let bytes = |name| array(self.text.expect(name));
        let exported = KeyMaterial::from_export(|label, out| {
            assert_eq!((label, out.len()), ("EXPORTER-OpenVPN-datakeys", 256));
            decode(self.text.expect("key2"), out);
            Ok::<_, ()>(())
        });
        let exported = exported.expect("exported");
        let Some(pre_master) = self.text.find("client_pre_master") else { return exported };
        let source = |pre_master, random1, random2| KeySource { pre_master, random1, random2 };
        let client = source(array(pre_master), bytes("client_random1"), bytes("client_random2"));
        let server = source([0; 48], bytes("server_random1"), bytes("server_random2"));
        let sid = |name| SessionId::new(array(self.text.expect(name))).expect("a session id");
        let derived = KeyMaterial::from_prf(&client, &server, sid("client_sid"), sid("server_sid"));
        let areas = |pair: KeyPair<'_>| {
            let KeyPair { send, receive } = pair;
            [send.cipher(64), send.hmac(64), receive.cipher(64), receive.hmac(64)].map(array_of::<64>)
        };
        assert_eq!(areas(derived.keys(Role::Client)), areas(exported.keys(Role::Client)), "{}: key2", self.name);
        derived
    }

    /// The packets in the order in which they were captured.
    pub fn packets(&self) -> impl Iterator<Item = Packet> {
        self.text.packets()
    }

    /// An opener for what this end sends.
    pub fn opener<P: Provider>(&self, sender: Role) -> Opener<P, [u64; 1]> {
        let keys = self.keys();
        Opener::for_tls(self.suite(), keys.keys(sender.other()).receive, false, Some(window())).expect("a known suite")
    }
}

/// The role that a vector file names.
pub fn role(sender: &str) -> Role {
    match sender {
        "client" => Role::Client,
        "server" => Role::Server,
        other => panic!("unknown sender {other}"),
    }
}

/// Opens every packet of `vector` as its receiver and seals its payload again as its sender; panics
/// where the outcome differs from openvpn's. Returns the number of packets.
pub fn check<P: Provider>(vector: &TlsVector) -> usize {
    let mut openers = [Role::Client, Role::Server].map(|sender| vector.opener::<P>(sender));
    let id_in_plain = if vector.suite().cipher == Cipher::Aes256Cbc { 4 } else { 0 };
    let mut count = 0;
    for packet in vector.packets() {
        let (mut wire, mut plain) = ([0; BUFFER_LEN], [0; BUFFER_LEN]);
        let wire = decode(packet.wire, &mut wire);
        let plain = decode(packet.plain, &mut plain);
        let (id, payload) = plain.split_at(id_in_plain);
        let id = if id.is_empty() { &wire[4..8] } else { id };
        let id = u32::from_be_bytes(array_of(id));

        let format = match wire[0] {
            0x30 => Format::V1 { key_id: 0 },
            0x48 => Format::V2 { key_id: 0, peer_id: u32::from_be_bytes([0, wire[1], wire[2], wire[3]]) },
            other => panic!("unknown opcode {other:#x}"),
        };
        let keys = vector.keys();
        let send = keys.keys(role(packet.sender)).send;
        let mut sealer = Sealer::<P>::for_tls(vector.suite(), send, format, true).expect("a known suite");
        let mut buffer = [0; HEADROOM + BUFFER_LEN + TAILROOM];
        let mut sealed = packet_buf(&mut buffer, payload);
        waste(&mut sealer, id - 1);
        sealer.seal(0, &mut CapturedIv(packet.iv), &mut sealed).expect("there is room");
        assert_eq!(sealed.as_slice(), wire, "{}, packet {count}: sealed", vector.name);

        let [client, server] = &mut openers;
        let opener = if role(packet.sender) == Role::Client { client } else { server };
        assert_eq!(opener.open(NOW, wire).as_deref(), Ok(payload), "{}, packet {count}: opened", vector.name);
        count += 1;
    }
    count
}

/// Checks the keys and packets of two epochs. Returns the number of packets.
pub fn check_epochs<P: Provider>() -> usize {
    let suite = Suite::new(Cipher::Aes256Gcm, Digest::None);
    let keys = KeyMaterial::from_export(|_, out| {
        decode(EPOCH.expect("E1"), out);
        Ok::<_, ()>(())
    });
    let keys = keys.expect("exported");
    let pair = keys.keys(Role::Client);

    let mut schedule = EpochSchedule::new(pair.send).expect("a whole key");
    for (epoch, key, iv) in [(1, "K1_aes256", "implicit_iv1"), (2, "K2_aes256", "implicit_iv2")] {
        let keys = schedule.next_keys(suite.key_len).expect("a key of this length");
        assert_eq!(keys.epoch, epoch);
        assert_eq!(array_of::<32>(keys.cipher_key()), array(EPOCH.expect(key)), "{key}");
        assert_eq!(keys.implicit_iv, array(EPOCH.expect(iv)), "{iv}");
    }

    let header = array::<4>(EPOCH.expect("hdr"));
    let format = Format::Epoch { key_id: header[0] & 7, peer_id: u32::from(header[3]) };
    let mut sealer = Sealer::<P>::for_tls(suite, pair.send, format, true).expect("a known suite");
    let server = keys.keys(Role::Server);
    let mut opener = Opener::<P, _>::for_tls(suite, server.receive, true, Some(window())).expect("a known suite");
    let plain = array::<16>(EPOCH.expect("plain"));
    let wires = [(1, 1, "wire_epoch1_ctr1"), (2, 7, "wire_epoch2_ctr7")];
    for (epoch, counter, name) in wires {
        sealer.raise_epoch(epoch);
        waste(&mut sealer, counter - 1);
        let mut buffer = [0; HEADROOM + 16 + TAILROOM];
        let mut sealed = packet_buf(&mut buffer, &plain);
        sealer.seal(0, &mut CapturedIv(""), &mut sealed).expect("there is room");
        let mut wire = [0; BUFFER_LEN];
        let wire = decode(EPOCH.expect(name), &mut wire);
        assert_eq!(sealed.as_slice(), wire, "{name}: sealed");
        assert_eq!(opener.open(NOW, wire).as_deref(), Ok(&plain[..]), "{name}: opened");
        assert_eq!(opener.epoch(), Some(epoch));
    }
    wires.len()
}

/// Uses up `count` packet ids.
fn waste<P: Provider>(sealer: &mut Sealer<P>, count: u32) {
    for _ in 0..count {
        let mut buffer = [0; HEADROOM + 1 + TAILROOM];
        sealer.seal(0, &mut CapturedIv(""), &mut packet_buf(&mut buffer, &[0])).expect("there is room");
    }
}

fn window() -> ReplayWindow<[u64; 1]> {
    ReplayWindow::new([0], 64, Duration::from_secs(15))
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    assert_eq!(decode(text, &mut bytes).len(), N);
    bytes
}

fn array_of<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("as many bytes")
}
