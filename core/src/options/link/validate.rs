//! What only shows when all options are known.

use core::net::IpAddr;

use super::*;
use crate::crypto::Mode;
use crate::options::error::{Problem, on_a_host};

impl<'a> LinkConfig<'a> {
    /// Whether the options go together and nothing is missing for a link.
    ///
    /// # Errors
    /// What is missing or contradicts itself.
    pub fn validate(&self) -> Result<(), ConfigError<'a>> {
        self.validate_device()?;
        self.validate_keys()?;
        self.validate_socket()?;
        if self.keepalive && self.own_ping {
            return conflict("keepalive", "it sets ping and ping-restart itself; leave those and ping-exit out");
        }
        if self.allow_compression == Some(false) && matches!(self.framing, Framing::Lzo | Framing::Lz4 | Framing::Lz4V2)
        {
            return conflict(
                "allow-compression",
                "'no' forbids the compression that is configured; write 'comp-lzo no' or 'compress stub' at both ends",
            );
        }
        let misfit = |(index, remote): (usize, &Remote<'_>)| match (
            self.connection_of(index).family_of(remote),
            remote.host.parse(),
        ) {
            (Family::V4, Some(address)) => IpAddr::is_ipv6(&address),
            (Family::V6, Some(address)) => IpAddr::is_ipv4(&address),
            _ => false,
        };
        if !self.remotes.is_empty() && self.remotes.iter().enumerate().all(misfit) {
            return conflict("remote", "the address is not of the IP version that 'proto' demands; write 'proto udp'");
        }
        match self.ifconfig {
            Some(Ifconfig { local, remote_or_netmask: remote }) if local == remote => {
                conflict("ifconfig", "both addresses are the same; the second one is the peer's, or a netmask")
            }
            _ => Ok(()),
        }
    }

    /// Whether the tunnel device is well defined; all that is needed to create or remove one.
    ///
    /// # Errors
    /// The device is missing or of no known kind.
    pub fn validate_device(&self) -> Result<(), ConfigError<'a>> {
        let Some(name) = self.dev else {
            return missing("dev", "no tunnel device is configured: add 'dev tun'");
        };
        let known = self.dev_type.is_some() || name == "null" || name.starts_with("tun");
        if known {
            return Ok(());
        }
        if name.starts_with("tap") {
            let problem = Problem::ValueNotYet { value: name, supported: "'dev tun'" };
            return Err(ConfigError { word: 1, ..ConfigError::of("dev", problem) });
        }
        missing("dev", "the device's name does not tell its kind: add 'dev-type tun'")
    }

    /// Whether there are keys, of one kind, and the ciphers can use them.
    ///
    /// # Errors
    /// A key or certificate is missing, or the options that concern them contradict each other.
    pub fn validate_keys(&self) -> Result<(), ConfigError<'a>> {
        match (self.secret, self.role()) {
            (Some(_), Some(_)) => conflict(
                "secret",
                "a link has a static key or TLS: leave 'secret', or 'tls-client' and 'tls-server' out",
            ),
            (Some(_), None) => self.validate_static_key(),
            (None, Some(_)) => self.validate_tls(),
            (None, None) if self.tls_option.is_some() => missing(
                "tls-client",
                "no TLS role is configured: add 'tls-client' at one end and 'tls-server' at the other",
            ),
            (None, None) => missing(
                "secret",
                "no key is configured: TLS ('tls-client' or 'tls-server' with 'ca', 'cert' and 'key') or a static key \
                 ('secret FILE') is required",
            ),
        }?;
        let suite = self.suite();
        if !suite.cipher.accepts_key_len(suite.key_len) {
            return conflict("keysize", "the cipher takes no key of this length; only that of BF-CBC can be chosen");
        }
        Ok(())
    }

    fn validate_static_key(&self) -> Result<(), ConfigError<'a>> {
        if let Some(option) = self.tls_option {
            let why =
                "only a TLS link has it; leave it out, or put 'tls-client' or 'tls-server' in the place of 'secret'";
            return Err(ConfigError::new(option, 0, Problem::Conflict { why: on_a_host(why) }));
        }
        let cipher = self.suite().cipher;
        if !matches!(cipher.mode(), Mode::Cbc | Mode::None) {
            let valid = "a CBC cipher such as AES-256-CBC: with a static key no other mode is legal";
            let problem = Problem::BadValue { value: Word::literal(cipher.name()), valid: on_a_host(valid) };
            return Err(ConfigError { word: 1, ..ConfigError::of("cipher", problem) });
        }
        Ok(())
    }

    fn validate_tls(&self) -> Result<(), ConfigError<'a>> {
        let tls = &self.tls;
        if tls.pkcs12.is_some() {
            let why = "the file of 'pkcs12' has it already; leave one of them out";
            if tls.cert.is_some() {
                return conflict("cert", why);
            }
            if tls.key.is_some() {
                return conflict("key", why);
            }
        } else {
            if tls.ca.is_none() && tls.peer.peer.is_empty() {
                return missing(
                    "ca",
                    "nothing is configured that proves the peer: add 'ca FILE', or 'peer-fingerprint' with the SHA256 of \
                     the peer's certificate",
                );
            }
            if tls.cert.is_none() {
                return missing("cert", "no certificate is configured: add 'cert FILE' (or 'pkcs12 FILE')");
            }
            if tls.key.is_none() {
                return missing("key", "the private key of 'cert' is missing: add 'key FILE' (or 'pkcs12 FILE')");
            }
        }
        if !tls.peer.authority.is_empty() && !tls.peer.peer.is_empty() {
            return conflict("verify-hash", "it does not go with 'peer-fingerprint', which is enough; leave it out");
        }
        if tls.version_min > tls.version_max {
            return conflict("tls-version-min", "it is newer than 'tls-version-max'; leave one of them out");
        }
        let counts_by_id = |cipher: &Cipher| matches!(cipher.mode(), Mode::Aead | Mode::Cfb | Mode::Ofb);
        if !self.packet_ids && tls.data_ciphers.iter().chain(&self.fallback_cipher()).any(counts_by_id) {
            return conflict(
                "no-replay",
                "only CBC ciphers work without packet ids; leave it out (or write 'data-ciphers AES-256-CBC' at both \
                 ends)",
            );
        }
        Ok(())
    }

    fn validate_socket(&self) -> Result<(), ConfigError<'a>> {
        if self.remotes.is_empty() && self.passed_over {
            return missing(
                "remote",
                "No usable connection profiles are present: 'proto-force udp' leaves no 'remote'",
            );
        }
        // A block has been looked at when it ended.
        if self.blocks.is_empty()
            && let Err((option, why)) = self.connection.validate(!self.remotes.is_empty())
        {
            return conflict(option, why);
        }
        let is_here = |(index, remote): (usize, &Remote<'_>)| {
            let connection = self.connection_of(index);
            Some(remote.host) == connection.local && connection.port_of(remote) == connection.local_port
        };
        if self.remotes.iter().enumerate().any(is_here) {
            return conflict("remote", "it is the same address and port as 'local'");
        }
        Ok(())
    }
}

fn conflict<'a>(option: &'static str, why: &'static str) -> Result<(), ConfigError<'a>> {
    Err(ConfigError::of(option, Problem::Conflict { why: on_a_host(why) }))
}

fn missing<'a>(option: &'static str, remedy: &'static str) -> Result<(), ConfigError<'a>> {
    Err(ConfigError::of(option, Problem::Missing { remedy: on_a_host(remedy) }))
}
