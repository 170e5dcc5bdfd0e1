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
mod error;
mod interpolate;
mod model_dir;
mod names;
mod row_map;
mod safetensors;
mod weights;

#[cfg(test)]
mod tests;

pub use accounting::{Accounting, AppliedTensor, MissingTensor, UnusedReason, UnusedTensor};
pub use apply::{RowMapSummary, apply_row_map};
pub use bias::BiasFit;
pub use card::ModelCard;
pub use config::Dimensions;
pub use draw::standard_normal;
pub use error::{ConfigFault, Error, NamedShape, Result, ShapeMismatch};
pub use interpolate::{interpolate, interpolate_models};
pub use model_dir::{
    CONFIG_FILE, ModelDir, VOCAB_FILE, WEIGHTS_FILE, WeightFiles, list_weights, load_model_dir,
    save_model_dir,
};
pub use names::{DECODER_BIAS, ExpectedTensor, Part, WORD_EMBEDDINGS, expected_tensors};
pub use row_map::{Row, RowMap};
pub use safetensors::{
    Fault, OtherTensor, TensorFile, TensorInfo, list_safetensors, read_safetensors,
    write_safetensors,
};
pub use weights::{HostTensor, Weights};
