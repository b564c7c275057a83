//! Peer info: what an end tells about itself in its key message (protocol section 3.15).

use crate::wire::text::Text;

/// The bits of `IV_PROTO`.
pub mod iv_proto {
    /// Data packets may carry a peer id (`P_DATA_V2`).
    pub const DATA_V2: u32 = 1 << 1;
    /// The sender wants its options without asking.
    pub const REQUEST_PUSH: u32 = 1 << 2;
    /// Data keys may come from the TLS exporter.
    pub const TLS_KEY_EXPORT: u32 = 1 << 3;
    /// `AUTH_PENDING` may have keywords.
    pub const AUTH_PENDING_KEYWORDS: u32 = 1 << 4;
    /// Two equal peers negotiate as soon as they have each other's key message.
    pub const P2P_NEGOTIATION: u32 = 1 << 5;
    /// The `dns` option may be pushed.
    pub const DNS: u32 = 1 << 6;
    /// `EXIT` may come as a control message.
    pub const EXIT_MESSAGE: u32 = 1 << 7;
    /// `AUTH_FAILED,TEMP` is understood.
    pub const AUTH_FAILED_TEMP: u32 = 1 << 8;
    /// Renegotiations are wrapped with a key from the TLS exporter.
    pub const DYNAMIC_TLS_CRYPT: u32 = 1 << 9;
    /// Data packets may have epochs (protocol section 2.6).
    pub const DATA_EPOCH: u32 = 1 << 10;
}

/// The ciphers of a peer that says `IV_NCP=2` and lists none.
const NCP_2_CIPHERS: &str = "AES-256-GCM:AES-128-GCM";

/// A peer's lines `NAME=VALUE`. Lines that are none, or whose names are not `IV_` or `UV_` with letters, digits and
/// underscores, are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerInfo<'a>(&'a [u8]);

impl<'a> PeerInfo<'a> {
    /// A view of the text of a key message.
    pub const fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// Names and values in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Text<'a>)> + use<'a> {
        self.0.split(|byte| *byte == b'\n').filter_map(|line| {
            let equals = line.iter().position(|byte| *byte == b'=')?;
            let (name, value) = line.split_at_checked(equals)?;
            Some((checked_name(name)?, Text::new(value.get(1..)?)))
        })
    }

    /// The value of the first line with this name.
    pub fn get(&self, name: &str) -> Option<Text<'a>> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// `IV_PROTO`, made of the bits in [`iv_proto`]; 0 if the peer does not say.
    pub fn iv_proto(&self) -> u32 {
        self.number("IV_PROTO").unwrap_or(0)
    }

    /// The data ciphers that the peer accepts, most wanted first, separated by colons; empty if it does not say.
    pub fn ciphers(&self) -> &'a str {
        match self.get("IV_CIPHERS") {
            Some(list) => core::str::from_utf8(list.as_bytes()).unwrap_or_default(),
            None if self.number("IV_NCP").is_some_and(|level| level >= 2) => NCP_2_CIPHERS,
            None => "",
        }
    }

    fn number(&self, name: &str) -> Option<u32> {
        core::str::from_utf8(self.get(name)?.as_bytes()).ok()?.parse().ok()
    }
}

fn checked_name(name: &[u8]) -> Option<&str> {
    let rest = name.strip_prefix(b"IV_").or_else(|| name.strip_prefix(b"UV_"))?;
    let is_allowed = |byte: &u8| *byte == b'_' || byte.is_ascii_alphanumeric();
    if rest.is_empty() || !rest.iter().all(is_allowed) {
        return None;
    }
    core::str::from_utf8(name).ok()
}
