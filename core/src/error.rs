//! What can go wrong, sorted by who is to blame.

use core::fmt;

use crate::options::{ControlKey, LinkConfig};
use crate::wire::opcode::{Head, KeyId, Opcode};

/// One datagram was dropped. Nothing changed but a counter: anybody can send a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Discard {
    /// The datagram is shorter than its fixed fields.
    TooShort,
    /// The sender is not an accepted peer address (protocol section 3.18).
    Source,
    /// The authentication tag is wrong: another key, digest or direction, or a forgery.
    Authentication,
    /// The tag is right but the cipher text does not decrypt: the ciphers differ.
    Decryption,
    /// The packet id was seen before, is too old, or is from an earlier time.
    Replay {
        /// Packet id of the datagram.
        id: u32,
        /// Unix time of its sequence; 0 for short packet ids.
        time: u32,
    },
    /// The compression byte is not one that the configuration allows; the byte is given.
    Framing(u8),
    /// The peer sent a really compressed block; the byte that names the algorithm is given.
    Compressed(u8),
    /// There is nothing left after all headers.
    Empty,
    /// A decrypted packet that is no IP packet; its version field is given. Usually only one end
    /// uses compression framing.
    NotIp(u8),
    /// An internal message of unknown meaning; its opcode is given.
    Occ(u8),
    /// No keys are installed, or the link is shut down.
    NotReady,
    /// A control packet is too short for its `tls-auth` or `tls-crypt` wrapping.
    ControlWrapping,
    /// The tag of a control packet is wrong: another key or direction, or a forgery.
    ControlAuthentication,
    /// The wrapping's packet id of a control packet was seen before, is too old, or is from an earlier time.
    ControlReplay {
        /// Packet id of the datagram.
        id: u32,
        /// Unix time of its sequence.
        time: u32,
    },
    /// What a control packet says makes no sense.
    ControlMalformed,
    /// A control packet of a kind that the peer's role does not send; its opcode is given.
    Role(u8),
    /// A control packet of a session that is not known here.
    UnknownSession,
    /// A packet under a key that is not known here; its number is given.
    UnknownKey(u8),
    /// Another session is being negotiated.
    Busy,
    /// `single-session`: there is a session already.
    SingleSession,
    /// The peer asks for a new key again too soon.
    TooOften,
}

impl Discard {
    /// What the operator should look at, where the cause is more likely a setting than an attack. `first_byte` is that of
    /// the datagram as it came. A board has no room for these texts: without the feature `host` there are none.
    pub fn hint(&self, config: &LinkConfig<'_>, first_byte: Option<u8>) -> Option<&'static str> {
        if !cfg!(feature = "host") {
            return None;
        }
        let is_tls = config.role().is_some();
        // Others have one of these bytes by chance only.
        let resets = || {
            let head = first_byte.and_then(Head::parse);
            head.is_some_and(|head| head.opcode.is_hard_reset() && head.key_id == KeyId::FIRST)
        };
        match self {
            Self::TooShort | Self::Authentication | Self::Decryption if !is_tls && resets() => Some(
                "Hint: is the peer a TLS link already? This end has a static key ('secret'); if the peer has it too, compare \
                     the key, 'auth', 'cipher' and the key direction of both ends",
            ),
            Self::Authentication if is_tls => Some(
                "Hint: compare 'auth' of both ends. If the cipher is AES-GCM or CHACHA20-POLY1305, their keys differ: a peer \
                 with 'server' needs 'tls-server' and 'ifconfig' in its place",
            ),
            Self::Authentication => Some(
                "Hint: compare the static key, 'auth' and the key direction of both ends (none and none, or 0 and 1)",
            ),
            Self::ControlMalformed if config.tls.wrapping == ControlKey::None => Some(
                "Hint: does the peer use 'tls-auth', 'tls-crypt' or 'tls-crypt-v2'? This end has none: set the same option \
                 and file at both ends. Or does it still use a static key ('secret')?",
            ),
            Self::ControlMalformed => Some("Hint: does the peer still use a static key ('secret')?"),
            Self::ControlWrapping | Self::ControlAuthentication => Some(
                "Hint: compare 'tls-auth', 'tls-crypt' or 'tls-crypt-v2' of both ends, the key, and with tls-auth 'auth' \
                 and the key direction (none and none, or 0 and 1)",
            ),
            Self::Decryption if is_tls => None,
            Self::Decryption => Some("Hint: compare 'cipher' and 'keysize' of both ends"),
            Self::Replay { .. } => Some(
                "Hint: if nothing passes, the peer's clock has gone back: correct it, and remove a 'replay-persist' file",
            ),
            Self::Framing(_) => Some("Hint: compare 'comp-lzo' and 'compress' of both ends"),
            Self::Source => Some("Hint: add 'float' to follow a peer whose address changes, or correct 'remote'"),
            _ => None,
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("Authenticate/Decrypt packet error: packet too short"),
            Self::Source => f.write_str("Incoming packet rejected: not from the expected peer address"),
            Self::Authentication => f.write_str("Authenticate/Decrypt packet error: packet HMAC authentication failed"),
            Self::Decryption => f.write_str("Authenticate/Decrypt packet error: cipher final failed"),
            Self::Replay { id, time } => write!(
                f,
                "Authenticate/Decrypt packet error: bad packet ID (may be a replay): [ #{id} / time = ({time}) ] -- \
                 see the man page entry for --no-replay and --replay-window for more info or silence this warning \
                 with --mute-replay-warnings"
            ),
            Self::Framing(byte) => write!(f, "Bad compression stub decompression header byte: {byte}"),
            Self::Compressed(byte) => write!(
                f,
                "The peer sent a compressed packet (header byte {byte:#04x}), which cannot be decompressed here: set \
                 'comp-lzo no' or 'allow-compression no' at the peer"
            ),
            Self::Empty => f.write_str("Authenticate/Decrypt packet error: missing payload"),
            Self::NotIp(version) => write!(
                f,
                "IP packet with unknown IP version={version} seen (is 'comp-lzo', 'compress' or 'no-replay' set at one end only?)"
            ),
            Self::Occ(opcode) => write!(f, "Unknown OCC opcode {opcode}"),
            Self::NotReady => f.write_str("Packet dropped: the link is not ready"),
            Self::ControlWrapping => f.write_str("TLS Error: cannot locate HMAC in incoming packet"),
            Self::ControlAuthentication => f.write_str("TLS Error: incoming packet authentication failed"),
            Self::ControlReplay { id, time } => write!(
                f,
                "TLS Error: incoming packet authentication failed: bad packet ID (may be a replay): [ #{id} / time = \
                 ({time}) ]"
            ),
            Self::ControlMalformed => f.write_str("TLS Error: malformed control packet"),
            Self::Role(1 | 2) => {
                f.write_str("TLS Error: the peer is older than openvpn 2.0: its handshake is not supported")
            }
            Self::Role(opcode) => {
                let role = if *opcode == Opcode::HardResetServerV2 as u8 { "tls-server" } else { "tls-client" };
                write!(
                    f,
                    "TLS Error: the peer has '{role}' as this end has: one end needs 'tls-client', the other 'tls-server'"
                )
            }
            Self::UnknownSession => {
                f.write_str("TLS Error: Unroutable control packet received: of no session known here")
            }
            Self::UnknownKey(id) => {
                write!(f, "TLS Error: local/remote TLS keys are out of sync: key {id} is not known here")
            }
            Self::Busy => f.write_str("TLS Error: a new session is put off: another one is being negotiated"),
            Self::SingleSession => {
                f.write_str("TLS Error: a new session is refused: there is one already, and 'single-session' is set")
            }
            Self::TooOften => f.write_str("TLS Error: the peer asks for new keys too often"),
        }
    }
}

/// A packet could not be sealed; it is lost, as on any congested link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NotReady {
    /// No peer address is known yet.
    NoPeer,
    /// The link is shut down or not up yet.
    Down,
    /// The keys are being negotiated.
    Negotiating,
    /// The packet is on its way to the peer itself: a route leads into the tunnel that should not.
    Recursive,
    /// Packet ids are used up. More come when the clock moves on with a static key, and else with the next key
    /// (protocol section 2.7).
    PacketIdsExhausted,
    /// The buffer has no room for the headers, or the packet is empty.
    NoRoom,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPeer => "no peer address is known yet",
            Self::Down => "the link is down",
            Self::Negotiating => "a packet for the tunnel is dropped: the link is not up yet",
            Self::Recursive => {
                "Recursive routing detected, packet dropped: the route to the peer leads into the tunnel (keep a host \
                 route to it outside, or set 'allow-recursive-routing')"
            }
            Self::PacketIdsExhausted => "packet ids are used up: they go on when the clock moves on with a static key, and else with the next key",
            Self::NoRoom => "the packet does not fit its buffer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_fit_the_kind_of_link() {
        fn config(text: &str) -> LinkConfig<'_> {
            LinkConfig::parse(text).unwrap()
        }
        let fixed = config("dev null\n<secret>\nkey\n</secret>\ncipher AES-256-CBC");
        let peer = "dev null\ntls-server\ncert a\nkey b\npeer-fingerprint \
                    00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00";
        let crypt = std::format!("{peer}\n<tls-crypt>\nkey\n</tls-crypt>");
        let (bare, crypt) = (config(peer), config(&crypt));
        for (discard, config, first_byte, says) in [
            (Discard::Authentication, &fixed, 0x38, "is the peer a TLS link already?"),
            (Discard::TooShort, &fixed, 0x40, "is the peer a TLS link already?"),
            (Discard::Authentication, &fixed, 0x99, "the static key, 'auth' and the key direction"),
            (Discard::Authentication, &bare, 0x38, "compare 'auth'"),
            (Discard::ControlMalformed, &bare, 0x38, "This end has none"),
            (Discard::ControlMalformed, &crypt, 0x38, "a static key ('secret')?"),
            (Discard::ControlAuthentication, &crypt, 0x38, "'tls-crypt'"),
        ] {
            let hint = discard.hint(config, Some(first_byte)).unwrap_or_default();
            assert!(hint.contains(says), "{discard}: {hint}");
        }
        assert_eq!(Discard::TooShort.hint(&fixed, None), None);
        assert_eq!(Discard::Decryption.hint(&bare, Some(0x38)), None);
    }
}
