//! Hugging Face model directories: `config.json`, `model.safetensors`, `README.md`.
//!
//! Owns what those three files say. Tokenizer files beside them are `vocab`'s.
//!
//! Invariant: what [`save_model_dir`] writes, [`load_model_dir`] reads back bit for bit, and
//! `transformers` 4 and 5 load without a missing or unexpected tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bimed_artifact::{Hash, create_private_dir, hash_file, write_atomic, write_json_atomic};
use fs_err as fs;
use serde_json::{Map, Value};

use crate::accounting::{Accounting, account, resolve};
use crate::safetensors::{
    TensorFile, TensorInfo, list_safetensors, read_safetensors, write_safetensors,
};
use crate::{Dimensions, Error, ModelCard, Part, Result, Weights};

/// The config's file name.
pub const CONFIG_FILE: &str = "config.json";
/// The weights' file name.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The vocabulary's file name.
pub const VOCAB_FILE: &str = "vocab.txt";
const INDEX_FILE: &str = "model.safetensors.index.json";
const CARD_FILE: &str = "README.md";

/// Files of the same purpose in formats that are not read.
const OTHER_WEIGHTS: &[&str] =
    &["pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "model.ckpt.index"];
/// Keys that speak of the writer's machine or library, or of an element type that is no longer so.
const DROPPED_KEYS: &[&str] = &["_name_or_path", "transformers_version", "torch_dtype", "dtype"];

/// A model read from its directory.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelDir {
    /// `config.json`, in the order of its keys.
    pub config: Map<String, Value>,
    /// The sizes that the config gives.
    pub dimensions: Dimensions,
    /// The weights by canonical name.
    pub weights: Weights,
    /// What became of each tensor of the files.
    pub accounting: Accounting,
    /// The hash of `vocab.txt`, where there is one: the rows' meaning.
    pub vocab_hash: Option<Hash>,
}

/// Reads the model in `dir`: `config.json` and `model.safetensors`, or its shards by their index.
///
/// # Errors
/// [`Error::FileMissing`] without either file; [`Error::Config`] for a model that is not a BERT of
/// the supported kind; [`Error::Unexplained`], [`Error::Duplicate`], [`Error::Untied`],
/// [`Error::Shapes`] or [`Error::TensorsMissing`] where the tensors are not those of the config;
/// [`Error::Safetensors`] for a damaged file.
pub fn load_model_dir(dir: &Path) -> Result<ModelDir> {
    let config_path = dir.join(CONFIG_FILE);
    if !config_path.exists() {
        let (dir, found) = (dir.to_path_buf(), None);
        return Err(Error::FileMissing { dir, found, expected: CONFIG_FILE });
    }
    let config = read_object(&config_path)?;
    let dimensions = Dimensions::from_config(&config)
        .map_err(|faults| Error::Config { path: config_path, faults })?;
    let (path, file) = read_weights(dir)?;
    let (weights, accounting) = resolve(&path, &dimensions, file.weights, file.others)?;
    let vocab = dir.join(VOCAB_FILE);
    let vocab_hash = if vocab.exists() { Some(hash_file(&vocab)?) } else { None };
    Ok(ModelDir { config, dimensions, weights, accounting, vocab_hash })
}

/// Writes a model to `dir`, which is made where it is not there: `config.json`,
/// `model.safetensors` and, from `card`, `README.md`.
///
/// The config is written as given but for `architectures` and `model_type`, which say what the
/// weights are, and for keys of the writer's machine and library, which are left out. The tied
/// decoder is not written: `transformers` ties it again.
///
/// # Errors
/// As [`load_model_dir`] for a config or weights that would not load again; nothing is then written.
pub fn save_model_dir(
    dir: &Path,
    config: &Map<String, Value>,
    weights: &Weights,
    card: &ModelCard,
) -> Result<Accounting> {
    let dimensions = Dimensions::from_config(config)
        .map_err(|faults| Error::Config { path: dir.join(CONFIG_FILE), faults })?;
    let accounting = account(dir, &dimensions, weights, &BTreeMap::new())?;
    create_private_dir(dir)?;
    write_safetensors(&dir.join(WEIGHTS_FILE), weights)?;
    write_json_atomic(&dir.join(CONFIG_FILE), &saved_config(config, &accounting))?;
    write_atomic(&dir.join(CARD_FILE), card.to_markdown().as_bytes())?;
    Ok(accounting)
}

/// The class of `transformers` that has just the parts of a model.
fn architecture(accounting: &Accounting) -> &'static str {
    let has = |part| accounting.has(part);
    match (has(Part::MlmHead), has(Part::NspHead)) {
        (true, true) => "BertForPreTraining",
        (true, false) => "BertForMaskedLM",
        (false, true) => "BertForNextSentencePrediction",
        (false, false) if has(Part::Classifier) => "BertForSequenceClassification",
        (false, false) => "BertModel",
    }
}

fn saved_config(config: &Map<String, Value>, accounting: &Accounting) -> Map<String, Value> {
    let mut saved = Map::new();
    saved.insert("architectures".into(), serde_json::json!([architecture(accounting)]));
    saved.insert("model_type".into(), "bert".into());
    for (key, value) in config {
        if !saved.contains_key(key) && !DROPPED_KEYS.contains(&key.as_str()) {
            saved.insert(key.clone(), value.clone());
        }
    }
    saved
}

fn read_object(path: &Path) -> Result<Map<String, Value>> {
    let bytes = fs::read(path)?;
    serde_json::from_slice(&bytes).map_err(|error| Error::json(path, &error))
}

/// The files that hold a model's weights, and their tensors as the headers describe them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightFiles {
    /// `model.safetensors` alone, or every shard, sorted.
    pub files: Vec<String>,
    /// Whether an index lists them as shards.
    pub is_sharded: bool,
    /// Every tensor by its name in the files.
    pub tensors: Vec<TensorInfo>,
}

/// Lists the weights of the model in `dir` without reading them.
///
/// # Errors
/// As [`load_model_dir`], but for what only the config or the elements could tell.
pub fn list_weights(dir: &Path) -> Result<WeightFiles> {
    let Weighed { path, shards } = weighed(dir)?;
    let Some(map) = shards else {
        let tensors = list_safetensors(&path)?;
        return Ok(WeightFiles { files: vec![WEIGHTS_FILE.into()], is_sharded: false, tensors });
    };
    let mut tensors = Vec::new();
    let files = shard_names(&path, &map)?;
    for shard in &files {
        let found = list_safetensors(&dir.join(shard))?;
        check_shard(&path, &map, shard, found.iter().map(|tensor| &tensor.name))?;
        tensors.extend(found);
    }
    let found: BTreeSet<&String> = tensors.iter().map(|tensor| &tensor.name).collect();
    check_complete(&path, &map, |name| found.contains(name))?;
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(WeightFiles { files, is_sharded: true, tensors })
}

/// Which tensor is in which shard.
type ShardMap = BTreeMap<String, String>;

/// Where a model's weights are.
struct Weighed {
    /// The one file, or the index.
    path: PathBuf,
    /// What the index says, where there is one.
    shards: Option<ShardMap>,
}

fn weighed(dir: &Path) -> Result<Weighed> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: ShardMap,
    }
    let single = dir.join(WEIGHTS_FILE);
    if single.exists() {
        return Ok(Weighed { path: single, shards: None });
    }
    let path = dir.join(INDEX_FILE);
    if path.exists() {
        let index: Index = serde_json::from_slice(&fs::read(&path)?)
            .map_err(|error| Error::json(&path, &error))?;
        return Ok(Weighed { path, shards: Some(index.weight_map) });
    }
    let found = OTHER_WEIGHTS.iter().find(|name| dir.join(name).exists()).copied();
    Err(Error::FileMissing { dir: dir.to_path_buf(), found, expected: WEIGHTS_FILE })
}

/// The tensors of the one file or of all shards, with the path to name in errors.
fn read_weights(dir: &Path) -> Result<(PathBuf, TensorFile)> {
    let Weighed { path, shards } = weighed(dir)?;
    let file = match shards {
        None => read_safetensors(&path)?,
        Some(map) => read_shards(dir, &path, &map)?,
    };
    Ok((path, file))
}

fn read_shards(dir: &Path, index: &Path, map: &ShardMap) -> Result<TensorFile> {
    let mut all = TensorFile::default();
    for shard in shard_names(index, map)? {
        let file = read_safetensors(&dir.join(&shard))?;
        let names = file.weights.tensors.keys().chain(file.others.iter().map(|other| &other.name));
        check_shard(index, map, &shard, names)?;
        all.weights.tensors.extend(file.weights.tensors);
        all.others.extend(file.others);
        all.metadata.extend(file.metadata);
    }
    check_complete(index, map, |name| {
        all.weights.tensors.contains_key(name) || all.others.iter().any(|other| other.name == *name)
    })?;
    Ok(all)
}

fn wrong(index: &Path, reason: String) -> Error {
    Error::Index { path: index.to_path_buf(), reason }
}

fn shard_names(index: &Path, map: &ShardMap) -> Result<Vec<String>> {
    let shards: BTreeSet<&String> = map.values().collect();
    // A name, never a path: an index must not reach outside its directory.
    let is_name = |shard: &String| Path::new(shard).file_name() == Some(shard.as_ref());
    match shards.iter().find(|shard| !is_name(shard)) {
        None => Ok(shards.into_iter().cloned().collect()),
        Some(shard) => {
            let shard = shard.escape_debug();
            Err(wrong(index, format!("found the shard `{shard}`, expected a file name")))
        }
    }
}

fn check_shard<'n>(
    index: &Path,
    map: &ShardMap,
    shard: &String,
    mut names: impl Iterator<Item = &'n String>,
) -> Result<()> {
    match names.find(|name| map.get(*name) != Some(shard)) {
        None => Ok(()),
        Some(name) => {
            let reason = format!("`{name}` is in `{shard}`, where the index does not have it");
            Err(wrong(index, reason))
        }
    }
}

fn check_complete(index: &Path, map: &ShardMap, is_there: impl Fn(&String) -> bool) -> Result<()> {
    match map.iter().find(|(name, _)| !is_there(name)) {
        None => Ok(()),
        Some((name, shard)) => Err(wrong(index, format!("`{name}` is not in `{shard}`"))),
    }
}
