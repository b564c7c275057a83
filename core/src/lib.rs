//! The OpenVPN protocol as a pure engine: it is handed time, bytes and randomness, and hands back
//! datagrams, packets and events. No heap, no sockets, no clock, no globals; nothing that a peer sends
//! can make it panic.
//!
//! # The contract
//!
//! A host owns the sockets and the tunnel device; a [`gateway::Gateway`] owns the protocol.
//! - *Control and time* follow one drain loop: after every call, ask [`gateway::Gateway::poll_output`]
//!   until it says `Timeout`, and do what it says. At the time it names, call
//!   [`gateway::Gateway::handle_timeout`].
//! - *Data* takes the direct way: [`gateway::Gateway::seal`] turns a packet from the tunnel into a
//!   datagram where it lies, [`gateway::Gateway::handle_datagram`] turns a datagram into a packet for the
//!   tunnel. A forged or repeated one is an [`error::Discard`] and changes nothing.
//! - The same inputs give the same outputs: the host's clock, its randomness and the time of day at the
//!   start are arguments.
//!
//! ```
//! use longcable_core::crypto::{Rng, RustCrypto, StaticKey};
//! use longcable_core::gateway::{Gateway, Output};
//! use longcable_core::options::{KeySource, LinkConfig};
//! use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
//! use longcable_core::peer::{Keys, OUTPUT_MAX};
//! use longcable_core::platform::Platform;
//! use longcable_core::time::Instant;
//! use longcable_core::tls::NoTls;
//!
//! /// What this host brings.
//! struct Host;
//! impl Platform for Host {
//!     type Crypto = RustCrypto;
//!     type Rng = NotRandom; // a real host asks its hardware
//!     type ReplayBits = [u64; 1];
//!     // Static keys only.
//!     type Tls = NoTls;
//!     type TlsSessions = [NoTls; 1];
//!     type TlsMemory = ();
//! }
//! struct NotRandom;
//! impl Rng for NotRandom {
//!     fn fill(&mut self, bytes: &mut [u8]) {
//!         bytes.fill(4);
//!     }
//! }
//!
//! # let key = format!("-----BEGIN OpenVPN Static key V1-----\n{}\n-----END OpenVPN Static key V1-----", "5a".repeat(256));
//! let text = format!("dev tun\nremote 192.0.2.2\ncipher AES-256-CBC\n<secret>\n{key}\n</secret>");
//! let config = LinkConfig::parse(&text).unwrap();
//! let Some(KeySource::Inline(key)) = config.secret else { panic!("the key is in the text") };
//! let key = StaticKey::parse(key).unwrap();
//!
//! let now = Instant::from_millis(0);
//! let mut gateway = Gateway::<Host>::new(&config, Keys::Static(key), NotRandom, now, 1_800_000_000).unwrap();
//! let mut out = [0; OUTPUT_MAX];
//! let wake = loop {
//!     match gateway.poll_output(now, &mut out) {
//!         Output::Bind(_remote) => gateway.bound(now, 1_800_000_000, Ok(())), // open a UDP socket
//!         Output::OpenTunnel => gateway.tunnel_opened(now), // open the tunnel device
//!         Output::Transmit(sealed) => { /* send sealed.datagram to sealed.to */ }
//!         Output::Event(event) => { /* tell somebody */ }
//!         Output::Timeout(wake) => break wake,                 // sleep until then, or until a packet comes
//!         _ => { /* routes, scripts, restart, exit */ }
//!     }
//! };
//! assert!(wake.is_some());
//!
//! // A packet from the tunnel device, read with room around it.
//! let mut buffer = [0; HEADROOM + 40 + TAILROOM];
//! buffer[HEADROOM] = 0x45;
//! let sealed = gateway.seal(now, PacketBuf::new(&mut buffer, HEADROOM, 40).unwrap()).unwrap();
//! assert_eq!(sealed.to, "192.0.2.2:1194".parse().unwrap());
//! assert_eq!(sealed.datagram.len(), 20 + 16 + 64); // HMAC, IV, packet id + payload + padding
//! ```
#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should"))]

#[cfg(test)]
extern crate std;

pub mod control;
pub mod crypto;
pub mod data;
pub mod error;
pub mod event;
pub mod gateway;
mod log;
pub mod options;
pub mod packet;
pub mod peer;
pub mod platform;
pub mod time;
pub mod tls;
pub mod wire;
pub mod x509;
