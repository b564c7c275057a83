//! The README says what the program says.

use std::path::Path;

const BEGIN: &str = "<!-- options: begin -->\n";
const END: &str = "<!-- options: end -->\n";

/// The list of options comes from the table that the parser uses. `UPDATE_README=1` writes it anew.
#[test]
fn the_readme_lists_the_options_as_the_table_has_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(&path).expect("the README is there");
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the mark where the options begin");
    let (listed, after) = rest.split_once(END).expect("the README has the mark where the options end");
    let options = format!("{}\n", longcable::config::options_markdown().trim_end());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{options}{END}{after}")).expect("the README can be written");
        return;
    }
    assert!(
        listed == options,
        "the README's options are out of date: UPDATE_README=1 cargo test -p longcable --test readme"
    );
}
