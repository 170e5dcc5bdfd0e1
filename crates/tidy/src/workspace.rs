//! The workspace's files, as the tests read them.

use std::path::{Path, PathBuf};

use fs_err as fs;

/// The directory of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is there")
}

/// The text of a file of the workspace.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("the file is there and is text")
}

/// A Rust file of the workspace.
pub(crate) struct RustFile {
    /// From the workspace's directory.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// Every Rust file under `crates/` and `patches/`, sorted by path.
pub(crate) fn rust_files() -> Vec<RustFile> {
    let root = root();
    let mut pending = vec![root.join("crates"), root.join("patches")];
    let mut files = Vec::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the workspace") {
            let path = entry.expect("an entry of the workspace").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(&root).unwrap_or(&path);
                let text = fs::read_to_string(&path).expect("a Rust file is text");
                files.push(RustFile { path: relative.to_string_lossy().replace('\\', "/"), text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Fails with every offender, one a line.
#[track_caller]
pub(crate) fn expect_none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}
