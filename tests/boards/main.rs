//! Emulated boards, linked with Debian's openvpn, with longcable on Linux and with each other.
//!
//! Needs root, `qemu-system-arm`, `openvpn`, `iproute2`, `util-linux` and `dnsmasq-base`, and the release build of
//! longcable: `tests/run boards` sees to it. The board is the left site of a laboratory. No test asserts how fast a board
//! is: an emulator does not tell.

mod addresses;
mod attacks;
mod certificates;
mod flood;
mod peers;
mod soak;
mod static_keys;
