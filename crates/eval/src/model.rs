//! A Hugging Face model directory, read once for all tasks.
//!
//! Owns what an evaluation knows of a model: its weights on the host, its tokenizer, the hashes that
//! a figure is traced by, and which parts it lacks. It must not know the tasks.
//!
//! Invariant: the weights are as in the directory; what a task adds to them it takes off again.

use std::path::Path;

use bimed_artifact::{Hash, KeyBuilder, hash_bytes, hash_file};
use bimed_bert::{BertConfig, BertForPreTraining, BertForSequence, fill_missing, load_weights};
use bimed_checkpoint::{Part, Weights, list_weights, load_model_dir};
use bimed_vocab::Tokenizer;
use burn::module::Module;
use burn::tensor::Device;

use crate::results::ModelInfo;
use crate::{Error, Result};

const TOKENIZER_FILE: &str = "tokenizer.json";

/// A model as the protocols take it.
#[derive(Debug)]
pub struct EvalModel {
    /// Its shape.
    pub config: BertConfig,
    /// Its weights by Hugging Face name, without a task's classifier.
    pub weights: Weights,
    /// Its own tokenizer.
    pub tokenizer: Tokenizer,
    /// Its name and the hashes of its files.
    pub info: ModelInfo,
    /// The hash of everything that its answers depend on: shape, weights, tokenizer.
    pub hash: Hash,
    /// The parts that the directory lacks: pooler and heads.
    pub missing: Vec<Part>,
}

impl EvalModel {
    /// Reads the model in `dir` under the name `label`.
    ///
    /// # Errors
    /// When the directory is not a BERT with its tokenizer, or the vocabulary has more rows than
    /// the word embedding.
    pub fn load(label: &str, dir: &Path) -> Result<Self> {
        let mut loaded = load_model_dir(dir)?;
        let config = BertConfig::from_hugging_face(&loaded.config)?;
        let tokenizer = Tokenizer::from_dir(dir)?;
        let vocabulary = tokenizer.vocab().len();
        if vocabulary > config.vocab_size {
            let (path, model) = (dir.to_path_buf(), config.vocab_size);
            return Err(Error::VocabularyRows { path, vocabulary, model });
        }
        let parts = [Part::Pooler, Part::MlmHead, Part::NspHead];
        let missing = parts.into_iter().filter(|&part| !loaded.accounting.has(part)).collect();
        // A task's head starts anew: what another task left there is not the model.
        loaded.weights.tensors.retain(|name, _| !name.starts_with("classifier."));
        let tokenizer_json = dir.join(TOKENIZER_FILE);
        let info = ModelInfo {
            name: label.to_owned(),
            weights: hash_weights(dir)?,
            vocabulary: tokenizer.vocab().hash(),
            tokenizer: tokenizer_json.exists().then(|| hash_file(&tokenizer_json)).transpose()?,
            vocab_size: vocabulary as u64,
            num_parameters: loaded.weights.num_parameters() as u64,
        };
        let options = tokenizer.options();
        let added: Vec<&str> = tokenizer.added_tokens().collect();
        let hash = KeyBuilder::new("eval model", 1)
            .config("config", &config)
            .config("weights", &info.weights)
            .config("vocabulary", &info.vocabulary)
            .config("tokenizer", &(options, added))
            .finish();
        Ok(Self { config, weights: loaded.weights, tokenizer, info, hash, missing })
    }

    /// Whether the directory has `part`.
    pub fn has(&self, part: Part) -> bool {
        !self.missing.contains(&part)
    }

    /// The encoder with both pretraining heads, and the tensors that started at random for want of
    /// their own.
    ///
    /// # Errors
    /// When a tensor has another shape than the config says.
    pub fn pretraining(
        &mut self,
        seed: u64,
        device: &Device,
    ) -> Result<(BertForPreTraining, Vec<String>)> {
        let zeros = BertForPreTraining::zeros(&self.config, device);
        self.fill_and_load(zeros, seed)
    }

    /// The encoder with a classifier of `num_labels` outputs, N(0, `initializer_range`²) by `seed`,
    /// and the other tensors that started at random for want of their own.
    ///
    /// # Errors
    /// When a tensor has another shape than the config says.
    pub fn sequence(
        &mut self,
        num_labels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<(BertForSequence, Vec<String>)> {
        let zeros = BertForSequence::zeros(&self.config, num_labels, device);
        let (model, mut random) = self.fill_and_load(zeros, seed)?;
        random.retain(|name| !name.starts_with("classifier."));
        Ok((model, random))
    }

    fn fill_and_load<M: Module>(&mut self, zeros: M, seed: u64) -> Result<(M, Vec<String>)> {
        let range = self.config.initializer_range;
        let random = fill_missing(&zeros, &mut self.weights, range, seed);
        let model = load_weights(zeros, &self.weights);
        for name in &random {
            self.weights.tensors.remove(name);
        }
        Ok((model?, random))
    }
}

/// The hash of the weights' file, or of all files with their names.
fn hash_weights(dir: &Path) -> Result<Hash> {
    let files = list_weights(dir)?.files;
    if let [single] = files.as_slice() {
        return Ok(hash_file(&dir.join(single))?);
    }
    let mut listed = String::new();
    for name in files {
        listed.push_str(&format!("{}  {name}\n", hash_file(&dir.join(&name))?));
    }
    Ok(hash_bytes(listed.as_bytes()))
}
