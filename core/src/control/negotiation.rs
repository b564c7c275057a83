//! What two equal peers of a TLS link agree on when they have each other's key message (protocol section 3.14).

use core::fmt::{self, Write};

use crate::crypto::{Cipher, Mode, Suite};
use crate::options::LinkConfig;
use crate::tls::Role;
use crate::wire::peer_info::{PeerInfo, iv_proto};
use crate::wire::text::Text;

/// Writes our own peer info. `can_export` is whether the TLS stack has an exporter.
///
/// # Errors
/// Those of `out`.
pub fn write_peer_info(config: &LinkConfig<'_>, can_export: bool, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "IV_CIPHERS={}", Names(offered(config)))?;
    writeln!(out, "IV_PROTO={}", announced(config, can_export))
}

/// What is agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Cipher and digest of the data channel.
    pub suite: Suite,
    /// How data packets begin.
    pub peer_id: PeerId,
    /// The data keys come from the TLS exporter (else from the PRF over both ends' random bytes).
    pub export_keys: bool,
    /// The end of a link is told with the control message `EXIT` (else with the OCC message).
    pub exit_message: bool,
    /// Renegotiations are wrapped with a key from the TLS exporter (protocol section 3.4).
    pub dynamic_tls_crypt: bool,
    /// Data packets have epochs (protocol section 2.6).
    pub epoch: bool,
}

/// How data packets begin, and where the peer id comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerId {
    /// `P_DATA_V1`, without a peer id.
    None,
    /// `P_DATA_V2` with this number.
    Fixed(u32),
    /// `P_DATA_V2` with the number that the TLS exporter gives for the label `EXPORTER-OpenVPN-p2p-peerid`: 3 bytes,
    /// the highest first.
    FromExporter,
}

/// The peer id of two peers without an exporter: "vpn" as a number.
const FIXED_PEER_ID: u32 = 0x0076_706e;

/// Agrees with a peer that sent this peer info and options string; `role` is our own.
///
/// The cipher is the TLS server's first one that the TLS client has too. A peer that negotiates nothing gets the
/// cipher of its options string if it is among ours. Otherwise it is what `data-ciphers-fallback` or `cipher` says.
/// A list of ciphers alone is no sign of negotiating: openvpn 2.5 tells its list if `push-peer-info` is set, and uses
/// its `cipher` all the same.
///
/// # Errors
/// There is no such cipher.
pub fn agree<'a>(
    config: &'a LinkConfig<'a>,
    role: Role,
    peer_info: &'a [u8],
    peer_options: &'a str,
    can_export: bool,
) -> Result<Agreed, NoSharedCipher<'a>> {
    let peer = PeerInfo::new(peer_info);
    let (ours, theirs) = (announced(config, can_export), peer.iv_proto());
    let negotiates = theirs & iv_proto::P2P_NEGOTIATION != 0;
    let has = |bit| negotiates && ours & theirs & bit != 0;

    let theirs = if negotiates { peer.ciphers() } else { "" };
    let pulls = !negotiates && peer.iv_proto() & iv_proto::REQUEST_PUSH != 0;
    let no_cipher = NoSharedCipher { config, theirs, options: peer_options, pulls };
    let negotiated = first_shared(config, role, theirs).or_else(|| no_cipher.named_cipher_of_ours());
    let cipher = negotiated.or_else(|| config.fallback_cipher()).ok_or(no_cipher)?;

    let export_keys = has(iv_proto::TLS_KEY_EXPORT);
    let peer_id = match (has(iv_proto::DATA_V2), export_keys) {
        (false, _) => PeerId::None,
        (true, false) => PeerId::Fixed(FIXED_PEER_ID),
        (true, true) => PeerId::FromExporter,
    };
    Ok(Agreed {
        suite: suite(config, cipher),
        peer_id,
        export_keys,
        exit_message: has(iv_proto::EXIT_MESSAGE),
        dynamic_tls_crypt: has(iv_proto::DYNAMIC_TLS_CRYPT),
        epoch: has(iv_proto::DATA_EPOCH) && peer_id == PeerId::FromExporter && cipher.mode() == Mode::Aead,
    })
}

/// The ends have no cipher in common, and ours has none for this case.
#[derive(Clone, Copy, Debug)]
pub struct NoSharedCipher<'a> {
    config: &'a LinkConfig<'a>,
    /// The peer's list; empty if it negotiates nothing.
    theirs: &'a str,
    /// The peer's options string.
    options: &'a str,
    /// The peer waits for options, and negotiates nothing without them.
    pulls: bool,
}

impl<'a> NoSharedCipher<'a> {
    fn named_cipher_of_ours(&self) -> Option<Cipher> {
        offered(self.config).find(|cipher| self.named_cipher() == Some(cipher.occ_name()))
    }

    /// The cipher in the peer's options string.
    fn named_cipher(&self) -> Option<&'a str> {
        self.options.split(',').find_map(|item| item.strip_prefix("cipher "))
    }
}

impl fmt::Display for NoSharedCipher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ours = Names(offered(self.config));
        if self.pulls {
            return f.write_str(
                "ERROR: failed to negotiate cipher with peer: it has 'client' or 'pull' and waits for options, which a \
                 point-to-point link does not give; write 'tls-client' and 'ifconfig' there",
            );
        }
        write!(f, "ERROR: failed to negotiate cipher with peer: 'data-ciphers' is {ours} here and ")?;
        if !self.theirs.is_empty() {
            let theirs = Text::new(self.theirs.as_bytes());
            return write!(f, "{theirs} at the peer. Add a cipher that both have to 'data-ciphers' of both ends");
        }
        match self.named_cipher().map(|name| Text::new(name.as_bytes())) {
            Some(name) => {
                write!(f, "the peer negotiates none but has 'cipher {name}'. Set 'data-ciphers-fallback {name}' here")
            }
            None => f.write_str(
                "the peer negotiates none. Is it a server ('server', 'mode server')? A link between two gateways has \
                 'tls-server' and 'ifconfig' there. If it is older than openvpn 2.6, set 'data-ciphers-fallback' to its \
                 'cipher'",
            ),
        }
    }
}

/// Our `IV_PROTO`: what works on this link, and no more.
fn announced(config: &LinkConfig<'_>, can_export: bool) -> u32 {
    let always = iv_proto::DATA_V2 | iv_proto::P2P_NEGOTIATION | iv_proto::EXIT_MESSAGE;
    let exported = iv_proto::TLS_KEY_EXPORT | iv_proto::DYNAMIC_TLS_CRYPT;
    match (can_export, config.tls.data_epoch) {
        (false, _) => always,
        (true, true) if cfg!(feature = "epoch") => always | exported | iv_proto::DATA_EPOCH,
        (true, _) => always | exported,
    }
}

/// The ciphers that we accept, most wanted first. With `compat-mode` of a version before 2.5 the configured cipher
/// is one of them.
fn offered<'c>(config: &'c LinkConfig<'_>) -> impl Iterator<Item = Cipher> + Clone + use<'c> {
    let listed = &config.tls.data_ciphers;
    let old = config.tls.compat.is_some_and(|version| version < (2, 5, 0));
    let more = config.fallback_cipher().filter(|_| old);
    listed.iter().copied().chain(more.filter(|cipher| !listed.contains(cipher)))
}

/// The first cipher of the TLS server's list that the TLS client has too.
fn first_shared(config: &LinkConfig<'_>, role: Role, theirs: &str) -> Option<Cipher> {
    let mut theirs = theirs.split(':');
    match role {
        Role::Server => offered(config).find(|cipher| theirs.clone().any(|name| name == cipher.name())),
        Role::Client => theirs.find_map(|name| offered(config).find(|cipher| name == cipher.name())),
    }
}

/// The configured digest and key length with another cipher, as far as they suit it.
fn suite(config: &LinkConfig<'_>, cipher: Cipher) -> Suite {
    let configured = Suite { cipher, ..config.suite() };
    if cipher.accepts_key_len(configured.key_len) { configured } else { Suite::new(cipher, configured.digest) }
}

/// Ciphers as `data-ciphers` lists them.
struct Names<I>(I);

impl<I: Iterator<Item = Cipher> + Clone> fmt::Display for Names<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.clone().enumerate().try_for_each(|(position, cipher)| {
            f.write_str(if position == 0 { "" } else { ":" })?;
            f.write_str(cipher.name())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Digest;

    const GCM: Cipher = Cipher::Aes256Gcm;
    const CHACHA: Cipher = Cipher::ChaCha20Poly1305;
    const CBC: Cipher = Cipher::Aes256Cbc;

    fn config(data_ciphers: &[Cipher], fallback: Option<Cipher>) -> LinkConfig<'static> {
        let mut config = LinkConfig::default();
        config.tls.data_ciphers = data_ciphers.iter().copied().collect();
        config.tls.data_ciphers_fallback = fallback;
        config
    }

    fn peer_info(config: &LinkConfig<'_>, can_export: bool) -> String {
        let mut info = String::new();
        write_peer_info(config, can_export, &mut info).unwrap();
        info
    }

    /// The cipher that is agreed on with a peer of openvpn 2.6 that has these ciphers.
    fn cipher(config: &LinkConfig<'_>, role: Role, ciphers: &str) -> Option<Cipher> {
        let info = std::format!("IV_CIPHERS={ciphers}\nIV_PROTO=746\n");
        agree(config, role, info.as_bytes(), "V4,cipher BF-CBC", true).ok().map(|agreed| agreed.suite.cipher)
    }

    /// The cipher for a peer that negotiates nothing.
    fn without_negotiation(config: &LinkConfig<'_>, options: &str) -> Option<Cipher> {
        agree(config, Role::Client, b"", options, true).ok().map(|agreed| agreed.suite.cipher)
    }

    #[test]
    fn what_works_is_announced_and_no_more() {
        let mut config = LinkConfig::default();
        let list = "IV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\n";
        // openvpn says 746, with a bit for an option that two equal peers never push.
        assert_eq!(peer_info(&config, true), std::format!("{list}IV_PROTO=682\n"));
        assert_eq!(peer_info(&config, false), std::format!("{list}IV_PROTO=162\n"));
        config.tls.data_epoch = true;
        assert_eq!(peer_info(&config, true), std::format!("{list}IV_PROTO=1706\n"));
        assert_eq!(peer_info(&config, false), std::format!("{list}IV_PROTO=162\n"));
    }

    #[test]
    fn a_peer_of_today_gets_everything() {
        let info = b"IV_CIPHERS=AES-256-GCM\nIV_PROTO=746\n";
        let config = LinkConfig::default();
        let agreed = Agreed {
            suite: Suite::new(GCM, Digest::Sha1),
            peer_id: PeerId::FromExporter,
            export_keys: true,
            exit_message: true,
            dynamic_tls_crypt: true,
            epoch: false,
        };
        assert_eq!(agree(&config, Role::Client, info, "V4", true).unwrap(), agreed);
        let without_exporter =
            Agreed { peer_id: PeerId::Fixed(7_762_030), export_keys: false, dynamic_tls_crypt: false, ..agreed };
        assert_eq!(agree(&config, Role::Client, info, "V4", false).unwrap(), without_exporter);
    }

    #[test]
    fn a_peer_that_negotiates_nothing_gets_the_oldest_format() {
        let mut config = LinkConfig::default();
        (config.cipher, config.auth) = (Some(CBC), Some(Digest::Sha256));
        let agreed = Agreed {
            suite: Suite::new(CBC, Digest::Sha256),
            peer_id: PeerId::None,
            export_keys: false,
            exit_message: false,
            dynamic_tls_crypt: false,
            epoch: false,
        };
        for info in [&b""[..], b"IV_PROTO=2\n", b"IV_CIPHERS=AES-256-GCM\nIV_PROTO=990\n"] {
            assert_eq!(agree(&config, Role::Server, info, "V4,cipher AES-256-CBC", true).unwrap(), agreed);
        }
    }

    #[test]
    fn a_peer_that_waits_for_options_is_named() {
        let config = LinkConfig::default();
        for (proto, says) in [(990, "it has 'client' or 'pull'"), (2, "set 'data-ciphers-fallback' to its 'cipher'")] {
            let info = std::format!("IV_CIPHERS=AES-256-GCM\nIV_PROTO={proto}\n");
            let error = agree(&config, Role::Server, info.as_bytes(), "V4", true).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn epochs_need_the_exporter_and_an_aead_cipher_at_both_ends() {
        let mut config = config(&[GCM, CBC], None);
        let epoch = |config: &LinkConfig<'_>, proto: u32, cipher: &str, can_export| {
            let info = std::format!("IV_CIPHERS={cipher}\nIV_PROTO={proto}\n");
            agree(config, Role::Server, info.as_bytes(), "V4", can_export).unwrap().epoch
        };
        assert!(!epoch(&config, 746 | 1024, "AES-256-GCM", true));
        config.tls.data_epoch = true;
        assert!(epoch(&config, 746 | 1024, "AES-256-GCM", true));
        assert!(!epoch(&config, 746 | 1024, "AES-256-GCM", false));
        assert!(!epoch(&config, 746 | 1024, "AES-256-CBC", true));
        assert!(!epoch(&config, 746, "AES-256-GCM", true));
        assert!(!epoch(&config, (746 | 1024) - 8, "AES-256-GCM", true));
        assert!(!epoch(&config, (746 | 1024) - 2, "AES-256-GCM", true));
    }

    #[test]
    fn the_tls_servers_order_decides() {
        let config = config(&[CHACHA, Cipher::Aes128Gcm, GCM], None);
        let theirs = "AES-128-GCM:CHACHA20-POLY1305";
        assert_eq!(cipher(&config, Role::Server, theirs), Some(CHACHA));
        assert_eq!(cipher(&config, Role::Client, theirs), Some(Cipher::Aes128Gcm));
        assert_eq!(cipher(&config, Role::Client, "SM4-GCM:AES-256-GCM"), Some(GCM));
        // Lists are of one spelling.
        assert_eq!(cipher(&config, Role::Client, "aes-256-gcm"), None);
    }

    #[test]
    fn two_ends_of_one_kind_agree() {
        let ours = config(&[GCM, CHACHA], None);
        let theirs = config(&[CHACHA, GCM], None);
        let (our_info, their_info) = (peer_info(&ours, true), peer_info(&theirs, true));
        let here = agree(&ours, Role::Client, their_info.as_bytes(), "V4", true).unwrap();
        let there = agree(&theirs, Role::Server, our_info.as_bytes(), "V4", true).unwrap();
        assert_eq!(here, there);
        assert_eq!(here.suite.cipher, CHACHA);
    }

    #[test]
    fn a_configured_cipher_is_for_peers_that_share_none() {
        let mut config = config(&[GCM], None);
        assert_eq!(cipher(&config, Role::Server, "AES-128-GCM"), None);
        config.cipher = Some(CBC);
        assert_eq!(cipher(&config, Role::Server, "AES-128-GCM"), Some(CBC));
        assert_eq!(without_negotiation(&config, "V4"), Some(CBC));
        config.tls.data_ciphers_fallback = Some(Cipher::Aes192Cbc);
        assert_eq!(cipher(&config, Role::Server, "AES-128-GCM"), Some(Cipher::Aes192Cbc));
        assert_eq!(cipher(&config, Role::Server, "AES-256-GCM"), Some(GCM));
    }

    #[test]
    fn the_cipher_that_an_old_peer_names_is_taken_if_it_is_ours() {
        let mut config = config(&[GCM, CBC, Cipher::None], Some(Cipher::BfCbc));
        assert_eq!(without_negotiation(&config, "V4,cipher AES-256-CBC,auth SHA1"), Some(CBC));
        assert_eq!(without_negotiation(&config, "V4,cipher [null-cipher]"), Some(Cipher::None));
        assert_eq!(without_negotiation(&config, "V4,cipher AES-128-CBC"), Some(Cipher::BfCbc));
        assert_eq!(without_negotiation(&config, "V4"), Some(Cipher::BfCbc));
        config.tls.data_ciphers_fallback = None;
        assert_eq!(without_negotiation(&config, "V4,cipher BF-CBC"), None);
    }

    #[test]
    fn defaults_of_old_versions_can_be_asked_for() {
        let mut config = config(&[GCM], None);
        config.tls.compat = Some((2, 4, 9));
        assert_eq!(offered(&config).count(), 1);
        assert_eq!(without_negotiation(&config, "V4"), None);
        config.cipher = Some(CBC);
        assert!(peer_info(&config, true).starts_with("IV_CIPHERS=AES-256-GCM:AES-256-CBC\n"));
        config.cipher = Some(GCM);
        assert!(peer_info(&config, true).starts_with("IV_CIPHERS=AES-256-GCM\n"));
        config.cipher = None;
        config.tls.compat = Some((2, 3, 0));
        assert!(peer_info(&config, true).starts_with("IV_CIPHERS=AES-256-GCM:BF-CBC\n"));
        assert_eq!(without_negotiation(&config, "V4"), Some(Cipher::BfCbc));
        config.tls.compat = Some((2, 5, 0));
        assert_eq!(without_negotiation(&config, "V4"), None);
    }

    #[test]
    fn a_configured_key_length_goes_with_its_cipher_only() {
        let mut config = config(&[Cipher::Aes128Cbc], Some(Cipher::BfCbc));
        config.keysize = Some(256);
        let key_len = |options| agree(&config, Role::Client, b"", options, true).unwrap().suite.key_len;
        assert_eq!(key_len("V4"), 32);
        assert_eq!(key_len("V4,cipher AES-128-CBC"), 16);
    }

    #[test]
    fn who_shares_no_cipher_is_told_what_to_do() {
        let config = config(&[GCM, CHACHA], None);
        let told = |info: &[u8], options| agree(&config, Role::Client, info, options, true).unwrap_err().to_string();
        let begin =
            "ERROR: failed to negotiate cipher with peer: 'data-ciphers' is AES-256-GCM:CHACHA20-POLY1305 here and ";
        for (info, options, end) in [
            (
                &b"IV_CIPHERS=A\x1b:B\nIV_PROTO=746\n"[..],
                "V4,cipher BF-CBC",
                "A_:B at the peer. Add a cipher that both have to 'data-ciphers' of both ends",
            ),
            (
                b"",
                "V4,cipher AES-256-CBC",
                "the peer negotiates none but has 'cipher AES-256-CBC'. Set 'data-ciphers-fallback AES-256-CBC' here",
            ),
            (
                b"",
                "V4",
                "the peer negotiates none. Is it a server ('server', 'mode server')? A link between two gateways has \
                 'tls-server' and 'ifconfig' there. If it is older than openvpn 2.6, set 'data-ciphers-fallback' to its \
                 'cipher'",
            ),
        ] {
            assert_eq!(told(info, options), std::format!("{begin}{end}"));
        }
    }

    proptest! {
        #[test]
        fn any_peer_can_be_judged(info: std::vec::Vec<u8>, ciphers in "[A-Z0-9:-]{0,60}", proto: u32, options in "[ -~]{0,80}") {
            let config = config(&[GCM, CBC], None);
            let sensible = std::format!("IV_CIPHERS={ciphers}\nIV_PROTO={proto}\n");
            for info in [&info[..], sensible.as_bytes()] {
                match agree(&config, Role::Client, info, &options, true) {
                    Ok(agreed) => prop_assert!([GCM, CBC].contains(&agreed.suite.cipher)),
                    Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
                }
            }
        }
    }
}
