//! The fused operations of BERT and their gradients, behind one trait, for every backend.
//!
//! Owns [`BertOps`] and its [`Reference`], composed of burn's own operations; the device-side
//! indices of a packed batch ([`TokenIds`], [`Packing`]); and the counter-based dropout that every
//! implementation draws alike. It knows nothing of checkpoints, vocabularies or training loops, and
//! it is the only crate that may name CubeCL.
//!
//! Invariants: activations are two-dimensional, `[tokens, hidden]`. No operation keeps a random
//! state: a dropout mask is a function of (seed, step, site, row, column). Every reduction has an
//! order that does not depend on the number of threads.

mod adamw;
mod attention;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "gpu")]
mod cube;
mod device;
mod dropout;
mod entropy;
mod fault;
mod ids;
mod mixed;
mod profile;
mod record;
mod reference;
mod tuning;

pub use adamw::{AdamWParameters, AdamWState};
pub use attention::Attention;
#[cfg(feature = "flex")]
pub use cpu::FusedCpu;
#[cfg(feature = "gpu")]
pub use cube::FusedCube;
pub use device::{DeviceError, DeviceKind, Precision};
pub use dropout::{Dropout, philox4x32};
pub use entropy::CrossEntropy;
pub use fault::{DeviceFault, out_of_memory_is_an_error};
pub use ids::{Packing, RowIndex, TokenIds};
pub use mixed::Mixed;
pub use profile::{KernelTime, profile};
pub use reference::Reference;
pub use tuning::{Tuning, TuningError};

use burn::tensor::{Int, Tensor};

/// The word, position and token-type tables of the embeddings.
#[derive(Debug, Clone)]
pub struct EmbeddingTables {
    /// `[vocab, hidden]`
    pub word: Tensor<2>,
    /// `[max_positions, hidden]`
    pub position: Tensor<2>,
    /// `[types, hidden]`
    pub token_type: Tensor<2>,
}

/// A layer normalisation's gain, bias and epsilon.
#[derive(Debug, Clone)]
pub struct Norm {
    /// The gain, `[hidden]`.
    pub weight: Tensor<1>,
    /// The bias, `[hidden]`.
    pub bias: Tensor<1>,
    /// Added to the variance. BERT: 1e-12.
    pub epsilon: f64,
}

/// Everything that BERT's forward pass and its optimizer compute, each operation differentiable
/// where burn's autodiff is on.
///
/// The provided methods are the reference, composed of burn's own operations. An implementation
/// overrides what its device does better; results agree with the reference within rounding, and the
/// dropout masks agree exactly.
///
/// Shape words: `tokens` are the rows of a packed batch, padding included; `masked` its masked rows.
pub trait BertOps: std::fmt::Debug + Send + Sync {
    /// The implementation's name, recorded with every run.
    fn name(&self) -> &'static str;

    /// The type of activations; parameters, statistics, losses and moments are f32 in any case.
    fn activations(&self) -> Precision {
        Precision::F32
    }

    /// `dropout(layer_norm(word[ids] + position[positions] + token_type[types]))`.
    ///
    /// # Shapes
    /// `ids`: `tokens` → `[tokens, hidden]`
    fn embed(
        &self,
        tables: EmbeddingTables,
        ids: &TokenIds,
        norm: Norm,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        reference::embed(tables, ids, norm, dropout)
    }

    /// `input · weight + bias`.
    ///
    /// # Shapes
    /// `input`: `[rows, in]`, `weight`: `[in, out]`, `bias`: `[out]` → `[rows, out]`
    fn linear(&self, input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
        input.matmul(weight) + bias.unsqueeze::<2>()
    }

    /// `layer_norm(dropout(input) + residual)`; post-norm, as BERT has it.
    ///
    /// # Shapes
    /// `input`, `residual`: `[rows, hidden]` → `[rows, hidden]`
    fn add_norm_dropout(
        &self,
        input: Tensor<2>,
        residual: Option<Tensor<2>>,
        norm: Norm,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        reference::add_norm_dropout(input, residual, norm, dropout)
    }

    /// `dropout(input)` alone, for task heads.
    ///
    /// # Shapes
    /// `[rows, hidden]` → `[rows, hidden]`
    fn dropout(&self, input: Tensor<2>, dropout: Dropout) -> Tensor<2> {
        dropout.apply(input)
    }

    /// The exact GELU, `x · Φ(x)` with Φ by the error function, forward and backward.
    ///
    /// Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units"; BERT's `hidden_act = "gelu"`.
    /// burn's own backward is the tanh approximation on CubeCL backends up to 0.22.1.
    ///
    /// # Shapes
    /// `[rows, width]` → `[rows, width]`
    fn gelu(&self, input: Tensor<2>) -> Tensor<2> {
        reference::gelu(input)
    }

    /// Multi-head scaled dot-product attention in which no token sees another sample.
    ///
    /// # Shapes
    /// `qkv`: `[tokens, 3 · hidden]`, queries first, then keys, then values, heads contiguous
    /// within each → `[tokens, hidden]`
    fn packed_attention(
        &self,
        qkv: Tensor<2>,
        num_heads: usize,
        packing: &Packing,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        attention::packed_attention(qkv, num_heads, packing, dropout)
    }

    /// Rows of `input`, whose gradient adds up in the order of the rows.
    ///
    /// # Shapes
    /// `input`: `[tokens, hidden]`, `n` rows → `[n, hidden]`
    fn gather_rows(&self, input: Tensor<2>, rows: &RowIndex) -> Tensor<2> {
        input.select(0, rows.rows.clone())
    }

    /// The decoder and its cross-entropy: `Σ weight · −log softmax(rows · decoderᵀ + bias)[label]`.
    ///
    /// The decoder is the word embedding itself, passed and not copied. The loss is a sum; the
    /// caller divides once per optimizer step.
    ///
    /// # Shapes
    /// `rows`: `[masked, hidden]`, `decoder`: `[vocab, hidden]`, `bias`: `[vocab]`, `labels` and
    /// `weights`: `[masked]` → a sum, and the per-row figures, `[masked]`
    fn masked_cross_entropy(
        &self,
        rows: Tensor<2>,
        decoder: Tensor<2>,
        bias: Tensor<1>,
        labels: Tensor<1, Int>,
        weights: Tensor<1>,
    ) -> CrossEntropy {
        entropy::masked_cross_entropy(rows, decoder, bias, labels, weights)
    }

    /// One decoupled AdamW step over flattened parameters and their gradients, all in f32, off the
    /// autodiff graph.
    ///
    /// Source: Loshchilov and Hutter 2019, Algorithm 2, with PyTorch's bias correction.
    ///
    /// # Shapes
    /// every tensor of a state and its gradient: `[elements]`
    fn adamw_steps(
        &self,
        states: Vec<(AdamWState, Tensor<1>)>,
        step: &AdamWParameters,
    ) -> Vec<AdamWState> {
        let one = |(state, gradient)| adamw::adamw_step(state, gradient, step);
        states.into_iter().map(one).collect()
    }

    /// The Euclidean norm of all gradients together, in a fixed order, left on the device.
    ///
    /// # Shapes
    /// each gradient: `[elements]` → `[1]`
    fn grad_norm(&self, gradients: &[Tensor<1>]) -> Tensor<1> {
        reference::grad_norm(gradients)
    }

    /// The elements of an f32 tensor: where the program waits for the device.
    ///
    /// # Errors
    /// When something that they depend on was not computed, for want of memory first of all.
    fn read(&self, tensor: Tensor<1>) -> Result<Vec<f32>, DeviceFault> {
        fault::read(tensor)
    }
}
