//! Which files of a directory are the model.
//!
//! Owns the names that published models go by, and which of several wins. It opens nothing.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::{Error, Result};

/// The config's file name.
pub const CONFIG_FILE: &str = "config.json";
/// The weights' file name.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The vocabulary's file name.
pub const VOCAB_FILE: &str = "vocab.txt";

/// How the weights of a model lie on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightFormat {
    /// `model.safetensors`, alone or in shards.
    Safetensors,
    /// What `torch.save` writes, of any version since 0.4: `pytorch_model.bin`.
    Pytorch,
    /// A TensorFlow 1 checkpoint: an `.index` and its `.data-…`.
    Tensorflow,
}

impl WeightFormat {
    /// Of the file at `path`, by its name; of a TensorFlow checkpoint the index is meant.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("safetensors") => Self::Safetensors,
            Some("index") => Self::Tensorflow,
            _ => Self::Pytorch,
        }
    }

    /// As a user would say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Pytorch => "PyTorch",
            Self::Tensorflow => "TensorFlow 1",
        }
    }
}

/// Where a model's weights are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WeightsAt {
    pub(crate) format: WeightFormat,
    /// The file of the weights, or the index of their shards.
    pub(crate) path: PathBuf,
    /// Whether `path` is a JSON index of shards.
    pub(crate) is_index: bool,
}

/// Names that are looked for in this order: the file, its format, whether it is an index of shards.
const NAMED: &[(&str, WeightFormat, bool)] = &[
    (WEIGHTS_FILE, WeightFormat::Safetensors, false),
    ("model.safetensors.index.json", WeightFormat::Safetensors, true),
    ("pytorch_model.bin", WeightFormat::Pytorch, false),
    ("pytorch_model.bin.index.json", WeightFormat::Pytorch, true),
];

/// Files of the same purpose in formats that are not read.
const NOT_READ: &[&str] = &["tf_model.h5", "flax_model.msgpack", "model.ckpt"];

/// Files of `torch.save` that a training leaves beside a model.
const NOT_WEIGHTS: &[&str] = &["training_args", "optimizer", "scheduler", "rng_state", "scaler"];

/// Whether a file of this name holds a model's config or weights, in any format that is read.
pub fn is_model_file(name: &str) -> bool {
    is_config(name) || is_weights_file(name)
}

/// Whether a file of this name holds weights, or lists the files that do.
pub fn is_weights_file(name: &str) -> bool {
    name.contains(".safetensors")
        || name.ends_with(".bin.index.json")
        || is_pytorch(name)
        || name.ends_with(".index")
        || name.contains(".data-0")
}

/// The config in `dir`: `config.json`, or the only `bert_config*.json`.
///
/// # Errors
/// [`Error::FileMissing`] without one, [`Error::Ambiguous`] with several.
pub fn find_config(dir: &Path) -> Result<PathBuf> {
    let preferred = dir.join(CONFIG_FILE);
    if preferred.is_file() {
        return Ok(preferred);
    }
    match only(dir, "config", is_config)? {
        Some(found) => Ok(found),
        None => {
            let (dir, found) = (dir.to_path_buf(), None);
            Err(Error::FileMissing { dir, found, expected: CONFIG_FILE })
        }
    }
}

/// The vocabulary in `dir`: `vocab.txt`, or the only text file with `vocab` in its name, such as
/// `kmbert_vocab.txt`.
///
/// # Errors
/// [`Error::Ambiguous`] with several.
pub fn find_vocab(dir: &Path) -> Result<Option<PathBuf>> {
    let preferred = dir.join(VOCAB_FILE);
    if preferred.is_file() {
        return Ok(Some(preferred));
    }
    only(dir, "vocabulary", |name| name.contains("vocab") && name.ends_with(".txt"))
}

/// The weights in `dir`: safetensors before PyTorch before TensorFlow, one file before shards, a
/// known name before any other.
pub(crate) fn find_weights(dir: &Path) -> Result<WeightsAt> {
    for &(name, format, is_index) in NAMED {
        let path = dir.join(name);
        if path.is_file() {
            return Ok(WeightsAt { format, path, is_index });
        }
    }
    let at = |format, path| WeightsAt { format, path, is_index: false };
    if let Some(path) = only(dir, "TensorFlow checkpoint", |name| name.ends_with(".index"))? {
        return Ok(at(WeightFormat::Tensorflow, path));
    }
    if let Some(path) = only(dir, "PyTorch file", is_pytorch)? {
        return Ok(at(WeightFormat::Pytorch, path));
    }
    let found = NOT_READ.iter().find(|name| dir.join(name).exists()).copied();
    Err(Error::FileMissing { dir: dir.to_path_buf(), found, expected: WEIGHTS_FILE })
}

fn is_config(name: &str) -> bool {
    name == CONFIG_FILE || name.starts_with("bert_config") && name.ends_with(".json")
}

fn is_pytorch(name: &str) -> bool {
    [".bin", ".pt", ".pth"].iter().any(|ending| name.ends_with(ending))
        && !NOT_WEIGHTS.iter().any(|begin| name.starts_with(begin))
}

/// The one file of `dir` whose name fits.
fn only(dir: &Path, what: &'static str, fits: impl Fn(&str) -> bool) -> Result<Option<PathBuf>> {
    let mut found: Vec<String> = fs::read_dir(dir)?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            (fits(&name) && entry.path().is_file()).then_some(name)
        })
        .collect();
    found.sort();
    match found.as_slice() {
        [] => Ok(None),
        [name] => Ok(Some(dir.join(name))),
        _ => Err(Error::Ambiguous { dir: dir.to_path_buf(), what, found }),
    }
}
