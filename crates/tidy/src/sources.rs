//! What every source file must and must not hold.

use crate::workspace::{RustFile, expect_none, rust_files, text};

/// Lines of a file before its tests.
const MAX_LINES: usize = 600;

fn ours() -> impl Iterator<Item = RustFile> {
    rust_files().into_iter().filter(|file| file.path.starts_with("crates/"))
}

fn is_test_file(file: &RustFile) -> bool {
    file.path.ends_with("/tests.rs") || file.path.contains("/tests/")
}

/// The file without its tests at the foot.
fn before_tests(text: &str) -> &str {
    let foot = text.find("#[cfg(test)]\nmod tests {");
    foot.map_or(text, |position| &text[..position])
}

#[test]
fn every_module_begins_with_its_documentation() {
    let offenders: Vec<String> = ours()
        .filter(|file| !is_test_file(file) && !file.text.starts_with("//!"))
        .map(|file| file.path)
        .collect();
    expect_none("these files lack `//!` at their head", &offenders);
}

#[test]
fn no_file_outgrows_its_limit() {
    let offenders: Vec<String> = ours()
        .filter(|file| !is_test_file(file))
        .map(|file| (before_tests(&file.text).lines().count(), file.path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines before its tests"))
        .collect();
    expect_none(&format!("expected {MAX_LINES} lines at most"), &offenders);
}

#[test]
fn no_debugging_is_left_and_every_to_do_has_a_reason() {
    let debugging = ["dbg", "todo", "unimplemented"].map(|name| format!("{name}!("));
    let note = ["TO", "DO"].concat();
    let mut offenders = Vec::new();
    for file in ours() {
        for (number, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}: {}", file.path, number + 1, line.trim());
            let bare = line.split_once(&note).is_some_and(|(_, after)| !after.starts_with('('));
            if bare || debugging.iter().any(|name| line.contains(name.as_str())) {
                offenders.push(place);
            }
        }
    }
    expect_none(&format!("debugging, or a `{note}` without `(reason)`"), &offenders);
}

#[test]
fn the_formats_name_every_file_of_an_artifact() {
    let formats = text("docs/FORMATS.md");
    let mut offenders = Vec::new();
    let mut found = 0;
    for file in ours() {
        for line in before_tests(&file.text).lines() {
            let Some((name, value)) = file_name_constant(line) else { continue };
            found += 1;
            if !formats.contains(&format!("`{value}`")) {
                offenders.push(format!("{}: {name} = \"{value}\"", file.path));
            }
        }
    }
    assert!(found > 0, "no constant whose name ends in `_FILE` was found");
    expect_none("docs/FORMATS.md does not name these files", &offenders);
}

/// `pub const MANIFEST_FILE: &str = "manifest.json";` gives its name and value.
fn file_name_constant(line: &str) -> Option<(&str, &str)> {
    let (_, declaration) = line.split_once("const ")?;
    let (name, rest) = declaration.split_once(": &str = \"")?;
    let (value, _) = rest.split_once("\";")?;
    name.ends_with("_FILE").then_some((name, value))
}

#[test]
fn a_file_name_constant_is_recognised() {
    let check = |line, expected| assert_eq!(file_name_constant(line), expected, "{line}");
    check("pub const LOG_FILE: &str = \"log.jsonl\";", Some(("LOG_FILE", "log.jsonl")));
    check("    const CARD_FILE: &str = \"card.md\";", Some(("CARD_FILE", "card.md")));
    check("const LIMIT: usize = 3;", None);
    check("const STARTER: &str = \"x\";", None);
}
