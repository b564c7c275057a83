//! The lines of the README for a firmware of one's own are those of the crate's example, which is compiled.

#[test]
fn the_readme_shows_lines_of_the_example() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("## A link on a microcontroller").expect("the section for boards");
    let (_, rest) = rest.split_once("```rust\n").expect("lines of Rust");
    let (shown, _) = rest.split_once("```").expect("their end");
    let mut example = include_str!("../src/lib.rs").lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
    for line in shown.lines() {
        assert!(example.any(|other| other == line), "not in the example, or not in this order: {line}");
    }
    assert!(shown.lines().count() > 5, "{shown}");
}
