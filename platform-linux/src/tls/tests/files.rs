//! Certificates and keys in all the forms that openvpn's users have them in.

use std::fs;
use std::path::Path;

use longcable_core::options::{KeySource, Word};

use super::pki::{key_of, openssl, openssl_bytes, rsa_key, server_params};
use super::*;
use crate::testing::TempDir;

const PASSWORD: &str = "correct horse";

/// Files of a server with this key, and a client of the same authority to try them with.
struct Site {
    pki: Pki,
    server: Issued,
    directory: TempDir,
}

impl Site {
    fn new(key: KeyPair) -> Self {
        let pki = Pki::new();
        let server = pki.issue(server_params("server"), key);
        let site = Self { pki, server, directory: TempDir::new() };
        site.write("pass", PASSWORD.as_bytes());
        site
    }

    fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn host(&self, password_file: &str) -> HostConfig {
        let mut host = HostConfig::default();
        host.askpass = Some(Some(self.directory.path().join(password_file)));
        host
    }

    #[track_caller]
    fn works(&self, options: TlsOptions<'_>) {
        let client = self.pki.client("client");
        let client = context(super::options(self.pki.ca(), &client));
        let server = load(options, &self.host("pass")).unwrap();
        let (client, server) = Pair::new(&client, &server).run(1000);
        assert_eq!(client.unwrap().unwrap().common_name(), "server");
        assert!(server.unwrap().is_some());
    }
}

fn inline(text: &str) -> Option<KeySource<'_>> {
    Some(KeySource::Inline(text))
}

fn file(path: &str) -> Option<KeySource<'_>> {
    Some(KeySource::File(Word::literal(path)))
}

#[test]
fn keys_are_read_in_every_form_with_and_without_a_password() {
    let pass = format!("pass:{PASSWORD}");
    let wrong = |site: &Site, key: &str| {
        site.write("wrong", b"battery staple");
        let options = TlsOptions { key: inline(key), ..options(site.pki.ca(), &site.server) };
        let error = load(options, &site.host("wrong")).unwrap_err().to_string();
        assert_eq!(
            error,
            "Options error: option 'key': the inline text of 'key': the password is wrong (see 'askpass')"
        );
    };
    let encrypted = |form: &str| form.contains("ENCRYPTED");
    for (key, forms) in [
        (
            rsa_key(2048),
            &[
                &["pkey", "-traditional"][..],
                &["pkey", "-traditional", "-aes256", "-passout", &pass],
                &["pkey", "-traditional", "-aes128", "-passout", &pass],
                &["pkey", "-traditional", "-des3", "-passout", &pass],
                &["pkey", "-aes256", "-passout", &pass],
                &["pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1", "-passout", &pass],
                &["pkcs8", "-topk8", "-v2", "des3", "-passout", &pass],
                &["pkcs8", "-topk8", "-scrypt", "-passout", &pass],
            ][..],
        ),
        (
            key_of(&rcgen::PKCS_ECDSA_P384_SHA384),
            &[&["pkey", "-traditional"][..], &["pkey", "-traditional", "-aes256", "-passout", &pass]],
        ),
        (
            KeyPair::from_pem(&openssl(&["genpkey", "-algorithm", "ED25519"], "")).unwrap(),
            &[&["pkey", "-aes256", "-passout", &pass][..]],
        ),
    ] {
        let site = Site::new(key);
        for form in forms {
            let key = openssl(form, &site.server.key);
            assert!(encrypted(&key) == form.contains(&"-passout"), "{form:?}: {key}");
            site.works(TlsOptions { key: inline(&key), ..options(site.pki.ca(), &site.server) });
            // One file for both, with text around, as many have it.
            let both = site.write("both.pem", format!("Bag Attributes\n{}\ntext\n{key}", site.server.cert).as_bytes());
            site.works(TlsOptions { cert: file(&both), key: file(&both), ..options(site.pki.ca(), &site.server) });
            if encrypted(&key) {
                wrong(&site, &key);
            }
        }
    }
}

#[test]
fn pkcs12_is_read_as_new_and_old_openssl_write_it() {
    let root = Pki::named("Root");
    let issuing = root.intermediate("Issuing");
    let site = Site {
        server: issuing.issue(server_params("server"), rsa_key(2048)),
        ..Site::new(KeyPair::generate().unwrap())
    };
    let site = Site { pki: root, ..site };
    let chain = site.write("chain.pem", format!("{}{}", issuing.ca(), site.pki.ca()).as_bytes());
    let identity = site.write("identity.pem", format!("{}{}", site.server.cert, site.server.key).as_bytes());
    for form in [
        &["-passout", "pass:correct horse"][..],
        &["-passout", "pass:correct horse", "-legacy"],
        &["-passout", "pass:correct horse", "-keypbe", "NONE", "-certpbe", "NONE"],
        &["-passout", "pass:correct horse", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
        &["-passout", "pass:correct horse", "-certpbe", "PBE-SHA1-RC2-128", "-legacy", "-macalg", "sha512"],
        &["-passout", "pass:"],
        &["-passout", "pass:", "-legacy"],
    ] {
        let arguments = [&["pkcs12", "-export", "-in", &identity, "-certfile", &chain, "-name", "a name"][..], form];
        let pkcs12 = openssl_bytes(&arguments.concat(), "");
        let path = site.write("server.p12", &pkcs12);
        site.works(TlsOptions { pkcs12: file(&path), ..TlsOptions::default() });
        let base64 = openssl(&["base64", "-in", &path], "");
        site.works(TlsOptions { pkcs12: inline(&base64), ca: inline(site.pki.ca()), ..TlsOptions::default() });
        if !form.contains(&"pass:") {
            site.write("wrong", b"battery staple");
            let options = TlsOptions { pkcs12: file(&path), ..TlsOptions::default() };
            let error = load(options, &site.host("wrong")).unwrap_err().to_string();
            let expected =
                format!("Options error: option 'pkcs12': the file '{path}': the password is wrong (see 'askpass')");
            assert_eq!(error, expected);
        }
    }
}

#[test]
fn a_file_that_does_not_do_is_named_with_cause_and_remedy() {
    let site = Site::new(key_of(&rcgen::PKCS_ECDSA_P256_SHA256));
    let (ca, cert, key) = (site.pki.ca(), site.server.cert.as_str(), site.server.key.as_str());
    let other = KeyPair::generate().unwrap().serialize_pem();
    let p521 = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], "");
    let broken = cert.replace("MII", "M!I");
    let path = site.write("text", b"nothing\n");
    let plain = || options(ca, &site.server);
    let encrypted = openssl(&["pkey", "-aes256", "-passout", "pass:x"], key);
    let seed = openssl(&["pkey", "-traditional", "-camellia256", "-passout", "pass:x"], key);
    for (options, expected) in [
        (
            TlsOptions { ca: inline(key), ..plain() },
            "option 'ca': the inline text of 'ca': there is no certificate in it but a private key: are the files",
        ),
        (TlsOptions { cert: file("/none"), ..plain() }, "option 'cert': the file '/none': No such file or directory"),
        (TlsOptions { cert: file(&path), ..plain() }, "'cert': the file '{path}': there is no certificate in it"),
        (TlsOptions { cert: inline(&broken), ..plain() }, "option 'cert': the inline text of 'cert': it is damaged"),
        (
            TlsOptions { key: inline(cert), ..plain() },
            "option 'key': the inline text of 'key': there is no private key in it but a certificate: are the files",
        ),
        (
            TlsOptions { key: inline(&other), ..plain() },
            "does not belong to the certificate of the inline text of 'cert'",
        ),
        (TlsOptions { key: inline(&p521), ..plain() }, "this kind of private key is not supported; there are: RSA"),
        (TlsOptions { key: inline(&encrypted), ..plain() }, "option 'askpass': the file '/none/pass': No such file"),
        (TlsOptions { key: inline(&seed), ..plain() }, "option 'askpass'"),
        (TlsOptions { key: None, ..plain() }, "'cert' needs 'key'"),
        (TlsOptions { cert: None, ..plain() }, "'key' needs 'cert'"),
        (TlsOptions { ca: None, ..plain() }, "nothing says whom to trust"),
        (TlsOptions { pkcs12: file(&path), ..plain() }, "it is no PKCS #12 file, or damaged"),
        (TlsOptions { pkcs12: inline("!"), ..plain() }, "it is no Base64"),
    ] {
        let mut host = HostConfig::default();
        host.askpass = Some(Some(Path::new("/none/pass").to_owned()));
        let error = load(options, &host).unwrap_err().to_string();
        let expected = expected.replace("{path}", &path);
        assert!(error.starts_with("Options error: ") && error.contains(&expected), "{error}\n{expected}");
    }
    let options = TlsOptions { key: inline(&seed), ..plain() };
    let error = load(options, &site.host("pass")).unwrap_err().to_string();
    assert!(error.contains("encrypted with 'CAMELLIA-256-CBC,") && error.contains("openssl pkcs8 -topk8"), "{error}");
}
