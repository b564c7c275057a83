//! What the program does without a tunnel: make keys, test the cryptography, list algorithms.

mod algorithms;
mod key_listing;
mod keys;
mod test_crypto;
mod tls;

pub use algorithms::{show_ciphers, show_digests};
pub use key_listing::key_listing;
pub use keys::{genkey, genkey_tls_crypt_v2_client, genkey_tls_crypt_v2_server};
pub use test_crypto::test_crypto;
pub use tls::{show_groups, show_tls};
