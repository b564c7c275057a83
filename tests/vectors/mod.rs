//! Packets that openvpn really sent (format: README.md). Nothing here needs a heap, so a board can check them, too.

pub mod tls;

use longcable_core::crypto::replay::ReplayWindow;
use longcable_core::crypto::{Cipher, Digest, Direction, Provider, Rng, StaticKey, Suite};
use longcable_core::data::{Opener, Sealer};
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::time::{Duration, Instant};
use longcable_core::wire::compress::Framing;

/// The key of most vectors: bytes 00 to ff.
pub const COUNT_KEY: &str = include_str!("count.key");

/// The sample key of the OpenVPN FAQ.
pub const FAQ_KEY: &str = include_str!("faq.key");

macro_rules! vectors {
    ($($name:literal $framing:ident,)+) => {
        /// Every capture of a static-key link.
        pub const STATIC: &[Vector] = &[$(
            Vector { name: $name, text: Text(include_str!(concat!($name, ".vec"))), framing: Framing::$framing },
        )+];
    };
}

vectors! {
    "static_aes128cbc_sha256_dir" None,
    // Here the framing is behind the fragment header.
    "static_aes192cbc_sha512_frag_lzo" None,
    "static_aes256cbc_sha1" None,
    "static_bfcbc_sha1" None,
    "static_bfcbc_sha1_dir_complzo" Lzo,
    "static_cipher_none_sha1" None,
    "static_comp_clzono" LzoStub,
    "static_comp_lz4" Lz4,
    "static_comp_lz4v2" Lz4V2,
    "static_comp_lzoyes" Lzo,
    "static_comp_stub" Stub,
    "static_comp_stubv2" StubV2,
    "static_desede3_md5_dir" None,
    "static_noreplay" None,
    "static_occ_exit" None,
    "static_occ_request_reply" None,
    "static_tap_aes256cbc_sha256" None,
    "static_tcp_aes256cbc_sha1" None,
}

/// Length of the longest captured packet and of all that sealing may add, in bytes.
const BUFFER_LEN: usize = 1024;

/// Length of a long packet id in bytes.
const LONG_ID_LEN: usize = 8;

/// One captured link.
pub struct Vector {
    /// The file's name without its ending.
    pub name: &'static str,
    text: Text,
    /// The compression framing of both ends.
    pub framing: Framing,
}

impl Vector {
    /// The cipher and digest of both ends.
    pub fn suite(&self) -> Suite {
        let cipher = Cipher::from_name(self.text.expect("cipher")).expect("a known cipher");
        let digest = Digest::from_name(self.text.expect("auth")).expect("a known digest");
        Suite::new(cipher, digest)
    }

    /// The key of both ends.
    pub fn key(&self) -> StaticKey {
        let text = match self.text.expect("key_file") {
            "count.key" => COUNT_KEY,
            "faq.key" => FAQ_KEY,
            other => panic!("unknown key file {other}"),
        };
        StaticKey::parse(text).expect("a static key")
    }

    /// The direction in which the peer `sender`, `"A"` or `"B"`, uses the key.
    pub fn direction(&self, sender: &str) -> Option<Direction> {
        match self.text.expect(if sender == "A" { "dir_A" } else { "dir_B" }) {
            "none" => None,
            "0" => Some(Direction::Normal),
            "1" => Some(Direction::Inverse),
            other => panic!("unknown direction {other}"),
        }
    }

    /// Whether packets carry ids.
    pub fn has_packet_ids(&self) -> bool {
        !self.name.ends_with("noreplay")
    }

    /// The packets in the order in which they were captured.
    pub fn packets(&self) -> impl Iterator<Item = Packet> {
        self.text.packets()
    }
}

/// The text of a vector file.
#[derive(Clone, Copy)]
struct Text(&'static str);

impl Text {
    fn packets(self) -> impl Iterator<Item = Packet> {
        (0..).map_while(move |number| {
            Some(Packet {
                sender: self.packet_value(number, "sender")?,
                wire: self.packet_value(number, "wire")?,
                iv: self.packet_value(number, "iv").unwrap_or(""),
                plain: self.packet_value(number, "plain")?,
            })
        })
    }

    fn expect(self, name: &str) -> &'static str {
        self.find(name).expect("a value of this name")
    }

    fn find(self, name: &str) -> Option<&'static str> {
        self.values().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn packet_value(self, number: usize, name: &str) -> Option<&'static str> {
        let is_asked = |known: &str| {
            let (packet, field) = known.split_once('.')?;
            (packet.strip_prefix("pkt")?.parse() == Ok(number) && field == name).then_some(())
        };
        self.values().find(|(known, _)| is_asked(known).is_some()).map(|(_, value)| value)
    }

    fn values(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.trim(), value.trim()))
    }
}

/// One captured packet; bytes as hexadecimal text.
pub struct Packet {
    /// `"A"` or `"B"`; with TLS `"client"` or `"server"`.
    pub sender: &'static str,
    /// The datagram.
    pub wire: &'static str,
    /// The initialisation vector, if it is random; else empty.
    pub iv: &'static str,
    /// The decrypted datagram.
    pub plain: &'static str,
}

/// Decodes `text` into the front of `buffer`.
pub fn decode<'b>(text: &str, buffer: &'b mut [u8]) -> &'b mut [u8] {
    let len = text.len() / 2;
    for (digits, byte) in text.as_bytes().chunks(2).zip(&mut buffer[..len]) {
        let digits = core::str::from_utf8(digits).expect("ASCII");
        *byte = u8::from_str_radix(digits, 16).expect("hexadecimal digits");
    }
    &mut buffer[..len]
}

/// Opens every packet of `vector` as its receiver and seals its payload again as its sender; panics
/// where the outcome differs from openvpn's. Returns the number of packets.
pub fn check<P: Provider>(vector: &Vector) -> usize {
    let (suite, key) = (vector.suite(), vector.key());
    let mut openers = ["A", "B"].map(|sender| {
        let peer = if sender == "A" { "B" } else { "A" };
        let window = vector.has_packet_ids().then(|| ReplayWindow::new([0_u64], 64, Duration::from_secs(15)));
        Opener::<P, _>::new(suite, key.keys(vector.direction(peer)).receive, window).expect("a known suite")
    });
    let mut count = 0;
    for packet in vector.packets() {
        let (mut wire, mut plain) = ([0; BUFFER_LEN], [0; BUFFER_LEN]);
        let plain = decode(packet.plain, &mut plain);
        let (id, payload) = plain.split_at_mut(if vector.has_packet_ids() { LONG_ID_LEN } else { 0 });

        let [from_a, from_b] = &mut openers;
        let opener = if packet.sender == "A" { from_a } else { from_b };
        let opened = opener.open(Instant::from_millis(0), decode(packet.wire, &mut wire)).expect("it opens");
        assert_eq!(opened, payload, "{}, packet {count}: opened", vector.name);

        let inner = vector.framing.open(payload).expect("the framing is right");
        let mut buffer = [0; HEADROOM + BUFFER_LEN + TAILROOM];
        let mut sealed = packet_buf(&mut buffer, inner);
        vector.framing.seal(&mut sealed).expect("there is room");
        seal_as_captured::<P>(vector, &packet, id, &mut sealed);
        assert_eq!(sealed.as_slice(), decode(packet.wire, &mut wire), "{}, packet {count}: sealed", vector.name);
        count += 1;
    }
    count
}

/// Seals under the packet id and initialisation vector that openvpn used.
fn seal_as_captured<P: Provider>(vector: &Vector, packet: &Packet, id: &[u8], payload: &mut PacketBuf<'_>) {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let (id, time) = id.split_at(id.len() / 2);
    let time = vector.has_packet_ids().then(|| number(time));
    let key = vector.key();
    let mut sealer =
        Sealer::<P>::new(vector.suite(), key.keys(vector.direction(packet.sender)).send, time).expect("a known suite");
    let mut iv = CapturedIv(packet.iv);
    for _ in 1..number(id) {
        let mut buffer = [0; HEADROOM + 1 + TAILROOM];
        sealer.seal(0, &mut iv, &mut packet_buf(&mut buffer, &[0])).expect("there is room");
    }
    sealer.seal(0, &mut iv, payload).expect("there is room");
}

fn packet_buf<'b>(buffer: &'b mut [u8], payload: &[u8]) -> PacketBuf<'b> {
    buffer[HEADROOM..HEADROOM + payload.len()].copy_from_slice(payload);
    PacketBuf::new(buffer, HEADROOM, payload.len()).expect("it fits")
}

/// "Random" bytes: what openvpn drew.
struct CapturedIv(&'static str);

impl Rng for CapturedIv {
    fn fill(&mut self, bytes: &mut [u8]) {
        decode(self.0, bytes);
    }
}
