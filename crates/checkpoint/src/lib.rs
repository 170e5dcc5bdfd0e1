//! Weights as named host arrays: formats in and out, the name table, row maps.
//!
//! Owns everything that happens to a model's weights outside a device. It knows nothing of burn, of
//! tokenization or of training: a model's config is JSON here, and a vocabulary is a number of rows.
//!
//! Invariant: inside, every tensor has its Hugging Face name (`bert.embeddings.…`), PyTorch's layout
//! (`[out, in]` for a linear layer), row-major order, and `f32`.

mod accounting;
mod apply;
mod bias;
mod card;
mod config;
mod draw;
mod elements;
mod error;
mod layout;
mod merge;
mod model_dir;
mod names;
mod pytorch;
mod row_map;
mod safetensors;
mod shards;
mod source;
mod tensorflow;
mod weights;

#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;

pub use accounting::{Accounting, AppliedTensor, MissingTensor, UnusedReason, UnusedTensor};
pub use apply::{RowMapSummary, apply_row_map};
pub use bias::BiasFit;
pub use card::{CARD_FILE, CardResult, ModelCard};
pub use config::Dimensions;
pub use draw::standard_normal;
pub use error::{ConfigFault, Error, NamedShape, Result, ShapeMismatch};
pub use layout::{
    CONFIG_FILE, VOCAB_FILE, WEIGHTS_FILE, WeightFormat, find_config, find_vocab, is_model_file,
    is_weights_file,
};
pub use merge::merge_models;
pub use model_dir::{
    ModelDir, WeightFiles, list_tensors, list_weights, load_model_dir, save_model_dir,
};
pub use names::{DECODER_BIAS, ExpectedTensor, Part, WORD_EMBEDDINGS, expected_tensors};
pub use pytorch::PytorchFault;
pub use row_map::{Row, RowMap};
pub use safetensors::{SafetensorsFault, TensorFile, read_safetensors, write_safetensors};
pub use source::TensorInfo;
pub use tensorflow::TensorflowFault;
pub use weights::{HostTensor, Weights};
