//! Weights as named host arrays: formats in and out, the name table, row maps.
//!
//! Owns everything that happens to a model's weights outside a device. It knows nothing of burn, of
//! tokenization or of training: a model's config is JSON here, and a vocabulary is a number of rows.
//!
//! Invariant: inside, every tensor has its Hugging Face name (`bert.embeddings.…`), PyTorch's layout
//! (`[out, in]` for a linear layer), row-major order, and `f32`.

mod row_map;
mod weights;

pub use row_map::{Row, RowMap};
pub use weights::{HostTensor, Weights};
