//! `--show-ciphers` and `--show-digests`.

use std::io::{self, Write};

use longcable_core::crypto::{Cipher, Digest};

/// Prints the ciphers, one a line as openvpn does, those with short blocks last.
///
/// # Errors
/// `out` cannot be written.
pub fn show_ciphers(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Ciphers for the options 'data-ciphers' and 'cipher', besides 'none':\n")?;
    print_ciphers(out, false)?;
    writeln!(out, "\nThese have blocks of 64 bits, so much traffic under one key leaks plaintext (SWEET32).")?;
    writeln!(out, "They are for old peers only:\n")?;
    print_ciphers(out, true)
}

/// Prints the digests, one a line as openvpn does.
///
/// # Errors
/// `out` cannot be written.
pub fn show_digests(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Digests for the option 'auth', besides 'none':\n")?;
    for digest in Digest::ALL.into_iter().filter(|digest| *digest != Digest::None) {
        writeln!(out, "{} {} bit digest size", digest.name(), digest.tag_len() * 8)?;
    }
    Ok(())
}

fn print_ciphers(out: &mut impl Write, short_blocks: bool) -> io::Result<()> {
    let wanted = |cipher: &Cipher| *cipher != Cipher::None && cipher.is_64_bit_block() == short_blocks;
    for cipher in Cipher::ALL.into_iter().filter(wanted) {
        let key = cipher.key_len() * 8;
        let block = match cipher {
            Cipher::ChaCha20Poly1305 => "stream cipher",
            _ if short_blocks => "64 bit block",
            _ => "128 bit block",
        };
        let limit = if cipher.mode().needs_tls() { ", TLS client/server mode only" } else { "" };
        writeln!(out, "{}  ({key} bit key, {block}{limit})", cipher.name())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_has_its_line_in_openvpns_form() {
        let (mut ciphers, mut digests) = (Vec::new(), Vec::new());
        show_ciphers(&mut ciphers).unwrap();
        show_digests(&mut digests).unwrap();
        let (ciphers, digests) = (String::from_utf8(ciphers).unwrap(), String::from_utf8(digests).unwrap());
        let listed = |text: &str| {
            text.lines().filter(|line| line.contains(" bit key, ") || line.contains(" bit digest")).count()
        };
        assert_eq!(listed(&ciphers), Cipher::ALL.len() - 1);
        assert_eq!(listed(&digests), Digest::ALL.len() - 1);
        assert!(ciphers.contains("\nAES-256-CBC  (256 bit key, 128 bit block)\n"));
        assert!(ciphers.contains("\nAES-128-CFB  (128 bit key, 128 bit block, TLS client/server mode only)\n"));
        assert!(ciphers.contains("\nCHACHA20-POLY1305  (256 bit key, stream cipher, TLS client/server mode only)\n"));
        let short = ciphers.split_once("SWEET32").unwrap().1;
        assert!(short.contains("\nBF-CBC  (128 bit key, 64 bit block)\n"));
        assert!(!short.contains("AES"));
        assert!(digests.contains("\nSHA256 256 bit digest size\n"));
    }
}
