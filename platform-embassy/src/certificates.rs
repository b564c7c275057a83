//! Certificates and keys, from the text of the configuration to memory that lasts.

use heapless::Vec;
use longcable_core::options::{KeySource, LinkConfig, RevocationList};

use crate::platform::SESSIONS;
use crate::start::StartError;
use crate::tls::{CredentialError, Credentials, Identity, Memory, PrivateKey, decode_pem};

/// The certificates of `ca`, and their bytes of DER.
const ROOTS: usize = 4;
const ROOTS_LEN: usize = 3072;
/// The certificate of `cert`, in bytes of DER.
const OWN_LEN: usize = 1024;
/// The lists of `crl-verify`, and their bytes of DER.
const LISTS: usize = 2;
const LISTS_LEN: usize = 1024;

/// What TLS needs of the memory of a link.
pub(crate) struct TlsMemory {
    pub(crate) sessions: [Memory; SESSIONS],
    roots_der: [u8; ROOTS_LEN],
    own_der: [u8; OWN_LEN],
    lists_der: [u8; LISTS_LEN],
    roots: Vec<&'static [u8], ROOTS>,
    lists: Vec<&'static [u8], LISTS>,
    key: Vec<PrivateKey, 1>,
}

impl TlsMemory {
    pub(crate) const fn new() -> Self {
        Self {
            sessions: [const { Memory::new() }; SESSIONS],
            roots_der: [0; ROOTS_LEN],
            own_der: [0; OWN_LEN],
            lists_der: [0; LISTS_LEN],
            roots: Vec::new(),
            lists: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Reads what the configuration has. Returns the memory of the sessions as well.
    pub(crate) fn load(
        &'static mut self,
        config: &'static LinkConfig<'static>,
    ) -> Result<(&'static [Memory; SESSIONS], Credentials<'static>), StartError> {
        let Self { sessions, roots_der, own_der, lists_der, roots, lists, key } = self;
        let options = &config.tls;
        if let Some(text) = inline("ca", options.ca)? {
            *roots = decode_pem(text, CERTIFICATE, roots_der).map_err(of("ca"))?;
        }
        if let Some(RevocationList::List(source)) = options.crl
            && let Some(text) = inline("crl-verify", Some(source))?
        {
            *lists = decode_pem(text, "X509 CRL", lists_der).map_err(of("crl-verify"))?;
        }
        let identity = match (inline("cert", options.cert)?, inline("key", options.key)?) {
            (Some(own), Some(private)) => {
                let own = decode_pem::<1>(own, CERTIFICATE, own_der).map_err(of("cert"))?;
                // There is room for one.
                let _ = key.push(PrivateKey::parse(private.as_bytes()).map_err(of("key"))?);
                own.first().copied().zip(key.first())
            }
            _ => None,
        };
        let identity = identity.map(|(own, key)| Identity::new(own, key)).transpose().map_err(of("cert"))?;
        let rules = &options.peer;
        Ok((sessions, Credentials { roots, crls: lists, identity, rules, profile: options.profile }))
    }
}

const CERTIFICATE: &str = "CERTIFICATE";

fn of(option: &'static str) -> impl Fn(CredentialError) -> StartError {
    move |error| StartError::Credential(option, error)
}

/// The text of a key or certificate, which a board has nowhere else than in its configuration.
pub(crate) fn inline(
    option: &'static str,
    source: Option<KeySource<'static>>,
) -> Result<Option<&'static str>, StartError> {
    match source {
        Some(KeySource::Inline(text)) => Ok(Some(text)),
        Some(KeySource::File(_)) => Err(StartError::NotInline(option)),
        None => Ok(None),
    }
}
