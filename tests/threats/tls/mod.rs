//! The same for links with TLS: rustls at both ends, with real certificates, as the Linux host runs them.

mod careless;
mod hostile;
mod keys;
mod packets;
mod peers;
mod pki;
mod replays;
mod strangers;
mod world;
mod wrappings;
