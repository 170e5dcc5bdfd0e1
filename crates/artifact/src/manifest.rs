//! `manifest.json`: what an artifact is, what it was made from, and what it holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::{Error, Hash, Result, hash_file};

/// The manifest's file name in every artifact.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Who may see a source. Mixing sources taints the result with the strictest of theirs.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AccessTier {
    /// Anyone.
    #[default]
    Public,
    /// Under a licence or a data use agreement.
    Licensed,
    /// An institution's own records.
    Private,
}

/// One source that an artifact was made from, however many stages ago.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceLineage {
    /// The source's name in the experiment file.
    pub name: String,
    /// Its licence, as the experiment file states it.
    pub licence: String,
    /// Who may see it.
    pub access_tier: AccessTier,
    /// The approval under which it is used (an IRB number, say).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
}

/// An artifact or file that a stage read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its part in the stage: `corpus`, `vocab`, `base`.
    pub role: String,
    /// Where it was when it was read.
    pub path: PathBuf,
    /// Its key, or the hash of its content.
    pub hash: Hash,
}

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the artifact's directory, with `/`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The hash of its content.
    pub blake3: Hash,
}

/// What `manifest.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The stage that wrote it.
    pub stage: String,
    /// The hash of the stage's inputs and resolved config.
    pub key: Hash,
    /// `bimed`'s version.
    pub bimed_version: String,
    /// The resolved config of the stage.
    pub config: serde_json::Value,
    /// What was read.
    pub inputs: Vec<Input>,
    /// Every source it goes back to, sorted.
    pub lineage: Vec<SourceLineage>,
    /// What was made: the stage's own summary.
    pub summary: serde_json::Value,
    /// The files, sorted by path.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// A manifest without files; [`crate::Staging::commit`] fills them in.
    pub fn new(stage: &str, key: Hash, config: serde_json::Value) -> Self {
        Self {
            stage: stage.into(),
            key,
            bimed_version: env!("CARGO_PKG_VERSION").into(),
            config,
            inputs: Vec::new(),
            lineage: Vec::new(),
            summary: serde_json::Value::Null,
            files: Vec::new(),
        }
    }

    /// Reads the manifest of the artifact at `dir`.
    ///
    /// # Errors
    /// When there is none, or it is not of this form.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST_FILE);
        let bytes = fs::read(&path)?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Manifest { path, source })
    }

    /// The strictest access tier of all sources.
    pub fn access_tier(&self) -> AccessTier {
        self.lineage.iter().map(|source| source.access_tier).max().unwrap_or_default()
    }

    /// Adds sources, keeping the list sorted and without repeats.
    pub fn extend_lineage(&mut self, sources: impl IntoIterator<Item = SourceLineage>) {
        self.lineage.extend(sources);
        self.lineage.sort();
        self.lineage.dedup();
    }

    /// Hashes every file under `dir` but the manifest into `files`.
    pub(crate) fn collect_files(&mut self, dir: &Path) -> Result<()> {
        let mut found = BTreeMap::new();
        let mut pending = vec![dir.to_path_buf()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    pending.push(path);
                } else if path != dir.join(MANIFEST_FILE) {
                    let relative = path.strip_prefix(dir).unwrap_or(&path);
                    let name = relative.to_string_lossy().replace('\\', "/");
                    found.insert(name, path);
                }
            }
        }
        self.files = found
            .into_iter()
            .map(|(path, full)| {
                Ok(FileEntry { path, bytes: fs::metadata(&full)?.len(), blake3: hash_file(&full)? })
            })
            .collect::<Result<_>>()?;
        Ok(())
    }

    /// Compares the files on disk with the manifest.
    ///
    /// # Errors
    /// The first file that is missing or differs.
    pub fn verify(&self, dir: &Path) -> Result<()> {
        for entry in &self.files {
            let path = dir.join(&entry.path);
            let found = hash_file(&path)?;
            if found != entry.blake3 {
                return Err(Error::Mismatch {
                    path,
                    found: format!("BLAKE3 {}", found.short()),
                    expected: entry.blake3.short().into(),
                });
            }
        }
        Ok(())
    }
}
