//! A session, and something that it talks with.

use std::io::{Read as _, Write as _};
use std::pin::pin;
use std::sync::Arc;

use longcable_core::crypto::Rng;
use longcable_core::tls::{Role, TlsFailure, TlsProgress, TlsSession};
use longcable_core::x509::PeerVerified;
use longcable_embassy::tls::{EmbeddedTlsSession, Memory, Room};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection};
use sha2::{Digest as _, Sha256};

use crate::pki::{Identity, NOW, Pki};
use crate::rogue::Peer;

/// Length of what fits into one control packet.
const PACKET: usize = 1100;

/// Reproducible random numbers.
pub(crate) struct TestRng(pub u64);

impl Rng for TestRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&Sha256::digest(self.0.to_be_bytes())[..chunk.len()]);
        }
    }
}

/// Calls `use_it` with a session of this client that has not been started.
pub(crate) fn with_session<T>(pki: &Pki, use_it: impl FnOnce(&mut EmbeddedTlsSession<'_>) -> T) -> T {
    pki.with_credentials(|credentials| {
        let memory = Memory::new();
        let room = Room::new(&memory, credentials, TestRng(1));
        let engine = pin!(room.engine());
        use_it(&mut EmbeddedTlsSession::new(&room, engine))
    })
}

/// Starts the session and runs the handshake; the peer as the session knows it afterwards.
pub(crate) fn connect(session: &mut EmbeddedTlsSession<'_>, peer: &mut dyn Peer) -> Result<PeerVerified, TlsFailure> {
    session.start(Role::Client, NOW)?;
    pump(session, peer)?;
    match session.step()? {
        TlsProgress::Established(verified) => Ok(verified.clone()),
        TlsProgress::Handshaking => panic!("the handshake does not go on"),
    }
}

/// Carries bytes both ways until neither end has more.
pub(crate) fn pump(session: &mut EmbeddedTlsSession<'_>, peer: &mut dyn Peer) -> Result<(), TlsFailure> {
    loop {
        let failure = session.step().err();
        let mut moved = false;
        let mut packet = [0; PACKET];
        while let len @ 1.. = session.write_tls(&mut packet) {
            peer.receive(&packet[..len]);
            moved = true;
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let output = peer.output();
        let taken = session.read_tls(&output[..output.len().min(PACKET)]);
        output.drain(..taken);
        if !moved && taken == 0 {
            return Ok(());
        }
    }
}

/// Carries bytes both ways, and returns what the session has for its user, one entry a record.
pub(crate) fn exchange(session: &mut EmbeddedTlsSession<'_>, peer: &mut dyn Peer) -> Result<Vec<Vec<u8>>, TlsFailure> {
    let mut records = Vec::new();
    loop {
        pump(session, peer)?;
        let mut record = [0; 4096];
        match session.read_plain(&mut record) {
            0 => return Ok(records),
            len => records.push(record[..len].to_vec()),
        }
    }
}

/// A server of rustls.
pub(crate) struct Rustls {
    pub(crate) connection: ServerConnection,
    pub(crate) error: Option<rustls::Error>,
    output: Vec<u8>,
}

impl Rustls {
    /// A server with this chain; if `clients` is given, clients must have a certificate of that authority.
    pub(crate) fn new(chain: &[&Identity], clients: Option<&Identity>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&rustls::version::TLS13]);
        let builder = match clients {
            None => builder.unwrap().with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der.clone().into()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
                builder.unwrap().with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::Pkcs8(chain[0].key.serialize_der().into());
        let chain = chain.iter().map(|identity| CertificateDer::from(identity.der.clone())).collect();
        let config = builder.with_single_cert(chain, key).unwrap();
        Self { connection: ServerConnection::new(config.into()).unwrap(), error: None, output: Vec::new() }
    }

    pub(crate) fn write(&mut self, plain: &[u8]) {
        self.connection.writer().write_all(plain).unwrap();
        self.collect();
    }

    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut plain = Vec::new();
        // "Would block" is the end of what has come.
        let _ = self.connection.reader().read_to_end(&mut plain);
        plain
    }

    fn collect(&mut self) {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.output).unwrap();
        }
    }
}

impl Peer for Rustls {
    fn receive(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() && self.error.is_none() {
            self.connection.read_tls(&mut wire).unwrap();
            self.error = self.connection.process_new_packets().err();
        }
        self.collect();
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }
}
