//! Weights as they lie in a file: listed at once, read one by one.
//!
//! Invariant: a tensor that is listed lies inside its file, and nothing is allocated for its
//! elements before it is asked for.

use crate::Result;

/// A tensor as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TensorInfo {
    /// The name as in the file.
    pub name: String,
    /// The element type by its name in safetensors, e.g. `F32`.
    pub dtype: &'static str,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// The bytes of its elements.
    pub bytes: u64,
}

/// A file of tensors, or several that belong together.
pub(crate) trait Source {
    /// Every tensor, in the order in which reading is cheapest.
    fn tensors(&self) -> &[TensorInfo];

    /// The length of all files together.
    fn file_bytes(&self) -> u64;

    /// The elements of tensor number `index`, row-major, as `f32`.
    ///
    /// # Errors
    /// When the file cannot be read, or a checksum differs.
    ///
    /// # Panics
    /// For a type that does not widen to `f32` without loss.
    fn read(&mut self, index: usize) -> Result<Vec<f32>>;
}
