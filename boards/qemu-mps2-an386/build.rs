//! Tells the linker where memory.x is, and turns the recorded packets into a table for the selftest.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rustc-link-search={}", here.display());
    println!("cargo::rerun-if-changed=memory.x");

    let vectors = here.join("../../tests/vectors");
    println!("cargo::rerun-if-changed={}", vectors.display());
    fs::write(out.join("recordings.rs"), recordings(&vectors)).expect("OUT_DIR is writable");
}

/// `&[Recording { .. }, ..]` of every recording of a static-key link.
fn recordings(folder: &Path) -> String {
    let is_static = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("static_") && name.ends_with(".vec")
    };
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).filter(is_static).collect();
    files.sort();
    assert!(!files.is_empty(), "{}: no recordings", folder.display());

    let mut table = String::from("&[\n");
    for file in files {
        write_recording(&mut table, &file);
    }
    table + "]\n"
}

fn write_recording(table: &mut String, file: &Path) {
    let name = file.file_stem().expect("a file has a name").to_string_lossy();
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let fields: HashMap<&str, &str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(field, value)| (field.trim(), value.trim()))
        .collect();
    let field = |name: &str| *fields.get(name).unwrap_or_else(|| panic!("{}: no field '{name}'", file.display()));

    let key = file.with_file_name(field("key_file"));
    let key = key.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", key.display()));
    let (cipher, digest, packet_ids) = (field("cipher"), field("auth"), !name.contains("noreplay"));
    writeln!(
        table,
        "Recording {{ name: {name:?}, key: include_str!({key:?}), cipher: {cipher:?}, digest: {digest:?}, \
         packet_ids: {packet_ids}, ends: ["
    )
    .expect("a string has room");
    for end in ["A", "B"] {
        let direction = match field(&format!("dir_{end}")) {
            "none" => "None",
            "0" => "Some(Direction::Normal)",
            "1" => "Some(Direction::Inverse)",
            other => panic!("{}: direction {other}", file.display()),
        };
        writeln!(table, "End {{ direction: {direction}, sent: &[").expect("a string has room");
        let packets = (0..).take_while(|i| fields.contains_key(format!("pkt{i}.wire").as_str()));
        for packet in packets.filter(|i| field(&format!("pkt{i}.sender")) == end) {
            let wire = bytes(field(&format!("pkt{packet}.wire")));
            let plain = bytes(field(&format!("pkt{packet}.plain")));
            writeln!(table, "Packet {{ wire: &{wire:?}, plain: &{plain:?} }},").expect("a string has room");
        }
        table.push_str("] },\n");
    }
    table.push_str("] },\n");
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).expect("pairs of hexadecimal digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}
