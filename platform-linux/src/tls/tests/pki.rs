//! Certificates for tests.

use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};

/// A certificate and its key as PEM.
pub(super) struct Issued {
    pub(super) cert: String,
    pub(super) key: String,
}

/// An authority.
pub(super) struct Pki {
    cert: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    pub(super) fn new() -> Self {
        Self::named("Test CA")
    }

    pub(super) fn named(name: &str) -> Self {
        Self::with_key(name, KeyPair::generate().unwrap())
    }

    pub(super) fn with_key(name: &str, key: KeyPair) -> Self {
        let params = authority(name);
        let cert = params.self_signed(&key).unwrap().pem();
        Self { cert, issuer: Issuer::new(params, key) }
    }

    /// Its certificate as PEM.
    pub(super) fn ca(&self) -> &str {
        &self.cert
    }

    pub(super) fn client(&self, name: &str) -> Issued {
        self.issue(client_params(name), KeyPair::generate().unwrap())
    }

    pub(super) fn server(&self, name: &str) -> Issued {
        self.issue(server_params(name), KeyPair::generate().unwrap())
    }

    pub(super) fn issue(&self, params: CertificateParams, key: KeyPair) -> Issued {
        Issued { cert: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    /// An authority below this one.
    pub(super) fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { cert, issuer: Issuer::new(params, key) }
    }

    /// A list that revokes the certificates with these serial numbers.
    pub(super) fn revoke(&self, serials: &[u64], next_update_year: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(next_update_year, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

pub(super) fn client_params(name: &str) -> CertificateParams {
    leaf(name, ExtendedKeyUsagePurpose::ClientAuth)
}

pub(super) fn server_params(name: &str) -> CertificateParams {
    leaf(name, ExtendedKeyUsagePurpose::ServerAuth)
}

fn leaf(name: &str, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn distinguished_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

pub(super) fn key_of(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

/// An RSA key, which only OpenSSL makes.
pub(super) fn rsa_key(bits: u32) -> KeyPair {
    let pem = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")], "");
    KeyPair::from_pem(&pem).unwrap()
}

/// Runs openssl and returns what it prints.
#[track_caller]
pub(super) fn openssl(arguments: &[&str], input: &str) -> String {
    String::from_utf8(openssl_bytes(arguments, input)).unwrap()
}

#[track_caller]
pub(super) fn openssl_bytes(arguments: &[&str], input: &str) -> Vec<u8> {
    use std::io::Write;
    use std::process::Stdio;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test needs the openssl command: install openssl");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
