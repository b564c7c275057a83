//! TLS 1.3 on a board: embedded-tls as the stack behind [`TlsSession`], client only, without heap.
//!
//! ```
//! use core::pin::pin;
//! use longcable_core::options::{CertProfile, PeerRules};
//! use longcable_core::tls::{Role, TlsSession};
//! use longcable_embassy::tls::{Credentials, EmbeddedTlsSession, Memory, Room};
//!
//! # struct Trng;
//! # impl longcable_core::crypto::Rng for Trng {
//! #     fn fill(&mut self, bytes: &mut [u8]) {
//! #         bytes.fill(4);
//! #     }
//! # }
//! let rules = PeerRules::default();
//! let credentials =
//!     Credentials { roots: &[], crls: &[], identity: None, rules: &rules, profile: CertProfile::Legacy };
//! let memory = Memory::new(); // buffers and queues, 10 KB
//! let room = Room::new(&memory, credentials, Trng);
//! let engine = pin!(room.engine()); // the running session, under 3 KB
//! let mut session = EmbeddedTlsSession::new(&room, engine);
//! session.start(Role::Client, 0)?;
//! assert!(session.write_tls(&mut [0; 1000]) > 0); // the ClientHello
//! # Ok::<(), longcable_core::tls::TlsFailure>(())
//! ```
//! A session that is started again takes the same memory. For one that lives as long as the program, both are static
//! and the engine is pinned by [`Pin::static_mut`]. embedded-tls runs as a future over two byte queues; every
//! [`TlsSession::step`] polls it once, without any executor.
//!
//! # What is trusted to embedded-tls, and what is not
//!
//! It is used for the handshake's messages, the key schedule and the encryption of records. It does not authenticate
//! servers by itself, and parts of it panic on hostile input. Here these are closed:
//! - *A server without certificate.* embedded-tls completes a handshake in which the server sends neither a
//!   certificate nor a signature. Here nothing but the ClientHello leaves before both have come, once each and in
//!   order, and were good; so our own certificate is shown only to a server that is verified.
//! - *Weak checks of certificates.* They are all done by the one verifier of `longcable-core`: chain, authority,
//!   usages, validity, name, fingerprint, revocation. [`PeerVerified`] is made there.
//! - *Panics.* Messages out of place, a record without content, and handshake messages after the handshake never
//!   reach its parsers: plain records are sorted out before it, decrypted ones inside the cipher.
//! - *Alerts.* It sends its own in a record of the wrong type, and drops what a peer's says; both are done here.
//!
//! What remains: one group (P-256), one cipher suite (TLS_AES_128_GCM_SHA256), no renewal of keys inside a session,
//! no exporter, one certificate without intermediates towards the peer, handshake messages in one record each, of at
//! most 3 KB. A peer that lists groups which embedded-tls does not know, such as Brainpool's, fails the handshake until
//! its `tls-groups` leaves them out. Traffic keys are not wiped from memory when a session ends; record buffers, queues and private keys are.
//! A peer that has authenticated itself can end its session, as any peer can. Because this code has had less scrutiny
//! than a router's TLS stack, [`check`] demands that the control channel is wrapped: without the key of `tls-crypt`,
//! `tls-crypt-v2` or `tls-auth` nobody reaches it.

mod algorithms;
mod check;
mod credentials;
mod engine;
mod pipe;
mod plain;
mod suite;
mod verify;
mod wire;

use core::cell::{Cell, RefCell};
use core::fmt;
use core::pin::Pin;
use core::task::Poll;

use embedded_io_async::ErrorKind;
use embedded_tls::TlsError;
use embedded_tls::alert::AlertDescription;
use longcable_core::crypto::Rng;
use longcable_core::tls::{Inside, Nowhere, Role, TlsFailure, TlsProgress, TlsSession};
use longcable_core::x509::{PeerVerified, Reason};
use zeroize::Zeroize as _;

use pipe::Pipe;
use plain::Plain;
use verify::{PeerVerifier, Verdict, refusal};
use wire::{Phase, Wire};

pub use algorithms::ALGORITHMS;
pub use check::check;
pub use credentials::{CredentialError, Credentials, Identity, PrivateKey, decode_pem};
pub use engine::{Engine, Failed};

/// Longest piece of application data from the peer in bytes; OpenVPN's messages are shorter.
pub const PLAIN_MAX: usize = 2048;
/// Longest piece of application data for the peer in bytes; ours are shorter.
pub const WRITE_MAX: usize = 1024;

/// Buffer of a record from the peer: of its certificate with those above it. Those of P-256 have 400 to 900 bytes.
const READ_RECORD: usize = 3072 + 256;
/// Buffer of a record for the peer: of application data, or of our certificate.
const WRITE_RECORD: usize = WRITE_MAX + 256;
/// So many bytes of application data from the peer are handed on at once.
const PART: usize = 256;

/// A time of day before this, in the year 2001, is the uptime of a board without a clock.
const UPTIME_MAX: u64 = 1_000_000_000;

const CLIENT_ONLY: &str = "this stack is TLS client only: configure tls-client here and tls-server at the peer";
const PEER_NEEDS: &str = if cfg!(feature = "ed25519") {
    "it must have TLS 1.3, prime256v1 and a certificate of P-256 or Ed25519"
} else {
    "it must have TLS 1.3, prime256v1 and a certificate of P-256 (Ed25519 is a feature of the firmware)"
};

/// The memory of one session at a time.
pub struct Memory {
    records: RefCell<Records>,
    shared: Shared,
}

/// Where sessions run, one at a time.
pub struct Room<'c, R> {
    memory: &'c Memory,
    credentials: Credentials<'c>,
    rng: RefCell<R>,
}

/// What a session and its engine share.
struct Shared {
    wire: RefCell<Wire>,
    sent: RefCell<Pipe<WRITE_MAX>>,
    received: RefCell<Plain>,
    verdict: RefCell<Verdict>,
    unix_now: Cell<Option<u64>>,
}

/// The buffers of embedded-tls.
struct Records {
    read: [u8; READ_RECORD],
    write: [u8; WRITE_RECORD],
}

impl Memory {
    /// Empty memory.
    pub const fn new() -> Self {
        Self {
            records: RefCell::new(Records { read: [0; READ_RECORD], write: [0; WRITE_RECORD] }),
            shared: Shared {
                wire: RefCell::new(Wire::new()),
                sent: RefCell::new(Pipe::new()),
                received: RefCell::new(Plain::new()),
                verdict: RefCell::new(Verdict::Unknown),
                unix_now: Cell::new(None),
            },
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl<'c, R: Rng> Room<'c, R> {
    /// A room in this memory, which no other room may have.
    pub const fn new(memory: &'c Memory, credentials: Credentials<'c>, rng: R) -> Self {
        Self { memory, credentials, rng: RefCell::new(rng) }
    }

    /// The place in which sessions run. A room serves one at a time.
    pub fn engine(&self) -> impl Engine {
        engine::engine(self)
    }

    fn verifier(&self) -> PeerVerifier<'_> {
        let Shared { verdict, wire, unix_now, .. } = &self.memory.shared;
        PeerVerifier { credentials: &self.credentials, unix_now: unix_now.get(), verdict, wire }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Room<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Records {
    fn wipe(&mut self) {
        self.read.zeroize();
        self.write.zeroize();
    }
}

/// A session of embedded-tls.
pub struct EmbeddedTlsSession<'a> {
    shared: &'a Shared,
    records: &'a RefCell<Records>,
    engine: Pin<&'a mut (dyn Engine + 'a)>,
    outcome: Outcome,
}

/// What [`TlsSession::step`] says.
enum Outcome {
    Pending,
    Established(PeerVerified),
    Failed(TlsFailure),
}

impl<'a> EmbeddedTlsSession<'a> {
    /// A session in a room; `engine` is [`Room::engine`] of the same.
    pub fn new<R: Rng>(room: &'a Room<'_, R>, engine: Pin<&'a mut (dyn Engine + 'a)>) -> Self {
        Self { shared: &room.memory.shared, records: &room.memory.records, engine, outcome: Outcome::Pending }
    }

    /// Runs the engine until it waits.
    fn run(&mut self) {
        if let Outcome::Failed(_) = self.outcome {
            return;
        }
        if let Poll::Ready(Failed(error)) = self.engine.as_mut().poll() {
            let wire = &mut *self.shared.wire.borrow_mut();
            let (failure, alert) = explain(error, self.shared.verdict.replace(Verdict::Unknown));
            if wire.phase != Phase::Established
                && let Some(alert) = alert
            {
                wire.alert(alert as u8);
            }
            self.engine.as_mut().stop();
            self.outcome = Outcome::Failed(failure);
        } else if let Outcome::Pending = self.outcome
            && self.shared.wire.borrow().phase == Phase::Established
            && let Verdict::Verified(peer) = self.shared.verdict.replace(Verdict::Unknown)
        {
            self.outcome = Outcome::Established(peer);
        }
    }
}

impl TlsSession for EmbeddedTlsSession<'_> {
    type Place<T> = Inside<T>;
    type Extra<T> = Nowhere<T>;

    /// Starts a handshake. A board without a clock gives 0 or its uptime as the time, and the validity of certificates
    /// is not checked.
    fn start(&mut self, role: Role, unix_now: u64) -> Result<(), TlsFailure> {
        self.stop();
        if role == Role::Server {
            return Err(TlsFailure::new(CLIENT_ONLY, false));
        }
        self.shared.unix_now.set((unix_now >= UPTIME_MAX).then_some(unix_now));
        self.engine.as_mut().start();
        self.run();
        Ok(())
    }

    fn stop(&mut self) {
        self.engine.as_mut().stop();
        if let Ok(mut records) = self.records.try_borrow_mut() {
            records.wipe();
        }
        self.shared.wire.borrow_mut().wipe();
        self.shared.sent.borrow_mut().wipe();
        self.shared.received.borrow_mut().wipe();
        self.shared.verdict.replace(Verdict::Unknown);
        self.outcome = Outcome::Pending;
    }

    fn read_tls(&mut self, wire: &[u8]) -> usize {
        self.shared.wire.borrow_mut().incoming.push(wire)
    }

    fn write_tls(&mut self, wire: &mut [u8]) -> usize {
        if self.shared.wire.borrow().outgoing.is_empty() {
            self.run();
        }
        self.shared.wire.borrow_mut().outgoing.pull(wire)
    }

    fn read_plain(&mut self, out: &mut [u8]) -> usize {
        let mut len = 0_usize;
        loop {
            self.run();
            let mut received = self.shared.received.borrow_mut();
            let Some((count, is_last)) = received.take(out.get_mut(len..).unwrap_or_default()) else { return len };
            len = len.saturating_add(count);
            if is_last {
                return len;
            }
        }
    }

    fn write_plain(&mut self, plain: &[u8]) -> usize {
        if !matches!(self.outcome, Outcome::Established(_)) {
            return 0;
        }
        self.run();
        match self.shared.sent.try_borrow_mut() {
            Ok(mut sent) if sent.is_empty() && plain.len() <= sent.room() => sent.push(plain),
            _ => 0,
        }
    }

    fn step(&mut self) -> Result<TlsProgress<'_>, TlsFailure> {
        self.run();
        match &self.outcome {
            Outcome::Pending => Ok(TlsProgress::Handshaking),
            Outcome::Established(peer) => Ok(TlsProgress::Established(peer)),
            Outcome::Failed(failure) => Err(failure.clone()),
        }
    }

    fn describe(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("TLSv1.3, cipher TLS_AES_128_GCM_SHA256, P-256")
    }
}

impl Drop for EmbeddedTlsSession<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for EmbeddedTlsSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedTlsSession").finish_non_exhaustive()
    }
}

/// A failure in words, and the alert that tells the peer about it.
fn explain(error: TlsError, verdict: Verdict) -> (TlsFailure, Option<AlertDescription>) {
    use AlertDescription as Alert;
    let protocol = |text: &str, alert| (TlsFailure::new(text, false), Some(alert));
    match (error, verdict) {
        (_, Verdict::Refused(failure)) => {
            let alert = match &failure {
                TlsFailure::Certificate(refusal) => alert_for(refusal.reason),
                _ => Alert::DecryptError,
            };
            (failure, Some(alert))
        }
        (TlsError::Io(ErrorKind::PermissionDenied), Verdict::Unknown) => {
            (refusal(Reason::NoCertificate), Some(Alert::UnexpectedMessage))
        }
        (TlsError::Io(ErrorKind::PermissionDenied), _) => {
            protocol("the peer has not shown that it has the key to its certificate", Alert::UnexpectedMessage)
        }
        (TlsError::HandshakeAborted(_, alert @ (Alert::HandshakeFailure | Alert::ProtocolVersion)), _) => {
            (TlsFailure::new(format_args!("{alert:?}: {PEER_NEEDS}"), true), None)
        }
        // An encrypted alert before the end of the handshake: which one, embedded-tls keeps to itself.
        (TlsError::InvalidRecord, _) => (TlsFailure::new(PEER_NEEDS, true), None),
        (TlsError::HandshakeAborted(_, alert), _) => (TlsFailure::new(format_args!("{alert:?}"), true), None),
        (TlsError::InvalidKeyShare, _) => protocol(
            "the peer has chosen another version than TLS 1.3, or another group than P-256",
            Alert::ProtocolVersion,
        ),
        (TlsError::InsufficientSpace, _) => protocol("a record is too long for this board", Alert::RecordOverflow),
        (TlsError::CryptoError, _) => {
            protocol("a record cannot be decrypted, or a message is out of place", Alert::UnexpectedMessage)
        }
        (TlsError::Unimplemented, _) => {
            protocol("the peer wants to update its keys, which this stack cannot", Alert::UnexpectedMessage)
        }
        (TlsError::Io(_), _) => protocol("the peer sent a record out of place", Alert::UnexpectedMessage),
        (TlsError::AbortHandshake(_, alert), _) => {
            (TlsFailure::new(format_args!("the TLS handshake failed: {alert:?}"), false), Some(alert))
        }
        (_, _) => protocol("a message of the peer is malformed, or not known here", Alert::DecodeError),
    }
}

/// The alert for a refused certificate (RFC 8446 section 6.2).
const fn alert_for(reason: Reason) -> AlertDescription {
    match reason {
        Reason::UnknownIssuer => AlertDescription::UnknownCa,
        Reason::Expired | Reason::NotYetValid | Reason::ClockNotSet => AlertDescription::CertificateExpired,
        Reason::Revoked => AlertDescription::CertificateRevoked,
        Reason::Unsupported | Reason::KeyUsage | Reason::ExtendedKeyUsage => AlertDescription::UnsupportedCertificate,
        Reason::NoCertificate => AlertDescription::DecodeError,
        _ => AlertDescription::BadCertificate,
    }
}
