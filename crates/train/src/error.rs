//! What can go wrong in training.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A run that cannot start, go on, or be resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An artifact could not be read or written.
    #[error(transparent)]
    Artifact(#[from] bimed_artifact::Error),
    /// A token store or tokenizer could not be read.
    #[error(transparent)]
    Vocab(#[from] bimed_vocab::Error),
    /// Weights could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] bimed_checkpoint::Error),
    /// Weights do not fit the model.
    #[error(transparent)]
    Load(#[from] bimed_bert::LoadError),
    /// A config is not of a BERT that this model computes.
    #[error(transparent)]
    Config(#[from] bimed_bert::ConfigError),
    /// Asked to stop.
    #[error(transparent)]
    Cancelled(#[from] bimed_artifact::Cancelled),
    /// A saved optimizer of another model.
    #[error("the optimizer state has `{name}`, which the model does not")]
    UnknownMoment {
        /// The tensor.
        name: String,
    },
    /// The store and the model do not speak of the same vocabulary.
    #[error("the token store has {store} rows, the model {model}")]
    VocabularySize {
        /// Rows of the store's vocabulary.
        store: usize,
        /// Rows of the model's word embedding.
        model: usize,
    },
    /// Samples longer than the model's positions.
    #[error(
        "`pretrain.sequence_length` is `{found}`, expected at most the base's {positions} positions"
    )]
    SequenceLength {
        /// Asked for.
        found: usize,
        /// The model's.
        positions: usize,
    },
    /// A precision that the operations do not compute.
    #[error("`pretrain.precision` is another than what the `{ops}` operations compute")]
    Precision {
        /// The implementation.
        ops: &'static str,
    },
    /// A store without the split that is needed.
    #[error("{path}: no token in the split `{split}`")]
    EmptySplit {
        /// The store.
        path: PathBuf,
        /// The split.
        split: &'static str,
    },
    /// A base without tensors that a config does not allow to start at random.
    #[error("the base lacks {}", .names.join(", "))]
    MissingHead {
        /// The tensors.
        names: Vec<String>,
    },
    /// A loss that is no number.
    #[error("the loss is not finite at step {step}")]
    NotFinite {
        /// The step.
        step: u64,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] bimed_ops::DeviceFault),
    /// What the device's tuning chose could not be kept or found again.
    #[error(transparent)]
    Tuning(#[from] bimed_ops::TuningError),
    /// A micro-batch that the device has no memory for.
    #[error("`pretrain.micro_batch_tokens` is `{found}`: {fault}")]
    OutOfMemory {
        /// Tokens on the device at a time, as asked for.
        found: usize,
        /// What the device said.
        fault: bimed_ops::DeviceFault,
        /// The largest that was tried and fits, where any does.
        fits: Option<usize>,
    },
    /// A checkpoint's state that this version does not write.
    #[error("{path}:{line}:{column}: not the state of a run of this version")]
    State {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A checkpoint of another run.
    #[error("{path} is of another run: its {what} is {found}, expected {expected}")]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// Its value there.
        found: String,
        /// This run's.
        expected: String,
    },
}

impl Error {
    /// Advice, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(error) => error.hint(),
            Self::MissingHead { .. } => Some(
                "add `[pretrain.head]`: the head is then trained first, with the body frozen"
                    .into(),
            ),
            Self::NotFinite { .. } => Some(
                "lower `pretrain.optimizer.learning_rate` or lengthen the warm-up; the last \
                 checkpoint stands"
                    .into(),
            ),
            Self::OutOfMemory { fits: Some(fits), .. } => Some(format!(
                "`pretrain.micro_batch_tokens = {fits}` was tried and fits; a step stays as large, \
                 in more micro-batches"
            )),
            Self::OutOfMemory { fits: None, .. } => Some(
                "one sample does not fit: lower `pretrain.sequence_length`, or free the device of \
                 what else runs on it"
                    .into(),
            ),
            Self::OtherRun { .. } => Some("begin again with `--fresh`".into()),
            Self::EmptySplit { .. } => {
                Some("raise `corpus.split.valid_fraction`, or add documents".into())
            }
            _ => None,
        }
    }
}
