//! `log.jsonl`: one JSON object a line, in the order of the steps.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use bimed_artifact::write_atomic;
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The log's file name in a run.
pub const LOG_FILE: &str = "log.jsonl";

/// The figures of the steps since the record before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainRecord {
    /// Updates done.
    pub step: u64,
    /// Masked-language-model loss, nats a prediction, over the steps since the last record.
    pub loss: f64,
    /// Next-sentence loss, nats a sample, where it is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sentence_loss: Option<f64>,
    /// The share of predictions that were right.
    pub accuracy: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The gradients' global norm of the last step, before clipping.
    pub grad_norm: f64,
    /// Passes over the training split, the one under way in part.
    pub epoch: f64,
    /// Tokens of text read so far, special tokens included, padding not.
    pub tokens: u64,
    /// Predictions since the last record.
    pub predictions: u64,
    /// The share of the batch that is not padding.
    pub fill: f64,
    /// Real tokens a second since the last record; machine-dependent.
    pub tokens_per_second: f64,
}

/// Figures of one language, or of one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ValidationFigures {
    /// Nats a predicted token.
    pub loss: f64,
    /// The share of predictions that were right.
    pub accuracy: f64,
    /// Bits per character of the masked words, `[UNK]` at a uniform cost: comparable across
    /// vocabularies, as a pseudo-likelihood.
    pub bits_per_character: f64,
    /// Predicted tokens behind the figures.
    pub predictions: u64,
    /// NFC characters behind them.
    pub chars: u64,
    /// Of these, under `[UNK]`.
    pub unknown_chars: u64,
    /// Documents behind them.
    pub documents: usize,
}

/// A validation at a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidationRecord {
    /// Updates done.
    pub step: u64,
    /// By language.
    pub languages: BTreeMap<String, ValidationFigures>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LogRecord {
    /// Training.
    Train(TrainRecord),
    /// Validation.
    Validation(ValidationRecord),
}

impl LogRecord {
    /// The updates done.
    pub fn step(&self) -> u64 {
        match self {
            Self::Train(record) => record.step,
            Self::Validation(record) => record.step,
        }
    }
}

/// The log of a run, open for more.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
}

impl RunLog {
    /// Opens the log in `dir` as it was after `step` updates: what a killed run wrote past its last
    /// checkpoint is removed, as those steps are done again. A run from step 0 starts an empty log.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn open_at(dir: &Path, step: u64) -> Result<Self> {
        let path = dir.join(LOG_FILE);
        let kept = read_log(dir)?.into_iter().filter(|record| step > 0 && record.step() <= step);
        let mut text = Vec::new();
        for record in kept {
            write_line(&mut text, &record)?;
        }
        write_atomic(&path, &text)?;
        Ok(Self { path })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn push(&mut self, record: &LogRecord) -> Result<()> {
        let mut line = Vec::new();
        write_line(&mut line, record)?;
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&self.path)?;
        file.write_all(&line)?;
        Ok(())
    }
}

fn write_line(out: &mut Vec<u8>, record: &LogRecord) -> Result<()> {
    serde_json::to_writer(&mut *out, record).map_err(std::io::Error::from)?;
    out.push(b'\n');
    Ok(())
}

/// All whole records of the log in `dir`; a last line that a kill cut short is passed over.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_log(dir: &Path) -> Result<Vec<LogRecord>> {
    let path = dir.join(LOG_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path)?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(step: u64) -> LogRecord {
        LogRecord::Validation(ValidationRecord { step, languages: BTreeMap::new() })
    }

    #[test]
    fn a_log_is_cut_back_to_the_step_it_resumes_from() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = RunLog::open_at(dir.path(), 0).unwrap();
        for step in [0, 5, 10] {
            log.push(&record(step)).unwrap();
        }
        let mut file = fs::OpenOptions::new().append(true).open(dir.path().join(LOG_FILE)).unwrap();
        file.write_all(b"{\"kind\":\"trai").unwrap();
        let mut log = RunLog::open_at(dir.path(), 5).unwrap();
        log.push(&record(6)).unwrap();
        let steps: Vec<_> = read_log(dir.path()).unwrap().iter().map(LogRecord::step).collect();
        assert_eq!(steps, [0, 5, 6]);
    }
}
