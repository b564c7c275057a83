//! `--genkey secret FILE`.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use longcable_core::crypto::StaticKey;
use zeroize::Zeroizing;

use crate::crypto::FastRng;

/// Only the owner may read and write a key.
const MODE: u32 = 0o600;

/// Makes a new static key and writes it to `path`, or to standard output.
///
/// A file that exists is overwritten, as openvpn does; its mode becomes 0600 before the key is in it.
///
/// # Errors
/// The file cannot be written; the message names it.
pub fn genkey(path: Option<&Path>) -> io::Result<()> {
    let mut text = Zeroizing::new(String::new());
    StaticKey::generate(&mut FastRng::new()).write_to(&mut *text).map_err(io::Error::other)?;
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
        file.set_permissions(Permissions::from_mode(MODE))?;
        file.set_len(0)?;
    }
    file.write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_private_even_if_it_was_not_before() {
        let path = std::env::temp_dir().join(format!("longcable-genkey-{}", std::process::id()));
        std::fs::write(&path, "x".repeat(2000)).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut texts = Vec::new();
        for _ in 0..2 {
            genkey(Some(&path)).unwrap();
            texts.push(std::fs::read_to_string(&path).unwrap());
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        }
        std::fs::remove_file(&path).unwrap();
        for text in &texts {
            assert!(StaticKey::parse(text).is_ok(), "{text}");
            assert_eq!(text.len(), 636);
        }
        assert_ne!(texts[0], texts[1]);
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
