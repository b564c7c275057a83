//! Certificates and keys as they stand in configurations.

use std::io::Write as _;
use std::process::{Command, Stdio};

use longcable_embassy::tls::{self, CredentialError, PrivateKey, decode_pem};

use crate::pki::{ED25519, Identity, P256};

/// What `openssl` makes of this input.
pub(crate) fn openssl(arguments: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need the program 'openssl': install the package of that name");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments}");
    output.stdout
}

#[test]
fn keys_in_all_their_forms() {
    let parsed = |key: &[u8]| PrivateKey::parse(key).map(|key| matches!(key, PrivateKey::P256(_)));
    for pem in [
        openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", b""),
        openssl("ecparam -name prime256v1 -genkey -noout", b""),
        // The parameters stand in a block of their own.
        openssl("ecparam -name prime256v1 -genkey", b""),
    ] {
        assert_eq!(parsed(&pem), Ok(true));
        assert_eq!(parsed(&openssl("pkey -outform DER", &pem)), Ok(true));
        assert_eq!(parsed(&openssl("ec -outform DER", &pem)), Ok(true));
        let crlf = String::from_utf8(pem).unwrap().replace('\n', "\r\n");
        assert_eq!(parsed(crlf.as_bytes()), Ok(true));
    }
    let pem = openssl("genpkey -algorithm ED25519", b"");
    assert_eq!(parsed(&pem), Ok(false));
    assert_eq!(parsed(&openssl("pkey -outform DER", &pem)), Ok(false));
}

#[test]
fn keys_that_cannot_be_used() {
    let error = |key: &[u8]| PrivateKey::parse(key).unwrap_err();
    for rsa in ["genrsa 2048", "genrsa -traditional 2048"] {
        assert_eq!(error(&openssl(rsa, b"")), CredentialError::Key);
    }
    assert_eq!(error(&openssl("ecparam -name secp384r1 -genkey -noout", b"")), CredentialError::Key);
    let plain = openssl("ecparam -name prime256v1 -genkey -noout", b"");
    assert_eq!(error(&openssl("pkey -aes256 -passout pass:secret", &plain)), CredentialError::Encrypted);
    assert_eq!(error(&openssl("ec -aes256 -passout pass:secret", &plain)), CredentialError::Encrypted);
    assert_eq!(error(b""), CredentialError::Key);
    assert_eq!(error(b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----"), CredentialError::Pem);
}

#[test]
fn a_key_belongs_to_one_certificate() {
    let all = [P256, P256, ED25519, ED25519].map(|algorithm| Identity::authority("own", algorithm));
    let keys = [0, 1, 2, 3].map(|index: usize| all[index].private_key());
    for (index, identity) in all.iter().enumerate() {
        for (other, key) in keys.iter().enumerate() {
            let expected = if index == other { Ok(()) } else { Err(CredentialError::Mismatch) };
            assert_eq!(tls::Identity::new(&identity.der, key).map(drop), expected, "{index} {other}");
        }
        let error = tls::Identity::new(&identity.der[1..], &keys[index]).unwrap_err();
        assert_eq!(error, CredentialError::Certificate);
    }
    let rsa = openssl("req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=rsa -outform DER", b"");
    assert_eq!(tls::Identity::new(&rsa, &keys[0]).unwrap_err(), CredentialError::Mismatch);
    assert!(CredentialError::Mismatch.to_string().contains("does not belong to the certificate"));
}

#[test]
fn certificates_among_other_text() {
    let (first, second) = (Identity::authority("first", P256), Identity::authority("second", ED25519));
    let pem = |identity: &Identity| String::from_utf8(openssl("x509 -inform DER", &identity.der)).unwrap();
    let text = format!(
        "Certificate:\r\n  Data: 1 (0x0)\n{}\nbetween{}{}",
        pem(&first),
        String::from_utf8(openssl("genpkey -algorithm ED25519", b"")).unwrap(),
        pem(&second).replace('\n', "\r\n").trim_end(),
    );
    let mut memory = [0; 2048];
    let found = decode_pem::<4>(&text, "CERTIFICATE", &mut memory.as_mut_slice()).unwrap();
    assert_eq!(found, [&first.der[..], &second.der]);

    let mut memory = vec![0; first.der.len() + second.der.len()];
    assert_eq!(decode_pem::<2>(&text, "CERTIFICATE", &mut memory.as_mut_slice()).unwrap().len(), 2);
    assert_eq!(decode_pem::<1>(&text, "CERTIFICATE", &mut memory.as_mut_slice()).unwrap_err(), CredentialError::Memory);
    memory.pop();
    assert_eq!(decode_pem::<2>(&text, "CERTIFICATE", &mut memory.as_mut_slice()).unwrap_err(), CredentialError::Memory);
    assert_eq!(decode_pem::<2>(&text, "X509 CRL", &mut memory.as_mut_slice()).unwrap_err(), CredentialError::Pem);
    let damaged = text.replace("MII", "M?I");
    assert_eq!(
        decode_pem::<2>(&damaged, "CERTIFICATE", &mut [0; 2048].as_mut_slice()).unwrap_err(),
        CredentialError::Pem
    );
}
