//! The data channel.
