//! The seam between the control channel and a TLS stack: bytes in, bytes out, no sockets, no clock.
//!
//! A stack is driven like this, and never blocks: [`TlsSession::read_tls`] with what the peer sent,
//! [`TlsSession::step`], then [`TlsSession::write_tls`] until it has nothing more. Data keys can only be installed
//! with the [`PeerVerified`] that an established session shows.

use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;

use crate::x509::{PeerVerified, Refusal};

/// The role in the TLS handshake, which decides keys and defaults even where OpenVPN has equal peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// `tls-client`.
    Client,
    /// `tls-server`.
    Server,
}

impl Role {
    /// The role of the other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// How far a session has come.
#[derive(Debug)]
pub enum TlsProgress<'t> {
    /// More must be exchanged with the peer.
    Handshaking,
    /// Application data may pass, and the peer is who it must be.
    Established(&'t PeerVerified),
}

/// One TLS session, in memory that is used again by the next one.
pub trait TlsSession {
    /// Where a link keeps its control channel: [`Inside`] itself, or [`Nowhere`].
    type Place<T>: Place<T>;

    /// Where a session keeps what only a server, or only a stack with an exporter, has: [`Inside`] itself, or [`Nowhere`]
    /// for a stack that is neither.
    type Extra<T>: Place<T>;

    /// Whether [`TlsSession::export`] works.
    const CAN_EXPORT: bool = false;

    /// Forgets whatever was before and starts a handshake. `unix_now` (s since 1970) is the time for the validity of
    /// certificates.
    ///
    /// # Errors
    /// The stack cannot start, for example because a certificate or key does not fit.
    fn start(&mut self, role: Role, unix_now: u64) -> Result<(), TlsFailure>;

    /// Forgets the session and its secrets.
    fn stop(&mut self);

    /// Takes bytes from the peer; returns how many were taken. What was not taken is offered again after a
    /// [`TlsSession::step`].
    fn read_tls(&mut self, wire: &[u8]) -> usize;

    /// Hands out bytes for the peer; returns how many were written. After a failed step this is the TLS alert.
    fn write_tls(&mut self, wire: &mut [u8]) -> usize;

    /// Hands out application data: at most one record per call, because OpenVPN's messages end where records end
    /// (protocol sections 3.11 and 3.16). What does not fit into `out` is lost.
    fn read_plain(&mut self, out: &mut [u8]) -> usize;

    /// Sends application data as one record; returns its length, or 0 if it cannot be taken (now, or in this length).
    fn write_plain(&mut self, plain: &[u8]) -> usize;

    /// Moves the session on.
    ///
    /// # Errors
    /// The session has failed for good; what [`TlsSession::write_tls`] still has should reach the peer.
    fn step(&mut self) -> Result<TlsProgress<'_>, TlsFailure>;

    /// The peer is accepted: a data key stands that was negotiated in this session. What the host knows about the peer
    /// from its certificate counts from now on.
    fn accept(&mut self) {}

    /// Keying material of this session (RFC 5705, RFC 8446 section 7.5) without a context.
    ///
    /// # Errors
    /// The stack cannot export, or the session is not established.
    fn export(&self, _label: &str, _out: &mut [u8]) -> Result<(), ExportUnsupported> {
        Err(ExportUnsupported)
    }

    /// Version and cipher suite for the log, as in `TLSv1.3, cipher TLS_AES_256_GCM_SHA384`.
    ///
    /// # Errors
    /// Those of `out`.
    fn describe(&self, out: &mut dyn fmt::Write) -> fmt::Result;
}

/// The stack has no exporter, or nothing to export yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportUnsupported;

/// Longest text of a TLS failure in bytes.
pub const FAILURE_TEXT_MAX: usize = match (cfg!(feature = "tls"), cfg!(feature = "host")) {
    (true, true) => 240,
    (true, false) => 128,
    (false, _) => 0,
};

/// Why a TLS session failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The peer's certificate was refused.
    Certificate(Refusal),
    /// The peer sent this alert: it refused us.
    Alert(heapless::String<FAILURE_TEXT_MAX>),
    /// Something else: versions, cipher suites or a broken peer; in the stack's words.
    Protocol(heapless::String<FAILURE_TEXT_MAX>),
}

/// In the words of the TLS stack, which nobody else has. A firmware without TLS has no room for what cannot happen.
#[cfg(feature = "defmt")]
impl defmt::Format for TlsFailure {
    fn format(&self, f: defmt::Formatter<'_>) {
        if cfg!(feature = "tls") {
            defmt::write!(f, "{}", defmt::Display2Format(self));
        }
    }
}

impl TlsFailure {
    /// A failure in the stack's words, cut off where they are too long; an alert of the peer if `alert` is set.
    pub fn new(text: impl fmt::Display, alert: bool) -> Self {
        struct Cut(heapless::String<FAILURE_TEXT_MAX>);
        impl fmt::Write for Cut {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for character in text.chars() {
                    let printable = if character.is_ascii_graphic() || character == ' ' { character } else { '_' };
                    self.0.push(printable).map_err(|_| fmt::Error)?;
                }
                Ok(())
            }
        }
        let mut cut = Cut(heapless::String::new());
        // What does not fit is cut off.
        let _ = fmt::write(&mut cut, format_args!("{text}"));
        if alert { Self::Alert(cut.0) } else { Self::Protocol(cut.0) }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(refusal) => refusal.fmt(f),
            Self::Alert(text) => {
                write!(f, "the peer refused the TLS handshake ({text}): its log says why")
            }
            Self::Protocol(text) => write!(f, "{text}"),
        }
    }
}

/// A place for a value that not every platform has.
pub trait Place<T>: Sized {
    /// Whether there is a place at all.
    const EXISTS: bool;

    /// The value in its place; `None` if there is none for such a value.
    fn with(value: T) -> Option<Self>;

    /// The value.
    fn get(&self) -> &T;

    /// The value, to be changed.
    fn get_mut(&mut self) -> &mut T;
}

/// The value itself.
#[derive(Debug)]
pub struct Inside<T>(T);

impl<T> Place<T> for Inside<T> {
    const EXISTS: bool = true;

    fn with(value: T) -> Option<Self> {
        Some(Self(value))
    }

    fn get(&self) -> &T {
        &self.0
    }

    fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// No value, and no byte of memory. An enum keeps room for a variant that cannot exist unless it is empty like this.
#[derive(Debug)]
pub struct Nowhere<T>(Infallible, PhantomData<T>);

impl<T> Place<T> for Nowhere<T> {
    const EXISTS: bool = false;

    fn with(_value: T) -> Option<Self> {
        None
    }

    fn get(&self) -> &T {
        match self.0 {}
    }

    fn get_mut(&mut self) -> &mut T {
        match self.0 {}
    }
}

/// No TLS: a platform with this as its stack links with static keys only, and none of the control channel's code
/// is part of its program.
#[derive(Debug)]
pub enum NoTls {}

impl TlsSession for NoTls {
    type Place<T> = Nowhere<T>;
    type Extra<T> = Nowhere<T>;

    fn start(&mut self, _role: Role, _unix_now: u64) -> Result<(), TlsFailure> {
        match *self {}
    }

    fn stop(&mut self) {
        match *self {}
    }

    fn read_tls(&mut self, _wire: &[u8]) -> usize {
        match *self {}
    }

    fn write_tls(&mut self, _wire: &mut [u8]) -> usize {
        match *self {}
    }

    fn read_plain(&mut self, _out: &mut [u8]) -> usize {
        match *self {}
    }

    fn write_plain(&mut self, _plain: &[u8]) -> usize {
        match *self {}
    }

    fn step(&mut self) -> Result<TlsProgress<'_>, TlsFailure> {
        match *self {}
    }

    fn describe(&self, _out: &mut dyn fmt::Write) -> fmt::Result {
        match *self {}
    }
}
