//! `--genkey`.

use std::fmt::{self, Display};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use longcable_core::crypto::StaticKey;
use longcable_core::crypto::tls_crypt_v2::{Metadata, ServerKey};
use zeroize::Zeroizing;

use crate::crypto::FastRng;

/// Only the owner may read and write a key.
const MODE: u32 = 0o600;

/// Makes a new static key (`secret`, `tls-auth`, `tls-crypt`) and writes it to `path`, or to standard output.
///
/// A key file that exists is overwritten, as openvpn does, any other file is not; its mode becomes 0600 before the key is
/// in it. So for all keys.
///
/// # Errors
/// The file cannot be written; the message names it.
pub fn genkey(path: Option<&Path>) -> io::Result<()> {
    write_key(path, |text| StaticKey::generate(&mut FastRng::new()).write_to(text))
}

/// Makes a new key of a tls-crypt-v2 server.
///
/// # Errors
/// The file cannot be written; the message names it.
pub fn genkey_tls_crypt_v2_server(path: Option<&Path>) -> io::Result<()> {
    write_key(path, |text| ServerKey::generate(&mut FastRng::new()).write_to(text))
}

/// Makes a new key of a tls-crypt-v2 client from the text of the server's key. `metadata` is what the server's script is
/// told, in Base64; without it the key says when it was made.
///
/// # Errors
/// The server's key or the metadata cannot be read, or the file cannot be written; the message says which.
pub fn genkey_tls_crypt_v2_client(server_key: &str, metadata: Option<&str>, path: Option<&Path>) -> io::Result<()> {
    let options_error = |option: &str, problem: &dyn Display| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("Options error: option '{option}': {problem}"))
    };
    let server_key = ServerKey::parse(server_key).map_err(|error| options_error("tls-crypt-v2", &error))?;
    let metadata = match metadata {
        Some(text) => Metadata::user(text).map_err(|error| options_error("genkey", &error))?,
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Metadata::timestamp(now.as_secs())
        }
    };
    let key = server_key.issue(&mut FastRng::new(), &metadata);
    let key = key.map_err(|_| io::Error::other("the key cannot be made: there is no SHA-256"))?;
    write_key(path, |text| key.write_to(text))
}

fn write_key(path: Option<&Path>, write: impl FnOnce(&mut String) -> fmt::Result) -> io::Result<()> {
    // Room for the longest, so that no copy of it stays behind in memory.
    let mut text = Zeroizing::new(String::with_capacity(4096));
    write(&mut text).map_err(io::Error::other)?;
    match path {
        Some(path) => write_private(path, text.as_bytes()).map_err(|error| {
            io::Error::new(error.kind(), format!("Cannot write the key file '{}': {error}", path.display()))
        }),
        None => io::stdout().write_all(text.as_bytes()),
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(false).mode(MODE).open(path)?;
    // A pipe or terminal, as in `--genkey secret /dev/stdout`, keeps its mode.
    if file.metadata()?.is_file() {
        if !is_key_or_empty(path)? {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is there already and is no OpenVPN key: remove it, or name another file",
            ));
        }
        file.set_permissions(Permissions::from_mode(MODE))?;
        file.set_len(0)?;
    }
    file.write_all(content)
}

/// Whether a file is empty or one of those that `--genkey` writes.
fn is_key_or_empty(path: &Path) -> io::Result<bool> {
    const HEADER: &[u8] = b"-----BEGIN OpenVPN ";
    // Before the header there are a few lines of comment at most.
    let mut head = Zeroizing::new([0; 1024]);
    let mut file = File::open(path)?;
    let mut len = 0;
    while let Some(rest) = head.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            count => len += count,
        }
    }
    Ok(len == 0 || head.windows(HEADER.len()).any(|part| part == HEADER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use longcable_core::crypto::tls_crypt_v2::ClientKey;

    #[test]
    fn a_key_file_is_private_even_if_it_was_not_before() {
        let directory = TempDir::new();
        let path = directory.path().join("static.key");
        std::fs::write(&path, "-----BEGIN OpenVPN Static key V1-----\n".to_owned() + &"x".repeat(2000)).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut texts = Vec::new();
        for _ in 0..2 {
            genkey(Some(&path)).unwrap();
            texts.push(std::fs::read_to_string(&path).unwrap());
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        }
        for text in &texts {
            assert!(StaticKey::parse(text).is_ok(), "{text}");
            assert_eq!(text.len(), 636);
        }
        assert_ne!(texts[0], texts[1]);
    }

    #[test]
    fn what_is_no_key_is_not_overwritten() {
        let directory = TempDir::new();
        let path = directory.path().join("home.key");
        for content in ["-----BEGIN PRIVATE KEY-----\n", "dev tun\n"] {
            std::fs::write(&path, content).unwrap();
            let error = genkey(Some(&path)).unwrap_err().to_string();
            assert!(
                error.ends_with("it is there already and is no OpenVPN key: remove it, or name another file"),
                "{error}"
            );
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        std::fs::write(&path, "").unwrap();
        genkey(Some(&path)).unwrap();
    }

    #[test]
    fn a_client_key_is_one_that_its_server_unwraps() {
        let directory = TempDir::new();
        let (server, client) = (directory.path().join("server.key"), directory.path().join("client.key"));
        genkey_tls_crypt_v2_server(Some(&server)).unwrap();
        let server_text = std::fs::read_to_string(&server).unwrap();
        let server_key = ServerKey::parse(&server_text).unwrap();
        for metadata in [None, Some("bWU=")] {
            genkey_tls_crypt_v2_client(&server_text, metadata, Some(&client)).unwrap();
            assert_eq!(std::fs::metadata(&client).unwrap().permissions().mode() & 0o777, MODE);
            let key = ClientKey::parse(&std::fs::read_to_string(&client).unwrap()).unwrap();
            let (unwrapped, noted) = server_key.unwrap(key.wrapped()).unwrap();
            assert_eq!(*unwrapped.to_bytes(), *key.key().to_bytes());
            match metadata {
                None => assert!(noted.time().is_some_and(|time| time > 1_700_000_000)),
                Some(_) => assert_eq!(noted.data(), b"me"),
            }
        }
        let error = genkey_tls_crypt_v2_client("text", None, None).unwrap_err().to_string();
        assert!(error.starts_with("Options error: option 'tls-crypt-v2': no line is"), "{error}");
        let error = genkey_tls_crypt_v2_client(&server_text, Some("%"), None).unwrap_err().to_string();
        assert!(error.starts_with("Options error: option 'genkey': the metadata is not base64"), "{error}");
    }

    #[test]
    fn the_message_names_the_file() {
        let error = genkey(Some(Path::new("/nonexistent/static.key"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Cannot write the key file '/nonexistent/static.key': No such file or directory (os error 2)"
        );
    }
}
