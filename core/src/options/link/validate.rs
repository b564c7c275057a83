//! What only shows when all options are known.

use core::net::IpAddr;

use super::*;
use crate::options::error::Problem;

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
        let misfit = |remote: &Remote<'_>| match (remote.family.unwrap_or(self.family), remote.host.parse()) {
            (Family::V4, Some(address)) => IpAddr::is_ipv6(&address),
            (Family::V6, Some(address)) => IpAddr::is_ipv4(&address),
            _ => false,
        };
        if !self.remotes.is_empty() && self.remotes.iter().all(misfit) {
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
        let known = self.dev_type.is_some() || name == "null" || name.chars().take(3).eq("tun".chars());
        if known {
            return Ok(());
        }
        if name.chars().take(3).eq("tap".chars()) {
            let problem = Problem::ValueNotYet { value: name, supported: "'dev tun'" };
            return Err(ConfigError { word: 1, ..ConfigError::of("dev", problem) });
        }
        missing("dev", "the device's name does not tell its kind: add 'dev-type tun'")
    }

    /// Whether there is a key and it can have the length that `keysize` wants.
    ///
    /// # Errors
    /// The key is missing or the cipher takes no such key.
    pub fn validate_keys(&self) -> Result<(), ConfigError<'a>> {
        if self.secret.is_none() {
            return missing(
                "secret",
                "no key is configured: a static key ('secret FILE') or TLS is required, and TLS is not supported yet",
            );
        }
        let suite = self.suite();
        if !suite.cipher.accepts_key_len(suite.key_len) {
            return conflict("keysize", "the cipher takes no key of this length; only that of BF-CBC can be chosen");
        }
        Ok(())
    }

    fn validate_socket(&self) -> Result<(), ConfigError<'a>> {
        if !self.bind {
            match (self.local, self.own_local_port, self.remotes.is_empty()) {
                (Some(_), ..) => return conflict("nobind", "it does not go with 'local'; leave one of them out"),
                (_, true, _) => return conflict("nobind", "it does not go with 'lport'; leave one of them out"),
                (.., true) => return conflict("nobind", "nobody could find this end: add 'remote', or leave it out"),
                _ => {}
            }
        }
        let is_here = |remote: &Remote<'_>| {
            Some(remote.host) == self.local && remote.port.unwrap_or(self.remote_port) == self.local_port
        };
        if self.remotes.iter().any(is_here) {
            return conflict("remote", "it is the same address and port as 'local'");
        }
        Ok(())
    }
}

fn conflict<'a>(option: &'static str, why: &'static str) -> Result<(), ConfigError<'a>> {
    Err(ConfigError::of(option, Problem::Conflict { why }))
}

fn missing<'a>(option: &'static str, remedy: &'static str) -> Result<(), ConfigError<'a>> {
    Err(ConfigError::of(option, Problem::Missing { remedy }))
}
