//! Who this end is: its certificate and private key; and the authorities that it trusts.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use longcable_core::options::{KeySource, TlsOptions};
use longcable_core::time::UnixTime;
use longcable_core::x509::Certificate;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use zeroize::Zeroizing;

use super::key_file::{self, FileError};
use super::password::Password;
use super::pkcs12;
use crate::config::unreadable;
use crate::failure::Fatal;
use crate::log;

/// The most bytes of a file with certificates and keys.
const SIZE_MAX: u64 = 16 << 20;

/// What this end shows to the peer.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) resolver: Arc<SingleCertAndKey>,
}

/// Reads `ca`, `cert`, `key`, `extra-certs` and `pkcs12`.
pub(super) fn load(
    options: &TlsOptions<'_>,
    password: &mut Password,
) -> Result<(Vec<CertificateDer<'static>>, Option<Identity>), Fatal> {
    let ca = options.ca.as_ref().map(|source| certificates("ca", source)).transpose()?;
    let extra = options.extra_certs.as_ref().map(|source| certificates("extra-certs", source)).transpose()?;
    let extra = extra.unwrap_or_default();
    match (&options.pkcs12, &options.cert, &options.key) {
        (Some(source), _, _) => {
            let at = Place { option: "pkcs12", source };
            let contents = pkcs12_contents(&at, password)?;
            let (leaf, others) = split_leaf(&at, &contents.key, contents.certificates)?;
            // Authorities of the file count only if there are no others.
            let ca = ca.unwrap_or_else(|| others.clone());
            let chain =
                [vec![leaf], others.into_iter().filter(|other| !is_self_issued(other)).collect(), extra].concat();
            Ok((ca.clone(), Some(Identity::new(&at, &at, chain, contents.key, &ca)?)))
        }
        (None, Some(cert), Some(key)) => {
            let ca = ca.unwrap_or_default();
            let (cert_at, key_at) = (Place { option: "cert", source: cert }, Place { option: "key", source: key });
            let chain = [certificates("cert", cert)?, extra].concat();
            let text = key_at.read(true)?;
            let key = key_file::private_key(&text, password).map_err(|error| key_at.because(error))?;
            let identity = Identity::new(&cert_at, &key_at, chain, key, &ca)?;
            Ok((ca, Some(identity)))
        }
        (None, Some(_), None) => Err(Fatal::new("Options error: 'cert' needs 'key', the private key to it")),
        (None, None, Some(_)) => Err(Fatal::new("Options error: 'key' needs 'cert', the certificate to it")),
        (None, None, None) => Ok((ca.unwrap_or_default(), None)),
    }
}

impl Identity {
    fn new(
        cert_at: &Place<'_>,
        key_at: &Place<'_>,
        mut chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        ca: &[CertificateDer<'static>],
    ) -> Result<Self, Fatal> {
        let key = Zeroizing::new(key);
        let signer = any_supported_type(&key).map_err(|_| {
            key_at.error(
                "this kind of private key is not supported; there are: RSA of 2048 to 4096 bits, ECDSA with \
                 prime256v1 (P-256) or secp384r1 (P-384), Ed25519",
            )
        })?;
        let leaf = chain.first().and_then(|leaf| Certificate::parse(leaf).ok());
        let leaf = leaf.ok_or_else(|| cert_at.error("the first certificate in it cannot be read"))?;
        if signer.public_key().is_none_or(|public| *public != *leaf.spki()) {
            return Err(key_at.error(format_args!("the private key does not belong to the certificate of {cert_at}")));
        }
        warn_of_dates(&leaf);
        complete(&mut chain, ca);
        let key = CertifiedKey::new(chain, signer);
        Ok(Self { resolver: Arc::new(SingleCertAndKey::from(key)) })
    }
}

/// The peer will refuse a certificate that is not of this day.
fn warn_of_dates(certificate: &Certificate<'_>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let validity = certificate.validity();
    let (from, to) = (UnixTime(validity.not_before), UnixTime(validity.not_after));
    if now > validity.not_after {
        log::warning(format_args!("WARNING: Your certificate has expired! It was valid until {to}: make a new one"));
    } else if now < validity.not_before {
        let now = UnixTime(now);
        log::warning(format_args!(
            "WARNING: Your certificate is not yet valid! It is from {from} on, and the clock here says {now}"
        ));
    }
}

/// Adds what is between the chain and the authority, as far as it is among the authorities: openvpn's users put it there.
fn complete(chain: &mut Vec<CertificateDer<'static>>, ca: &[CertificateDer<'static>]) {
    const DEPTH_MAX: usize = 8;
    for _ in 0..DEPTH_MAX {
        let Some(last) = chain.last().and_then(|last| Certificate::parse(last).ok()) else { return };
        let is_issuer = |candidate: &&CertificateDer<'static>| {
            Certificate::parse(candidate)
                .is_ok_and(|found| found.subject() == last.issuer() && found.subject() != found.issuer())
        };
        let Some(issuer) = ca.iter().find(is_issuer).filter(|issuer| !chain.contains(issuer)) else { return };
        chain.push(issuer.clone());
    }
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    Certificate::parse(certificate).is_ok_and(|certificate| certificate.subject() == certificate.issuer())
}

fn certificates(option: &'static str, source: &KeySource<'_>) -> Result<Vec<CertificateDer<'static>>, Fatal> {
    let at = Place { option, source };
    key_file::certificates(&at.read(false)?).map_err(|error| at.because(error))
}

fn pkcs12_contents(at: &Place<'_>, password: &mut Password) -> Result<pkcs12::Contents, Fatal> {
    let der = match at.source {
        // The content of the option is the Base64 of the file.
        KeySource::Inline(text) => {
            let pem = pem::parse(format!("-----BEGIN PKCS12-----\n{}\n-----END PKCS12-----\n", text.trim()));
            Zeroizing::new(pem.map_err(|_| at.error("it is no Base64"))?.into_contents())
        }
        KeySource::File(_) => at.read(true)?,
    };
    pkcs12::open(&der, password).map_err(|error| at.because(error))
}

/// The certificate of the key, and the others.
fn split_leaf(
    at: &Place<'_>,
    key: &PrivateKeyDer<'static>,
    mut certificates: Vec<CertificateDer<'static>>,
) -> Result<(CertificateDer<'static>, Vec<CertificateDer<'static>>), Fatal> {
    let public = any_supported_type(key).ok().and_then(|signer| Some(signer.public_key()?.to_vec()));
    let is_leaf = |certificate: &CertificateDer<'_>| {
        Certificate::parse(certificate).is_ok_and(|certificate| Some(certificate.spki()) == public.as_deref())
    };
    // For a key of an unknown kind any will do: it is refused later.
    let leaf = certificates.iter().position(is_leaf).or((public.is_none() && !certificates.is_empty()).then_some(0));
    let leaf = leaf.ok_or_else(|| at.error("there is no certificate in it that belongs to its private key"))?;
    Ok((certificates.remove(leaf), certificates))
}

/// Where something is configured, for messages.
struct Place<'p> {
    option: &'static str,
    source: &'p KeySource<'p>,
}

impl Place<'_> {
    fn read(&self, secret: bool) -> Result<Zeroizing<Vec<u8>>, Fatal> {
        let name = match self.source {
            KeySource::Inline(text) => return Ok(Zeroizing::new(text.as_bytes().to_vec())),
            KeySource::File(name) => name.to_string(),
        };
        let mut content = Zeroizing::new(Vec::new());
        let result = File::open(&name).and_then(|file| {
            let metadata = file.metadata()?;
            if secret && metadata.is_file() && metadata.mode() & 0o077 != 0 {
                log::warning(format_args!("WARNING: file '{name}' is group or others accessible"));
            }
            file.take(SIZE_MAX).read_to_end(&mut content)
        });
        let directory = std::env::current_dir().unwrap_or_default();
        result.map_err(|error| self.error(unreadable(&name, &directory, &error)))?;
        Ok(content)
    }

    fn error(&self, problem: impl fmt::Display) -> Fatal {
        Fatal::of_option(self.option, format_args!("{self}: {problem}"))
    }

    fn because(&self, error: FileError) -> Fatal {
        match error {
            FileError::Content(problem) => self.error(problem),
            FileError::Password(fatal) => fatal,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            KeySource::Inline(_) => write!(f, "the inline text of '{}'", self.option),
            KeySource::File(name) => write!(f, "the file '{name}'"),
        }
    }
}
