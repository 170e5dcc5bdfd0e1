//! The sections of an experiment file that belong to no stage.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
