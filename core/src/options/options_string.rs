//! The options string that peers compare (protocol section 4).

use core::fmt::{self, Write};
use core::net::Ipv4Addr;

use super::link::{ControlKey, DeviceKind, LinkConfig, Topology};
use crate::crypto::{AEAD_TAG_LEN, Digest, Direction, Mode, Suite};
use crate::tls::Role;
use crate::wire::text::Text;

/// Whose options string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What we tell the peer.
    Local,
    /// What we expect the peer to tell us.
    Remote,
}

/// Writes the options string. Fails only if `out` does.
///
/// # Errors
/// Those of `out`.
pub fn options_string(config: &LinkConfig<'_>, side: Side, out: &mut impl Write) -> fmt::Result {
    let suite = match config.suite() {
        suite if suite.cipher.mode() == Mode::Aead => Suite { digest: Digest::None, ..suite },
        suite => suite,
    };
    let device = match config.device {
        DeviceKind::Tun => "tun",
        DeviceKind::Null => "null",
    };
    let tun_mtu = config.occ_mtu.unwrap_or(config.tun_mtu);
    let link_mtu = link_mtu(config, suite);
    // The transport is called v4 whatever it is.
    write!(out, "V4,dev-type {device},link-mtu {link_mtu},tun-mtu {tun_mtu},proto UDPv4")?;
    if config.ifconfig_ipv6.is_some() {
        out.write_str(",tun-ipv6")?;
    }
    if !config.ifconfig_nowarn {
        write_ifconfig(config, side, out)?;
    }
    if config.framing.is_occ_listed() {
        out.write_str(",comp-lzo")?;
    }
    match (config.direction(), side) {
        (None, _) => {}
        (Some(Direction::Normal), Side::Local) | (Some(Direction::Inverse), Side::Remote) => {
            out.write_str(",keydir 0")?;
        }
        (Some(Direction::Inverse), Side::Local) | (Some(Direction::Normal), Side::Remote) => {
            out.write_str(",keydir 1")?;
        }
    }
    let (cipher, auth) = (suite.cipher.occ_name(), suite.digest.occ_name());
    write!(out, ",cipher {cipher},auth {auth},keysize {}", suite.key_len.saturating_mul(8))?;
    if config.role().is_none() {
        out.write_str(",secret")?;
    }
    if !config.packet_ids {
        out.write_str(",no-replay")?;
    }
    let Some(role) = config.role() else { return Ok(()) };
    if matches!(config.tls.wrapping, ControlKey::Auth(_)) {
        out.write_str(",tls-auth")?;
    }
    out.write_str(match (role, side) {
        (Role::Client, Side::Local) | (Role::Server, Side::Remote) => ",key-method 2,tls-client",
        (Role::Server, Side::Local) | (Role::Client, Side::Remote) => ",key-method 2,tls-server",
    })
}

/// The tunnel's addresses as the peer sees them. Names are not resolved for this: they are left out.
fn write_ifconfig(config: &LinkConfig<'_>, side: Side, out: &mut impl Write) -> fmt::Result {
    let Some((local, other)) = config.ifconfig.and_then(|ifconfig| ifconfig.addresses()) else { return Ok(()) };
    let (first, second) = match (config.topology, side) {
        (Topology::Subnet, _) => (Ipv4Addr::from_bits(local.to_bits() & other.to_bits()), other),
        (_, Side::Local) => (other, local),
        (_, Side::Remote) => (local, other),
    };
    write!(out, ",ifconfig {first} {second}")
}

/// The number that openvpn calls `link-mtu` (protocol section 4.3), in bytes.
fn link_mtu(config: &LinkConfig<'_>, suite: Suite) -> usize {
    const OPCODE: usize = 1;
    let (cipher, mode) = (suite.cipher, suite.cipher.mode());
    let is_tls = config.role().is_some();
    let packet_id = match mode {
        _ if !config.packet_ids => 0,
        Mode::Aead | Mode::Cbc | Mode::None if is_tls => 4,
        _ => 8,
    };
    let crypto = match mode {
        Mode::None => [0, 0],
        Mode::Aead => [cipher.block_len().saturating_add(cipher.iv_len()), AEAD_TAG_LEN],
        // The vector, and as much again for the last block, even where a key stream needs none.
        Mode::Cbc | Mode::Cfb | Mode::Ofb => [cipher.iv_len(), cipher.iv_len()],
    };
    let opcode = if is_tls { OPCODE } else { 0 };
    [usize::from(config.tun_mtu), config.framing.overhead(), opcode, packet_id, suite.digest.tag_len()]
        .into_iter()
        .chain(crypto)
        .fold(0, usize::saturating_add)
}

/// Iterates over the differences between the expected and the received options string.
#[derive(Clone, Debug)]
pub struct Mismatches<'a> {
    expected: &'a str,
    received: &'a str,
    /// Items of the expected string still to compare, then of the received one.
    ours: core::str::Split<'a, char>,
    theirs: core::str::Split<'a, char>,
}

/// One difference; `Display` is openvpn's warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch<'a> {
    /// The whole strings begin with another version, so that they can hardly be compared.
    Version {
        /// What the peer sent.
        remote: &'a str,
    },
    /// Both have the item with other values.
    Inconsistent {
        /// The item as we expected it.
        local: &'a str,
        /// The item as the peer sent it.
        remote: &'a str,
    },
    /// Only we have the item.
    MissingRemote {
        /// The item as we expected it.
        local: &'a str,
    },
    /// Only the peer has the item.
    MissingLocal {
        /// The item as the peer sent it.
        remote: &'a str,
    },
}

/// Items that openvpn does not compare: where they differ, nothing breaks or something else tells.
const NEVER_REPORTED: [&str; 6] = ["key-method ", "keydir ", "proto ", "tls-auth", "tun-ipv6", "cipher "];

impl<'a> Mismatches<'a> {
    /// Compares what we expect ([`Side::Remote`]) with what the peer sent.
    pub fn new(expected: &'a str, received: &'a str) -> Self {
        // The peer's string ends at its first NUL, if it has one.
        let received = received.split('\0').next().unwrap_or_default();
        let (ours, theirs) = if expected == received { ("", "") } else { (expected, received) };
        Self { expected, received, ours: ours.split(','), theirs: theirs.split(',') }
    }
}

impl<'a> Iterator for Mismatches<'a> {
    type Item = Mismatch<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.expected.get(..2) != self.received.get(..2) && self.expected != self.received {
            self.ours.by_ref().for_each(drop);
            return self.theirs.by_ref().last().map(|_| Mismatch::Version { remote: self.received });
        }
        let (expected, received) = (self.expected, self.received);
        let differs = |local| match item(received, name(local)) {
            Some(remote) if remote == local => None,
            Some(remote) => Some(Mismatch::Inconsistent { local, remote }),
            None => Some(Mismatch::MissingRemote { local }),
        };
        let is_extra = |remote| match item(expected, name(remote)) {
            Some(_) => None,
            None => Some(Mismatch::MissingLocal { remote }),
        };
        let mut ours = self.ours.by_ref().filter(|item| is_reported(item));
        let mut theirs = self.theirs.by_ref().filter(|item| is_reported(item));
        ours.find_map(differs).or_else(|| theirs.find_map(is_extra))
    }
}

fn is_reported(item: &str) -> bool {
    !item.is_empty() && !NEVER_REPORTED.iter().any(|prefix| item.starts_with(prefix))
}

fn name(item: &str) -> &str {
    item.split(' ').next().unwrap_or(item)
}

fn item<'a>(options: &'a str, wanted: &str) -> Option<&'a str> {
    options.split(',').find(|item| name(item) == wanted)
}

impl<'a> Mismatch<'a> {
    /// The warning, in pieces.
    pub fn pieces(&self) -> [&'a str; 7] {
        match *self {
            Self::Version { remote } => [
                "NOTE: the peer's options string is of another version and is not compared: '",
                remote,
                "'",
                "",
                "",
                "",
                "",
            ],
            Self::Inconsistent { local, remote } => {
                ["WARNING: '", name(local), "' is used inconsistently, local='", local, "', remote='", remote, "'"]
            }
            Self::MissingRemote { local } => {
                let missing = "' is present in local config but missing in remote config, local='";
                ["WARNING: '", name(local), missing, local, "'", "", ""]
            }
            Self::MissingLocal { remote } => {
                let missing = "' is present in remote config but missing in local config, remote='";
                ["WARNING: '", name(remote), missing, remote, "'", "", ""]
            }
        }
    }
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().into_iter().try_for_each(|piece| printable(piece).fmt(f))
    }
}

/// A peer's text with everything replaced that could disturb a log.
const fn printable(text: &str) -> Text<'_> {
    Text::new(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Cipher;
    use crate::options::KeySource;

    fn strings(text: &str) -> [String; 2] {
        let text = std::format!("dev tun\nsecret key\n{text}");
        let config = LinkConfig::parse(&text).unwrap();
        [Side::Local, Side::Remote].map(|side| {
            let mut string = String::new();
            options_string(&config, side, &mut string).unwrap();
            string
        })
    }

    fn tls_strings(cipher: Option<Cipher>, text: &str, role: Role, wrapping: ControlKey<'_>) -> [String; 2] {
        let text = std::format!("dev tun\nsecret key\nifconfig 10.9.0.1 10.9.0.2\n{text}");
        let mut config = LinkConfig::parse(&text).unwrap();
        config.secret = None;
        config.cipher = cipher;
        config.tls.role = Some(role);
        config.tls.wrapping = wrapping;
        [Side::Local, Side::Remote].map(|side| {
            let mut string = String::new();
            options_string(&config, side, &mut string).unwrap();
            string
        })
    }

    fn warnings(expected: &str, received: &str) -> Vec<String> {
        Mismatches::new(expected, received).map(|mismatch| mismatch.to_string()).collect()
    }

    #[test]
    fn the_string_is_the_one_that_openvpn_prints() {
        const PAIR: &str = "ifconfig 10.9.0.1 10.9.0.2\n";
        for (pair, options, string) in [
            (
                PAIR,
                "",
                "V4,dev-type tun,link-mtu 1544,tun-mtu 1500,proto UDPv4,ifconfig 10.9.0.2 10.9.0.1,cipher BF-CBC,auth SHA1,keysize 128,secret",
            ),
            (
                PAIR,
                "cipher AES-256-CBC\nauth SHA256\nkey-direction 0",
                "V4,dev-type tun,link-mtu 1572,tun-mtu 1500,proto UDPv4,ifconfig 10.9.0.2 10.9.0.1,keydir 0,cipher AES-256-CBC,auth SHA256,keysize 256,secret",
            ),
            (
                PAIR,
                "comp-lzo\ntun-mtu 1400\ncipher AES-128-CBC",
                "V4,dev-type tun,link-mtu 1461,tun-mtu 1400,proto UDPv4,ifconfig 10.9.0.2 10.9.0.1,comp-lzo,cipher AES-128-CBC,auth SHA1,keysize 128,secret",
            ),
            (
                "",
                "no-replay\ncipher AES-256-CBC",
                "V4,dev-type tun,link-mtu 1552,tun-mtu 1500,proto UDPv4,cipher AES-256-CBC,auth SHA1,keysize 256,secret,no-replay",
            ),
            (
                PAIR,
                "ifconfig-ipv6 fd00::1/64 fd00::2\ncipher AES-256-CBC",
                "V4,dev-type tun,link-mtu 1560,tun-mtu 1500,proto UDPv4,tun-ipv6,ifconfig 10.9.0.2 10.9.0.1,cipher AES-256-CBC,auth SHA1,keysize 256,secret",
            ),
            (
                PAIR,
                "cipher none\nauth none\nifconfig-nowarn",
                "V4,dev-type tun,link-mtu 1508,tun-mtu 1500,proto UDPv4,cipher [null-cipher],auth [null-digest],keysize 0,secret",
            ),
            (
                "ifconfig 10.9.0.1 255.255.255.0\n",
                "topology subnet\nproto udp6\ncipher DES-EDE3-CBC",
                "V4,dev-type tun,link-mtu 1544,tun-mtu 1500,proto UDPv4,ifconfig 10.9.0.0 255.255.255.0,cipher DES-EDE3-CBC,auth SHA1,keysize 192,secret",
            ),
            (
                "ifconfig 10.3.4.5 255.255.0.0\n",
                "cipher AES-192-CBC\nauth none\ncompress lz4\ntopology subnet\nkey-direction 1",
                "V4,dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,ifconfig 10.3.0.0 255.255.0.0,comp-lzo,keydir 1,cipher AES-192-CBC,auth [null-digest],keysize 192,secret",
            ),
            (
                "",
                "cipher CAMELLIA-128-CBC\nauth RIPEMD160\ncompress stub-v2\ntun-mtu 1400",
                "V4,dev-type tun,link-mtu 1460,tun-mtu 1400,proto UDPv4,comp-lzo,cipher CAMELLIA-128-CBC,auth RIPEMD160,keysize 128,secret",
            ),
            (
                "",
                "dev null\ncipher AES-128-CBC",
                "V4,dev-type null,link-mtu 1560,tun-mtu 1500,proto UDPv4,cipher AES-128-CBC,auth SHA1,keysize 128,secret",
            ),
            (
                "",
                "tun-mtu 1500 1400\nkeysize 256\ncompress stub-v2",
                "V4,dev-type tun,link-mtu 1544,tun-mtu 1400,proto UDPv4,comp-lzo,cipher BF-CBC,auth SHA1,keysize 256,secret",
            ),
        ] {
            assert_eq!(strings(&std::format!("{pair}{options}"))[0], string);
        }
    }

    #[test]
    fn the_string_of_a_tls_link_is_the_one_that_openvpn_prints() {
        const NONE: ControlKey<'_> = ControlKey::None;
        const AUTH: ControlKey<'_> = ControlKey::Auth(KeySource::Inline(""));
        const CRYPT: ControlKey<'_> = ControlKey::Crypt(KeySource::Inline(""));
        for (cipher, options, wrapping, link_mtu, first, last) in [
            (None, "", NONE, 1541, "", "cipher BF-CBC,auth SHA1,keysize 128"),
            (Some(Cipher::Aes256Cfb), "auth SHA256", NONE, 1573, "", "cipher AES-256-CFB,auth SHA256,keysize 256"),
            (Some(Cipher::Aes128Ofb), "auth SHA256", NONE, 1573, "", "cipher AES-128-OFB,auth SHA256,keysize 128"),
            (Some(Cipher::None), "auth SHA256", NONE, 1537, "", "cipher [null-cipher],auth SHA256,keysize 0"),
            (
                Some(Cipher::ChaCha20Poly1305),
                "auth SHA256",
                NONE,
                1534,
                "",
                "cipher CHACHA20-POLY1305,auth [null-digest],keysize 256",
            ),
            (Some(Cipher::Aes256Cbc), "auth SHA256", CRYPT, 1569, "", "cipher AES-256-CBC,auth SHA256,keysize 256"),
            (Some(Cipher::Aes128Gcm), "", CRYPT, 1549, "", "cipher AES-128-GCM,auth [null-digest],keysize 128"),
            (Some(Cipher::DesEde3Cbc), "proto udp6", NONE, 1541, "", "cipher DES-EDE3-CBC,auth SHA1,keysize 192"),
            (
                Some(Cipher::Aes256Cbc),
                "no-replay",
                NONE,
                1553,
                "",
                "cipher AES-256-CBC,auth SHA1,keysize 256,no-replay",
            ),
            (
                Some(Cipher::Aes256Cbc),
                "compress stub-v2\nauth none",
                CRYPT,
                1537,
                ",comp-lzo",
                "cipher AES-256-CBC,auth [null-digest],keysize 256",
            ),
            (
                Some(Cipher::Aes256Gcm),
                "key-direction 1",
                AUTH,
                1549,
                ",keydir 1",
                "cipher AES-256-GCM,auth [null-digest],keysize 256,tls-auth",
            ),
            (
                Some(Cipher::Aes256Cbc),
                "compress lz4\nkey-direction 0",
                AUTH,
                1558,
                ",comp-lzo,keydir 0",
                "cipher AES-256-CBC,auth SHA1,keysize 256,tls-auth",
            ),
        ] {
            let string = |addresses, first: &str, role| {
                std::format!(
                    "V4,dev-type tun,link-mtu {link_mtu},tun-mtu 1500,proto UDPv4,ifconfig {addresses}{first},{last},key-method 2,{role}"
                )
            };
            let mirrored = match first.split_at(first.len().saturating_sub(1)) {
                (rest, "0") => std::format!("{rest}1"),
                (rest, "1") => std::format!("{rest}0"),
                _ => String::from(first),
            };
            let (forth, back) = ("10.9.0.2 10.9.0.1", "10.9.0.1 10.9.0.2");
            let client = [string(forth, first, "tls-client"), string(back, &mirrored, "tls-server")];
            let server = [string(forth, first, "tls-server"), string(back, &mirrored, "tls-client")];
            assert_eq!(tls_strings(cipher, options, Role::Client, wrapping), client);
            assert_eq!(tls_strings(cipher, options, Role::Server, wrapping), server);
        }
    }

    #[test]
    fn the_cipher_for_a_peer_that_negotiates_none_is_the_one_that_is_told() {
        let mut config = LinkConfig::default();
        config.cipher = Some(Cipher::Aes256Gcm);
        config.tls.role = Some(Role::Client);
        config.tls.data_ciphers_fallback = Some(Cipher::Aes256Cbc);
        let mut string = String::new();
        options_string(&config, Side::Local, &mut string).unwrap();
        assert!(string.contains("cipher AES-256-CBC,auth SHA1,keysize 256,key-method 2"), "{string}");
    }

    #[test]
    fn the_expected_string_is_mirrored() {
        let [local, remote] = strings("ifconfig 10.9.0.1 10.9.0.2\nkey-direction 1");
        let [peer_local, peer_remote] = strings("ifconfig 10.9.0.2 10.9.0.1\nkey-direction 0");
        assert_eq!((local, remote), (peer_remote, peer_local));
        assert_eq!(strings("ifconfig home.example 10.9.0.2")[0], strings("")[0]);
    }

    #[test]
    fn a_null_device_says_so() {
        assert!(strings("dev null")[0].starts_with("V4,dev-type null,link-mtu 1544"));
    }

    #[test]
    fn differences_are_told_in_openvpns_words() {
        assert_eq!(
            warnings("V4,tun-mtu 1400,comp-lzo,secret", "V4,tun-mtu 1500,mtu-dynamic,secret"),
            [
                "WARNING: 'tun-mtu' is used inconsistently, local='tun-mtu 1400', remote='tun-mtu 1500'",
                "WARNING: 'comp-lzo' is present in local config but missing in remote config, local='comp-lzo'",
                "WARNING: 'mtu-dynamic' is present in remote config but missing in local config, remote='mtu-dynamic'",
            ]
        );
    }

    #[test]
    fn some_items_are_never_compared() {
        let [_, expected] = strings("cipher AES-256-CBC\nkey-direction 0\nifconfig-ipv6 fd00::1/64 fd00::2");
        let received = "V4,dev-type tun,link-mtu 1560,tun-mtu 1500,proto TCPv4_CLIENT,keydir 0,cipher BF-CBC,auth SHA1,keysize 256,secret";
        assert!(warnings(&expected, received).is_empty());
        assert!(warnings("V4,secret", "V4,key-method 2,tls-auth,secret").is_empty());
        assert!(warnings("V4,secret", "V4,secret\0").is_empty());
        assert!(warnings("V4,secret", "V4,secret").is_empty());
    }

    #[test]
    fn another_version_is_not_compared() {
        let told = warnings("V4,tun-mtu 1500", "V5,tun-mtu 1400");
        assert_eq!(
            told,
            ["NOTE: the peer's options string is of another version and is not compared: 'V5,tun-mtu 1400'"]
        );
        assert_eq!(warnings("V4,a", "").len(), 1);
    }

    #[test]
    fn a_peer_cannot_disturb_the_log() {
        assert_eq!(
            warnings("V4", "V4,\x1b[2J\r\nfake\u{202e}"),
            [
                "WARNING: '_[2J__fake___' is present in remote config but missing in local config, remote='_[2J__fake___'"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_string_can_be_compared(received in ".{0,200}") {
            for mismatch in Mismatches::new("V4,dev-type tun,tun-mtu 1500,secret", &received).take(500) {
                prop_assert!(mismatch.to_string().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
            }
        }
    }
}
