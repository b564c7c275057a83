//! The options of a TLS link.

use heapless::Vec;

use super::{KeySource, Word};
use crate::crypto::Cipher;
use crate::options::WORDS_MAX;
use crate::tls::Role;

/// The most entries of `data-ciphers`.
pub const DATA_CIPHERS_MAX: usize = at_most(20, 20);
/// The most `peer-fingerprint` and `verify-hash` values.
pub const FINGERPRINTS_MAX: usize = at_most(32, 2);
/// The most values of `remote-cert-ku`: as many as fit on a line.
pub const KEY_USAGES_MAX: usize = at_most(WORDS_MAX.saturating_sub(1), WORDS_MAX.saturating_sub(1));
/// The most fields of `x509-username-field`.
pub const USER_NAME_FIELDS_MAX: usize = at_most(WORDS_MAX.saturating_sub(1), 2);

/// How many on a host and on a board; without the feature `tls` none, as all these options are unknown.
const fn at_most(host: usize, board: usize) -> usize {
    match (cfg!(feature = "tls"), cfg!(feature = "host")) {
        (false, _) => 0,
        (true, true) => host,
        (true, false) => board,
    }
}

/// `data-ciphers` if it is not configured (protocol section 3.14).
pub(super) const DEFAULT_DATA_CIPHERS: [Cipher; 3] = [Cipher::Aes256Gcm, Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305];

/// What is configured about TLS and its control channel. Defaults are openvpn 2.6's.
#[derive(Clone, Debug)]
pub struct TlsOptions<'a> {
    /// `tls-client` or `tls-server`; `None` is a static-key link.
    pub role: Option<Role>,
    /// `tls-auth`, `tls-crypt`, `tls-crypt-v2`. The direction of `tls-auth` is `LinkConfig::key_direction`.
    pub wrapping: ControlKey<'a>,
    /// `ca`.
    pub ca: Option<KeySource<'a>>,
    /// `cert`.
    pub cert: Option<KeySource<'a>>,
    /// `key`.
    pub key: Option<KeySource<'a>>,
    /// `extra-certs`.
    pub extra_certs: Option<KeySource<'a>>,
    /// `pkcs12`; base64 if inline.
    pub pkcs12: Option<KeySource<'a>>,
    /// `crl-verify`.
    pub crl: Option<RevocationList<'a>>,
    /// What the peer's certificate must be like.
    pub peer: PeerRules<'a>,
    /// `tls-version-min`.
    pub version_min: TlsVersion,
    /// `tls-version-max`.
    pub version_max: TlsVersion,
    /// `tls-cipher`.
    pub cipher_list: Option<Word<'a>>,
    /// `tls-ciphersuites`.
    pub ciphersuites: Option<Word<'a>>,
    /// `tls-groups`, or `ecdh-curve`.
    pub groups: Option<Word<'a>>,
    /// `tls-cert-profile`.
    pub profile: CertProfile,

    /// `data-ciphers`, most wanted first.
    pub data_ciphers: Vec<Cipher, DATA_CIPHERS_MAX>,
    /// `data-ciphers-fallback`; see [`LinkConfig::fallback_cipher`](super::LinkConfig::fallback_cipher).
    pub data_ciphers_fallback: Option<Cipher>,
    /// `data-epoch`: announce the packet format of openvpn 2.7 with epochs (protocol section 2.6).
    pub data_epoch: bool,

    /// `tls-timeout`: the first repetition of a control packet, in seconds.
    pub timeout: u32,
    /// `hand-window`: how long a negotiation may take, in seconds.
    pub hand_window: u32,
    /// `tran-window`: how long an old key stays usable, in seconds.
    pub tran_window: u32,
    /// `reneg-sec`: after so many seconds a new key is negotiated; 0 is never.
    pub reneg_sec: u32,
    /// Second argument of `reneg-sec`: the shortest such time, if it is drawn at random.
    pub reneg_sec_min: Option<u32>,
    /// `reneg-bytes`; `None` leaves it to the cipher, 0 is never.
    pub reneg_bytes: Option<u64>,
    /// `reneg-pkts`; 0 is never.
    pub reneg_pkts: u64,
    /// `single-session`.
    pub single_session: bool,
    /// `tls-exit`.
    pub tls_exit: bool,
    /// `max-packet-size`: largest control datagram with its IP and UDP header, in bytes.
    pub max_packet_size: u16,
    /// `compat-mode`: the version of openvpn whose defaults are wanted.
    pub compat: Option<(u8, u8, u8)>,
}

/// The key that protects the control channel itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlKey<'a> {
    /// None: only TLS protects.
    #[default]
    None,
    /// `tls-auth`.
    Auth(KeySource<'a>),
    /// `tls-crypt`.
    Crypt(KeySource<'a>),
    /// `tls-crypt-v2`: a client's key with `tls-client`, a server's with `tls-server`.
    CryptV2(KeySource<'a>),
}

/// `crl-verify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationList<'a> {
    /// A list in PEM.
    List(KeySource<'a>),
    /// A directory with a file per serial number.
    Directory(Word<'a>),
}

/// A version of TLS that is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

/// `tls-cert-profile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertProfile {
    /// SHA-1 signatures and 1024-bit RSA too.
    Insecure,
    /// SHA-1 signatures refused, RSA from 1024 bits.
    #[default]
    Legacy,
    /// SHA-2, RSA from 2048 bits.
    Preferred,
    /// Only the curves and digests of Suite B.
    SuiteB,
}

/// What the peer's certificate must be like besides being signed by an authority.
#[derive(Clone, Debug)]
pub struct PeerRules<'a> {
    /// `remote-cert-tls`: the role that the certificate must be for.
    pub role: Option<Role>,
    /// `remote-cert-ku`: `Some` demands the extension; the usage must have all bits of one of the values.
    pub key_usage: Option<Vec<u16, KEY_USAGES_MAX>>,
    /// `remote-cert-eku`: an object identifier, or OpenSSL's name of one.
    pub extended_key_usage: Option<Word<'a>>,
    /// `verify-x509-name`.
    pub name: Option<(Word<'a>, NameKind)>,
    /// `verify-hash`: fingerprints of the certificate at depth 1.
    pub authority: Vec<Fingerprint, FINGERPRINTS_MAX>,
    /// `peer-fingerprint`: SHA-256 of the peer's certificate.
    pub peer: Vec<[u8; 32], FINGERPRINTS_MAX>,
    /// `x509-username-field`: what names the user, joined with `_`: fields of the subject, `serialNumber`,
    /// `ext:subjectAltName` or `ext:issuerAltName`.
    pub user_name_fields: Vec<Word<'a>, USER_NAME_FIELDS_MAX>,
}

/// A value of `verify-hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// SHA-1.
    Sha1([u8; 20]),
    /// SHA-256.
    Sha256([u8; 32]),
}

/// Second argument of `verify-x509-name`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameKind {
    /// The whole subject.
    #[default]
    Subject,
    /// The common name.
    Name,
    /// The beginning of the common name.
    NamePrefix,
}

impl Default for PeerRules<'_> {
    fn default() -> Self {
        Self {
            role: None,
            key_usage: None,
            extended_key_usage: None,
            name: None,
            authority: Vec::new(),
            peer: Vec::new(),
            user_name_fields: [Word::literal("CN")].into_iter().take(USER_NAME_FIELDS_MAX).collect(),
        }
    }
}

impl Default for TlsOptions<'_> {
    fn default() -> Self {
        Self {
            role: None,
            wrapping: ControlKey::default(),
            ca: None,
            cert: None,
            key: None,
            extra_certs: None,
            pkcs12: None,
            crl: None,
            peer: PeerRules::default(),
            version_min: TlsVersion::V12,
            version_max: TlsVersion::V13,
            cipher_list: None,
            ciphersuites: None,
            groups: None,
            profile: CertProfile::default(),
            data_ciphers: DEFAULT_DATA_CIPHERS.into_iter().take(DATA_CIPHERS_MAX).collect(),
            data_ciphers_fallback: None,
            data_epoch: false,
            timeout: 2,
            hand_window: 60,
            tran_window: 3600,
            reneg_sec: 3600,
            reneg_sec_min: None,
            reneg_bytes: None,
            reneg_pkts: 0,
            single_session: false,
            tls_exit: false,
            max_packet_size: 1250,
            compat: None,
        }
    }
}
