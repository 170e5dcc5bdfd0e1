//! What a path is, by the files that are there.
//!
//! Owns the marks of every kind of artifact, ours or another's. It reads manifests and nothing else
//! of what it recognises.

use std::path::{Path, PathBuf};

use bimed_artifact::{MANIFEST_FILE, Manifest};
use bimed_checkpoint::{CONFIG_FILE, VOCAB_FILE, find_config, is_weights_file};
use bimed_train::{CHECKPOINTS_DIR, LOG_FILE, STATE_FILE};
use fs_err as fs;
use serde::de::DeserializeOwned;

use crate::failure::UsageError;
use crate::paths::normal;
use crate::stages::{corpus, encode, head, pretrain, training_manifest, vocab};

/// The resolved experiment of an arm.
pub(super) const EXPERIMENT_FILE: &str = "experiment.toml";
/// The figures of an evaluation.
pub(super) const RESULTS_FILE: &str = "results.json";
/// Vocabularies side by side.
pub(super) const REPORT_FILE: &str = "report.json";
/// The tokenizer of Hugging Face, its vocabulary in it.
const TOKENIZER_FILE: &str = "tokenizer.json";
/// What a token store holds.
const INDEX_FILE: &str = "index.json";

/// Files that speak for the directory they are in.
const SPEAK_FOR_DIRECTORY: [&str; 12] = [
    MANIFEST_FILE,
    training_manifest::TRAINING_MANIFEST_FILE,
    CONFIG_FILE,
    TOKENIZER_FILE,
    "tokenizer_config.json",
    "bert_config.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
    LOG_FILE,
    STATE_FILE,
    INDEX_FILE,
    EXPERIMENT_FILE,
];

/// A `config.json` alone may be anything's; with one of these, or weights, it is a model's.
const BESIDE_CONFIG: [&str; 3] = ["tf_model.h5", VOCAB_FILE, TOKENIZER_FILE];

/// What was looked for, as a user would see it.
const LOOKED_FOR: &str = "`manifest.json`, `config.json`, `bert_config.json`, `vocab.txt`, `tokenizer.json`, \
    `index.json`, `log.jsonl`, `results.json`, `report.json` or `experiment.toml`";

/// The kinds of artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Documents.
    Corpus,
    /// A vocabulary, or a tokenizer's directory.
    Vocabulary,
    /// Vocabularies side by side on text.
    VocabularyReport,
    /// Encoded documents.
    TokenStore,
    /// A model's directory.
    Model,
    /// A model's directory with what its training goes on from.
    TrainingCheckpoint,
    /// A pretraining: log and checkpoints.
    TrainingRun,
    /// What an arm of an experiment made.
    Arm,
    /// What the arms of an experiment made.
    Experiment,
    /// Figures on tasks.
    Evaluation,
    /// One file of tensors.
    Weights,
    /// An artifact of the store that is none of these.
    Artifact,
}

impl Kind {
    /// With its article.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Corpus => "a corpus",
            Self::Vocabulary => "a vocabulary",
            Self::VocabularyReport => "a vocabulary report",
            Self::TokenStore => "a token store",
            Self::Model => "a model",
            Self::TrainingCheckpoint => "a training checkpoint",
            Self::TrainingRun => "a training run",
            Self::Arm => "an arm of an experiment",
            Self::Experiment => "an experiment",
            Self::Evaluation => "an evaluation",
            Self::Weights => "a file of tensors",
            Self::Artifact => "an artifact of the store",
        }
    }
}

/// A path that was recognised.
#[derive(Debug)]
pub(super) struct Found {
    /// What it is.
    pub(super) kind: Kind,
    /// The directory, or the file where a file alone is meant.
    pub(super) path: PathBuf,
    /// What `bimed` wrote of it.
    pub(super) manifest: Option<Manifest>,
}

/// Recognises what is at `path`.
///
/// # Errors
/// [`UsageError`] for nothing, or for what is not an artifact; a manifest that does not parse where
/// nothing else tells what the directory is.
pub(super) fn recognise(path: &Path) -> anyhow::Result<Found> {
    let path = normal(path);
    if path.is_dir() {
        return directory(&path);
    }
    if path.is_file() {
        return file(&path);
    }
    let message = match path.exists() {
        true => format!("`{}` is neither a file nor a directory", path.display()),
        false => format!("`{}` does not exist", path.display()),
    };
    Err(UsageError::new(message).into())
}

fn file(path: &Path) -> anyhow::Result<Found> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let found = |kind| Found { kind, path: path.to_path_buf(), manifest: None };
    if SPEAK_FOR_DIRECTORY.contains(&name.as_str()) {
        return directory(&normal(path.parent().unwrap_or(Path::new("."))));
    }
    let kind = match name.as_str() {
        RESULTS_FILE => Kind::Evaluation,
        REPORT_FILE => Kind::VocabularyReport,
        // `kmbert_vocab.txt`; another text file may be a document.
        _ if name.ends_with(VOCAB_FILE) => Kind::Vocabulary,
        _ if is_weights_file(&name) => Kind::Weights,
        _ => {
            let message = format!("`{}` is not a file of an artifact", path.display());
            let hint = "name a directory, or one of its files: `model.safetensors`, \
                        `pytorch_model.bin`, `model.ckpt.index`, `vocab.txt`, \
                        `results.json`, `report.json`";
            return Err(UsageError::new(message).with_hint(hint).into());
        }
    };
    Ok(found(kind))
}

fn directory(path: &Path) -> anyhow::Result<Found> {
    let manifest_fault = if path.join(MANIFEST_FILE).is_file() {
        match Manifest::read(path) {
            Ok(manifest) => {
                let kind = kind_of(&manifest, path);
                let (path, manifest) = (path.to_path_buf(), Some(manifest));
                return Ok(Found { kind, path, manifest });
            }
            // Others use the name too, for other things.
            Err(error) => Some(error),
        }
    } else {
        None
    };
    match (by_files(path), manifest_fault) {
        (Some(kind), _) => Ok(Found { kind, path: path.to_path_buf(), manifest: None }),
        (None, Some(bimed_artifact::Error::Manifest { path, source })) => {
            let (line, column) = (source.line(), source.column());
            let message =
                format!("{}:{line}:{column}: not a manifest of this version", path.display());
            Err(UsageError::new(message).with_hint("run the stage that wrote it again").into())
        }
        (None, Some(error)) => Err(error.into()),
        (None, None) => Err(not_recognised(path)),
    }
}

/// By the stage that wrote it.
fn kind_of(manifest: &Manifest, path: &Path) -> Kind {
    match manifest.stage.as_str() {
        corpus::STAGE => Kind::Corpus,
        vocab::STAGE => Kind::Vocabulary,
        vocab::REPORT_STAGE => Kind::VocabularyReport,
        encode::STAGE => Kind::TokenStore,
        pretrain::STAGE | head::STAGE => Kind::TrainingRun,
        _ => by_files(path).unwrap_or(Kind::Artifact),
    }
}

/// By the files that only one kind has.
fn by_files(path: &Path) -> Option<Kind> {
    let has = |name: &str| path.join(name).is_file();
    let tests = [
        (Kind::TrainingCheckpoint, has(STATE_FILE) && has(CONFIG_FILE)),
        (Kind::Model, is_model(path)),
        (Kind::TokenStore, has(INDEX_FILE) && has("ids.bin")),
        (Kind::Arm, has(EXPERIMENT_FILE)),
        (Kind::Experiment, !arms(path).is_empty()),
        (Kind::TrainingRun, has(LOG_FILE) || path.join(CHECKPOINTS_DIR).is_dir()),
        (Kind::Evaluation, has(RESULTS_FILE)),
        (Kind::Vocabulary, has(VOCAB_FILE) || has(TOKENIZER_FILE)),
        (Kind::VocabularyReport, has(REPORT_FILE)),
    ];
    tests.into_iter().find_map(|(kind, is_there)| is_there.then_some(kind))
}

/// Whether `path` has the config of a model and what belongs to one.
fn is_model(path: &Path) -> bool {
    let mut entries = fs::read_dir(path).into_iter().flatten().flatten();
    find_config(path).is_ok()
        && entries.any(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            BESIDE_CONFIG.contains(&name.as_str()) || is_weights_file(&name)
        })
}

/// The directories below `path` that are arms of an experiment, sorted.
pub(super) fn arms(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut arms: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.join(EXPERIMENT_FILE).is_file())
        .collect();
    arms.sort();
    arms
}

fn not_recognised(path: &Path) -> anyhow::Error {
    let message = format!("`{}` is not an artifact: it has no {LOOKED_FOR}", path.display());
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut below: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && is_artifact_or_holds_some(path))
        .map(|path| format!("`{}`", path.display()))
        .collect();
    below.sort();
    let hint = match below.len() {
        0 => "name a model, a vocabulary, an artifact of the store, or the output of a run".into(),
        1..=8 => format!("look into {}", below.join(", ")),
        more => format!("look into {}, and {} more", below[..8].join(", "), more - 8),
    };
    UsageError::new(message).with_hint(hint).into()
}

fn is_artifact_or_holds_some(path: &Path) -> bool {
    let is_one = |path: &Path| path.join(MANIFEST_FILE).is_file() || by_files(path).is_some();
    let mut below = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    is_one(path) || below.any(|path| path.is_dir() && is_one(&path))
}

/// Reads a JSON file.
///
/// # Errors
/// What is wrong and where; never a value of the file, which may be text of a document.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> anyhow::Result<T> {
    let bytes = fs::read(path)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let found = match error.classify() {
            serde_json::error::Category::Eof => "JSON that ends too early",
            serde_json::error::Category::Data => "JSON of another form",
            _ => "a fault of syntax",
        };
        let (line, column) = (error.line(), error.column());
        anyhow::anyhow!("{}:{line}:{column}: found {found}, expected {expected}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(files: &[&str]) -> Option<Kind> {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        by_files(dir.path())
    }

    #[test]
    fn a_directory_is_what_its_files_say() {
        let check = |files: &[&str], expected| assert_eq!(kind(files), expected, "{files:?}");
        check(&["config.json", "vocab.txt"], Some(Kind::Model));
        check(&["config.json", "state.json", "vocab.txt"], Some(Kind::TrainingCheckpoint));
        check(&["vocab.txt", "report.json"], Some(Kind::Vocabulary));
        check(&["tokenizer.json"], Some(Kind::Vocabulary));
        check(&["bert_config.json", "model.ckpt-7.index"], Some(Kind::Model));
        check(&["bert_config.json", "kmbert_vocab.txt", "pytorch_model.bin"], Some(Kind::Model));
        check(&["config.json"], None);
        check(&["report.json"], Some(Kind::VocabularyReport));
        check(&["index.json", "ids.bin"], Some(Kind::TokenStore));
        check(&["checkpoints/step-5/state.json"], Some(Kind::TrainingRun));
        check(&["results.json"], Some(Kind::Evaluation));
        check(&["experiment.toml", "eval/results.json"], Some(Kind::Arm));
        check(&["results.json", "main/experiment.toml"], Some(Kind::Experiment));
        check(&["index.json", "환자.txt"], None);
    }

    #[test]
    fn json_faults_hold_no_value_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("texts.json");
        fs::write(&path, "[\"환자는 CT상\"]").unwrap();
        let message = read_json::<Vec<u32>>(&path, "a list of numbers").unwrap_err().to_string();
        assert!(message.contains("texts.json:1:") && !message.contains("환자는"), "{message}");
    }
}
