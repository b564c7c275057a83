//! The key that protects the control channel itself: `tls-auth`, `tls-crypt`, `tls-crypt-v2`, or none
//! (protocol sections 3.3 to 3.5).

use core::fmt;

use heapless::Vec;

use crate::control::wrapping::Wrapping;
use crate::crypto::replay::{PacketIdSender, ReplayWindow};
use crate::crypto::static_key::StaticKeyError;
use crate::crypto::tls_crypt_v2::{self, ClientKey, ServerKey, TlsCryptV2Error, WRAPPED_MAX};
use crate::crypto::{Digest, Provider, StaticKey, Unsupported};
use crate::error::Discard;
use crate::options::{ControlKey, KeySource, LinkConfig};
use crate::time::{Duration, Instant};
use crate::tls::Role;
use crate::wire::control::EarlyNegotiation;

/// What all sessions of a link are protected with.
pub struct Protection<C: Provider> {
    kind: Kind<C>,
    /// `replay-persist`.
    remembers: bool,
    /// The newest packet of an earlier session that is remembered: its id and time.
    seen: Option<(u32, u32)>,
}

enum Kind<C: Provider> {
    /// The same for every session.
    Shared(Wrapping<C>),
    /// The same for every session, and the server is shown this key first.
    V2Client(Wrapping<C>, Vec<u8, WRAPPED_MAX>),
    /// Each client brings its own.
    V2Server(ServerKey),
}

/// Packet ids of one session's control packets, both ways.
pub(super) struct Guard {
    pub(super) ids: PacketIdSender,
    pub(super) window: ReplayWindow<[u64; 1]>,
}

impl Guard {
    /// Sent packet ids go on after `last`; received ones may begin anywhere.
    pub(super) fn new(config: &LinkConfig<'_>, unix_now: u64, last: u32) -> Self {
        let (size, seconds) = config.replay_window;
        Self {
            ids: PacketIdSender::after(last, u32::try_from(unix_now).unwrap_or(u32::MAX)),
            window: ReplayWindow::new([0], size, Duration::from_secs(seconds.into())),
        }
    }

    /// Refuses a packet that was seen before.
    pub(super) fn accept(&mut self, packet_id: Option<(u32, u32)>, now: Instant) -> Result<(), Discard> {
        match packet_id {
            Some((id, time)) => self.window.accept(id, time, now).map_err(|_| Discard::ControlReplay { id, time }),
            None => Ok(()),
        }
    }
}

/// Why a control channel cannot be protected as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectionError {
    /// The key file of `tls-auth` or `tls-crypt`.
    Key(&'static str, StaticKeyError),
    /// The key file of `tls-crypt-v2`.
    V2Key(TlsCryptV2Error),
    /// The host has not read the key file of this option.
    NotRead(&'static str),
    /// The digest of `tls-auth` is not supported, or is `none`.
    Unsupported,
}

impl fmt::Display for ProtectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(option, error) => write!(f, "the key of '{option}': {error}"),
            Self::V2Key(error) => write!(f, "the key of 'tls-crypt-v2': {error}"),
            Self::NotRead(option) => write!(f, "the key file of '{option}' was not read"),
            Self::Unsupported => f.write_str("'tls-auth' needs a digest: set 'auth' to one of --show-digests"),
        }
    }
}

impl From<Unsupported> for ProtectionError {
    fn from(_: Unsupported) -> Self {
        Self::Unsupported
    }
}

impl<C: Provider> Protection<C> {
    /// What the configuration asks for. The host has put the texts of key files in the place of their names.
    ///
    /// # Errors
    /// A key is missing or malformed.
    pub fn new(config: &LinkConfig<'_>, role: Role) -> Result<Self, ProtectionError> {
        let key = |option, source: KeySource<'_>| match source {
            KeySource::Inline(text) => StaticKey::parse(text).map_err(|error| ProtectionError::Key(option, error)),
            KeySource::File(_) => Err(ProtectionError::NotRead(option)),
        };
        let kind = match config.tls.wrapping {
            ControlKey::None => Kind::Shared(Wrapping::None),
            ControlKey::Auth(source) => {
                let digest = config.auth.unwrap_or(Digest::Sha1);
                Kind::Shared(Wrapping::tls_auth(&key("tls-auth", source)?, digest, config.key_direction)?)
            }
            ControlKey::Crypt(source) => Kind::Shared(Wrapping::tls_crypt(&key("tls-crypt", source)?, role)?),
            ControlKey::CryptV2(KeySource::File(_)) => return Err(ProtectionError::NotRead("tls-crypt-v2")),
            ControlKey::CryptV2(KeySource::Inline(text)) => match role {
                Role::Client => {
                    let key = ClientKey::parse(text).map_err(ProtectionError::V2Key)?;
                    let wrapping = Wrapping::tls_crypt(key.key(), role)?;
                    Kind::V2Client(wrapping, key.wrapped().iter().copied().collect())
                }
                Role::Server => Kind::V2Server(ServerKey::parse(text).map_err(ProtectionError::V2Key)?),
            },
        };
        Ok(Self { kind, remembers: config.replay_persist.is_some(), seen: None })
    }

    /// Takes a client's own key off its first packet: what its session is protected with, and the packet without it.
    /// `None` if keys are not per client.
    ///
    /// # Errors
    /// The key was not made with our server key, or the packet is malformed.
    pub(super) fn unwrap_client<'b>(&self, datagram: &'b mut [u8]) -> Result<(Option<Self>, &'b mut [u8]), Discard> {
        let Kind::V2Server(server) = &self.kind else { return Ok((None, datagram)) };
        let (packet, wrapped) = tls_crypt_v2::split_wkc(datagram)?;
        let (key, _metadata) = server.unwrap(wrapped)?;
        let wrapping = Wrapping::tls_crypt(&key, Role::Server).map_err(|_| Discard::ControlAuthentication)?;
        Ok((Some(Self { kind: Kind::Shared(wrapping), remembers: false, seen: None }), packet))
    }

    /// Whether each client must show its key first.
    pub(super) fn is_v2_server(&self) -> bool {
        matches!(self.kind, Kind::V2Server(_))
    }

    /// Whether our first packet carries our wrapped key.
    pub(super) fn is_v2_client(&self) -> bool {
        matches!(self.kind, Kind::V2Client(..))
    }

    /// Our wrapped key as it is sent.
    pub(super) fn client_key(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::V2Client(_, key) => Some(key),
            _ => None,
        }
    }

    /// How packets are wrapped; `None` as long as no client has brought its key.
    pub(super) fn wrapping(&self) -> Option<&Wrapping<C>> {
        match &self.kind {
            Kind::Shared(wrapping) | Kind::V2Client(wrapping, _) => Some(wrapping),
            Kind::V2Server(_) => None,
        }
    }

    /// Whether a packet that opens is from somebody who has the key.
    pub(super) fn is_authentic(&self) -> bool {
        !matches!(self.kind, Kind::Shared(Wrapping::None))
    }

    /// The key that dynamic tls-crypt mixes in.
    pub(super) fn original_key(&self) -> Option<&[u8; 256]> {
        self.wrapping().and_then(Wrapping::key)
    }

    /// With `replay-persist`, packets up to this id and time are replays for every session from now on.
    pub(super) fn remember(&mut self, newest: Option<(u32, u32)>) {
        self.seen = newest.filter(|_| self.remembers).or(self.seen);
    }

    /// What is remembered.
    pub(super) fn seen(&self) -> Option<(u32, u32)> {
        self.seen
    }

    /// Packet ids for a new session.
    pub(super) fn guard(&self, config: &LinkConfig<'_>, unix_now: u64) -> Guard {
        let last = if self.is_v2_client() { EarlyNegotiation::PACKET_ID_BASE } else { 0 };
        let mut guard = Guard::new(config, unix_now, last);
        if let Some((id, time)) = self.seen {
            guard.window.resume(id, time);
        }
        guard
    }
}
