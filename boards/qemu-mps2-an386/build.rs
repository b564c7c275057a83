//! Tells the linker where memory.x is.
fn main() {
    // The linker looks for memory.x in the folder it was started in, which is not always this one.
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rerun-if-changed=memory.x");
}
