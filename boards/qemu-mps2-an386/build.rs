//! Tells the linker how much memory the firmware gets, and cargo to link again when that changes.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let size = if env::var_os("CARGO_FEATURE_TLS").is_some() { "tls" } else { "ordinary" };
    let memory = PathBuf::from(format!("memory/{size}.x"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::copy(&memory, out.join("memory.x")).expect("the file is there");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed={}", memory.display());
}
