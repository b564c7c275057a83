//! Certificates, keys and revocation lists, good ones and every kind of bad one. They are made once per process.
//!
//! Files are named after the role they are for, `server` or `client`, here ROLE:
//!
//! | file | what |
//! |---|---|
//! | `ca.crt` | the authority: P-256, `CN=Test CA` |
//! | `ROLE.crt`, `ROLE.key` | P-256, `CN=server` or `CN=client`; `ROLE.key` is the key to most others too |
//! | `ROLE-rsa.*`, `ROLE-p384.*`, `ROLE-ed25519.*` | other kinds of keys, each with its own `.key` |
//! | `ROLE-rsa768.*`, `ROLE-rsa1024.*` | keys that are too weak, for openvpn |
//! | `ROLE-KIND.crt` | something about it is special: see [`Kind`] |
//! | `intermediate.crt`, `ROLE-chain.crt` | an authority below `ca.crt`; a certificate of its, followed by its own |
//! | `self-ROLE.crt` | signed by itself |
//! | `crl.pem`, `crl-empty.pem`, `crl-expired.pem` | who is revoked: the two `ROLE-revoked.crt`, nobody, nobody until 2021 |
//! | `ROLE.p12`, `ROLE-secret.p12` | certificate, key and `ca.crt`; with no password, and with the one in `password` |
//! | `ROLE-encrypted.key`, `ROLE-legacy.key` | `ROLE.key` under the password, as PKCS #8 and in the form of old OpenSSL |
//! | `dh.pem` | the group ffdhe2048 |
//! | `ta.key`, `ta-other.key` | for `tls-auth` and `tls-crypt` |
//! | `v2-server.key`, `v2-client.key`, `v2-other.key` | for `tls-crypt-v2`: a pair, and another server's |

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams,
    SerialNumber, SignatureAlgorithm, date_time_ymd,
};

use longcable::demo::lab::{Scratch, find_program};

use super::{Lab, Program};

/// The password of whatever has one.
pub const PASSWORD: &str = "long cables are good";

/// What is special about the certificate in `ROLE-KIND.crt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its validity is over.
    Expired,
    /// Its validity has not begun.
    Future,
    /// An authority of another name has signed it.
    Other,
    /// An authority of the same name and with another key has signed it.
    Impostor,
    /// It is for the other role.
    Wrong,
    /// It says nothing of what it is for.
    Usageless,
    /// `crl.pem` names it.
    Revoked,
    /// `ROLE.crt` has signed it, which is no authority and comes along.
    Leaf,
    /// Its common name is longer than openvpn takes.
    Long,
    /// It has no common name.
    Nameless,
    /// Its organisation has a comma, an equals sign and letters beyond ASCII.
    Odd,
    /// It has several attributes.
    Rich,
    /// `intermediate.crt` has signed it, which does not come along.
    Intermediate,
}

const KINDS: [Kind; 13] = [
    Kind::Expired,
    Kind::Future,
    Kind::Other,
    Kind::Impostor,
    Kind::Wrong,
    Kind::Usageless,
    Kind::Revoked,
    Kind::Leaf,
    Kind::Long,
    Kind::Nameless,
    Kind::Odd,
    Kind::Rich,
    Kind::Intermediate,
];

impl Kind {
    /// As it is in the file's name.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// The serial number of the revoked certificate of a role, as a directory of `crl-verify` wants it.
pub fn revoked_serial(role: &str) -> u16 {
    if role == "server" { 4097 } else { 4098 }
}

/// Writes all the files into the laboratory's directory.
///
/// # Panics
/// When one cannot be made, saying which program is missing.
pub fn write(lab: &Lab) {
    use std::os::unix::fs::PermissionsExt;
    for (name, content) in FILES.iter() {
        let path = lab.directory().join(name);
        fs::write(&path, content).expect("room for certificates");
        let mode = if name.ends_with(".crt") { 0o644 } else { 0o600 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
    }
}

/// The text of one of the files, for an inline block.
///
/// # Panics
/// When there is none of this name, or it is no text.
pub fn text(name: &str) -> String {
    let content = FILES.get(name).unwrap_or_else(|| panic!("no file {name}"));
    String::from_utf8(content.clone()).expect("a text")
}

/// The fingerprint of one of the certificates, as in `AA:BB:...`; `digest` is `sha1` or `sha256`.
///
/// # Panics
/// When there is no such certificate.
pub fn fingerprint(name: &str, digest: &str) -> String {
    let scratch = Scratch::create(false).expect("a place for temporary files");
    fs::write(scratch.path().join("crt"), &FILES[name]).expect("room for a certificate");
    let line = openssl(scratch.path(), &format!("x509 -in crt -noout -fingerprint -{digest}"));
    line.trim().split_once('=').expect("a fingerprint").1.to_owned()
}

/// Contents by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// `ca.crt` and the good certificates of both roles, all with Ed25519 keys. No program is needed to make them.
///
/// # Panics
/// When they cannot be made.
pub fn ed25519() -> Files {
    let mut files = Files::new();
    let root = authority("Test CA", &rcgen::PKCS_ED25519, None, &mut files, "ca.crt");
    for role in ["server", "client"] {
        usual(role, "", &key(&rcgen::PKCS_ED25519), &root, &mut files);
    }
    files
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let scratch = Scratch::create(false).expect("a place for temporary files");
    let directory = scratch.path();
    let mut files = Files::new();
    certificates(directory, &mut files);
    for (name, content) in &files {
        fs::write(directory.join(name), content).expect("room for certificates");
    }
    files.insert("password".into(), format!("{PASSWORD}\n").into());
    fs::write(directory.join("password"), PASSWORD).expect("room for a password");
    let mut make = |name: &str, command: &str| {
        openssl(directory, &format!("{command} -out {name}"));
        files.insert(name.into(), fs::read(directory.join(name)).expect("what openssl has made"));
    };
    for role in ["server", "client"] {
        let pkcs12 = format!("pkcs12 -export -in {role}.crt -inkey {role}.key -certfile ca.crt -passout");
        make(&format!("{role}.p12"), &format!("{pkcs12} pass:"));
        make(&format!("{role}-secret.p12"), &format!("{pkcs12} file:password"));
        let encrypted = format!("pkcs8 -topk8 -in {role}.key -v2 aes-256-cbc -passout file:password");
        make(&format!("{role}-encrypted.key"), &encrypted);
        let legacy = format!("ec -in {role}.key -aes-128-cbc -passout file:password");
        make(&format!("{role}-legacy.key"), &legacy);
    }
    make("dh.pem", "genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048");
    for (name, arguments) in [
        ("ta.key", "--genkey tls-auth"),
        ("ta-other.key", "--genkey tls-auth"),
        ("v2-server.key", "--genkey tls-crypt-v2-server"),
        ("v2-other.key", "--genkey tls-crypt-v2-server"),
        ("v2-client.key", "--tls-crypt-v2 v2-server.key --genkey tls-crypt-v2-client"),
    ] {
        run(directory, &Program::Openvpn.path(), &format!("{arguments} {name}"));
        files.insert(name.into(), fs::read(directory.join(name)).expect("what openvpn has made"));
    }
    files
});

fn certificates(directory: &Path, files: &mut Files) {
    let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
    let root = authority("Test CA", p256, None, files, "ca.crt");
    let intermediate = authority("Test Intermediate CA", p256, Some(&root), files, "intermediate.crt");
    let other = authority("Other CA", p256, None, files, "other-ca.crt");
    let impostor = authority("Test CA", p256, None, files, "impostor-ca.crt");
    for role in ["server", "client"] {
        usual(role, "", &key(p256), &root, files);
        usual(role, "-p384", &key(&rcgen::PKCS_ECDSA_P384_SHA384), &root, files);
        // ring makes no RSA keys, and its Ed25519 keys have a public half that OpenSSL 3.0 cannot read.
        for (suffix, algorithm) in [("-rsa", "RSA -pkeyopt rsa_keygen_bits:2048"), ("-ed25519", "ED25519")] {
            let text = openssl(directory, &format!("genpkey -algorithm {algorithm}"));
            let key = KeyPair::from_pem(&text).expect("what openssl has made");
            usual(role, suffix, &key, &root, files);
        }
        for bits in [768, 1024] {
            let text = openssl(directory, &format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits}"));
            fs::write(directory.join("weak.key"), &text).expect("room for a key");
            openssl(directory, "rsa -in weak.key -RSAPublicKey_out -outform DER -out weak.der");
            let key = Weak(fs::read(directory.join("weak.der")).expect("what openssl has made"));
            let certificate = leaf(role).signed_by(&key, &root).expect("a certificate");
            files.insert(format!("{role}-rsa{bits}.crt"), certificate.pem().into());
            files.insert(format!("{role}-rsa{bits}.key"), text.into());
        }

        let key = KeyPair::from_pem(&String::from_utf8_lossy(&files[&format!("{role}.key")])).expect("our key");
        let own = Issuer::new(leaf(role), &key);
        for kind in KINDS {
            let params = special(role, kind);
            let certificate = match kind {
                Kind::Other => params.signed_by(&key, &other),
                Kind::Impostor => params.signed_by(&key, &impostor),
                Kind::Intermediate => params.signed_by(&key, &intermediate),
                Kind::Leaf => params.signed_by(&key, &own),
                _ => params.signed_by(&key, &root),
            };
            let mut text = certificate.expect("a certificate").pem();
            let name = format!("{role}-{}.crt", kind.name());
            if kind == Kind::Intermediate {
                let chain = [text.as_bytes(), &files["intermediate.crt"]].concat();
                files.insert(format!("{role}-chain.crt"), chain);
            }
            if kind == Kind::Leaf {
                text.push_str(&String::from_utf8_lossy(&files[&format!("{role}.crt")]));
            }
            files.insert(name, text.into());
        }
        let by_itself = leaf(role).self_signed(&key).expect("a certificate");
        files.insert(format!("self-{role}.crt"), by_itself.pem().into());
    }
    let revoked = ["server", "client"].map(|role| RevokedCertParams {
        serial_number: serial(revoked_serial(role)),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    for (name, revoked, until) in
        [("crl.pem", &revoked[..], 2049), ("crl-empty.pem", &[], 2049), ("crl-expired.pem", &[], 2021)]
    {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: serial(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.to_vec(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&root).expect("a revocation list");
        files.insert(name.into(), list.pem().expect("as text").into());
    }
}

/// An RSA key that is too short for rcgen to sign with.
struct Weak(Vec<u8>);

impl PublicKeyData for Weak {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// A good certificate with a key of its own.
fn usual(role: &str, suffix: &str, key: &KeyPair, root: &Issuer<'_, KeyPair>, files: &mut Files) {
    let certificate = leaf(role).signed_by(key, root).expect("a certificate");
    files.insert(format!("{role}{suffix}.crt"), certificate.pem().into());
    files.insert(format!("{role}{suffix}.key"), key.serialize_pem().into());
}

fn authority(
    name: &str,
    algorithm: &'static SignatureAlgorithm,
    signed_by: Option<&Issuer<'_, KeyPair>>,
    files: &mut Files,
    file: &str,
) -> Issuer<'static, KeyPair> {
    let key = key(algorithm);
    let mut params = params(&[(DnType::CommonName, name)]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = match signed_by {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    files.insert(file.into(), certificate.expect("a certificate").pem().into());
    Issuer::new(params, key)
}

fn special(role: &str, kind: Kind) -> CertificateParams {
    let other = if role == "server" { "client" } else { "server" };
    let mut params = leaf(role);
    match kind {
        Kind::Expired => params.not_after = date_time_ymd(2021, 1, 1),
        Kind::Future => params.not_before = date_time_ymd(2048, 1, 1),
        Kind::Wrong => params.extended_key_usages = leaf(other).extended_key_usages,
        Kind::Usageless => {
            params.key_usages.clear();
            params.extended_key_usages.clear();
        }
        Kind::Revoked => params.serial_number = Some(serial(revoked_serial(role))),
        Kind::Leaf => params.distinguished_name = name(&[(DnType::CommonName, "below")]),
        Kind::Long => params.distinguished_name = name(&[(DnType::CommonName, &role.repeat(11))]),
        Kind::Nameless => params.distinguished_name = name(&[(DnType::OrganizationName, role)]),
        Kind::Odd => {
            params.distinguished_name =
                name(&[(DnType::OrganizationName, "Größe, CN=boss"), (DnType::CommonName, "odd + \"name\"")]);
        }
        Kind::Rich => {
            let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
            params.distinguished_name = name(&[
                (DnType::CountryName, "XX"),
                (DnType::StateOrProvinceName, "State"),
                (DnType::LocalityName, "Town"),
                (DnType::OrganizationName, "Org"),
                (DnType::OrganizationalUnitName, "Unit"),
                (DnType::CommonName, role),
                (email, "me@example.net"),
            ]);
        }
        Kind::Other | Kind::Impostor | Kind::Intermediate => {}
    }
    params
}

/// A good certificate of a role.
fn leaf(role: &str) -> CertificateParams {
    let mut params = params(&[(DnType::CommonName, role)]);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match role {
        "server" => ExtendedKeyUsagePurpose::ServerAuth,
        _ => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params
}

fn params(subject: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(subject);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn name(attributes: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in attributes {
        name.push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
    }
    name
}

fn key(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).expect("a key")
}

fn serial(number: u16) -> SerialNumber {
    SerialNumber::from_slice(&number.to_be_bytes())
}

/// Runs `openssl` with these words and gives what it prints.
fn openssl(directory: &Path, arguments: &str) -> String {
    let program = find_program(Path::new("openssl")).expect("no program openssl: apt-get install openssl");
    run(directory, &program, arguments)
}

fn run(directory: &Path, program: &Path, arguments: &str) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments.split_whitespace()).current_dir(directory).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text")
}
