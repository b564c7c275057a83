//! The TLS stack of the boards against other stacks, through its byte interface alone.

mod attacks;
mod credentials;
mod handshake;
mod hostile;
mod openssl;
mod pair;
mod pki;
mod refusals;
mod rogue;
