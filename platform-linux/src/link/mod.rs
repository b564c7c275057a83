//! The outer links: what carries sealed packets between the ends of the tunnel.

pub mod udp;
