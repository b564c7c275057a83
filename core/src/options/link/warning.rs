//! What is legal and yet worth a word.

use core::fmt;

use super::apply::is_netmask;
use super::*;

/// Something that the operator should know about a valid configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The second argument of `ifconfig` looks like a netmask but means an address.
    NetmaskAsAddress,
    /// The second argument of `ifconfig` means a netmask but is none.
    AddressAsNetmask,
    /// `ping` without a time-out.
    PingWithoutTimeout,
    /// `opt-verify`, which only a server acts on.
    OptVerify,
}

impl LinkConfig<'_> {
    /// What to say about this configuration when the link starts.
    pub fn warnings(&self) -> impl Iterator<Item = Warning> {
        let suite = self.suite();
        let second = self.ifconfig.and_then(|ifconfig| ifconfig.remote_or_netmask.parse::<Ipv4Addr>());
        let like_netmask = |address: Ipv4Addr| address.octets().first() == Some(&255);
        let subnet = self.topology == Topology::Subnet;
        [
            (self.cipher.is_none(), Warning::DefaultCipher),
            (self.cipher.is_some() && suite.cipher.is_64_bit_block(), Warning::ShortBlocks(suite.cipher)),
            (suite.cipher == Cipher::None, Warning::NoCipher),
            (suite.digest == Digest::None, Warning::NoAuthentication),
            (!self.packet_ids, Warning::NoPacketIds),
            (self.key_direction.is_none(), Warning::NoDirection),
            (!subnet && second.is_some_and(like_netmask), Warning::NetmaskAsAddress),
            (subnet && second.is_some_and(|mask| !is_netmask(&mask)), Warning::AddressAsNetmask),
            (self.ping > 0 && self.receive_timeout == ReceiveTimeout::None, Warning::PingWithoutTimeout),
            (self.opt_verify, Warning::OptVerify),
        ]
        .into_iter()
        .filter_map(|(applies, warning)| applies.then_some(warning))
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
                 (SWEET32); write 'cipher AES-256-CBC' at both ends",
                cipher.name()
            ),
            Self::NoCipher => f.write_str("everybody on the path can read the tunnel's traffic ('cipher none')"),
            Self::NoAuthentication => f.write_str("everybody can put packets into the tunnel ('auth none')"),
            Self::NoPacketIds => f.write_str("recorded packets can be put into the tunnel again ('no-replay')"),
            Self::NoDirection => f.write_str(
                "the static key has no direction, so a packet sent back to its sender is authentic; write 'key-direction \
                 0' at one end and 'key-direction 1' at the other",
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
            Self::OptVerify => f.write_str("here options that differ are only warned about ('opt-verify' is for servers)"),
        }
    }
}
