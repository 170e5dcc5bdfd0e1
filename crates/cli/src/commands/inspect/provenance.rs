//! Where an artifact comes from and whether its files are what was written: its manifest, that of an
//! export, or that of the run that a checkpoint is in.

use std::path::{Path, PathBuf};

use bimed_artifact::{FileEntry, MANIFEST_FILE, Manifest, SourceLineage};
use bimed_eval::Table;
use serde_json::json;

use super::page::{Page, counted};
use crate::commands::recognise::{Found, Kind};
use crate::failure::UsageError;
use crate::paths::shown;
use crate::stages::card::{strictest, tier_name};
use crate::stages::tables;
use crate::stages::training_manifest::TrainingManifest;

/// What was recorded of an artifact.
#[derive(Debug)]
pub(super) struct Provenance {
    /// The directory whose files `record` lists.
    dir: PathBuf,
    /// The part of it that is meant: a file or a folder; empty for all of it.
    inside: String,
    record: Record,
}

#[expect(clippy::large_enum_variant, reason = "there is one of them in a run of the program")]
#[derive(Debug)]
enum Record {
    Artifact(Manifest),
    Export(TrainingManifest),
}

impl Provenance {
    /// Of what was found, where anything was recorded.
    ///
    /// # Errors
    /// When a manifest cannot be read.
    pub(super) fn of(found: &Found) -> anyhow::Result<Option<Self>> {
        let path = &found.path;
        if let Some(manifest) = &found.manifest {
            let record = Record::Artifact(manifest.clone());
            return Ok(Some(Self { dir: path.clone(), inside: String::new(), record }));
        }
        match found.kind {
            Kind::TrainingCheckpoint => Ok(Self::in_run(path)),
            Kind::Arm => Self::in_dir(&path.join("model"), String::new()),
            _ if path.is_dir() => Self::in_dir(path, String::new()),
            _ => {
                let dir = path.parent().unwrap_or(Path::new("")).to_path_buf();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Self::in_dir(&dir, name)
            }
        }
    }

    fn in_dir(dir: &Path, inside: String) -> anyhow::Result<Option<Self>> {
        let record = match Manifest::read(dir) {
            Ok(manifest) if dir.join(MANIFEST_FILE).is_file() => Some(Record::Artifact(manifest)),
            _ => TrainingManifest::read(dir)?.map(Record::Export),
        };
        Ok(record.map(|record| Self { dir: dir.to_path_buf(), inside, record }))
    }

    /// A checkpoint is a folder of its run, whose manifest is there once the run is done.
    fn in_run(checkpoint: &Path) -> Option<Self> {
        let checkpoints = checkpoint.parent()?;
        let run = checkpoints.parent()?;
        let record = Record::Artifact(Manifest::read(run).ok()?);
        let inside = checkpoint.strip_prefix(run).ok()?.to_string_lossy().replace('\\', "/");
        Some(Self { dir: run.to_path_buf(), inside, record })
    }

    fn files(&self) -> Vec<FileEntry> {
        let files = match &self.record {
            Record::Artifact(manifest) => &manifest.files,
            Record::Export(manifest) => &manifest.files,
        };
        let folder = format!("{}/", self.inside);
        let is_meant = |file: &&FileEntry| {
            self.inside.is_empty() || file.path == self.inside || file.path.starts_with(&folder)
        };
        files.iter().filter(is_meant).cloned().collect()
    }

    fn lineage(&self) -> &[SourceLineage] {
        match &self.record {
            Record::Artifact(manifest) => &manifest.lineage,
            Record::Export(manifest) => &manifest.lineage,
        }
    }

    /// Puts who wrote it and from what on the page.
    pub(super) fn show(&self, page: &mut Page) -> anyhow::Result<()> {
        match &self.record {
            Record::Artifact(manifest) => {
                let (stage, version) = (&manifest.stage, &manifest.bimed_version);
                let key = manifest.key.short();
                page.fact("written by", format!("bimed {version}, stage {stage}, key {key}"));
                for input in &manifest.inputs {
                    let path = shown(&input.path);
                    page.fact("from", format!("{} {path}", input.role));
                }
                page.put("manifest", manifest)?;
            }
            Record::Export(manifest) => {
                let (experiment, arm) = (&manifest.experiment, &manifest.arm);
                let (version, base) = (&manifest.bimed_version, &manifest.base);
                page.fact(
                    "written by",
                    format!("bimed {version}, experiment {experiment}, arm {arm}, base {base}"),
                );
                page.put("training_manifest", manifest)?;
            }
        }
        let tier = tier_name(strictest(self.lineage()));
        let sources = counted(self.lineage().len(), "source");
        page.fact("access tier", format!("{tier}, {sources} (`--lineage`)"));
        page.put("access_tier", tier)?;
        page.put("lineage", self.lineage())
    }

    /// Every source with its licence.
    pub(super) fn lineage_table(&self) -> Table {
        tables::lineage(self.lineage())
    }

    /// Compares every file with what was recorded, and puts that on the page.
    ///
    /// # Errors
    /// The first file that is missing or differs; [`UsageError`] where nothing was recorded of it.
    pub(super) fn verify(&self, page: &mut Page) -> anyhow::Result<()> {
        let files = self.files();
        if files.is_empty() {
            return Err(nothing_recorded(&self.dir.join(&self.inside)));
        }
        let count = files.len();
        match &self.record {
            Record::Artifact(manifest) => {
                Manifest { files, ..manifest.clone() }.verify(&self.dir)?;
            }
            Record::Export(manifest) => {
                TrainingManifest { files, ..manifest.clone() }.verify(&self.dir)?;
            }
        }
        page.fact("verified", format!("{}, each as it was written", counted(count, "file")));
        page.put("verified", json!({ "files": count }))
    }
}

/// `--verify` on something whose hashes nobody wrote down.
pub(super) fn nothing_recorded(path: &Path) -> anyhow::Error {
    let message = format!("no hashes were recorded of `{}`: nothing to verify", path.display());
    let hint = "artifacts of the store, finished runs and exported models have them";
    UsageError::new(message).with_hint(hint).into()
}
