//! Authorities and certificates, good and bad.

use longcable_core::options::{CertProfile, PeerRules};
use longcable_embassy::tls::{self, Credentials, PrivateKey};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm, date_time_ymd,
};

/// A time (s since 1970) at which what is made here is valid: in 2026.
pub(crate) const NOW: u64 = 1_780_000_000;
/// A time at which it is not any more: in 2040.
pub(crate) const TOO_LATE: u64 = 2_210_000_000;

pub(crate) const P256: &SignatureAlgorithm = &PKCS_ECDSA_P256_SHA256;
pub(crate) const ED25519: &SignatureAlgorithm = &PKCS_ED25519;

/// A certificate and the key to it.
pub(crate) struct Identity {
    pub(crate) der: Vec<u8>,
    pub(crate) key: KeyPair,
    params: CertificateParams,
}

impl Identity {
    /// An authority of its own.
    pub(crate) fn authority(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, key, params }
    }

    /// A certificate that this one has signed, whether it may or not.
    pub(crate) fn signs(&self, params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().to_vec();
        Self { der, key, params }
    }

    pub(crate) fn private_key(&self) -> PrivateKey {
        PrivateKey::parse(&self.key.serialize_der()).unwrap()
    }
}

/// A certificate for servers.
pub(crate) fn server(name: &str) -> CertificateParams {
    leaf(name, ExtendedKeyUsagePurpose::ServerAuth)
}

/// A certificate for clients.
pub(crate) fn client(name: &str) -> CertificateParams {
    leaf(name, ExtendedKeyUsagePurpose::ClientAuth)
}

fn leaf(name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params
}

/// An authority, a server and a client of it.
pub(crate) struct Pki {
    pub(crate) authority: Identity,
    pub(crate) server: Identity,
    pub(crate) client: Identity,
    pub(crate) client_key: PrivateKey,
    pub(crate) rules: PeerRules<'static>,
}

impl Pki {
    pub(crate) fn new(algorithm: &'static SignatureAlgorithm) -> Self {
        let authority = Identity::authority("authority", algorithm);
        let server = authority.signs(server("server"), algorithm);
        let client = authority.signs(client("client"), algorithm);
        let client_key = client.private_key();
        Self { authority, server, client, client_key, rules: PeerRules::default() }
    }

    /// Calls `use_it` with the client's credentials.
    pub(crate) fn with_credentials<T>(&self, use_it: impl FnOnce(Credentials<'_>) -> T) -> T {
        let roots: &[&[u8]] = &[&self.authority.der];
        let credentials = Credentials {
            roots,
            crls: &[],
            identity: Some(tls::Identity::new(&self.client.der, &self.client_key).unwrap()),
            rules: &self.rules,
            profile: CertProfile::Legacy,
        };
        use_it(credentials)
    }
}
