//! What TLS offers: `--show-tls`, `--show-groups` and `--show-curves`.

use std::io::{self, Write};

use crate::tls::settings::{GROUPS, TLS12_SUITES, TLS13_SUITES};

/// Prints the cipher suites as the options `tls-ciphersuites` and `tls-cipher` take them.
///
/// # Errors
/// Those of `out`.
pub fn show_tls(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Available TLS Ciphers, listed in order of preference:\n")?;
    writeln!(out, "For TLS 1.3 and newer (--tls-ciphersuites):\n")?;
    for (name, _) in TLS13_SUITES {
        writeln!(out, "{name}")?;
    }
    writeln!(out, "\nFor TLS 1.2 and older (--tls-cipher):\n")?;
    for (name, _, _) in TLS12_SUITES {
        writeln!(out, "{name}")?;
    }
    Ok(())
}

/// Prints the groups as the option `tls-groups` takes them.
///
/// # Errors
/// Those of `out`.
pub fn show_groups(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Available Elliptic curves/groups:")?;
    for (names, _) in GROUPS {
        writeln!(out, "{}", names.join(", also "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_openvpns_form() {
        let (mut suites, mut groups) = (Vec::new(), Vec::new());
        show_tls(&mut suites).unwrap();
        show_groups(&mut groups).unwrap();
        let (suites, groups) = (String::from_utf8(suites).unwrap(), String::from_utf8(groups).unwrap());
        let (tls13, tls12) = suites.split_once("\nFor TLS 1.2 and older (--tls-cipher):\n\n").unwrap();
        assert!(tls13.ends_with("\n\nTLS_AES_256_GCM_SHA384\nTLS_CHACHA20_POLY1305_SHA256\nTLS_AES_128_GCM_SHA256\n"));
        assert!(tls12.starts_with("TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384\n"));
        assert!(groups.contains("\nprime256v1, also secp256r1, also P-256\n"));
    }
}
