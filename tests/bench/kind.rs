//! The kinds of links that are measured.

use std::net::Ipv4Addr;

use longcable_tests::support::pki;

/// What protects a link, and the config lines that both ends have in common.
pub(crate) struct Kind {
    pub(crate) protection: Protection,
    pub(crate) config: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// A key that both ends share, in `static.key`.
    Static,
    /// Certificates with P-256 keys; A is the client, B the server.
    Tls,
}

/// One end of the cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    A,
    B,
}

impl Protection {
    /// As it is called in the record.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Tls => "tls",
        }
    }
}

impl End {
    /// Its address on the cable.
    pub(crate) fn outer(self) -> Ipv4Addr {
        match self {
            Self::A => Ipv4Addr::new(192, 0, 2, 1),
            Self::B => Ipv4Addr::new(192, 0, 2, 2),
        }
    }

    /// Its address in the tunnel.
    pub(crate) fn inner(self) -> Ipv4Addr {
        match self {
            Self::A => Ipv4Addr::new(10, 1, 0, 1),
            Self::B => Ipv4Addr::new(10, 1, 0, 2),
        }
    }

    /// Name of its config and its log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// Name of its device on the cable.
    pub(crate) fn device(self) -> &'static str {
        match self {
            Self::A => "wan-a",
            Self::B => "wan-b",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl Kind {
    /// What the table is about.
    pub(crate) fn title(&self) -> String {
        let lines = self.config.trim_end().replace('\n', ", ");
        match self.protection {
            Protection::Static => format!("Static key; {lines}"),
            Protection::Tls => format!("TLS with P-256 certificates, A is the client; {lines}"),
        }
    }

    /// The same in a few words.
    pub(crate) fn short_title(&self) -> String {
        let value = |line: &str| line.split_once(' ').map_or(String::new(), |(_, value)| value.to_owned());
        let ciphers: Vec<String> = self.config.lines().map(value).collect();
        match self.protection {
            Protection::Static => format!("Static key, {}", ciphers.join(", ")),
            Protection::Tls => format!("TLS, {}", ciphers.join(", ")),
        }
    }

    /// The config of one end, with more lines.
    pub(crate) fn config_of(&self, end: End, more: &str) -> String {
        let protection = match (self.protection, end) {
            (Protection::Static, End::A) => "secret static.key 0\n".to_owned(),
            (Protection::Static, End::B) => "secret static.key 1\n".to_owned(),
            (Protection::Tls, End::A) => format!("tls-client\nremote-cert-tls server\n{}", certificate("client")),
            (Protection::Tls, End::B) => {
                format!("tls-server\ndh none\nremote-cert-tls client\n{}", certificate("server"))
            }
        };
        let (there, inside, inside_there) = (end.other().outer(), end.inner(), end.other().inner());
        format!(
            "dev tun\nproto udp\nremote {there}\nifconfig {inside} {inside_there}\nping 10\nverb 3\n{}{more}{protection}",
            self.config
        )
    }
}

/// The authority, a certificate of its and the key to that, as in a config file.
fn certificate(name: &str) -> String {
    [("ca", "ca.crt".to_owned()), ("cert", format!("{name}.crt")), ("key", format!("{name}.key"))]
        .map(|(block, file)| format!("<{block}>\n{}\n</{block}>\n", pki::text(&file).trim_end()))
        .concat()
}
