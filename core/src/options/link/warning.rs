//! What is legal and yet worth a word.

use core::fmt;
use core::net::Ipv4Addr;

use super::apply::is_netmask;
use super::*;
use crate::crypto::Mode;

/// Something that the operator should know about a valid configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Warning {
    /// No cipher is configured, so it is openvpn's old default.
    DefaultCipher,
    /// The cipher has 64-bit blocks.
    ShortBlocks(Cipher),
    /// `cipher none`.
    NoCipher,
    /// `auth none`.
    NoAuthentication,
    /// `no-replay`.
    NoPacketIds,
    /// The static key has no direction.
    NoDirection,
    /// `key-direction` without a key that has one.
    DirectionUnused,
    /// Nothing says which certificate the TLS server must have.
    NoServerVerification,
    /// `remote-cert-tls` names our own role.
    OwnRole(Role),
    /// `tls-version-min` is older than what is supported.
    OldTlsVersion,
    /// `cipher` is not in `data-ciphers`, so it is for peers only that cannot choose.
    CipherNotOffered(Cipher),
    /// `none` may be chosen, or is what is left with a peer that cannot choose.
    NoDataCipher,
    /// The second argument of `ifconfig` looks like a netmask but means an address.
    NetmaskAsAddress,
    /// The second argument of `ifconfig` means a netmask but is none.
    AddressAsNetmask,
    /// `ping` without a time-out.
    PingWithoutTimeout,
    /// `crl-verify` names a list whose signature nobody can check.
    CrlWithoutCa,
    /// `remote` outside of `<connection>` blocks.
    RemoteOutside,
    /// `opt-verify`, which only a server acts on.
    OptVerify,
}

impl LinkConfig<'_> {
    /// What to say about this configuration when the link starts.
    pub fn warnings(&self) -> impl Iterator<Item = Warning> {
        let suite = self.suite();
        let tls = &self.tls;
        let (secret, client) = (self.role().is_none(), self.role() == Some(Role::Client));
        let peer = &tls.peer;
        let unverified =
            peer.role.is_none() && peer.extended_key_usage.is_none() && peer.name.is_none() && peer.peer.is_empty();
        let own_role = self.role().filter(|role| peer.role == Some(*role));
        let not_offered = |cipher: &Cipher| !tls.data_ciphers.contains(cipher) && tls.data_ciphers_fallback.is_none();
        let negotiable = if secret { &[] } else { tls.data_ciphers.as_slice() };
        let usable = || negotiable.iter().copied().chain(self.fallback_cipher());
        let tls_auth = matches!(tls.wrapping, ControlKey::Auth(_));
        let needs_digest = secret || tls_auth || usable().any(|cipher| cipher.mode() != Mode::Aead);
        let second = self.ifconfig.and_then(|ifconfig| ifconfig.remote_or_netmask.parse::<Ipv4Addr>());
        let like_netmask = |address: Ipv4Addr| address.octets().first() == Some(&255);
        let unchecked_crl =
            tls.ca.is_none() && tls.pkcs12.is_none() && matches!(tls.crl, Some(RevocationList::List(_)));
        let subnet = self.topology == Topology::Subnet;
        [
            (secret && usable().next().is_none()).then_some(Warning::DefaultCipher),
            usable().find(|cipher| cipher.is_64_bit_block()).map(Warning::ShortBlocks),
            (secret && suite.cipher == Cipher::None).then_some(Warning::NoCipher),
            (!secret && usable().any(|cipher| cipher == Cipher::None)).then_some(Warning::NoDataCipher),
            self.cipher.filter(|cipher| !secret && not_offered(cipher)).map(Warning::CipherNotOffered),
            (suite.digest == Digest::None && needs_digest).then_some(Warning::NoAuthentication),
            (!self.packet_ids).then_some(Warning::NoPacketIds),
            (secret && self.key_direction.is_none()).then_some(Warning::NoDirection),
            (!secret && self.key_direction.is_some() && !tls_auth).then_some(Warning::DirectionUnused),
            (client && unverified).then_some(Warning::NoServerVerification),
            own_role.map(Warning::OwnRole),
            self.old_tls_version.then_some(Warning::OldTlsVersion),
            (!subnet && second.is_some_and(like_netmask)).then_some(Warning::NetmaskAsAddress),
            (subnet && second.is_some_and(|mask| !is_netmask(&mask))).then_some(Warning::AddressAsNetmask),
            (self.ping > 0 && self.receive_timeout == ReceiveTimeout::None).then_some(Warning::PingWithoutTimeout),
            unchecked_crl.then_some(Warning::CrlWithoutCa),
            (self.own_remote && !self.blocks.is_empty()).then_some(Warning::RemoteOutside),
            self.opt_verify.then_some(Warning::OptVerify),
        ]
        .into_iter()
        .flatten()
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WARNING: ")?;
        match self {
            Self::DefaultCipher => f.write_str(
                "no cipher is configured, so it is openvpn's old default. INSECURE cipher (BF-CBC) with block size less \
                 than 128 bit: much traffic under one key can be deciphered (SWEET32); write 'cipher AES-256-CBC' at \
                 both ends",
            ),
            Self::ShortBlocks(cipher) => write!(
                f,
                "INSECURE cipher ({}) with block size less than 128 bit: much traffic under one key can be deciphered \
                 (SWEET32); use AES-256-CBC, or AES-256-GCM with TLS, at both ends",
                cipher.name()
            ),
            Self::NoCipher => f.write_str("everybody on the path can read the tunnel's traffic ('cipher none')"),
            Self::NoAuthentication => f.write_str("everybody can put packets into the tunnel ('auth none')"),
            Self::NoPacketIds => f.write_str("recorded packets can be put into the tunnel again ('no-replay')"),
            Self::NoDirection => f.write_str(
                "the static key has no direction, so a packet sent back to its sender is authentic; write 'key-direction \
                 0' at one end and 'key-direction 1' at the other",
            ),
            Self::DirectionUnused => f.write_str(
                "'key-direction' makes no difference: only the keys of 'tls-auth' and 'secret' have a direction",
            ),
            Self::NoServerVerification => f.write_str(
                "No server certificate verification method has been enabled. Everybody with a certificate of the same \
                 authority can pose as the server; write 'remote-cert-tls server' and 'verify-x509-name'",
            ),
            Self::OwnRole(role) => {
                let (own, other) = match role {
                    Role::Client => ("client", "server"),
                    Role::Server => ("server", "client"),
                };
                write!(
                    f,
                    "'remote-cert-tls {own}' demands our own role of the peer, whose certificate is that of a {other} in \
                     most links; write 'remote-cert-tls {other}'"
                )
            }
            Self::OldTlsVersion => f.write_str("'tls-version-min' is taken as 1.2: older versions of TLS are insecure"),
            Self::CipherNotOffered(cipher) => write!(
                f,
                "DEPRECATED OPTION: --cipher set to '{0}' but missing in --data-ciphers: it is only used with a peer that \
                 cannot choose a cipher; if there is such a peer, write 'data-ciphers-fallback {0}' instead",
                cipher.name()
            ),
            Self::NoDataCipher => f.write_str(
                "with cipher 'none' everybody on the path can read the tunnel's traffic, and a peer may choose it",
            ),
            Self::CrlWithoutCa => f.write_str(
                "'crl-verify' makes no difference without 'ca': nobody can say whether the list is genuine; with \
                 'peer-fingerprint', take the fingerprint of a revoked certificate out",
            ),
            Self::NetmaskAsAddress => f.write_str(
                "the second address of 'ifconfig' looks like a netmask but is the peer's address in this topology; \
                 perhaps 'topology subnet' is missing",
            ),
            Self::AddressAsNetmask => {
                f.write_str("the second argument of 'ifconfig' is no netmask, which 'topology subnet' needs")
            }
            Self::PingWithoutTimeout => {
                f.write_str("--ping should normally be used with --ping-restart or --ping-exit: a silent peer is not noticed")
            }
            Self::RemoteOutside => f.write_str("'remote' outside of the <connection> blocks is ignored"),
            Self::OptVerify => f.write_str("here options that differ are only warned about ('opt-verify' is for servers)"),
        }
    }
}
