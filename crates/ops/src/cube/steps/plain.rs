//! The operations without gradients.

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::IntTensor;
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor as Float;

use super::super::attention::{self, AttentionShape};
use super::super::norm::{self, NormScalars};
use super::super::{embed, entropy, gelu, product};
use super::{CubeSteps, Indices, Tables};

impl CubeSteps for Cube {
    fn step_embed(
        tables: Tables<Self>,
        indices: Indices<Self>,
        scalars: NormScalars,
        out: DType,
    ) -> Float {
        let Tables { word, position, token_type, gain, bias } = tables;
        let Indices { ids, positions, types, .. } = indices;
        let sum = embed::sum([word, position, token_type], [ids, positions, types]);
        norm::forward(sum.clone(), sum, gain, bias, &scalars, out).0
    }

    fn step_linear(input: Float, weight: Float, bias: Float) -> Float {
        product::linear(input, weight, bias).0
    }

    fn step_add_norm(
        input: Float,
        residual: Float,
        gain: Float,
        bias: Float,
        scalars: NormScalars,
    ) -> Float {
        let out = input.dtype();
        norm::forward(input, residual, gain, bias, &scalars, out).0
    }

    fn step_norm(input: Float, gain: Float, bias: Float, scalars: NormScalars) -> Float {
        Self::step_add_norm(input.clone(), input, gain, bias, scalars)
    }

    fn step_gelu(input: Float) -> Float {
        gelu::forward(input)
    }

    fn step_attention(
        qkv: Float,
        starts: IntTensor<Self>,
        ends: IntTensor<Self>,
        shape: AttentionShape,
    ) -> Float {
        attention::forward(qkv, [starts, ends], &shape).0
    }

    fn step_gather(input: Float, rows: IntTensor<Self>, _order: IntTensor<Self>) -> Float {
        Self::float_select(input, 0, rows)
    }

    fn step_entropy(
        rows: Float,
        decoder: Float,
        bias: Float,
        labels: IntTensor<Self>,
        weights: Float,
        block_rows: usize,
    ) -> (Float, Float, Float) {
        let figures = entropy::decoded(&rows, decoder, &bias, &labels, &weights, false, block_rows);
        (figures.loss, figures.nll, figures.correct)
    }
}
