//! Static keys (protocol section 1).

/// Which of the two keys in a file is for sending (`key-direction`); the peer has the other one.
///
/// Without a direction both ends use the first key both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `0`: sends with the first key, receives with the second.
    Normal,
    /// `1`: sends with the second key, receives with the first.
    Inverse,
}
