//! What an evaluation leaves: `results.json`, `results.md`, `results.csv`, `predictions.jsonl`.
//!
//! Owns their form; computes nothing but which figure is best. The comparison of models from
//! their predictions is in [`crate::scoring`].
//!
//! Invariant: no text of an item; no clock; equal results give equal bytes.

mod render;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use bimed_artifact::{AtomicFile, Hash, create_private_dir, write_atomic, write_json_atomic};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::config::Protocol;
use crate::data::Split;
use crate::pair_regression::EpochRecord;
use crate::{Error, Result};

/// The form of `results.json` that this version writes and reads.
pub const RESULTS_SCHEMA_VERSION: u32 = 1;

/// All that an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// [`RESULTS_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `bimed`'s version.
    pub bimed_version: String,
    /// The models, in the order of the tables.
    pub models: Vec<ModelInfo>,
    /// The tasks' data.
    pub data: Vec<DataInfo>,
    /// One figure each, or one SKIPPED task.
    pub rows: Vec<ResultRow>,
    /// Differences between models on the same items.
    pub comparisons: Vec<Comparison>,
    /// The runs of fine-tuning behind the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunInfo>,
}

/// A run of fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunInfo {
    /// The task.
    pub task: String,
    /// The model.
    pub model: String,
    /// The seed.
    pub seed: u64,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Whether the rows rest on it: with several learning rates, on those of one.
    pub is_reported: bool,
    /// Optimizer steps.
    pub steps: u64,
    /// Epoch by epoch.
    pub epochs: Vec<EpochRecord>,
    /// The epoch whose answers are reported.
    pub selected_epoch: u32,
    /// Pairs that were cut to the longest length, by split.
    pub num_truncated: BTreeMap<Split, u64>,
    /// Tensors that started at random because the model lacks them, the classifier beside.
    pub started_at_random: Vec<String>,
}

/// A model, so that a figure can be traced to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// Its name in every row.
    pub name: String,
    /// The hash of its weights' file.
    pub weights: Hash,
    /// The hash of its `vocab.txt`.
    pub vocabulary: Hash,
    /// The hash of its `tokenizer.json`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<Hash>,
    /// Words in its vocabulary.
    pub vocab_size: u64,
    /// Its parameters, tied ones once.
    pub num_parameters: u64,
}

/// A task's data, so that a figure can be traced to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataInfo {
    /// The task.
    pub task: String,
    /// How it is scored.
    pub protocol: Protocol,
    /// The language of its text.
    pub language: String,
    /// What became of its files' rows, or of its documents.
    pub summary: serde_json::Value,
}

/// Whether a row holds a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was measured; `value` is absent only where the metric is not defined on the outcome.
    Measured,
    /// It was not; `note` says why.
    Skipped,
}

/// A confidence interval and how it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfidenceInterval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The probability it is to cover.
    pub confidence: f64,
    /// `bootstrap over items`, `paired bootstrap over items`, with the resamples left out if any.
    pub method: String,
}

/// One figure of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultRow {
    /// The task.
    pub task: String,
    /// How it is scored.
    pub protocol: Protocol,
    /// The split; absent in a SKIPPED row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// The part of the split: a language or a source; empty for all of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// The model's name.
    pub model: String,
    /// `pearson`, `spearman`, `bits_per_character`, …; empty in a SKIPPED row.
    pub metric: String,
    /// Whether there is a figure.
    pub status: Status,
    /// The figure: the mean over `seeds` where there are several.
    pub value: Option<f64>,
    /// The standard deviation over seeds (of the sample), with two or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// Of `value`, over the items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<ConfidenceInterval>,
    /// The items behind it.
    pub num_items: u64,
    /// The seeds of the runs, empty for zero-shot measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<u64>,
    /// The figure of each seed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_seed: Vec<Option<f64>>,
    /// Why it was skipped or is not defined, or what to know about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl ResultRow {
    /// The row of a task that could not be run.
    pub fn skipped(task: &str, protocol: Protocol, model: &str, reason: &str) -> Self {
        Self {
            task: task.to_owned(),
            protocol,
            split: None,
            part: String::new(),
            model: model.to_owned(),
            metric: String::new(),
            status: Status::Skipped,
            value: None,
            deviation: None,
            interval: None,
            num_items: 0,
            seeds: Vec::new(),
            per_seed: Vec::new(),
            note: reason.to_owned(),
        }
    }

    /// What rows must share to stand beside each other.
    fn question(&self) -> (&str, Protocol, Option<Split>, &str, &str) {
        (&self.task, self.protocol, self.split, &self.part, &self.metric)
    }
}

/// `model − reference` on the same items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The task.
    pub task: String,
    /// How it is scored.
    pub protocol: Protocol,
    /// The split.
    pub split: Split,
    /// The metric.
    pub metric: String,
    /// The model.
    pub model: String,
    /// What it is compared with.
    pub reference: String,
    /// The difference; absent where it is not defined, with the reason in `note`.
    pub difference: Option<f64>,
    /// Of the difference, by the paired bootstrap over the items.
    pub interval: Option<ConfidenceInterval>,
    /// The items.
    pub num_items: u64,
    /// Why there is no figure.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Comparison {
    /// Whether the interval of the difference leaves out 0.
    pub fn is_clear(&self) -> bool {
        self.interval.as_ref().is_some_and(|i| i.low > 0.0 || i.high < 0.0)
    }
}

/// A model's answer on one item. The item is named by its row and id, never by its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The task.
    pub task: String,
    /// How it is scored.
    pub protocol: Protocol,
    /// The split.
    pub split: Split,
    /// The model's name.
    pub model: String,
    /// The run's seed; absent for zero-shot measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The item's row in its file, from 1.
    pub row: u64,
    /// The item's id in its file, where it has one; ids need not be unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The gold score, on the file's scale.
    pub gold: f64,
    /// The answer: a score on the file's scale, or a cosine.
    pub prediction: f64,
}

impl Results {
    /// Results of this version without any row.
    pub fn new(bimed_version: &str) -> Self {
        Self {
            schema_version: RESULTS_SCHEMA_VERSION,
            bimed_version: bimed_version.to_owned(),
            models: Vec::new(),
            data: Vec::new(),
            rows: Vec::new(),
            comparisons: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Writes `results.json`, `results.md` and `results.csv` into `dir`.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, dir: &Path) -> Result<()> {
        create_private_dir(dir)?;
        write_json_atomic(&dir.join("results.json"), self)?;
        write_atomic(&dir.join("results.md"), self.to_markdown().as_bytes())?;
        write_atomic(&dir.join("results.csv"), &self.to_csv()?)?;
        Ok(())
    }

    /// Reads a `results.json`.
    ///
    /// # Errors
    /// A file that cannot be read or is of another schema.
    pub fn read(path: &Path) -> Result<Self> {
        let expected = "results of schema version 1";
        let bytes = fs::read(path)?;
        let results: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Error::json(path, 1, expected, &error))?;
        if results.schema_version != RESULTS_SCHEMA_VERSION {
            let found = "another schema version";
            return Err(Error::Json { path: path.into(), line: 1, column: 1, found, expected });
        }
        Ok(results)
    }

    fn to_csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = [
            "task",
            "protocol",
            "split",
            "part",
            "model",
            "metric",
            "status",
            "value",
            "deviation",
            "low",
            "high",
            "confidence",
            "method",
            "num_items",
            "seeds",
            "note",
        ];
        let failed = |error: csv::Error| Error::Io(std::io::Error::other(error.to_string()));
        writer.write_record(header).map_err(failed)?;
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        for row in &self.rows {
            let interval = row.interval.as_ref();
            let seeds: Vec<String> = row.seeds.iter().map(u64::to_string).collect();
            let status = match row.status {
                Status::Measured => "measured",
                Status::Skipped => "skipped",
            };
            let fields = [
                row.task.clone(),
                row.protocol.id().to_owned(),
                row.split.map_or("", Split::name).to_owned(),
                row.part.clone(),
                row.model.clone(),
                row.metric.clone(),
                status.to_owned(),
                number(row.value),
                number(row.deviation),
                number(interval.map(|i| i.low)),
                number(interval.map(|i| i.high)),
                number(interval.map(|i| i.confidence)),
                interval.map(|i| i.method.clone()).unwrap_or_default(),
                row.num_items.to_string(),
                seeds.join(" "),
                row.note.clone(),
            ];
            writer.write_record(&fields).map_err(failed)?;
        }
        writer.into_inner().map_err(|error| Error::Io(error.into_error()))
    }
}

/// Writes `predictions.jsonl`, one answer a line.
///
/// # Errors
/// When the file system refuses.
pub fn write_predictions(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    for prediction in predictions {
        serde_json::to_writer(&mut file, prediction).map_err(std::io::Error::from)?;
        file.write_all(b"\n")?;
    }
    Ok(file.commit()?)
}

/// Reads a `predictions.jsonl`.
///
/// # Errors
/// A file that cannot be read, or a line that is not a prediction.
pub fn read_predictions(path: &Path) -> Result<Vec<Prediction>> {
    let mut predictions = Vec::new();
    for (index, line) in BufReader::new(fs::File::open(path)?).lines().enumerate() {
        let prediction = serde_json::from_str(&line?)
            .map_err(|error| Error::json(path, index + 1, "a prediction", &error))?;
        predictions.push(prediction);
    }
    Ok(predictions)
}

#[cfg(test)]
mod tests;
