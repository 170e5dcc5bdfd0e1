//! The operations of BERT on CubeCL, with their gradients for burn's autodiff.
//!
//! Parameters are f32 and stay so: a product casts its weight to the type of its input and gives the
//! weight's gradient in f32, straight from the accumulator. Activations have the type of their input.

mod plain;
mod recorded;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, ExtensionType, backend_extension};
use burn::tensor::DType;

use super::attention::AttentionShape;
use super::norm::NormScalars;

/// The word, position and token-type tables, and the norm after them.
#[derive(ExtensionType)]
pub(crate) struct Tables<B: Backend> {
    pub(crate) word: FloatTensor<B>,
    pub(crate) position: FloatTensor<B>,
    pub(crate) token_type: FloatTensor<B>,
    pub(crate) gain: FloatTensor<B>,
    pub(crate) bias: FloatTensor<B>,
}

/// What each token is, and the tokens sorted by each.
#[derive(ExtensionType)]
pub(crate) struct Indices<B: Backend> {
    pub(crate) ids: IntTensor<B>,
    pub(crate) positions: IntTensor<B>,
    pub(crate) types: IntTensor<B>,
    pub(crate) by_id: IntTensor<B>,
    pub(crate) by_position: IntTensor<B>,
    pub(crate) by_type: IntTensor<B>,
}

/// What [`super::FusedCube`] calls.
#[backend_extension(Cube, Autodiff)]
pub(crate) trait CubeSteps: Backend {
    fn step_embed(
        #[extension_type] tables: Tables<Self>,
        #[extension_type] indices: Indices<Self>,
        scalars: NormScalars,
        out: DType,
    ) -> FloatTensor<Self>;

    fn step_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn step_add_norm(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scalars: NormScalars,
    ) -> FloatTensor<Self>;

    fn step_norm(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scalars: NormScalars,
    ) -> FloatTensor<Self>;

    fn step_gelu(input: FloatTensor<Self>) -> FloatTensor<Self>;

    fn step_attention(
        qkv: FloatTensor<Self>,
        starts: IntTensor<Self>,
        ends: IntTensor<Self>,
        shape: AttentionShape,
    ) -> FloatTensor<Self>;

    fn step_gather(
        input: FloatTensor<Self>,
        rows: IntTensor<Self>,
        order: IntTensor<Self>,
    ) -> FloatTensor<Self>;

    fn step_entropy(
        rows: FloatTensor<Self>,
        decoder: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        labels: IntTensor<Self>,
        weights: FloatTensor<Self>,
        block_rows: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}
