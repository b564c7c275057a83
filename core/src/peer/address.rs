//! Where the peer is, and from where its packets are accepted (protocol section 3.18).

use core::net::SocketAddr;

use heapless::Vec;

use crate::crypto::Cipher;
use crate::options::{LinkConfig, Mssfix};

/// More addresses of one peer than this are ignored.
pub const ADDRESSES_MAX: usize = 16;

/// Bytes of an inner IPv4 and TCP header.
const INNER_HEADERS: u16 = 40;
/// Bytes of the outer headers: IPv4 or IPv6, and UDP.
const OUTER_V4: u16 = 28;
const OUTER_V6: u16 = 48;

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
    pub(super) fn new(config: &LinkConfig<'_>) -> Self {
        Self {
            float: config.float,
            remotes: Vec::new(),
            current: None,
            proven: false,
            mss: (mss_limit(config, OUTER_V4), mss_limit(config, OUTER_V6)),
        }
    }

    pub(super) fn start(&mut self, remotes: &[SocketAddr]) {
        self.remotes = remotes.iter().copied().take(ADDRESSES_MAX).collect();
        self.current = remotes.first().copied();
        self.proven = false;
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

/// The `mssfix` table of protocol section 6.6; `outer` is the length of the outer IP and UDP header.
fn mss_limit(config: &LinkConfig<'_>, outer: u16) -> Option<u16> {
    const DEFAULT_MTU: u16 = 1500;
    const DEFAULT_LIMIT: u16 = 1492;
    let suite = config.suite();
    let packet_id = if config.packet_ids { 8 } else { 0 };
    let tag = suite.digest.tag_len();
    let (outside, inside) = match suite.cipher {
        Cipher::None => (tag.checked_add(packet_id)?, 0),
        cipher => (tag.checked_add(cipher.iv_len())?, packet_id),
    };
    let outside = u16::try_from(outside).ok()?;
    let inside = u16::try_from(config.framing.overhead().checked_add(inside)?).ok()?;
    // What fits in so many bytes after padding to whole blocks.
    let whole_blocks = |n: u16| match suite.cipher {
        Cipher::None => Some(n),
        cipher => {
            let block = u16::try_from(cipher.block_len()).ok()?;
            n.checked_sub(n.checked_rem(block)?)?.checked_sub(1)
        }
    };
    let sealed = |n: u16| whole_blocks(n.checked_sub(outside)?)?.checked_sub(inside)?.checked_sub(INNER_HEADERS);
    match config.mssfix {
        Mssfix::Off => None,
        Mssfix::Default if config.tun_mtu == DEFAULT_MTU => sealed(DEFAULT_LIMIT.checked_sub(outer)?),
        Mssfix::Default => config.tun_mtu.checked_sub(INNER_HEADERS),
        Mssfix::Plain(n) => sealed(n),
        Mssfix::Mtu(n) => sealed(n.checked_sub(outer)?),
        Mssfix::Fixed(n) => n.checked_sub(INNER_HEADERS),
    }
}
