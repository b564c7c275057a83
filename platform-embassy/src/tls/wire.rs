//! The bytes between embedded-tls and the peer, record by record.
//!
//! Only what may come next is passed on: one message in the clear, the peer's ServerHello, and from then on encrypted
//! records alone. Nothing but our ClientHello leaves before the peer is verified.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

use super::WRITE_RECORD;
use super::pipe::Pipe;
use super::suite::{ESTABLISHED, HANDSHAKE, content};

/// Bytes from the peer that wait: a control packet's worth.
const INCOMING: usize = 1280;
/// Bytes for the peer that wait: a ClientHello, or a whole flight with the largest certificate.
const OUTGOING: usize = WRITE_RECORD + 256;

/// Length of a record's header (RFC 8446 section 5.1).
const HEADER: usize = 5;

/// How far the peer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing has come.
    Start,
    /// Its ServerHello has come, or is coming.
    Handshake,
    /// The peer is verified, and the handshake is going to its end.
    Verified,
    /// The handshake is over.
    Established,
}

/// Both directions.
pub(super) struct Wire {
    pub(super) incoming: Pipe<INCOMING>,
    pub(super) outgoing: Pipe<OUTGOING>,
    pub(super) phase: Phase,
    /// What is still to come of the body of the present record.
    body: usize,
}

/// What embedded-tls reads from and writes to.
#[derive(Clone, Copy)]
pub(super) struct Transport<'a>(pub(super) &'a RefCell<Wire>);

impl Wire {
    pub(super) const fn new() -> Self {
        Self { incoming: Pipe::new(), outgoing: Pipe::new(), phase: Phase::Start, body: 0 }
    }

    pub(super) fn wipe(&mut self) {
        self.incoming.wipe();
        self.outgoing.wipe();
        self.phase = Phase::Start;
        self.body = 0;
    }

    /// Queues an alert for the peer. Until our Finished has been sent, a server takes it in the clear.
    pub(super) fn alert(&mut self, description: u8) {
        const FATAL: u8 = 2;
        self.outgoing.push(&[content::ALERT, 3, 3, 0, 2, FATAL, description]);
    }

    /// Reads a record's header at once, or a part of its body. embedded-tls asks for exactly that.
    fn read(&mut self, out: &mut [u8]) -> Poll<Result<usize, ErrorKind>> {
        if self.body > 0 {
            let part = self.body.min(out.len());
            let count = self.incoming.pull(out.get_mut(..part).unwrap_or_default());
            self.body = self.body.saturating_sub(count);
            return if count > 0 { Poll::Ready(Ok(count)) } else { Poll::Pending };
        }
        loop {
            let &[kind, v0, v1, l0, l1, ..] = self.incoming.peek() else { return Poll::Pending };
            let version = match (kind, self.phase) {
                // Sent for old middleboxes, and without meaning.
                (content::CHANGE_CIPHER_SPEC, Phase::Handshake | Phase::Verified) if [l0, l1] == [0, 1] => {
                    if self.incoming.peek().len() == HEADER {
                        return Poll::Pending;
                    }
                    self.incoming.skip(HEADER.saturating_add(1));
                    continue;
                }
                (content::HANDSHAKE, Phase::Start) => {
                    self.phase = Phase::Handshake;
                    [v0, v1]
                }
                (content::ALERT, Phase::Start) => [v0, v1],
                (content::APPLICATION_DATA, Phase::Handshake | Phase::Verified) => HANDSHAKE,
                (content::APPLICATION_DATA, Phase::Established) => ESTABLISHED,
                _ => return Poll::Ready(Err(ErrorKind::InvalidData)),
            };
            let Some(out) = out.get_mut(..HEADER) else { return Poll::Ready(Err(ErrorKind::InvalidInput)) };
            out.copy_from_slice(&[kind, version[0], version[1], l0, l1]);
            self.incoming.skip(HEADER);
            self.body = u16::from_be_bytes([l0, l1]).into();
            return Poll::Ready(Ok(HEADER));
        }
    }

    /// Writes a record as a whole.
    fn write(&mut self, record: &[u8]) -> Poll<Result<usize, ErrorKind>> {
        match (record.first(), self.phase) {
            // embedded-tls takes this type for its alerts, by mistake; ours follows.
            (Some(&content::CHANGE_CIPHER_SPEC), _) => Poll::Ready(Ok(record.len())),
            (_, Phase::Handshake) => Poll::Ready(Err(ErrorKind::PermissionDenied)),
            _ if self.outgoing.room() < record.len() => Poll::Pending,
            _ => Poll::Ready(Ok(self.outgoing.push(record))),
        }
    }
}

impl ErrorType for Transport<'_> {
    type Error = ErrorKind;
}

impl Read for Transport<'_> {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| self.0.borrow_mut().read(out)).await
    }
}

impl Write for Transport<'_> {
    async fn write(&mut self, record: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| self.0.borrow_mut().write(record)).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(phase: Phase, bytes: &[u8]) -> Wire {
        let mut wire = Wire::new();
        wire.phase = phase;
        wire.incoming.push(bytes);
        wire
    }

    #[test]
    fn records_pass_header_first() {
        let mut wire = wire(Phase::Start, &[22, 3, 3, 0, 2, 8]);
        let mut out = [0; 5];
        assert_eq!(wire.read(&mut out), Poll::Ready(Ok(5)));
        assert_eq!((out, wire.phase), ([22, 3, 3, 0, 2], Phase::Handshake));
        assert_eq!(wire.read(&mut out), Poll::Ready(Ok(1)));
        assert_eq!(wire.read(&mut out), Poll::Pending);
        wire.incoming.push(&[9, 23, 3, 3, 0]);
        assert_eq!(wire.read(&mut out), Poll::Ready(Ok(1)));
        assert_eq!(wire.read(&mut out), Poll::Pending);
        wire.incoming.push(&[7]);
        assert_eq!(wire.read(&mut out), Poll::Ready(Ok(5)));
    }

    #[test]
    fn the_phase_travels_in_the_version() {
        let mut out = [0; 5];
        for (phase, version) in
            [(Phase::Handshake, HANDSHAKE), (Phase::Verified, HANDSHAKE), (Phase::Established, ESTABLISHED)]
        {
            // Whatever the peer writes there.
            assert_eq!(wire(phase, &[23, 0, 0, 1, 0]).read(&mut out), Poll::Ready(Ok(5)));
            assert_eq!(out, [23, version[0], version[1], 1, 0]);
        }
    }

    #[test]
    fn records_in_the_clear_are_refused_after_the_server_hello() {
        let mut out = [0; 5];
        for phase in [Phase::Handshake, Phase::Verified, Phase::Established] {
            for kind in [content::HANDSHAKE, content::ALERT, 0, 24, 255] {
                let read = wire(phase, &[kind, 3, 3, 0, 1, 0]).read(&mut out);
                assert_eq!(read, Poll::Ready(Err(ErrorKind::InvalidData)), "{phase:?} {kind}");
            }
        }
        assert_eq!(wire(Phase::Start, &[23, 3, 3, 0, 1]).read(&mut out), Poll::Ready(Err(ErrorKind::InvalidData)));
        assert_eq!(
            wire(Phase::Established, &[20, 3, 3, 0, 1, 1]).read(&mut out),
            Poll::Ready(Err(ErrorKind::InvalidData))
        );
    }

    #[test]
    fn change_cipher_spec_is_dropped_during_the_handshake() {
        let mut out = [0; 5];
        let mut wire = wire(Phase::Handshake, &[20, 3, 3, 0, 1]);
        assert_eq!(wire.read(&mut out), Poll::Pending);
        wire.incoming.push(&[1, 23, 3, 3, 0, 9]);
        assert_eq!(wire.read(&mut out), Poll::Ready(Ok(5)));
        assert_eq!(out, [23, 3, 3, 0, 9]);
    }

    #[test]
    fn nothing_leaves_between_the_server_hello_and_its_verification() {
        let mut wire = wire(Phase::Start, &[]);
        assert_eq!(wire.write(b"\x16hello"), Poll::Ready(Ok(6)));
        wire.phase = Phase::Handshake;
        assert_eq!(wire.write(b"\x17finished"), Poll::Ready(Err(ErrorKind::PermissionDenied)));
        wire.phase = Phase::Verified;
        assert_eq!(wire.write(b"\x17finished"), Poll::Ready(Ok(9)));
        assert_eq!(wire.write(&[23; OUTGOING]), Poll::Pending);
        assert_eq!(wire.outgoing.peek(), b"\x16hello\x17finished");
    }
}
