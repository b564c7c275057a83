//! What makes the data keys of a link: a static key, or TLS.

use core::fmt;

use crate::control::{Protection, TlsLink};
use crate::crypto::StaticKey;
use crate::crypto::static_key::StaticKeyError;
use crate::options::LinkConfig;
use crate::peer::static_link::{StaticLink, StaticLinkError};
use crate::platform::Platform;
use crate::tls::{Place, TlsSession};

/// What authenticates a link and makes its data keys.
pub enum Keys<P: Platform> {
    /// A secret that both ends share.
    Static(StaticKey),
    /// Certificates: keys are negotiated.
    Tls {
        /// What protects the control channel itself.
        protection: Protection<P::Crypto>,
        /// The host's TLS stack.
        sessions: P::TlsSessions,
        /// Memory for data keys and control packets.
        memory: P::TlsMemory,
    },
}

/// A link in one of its two modes.
pub(crate) enum Link<P: Platform> {
    Static(StaticLink<P>),
    Tls(<P::Tls as TlsSession>::Place<TlsLink<P>>),
}

impl<P: Platform> Link<P> {
    /// A link that is not started yet; `unix_now` is the time of day in seconds since 1970.
    ///
    /// # Errors
    /// The key must not be used or is not of the configured mode, or the platform lacks the cipher or digest.
    pub(crate) fn new(config: &LinkConfig<'_>, keys: Keys<P>, unix_now: u64) -> Result<Self, SetupError> {
        match (keys, config.role()) {
            // Without that feature there is no cipher for it.
            (Keys::Static(key), None) if cfg!(feature = "cbc") => {
                Ok(Self::Static(StaticLink::new(config, key, unix_now)?))
            }
            (Keys::Tls { protection, sessions, memory }, Some(role)) => {
                match Place::with(TlsLink::new(role, protection, sessions, memory)) {
                    Some(link) => Ok(Self::Tls(link)),
                    None => Err(SetupError::Mode),
                }
            }
            _ => Err(SetupError::Mode),
        }
    }

    pub(super) fn tls(&self) -> Option<&TlsLink<P>> {
        if let Self::Tls(link) = self { Some(link.get()) } else { None }
    }

    pub(super) fn tls_mut(&mut self) -> Option<&mut TlsLink<P>> {
        if let Self::Tls(link) = self { Some(link.get_mut()) } else { None }
    }
}

/// Why a link cannot be made from its configuration and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// The platform lacks the cipher or digest, or the cipher does not take a key of this length.
    Unsupported,
    /// The key must not be used.
    Key(StaticKeyError),
    /// The configuration demands TLS and the key is a static one, or the reverse.
    Mode,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("this cipher, key size or digest is not supported here"),
            Self::Key(error) => error.fmt(f),
            Self::Mode => f.write_str("a static key and TLS exclude each other"),
        }
    }
}

impl From<StaticLinkError> for SetupError {
    fn from(error: StaticLinkError) -> Self {
        match error {
            StaticLinkError::Key(error) => Self::Key(error),
            StaticLinkError::Unsupported => Self::Unsupported,
        }
    }
}
