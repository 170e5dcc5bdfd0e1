//! `[eval]` and `[[eval.task]]` of an experiment file.
//!
//! Owns the keys, their ranges and defaults; resolves no path and opens no file.

mod faults;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::metrics::Bootstrap;

/// The `[eval]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// The seeds of fine-tuning: heads, dropout and order of the items. Each is a run of its own.
    pub seeds: Vec<u64>,
    /// Tokens on the device at a time, padding included, 512 to 1,048,576. It changes no result
    /// beyond rounding.
    pub micro_batch_tokens: usize,
    /// How the confidence intervals are made.
    pub bootstrap: Bootstrap,
    /// The tasks, in the order of the tables.
    #[serde(rename = "task")]
    pub tasks: Vec<TaskConfig>,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            seeds: vec![1, 2, 3],
            micro_batch_tokens: 4_096,
            bootstrap: Bootstrap::default(),
            tasks: Vec::new(),
        }
    }
}

/// How a task is scored. Figures of different protocols never share a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// Fine-tuned regression on sentence pairs: `[CLS] s1 [SEP] s2 [SEP]`.
    #[serde(rename = "sts.pair_reg")]
    StsPairRegression,
    /// Zero-shot: the cosine of the two sentences' mean token vectors.
    #[serde(rename = "sts.embed")]
    StsEmbed,
    /// Masked words of the token store's valid split: loss, accuracy, bits per character.
    #[serde(rename = "mlm")]
    MaskedWords,
}

impl Protocol {
    /// Its id in configs and results.
    pub fn id(self) -> &'static str {
        match self {
            Self::StsPairRegression => "sts.pair_reg",
            Self::StsEmbed => "sts.embed",
            Self::MaskedWords => "mlm",
        }
    }

    /// The metric by which models are judged, of all that it gives.
    pub fn judged_by(self) -> &'static str {
        match self {
            Self::StsPairRegression | Self::StsEmbed => "pearson",
            Self::MaskedWords => "bits_per_character",
        }
    }
}

/// One `[[eval.task]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskConfig {
    /// Its name in every table; unique in an experiment.
    pub name: String,
    /// How it is scored.
    pub protocol: Protocol,
    /// The language of its text: `ko`, `en`, …; empty where it does not matter.
    #[serde(default)]
    pub language: String,
    /// One file that holds all splits, told apart by `columns.split`. Instead of the next three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The training split's file. `sts.pair_reg` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// The development split's file: what a model is selected on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<PathBuf>,
    /// The test split's file: never looked at before the model is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// Where the files are to be had, in one line: shown where they are missing, of no effect else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obtain: Option<String>,
    /// How the files are written.
    #[serde(default)]
    pub table: TableConfig,
    /// Which column holds what.
    #[serde(default)]
    pub columns: ColumnsConfig,
    /// The lowest score that a rater can give.
    #[serde(default)]
    pub min_score: f64,
    /// The highest.
    #[serde(default = "five")]
    pub max_score: f64,
    /// The most items of each split, chosen by a hash of the row's number; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Rows without a score in range, or with an empty sentence, that are counted and left out of
    /// a file before it is refused.
    #[serde(default)]
    pub max_bad_rows: u64,
    /// Fine-tuning, for `sts.pair_reg`.
    #[serde(default)]
    pub pair_reg: PairRegressionConfig,
    /// Masking, for `mlm`.
    #[serde(default)]
    pub mlm: MaskedWordsConfig,
}

/// How a table's file is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableConfig {
    /// Between the columns: one ASCII character.
    pub delimiter: char,
    /// Whether `"` quotes a field. The STS files of the field are written without.
    pub quoting: bool,
    /// Whether the first row names the columns.
    pub header: bool,
    /// The encoding's WHATWG label: `utf-8`, `cp949`, `utf-16le`, …
    pub encoding: String,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self { delimiter: '\t', quoting: false, header: true, encoding: "utf-8".to_owned() }
    }
}

/// A column by its name in the header, or by its index from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// From 0.
    Index(usize),
    /// As the header writes it.
    Name(String),
}

impl std::fmt::Display for Column {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(formatter, "{index}"),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

/// Which column of a sentence-pair table holds what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnsConfig {
    /// The item's id. Without it, the column `id` where the header has one, else no id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Column>,
    /// The split of a row, where `path` holds them all; `split` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Column>,
    /// The gold score.
    pub score: Column,
    /// The first sentence.
    pub s1: Column,
    /// The second sentence.
    pub s2: Column,
}

impl Default for ColumnsConfig {
    fn default() -> Self {
        let name = |name: &str| Column::Name(name.to_owned());
        Self { id: None, split: None, score: name("score"), s1: name("s1"), s2: name("s2") }
    }
}

/// Which epoch of a fine-tuning run is reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The one with the highest Pearson correlation on dev.
    #[default]
    DevPearson,
    /// The last. The right choice where there is no test split: dev then stays unseen.
    LastEpoch,
}

/// Fine-tuning of `sts.pair_reg`.
///
/// Source of the defaults: KLUE-STS (Park et al. 2021; 5e-5, 4 epochs, batches of 32, warm-up 0.1,
/// no weight decay), a length of 128 as BLUE (Peng et al. 2019).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PairRegressionConfig {
    /// The highest learning rates tried; with more than one, the best on dev is chosen by the mean
    /// over the seeds. Above 0.
    pub learning_rates: Vec<f64>,
    /// Pairs in an optimizer step, 1 to 4096.
    pub batch_size: usize,
    /// Passes over the training pairs, 1 to 1000.
    pub epochs: u32,
    /// The share of the steps in which the learning rate rises, 0 to 1; then it falls to 0.
    pub warmup_fraction: f64,
    /// AdamW's decay, not on biases and LayerNorm, 0 to 1.
    pub weight_decay: f64,
    /// The global norm to which gradients are clipped, above 0.
    pub max_grad_norm: f64,
    /// Dropout before the regression layer, 0 to below 1.
    pub head_dropout_prob: f64,
    /// Pieces of a pair with its special tokens, 8 to 512; the longer sentence is cut first, and
    /// cut pairs are counted.
    pub max_length: usize,
    /// Which epoch is reported.
    pub selection: Selection,
}

impl Default for PairRegressionConfig {
    fn default() -> Self {
        Self {
            learning_rates: vec![5e-5],
            batch_size: 32,
            epochs: 4,
            warmup_fraction: 0.1,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            head_dropout_prob: 0.1,
            max_length: 128,
            selection: Selection::DevPearson,
        }
    }
}

impl PairRegressionConfig {
    /// Whether an epoch or a learning rate is chosen on dev.
    pub fn selects_on_dev(&self) -> bool {
        self.selection == Selection::DevPearson || self.learning_rates.len() > 1
    }
}

/// Masking of `mlm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskedWordsConfig {
    /// The share of words that are masked, above 0 and below 1. Source: BERT masks 15 %.
    pub mask_prob: f64,
    /// The choice of words is a function of it, the document and the word's place.
    pub seed: u64,
    /// NFC characters of the valid split that are scored in each language and source, at most;
    /// 1 or more.
    pub chars: u64,
    /// Tokens of a sample with its special tokens, 8 to 512.
    pub max_length: usize,
}

impl Default for MaskedWordsConfig {
    fn default() -> Self {
        Self { mask_prob: 0.15, seed: 0, chars: 50_000, max_length: 128 }
    }
}

fn five() -> f64 {
    5.0
}
