//! embedded-tls as one future, which is polled by hand and restarted in place.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use embassy_futures::select::{Either, select};
use embedded_io_async::Write as _;
use embedded_tls::alert::{AlertDescription, AlertLevel};
use embedded_tls::{
    Certificate, CryptoProvider, CryptoRngCore, MaxFragmentLength, SignatureScheme, TlsConfig, TlsConnection,
    TlsContext, TlsError, TlsReader, TlsVerifier, TlsWriter,
};
use longcable_core::crypto::Rng;
use pin_project_lite::pin_project;
use rand_core_06::{CryptoRng, RngCore};
use signature::SignerMut;

use super::credentials::{Signature, Signer};
use super::suite::{Suite, content, message, split_message};
use super::verify::{PeerVerifier, Verdict};
use super::wire::{Phase, Transport};
use super::{Identity, PART, PLAIN_MAX, Records, Room, Shared};

/// The place in which the sessions of a [`Room`] run, one after the other. Only a room makes one.
pub trait Engine {
    /// Puts a new session in the place of the old one.
    fn start(self: Pin<&mut Self>);
    /// Leaves the place empty.
    fn stop(self: Pin<&mut Self>);
    /// Runs the session until it waits for bytes; ready means that it has failed.
    fn poll(self: Pin<&mut Self>) -> Poll<Failed>;
}

/// Why a session has failed, in the words of embedded-tls.
#[derive(Debug)]
pub struct Failed(pub(super) TlsError);

pin_project! {
    struct Slot<F, Make> {
        #[pin]
        session: Option<F>,
        make: Make,
    }
}

impl<F: Future<Output = Failed>, Make: FnMut() -> F> Engine for Slot<F, Make> {
    fn start(self: Pin<&mut Self>) {
        let mut slot = self.project();
        // The old session gives its buffers back before the new one takes them.
        slot.session.set(None);
        slot.session.set(Some((slot.make)()));
    }

    fn stop(self: Pin<&mut Self>) {
        self.project().session.set(None);
    }

    fn poll(self: Pin<&mut Self>) -> Poll<Failed> {
        match self.project().session.as_pin_mut() {
            Some(session) => session.poll(&mut Context::from_waker(Waker::noop())),
            None => Poll::Pending,
        }
    }
}

pub(super) fn engine<'a, R: Rng>(room: &'a Room<'_, R>) -> impl Engine + 'a {
    Slot { session: None, make: || run(room) }
}

async fn run<R: Rng>(room: &Room<'_, R>) -> Failed {
    match converse(room).await {
        Ok(never) => match never {},
        Err(error) => Failed(error),
    }
}

/// A session from its start to its failure.
#[expect(clippy::await_holding_refcell_ref, reason = "the buffers are the session's while it runs")]
async fn converse<R: Rng>(room: &Room<'_, R>) -> Result<Infallible, TlsError> {
    let Shared { wire, verdict, .. } = &room.memory.shared;
    let mut records = room.memory.records.try_borrow_mut().map_err(|_| TlsError::OutOfMemory)?;
    let Records { read, write } = &mut *records;
    let mut connection = TlsConnection::<_, Suite>::new(Transport(wire), read, write);
    let config = TlsConfig::new().with_max_fragment_length(MaxFragmentLength::Bits12);
    connection.open(TlsContext::new(&config, Provider { room, verifier: room.verifier() })).await?;
    if !matches!(*verdict.borrow(), Verdict::Verified(_)) {
        return Err(TlsError::InvalidCertificate);
    }
    wire.borrow_mut().phase = Phase::Established;

    let (reader, writer) = connection.split();
    match select(receive(reader, &room.memory.shared), send(writer, &room.memory.shared)).await {
        Either::First(ended) | Either::Second(ended) => ended,
    }
}

/// Hands out what the peer sends, one record after the other.
async fn receive(mut reader: TlsReader<'_, Transport<'_>, Suite>, shared: &Shared) -> Result<Infallible, TlsError> {
    loop {
        let mut record = reader.read_buffered().await?;
        match record.pop_all() {
            [data @ .., content::APPLICATION_DATA] if data.len() <= PLAIN_MAX => {
                let mut parts = data.chunks(PART).peekable();
                while let Some(part) = parts.next() {
                    let is_last = parts.peek().is_none();
                    poll_fn(|_| shared.received.borrow_mut().put(part, is_last)).await;
                }
            }
            [.., content::APPLICATION_DATA] => return Err(TlsError::InsufficientSpace),
            &[level, description, content::ALERT] => {
                let level = AlertLevel::of(level).unwrap_or(AlertLevel::Fatal);
                let description = AlertDescription::of(description).ok_or(TlsError::DecodeError)?;
                return Err(TlsError::HandshakeAborted(level, description));
            }
            [messages @ .., content::HANDSHAKE] => only_tickets(messages)?,
            _ => return Err(TlsError::UnknownContentType),
        }
    }
}

/// Tickets for the resumption of sessions, which we never do, may be ignored; nothing else may.
fn only_tickets(mut messages: &[u8]) -> Result<(), TlsError> {
    while !messages.is_empty() {
        messages = match split_message(messages) {
            Some((message::NEW_SESSION_TICKET, _, rest)) => rest,
            Some((message::KEY_UPDATE, ..)) => return Err(TlsError::Unimplemented),
            _ => return Err(TlsError::InvalidHandshake),
        };
    }
    Ok(())
}

/// Sends what is written, each piece as one record.
#[expect(clippy::await_holding_refcell_ref, reason = "a piece fits into an empty record without waiting")]
async fn send(mut writer: TlsWriter<'_, Transport<'_>, Suite>, shared: &Shared) -> Result<Infallible, TlsError> {
    loop {
        poll_fn(|_| if shared.sent.borrow().is_empty() { Poll::Pending } else { Poll::Ready(()) }).await;
        let mut sent = shared.sent.borrow_mut();
        writer.write(sent.peek()).await?;
        sent.wipe();
        drop(sent);
        writer.flush().await?;
    }
}

/// What embedded-tls asks for.
struct Provider<'a, 'c, R> {
    room: &'a Room<'c, R>,
    verifier: PeerVerifier<'a>,
}

impl<R: Rng> CryptoProvider for Provider<'_, '_, R> {
    type CipherSuite = Suite;
    type Signature = Signature;

    fn rng(&mut self) -> impl CryptoRngCore {
        Random(&self.room.rng)
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, TlsError> {
        Ok(&mut self.verifier)
    }

    fn signer(&mut self) -> Result<(impl SignerMut<Signature>, SignatureScheme), TlsError> {
        let Identity { key, .. } = self.room.credentials.identity.ok_or(TlsError::InvalidPrivateKey)?;
        Ok((Signer(key), key.scheme()))
    }

    fn client_cert(&mut self) -> Option<Certificate<impl AsRef<[u8]>>> {
        self.room.credentials.identity.map(|identity| Certificate::X509(identity.certificate))
    }
}

/// The engine's random numbers in the form in which embedded-tls wants them.
struct Random<'a, R>(&'a RefCell<R>);

impl<R: Rng> RngCore for Random<'_, R> {
    fn next_u32(&mut self) -> u32 {
        rand_core_06::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core_06::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.borrow_mut().fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: Rng> CryptoRng for Random<'_, R> {}
