//! Model directories: published ones in, Hugging Face's out.
//!
//! Owns what `config.json`, the weights and `README.md` say. Tokenizer files beside them are `vocab`'s.
//!
//! Invariant: what [`save_model_dir`] writes, [`load_model_dir`] reads back bit for bit, and
//! `transformers` 4 and 5 load without a missing or unexpected tensor.

use std::path::Path;

use bimed_artifact::{Hash, create_private_dir, hash_file, write_atomic, write_json_atomic};
use fs_err as fs;
use serde_json::{Map, Value};

use crate::accounting::{Accounting, account_weights, plan};
use crate::layout::{
    CONFIG_FILE, WEIGHTS_FILE, WeightFormat, WeightsAt, find_config, find_vocab, find_weights,
};
use crate::names::Naming;
use crate::pytorch::PytorchFile;
use crate::safetensors::{SafetensorsFile, write_safetensors};
use crate::shards::Shards;
use crate::source::{Source, TensorInfo};
use crate::tensorflow::Bundle;
use crate::{CARD_FILE, Dimensions, Error, ModelCard, Part, Result, Weights};

/// Keys that speak of the writer's machine or library, or of an element type that is no longer so.
const DROPPED_KEYS: &[&str] = &["_name_or_path", "transformers_version", "torch_dtype", "dtype"];

/// A model read from its directory.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelDir {
    /// The config, in the order of its keys.
    pub config: Map<String, Value>,
    /// The sizes that the config gives.
    pub dimensions: Dimensions,
    /// The weights by canonical name.
    pub weights: Weights,
    /// What became of each tensor of the files.
    pub accounting: Accounting,
    /// The hash of the vocabulary's file, where there is one: the rows' meaning.
    pub vocab_hash: Option<Hash>,
}

/// Reads the model in `dir`, as Hugging Face or its authors published it.
///
/// The config is `config.json` or the only `bert_config*.json`; the vocabulary `vocab.txt` or the
/// only text file with `vocab` in its name; the weights the first of `model.safetensors`, its
/// shards, `pytorch_model.bin`, its shards, the only TensorFlow checkpoint (`*.index`), the only
/// other file of PyTorch.
///
/// # Errors
/// [`Error::FileMissing`] or [`Error::Ambiguous`] where config or weights are not one; [`Error::Config`]
/// for a model that is not a BERT of the supported kind; [`Error::Unexplained`],
/// [`Error::Duplicate`], [`Error::Untied`], [`Error::Shapes`], [`Error::ElementTypes`],
/// [`Error::Claims`] or [`Error::TensorsMissing`] where the tensors are not those of the config;
/// [`Error::Safetensors`], [`Error::Pytorch`] or [`Error::Tensorflow`] for a damaged file.
pub fn load_model_dir(dir: &Path) -> Result<ModelDir> {
    let config_path = find_config(dir)?;
    let config = read_object(&config_path)?;
    let dimensions = Dimensions::from_config(&config)
        .map_err(|faults| Error::Config { path: config_path, faults })?;
    let at = find_weights(dir)?;
    let mut source = open_weights(&at)?.source;
    let naming = match at.format {
        WeightFormat::Safetensors | WeightFormat::Pytorch => Naming::PyTorch,
        WeightFormat::Tensorflow => Naming::TensorFlow,
    };
    let plan = plan(&at.path, &dimensions, naming, source.tensors())?;
    let (weights, accounting) = plan.read(&at.path, &mut *source)?;
    let vocab_hash = find_vocab(dir)?.map(|vocab| hash_file(&vocab)).transpose()?;
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
    let accounting = account_weights(dir, &dimensions, weights)?;
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

/// The files that hold a model's weights, and their tensors as they are described there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightFiles {
    /// How they are written.
    pub format: WeightFormat,
    /// The file alone, or every shard, or a TensorFlow checkpoint's index and data; sorted.
    pub files: Vec<String>,
    /// Whether a JSON index lists them as shards.
    pub is_sharded: bool,
    /// Every tensor by its name in the files.
    pub tensors: Vec<TensorInfo>,
}

/// Lists the weights of the model in `dir` without reading their elements.
///
/// # Errors
/// As [`load_model_dir`], but for what only the config or the elements could tell.
pub fn list_weights(dir: &Path) -> Result<WeightFiles> {
    let at = find_weights(dir)?;
    let Opened { source, files } = open_weights(&at)?;
    let mut tensors = source.tensors().to_vec();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(WeightFiles { format: at.format, files, is_sharded: at.is_index, tensors })
}

/// The tensors of the file at `path`, of any format that is read, sorted by their names; of a
/// TensorFlow checkpoint the `.index` is meant.
///
/// # Errors
/// When the file is not sound.
pub fn list_tensors(path: &Path) -> Result<Vec<TensorInfo>> {
    let at =
        WeightsAt { format: WeightFormat::of(path), path: path.to_path_buf(), is_index: false };
    let mut tensors = open_weights(&at)?.source.tensors().to_vec();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

/// Weights that were opened.
struct Opened {
    source: Box<dyn Source>,
    /// The names of the files.
    files: Vec<String>,
}

fn open_weights(at: &WeightsAt) -> Result<Opened> {
    let open_one = |path: &Path| -> Result<Box<dyn Source>> {
        Ok(match at.format {
            WeightFormat::Safetensors => Box::new(SafetensorsFile::open(path)?),
            WeightFormat::Pytorch => Box::new(PytorchFile::open(path)?),
            WeightFormat::Tensorflow => Box::new(Bundle::open(path)?),
        })
    };
    if at.is_index {
        let (shards, files) = Shards::open(&at.path, open_one)?;
        return Ok(Opened { source: Box::new(shards), files });
    }
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut files = vec![name(&at.path)];
    if at.format == WeightFormat::Tensorflow {
        let bundle = Bundle::open(&at.path)?;
        files.extend(bundle.data_files().map(name));
        files.sort();
        return Ok(Opened { source: Box::new(bundle), files });
    }
    Ok(Opened { source: open_one(&at.path)?, files })
}
