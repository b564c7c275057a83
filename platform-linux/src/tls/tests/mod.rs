//! Sessions back to back in memory, with certificates of the test's own authority.

mod files;
mod handshake;
mod hostile;
mod peer;
mod pki;

use longcable_core::options::{KeySource, LinkConfig, TlsOptions};
use longcable_core::tls::{Role, TlsFailure, TlsProgress, TlsSession};
use longcable_core::x509::PeerVerified;

use super::{RustlsSession, TlsContext};
use crate::config::HostConfig;
use crate::failure::Fatal;
use pki::{Issued, Pki};
use rcgen::KeyPair;

/// A time when the certificates of the tests are valid (January 2027).
const NOW: u64 = 1_800_000_000;

/// The options of one end with a certificate, its key and an authority.
fn options<'t>(ca: &'t str, own: &'t Issued) -> TlsOptions<'t> {
    TlsOptions {
        ca: Some(KeySource::Inline(ca)),
        cert: Some(KeySource::Inline(&own.cert)),
        key: Some(KeySource::Inline(&own.key)),
        ..TlsOptions::default()
    }
}

fn load(options: TlsOptions<'_>, host: &HostConfig) -> Result<TlsContext, Fatal> {
    let mut link = LinkConfig::default();
    link.tls = options;
    TlsContext::load(&link, host)
}

fn context(options: TlsOptions<'_>) -> TlsContext {
    load(options, &HostConfig::default()).unwrap()
}

type Outcome = Result<Option<PeerVerified>, TlsFailure>;

/// Two ends of a TLS session.
struct Pair {
    client: RustlsSession,
    server: RustlsSession,
}

impl Pair {
    fn new(client: &TlsContext, server: &TlsContext) -> Self {
        let mut pair = Self { client: client.session(), server: server.session() };
        pair.client.start(Role::Client, NOW).unwrap();
        pair.server.start(Role::Server, NOW).unwrap();
        pair
    }

    /// Carries bytes in pieces of `chunk` until both ends are quiet.
    fn run(&mut self, chunk: usize) -> (Outcome, Outcome) {
        while carry(&mut self.client, &mut self.server, chunk) + carry(&mut self.server, &mut self.client, chunk) > 0 {}
        (outcome(&mut self.client), outcome(&mut self.server))
    }
}

/// The session of two ends with one authority.
fn established(chunk: usize) -> Pair {
    let pki = Pki::new();
    let (client, server) = (pki.client("client"), pki.server("server"));
    let mut pair = Pair::new(&context(options(pki.ca(), &client)), &context(options(pki.ca(), &server)));
    let (client, server) = pair.run(chunk);
    assert_eq!(client.unwrap().unwrap().common_name(), "server");
    assert_eq!(server.unwrap().unwrap().common_name(), "client");
    pair
}

/// Carries what `from` has for the peer to `to`; returns how many bytes.
fn carry(from: &mut RustlsSession, to: &mut RustlsSession, chunk: usize) -> usize {
    let (mut wire, mut carried) = (vec![0; chunk], 0);
    loop {
        match from.write_tls(&mut wire) {
            0 => return carried,
            len => {
                assert_eq!(to.read_tls(&wire[..len]), len);
                carried += len;
            }
        }
    }
}

fn outcome(session: &mut RustlsSession) -> Outcome {
    session.step().map(|progress| match progress {
        TlsProgress::Handshaking => None,
        TlsProgress::Established(peer) => Some(peer.clone()),
    })
}

fn described(session: &RustlsSession) -> String {
    let mut text = String::new();
    session.describe(&mut text).unwrap();
    text
}
