//! TLS that believes everybody and shows any certificate.

use std::io::{Read, Write};
use std::sync::Arc;

use longcable_core::tls::Role;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    ServerConnection, SignatureScheme, SupportedProtocolVersion,
};

use super::pki::Issued;

/// One end of a TLS session.
pub struct CarelessTls {
    connection: Connection,
}

impl CarelessTls {
    pub fn start(role: Role, identity: &Issued, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let provider = Arc::new(default_provider());
        let chain = vec![CertificateDer::from_pem_slice(identity.cert.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
        let key = any_supported_type(&key).expect("a usual key");
        let own = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
        let connection = match role {
            Role::Client => {
                let mut config = ClientConfig::builder_with_provider(provider)
                    .with_protocol_versions(versions)
                    .expect("versions")
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(Trusting))
                    .with_client_cert_resolver(own);
                config.enable_sni = false;
                let name = ServerName::try_from("nobody").expect("a name");
                Connection::Client(ClientConnection::new(Arc::new(config), name).expect("a connection"))
            }
            Role::Server => {
                let mut config = ServerConfig::builder_with_provider(provider)
                    .with_protocol_versions(versions)
                    .expect("versions")
                    .with_client_cert_verifier(Arc::new(Trusting))
                    .with_cert_resolver(own);
                config.send_tls13_tickets = 0;
                Connection::Server(ServerConnection::new(Arc::new(config)).expect("a connection"))
            }
        };
        Self { connection }
    }

    /// Takes bytes from the peer, and gives what they say.
    pub fn read_tls(&mut self, mut wire: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        while !wire.is_empty() {
            if self.connection.read_tls(&mut wire).is_err() || self.connection.process_new_packets().is_err() {
                break;
            }
            let _ = self.connection.reader().read_to_end(&mut said);
        }
        said
    }

    /// Gives bytes for the peer.
    pub fn write_tls(&mut self, mut out: &mut [u8]) -> usize {
        let room = out.len();
        if self.connection.wants_write() {
            // It writes as much as there is room for.
            let _ = self.connection.write_tls(&mut out);
        }
        room - out.len()
    }

    pub fn write_plain(&mut self, record: &[u8]) {
        self.connection.writer().write_all(record).expect("room for a record");
    }

    pub fn stands(&self) -> bool {
        !self.connection.is_handshaking()
    }

    pub fn export(&self, label: &str, out: &mut [u8]) -> Result<(), Error> {
        self.connection.export_keying_material(out, label.as_bytes(), None).map(drop)
    }
}

#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Trusting {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
