//! PEM files: certificates, and private keys with or without a password.

use longcable_core::crypto::{CbcDecrypt, Cipher, Provider, RustCrypto};
use md5::{Digest, Md5};
use pem::Pem;
use pkcs8::der::{Decode, asn1::AnyRef};
use pkcs8::{EncryptedPrivateKeyInfo, pkcs5};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::{Zeroize, Zeroizing};

use super::password::Password;
use crate::failure::Fatal;

/// Why a file does not give what it should.
#[derive(Debug)]
pub(super) enum FileError {
    /// What is wrong with it, and what to do.
    Content(String),
    /// There is no password to open it with.
    Password(Fatal),
}

impl From<&str> for FileError {
    fn from(problem: &str) -> Self {
        Self::Content(problem.to_owned())
    }
}

/// The password does not open it.
pub(super) const WRONG_PASSWORD: &str = "the password is wrong (see 'askpass')";

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// All certificates in a text.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let sections = sections(text)?;
    let is_key = |section: &Pem| section.tag().ends_with("PRIVATE KEY");
    if !sections.is_empty() && sections.iter().all(is_key) {
        return Err(
            "there is no certificate in it but a private key: are the files of 'cert' and 'key' swapped?".into()
        );
    }
    let found: Vec<_> = sections
        .into_iter()
        .filter(|section| ["CERTIFICATE", "X509 CERTIFICATE"].contains(&section.tag()))
        .map(|section| CertificateDer::from(section.into_contents()))
        .collect();
    match found.is_empty() {
        true => Err("there is no certificate in it; it needs '-----BEGIN CERTIFICATE-----' (PEM)".into()),
        false => Ok(found),
    }
}

/// The first private key in a text.
pub(super) fn private_key(text: &[u8], password: &mut Password) -> Result<PrivateKeyDer<'static>, FileError> {
    for section in sections(text)? {
        let encrypted = section.headers().get("DEK-Info").map(str::to_owned);
        let kind = section.tag().to_owned();
        let mut content = Zeroizing::new(section.into_contents());
        if let Some(algorithm) = encrypted {
            content = decrypt_traditional(&content, &algorithm, &password.get().map_err(FileError::Password)?)?;
        }
        let content = std::mem::take(&mut *content);
        return Ok(match kind.as_str() {
            "PRIVATE KEY" => PrivatePkcs8KeyDer::from(content).into(),
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(content).into(),
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(content).into(),
            "ENCRYPTED PRIVATE KEY" => decrypt_pkcs8(&content, &password.get().map_err(FileError::Password)?)?,
            "DSA PRIVATE KEY" => return Err("it holds a DSA key, which TLS no longer uses".into()),
            _ => {
                Zeroizing::new(content).zeroize();
                continue;
            }
        });
    }
    if text.windows(CERTIFICATE.len()).any(|part| part == CERTIFICATE) {
        return Err(
            "there is no private key in it but a certificate: are the files of 'cert' and 'key' swapped?".into()
        );
    }
    Err("there is no private key in it; it needs '-----BEGIN PRIVATE KEY-----' (PEM)".into())
}

fn sections(text: &[u8]) -> Result<Vec<Pem>, FileError> {
    pem::parse_many(text).map_err(|error| FileError::Content(format!("it is damaged: {error}")))
}

/// PKCS #8 with a password, which is also how PKCS #12 keeps keys.
pub(super) fn decrypt_pkcs8(der: &[u8], password: &str) -> Result<PrivateKeyDer<'static>, FileError> {
    let unreadable = |_| FileError::from("the encrypted private key cannot be read");
    let key = EncryptedPrivateKeyInfo::try_from(der).map_err(unreadable)?;
    match key.decrypt(password) {
        Ok(key) => Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into()),
        Err(pkcs8::Error::EncryptedPrivateKey(error)) => Err(scheme_error(&error)),
        // What came out is no key.
        Err(_) => Err(WRONG_PASSWORD.into()),
    }
}

/// What the library says of encryption with a password.
pub(super) fn scheme_error(error: &pkcs5::Error) -> FileError {
    match error {
        // It calls wrong padding a failure to encrypt.
        pkcs5::Error::DecryptFailed | pkcs5::Error::EncryptFailed => WRONG_PASSWORD.into(),
        _ => "it is encrypted in a way that is not supported; convert it with 'openssl pkcs8 -topk8 -v2 aes-256-cbc'"
            .into(),
    }
}

/// What OpenSSL wrote before PKCS #8: `algorithm` is as in `AES-256-CBC,0011...`.
fn decrypt_traditional(content: &[u8], algorithm: &str, password: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let unsupported = || {
        FileError::Content(format!(
            "it is encrypted with '{algorithm}', which is not supported; convert it with 'openssl pkcs8 -topk8'"
        ))
    };
    let (name, iv) = algorithm.split_once(',').ok_or_else(unsupported)?;
    let cipher = match name.trim() {
        "AES-128-CBC" => Cipher::Aes128Cbc,
        "AES-192-CBC" => Cipher::Aes192Cbc,
        "AES-256-CBC" => Cipher::Aes256Cbc,
        "DES-EDE3-CBC" => Cipher::DesEde3Cbc,
        _ => return Err(unsupported()),
    };
    let iv = hex(iv.trim()).filter(|iv| iv.len() == cipher.block_len()).ok_or_else(unsupported)?;
    let salt = iv.get(..8).ok_or_else(unsupported)?;
    let mut content = Zeroizing::new(content.to_vec());
    if content.is_empty() || !content.len().is_multiple_of(cipher.block_len()) {
        return Err("it is damaged: the encrypted key has no whole blocks".into());
    }
    let key = derive_key(password, salt, cipher.key_len());
    let cipher = <RustCrypto as Provider>::Decrypt::new(cipher, &key).map_err(|_| unsupported())?;
    cipher.decrypt(&mut [(&iv, &mut content)]);
    let len = unpadded_len(&content, iv.len()).ok_or(WRONG_PASSWORD)?;
    content[len..].zeroize();
    content.truncate(len);
    // One wrong password in 256 leaves what looks like padding, but nothing that is one value from end to end.
    AnyRef::from_der(&content).map_err(|_| WRONG_PASSWORD)?;
    Ok(content)
}

/// OpenSSL's key of a password for such files: MD5 of what came before, the password and the salt.
fn derive_key(password: &str, salt: &[u8], len: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(len + 16));
    let mut last: Zeroizing<[u8; 16]> = Zeroizing::default();
    while key.len() < len {
        let mut digest = Md5::new();
        if !key.is_empty() {
            digest.update(*last);
        }
        digest.update(password);
        digest.update(salt);
        *last = digest.finalize().into();
        key.extend_from_slice(&*last);
    }
    key.truncate(len);
    key
}

/// Length without the padding of CBC mode; `None` if there is none.
pub(super) fn unpadded_len(plain: &[u8], block: usize) -> Option<usize> {
    let count = usize::from(*plain.last()?);
    let len = plain.len().checked_sub(count)?;
    let padding = plain.get(len..)?;
    ((1..=block).contains(&count) && padding.iter().all(|byte| usize::from(*byte) == count)).then_some(len)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_password_is_called_wrong_however_the_padding_falls() {
        // Not the ciphertext of anything: whatever the password, it is wrong, and about ten of these leave padding.
        let content: Vec<u8> = (0..=u8::MAX).cycle().take(608).collect();
        for password in 0..2560 {
            let plain =
                decrypt_traditional(&content, "AES-128-CBC,00112233445566778899AABBCCDDEEFF", &password.to_string());
            assert!(matches!(plain, Err(FileError::Content(problem)) if problem == WRONG_PASSWORD), "{password}");
        }
    }
}
