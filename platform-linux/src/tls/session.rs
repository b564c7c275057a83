//! One TLS session of rustls behind the engine's seam.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use longcable_core::tls::{ExportUnsupported, Inside, Role, TlsFailure, TlsProgress, TlsSession};
use longcable_core::x509::{PeerVerified, Reason, Refusal};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Connection, Error, PeerIncompatible, ProtocolVersion,
    ServerConfig, ServerConnection,
};
use zeroize::Zeroizing;

use super::peer_check::PeerCheck;
use super::settings::{group_name, suite_name};
use super::{Shared, describe};

/// Longest record, in bytes of application data.
const RECORD_MAX: usize = 1 << 14;
/// The most that waits to be read, in bytes of application data; each record counts for [`RECORD_COST`] more.
const PLAIN_MAX: usize = 1 << 16;
const RECORD_COST: usize = 64;
/// The most that waits to be sent before application data is turned away, in bytes.
const OUTGOING_MAX: usize = 1 << 16;

/// A slot for TLS sessions, one after the other, made by [`TlsContext::session`](super::TlsContext::session).
pub struct RustlsSession {
    shared: Arc<Shared>,
    live: Option<Live>,
}

struct Live {
    connection: Connection,
    check: Arc<PeerCheck>,
    state: State,
    records: Records,
    incoming: VecDeque<Zeroizing<Vec<u8>>>,
    outgoing: VecDeque<u8>,
}

#[derive(Debug)]
enum State {
    Handshaking,
    Established(PeerVerified),
    Failed(TlsFailure),
}

impl RustlsSession {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, live: None }
    }

    /// For tests that misuse it.
    #[cfg(test)]
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.live.as_mut().map(|live| &mut live.connection)
    }
}

impl TlsSession for RustlsSession {
    type Place<T> = Inside<T>;
    type Extra<T> = Inside<T>;

    const CAN_EXPORT: bool = true;

    fn start(&mut self, role: Role, unix_now: u64) -> Result<(), TlsFailure> {
        let check = Arc::new(PeerCheck::new(self.shared.trust.clone(), role.other(), unix_now));
        let connection = match role {
            Role::Client => client(&self.shared, check.clone()).map(Connection::Client),
            Role::Server => server(&self.shared, check.clone()).map(Connection::Server),
        };
        let connection = connection.map_err(|error| TlsFailure::new(error, false))?;
        let mut live = Live {
            connection,
            check,
            state: State::Handshaking,
            records: Records::default(),
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
        };
        live.collect();
        self.live = Some(live);
        Ok(())
    }

    fn stop(&mut self) {
        self.live = None;
    }

    fn read_tls(&mut self, wire: &[u8]) -> usize {
        self.live.as_mut().map_or(0, |live| live.read_tls(wire))
    }

    fn write_tls(&mut self, wire: &mut [u8]) -> usize {
        // A queue of bytes can always be read.
        self.live.as_mut().map_or(0, |live| live.outgoing.read(wire).unwrap_or(0))
    }

    fn read_plain(&mut self, out: &mut [u8]) -> usize {
        let record = self.live.as_mut().and_then(|live| live.incoming.pop_front());
        let Some(record) = record else { return 0 };
        let len = record.len().min(out.len());
        out[..len].copy_from_slice(&record[..len]);
        len
    }

    fn write_plain(&mut self, plain: &[u8]) -> usize {
        let Some(live @ Live { state: State::Established(_), .. }) = &mut self.live else { return 0 };
        if plain.len() > RECORD_MAX || live.outgoing.len() > OUTGOING_MAX {
            return 0;
        }
        // rustls holds nothing back, so it has room for a record.
        let written = std::io::Write::write(&mut live.connection.writer(), plain).unwrap_or(0);
        live.collect();
        written
    }

    fn step(&mut self) -> Result<TlsProgress<'_>, TlsFailure> {
        match self.live.as_ref().map(|live| &live.state) {
            Some(State::Handshaking) => Ok(TlsProgress::Handshaking),
            Some(State::Established(peer)) => Ok(TlsProgress::Established(peer)),
            Some(State::Failed(failure)) => Err(failure.clone()),
            None => Err(TlsFailure::new("there is no TLS session", false)),
        }
    }

    fn accept(&mut self) {
        if let Some(live) = &self.live {
            live.check.accept();
        }
    }

    fn export(&self, label: &str, out: &mut [u8]) -> Result<(), ExportUnsupported> {
        match &self.live {
            Some(Live { connection, state: State::Established(_), .. }) => {
                connection.export_keying_material(out, label.as_bytes(), None).map(drop).map_err(|_| ExportUnsupported)
            }
            _ => Err(ExportUnsupported),
        }
    }

    fn describe(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Some(Live { connection, .. }) = &self.live else { return Ok(()) };
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => return Ok(()),
        };
        write!(out, "{version}")?;
        if let Some(suite) = connection.negotiated_cipher_suite() {
            write!(out, ", cipher {version} {}", suite_name(suite.suite()))?;
        }
        if let Some(peer) = connection.peer_certificates().and_then(<[_]>::first) {
            out.write_str(", peer certificate: ")?;
            describe::certificate(peer, out)?;
        }
        if let Some(group) = connection.negotiated_key_exchange_group() {
            write!(out, ", peer temporary key: {}", group_name(group.name()))?;
        }
        Ok(())
    }
}

impl Live {
    /// Takes whole records, and processes each before the next, as long as somebody fetches what is in them.
    fn read_tls(&mut self, wire: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest @ [_, ..]) = wire.get(taken..) {
            if matches!(self.state, State::Failed(_)) {
                return wire.len();
            }
            let waiting: usize = self.incoming.iter().map(|record| record.len() + RECORD_COST).sum();
            if waiting >= PLAIN_MAX {
                break;
            }
            let part = self.records.take(rest);
            taken += part.len();
            if let Err(failure) = self.process(part) {
                self.state = State::Failed(failure);
            }
            self.collect();
        }
        taken
    }

    /// Processes bytes of one record.
    fn process(&mut self, mut wire: &[u8]) -> Result<(), TlsFailure> {
        while !wire.is_empty() {
            match self.connection.read_tls(&mut wire) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(TlsFailure::new(error, false)),
            }
            let progress = self.connection.process_new_packets().map_err(|error| self.failure(error))?;
            if progress.plaintext_bytes_to_read() > 0 {
                let mut record = Zeroizing::new(vec![0; progress.plaintext_bytes_to_read()]);
                let read = self.connection.reader().read(&mut record).unwrap_or(0);
                record.truncate(read);
                self.incoming.push_back(record);
            }
            if progress.peer_has_closed() {
                return Err(TlsFailure::new(alert_name(AlertDescription::CloseNotify), true));
            }
        }
        if matches!(self.state, State::Handshaking) && !self.connection.is_handshaking() {
            let Some(peer) = self.check.take_peer() else {
                return Err(TlsFailure::new("the peer has not shown who it is", false));
            };
            self.state = State::Established(peer);
        }
        Ok(())
    }

    /// Fetches what rustls has for the peer.
    fn collect(&mut self) {
        while self.connection.wants_write() {
            // A queue of bytes can always be written.
            if self.connection.write_tls(&mut self.outgoing).is_err() {
                break;
            }
        }
    }

    fn failure(&self, error: Error) -> TlsFailure {
        if let Some(refusal) = self.check.take_refusal() {
            return TlsFailure::Certificate(refusal);
        }
        match error {
            Error::AlertReceived(alert) => TlsFailure::new(alert_name(alert), true),
            Error::NoCertificatesPresented => TlsFailure::Certificate(Refusal::new(0, Reason::NoCertificate, "")),
            // What this module's own checks say.
            Error::General(text) => TlsFailure::new(format_args!("TLS: {text}"), false),
            Error::PeerIncompatible(cause) => TlsFailure::new(incompatible(&cause), false),
            error => TlsFailure::new(format_args!("TLS: {error}"), false),
        }
    }
}

fn client(shared: &Shared, check: Arc<PeerCheck>) -> Result<ClientConnection, Error> {
    let builder = ClientConfig::builder_with_provider(shared.settings.provider.clone())
        .with_protocol_versions(&shared.settings.versions)?
        .dangerous()
        .with_custom_certificate_verifier(check);
    let mut config = match &shared.identity {
        Some(identity) => builder.with_client_cert_resolver(identity.resolver.clone()),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    // It is never shown to anybody.
    let name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
    ClientConnection::new(Arc::new(config), name)
}

fn server(shared: &Shared, check: Arc<PeerCheck>) -> Result<ServerConnection, Error> {
    let Some(identity) = &shared.identity else {
        return Err(Error::General("a TLS server needs 'cert' and 'key', or 'pkcs12'".to_owned()));
    };
    let mut config = ServerConfig::builder_with_provider(shared.settings.provider.clone())
        .with_protocol_versions(&shared.settings.versions)?
        .with_client_cert_verifier(check)
        .with_cert_resolver(identity.resolver.clone());
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.ignore_client_order = true;
    ServerConnection::new(Arc::new(config))
}

fn incompatible(cause: &PeerIncompatible) -> &'static str {
    match cause {
        PeerIncompatible::NoCipherSuitesInCommon => {
            "TLS: no cipher suite in common; compare 'tls-cipher' and 'tls-ciphersuites' of both ends (see --show-tls)"
        }
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => {
            "TLS: no group in common for the key exchange; compare 'tls-groups' of both ends (see --show-groups)"
        }
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "TLS: the peer takes no signature that the key of 'cert' can make; use another kind of key"
        }
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => {
            "TLS: no version in common; compare 'tls-version-min' and 'tls-version-max' of both ends (1.2 and 1.3 work)"
        }
        _ => "TLS: the peer lacks something that is needed; does it have TLS 1.2 or 1.3 with ECDHE?",
    }
}

/// The standard's name of an alert, as in `unknown_ca`.
fn alert_name(alert: AlertDescription) -> String {
    let (mut name, mut before) = (String::new(), 'A');
    for character in format!("{alert:?}").chars() {
        if character.is_ascii_uppercase() && before.is_ascii_lowercase() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
        before = character;
    }
    name
}

/// Follows a stream of bytes to see where its records end.
#[derive(Debug, Default)]
struct Records {
    header: [u8; 5],
    header_len: usize,
    /// What is still to come of the record.
    body: usize,
}

impl Records {
    /// The first bytes of `wire` that belong to one header or one body.
    fn take<'w>(&mut self, wire: &'w [u8]) -> &'w [u8] {
        if self.body > 0 {
            let part = &wire[..self.body.min(wire.len())];
            self.body -= part.len();
            return part;
        }
        let missing = &mut self.header[self.header_len..];
        let part = &wire[..missing.len().min(wire.len())];
        missing[..part.len()].copy_from_slice(part);
        self.header_len += part.len();
        if let [_, _, _, high, low] = self.header
            && self.header_len == self.header.len()
        {
            self.body = usize::from(u16::from_be_bytes([high, low]));
            self.header_len = 0;
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_names_of_the_standard() {
        for (alert, name) in [
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::CertificateExpired, "certificate_expired"),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::CloseNotify, "close_notify"),
        ] {
            assert_eq!(alert_name(alert), name);
        }
    }

    #[test]
    fn a_stream_is_cut_where_records_end_however_it_arrives() {
        let stream = [&[22, 3, 3, 0, 2, 7, 8][..], &[23, 3, 3, 0, 0], &[23, 3, 3, 0, 1, 9]].concat();
        for step in 1..=stream.len() {
            let (mut records, mut ends, mut position) = (Records::default(), Vec::new(), 0);
            for mut chunk in stream.chunks(step) {
                while !chunk.is_empty() {
                    let part = records.take(chunk);
                    chunk = &chunk[part.len()..];
                    position += part.len();
                    if records.header_len == 0 && records.body == 0 {
                        ends.push(position);
                    }
                }
            }
            assert_eq!(ends, [7, 12, 18], "{step}");
        }
    }
}
