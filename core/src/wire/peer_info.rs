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

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_names_and_values() {
        let info = PeerInfo::new(b"IV_VER=2.6.14\nIV_PROTO=746\nIV_CIPHERS=AES-256-GCM:AES-128-GCM\nUV_A=b=c\nUV_E=\n");
        let lines: Vec<_> = info.iter().map(|(name, value)| (name, value.to_string())).collect();
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(
            lines,
            [
                ("IV_VER", "2.6.14"),
                ("IV_PROTO", "746"),
                ("IV_CIPHERS", "AES-256-GCM:AES-128-GCM"),
                ("UV_A", "b=c"),
                ("UV_E", ""),
            ]
        );
        assert_eq!(info.iv_proto(), 746);
        assert_eq!(info.ciphers(), "AES-256-GCM:AES-128-GCM");
        assert_eq!(info.get("IV_SSL"), None);
    }

    #[test]
    fn hostile_lines_are_passed_over_and_hostile_values_disarmed() {
        let info =
            PeerInfo::new(b"PATH=/x\nIV_=1\nIV_A B=1\nIV_A\n=1\niv_a=1\nIV_\xc3\xa4=1\n\nIV_OK=a\x1b[2J\xff`$(id)`\n");
        let lines: Vec<_> = info.iter().map(|(name, value)| (name, value.to_string())).collect();
        assert_eq!(lines, [("IV_OK", "a_[2J_`$(id)`".to_string())]);
    }

    #[test]
    fn a_peer_may_say_little() {
        for (text, proto, ciphers) in [
            (&b""[..], 0, ""),
            (b"IV_PROTO=x\nIV_NCP=1", 0, ""),
            (b"IV_NCP=2\nIV_PROTO=2\n", 2, "AES-256-GCM:AES-128-GCM"),
            (b"IV_NCP=2\nIV_CIPHERS=BF-CBC\n", 0, "BF-CBC"),
            (b"IV_PROTO=99999999999\n", 0, ""),
        ] {
            let info = PeerInfo::new(text);
            assert_eq!((info.iv_proto(), info.ciphers()), (proto, ciphers));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(text: Vec<u8>) {
            let info = PeerInfo::new(&text);
            info.ciphers();
            info.iv_proto();
            for (name, value) in info.iter() {
                prop_assert!(name.starts_with("IV_") || name.starts_with("UV_"));
                prop_assert!(value.to_string().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
            }
        }
    }
}
