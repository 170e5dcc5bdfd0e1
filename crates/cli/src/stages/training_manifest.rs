//! What an exported model says of where it comes from.

use std::path::Path;

use bimed_artifact::{FileEntry, Hash, SourceLineage, hash_file};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the exported model was made from.
pub(crate) const TRAINING_MANIFEST_FILE: &str = "training_manifest.json";

/// `training_manifest.json`: where an exported model comes from, without a path of this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingManifest {
    /// The hash of all that decides the export.
    pub(crate) key: Hash,
    /// `bimed`'s version.
    pub(crate) bimed_version: String,
    /// The experiment.
    pub(crate) experiment: String,
    /// The arm.
    pub(crate) arm: String,
    /// The base's directory name, or `random`.
    pub(crate) base: String,
    /// The hashes of what it was made from, by stage.
    pub(crate) inputs: Vec<(String, Hash)>,
    /// Every source it goes back to.
    pub(crate) lineage: Vec<SourceLineage>,
    /// The corpus by source and language.
    pub(crate) corpus: Value,
    /// `[vocab]` and what came of it.
    pub(crate) vocabulary: Value,
    /// `[transplant]` and what came of it.
    pub(crate) transplant: Value,
    /// `[pretrain]` and what came of it.
    pub(crate) pretrain: Value,
    /// Tensors that were drawn at random for want of their own.
    pub(crate) drawn: Vec<String>,
    /// The other files, sorted.
    pub(crate) files: Vec<FileEntry>,
}

impl TrainingManifest {
    /// The one in `dir`, where there is one of this form.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = dir.join(TRAINING_MANIFEST_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&fs::read(path)?).ok())
    }

    /// Whether every file is there with its length.
    pub(crate) fn is_complete(&self, dir: &Path) -> bool {
        self.files.iter().all(|file| {
            fs::metadata(dir.join(&file.path)).is_ok_and(|found| found.len() == file.bytes)
        })
    }

    /// Compares every file with its hash.
    ///
    /// # Errors
    /// The first file that is missing or differs.
    pub(crate) fn verify(&self, dir: &Path) -> anyhow::Result<()> {
        for file in &self.files {
            let path = dir.join(&file.path);
            let found = hash_file(&path)?;
            if found != file.blake3 {
                let found = format!("BLAKE3 {}", found.short());
                let expected = file.blake3.short().to_owned();
                return Err(bimed_artifact::Error::Mismatch { path, found, expected }.into());
            }
        }
        Ok(())
    }
}
