//! A file for one process at a time.

use std::fs::TryLockError;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;

use crate::{Error, Result};

/// How often a lock is tried, and how long is waited between: together a second.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Locks `file`, which lies at `path`, until it is closed.
///
/// A lock that another holds is tried again for a second: a program that this one is just starting
/// holds a copy of every open file for a moment, locks included.
///
/// # Errors
/// [`Error::Locked`] when another process keeps it.
pub fn lock_file(file: &fs::File, path: &Path) -> Result<()> {
    for _ in 0..TRIES {
        match file.file().try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(Error::Locked { path: path.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_let_go_is_had_and_one_that_is_kept_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("잠금.lock");
        let [one, two] = [(); 2].map(|()| fs::File::create(&path).unwrap());
        lock_file(&one, &path).unwrap();
        assert!(
            matches!(lock_file(&two, &path), Err(Error::Locked { path: found }) if found == path)
        );
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock_file(&two, &path));
            drop(one);
            waiting.join().unwrap().unwrap();
        });
    }
}
