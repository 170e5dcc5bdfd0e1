//! `store/<stage>/<key>`: artifacts under the hash of what made them.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::atomic::{create_private_dir, sync_dir, write_json_atomic};
use crate::lock::lock_file;
use crate::{Hash, MANIFEST_FILE, Manifest, Result};

/// Where stages meet.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A complete artifact.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Its directory.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

/// A directory that becomes an artifact when it is committed and vanishes when it is dropped.
#[derive(Debug)]
pub struct Staging {
    partial: Partial,
    committed: bool,
}

/// A directory that outlives a kill: a run that resumes from what it holds.
#[derive(Debug)]
pub struct Resumable {
    partial: Partial,
}

#[derive(Debug)]
struct Partial {
    dir: PathBuf,
    target: PathBuf,
    // Held until the end: the operating system lets go of it when the process dies.
    _lock: fs::File,
}

impl Store {
    /// A store at `root`, which is made when the first artifact is.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the artifact of `stage` with `key` is or would be.
    pub fn path(&self, stage: &str, key: &Hash) -> PathBuf {
        self.root.join(stage).join(key.short())
    }

    /// Where an unfinished run of `stage` with `key` is or would be.
    pub fn partial_path(&self, stage: &str, key: &Hash) -> PathBuf {
        self.root.join(stage).join(format!("{}.partial", key.short()))
    }

    /// The artifact, when it is there and its manifest names this very key.
    ///
    /// # Errors
    /// When a manifest is there but cannot be read.
    pub fn find(&self, stage: &str, key: &Hash) -> Result<Option<Artifact>> {
        let dir = self.path(stage, key);
        if !dir.join(MANIFEST_FILE).is_file() {
            return Ok(None);
        }
        let manifest = Manifest::read(&dir)?;
        Ok((manifest.key == *key).then_some(Artifact { dir, manifest }))
    }

    /// Opens an empty directory for the artifact; what an earlier kill left is removed.
    ///
    /// # Errors
    /// When another process holds it, or the file system refuses.
    pub fn stage(&self, stage: &str, key: &Hash) -> Result<Staging> {
        let partial = self.open_partial(stage, key)?;
        remove_dir_if_there(&partial.dir)?;
        create_private_dir(&partial.dir)?;
        Ok(Staging { partial, committed: false })
    }

    /// Opens the directory of a run that resumes, with whatever an earlier kill left in it.
    ///
    /// # Errors
    /// When another process holds it, or the file system refuses.
    pub fn resume(&self, stage: &str, key: &Hash) -> Result<Resumable> {
        let partial = self.open_partial(stage, key)?;
        create_private_dir(&partial.dir)?;
        Ok(Resumable { partial })
    }

    /// Removes an artifact and any unfinished run of it: `--fresh`.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn forget(&self, stage: &str, key: &Hash) -> Result<()> {
        remove_dir_if_there(&self.path(stage, key))?;
        remove_dir_if_there(&self.partial_path(stage, key))
    }

    fn open_partial(&self, stage: &str, key: &Hash) -> Result<Partial> {
        let parent = self.root.join(stage);
        create_private_dir(&parent)?;
        let path = parent.join(format!("{}.lock", key.short()));
        let lock = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        lock_file(&lock, &path)?;
        Ok(Partial {
            dir: self.partial_path(stage, key),
            target: self.path(stage, key),
            _lock: lock,
        })
    }
}

impl Partial {
    /// Lists the files, writes the manifest last, renames.
    fn commit(&self, mut manifest: Manifest) -> Result<Artifact> {
        manifest.collect_files(&self.dir)?;
        write_json_atomic(&self.dir.join(MANIFEST_FILE), &manifest)?;
        remove_dir_if_there(&self.target)?;
        fs::rename(&self.dir, &self.target)?;
        if let Some(parent) = self.target.parent() {
            sync_dir(parent)?;
        }
        Ok(Artifact { dir: self.target.clone(), manifest })
    }
}

impl Staging {
    /// Where to write.
    pub fn dir(&self) -> &Path {
        &self.partial.dir
    }

    /// Makes it an artifact.
    ///
    /// # Errors
    /// When a file cannot be hashed or the rename is refused.
    pub fn commit(mut self, manifest: Manifest) -> Result<Artifact> {
        let artifact = self.partial.commit(manifest)?;
        self.committed = true;
        Ok(artifact)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.committed {
            let _ = remove_dir_if_there(&self.partial.dir);
        }
    }
}

impl Resumable {
    /// Where to write.
    pub fn dir(&self) -> &Path {
        &self.partial.dir
    }

    /// Makes it an artifact.
    ///
    /// # Errors
    /// When a file cannot be hashed or the rename is refused.
    pub fn commit(self, manifest: Manifest) -> Result<Artifact> {
        self.partial.commit(manifest)
    }
}

fn remove_dir_if_there(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::{AccessTier, KeyBuilder, SourceLineage};

    fn key(text: &str) -> Hash {
        KeyBuilder::new("vocab", 1).part("text", text.as_bytes()).finish()
    }

    #[test]
    fn a_committed_artifact_is_found_and_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let key = key("폐렴 chest CT상");
        assert!(store.find("vocab", &key).unwrap().is_none());
        let staging = store.stage("vocab", &key).unwrap();
        fs::create_dir(staging.dir().join("sub")).unwrap();
        fs::write(staging.dir().join("sub/vocab.txt"), "[PAD]\n환자\n").unwrap();
        let mut manifest = Manifest::new("vocab", key.clone(), serde_json::json!({"size": 2}));
        manifest.extend_lineage([SourceLineage {
            name: "notes".into(),
            licence: "none".into(),
            access_tier: AccessTier::Private,
            approval: Some("IRB-1".into()),
        }]);
        staging.commit(manifest).unwrap();
        let found = store.find("vocab", &key).unwrap().unwrap();
        assert_eq!(found.manifest.files[0].path, "sub/vocab.txt");
        assert_eq!(found.manifest.access_tier(), AccessTier::Private);
        found.manifest.verify(&found.dir).unwrap();
        fs::write(found.dir.join("sub/vocab.txt"), "[PAD]\nchest\n").unwrap();
        assert!(matches!(found.manifest.verify(&found.dir), Err(Error::Mismatch { .. })));
    }

    #[test]
    fn a_dropped_staging_leaves_nothing_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let staging = store.stage("corpus", &key("a")).unwrap();
        fs::write(staging.dir().join("half"), "x").unwrap();
        drop(staging);
        assert!(!store.path("corpus", &key("a")).exists());
        assert!(!store.partial_path("corpus", &key("a")).exists());
    }

    #[test]
    fn a_resumable_keeps_what_it_has_until_it_is_committed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let run = store.resume("pretrain", &key("a")).unwrap();
        fs::write(run.dir().join("step-1"), "x").unwrap();
        drop(run);
        let run = store.resume("pretrain", &key("a")).unwrap();
        assert!(run.dir().join("step-1").exists());
        run.commit(Manifest::new("pretrain", key("a"), serde_json::Value::Null)).unwrap();
        assert!(store.find("pretrain", &key("a")).unwrap().is_some());
    }

    #[test]
    fn two_writers_of_one_artifact_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let _first = store.stage("corpus", &key("a")).unwrap();
        assert!(matches!(store.stage("corpus", &key("a")), Err(Error::Locked { .. })));
    }
}
