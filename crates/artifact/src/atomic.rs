//! Writing so that a kill leaves the old file or the new one, never a part.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::{CommitStep, Error, Progress, Result, Silent};

/// Creates `path` and its parents, readable by the owner alone (0700 on Unix).
///
/// # Errors
/// When the file system refuses.
pub fn create_private_dir(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(())
}

/// Flushes a directory's entries to the disk, so that a rename in it survives a power cut.
///
/// # Errors
/// When the directory cannot be opened or flushed.
pub fn sync_dir(path: &Path) -> Result<()> {
    #[cfg(unix)]
    fs::File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// A file that appears under its name only when [`AtomicFile::commit`] is called.
///
/// Written to `NAME.tmp` beside the target with mode 0600; a dropped one removes the temporary.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    file: Option<BufWriter<fs::File>>,
}

impl AtomicFile {
    /// Opens the temporary of `target`.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(target: &Path) -> Result<Self> {
        let mut name = target.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        let temporary = target.with_file_name(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&temporary)?;
        Ok(Self {
            target: target.to_path_buf(),
            temporary,
            file: Some(BufWriter::with_capacity(1 << 20, file)),
        })
    }

    /// Flushes, syncs and renames to the target.
    ///
    /// # Errors
    /// When the disk is full or the rename is refused; the target is then untouched.
    pub fn commit(self) -> Result<()> {
        self.commit_watched(&Silent)
    }

    /// As [`Self::commit`]; `progress` is told of each step.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_watched(mut self, progress: &dyn Progress) -> Result<()> {
        if let Some(writer) = &mut self.file {
            writer.flush()?;
            progress.committing(CommitStep::Written);
            writer.get_ref().sync_all()?;
            progress.committing(CommitStep::Synced);
        }
        fs::rename(&self.temporary, &self.target)?;
        self.file = None;
        progress.committing(CommitStep::Renamed);
        match self.target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
            _ => sync_dir(Path::new(".")),
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the file is already committed")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes `bytes` to `path` atomically.
///
/// # Errors
/// As [`AtomicFile`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Writes `value` as indented JSON with a final newline, atomically.
///
/// # Errors
/// As [`AtomicFile`], and when the value does not serialise.
pub fn write_json_atomic<T: serde::Serialize + ?Sized>(path: &Path, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|source| Error::Serialize { path: path.to_path_buf(), source })?;
    bytes.push(b'\n');
    write_atomic(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_file_leaves_the_old_content_and_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("환자.json");
        write_atomic(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half of the n").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn files_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let nested = dir.path().join("a/b");
        create_private_dir(&nested).unwrap();
        write_atomic(&nested.join("f"), b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&nested), mode(&nested.join("f"))), (0o700, 0o600));
    }
}
