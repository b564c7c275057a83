//! What the engine tells its host, as values. Text exists only in `Display`.
//!
//! The wording of the lines that people and scripts look for is openvpn's (protocol section 9.3).

use core::fmt;
use core::net::SocketAddr;

use heapless::String;

use crate::crypto::Cipher;
use crate::tls::TlsFailure;
use crate::wire::control::SessionId;

/// Longest description of a TLS session in bytes.
pub const TLS_TEXT_MAX: usize = match (cfg!(feature = "tls"), cfg!(feature = "host")) {
    (true, true) => 200,
    (true, false) => 64,
    (false, _) => 0,
};
/// Longest name of a peer in bytes.
pub const NAME_MAX: usize = if cfg!(feature = "tls") { 64 } else { 0 };

/// Something happened that an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'o> {
    /// The first authentic packet since the start or restart arrived from this address, or the peer
    /// is now followed to it.
    PeerConnected(SocketAddr),
    /// The tunnel is usable.
    Initialized,
    /// Nothing authentic has come from the peer since the start.
    PeerSilent {
        /// Where the packets are sent, if an address is known.
        address: Option<SocketAddr>,
        /// How long has been waited, in seconds.
        seconds: u64,
        /// Datagrams that came but were discarded.
        discarded: u64,
        /// Control packets came and were accepted.
        accepted: bool,
    },
    /// The options string that the peer announced.
    PeerOptions(&'o str),
    /// The peer's options and ours agree.
    OptionsAgree,
    /// One option differs; the text is the whole warning.
    OptionDiffers(&'o str),
    /// The comparison is over; so many options differ.
    OptionsCompared(usize),
    /// The peer is heard and does not answer: what is sent to it does not get through, or is refused there.
    PeerDeaf,
    /// The peer never answered the question for its options.
    OptionsUnknown,
    /// The link is about to restart or end for this cause.
    Ending(Cause),
    /// The peer is told that this end exits.
    NotifyingPeer,
    /// A peer wants to begin a session.
    InitialPacket {
        /// Where it is.
        from: SocketAddr,
        /// Its session id.
        session: SessionId,
    },
    /// TLS stands, and the peer is who it must be.
    TlsEstablished {
        /// Version and cipher suite.
        tls: String<TLS_TEXT_MAX>,
        /// The common name in its certificate.
        peer: String<NAME_MAX>,
    },
    /// A negotiation has failed.
    TlsFailed(TlsFailure),
    /// A negotiation was not over after `hand-window` seconds.
    HandshakeTimeout(u32),
    /// A new key is negotiated; this end asked for it, or the peer.
    Renegotiating {
        /// This end asked.
        ours: bool,
    },
    /// A data-channel key is in use.
    DataChannel {
        /// What encrypts.
        cipher: Cipher,
        /// The number of the key in packets.
        key_id: u8,
        /// The number of the peer in packets.
        peer_id: Option<u32>,
        /// Whether the key comes from the TLS exporter; otherwise from OpenVPN's own derivation.
        exported: bool,
    },
    /// A text message of the peer, of this kind, is none that concerns a link like this.
    MessageIgnored(&'static str),
    /// A text message of the peer has characters that none has.
    MessageRefused,
    /// The link starts anew.
    Restarting(Reason),
    /// The link ends.
    Exiting(Reason),
    /// The link waits this many seconds before it starts anew.
    Pause(u64),
    /// Each remote has been tried this often in vain: the link ends.
    RetriesUsedUp(u32),
}

impl Event<'_> {
    /// The `verb` level from which on a log shows the event.
    pub fn level(&self) -> u8 {
        match self {
            Self::PeerOptions(_) | Self::OptionsAgree => 4,
            Self::Renegotiating { .. } | Self::InitialPacket { .. } => 3,
            Self::DataChannel { key_id, .. } if *key_id > 0 => 3,
            Self::MessageIgnored(_) | Self::MessageRefused => 3,
            Self::Pause(_) => 3,
            // The failed lookup is an error in the log already, once in a while.
            Self::Restarting(Reason { cause: Some(Cause::Resolve), .. }) | Self::Ending(Cause::Resolve) => 4,
            _ => 1,
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerConnected(address) => write!(f, "Peer Connection Initiated with {}", Address(*address)),
            Self::Initialized => f.write_str("Initialization Sequence Completed"),
            Self::PeerSilent { address, seconds, discarded, accepted } => {
                f.write_str(if *accepted { "The TLS handshake with " } else { "No authentic packet from " })?;
                match address {
                    Some(address) => write!(f, "{}", Address(*address))?,
                    None => f.write_str("any peer")?,
                }
                match (accepted, discarded) {
                    (true, _) => write!(
                        f,
                        " does not complete for {seconds} s: see the errors above, or the peer does not get our packets \
                         (firewall, NAT)"
                    ),
                    (false, 0) => write!(
                        f,
                        " for {seconds} s, nothing was received at all: is the peer running, is its address right, do \
                         firewalls pass UDP, is the port forwarded? Or it discards our packets (other key, direction or \
                         role: its log says so)"
                    ),
                    (false, n) => {
                        write!(f, " for {seconds} s, but {n} packet(s) that were discarded: see the errors above")
                    }
                }
            }
            Self::PeerOptions(options) => write!(f, "Peer options string: '{options}'"),
            Self::OptionsAgree => f.write_str("The options of both ends agree"),
            Self::OptionDiffers(warning) => f.write_str(warning),
            Self::OptionsCompared(count) => {
                write!(f, "{count} option(s) of the two ends differ: see the warnings above")
            }
            Self::PeerDeaf => f.write_str(
                "WARNING: the peer's packets arrive, but it answers no question: does its log show errors? Compare the \
                 key direction of both ends, and see that its firewall lets these packets in",
            ),
            Self::OptionsUnknown => f.write_str(
                "NOTE: the peer did not tell its options, so they could not be compared ('disable-occ' at either end \
                 silences this)",
            ),
            Self::Ending(cause) => f.write_str(cause.text()),
            Self::InitialPacket { from, session } => {
                write!(f, "TLS: Initial packet from {}, sid={session}", Address(*from))
            }
            Self::TlsEstablished { tls, peer } => write!(f, "Control Channel: {tls}, peer: {peer}"),
            Self::TlsFailed(failure) => write!(f, "TLS Error: TLS handshake failed: {failure}"),
            Self::HandshakeTimeout(seconds) => write!(
                f,
                "TLS Error: TLS key negotiation failed to occur within {seconds} seconds (check your network \
                 connectivity)"
            ),
            Self::Renegotiating { ours: true } => f.write_str("TLS: soft reset, a new key is negotiated"),
            Self::Renegotiating { ours: false } => f.write_str("TLS: soft reset by the peer, a new key is negotiated"),
            Self::DataChannel { cipher, key_id, peer_id, exported } => {
                write!(f, "Data Channel: cipher '{}', key {key_id}", cipher.name())?;
                if let Some(id) = peer_id {
                    write!(f, ", peer-id: {id}")?;
                }
                f.write_str(if *exported { ", from the TLS exporter" } else { ", from the PRF" })
            }
            Self::MessageIgnored("PUSH_REQUEST") => f.write_str(
                "PUSH_REQUEST received: the peer waits for options ('client' or 'pull'), which a point-to-point link does not \
                 give; write 'tls-client' and 'ifconfig' there",
            ),
            Self::MessageIgnored(kind) => write!(f, "A control message of the peer is ignored ({kind})"),
            Self::MessageRefused => {
                f.write_str("WARNING: a message of the peer on the control channel has forbidden characters: ignored")
            }
            Self::NotifyingPeer => f.write_str("SIGTERM received, sending exit notification to peer"),
            Self::Restarting(reason) => write!(f, "{reason} received, process restarting"),
            Self::Exiting(reason) => write!(f, "{reason} received, process exiting"),
            Self::RetriesUsedUp(limit) => write!(
                f,
                "All connections have been connect-retry-max ({limit}) times unsuccessful, exiting"
            ),
            Self::Pause(seconds) => write!(f, "Restart pause, {seconds} second(s)"),
        }
    }
}

/// Signals of the process, or what takes their place on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Signal {
    /// Restart the link with the configuration at hand.
    Usr1,
    /// Restart with a configuration read anew.
    Hup,
    /// Orderly exit.
    Term,
    /// Orderly exit, asked for at the keyboard.
    Int,
}

impl Signal {
    /// The name, as in `SIGUSR1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usr1 => "SIGUSR1",
            Self::Hup => "SIGHUP",
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
        }
    }
}

/// Why a link restarts or ends: a signal from outside (hard) or from within (soft, with a cause).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reason {
    /// What is done.
    pub signal: Signal,
    /// Why, if it comes from within.
    pub cause: Option<Cause>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Some(cause) => write!(f, "{}[soft,{}]", self.signal.name(), cause.name()),
            None => write!(f, "{}[hard,]", self.signal.name()),
        }
    }
}

impl Reason {
    /// A reason from within.
    pub const fn soft(signal: Signal, cause: Cause) -> Self {
        Self { signal, cause: Some(cause) }
    }

    /// A signal from outside.
    pub const fn hard(signal: Signal) -> Self {
        Self { signal, cause: None }
    }
}

/// A cause from within (protocol section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cause {
    /// Nothing was received for `ping-restart` seconds.
    PingRestart,
    /// Nothing was received for `ping-exit` seconds.
    PingExit,
    /// No tunnel traffic for `inactive` seconds.
    Inactive,
    /// `session-timeout` is over.
    SessionTimeout,
    /// The peer said by the control channel that it exits.
    RemoteExit,
    /// The peer said by a data packet that it exits.
    OccExit,
    /// The exit notification has been sent.
    ExitNotified,
    /// The peer's name cannot be resolved.
    Resolve,
    /// The socket could not be opened.
    Socket,
    /// The keys could not be negotiated.
    Tls,
    /// The peer did not answer within `connect-timeout` seconds.
    ServerPoll,
    /// `connect-retry-max` is reached.
    RetriesUsedUp,
}

impl Cause {
    /// One sentence for the operator.
    pub const fn text(self) -> &'static str {
        match self {
            Self::PingRestart => "Inactivity timeout (--ping-restart), restarting",
            Self::PingExit => "Inactivity timeout (--ping-exit), exiting",
            Self::Inactive => "Inactivity timeout (--inactive), exiting",
            Self::SessionTimeout => "Session timeout, exiting",
            Self::RemoteExit => "CC-EEN exit message received by peer",
            Self::OccExit => "OCC exit message received by peer",
            Self::ExitNotified => "Exit notification sent to peer, exiting",
            Self::Resolve => "The peer's name cannot be resolved",
            Self::Socket => "The socket cannot be opened",
            Self::Tls => "TLS Error: TLS handshake failed, the session is given up",
            Self::ServerPoll => "Server poll timeout, restarting",
            Self::RetriesUsedUp => "All connections have been unsuccessful, exiting",
        }
    }

    /// openvpn's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PingRestart => "ping-restart",
            Self::PingExit => "ping-exit",
            Self::Inactive => "inactive",
            Self::SessionTimeout => "session-timeout",
            Self::RemoteExit | Self::OccExit => "remote-exit",
            Self::ExitNotified => "exit-with-notification",
            Self::Resolve => "resolve-failed",
            Self::Socket => "socket-failed",
            Self::Tls => "tls-error",
            Self::ServerPoll => "server_poll",
            Self::RetriesUsedUp => "connect-retry-max",
        }
    }
}

/// A socket address in openvpn's spelling: `[AF_INET]192.0.2.1:1194`, `[AF_INET6]2001:db8::1:1194`,
/// `[AF_INET][undef]:1194`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_ipv4() { "[AF_INET]" } else { "[AF_INET6]" })?;
        match self.0 {
            address if address.ip().is_unspecified() => f.write_str("[undef]")?,
            SocketAddr::V6(address) if address.scope_id() != 0 => {
                write!(f, "{}%{}", address.ip(), address.scope_id())?;
            }
            address => write!(f, "{}", address.ip())?,
        }
        write!(f, ":{}", self.0.port())
    }
}

#[cfg(test)]
mod tests {
    use super::Address;
    use std::string::ToString;

    #[test]
    fn addresses_look_as_in_openvpn() {
        for (address, text) in [
            ("192.0.2.1:1194", "[AF_INET]192.0.2.1:1194"),
            ("0.0.0.0:1194", "[AF_INET][undef]:1194"),
            ("[fd00::1]:1194", "[AF_INET6]fd00::1:1194"),
            ("[::]:5000", "[AF_INET6][undef]:5000"),
            ("[fe80::1%7]:1194", "[AF_INET6]fe80::1%7:1194"),
        ] {
            assert_eq!(Address(address.parse().unwrap()).to_string(), text);
        }
    }
}
