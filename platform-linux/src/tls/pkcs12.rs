//! PKCS #12 files: a private key and certificates under one password.

use cms::content_info::ContentInfo;
use cms::encrypted_data::EncryptedData;
use longcable_core::crypto::{CbcDecrypt as _, Cipher, Digest, Mac as _, Provider, RustCrypto};
use pkcs8::der::asn1::{ContextSpecific, ObjectIdentifier, OctetString};
use pkcs8::der::{Any, Decode, Encode};
use pkcs8::spki::AlgorithmIdentifierOwned;
use pkcs8::{EncryptedPrivateKeyInfo, pkcs5};
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use pkcs12::mac_data::MacData;
use pkcs12::pbe_params::Pkcs12PbeParams;
use pkcs12::pfx::Pfx;
use pkcs12::safe_bag::SafeBag;
use pkcs12::{
    PKCS_12_CERT_BAG_OID, PKCS_12_KEY_BAG_OID, PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC,
    PKCS_12_PBE_WITH_SHAAND128_BIT_RC2_CBC, PKCS_12_PBEWITH_SHAAND40_BIT_RC2_CBC, PKCS_12_PKCS8_KEY_BAG_OID,
};
use rc2::Rc2;
use rc2::cipher::{BlockDecrypt, KeyInit};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::key_file::{FileError, WRONG_PASSWORD, scheme_error, unpadded_len};
use super::password::Password;

/// What is in such a file.
pub(super) struct Contents {
    pub(super) key: PrivateKeyDer<'static>,
    /// In the order of the file.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

/// Opens a file; the password is asked for only if the empty one does not open it.
pub(super) fn open(der: &[u8], password: &mut Password) -> Result<Contents, FileError> {
    let file = Pfx::from_der(der).map_err(|_| unreadable())?;
    let safe = octets(&file.auth_safe)?;
    let mut word = Zeroizing::new(String::new());
    let mac = file.mac_data.ok_or("it has no checksum (MAC); write it anew with 'openssl pkcs12 -export'")?;
    if !mac_is_right(&mac, safe.as_bytes(), &word)? {
        word = password.get().map_err(FileError::Password)?;
        if !mac_is_right(&mac, safe.as_bytes(), &word)? {
            return Err(WRONG_PASSWORD.into());
        }
    }
    let (mut key, mut certificates) = (None, Vec::new());
    for part in Vec::<ContentInfo>::from_der(safe.as_bytes()).map_err(|_| unreadable())? {
        let plain = match part.content_type {
            DATA => Zeroizing::new(octets(&part)?.into_bytes()),
            ENCRYPTED_DATA => decrypt_part(&part, &word)?,
            _ => return Err("it is protected by a certificate instead of a password, which is not supported".into()),
        };
        for bag in Vec::<SafeBag>::from_der(&plain).map_err(|_| unreadable())? {
            match bag.bag_id {
                PKCS_12_CERT_BAG_OID => certificates.extend(certificate(&bag)?),
                PKCS_12_KEY_BAG_OID => key = key.or(Some(PrivatePkcs8KeyDer::from(value(&bag)?).into())),
                PKCS_12_PKCS8_KEY_BAG_OID => key = key.or(Some(shrouded_key(&value(&bag)?, &word)?)),
                _ => {}
            }
        }
    }
    let key = key.ok_or("there is no private key in it")?;
    Ok(Contents { key, certificates })
}

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

fn unreadable() -> FileError {
    "it is no PKCS #12 file, or damaged; write it anew with 'openssl pkcs12 -export'".into()
}

fn unsupported() -> FileError {
    "it is encrypted in a way that is not supported; write it anew with 'openssl pkcs12 -export'".into()
}

fn octets(content: &ContentInfo) -> Result<OctetString, FileError> {
    content.content.decode_as().map_err(|_| unreadable())
}

/// The contents of a bag, out of its tag [0].
fn value(bag: &SafeBag) -> Result<Vec<u8>, FileError> {
    let value = ContextSpecific::<Any>::from_der(&bag.bag_value).map_err(|_| unreadable())?;
    value.value.to_der().map_err(|_| unreadable())
}

fn certificate(bag: &SafeBag) -> Result<Option<CertificateDer<'static>>, FileError> {
    let bag = pkcs12::cert_type::CertBag::from_der(&value(bag)?).map_err(|_| unreadable())?;
    Ok((bag.cert_id == X509_CERTIFICATE).then(|| bag.cert_value.into_bytes().into()))
}

fn shrouded_key(der: &[u8], password: &str) -> Result<PrivateKeyDer<'static>, FileError> {
    /// The same layout as of PKCS #8, for algorithms that the library does not know.
    type Shrouded = pkcs12::pbe_params::EncryptedPrivateKeyInfo;
    if EncryptedPrivateKeyInfo::try_from(der).is_ok() {
        return super::key_file::decrypt_pkcs8(der, password);
    }
    let shrouded = Shrouded::from_der(der).map_err(|_| unreadable())?;
    let key = decrypt(&shrouded.encryption_algorithm, shrouded.encrypted_data.as_bytes(), password)?;
    Ok(PrivatePkcs8KeyDer::from(key.to_vec()).into())
}

fn decrypt_part(part: &ContentInfo, password: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let data: EncryptedData = part.content.decode_as().map_err(|_| unreadable())?;
    let content = data.enc_content_info.encrypted_content.ok_or_else(unreadable)?;
    decrypt(&data.enc_content_info.content_enc_alg, content.as_bytes(), password)
}

fn decrypt(
    algorithm: &AlgorithmIdentifierOwned,
    content: &[u8],
    password: &str,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    if algorithm.oid == PBES2 {
        let scheme = algorithm.to_der().map_err(|_| unreadable())?;
        let scheme = pkcs5::EncryptionScheme::try_from(scheme.as_slice()).map_err(|_| unsupported())?;
        return scheme.decrypt(password, content).map(Zeroizing::new).map_err(|error| scheme_error(&error));
    }
    let params = algorithm.parameters.as_ref().ok_or_else(unreadable)?;
    let params: Pkcs12PbeParams = params.decode_as().map_err(|_| unreadable())?;
    let derive = |purpose, len| {
        derive_key_utf8::<Sha1>(password, params.salt.as_bytes(), purpose, params.iterations, len)
            .map(Zeroizing::new)
            .map_err(|_| unreadable())
    };
    let iv = derive(Pkcs12KeyType::Iv, OLD_BLOCK)?;
    let mut content = Zeroizing::new(content.to_vec());
    if !content.len().is_multiple_of(OLD_BLOCK) {
        return Err(unreadable());
    }
    let key_len = match algorithm.oid {
        PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC => 24,
        PKCS_12_PBE_WITH_SHAAND128_BIT_RC2_CBC => 16,
        PKCS_12_PBEWITH_SHAAND40_BIT_RC2_CBC => 5,
        _ => return Err(unsupported()),
    };
    let key = derive(Pkcs12KeyType::EncryptionKey, key_len)?;
    if algorithm.oid == PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC {
        let cipher = <RustCrypto as Provider>::Decrypt::new(Cipher::DesEde3Cbc, &key).map_err(|_| unsupported())?;
        cipher.decrypt(&mut [(&iv, &mut content)]);
    } else {
        decrypt_rc2(&key, &iv, &mut content)?;
    }
    let len = unpadded_len(&content, OLD_BLOCK).ok_or(WRONG_PASSWORD)?;
    content.truncate(len);
    Ok(content)
}

/// Block length of 3DES and RC2 in bytes.
const OLD_BLOCK: usize = 8;

fn decrypt_rc2(key: &[u8], iv: &[u8], content: &mut [u8]) -> Result<(), FileError> {
    let cipher = Rc2::new_from_slice(key).map_err(|_| unsupported())?;
    let mut before = iv.to_vec();
    for block in content.chunks_exact_mut(OLD_BLOCK) {
        let sealed = block.to_vec();
        cipher.decrypt_block(block.into());
        block.iter_mut().zip(&before).for_each(|(byte, mask)| *byte ^= mask);
        before = sealed;
    }
    Ok(())
}

fn mac_is_right(mac: &MacData, safe: &[u8], password: &str) -> Result<bool, FileError> {
    let (salt, rounds) = (mac.mac_salt.as_bytes(), mac.iterations);
    let purpose = Pkcs12KeyType::Mac;
    let (digest, key) = match mac.mac.algorithm.oid {
        SHA1 => (Digest::Sha1, derive_key_utf8::<Sha1>(password, salt, purpose, rounds, 20)),
        SHA256 => (Digest::Sha256, derive_key_utf8::<Sha256>(password, salt, purpose, rounds, 32)),
        SHA384 => (Digest::Sha384, derive_key_utf8::<Sha384>(password, salt, purpose, rounds, 48)),
        SHA512 => (Digest::Sha512, derive_key_utf8::<Sha512>(password, salt, purpose, rounds, 64)),
        _ => return Err(unsupported()),
    };
    let key = Zeroizing::new(key.map_err(|_| unreadable())?);
    let hmac = <RustCrypto as Provider>::Mac::new(digest, &key).map_err(|_| unsupported())?;
    Ok(hmac.verify(&[safe], mac.mac.digest.as_bytes()))
}
