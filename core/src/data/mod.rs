//! The data channel: packets sealed and opened where they lie (protocol sections 2.2 to 2.7).
//!
//! ```text
//! static key:             HMAC | IV | CBC( packet id 4 | time 4 | payload | padding )
//! TLS, CBC:      header | HMAC | IV | CBC( packet id 4 | payload | padding )
//! TLS, CFB/OFB:  header | HMAC | IV = packet id 4 | time 4 | zeros | payload
//! TLS, AEAD:     header | packet id 4 | tag 16 | payload
//! TLS, epochs:   header | epoch 2 | counter 6 | payload | tag 16
//! header:        opcode and key id 1 [ | peer id 3 ]
//! ```
//! The two directions share nothing, so a host may run them on two threads.

#[cfg(feature = "tls")]
mod aead;
mod batch;
#[cfg(feature = "cbc")]
mod encrypt_then_mac;
#[cfg(not(feature = "cbc"))]
#[path = "no_cbc.rs"]
mod encrypt_then_mac;
#[cfg(feature = "epoch")]
mod epoch;
#[cfg(all(feature = "tls", not(feature = "epoch")))]
#[path = "no_epoch.rs"]
mod epoch;
mod key;
mod open;
mod seal;
#[cfg(test)]
mod tests;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use batch::for_each;
pub use batch::{BATCH, Incoming, Outgoing};
pub use key::{Budget, DataKey};
pub use open::Opener;
pub use seal::Sealer;

use crate::wire::opcode::Opcode;

/// The header of sent packets; received ones may have either opcode at any time (protocol section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// No header: a link with a static key.
    Static,
    /// `P_DATA_V1`: one byte.
    V1 {
        /// Number of the key, 0 to 7.
        key_id: u8,
    },
    /// `P_DATA_V2`: four bytes.
    V2 {
        /// Number of the key, 0 to 7.
        key_id: u8,
        /// The negotiated peer id, 24 bits.
        peer_id: u32,
    },
    /// `P_DATA_V2` with keys that are renewed without a handshake (protocol section 2.6).
    Epoch {
        /// Number of the key, 0 to 7.
        key_id: u8,
        /// The negotiated peer id, 24 bits.
        peer_id: u32,
    },
}

/// `P_DATA_V1` and `P_DATA_V2`, and how long their headers are in bytes.
const DATA_V1: u8 = Opcode::DataV1 as u8;
const DATA_V2: u8 = Opcode::DataV2 as u8;
const V1_LEN: usize = 1;
const V2_LEN: usize = 4;

/// Length in bytes of a short packet id, and of a long one with its unix time (protocol section 2.2).
const SHORT_ID_LEN: usize = 4;
const LONG_ID_LEN: usize = 8;

/// The id of a sent packet from which on it is time for a new key (protocol section 2.7).
const PACKET_ID_RENEW: u32 = 0xff00_0000;

/// A sent packet's header.
#[derive(Clone, Copy)]
struct Header {
    bytes: [u8; V2_LEN],
    len: usize,
}

impl Header {
    const fn new(format: Format) -> Self {
        match format {
            Format::Static => Self { bytes: [0; V2_LEN], len: 0 },
            Format::V1 { key_id } => Self { bytes: [first_byte(DATA_V1, key_id), 0, 0, 0], len: V1_LEN },
            Format::V2 { key_id, peer_id } | Format::Epoch { key_id, peer_id } => {
                let [_, a, b, c] = peer_id.to_be_bytes();
                Self { bytes: [first_byte(DATA_V2, key_id), a, b, c], len: V2_LEN }
            }
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

const fn first_byte(opcode: u8, key_id: u8) -> u8 {
    opcode << 3 | (key_id & 7)
}

/// Length of a received packet's header in bytes; `None` if it is no data packet.
pub(crate) fn header_len(datagram: &[u8]) -> Option<usize> {
    match datagram.first()? >> 3 {
        DATA_V1 => Some(V1_LEN),
        DATA_V2 => Some(V2_LEN),
        _ => None,
    }
}
