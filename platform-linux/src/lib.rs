//! longcable on Linux.
