//! The outer links: what carries sealed packets between the ends of the tunnel.

pub mod udp;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address as OpenVPN writes it: `[AF_INET]192.0.2.1:1194`, `[AF_INET6]fd00::1:1194`, `[AF_INET][undef]:1194`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AfAddr(pub SocketAddr);

impl fmt::Display for AfAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ip, port) = (self.0.ip(), self.0.port());
        f.write_str(if ip.is_ipv4() { "[AF_INET]" } else { "[AF_INET6]" })?;
        match ip {
            ip if ip.is_unspecified() => f.write_str("[undef]")?,
            IpAddr::V4(ip) => write!(f, "{ip}")?,
            IpAddr::V6(ip) => write!(f, "{ip}")?,
        }
        if let SocketAddr::V6(address) = self.0
            && address.scope_id() != 0
        {
            match nix::net::if_::if_indextoname(address.scope_id()) {
                Ok(name) => write!(f, "%{}", name.to_string_lossy())?,
                Err(_) => write!(f, "%{}", address.scope_id())?,
            }
        }
        write!(f, ":{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::AfAddr;

    #[test]
    fn addresses_look_as_in_openvpn() {
        for (address, text) in [
            ("192.0.2.1:1194", "[AF_INET]192.0.2.1:1194"),
            ("0.0.0.0:1194", "[AF_INET][undef]:1194"),
            ("[fd00::1]:1194", "[AF_INET6]fd00::1:1194"),
            ("[::]:5000", "[AF_INET6][undef]:5000"),
            ("[fe80::1%1]:1194", "[AF_INET6]fe80::1%lo:1194"),
        ] {
            assert_eq!(AfAddr(address.parse().unwrap()).to_string(), text);
        }
    }
}
