//! What can go wrong with a vocabulary, its tokenizer or its tokens.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of this crate. No message holds text of a document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Writing an artifact failed.
    #[error(transparent)]
    Artifact(#[from] bimed_artifact::Error),
    /// Weights, vectors or a model's directory could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] bimed_checkpoint::Error),
    /// The step was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] bimed_artifact::Cancelled),
    /// The iterator of documents failed.
    #[error("could not read the documents")]
    Documents(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same token on two rows.
    #[error("token `{token}` is on row {second}, expected only on row {first}")]
    DuplicateToken {
        /// The token.
        token: String,
        /// Its first row.
        first: u32,
        /// Its second row.
        second: u32,
    },
    /// A special token that the vocabulary lacks.
    #[error("special token `{token}` is missing among {rows} tokens")]
    MissingSpecial {
        /// The token.
        token: &'static str,
        /// The number of rows.
        rows: usize,
    },
    /// A row without a token, or with a line break in it.
    #[error("row {row} holds {found}, expected a token")]
    BadToken {
        /// The row.
        row: usize,
        /// What it holds, in words.
        found: &'static str,
    },
    /// A model whose embedding is not that of its vocabulary.
    #[error(
        "{path}: the vocabulary has {tokens} tokens, expected {rows}, the rows of the embedding"
    )]
    EmbeddingRows {
        /// The model's directory.
        path: PathBuf,
        /// The tokens of its vocabulary.
        tokens: usize,
        /// The rows of its embedding.
        rows: usize,
    },
    /// A tokenizer that takes apart what its vocabulary holds whole.
    #[error(
        "{path}: accents are stripped, which takes Hangul apart into jamo, but {rows} rows hold whole \
         syllables, which no text would reach"
    )]
    Decomposes {
        /// The tokenizer's directory.
        path: PathBuf,
        /// The rows with a syllable.
        rows: usize,
    },
    /// A file that is not of the form that this version reads.
    #[error("{path}: found {found}, expected {expected}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// Config values out of range.
    #[error("{}", list(.0))]
    Config(Vec<(String, String)>),
    /// There is nothing to train on.
    #[error(
        "found no word to train on in {documents} documents ({valid_documents} more are held out, \
         {private_types_below_floor} private words are below the floor of groups), expected text"
    )]
    NoWords {
        /// Documents that were counted.
        documents: u64,
        /// Documents that are held out.
        valid_documents: u64,
        /// Distinct words of private documents below the floor.
        private_types_below_floor: u64,
    },
    /// The text ran out of pairs before the vocabulary had its size.
    #[error("the text gives {found} {what} tokens, expected {expected}")]
    Shortfall {
        /// `hangul`, `latin` or `vocabulary`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many were asked for.
        expected: usize,
    },
    /// The rows that must be there are more than the size allows.
    #[error("the alphabet takes {required} {what} rows, expected at most {size}")]
    TooSmall {
        /// `hangul`, `latin`, `other` or `vocabulary`.
        what: &'static str,
        /// The rows needed before any merge.
        required: usize,
        /// The rows asked for.
        size: usize,
    },
}

fn list(faults: &[(String, String)]) -> String {
    faults.iter().map(|(key, message)| format!("{key} {message}")).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// Advice, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Shortfall { .. } => Some(
                "give more text, lower the quota, `min_frequency` or `min_groups`, or set \
                 `on_shortfall = \"refill\"`"
                    .into(),
            ),
            Self::NoWords { private_types_below_floor: 1.., .. } => {
                Some("lower `min_groups`, or give text of more patients".into())
            }
            Self::TooSmall { .. } => Some(
                "raise `size`, lower `coverage`, or do without `seed_hangul` or `seed_hanja`"
                    .into(),
            ),
            Self::MissingSpecial { .. } => {
                Some("a BERT vocabulary has [PAD], [UNK], [CLS], [SEP] and [MASK]".into())
            }
            Self::Decomposes { .. } => Some(
                "set `\"strip_accents\": false` in `tokenizer_config.json`; without it, \
                 `\"do_lower_case\": true` strips them too"
                    .into(),
            ),
            Self::EmbeddingRows { .. } => Some(
                "give the tokenizer's files that the model was trained with: no row may be guessed"
                    .into(),
            ),
            Self::Artifact(error) => error.hint(),
            Self::Checkpoint(error) => error.hint(),
            _ => None,
        }
    }
}
