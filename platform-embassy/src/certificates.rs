//! Certificates and keys, from the text of the configuration to memory that lasts.

use heapless::Vec;
use longcable_core::options::{KeySource, LinkConfig, RevocationList};

use crate::start::StartError;
use crate::tls::{CredentialError, Credentials, Identity, Memory, PrivateKey, decode_pem};

/// The certificates of `ca`.
const ROOTS: usize = 4;
/// The lists of `crl-verify`.
const LISTS: usize = 2;
/// All of these and the certificate of `cert`, in bytes of DER.
const DER_LEN: usize = 4096;

/// What TLS needs of the memory of a link.
pub(crate) struct TlsMemory {
    session: Memory,
    der: [u8; DER_LEN],
    roots: Vec<&'static [u8], ROOTS>,
    lists: Vec<&'static [u8], LISTS>,
    key: Vec<PrivateKey, 1>,
}

impl TlsMemory {
    pub(crate) const fn new() -> Self {
        Self { session: Memory::new(), der: [0; DER_LEN], roots: Vec::new(), lists: Vec::new(), key: Vec::new() }
    }

    /// Reads what the configuration has. Returns the memory of a session as well.
    pub(crate) fn load(
        &'static mut self,
        config: &'static LinkConfig<'static>,
    ) -> Result<(&'static Memory, Credentials<'static>), StartError> {
        let Self { session, der, roots, lists, key } = self;
        let mut memory = der.as_mut_slice();
        let options = &config.tls;
        if let Some(text) = inline("ca", options.ca)? {
            *roots = decode_pem(text, CERTIFICATE, &mut memory).map_err(of("ca"))?;
        }
        if let Some(RevocationList::List(source)) = options.crl
            && let Some(text) = inline("crl-verify", Some(source))?
        {
            *lists = decode_pem(text, "X509 CRL", &mut memory).map_err(of("crl-verify"))?;
        }
        let identity = match (inline("cert", options.cert)?, inline("key", options.key)?) {
            (Some(own), Some(private)) => {
                let own = decode_pem::<1>(own, CERTIFICATE, &mut memory).map_err(of("cert"))?;
                // There is room for one.
                let _ = key.push(PrivateKey::parse(private.as_bytes()).map_err(of("key"))?);
                own.first().copied().zip(key.first())
            }
            _ => None,
        };
        let identity = identity.map(|(own, key)| Identity::new(own, key)).transpose().map_err(of("cert"))?;
        let rules = &options.peer;
        Ok((session, Credentials { roots, crls: lists, identity, rules, profile: options.profile }))
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
