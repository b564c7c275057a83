//! Where the peer is, and from where its packets are accepted (protocol section 3.18).

use core::net::SocketAddr;

use heapless::Vec;

use crate::control::negotiation::{Agreed, PeerId};
use crate::crypto::{AEAD_TAG_LEN, Mode, Suite};
use crate::options::{LinkConfig, Mssfix};

/// More addresses of one peer than this are ignored.
pub const ADDRESSES_MAX: usize = if cfg!(feature = "host") { 16 } else { 4 };

/// Bytes of an inner IPv4 and TCP header.
const INNER_HEADERS: u16 = 40;
/// Bytes of the outer headers: IPv4 or IPv6, and UDP.
const OUTER_V4: u16 = 28;
const OUTER_V6: u16 = 48;

/// Bytes of the opcode, without and with a peer id.
const V1_HEADER: usize = 1;
const V2_HEADER: usize = 4;

/// Bytes of a packet id: with a static key, with TLS, and with epochs.
const STATIC_ID: usize = 8;
const TLS_ID: usize = 4;
const EPOCH_ID: usize = 8;
/// A packet id in the vector of a key stream, counted on its own by openvpn.
const STREAM_ID: usize = 8;

#[derive(Debug)]
pub(super) struct Addresses {
    float: bool,
    remotes: Vec<SocketAddr, ADDRESSES_MAX>,
    current: Option<SocketAddr>,
    /// An authentic packet has come from `current`.
    proven: bool,
    /// Largest TCP segment to let through, over IPv4 and IPv6.
    mss: (Option<u16>, Option<u16>),
}

impl Addresses {
    /// For a link with a static key; a TLS link follows with [`Addresses::set_suite`].
    pub(super) fn new(config: &LinkConfig<'_>) -> Self {
        let overhead = Overhead::new(config, config.suite(), 0, STATIC_ID);
        Self {
            float: config.connection.float,
            remotes: Vec::new(),
            current: None,
            proven: false,
            mss: overhead.mss_limits(config),
        }
    }

    /// A TLS link has negotiated: its packets look like this now.
    pub(super) fn set_suite(&mut self, config: &LinkConfig<'_>, agreed: &Agreed) {
        let header = if agreed.peer_id == PeerId::None { V1_HEADER } else { V2_HEADER };
        let id = if agreed.epoch { EPOCH_ID } else { TLS_ID };
        self.mss = Overhead::new(config, agreed.suite, header, id).mss_limits(config);
    }

    pub(super) fn start(&mut self, remotes: &[SocketAddr], float: bool) {
        self.float = float;
        self.remotes = remotes.iter().copied().take(ADDRESSES_MAX).collect();
        self.current = remotes.first().copied();
        self.proven = false;
    }

    /// These are the peer's addresses now. The present one stays as long as nothing is heard from another.
    pub(super) fn expect(&mut self, remotes: &[SocketAddr]) {
        let current = self.current.filter(|current| !remotes.contains(current));
        self.remotes = remotes.iter().copied().take(ADDRESSES_MAX.saturating_sub(1)).chain(current).collect();
    }

    /// Whether a datagram from there is worth a look. This is no protection, only the tag is.
    pub(super) fn accepts(&self, from: SocketAddr) -> bool {
        self.float || self.remotes.is_empty() || self.remotes.iter().any(|remote| same(*remote, from))
    }

    /// An authentic packet came from there: the peer is followed. True if that is news.
    pub(super) fn heard_from(&mut self, from: SocketAddr) -> bool {
        let news = !self.proven || self.current.is_none_or(|current| !same(current, from));
        self.proven = true;
        self.current = Some(from);
        news
    }

    pub(super) fn current(&self) -> Option<SocketAddr> {
        self.current
    }

    /// The address that an authentic packet came from.
    pub(super) fn proven(&self) -> Option<SocketAddr> {
        self.current.filter(|_| self.proven)
    }

    /// The segment size to clamp to on the present path.
    pub(super) fn mss(&self) -> Option<u16> {
        if self.current.is_some_and(|address| address.is_ipv6()) { self.mss.1 } else { self.mss.0 }
    }
}

/// Whether two addresses are the same for the configuration, which knows no scope or flow of IPv6.
fn same(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() && one.port() == other.port()
}

/// What makes a datagram longer than its payload, in bytes (protocol section 6.6).
#[derive(Clone, Copy, Debug)]
struct Overhead {
    /// Before and behind what is padded to whole blocks.
    outside: usize,
    /// In front of the payload, and padded with it.
    inside: usize,
    /// What is padded to; `None` without padding.
    block: Option<usize>,
}

impl Overhead {
    /// `header` bytes for the opcode and `id` bytes for the packet id, if packets have one.
    fn new(config: &LinkConfig<'_>, suite: Suite, header: usize, id: usize) -> Self {
        let id = if config.packet_ids { id } else { 0 };
        let (tag, iv) = (suite.digest.tag_len(), suite.cipher.iv_len());
        let (outside, inside) = match suite.cipher.mode() {
            Mode::Aead => ([id, AEAD_TAG_LEN, 0], 0),
            Mode::Cbc => ([tag, iv, 0], id),
            Mode::Cfb | Mode::Ofb => ([tag, iv, STREAM_ID], 0),
            Mode::None => ([tag, id, 0], 0),
        };
        Self {
            outside: outside.into_iter().fold(header, usize::saturating_add),
            inside: inside.saturating_add(config.framing.overhead()),
            block: (suite.cipher.mode() == Mode::Cbc).then(|| suite.cipher.block_len()),
        }
    }

    /// The largest TCP segments that fit, over IPv4 and IPv6.
    fn mss_limits(self, config: &LinkConfig<'_>) -> (Option<u16>, Option<u16>) {
        (self.mss_limit(config, OUTER_V4), self.mss_limit(config, OUTER_V6))
    }

    fn mss_limit(self, config: &LinkConfig<'_>, outer: u16) -> Option<u16> {
        const DEFAULT_MTU: u16 = 1500;
        const DEFAULT_LIMIT: u16 = 1492;
        match config.mssfix {
            Mssfix::Off => None,
            Mssfix::Default if config.tun_mtu == DEFAULT_MTU => self.segment(DEFAULT_LIMIT.checked_sub(outer)?),
            Mssfix::Default => config.tun_mtu.checked_sub(INNER_HEADERS),
            Mssfix::Plain(n) => self.segment(n),
            Mssfix::Mtu(n) => self.segment(n.checked_sub(outer)?),
            Mssfix::Fixed(n) => n.checked_sub(INNER_HEADERS),
        }
    }

    /// The largest TCP segment in a datagram of so many bytes.
    fn segment(self, datagram: u16) -> Option<u16> {
        let padded = usize::from(datagram).checked_sub(self.outside)?;
        let sealed = match self.block {
            Some(block) => padded.checked_sub(padded.checked_rem(block)?)?.checked_sub(1)?,
            None => padded,
        };
        u16::try_from(sealed.checked_sub(self.inside)?).ok()?.checked_sub(INNER_HEADERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Cipher, Digest};
    use crate::wire::compress::Framing;

    const V2: PeerId = PeerId::FromExporter;

    fn agreed(suite: Suite, peer_id: PeerId, epoch: bool) -> Agreed {
        Agreed { suite, peer_id, export_keys: true, exit_message: true, dynamic_tls_crypt: true, epoch }
    }

    /// The limits over IPv4 and IPv6.
    fn negotiated(mssfix: Mssfix, framing: Framing, agreed: &Agreed) -> [Option<u16>; 2] {
        let mut config = LinkConfig::default();
        (config.mssfix, config.framing) = (mssfix, framing);
        let mut addresses = Addresses::new(&config);
        addresses.set_suite(&config, agreed);
        ["192.0.2.1:1194", "[fd00::1]:1194"].map(|remote| {
            addresses.start(&[remote.parse().unwrap()], false);
            addresses.mss()
        })
    }

    #[test]
    fn segments_of_a_tls_link_are_as_long_as_with_openvpn() {
        let sha1 = |cipher| Suite::new(cipher, Digest::Sha1);
        let sha256 = |cipher| Suite::new(cipher, Digest::Sha256);
        for (suite, mssfix, framing, limit) in [
            (sha1(Cipher::Aes256Gcm), Mssfix::Default, Framing::None, 1400),
            (sha1(Cipher::Aes256Gcm), Mssfix::Plain(1300), Framing::None, 1236),
            (sha1(Cipher::Aes256Gcm), Mssfix::Mtu(1300), Framing::None, 1208),
            (sha1(Cipher::ChaCha20Poly1305), Mssfix::Mtu(1300), Framing::None, 1208),
            (sha1(Cipher::Aes256Gcm), Mssfix::Fixed(1300), Framing::None, 1260),
            (sha256(Cipher::Aes256Cbc), Mssfix::Default, Framing::None, 1363),
            (sha256(Cipher::Aes256Cbc), Mssfix::Plain(1300), Framing::None, 1203),
            (sha1(Cipher::DesEde3Cbc), Mssfix::Default, Framing::LzoStub, 1386),
            (sha256(Cipher::Aes256Cfb), Mssfix::Default, Framing::None, 1364),
            (sha1(Cipher::Aes128Ofb), Mssfix::Default, Framing::None, 1376),
            (sha1(Cipher::None), Mssfix::Default, Framing::None, 1396),
        ] {
            let [v4, _] = negotiated(mssfix, framing, &agreed(suite, V2, false));
            assert_eq!(v4, Some(limit), "{suite:?} {mssfix:?}");
        }
    }

    #[test]
    fn what_a_packet_begins_with_counts() {
        let suite = Suite::new(Cipher::Aes256Gcm, Digest::Sha1);
        let limits = |peer_id, epoch| negotiated(Mssfix::Default, Framing::None, &agreed(suite, peer_id, epoch));
        assert_eq!(limits(PeerId::None, false), [Some(1403), Some(1383)]);
        assert_eq!(limits(PeerId::Fixed(1), false), [Some(1400), Some(1380)]);
        assert_eq!(limits(V2, true), [Some(1396), Some(1376)]);
    }

    #[test]
    fn segments_of_a_static_key_link_are_as_long_as_with_openvpn() {
        for (options, limit) in [
            ("cipher AES-256-CBC", Some(1375)),
            ("cipher AES-256-CBC\nmssfix 1300", Some(1215)),
            ("cipher AES-256-CBC\ntun-mtu 1400", Some(1360)),
            ("mssfix 0", None),
        ] {
            let text = std::format!("dev tun\nsecret key\n{options}");
            assert_eq!(Addresses::new(&LinkConfig::parse(&text).unwrap()).mss(), limit, "{options}");
        }
    }
}
