//! Paths as a user would write them.

use std::path::{Component, Path, PathBuf};

/// Without `.`, and without `..` behind a directory's name or the root. A `..` behind a link stays:
/// it leads elsewhere.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if parts.parent().is_none() && parts.has_root() => {}
            Component::ParentDir if parts.file_name().is_some() && !parts.is_symlink() => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    if parts.as_os_str().is_empty() { PathBuf::from(".") } else { parts }
}

/// From the working directory, where the path lies under it.
pub(crate) fn shown(path: &Path) -> String {
    let simple = normal(path);
    let here = std::env::current_dir().unwrap_or_default();
    let short = simple.strip_prefix(&here).unwrap_or(&simple);
    normal(short).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_back_over_names_but_not_over_links() {
        let check = |path: &str, expected: &str| {
            assert_eq!(normal(Path::new(path)), Path::new(expected), "{path}");
        };
        check("configs/public/../../store/corpus", "store/corpus");
        check("../연구/./runs/../store", "../연구/store");
        check("configs/..", ".");
        check("/a/../../b", "/b");
        #[cfg(unix)]
        {
            let directory = tempfile::tempdir().unwrap();
            let link = directory.path().join("link");
            std::os::unix::fs::symlink("/", &link).unwrap();
            let behind = link.join("../store");
            assert_eq!(normal(&behind), behind);
        }
    }

    #[test]
    fn a_path_under_the_working_directory_is_shown_from_there() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(shown(&here.join("runs/../store")), "store");
        assert_eq!(shown(&here), ".");
        assert_eq!(shown(Path::new("/somewhere/else")), "/somewhere/else");
    }
}
