//! Certificates for the two ends of a link, good ones and an attacker's.

use std::sync::LazyLock;

use longcable_core::tls::Role;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// Whom both ends trust.
pub static TRUSTED: LazyLock<Authority> = LazyLock::new(|| Authority::new("Test CA"));
/// An authority of the same name that nobody trusts.
pub static IMPOSTOR: LazyLock<Authority> = LazyLock::new(|| Authority::new("Test CA"));
/// The good certificates.
pub static CLIENT: LazyLock<Issued> = LazyLock::new(|| TRUSTED.issue(Role::Client, &[(DnType::CommonName, "client")]));
pub static SERVER: LazyLock<Issued> = LazyLock::new(|| TRUSTED.issue(Role::Server, &[(DnType::CommonName, "server")]));

/// The good certificate of this end.
pub fn good(role: Role) -> &'static Issued {
    match role {
        Role::Client => &CLIENT,
        Role::Server => &SERVER,
    }
}

/// A certificate and its key, as text.
#[derive(Clone)]
pub struct Issued {
    pub cert: String,
    pub key: String,
}

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub cert: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(&[(DnType::CommonName, name)]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let cert = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), cert }
    }

    /// A certificate for the end with this role, with this subject.
    pub fn issue(&self, role: Role, subject: &[(DnType, &str)]) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(subject);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match role {
            Role::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Role::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Issued { cert, key: key.serialize_pem() }
    }
}

fn params(subject: &[(DnType, &str)]) -> CertificateParams {
    let mut name = DistinguishedName::new();
    for (kind, value) in subject {
        name.push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params
}
