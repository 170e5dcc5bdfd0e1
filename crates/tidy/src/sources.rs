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

/// Ends of names that are files of an artifact.
const ARTIFACT_ENDINGS: [&str; 10] =
    ["bin", "csv", "html", "json", "jsonl", "md", "npz", "safetensors", "svg", "txt"];

#[test]
fn the_formats_name_every_file_of_an_artifact() {
    let formats = text("docs/FORMATS.md");
    let mut offenders = Vec::new();
    let mut found = 0;
    let stages =
        ours().filter(|file| !file.path.starts_with("crates/tidy/") && !is_test_file(file));
    for file in stages {
        for name in before_tests(&file.text).lines().filter_map(file_name) {
            found += 1;
            if !formats.contains(&format!("`{name}`")) {
                offenders.push(format!("{}: `{name}`", file.path));
            }
        }
    }
    assert!(found > 5, "found {found} file names in the sources, expected those of every stage");
    expect_none("docs/FORMATS.md does not name these files", &offenders);
}

/// The file name in `const MANIFEST_FILE: &str = "manifest.json";` or in `dir.join("ids.bin")`.
fn file_name(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once(".join(\"").or_else(|| line.split_once(": &str = \""))?;
    let name = rest.split('"').next()?;
    let is_constant = before.contains("const ") && before.ends_with("_FILE");
    let (stem, ending) = name.rsplit_once('.')?;
    let is_file = !stem.is_empty() && ARTIFACT_ENDINGS.contains(&ending);
    (is_constant || is_file && !before.contains("const ")).then_some(name)
}

#[test]
fn a_file_name_is_recognised() {
    let check = |line, expected| assert_eq!(file_name(line), expected, "{line}");
    check("pub const LOG_FILE: &str = \"log.jsonl\";", Some("log.jsonl"));
    check("    let path = dir.join(\"ids.bin\");", Some("ids.bin"));
    check("const LIMIT: usize = 3;", None);
    check("const STARTER: &str = \"x.json\";", None);
    check("let include = cuda.join(\"include\");", None);
}
