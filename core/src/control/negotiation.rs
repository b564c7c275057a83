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
    let no_cipher = NoSharedCipher { config, theirs, options: peer_options };
    let negotiated = first_shared(config, role, theirs).or_else(|| no_cipher.named_cipher_of_ours());
    let cipher = negotiated.or_else(|| fallback(config)).ok_or(no_cipher)?;

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
        write!(f, "ERROR: failed to negotiate cipher with peer: 'data-ciphers' is {ours} here and ")?;
        if !self.theirs.is_empty() {
            let theirs = Text::new(self.theirs.as_bytes());
            return write!(f, "{theirs} at the peer. Add a cipher that both have to 'data-ciphers' of both ends");
        }
        match self.named_cipher().map(|name| Text::new(name.as_bytes())) {
            Some(name) => {
                write!(f, "the peer negotiates none but has 'cipher {name}'. Set 'data-ciphers-fallback {name}' here")
            }
            None => f.write_str("the peer negotiates none. Set 'data-ciphers-fallback' to the peer's 'cipher'"),
        }
    }
}

/// Our `IV_PROTO`: what works on this link, and no more.
fn announced(config: &LinkConfig<'_>, can_export: bool) -> u32 {
    let always = iv_proto::DATA_V2 | iv_proto::P2P_NEGOTIATION | iv_proto::EXIT_MESSAGE;
    let exported = iv_proto::TLS_KEY_EXPORT | iv_proto::DYNAMIC_TLS_CRYPT;
    match (can_export, config.tls.data_epoch) {
        (false, _) => always,
        (true, false) => always | exported,
        (true, true) => always | exported | iv_proto::DATA_EPOCH,
    }
}

/// The ciphers that we accept, most wanted first. With `compat-mode` of a version before 2.5 the configured cipher
/// is one of them.
fn offered<'c>(config: &'c LinkConfig<'_>) -> impl Iterator<Item = Cipher> + Clone + use<'c> {
    let listed = &config.tls.data_ciphers;
    let more = if is_compat_before(config, (2, 5, 0)) { fallback(config) } else { None };
    listed.iter().copied().chain(more.filter(|cipher| !listed.contains(cipher)))
}

/// The cipher for a peer that shares none; BF-CBC without any option only with `compat-mode` of a version before 2.4.
fn fallback(config: &LinkConfig<'_>) -> Option<Cipher> {
    let is_set = config.tls.data_ciphers_fallback.or(config.cipher).is_some();
    (is_set || is_compat_before(config, (2, 4, 0))).then_some(config.suite().cipher)
}

fn is_compat_before(config: &LinkConfig<'_>, version: (u8, u8, u8)) -> bool {
    config.tls.compat.is_some_and(|compat| compat < version)
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
