//! What tuning chose, kept with what was computed by it.
//!
//! CubeCL tries several kernels for each shape of a product and keeps the fastest, in a database of
//! this machine. Two processes that tune may choose differently, and sums then differ in their last
//! bits: so a checkpoint carries the choices, and a run that goes on from it starts from them, and
//! from no others. The processor has nothing to choose.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use crate::device::is_cubecl;

/// Choices that cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: the device's tuning cannot be kept: {reason}")]
pub struct TuningError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// The choices of one run in force, until it is dropped.
#[derive(Debug)]
pub struct Tuning {
    before: PathBuf,
}

impl Tuning {
    /// Writes what was chosen so far, in this process and on this machine before, to a new `file`;
    /// nothing where `device` has nothing to choose.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(device: &Device, file: &Path) -> Result<(), TuningError> {
        if !is_cubecl(device) {
            return Ok(());
        }
        kept::save(file).map_err(|reason| TuningError { path: file.into(), reason })
    }

    /// From here on what `file` holds is chosen, and nothing else that this machine knows; what is
    /// chosen newly is kept under `run`, a name of the run's own. `None` where `device` has nothing
    /// to choose, and where there is no such file.
    ///
    /// # Errors
    /// When the file is not one of [`Self::save`].
    pub fn resume(device: &Device, file: &Path, run: &str) -> Result<Option<Self>, TuningError> {
        if !is_cubecl(device) || !file.exists() {
            return Ok(None);
        }
        let before = kept::resume(file, &format!("bimed-{run}"));
        before
            .map(|before| Some(Self { before }))
            .map_err(|reason| TuningError { path: file.into(), reason })
    }
}

impl Drop for Tuning {
    fn drop(&mut self) {
        kept::go_back(&self.before);
    }
}

/// CubeCL's databases.
#[cfg(feature = "gpu")]
mod kept {
    use std::path::{Path, PathBuf};

    use cubecl::bundle::{BundleFormat, SqliteBundle, import};
    use cubecl::environment;

    pub(super) fn save(file: &Path) -> Result<(), String> {
        let saved = environment::bundle().save(file, BundleFormat::Sqlite);
        saved.map(|_| ()).map_err(|error| error.to_string())
    }

    /// The database that was in force before.
    pub(super) fn resume(file: &Path, name: &str) -> Result<PathBuf, String> {
        let saved = SqliteBundle::open(file).map_err(|error| error.to_string())?;
        let before = environment::path();
        environment::activate(name);
        match import(&saved).failed {
            0 => Ok(before),
            failed => {
                go_back(&before);
                Err(format!("{failed} choices could not be taken over"))
            }
        }
    }

    pub(super) fn go_back(before: &Path) {
        environment::load(before);
    }
}

/// Never reached: no device of this build has anything to choose.
#[cfg(not(feature = "gpu"))]
mod kept {
    use std::path::{Path, PathBuf};

    pub(super) fn save(_file: &Path) -> Result<(), String> {
        Ok(())
    }

    pub(super) fn resume(_file: &Path, _name: &str) -> Result<PathBuf, String> {
        Err("this build has no device that tunes".into())
    }

    pub(super) fn go_back(_before: &Path) {}
}
