//! `checkpoints/step-N`: a Hugging Face model and what a run needs to go on from it.

use std::path::{Path, PathBuf};

use bimed_artifact::{Hash, create_private_dir, sync_dir, write_json_atomic};
use bimed_bert::{BertForPreTraining, device_of, to_weights};
use bimed_checkpoint::{ModelCard, Weights, read_safetensors, save_model_dir, write_safetensors};
use bimed_ops::Tuning;
use bimed_vocab::{BERT_MAX_LENGTH, Tokenizer, save_tokenizer};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::optimizer::AdamW;
use crate::{Cursor, Error, Result};

/// The folder of a run's checkpoints.
pub const CHECKPOINTS_DIR: &str = "checkpoints";
/// The moments' file in a checkpoint.
pub const OPTIMIZER_FILE: &str = "optimizer.safetensors";
/// The file of what the device's tuning chose, in a checkpoint; on the processor there is none.
pub const TUNING_FILE: &str = "tuning.db";
/// The state's file in a checkpoint.
pub const STATE_FILE: &str = "state.json";

/// What a run goes on from, beside its weights and moments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainState {
    /// Updates done.
    pub step: u64,
    /// Updates in all.
    pub total_steps: u64,
    /// Where the next step's data starts.
    pub cursor: Cursor,
    /// Tokens of text read so far.
    pub tokens: u64,
    /// The run's key: config, data and base.
    pub run: Hash,
}

/// The checkpoints of a run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    dir: PathBuf,
    config: Map<String, Value>,
    tokenizer: Tokenizer,
    card: ModelCard,
}

impl Checkpoints {
    /// The checkpoints under `run_dir`, which carry `config`, `tokenizer` and `card`.
    pub fn new(
        run_dir: &Path,
        config: Map<String, Value>,
        tokenizer: Tokenizer,
        card: ModelCard,
    ) -> Self {
        Self { dir: run_dir.join(CHECKPOINTS_DIR), config, tokenizer, card }
    }

    /// Where the checkpoint of `step` is.
    pub fn path(&self, step: u64) -> PathBuf {
        self.dir.join(format!("step-{step}"))
    }

    /// The longest input of the model, in tokens.
    fn max_length(&self) -> usize {
        let positions = self.config.get("max_position_embeddings").and_then(Value::as_u64);
        positions.map_or(BERT_MAX_LENGTH, |positions| positions as usize)
    }

    /// Writes a checkpoint under a temporary name and renames it.
    ///
    /// # Errors
    /// When the file system refuses; the checkpoint then does not exist.
    pub fn save(
        &self,
        model: &BertForPreTraining,
        optimizer: &AdamW,
        state: &TrainState,
    ) -> Result<()> {
        create_private_dir(&self.dir)?;
        let temporary = self.dir.join(format!(".step-{}.tmp", state.step));
        remove_if_there(&temporary)?;
        create_private_dir(&temporary)?;
        save_model_dir(&temporary, &self.config, &to_weights(model), &self.card)?;
        save_tokenizer(&temporary, &self.tokenizer, self.max_length())?;
        write_safetensors(&temporary.join(OPTIMIZER_FILE), &optimizer.to_weights(model))?;
        Tuning::save(&device_of(model).inner(), &temporary.join(TUNING_FILE))?;
        write_json_atomic(&temporary.join(STATE_FILE), state)?;
        sync_dir(&temporary)?;
        let target = self.path(state.step);
        remove_if_there(&target)?;
        fs::rename(&temporary, &target)?;
        sync_dir(&self.dir)?;
        Ok(())
    }

    /// The newest checkpoint's state, where there is one.
    ///
    /// # Errors
    /// When it is of another run, or cannot be read.
    pub fn latest(&self, run: &Hash) -> Result<Option<TrainState>> {
        let Some(step) = self.steps()?.into_iter().max() else { return Ok(None) };
        let path = self.path(step).join(STATE_FILE);
        let text = fs::read(&path)?;
        let state: TrainState = serde_json::from_slice(&text).map_err(|error| Error::State {
            path: path.clone(),
            line: error.line(),
            column: error.column(),
        })?;
        if state.run != *run {
            return Err(Error::OtherRun {
                path,
                what: "key",
                found: state.run.short().into(),
                expected: run.short().into(),
            });
        }
        Ok(Some(state))
    }

    /// The weights and moments of `step`.
    ///
    /// # Errors
    /// When the files are not there or damaged.
    pub fn load(&self, step: u64) -> Result<(Weights, Weights)> {
        let dir = self.path(step);
        let model = bimed_checkpoint::load_model_dir(&dir)?;
        let moments = read_safetensors(&dir.join(OPTIMIZER_FILE))?;
        Ok((model.weights, moments.weights))
    }

    /// Removes what is older than the newest `keep`; step 0 stays without its moments.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn prune(&self, keep: usize) -> Result<()> {
        let mut steps = self.steps()?;
        steps.sort_unstable_by(|a, b| b.cmp(a));
        for &step in steps.iter().skip(keep) {
            let dir = self.path(step);
            if step == 0 {
                remove_file_if_there(&dir.join(OPTIMIZER_FILE))?;
            } else {
                remove_if_there(&dir)?;
            }
        }
        Ok(())
    }

    fn steps(&self) -> Result<Vec<u64>> {
        if !self.dir.exists() {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            steps.extend(
                name.to_str().and_then(|name| name.strip_prefix("step-")?.parse::<u64>().ok()),
            );
        }
        Ok(steps)
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn remove_file_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
