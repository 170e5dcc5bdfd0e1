//! Finished runs, so that an evaluation that was killed does none of them again.
//!
//! Owns `cache/KEY.json` in the directory of an evaluation. A key names all that a run's answers
//! depend on; a file is written whole or not at all.

use std::path::{Path, PathBuf};

use bimed_artifact::{Hash, create_private_dir, write_json_atomic};
use fs_err as fs;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;

/// The directory of the finished runs in that of an evaluation.
const CACHE_DIR: &str = "cache";

/// The finished runs of an evaluation.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// The cache in `out`, made where it is not there.
    pub(crate) fn open(out: &Path) -> Result<Self> {
        let dir = out.join(CACHE_DIR);
        create_private_dir(&dir)?;
        Ok(Self { dir })
    }

    /// What was found under `key`, or else what `run` finds.
    pub(crate) fn get_or_run<T: Serialize + DeserializeOwned>(
        &self,
        key: &Hash,
        run: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let path = self.dir.join(format!("{}.json", key.short()));
        if path.exists() {
            // What another version wrote is not read, but found again.
            if let Ok(found) = serde_json::from_slice(&fs::read(&path)?) {
                return Ok(found);
            }
        }
        let found = run()?;
        write_json_atomic(&path, &found)?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use bimed_artifact::{Cancelled, hash_bytes};

    #[test]
    fn a_finished_run_is_found_again_bit_for_bit_and_a_failed_one_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let key = hash_bytes("환자 1".as_bytes());
        let failed = cache.get_or_run(&key, || Err::<Vec<f64>, _>(Error::Cancelled(Cancelled)));
        assert!(failed.is_err());
        let answers = vec![0.1 + 0.2, -0.0, 1e-300, f64::MIN_POSITIVE];
        let first = cache.get_or_run(&key, || Ok(answers.clone())).unwrap();
        let again: Vec<f64> = cache.get_or_run(&key, || unreachable!("found")).unwrap();
        assert_eq!(first, answers);
        assert!(again.iter().zip(&answers).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
