//! The sections that belong to no stage's crate.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bimed_bert::BertConfig;
use bimed_vocab::Init;
use serde::{Deserialize, Serialize};

use crate::experiment::{RangeFaults, name_faults};

/// `[experiment]`: what this experiment is called and where it lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExperimentConfig {
    /// Its name, and that of its directory under `output`: `A-Z a-z 0-9 . _ -`, 1 to 64 long.
    pub(crate) name: String,
    /// Where what a user wants lies: models, logs, tables.
    pub(crate) output: PathBuf,
    /// Where stages meet; experiments may share one.
    pub(crate) store: PathBuf,
    /// The seed of everything random.
    #[serde(default = "default_seed")]
    pub(crate) seed: u64,
    /// Variables for every string of the file: `path = "{data}/notes"`.
    #[serde(default)]
    pub(crate) paths: BTreeMap<String, String>,
}

fn default_seed() -> u64 {
    1
}

impl ExperimentConfig {
    /// Range checks.
    pub(crate) fn faults(&self) -> RangeFaults {
        let mut faults = name_faults("name", &self.name);
        for name in self.paths.keys() {
            let word = |letter: char| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
            };
            if !name.starts_with(|first: char| first.is_ascii_lowercase())
                || !name.chars().all(word)
            {
                let message = "is not a name for a variable, expected `a-z`, `0-9` and `_`";
                faults.push((format!("paths.{name}"), message.into()));
            }
        }
        faults
    }
}

/// `[transplant]`: which model the vocabulary is put into, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransplantConfig {
    /// A Hugging Face directory, or `random`.
    pub(crate) base: PathBuf,
    /// Where the base is to be had, in one line: shown where it is missing, of no effect else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) obtain: Option<String>,
    /// How a row that the base does not have is filled: each way in turn.
    #[serde(default = "default_init")]
    pub(crate) init: Vec<Init>,
    /// How the decoder's bias of a row that the base does not have is found.
    #[serde(default)]
    pub(crate) decoder_bias: DecoderBias,
    /// The shape of a model that starts from nothing; its `vocab_size` is the vocabulary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<BertConfig>,
}

/// The decoder's bias of a row that the base does not have; a base without a masked-word head has no
/// biases at all, and none are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DecoderBias {
    /// By the token's frequency in the arm's text, as the rows that the base has follow theirs. An
    /// arm without `[encode]` has nothing to count, and mixes.
    #[default]
    Fit,
    /// As the row itself is mixed.
    Mix,
}

fn default_init() -> Vec<Init> {
    vec![Init::Copy, Init::CaseVariant, Init::Focus, Init::Fvt, Init::Draw]
}

impl TransplantConfig {
    /// Range checks.
    pub(crate) fn faults(&self) -> RangeFaults {
        let mut faults = RangeFaults::new();
        faults.extend(Init::fault(&self.init).map(|message| ("init".to_owned(), message)));
        if self.obtain.as_ref().is_some_and(|obtain| obtain.trim().is_empty()) {
            let message = "is empty, expected where the base is to be had";
            faults.push(("obtain".into(), message.into()));
        }
        let model = self.model.iter().flat_map(BertConfig::faults);
        faults.extend(model.map(|(key, message)| (format!("model.{key}"), message)));
        faults
    }
}

/// `[export]`: what the exported model says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExportConfig {
    /// The name on the hub that the shown upload command has: `someone/some-model`.
    pub(crate) repository: Option<String>,
    /// The licence's identifier on the hub, where one covers the model.
    pub(crate) licence: Option<String>,
    /// The hub's name of the base.
    pub(crate) base_model: Option<String>,
    /// The hub's names of data sets that the text is from.
    pub(crate) datasets: Vec<String>,
    /// What the exported tokenizer does to text first.
    pub(crate) normalizer: Normalizer,
    /// Who decided, and when, that a model made from private sources may be handed on.
    pub(crate) sign_off: Option<String>,
}

/// What an exported tokenizer does to text first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Normalizer {
    /// What it did in training.
    #[default]
    AsTrained,
    /// Compose (NFC) before all else, so that decomposed Hangul is read too.
    Nfc,
}
