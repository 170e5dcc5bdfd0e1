//! Lists that a person wrote: one entry a line.

use std::path::Path;

use fs_err as fs;

use crate::{Error, Result};

/// The entries of the file at `path` with the numbers of their lines, from 1. Empty lines and those
/// that begin with `# ` are none.
///
/// # Errors
/// When the file cannot be read or is not UTF-8.
pub(crate) fn read_lines(path: &Path) -> Result<Vec<(usize, String)>> {
    let text = read_utf8(path)?;
    let entries = text.lines().zip(1..).filter_map(|(line, number)| {
        let entry = line.trim();
        (!entry.is_empty() && !line.starts_with("# ")).then(|| (number, entry.to_owned()))
    });
    Ok(entries.collect())
}

/// The text of a file, without a byte order mark.
///
/// # Errors
/// When the file cannot be read or is not UTF-8; the message says from which byte on.
pub(crate) fn read_utf8(path: &Path) -> Result<String> {
    let text = String::from_utf8(fs::read(path)?).map_err(|error| Error::Format {
        path: path.to_path_buf(),
        found: format!("bytes that are not UTF-8 at {}", error.utf8_error().valid_up_to()),
        expected: "UTF-8".into(),
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_by_lines_and_must_be_utf8() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("words.txt");
        fs::write(&path, "\u{feff}폐렴\r\n\n# 병명\n gastritis \n#1\n").unwrap();
        let entries = read_lines(&path).unwrap();
        let expected = [(1, "폐렴"), (4, "gastritis"), (5, "#1")];
        assert!(entries.iter().map(|(line, entry)| (*line, entry.as_str())).eq(expected));
        fs::write(&path, b"lung\n\xc6\xf3\xb7\xc5\n").unwrap();
        let error = read_lines(&path).unwrap_err().to_string();
        assert!(error.contains("not UTF-8 at 5"), "{error}");
    }
}
