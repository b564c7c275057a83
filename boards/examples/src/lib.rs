//! What the example firmwares of all boards do. A board brings its Ethernet driver, randomness and lasting memory; here is
//! what an application makes of them.
#![no_std]

#[cfg(any(feature = "static-key", feature = "tls"))]
pub mod link;
pub mod network;
#[cfg(feature = "router")]
pub mod router;
pub mod services;

/// The configuration of the example with a key that both ends share.
pub const STATIC_LINK: &str = include_str!("static-link.ovpn");
/// The configuration of the example with certificates.
pub const TLS_LINK: &str = include_str!("tls-link.ovpn");
/// The configuration of the example between two ends whose addresses change.
pub const DYNAMIC_LINK: &str = include_str!("dynamic-link.ovpn");
/// The configuration of the subnet router.
pub const SUBNET_ROUTER: &str = include_str!("subnet-router.ovpn");
