//! longcable and Debian's openvpn, linked with each other in network namespaces.
//!
//! Needs root, `openvpn` and `iproute2`, and the release build of longcable: `tests/run interop` sees to it. Every test
//! runs with longcable on either side and on both, where that makes a difference. With `LONGCABLE_BASELINE=1` openvpn
//! stands in for longcable: what a test asks for is then proved to be what openvpn does.

/// One test for each way in which longcable can take part in a link.
macro_rules! for_each_pair {
    ($(#[$attribute:meta])* fn $name:ident($programs:ident) $body:block) => {
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, reason = "not every test needs every name of its module")]
            use super::*;

            fn check($programs: [longcable_tests::support::Program; 2]) $body

            #[test]
            fn longcable_openvpn() {
                check([longcable_tests::support::Program::tested(), longcable_tests::support::Program::Openvpn]);
            }

            #[test]
            fn openvpn_longcable() {
                check([longcable_tests::support::Program::Openvpn, longcable_tests::support::Program::tested()]);
            }

            #[test]
            fn longcable_longcable() {
                check([longcable_tests::support::Program::tested(); 2]);
            }
        }
    };
}

mod address;
mod bulk;
mod ddclient;
mod diagnosis;
mod framing;
mod matrix;
mod migrate;
mod mss;
mod occ;
mod offload;
mod payload;
mod persistence;
mod process;
mod remotes;
mod replacement;
mod replay_persist;
mod samples;
mod scripts;
mod standalone;
mod threads;
mod timers;
mod tls_accepted;
mod tls_address;
mod tls_embedded;
mod tls_matrix;
mod tls_negotiation;
mod tls_refused;
mod tls_renegotiation;
mod tls_restarts;
mod tls_samples;
mod tls_wrapping;
mod tunnel;
mod volatile;
mod volatile_day;
mod volatile_faq;
mod volatile_ipv6;
mod volatile_lines;
mod volatile_names;
mod volatile_reload;
mod volatile_resolver;
mod volatile_start;
