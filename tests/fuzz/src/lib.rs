//! Fuzz targets: each a module with `run`, which takes any bytes and panics where core does not keep its promises, and
//! `seeds`, inputs to begin with.

pub mod certificates;
pub mod config;
pub mod control_packets;
pub mod data_packets;
pub mod input;
pub mod ip_packets;
pub mod joined_packets;
pub mod key_messages;
// The one part of the Linux host that reads packets. The host as a whole would bring its TLS and assembly along.
#[path = "../../../platform-linux/src/offload/mod.rs"]
pub mod offload;
pub mod super_packets;
pub mod tcp_stream;
pub mod text_messages;
pub mod tls_crypt_v2_keys;
pub mod tls_link;
pub mod tls_peer;
pub mod toy;
pub mod vectors;

/// The program of a target, in a crate without `main`. With `SEEDS` set it first writes its seeds to that folder.
#[macro_export]
macro_rules! fuzz {
    ($target:ident) => {
        libfuzzer_sys::fuzz_target!(
            init: $crate::write_seeds(&$crate::$target::seeds()),
            |data: &[u8]| $crate::$target::run(data)
        );
    };
}

/// Writes each of `seeds` to a file of the folder that the environment variable `SEEDS` names.
pub fn write_seeds(seeds: &[Vec<u8>]) {
    let Some(folder) = std::env::var_os("SEEDS") else { return };
    for (number, seed) in seeds.iter().enumerate() {
        let file = std::path::Path::new(&folder).join(format!("seed-{number}"));
        std::fs::write(&file, seed).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// What reaches a log, an environment or a terminal must not be able to do anything there.
pub fn assert_harmless(text: &str) {
    assert!(!text.chars().any(char::is_control), "a control character in {text:?}");
}
