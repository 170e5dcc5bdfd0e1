//! Attention over packed samples: how it is computed, and its reference, composed of burn's operations.

use burn::tensor::{FloatDType, Tensor, TensorData};

use crate::{Dropout, Packing};

/// How attention is computed on a GPU; the processor goes sample by sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attention {
    /// By tiles of queries and keys, none of them between samples; of the scores one number a row is
    /// kept. As [`Self::Scores`] where a head's size is no multiple of 16 up to 128, and where tiles do
    /// not fit in the device's shared memory.
    #[default]
    Flash,
    /// By the device's tuned products, with the weights kept for the backward pass.
    Scores,
}

pub(crate) fn packed_attention(
    qkv: Tensor<2>,
    num_heads: usize,
    packing: &Packing,
    dropout: Option<Dropout>,
) -> Tensor<2> {
    packed_attention_in(FloatDType::F32, qkv, num_heads, packing, dropout)
}

/// [`packed_attention`] with its products in `dtype` and its softmax in f32.
pub(crate) fn packed_attention_in(
    dtype: FloatDType,
    qkv: Tensor<2>,
    num_heads: usize,
    packing: &Packing,
    dropout: Option<Dropout>,
) -> Tensor<2> {
    let [tokens, width] = qkv.dims();
    let (bins, length) = (packing.bins, packing.bin_length);
    assert_eq!(tokens, bins * length, "the packing is of another batch");
    let hidden = width / 3;
    let head_size = hidden / num_heads;
    let part = |index: usize| {
        qkv.clone()
            .narrow(1, index * hidden, hidden)
            .reshape([bins, length, num_heads, head_size])
            .swap_dims(1, 2) // [bins, heads, length, head_size]
    };
    let scale = 1.0 / (head_size as f64).sqrt();
    let scores = (part(0) * scale).matmul(part(1).swap_dims(2, 3)); // [bins, heads, length, length]
    let mut weights = softmax(scores.cast(FloatDType::F32) + packing.visibility());
    if let Some(dropout) = dropout.filter(|dropout| dropout.probability > 0.0) {
        weights = weights * dropout_mask(&dropout, num_heads, packing);
    }
    weights.cast(dtype).matmul(part(2)).swap_dims(1, 2).reshape([tokens, hidden])
}

/// The mask of `[bins, heads, length, length]`: the row is (token, head), the column is the key's
/// place in the bin, so that a batch of fewer bins draws the same.
fn dropout_mask(dropout: &Dropout, num_heads: usize, packing: &Packing) -> Tensor<4> {
    let (bins, length) = (packing.bins, packing.bin_length);
    let by_head = Dropout { first_row: dropout.first_row * num_heads as u64, ..*dropout };
    let mask = by_head.mask(bins * length * num_heads, length);
    let mask = TensorData::new(mask, [bins, length, num_heads, length]);
    Tensor::<4>::from_data(mask, packing.device()).swap_dims(1, 2)
}

/// Softmax over the last axis. The maximum is a constant to the gradient, as it cancels.
fn softmax(scores: Tensor<4>) -> Tensor<4> {
    let maximum = scores.clone().detach().max_dim(3);
    let exponentials = (scores - maximum).exp();
    let sum = exponentials.clone().sum_dim(3);
    exponentials / sum
}
