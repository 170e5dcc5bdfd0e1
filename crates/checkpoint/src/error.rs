//! What can go wrong with a model's files.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::pytorch::PytorchFault;
use crate::safetensors::SafetensorsFault;
use crate::tensorflow::TensorflowFault;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault of one key of a model's config: the key and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The key in `config.json`.
    pub key: &'static str,
    /// What was found and expected, in words: "is `relu`, expected `gelu`".
    pub message: String,
}

/// A tensor whose shape is not the one that the config asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// The Hugging Face name.
    pub name: String,
    /// The shape in the file.
    pub found: Vec<usize>,
    /// The shape by the config.
    pub expected: Vec<usize>,
}

/// A tensor by name and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedShape {
    /// The name.
    pub name: String,
    /// The length of each axis.
    pub shape: Vec<usize>,
}

/// A failure to read, write or change a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An artifact could not be written.
    #[error(transparent)]
    Artifact(#[from] bimed_artifact::Error),
    /// A file that is not a sound safetensors file.
    #[error("{path}: {fault}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: SafetensorsFault,
    },
    /// A file that is not one that PyTorch's `torch.save` writes of a model's tensors.
    #[error("{path}: {fault}")]
    Pytorch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: PytorchFault,
    },
    /// A file that is not of a sound TensorFlow checkpoint.
    #[error("{path}: {fault}")]
    Tensorflow {
        /// The index, or the file of the data.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: TensorflowFault,
    },
    /// A JSON file that does not parse, or is not of the expected form.
    #[error("{path}:{line}:{column}: {kind}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 when the fault is of the whole file.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What was found and expected, without any value of the file.
        kind: &'static str,
    },
    /// A config that this version cannot follow; all its faults.
    #[error("{path}: {}", list(faults, |fault| format!("{} {}", fault.key, fault.message)))]
    Config {
        /// The file, or the directory that was to be written.
        path: PathBuf,
        /// Every fault.
        faults: Vec<ConfigFault>,
    },
    /// A directory without the file that makes it a model.
    #[error("{dir}: found {}, expected `{expected}`", found.map_or("nothing of its kind".into(), |name| format!("`{name}`")))]
    FileMissing {
        /// The directory.
        dir: PathBuf,
        /// A file of the same purpose in a format that is not read.
        found: Option<&'static str>,
        /// The file that is read.
        expected: &'static str,
    },
    /// A directory with several files for one purpose.
    #[error("{dir}: found {}, expected one {what}", list(found, |name| format!("`{name}`")))]
    Ambiguous {
        /// The directory.
        dir: PathBuf,
        /// The purpose.
        what: &'static str,
        /// The files.
        found: Vec<String>,
    },
    /// Tensors of types that do not widen to `f32` without loss.
    #[error("{path}: {}", list(tensors, |(name, dtype)| format!("`{name}` is {dtype}, expected F32, F16 or BF16")))]
    ElementTypes {
        /// The file or directory.
        path: PathBuf,
        /// Their names as found, and their types.
        tensors: Vec<(String, &'static str)>,
    },
    /// Tensors that together are larger than their files.
    #[error(
        "{path}: its tensors are said to hold {claimed} bytes, expected at most the {held} of its files"
    )]
    Claims {
        /// The file.
        path: PathBuf,
        /// The bytes of all tensors.
        claimed: u64,
        /// The length of the files.
        held: u64,
    },
    /// Tensors that no rule explains.
    #[error("{path}: tensors that a BERT of this config does not have: {}", list(tensors, shown))]
    Unexplained {
        /// The file or directory.
        path: PathBuf,
        /// Their names as found.
        tensors: Vec<NamedShape>,
    },
    /// Tensors that a model cannot be without.
    #[error("{path}: tensors missing: {}", list(tensors, shown))]
    TensorsMissing {
        /// The file or directory.
        path: PathBuf,
        /// Their Hugging Face names.
        tensors: Vec<NamedShape>,
    },
    /// Tensors whose shapes disagree with the config.
    #[error("{path}: {}", list(mismatches, mismatch))]
    Shapes {
        /// The file or directory.
        path: PathBuf,
        /// Every disagreement.
        mismatches: Vec<ShapeMismatch>,
    },
    /// Two tensors of the file that mean the same one.
    #[error("{path}: `{first}` and `{second}` both mean `{name}`")]
    Duplicate {
        /// The file or directory.
        path: PathBuf,
        /// The Hugging Face name.
        name: String,
        /// The one name as found.
        first: String,
        /// The other name as found.
        second: String,
    },
    /// A decoder with weights of its own.
    #[error("{path}: `{tensor}` differs from `{tied_to}`, expected them to be tied")]
    Untied {
        /// The file or directory.
        path: PathBuf,
        /// The decoder's tensor.
        tensor: &'static str,
        /// The one that it should equal.
        tied_to: &'static str,
    },
    /// A shard index whose entries disagree with the shards.
    #[error("{path}: {}", reason)]
    Index {
        /// The index.
        path: PathBuf,
        /// What was found and expected.
        reason: String,
    },
    /// A row map that does not fit the weights.
    #[error("the row map does not fit: {reason}")]
    RowMap {
        /// What was found and expected, with the row where there is one.
        reason: String,
    },
    /// Models that have no mean.
    #[error("the models cannot be merged: {reason}")]
    Merge {
        /// What was found and expected.
        reason: String,
    },
}

impl Error {
    /// Advice, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(error) => error.hint(),
            Self::FileMissing { found: Some(found), .. } => Some(format!(
                "`{found}` is not read: convert it with `save_pretrained(safe_serialization=True)` of transformers"
            )),
            Self::FileMissing { expected, .. } => {
                Some(format!("give the directory of a model, with `{expected}` or its like in it"))
            }
            Self::Ambiguous { .. } => Some("leave the one that is meant, or rename it".into()),
            Self::Pytorch { fault, .. } => fault.hint().map(str::to_owned),
            Self::Untied { .. } => {
                Some("save the model with `tie_word_embeddings` true, or drop the decoder".into())
            }
            Self::Safetensors { fault: SafetensorsFault::Truncated { .. }, .. } => {
                Some("the file was cut short: copy or download it again".into())
            }
            _ => None,
        }
    }

    pub(crate) fn json(path: &Path, error: &serde_json::Error) -> Self {
        // The message of `serde_json` may print values of the file: only the place and kind are kept.
        let kind = match error.classify() {
            serde_json::error::Category::Eof => "the JSON ends too early",
            serde_json::error::Category::Data => "the JSON is not of the expected form",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                "the JSON does not parse"
            }
        };
        Self::Json { path: path.to_path_buf(), line: error.line(), column: error.column(), kind }
    }
}

/// At most this many items of a list are written out.
const LISTED: usize = 8;

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    let mut text = items.iter().take(LISTED).map(show).collect::<Vec<_>>().join("; ");
    if items.len() > LISTED {
        text.push_str(&format!("; and {} more", items.len() - LISTED));
    }
    text
}

fn shown(tensor: &NamedShape) -> String {
    format!("`{}` {:?}", tensor.name, tensor.shape)
}

fn mismatch(mismatch: &ShapeMismatch) -> String {
    format!("`{}` is {:?}, expected {:?}", mismatch.name, mismatch.found, mismatch.expected)
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.key, self.message)
    }
}

/// A name of a file that may be hostile, fit for an error.
pub(crate) fn clipped(name: &str) -> String {
    name.chars().take(120).flat_map(char::escape_debug).collect()
}
