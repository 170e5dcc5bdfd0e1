//! What can go wrong in an evaluation.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to read a task's data or a model, or to write results. Never carries a document's text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An artifact could not be written.
    #[error(transparent)]
    Artifact(#[from] bimed_artifact::Error),
    /// The step was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] bimed_artifact::Cancelled),
    /// A model's weights could not be read.
    #[error(transparent)]
    Checkpoint(#[from] bimed_checkpoint::Error),
    /// A model's tokenizer, or a token store, could not be read.
    #[error(transparent)]
    Vocab(#[from] bimed_vocab::Error),
    /// Weights do not fit the model.
    #[error(transparent)]
    Load(#[from] bimed_bert::LoadError),
    /// A config is not of a BERT that this model computes.
    #[error(transparent)]
    Config(#[from] bimed_bert::ConfigError),
    /// Masked text could not be scored.
    #[error(transparent)]
    Train(#[from] bimed_train::Error),
    /// A vocabulary with more rows than the model's word embedding.
    #[error("{path}: the vocabulary has {vocabulary} rows, expected at most the model's {model}")]
    VocabularyRows {
        /// The model's directory.
        path: PathBuf,
        /// Rows of its vocabulary.
        vocabulary: usize,
        /// Rows of its word embedding.
        model: usize,
    },
    /// Two models of one name.
    #[error("the model name `{name}` is there twice")]
    DuplicateModel {
        /// The name.
        name: String,
    },
    /// A model that differences are to be taken from, and that is not among the models.
    #[error("found no model `{name}`, expected it among {available}")]
    UnknownReference {
        /// The name.
        name: String,
        /// The models there are.
        available: String,
    },
    /// A fine-tuning loss that is no number.
    #[error("task `{task}`, seed {seed}: the loss of epoch {epoch} is not finite")]
    NotFinite {
        /// The task.
        task: String,
        /// The run's seed.
        seed: u64,
        /// The epoch, from 1.
        epoch: u32,
    },
    /// An encoding that has no such name.
    #[error("{path}: found the encoding `{label}`, expected a WHATWG label such as `utf-8`")]
    UnknownEncoding {
        /// The file that was to be read.
        path: PathBuf,
        /// The label in the config.
        label: String,
    },
    /// A line of bytes that the stated encoding does not have.
    #[error("{path}:{line}: found bytes that are not {encoding}")]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The encoding that was expected.
        encoding: &'static str,
    },
    /// A table that does not parse.
    #[error("{path}:{line}: not a row of the table: found {found}")]
    Table {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 where it is not known.
        line: u64,
        /// What kind of fault.
        found: &'static str,
    },
    /// A column that the header does not have.
    #[error("{path}: found no column `{column}`, expected it among {available}")]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The header's names, or how many columns there are.
        available: String,
    },
    /// More rows than allowed that cannot be used.
    #[error(
        "{path}: found {count} rows that cannot be used (the first: line {line}, {reason}), \
         expected at most {allowed}"
    )]
    BadRows {
        /// The file.
        path: PathBuf,
        /// How many.
        count: u64,
        /// The first one's line, from 1.
        line: u64,
        /// The first one's fault.
        reason: &'static str,
        /// The config's `max_bad_rows`.
        allowed: u64,
    },
    /// A file of results or predictions, or a run log, that is not what this version writes.
    #[error("{path}:{line}:{column}: found {found}, expected {expected}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The kind of fault; never the value.
        found: &'static str,
        /// What was to be read.
        expected: &'static str,
    },
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Artifact(error) => return error.hint(),
            Self::Checkpoint(error) => return error.hint(),
            Self::Vocab(error) => return error.hint(),
            Self::Train(error) => return error.hint(),
            Self::NotFinite { .. } => "lower `pair_reg.learning_rates` or raise the warm-up",
            Self::Encoding { .. } => "set `table.encoding`, for example `cp949`",
            Self::Table { .. } => "set `table.delimiter` and `table.quoting` as in the file",
            Self::MissingColumn { .. } => {
                "set `columns`, by name, or by index from 0 with `table.header = false`"
            }
            Self::BadRows { .. } => {
                "correct the file, widen `min_score` and `max_score`, or raise `max_bad_rows`"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// A JSON fault of line `line` of `path`, without the value at fault.
    pub(crate) fn json(
        path: &std::path::Path,
        line: usize,
        expected: &'static str,
        error: &serde_json::Error,
    ) -> Self {
        let found = match error.classify() {
            serde_json::error::Category::Io => "an unreadable file",
            serde_json::error::Category::Syntax => "a fault of syntax",
            serde_json::error::Category::Data => "a value of another kind",
            serde_json::error::Category::Eof => "the end of the text",
        };
        let line = line + error.line().saturating_sub(1);
        Self::Json { path: path.to_path_buf(), line, column: error.column(), found, expected }
    }
}
