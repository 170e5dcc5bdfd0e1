//! The operations with their gradients, on burn's tape.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, AutodiffBackend, Cube, TensorMetadata};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor as Float;

use super::super::attention::{self, AttentionShape};
use super::super::entropy::{self, Entropy};
use super::super::norm::{self, NormScalars};
use super::super::product::{self, plain, wide};
use super::super::reduce::column_sums;
use super::super::tensors::{cast, narrow, reshape, shape};
use super::super::{embed, gelu};
use super::{CubeSteps, Indices, Tables};
use crate::record::{PullBack, record};

fn pull_back_norm(
    gradients: (Float, Float, Float),
    hidden: usize,
) -> (Float, Float, [Option<Float>; 2]) {
    let (input, residual, parameters) = gradients;
    let gain = narrow(parameters.clone(), 0, hidden);
    let bias = narrow(parameters, hidden, hidden);
    (input, residual, [Some(gain), Some(bias)])
}

impl<C: CheckpointStrategy> CubeSteps for Autodiff<Cube, C> {
    fn step_embed(
        tables: Tables<Self>,
        indices: Indices<Self>,
        scalars: NormScalars,
        out: DType,
    ) -> FloatTensor<Self> {
        let Tables { word, position, token_type, gain, bias } = tables;
        record::<Cube, C, 5>([word, position, token_type, gain, bias], |inputs| {
            let [word, position, token_type, gain, bias] = inputs;
            let hidden = shape(&word)[1];
            let rows = [&word, &position, &token_type].map(|table| shape(table)[0]);
            let Indices { ids, positions, types, by_id, by_position, by_type } = indices;
            let sum = embed::sum(
                [word, position, token_type],
                [ids.clone(), positions.clone(), types.clone()],
            );
            let (output, statistics) =
                norm::forward(sum.clone(), sum.clone(), gain.clone(), bias, &scalars, out);
            let indices = [(ids, by_id), (positions, by_position), (types, by_type)];
            let pull_back = move |gradient: Float, wanted: [bool; 5]| {
                let (sum, gain, statistics) = (sum.clone(), gain.clone(), statistics.clone());
                let gradients =
                    norm::backward(gradient, sum.clone(), sum, gain, statistics, &scalars);
                let (of_sum, _, [gain, bias]) = pull_back_norm(gradients, hidden);
                let [word, position, token_type] = [0, 1, 2].map(|table: usize| {
                    let (ids, order) = indices[table].clone();
                    wanted[table].then(|| {
                        embed::segmented_sum(of_sum.clone(), ids, order, rows[table], DType::F32)
                    })
                });
                [word, position, token_type, gain, bias]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn step_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        record::<Cube, C, 3>([input, weight, bias], |[input, weight, bias]| {
            let (output, weight) = product::linear(input.clone(), weight, bias);
            let pull_back = move |gradient: Float, wanted: [bool; 3]| {
                let of_input =
                    wanted[0].then(|| plain(gradient.clone(), weight.clone(), [false, true]));
                let of_weight =
                    wanted[1].then(|| wide(input.clone(), gradient.clone(), [true, false]));
                let of_bias = wanted[2].then(|| column_sums(gradient.clone()));
                [of_input, of_weight, of_bias]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn step_add_norm(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scalars: NormScalars,
    ) -> FloatTensor<Self> {
        record::<Cube, C, 4>([input, residual, gain, bias], |[input, residual, gain, bias]| {
            let out = input.dtype();
            let hidden = shape(&gain)[0];
            let (output, statistics) =
                norm::forward(input.clone(), residual.clone(), gain.clone(), bias, &scalars, out);
            let pull_back = move |gradient: Float, _: [bool; 4]| {
                let (input, residual) = (input.clone(), residual.clone());
                let (gain, statistics) = (gain.clone(), statistics.clone());
                let gradients =
                    norm::backward(gradient, input, residual, gain, statistics, &scalars);
                let (input, residual, [gain, bias]) = pull_back_norm(gradients, hidden);
                [Some(input), Some(residual), gain, bias]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn step_norm(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scalars: NormScalars,
    ) -> FloatTensor<Self> {
        record::<Cube, C, 3>([input, gain, bias], |[input, gain, bias]| {
            let out = input.dtype();
            let hidden = shape(&gain)[0];
            let (output, statistics) =
                norm::forward(input.clone(), input.clone(), gain.clone(), bias, &scalars, out);
            let pull_back = move |gradient: Float, _: [bool; 3]| {
                let (input, gain, statistics) = (input.clone(), gain.clone(), statistics.clone());
                let gradients =
                    norm::backward(gradient, input.clone(), input, gain, statistics, &scalars);
                let (input, _, [gain, bias]) = pull_back_norm(gradients, hidden);
                [Some(input), gain, bias]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn step_gelu(input: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<Cube, C, 1>([input], |[input]| {
            let output = gelu::forward(input.clone());
            let pull_back = move |gradient: Float, _: [bool; 1]| {
                [Some(gelu::backward(input.clone(), gradient))]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn step_attention(
        qkv: FloatTensor<Self>,
        starts: IntTensor<Self>,
        ends: IntTensor<Self>,
        shape: AttentionShape,
    ) -> FloatTensor<Self> {
        record::<Cube, C, 1>([qkv], |[qkv]| {
            let bounds = [starts, ends];
            let (output, kept) = attention::forward(qkv.clone(), bounds.clone(), &shape);
            let pull_back = move |gradient: Float, _: [bool; 1]| {
                let (qkv, kept) = (qkv.clone(), kept.clone());
                [Some(attention::backward(qkv, kept, gradient, bounds.clone(), &shape))]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn step_gather(
        input: FloatTensor<Self>,
        rows: IntTensor<Self>,
        order: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        record::<Cube, C, 1>([input], |[input]| {
            let (tokens, dtype) = (shape(&input)[0], input.dtype());
            let output = Cube::float_select(input, 0, rows.clone());
            let pull_back = move |gradient: Float, _: [bool; 1]| {
                let (rows, order) = (rows.clone(), order.clone());
                [Some(embed::segmented_sum(gradient, rows, order, tokens, dtype))]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn step_entropy(
        rows: FloatTensor<Self>,
        decoder: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        labels: IntTensor<Self>,
        weights: FloatTensor<Self>,
        block_rows: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let mut figures = None;
        let weights = weights.into_primitive();
        let loss = record::<Cube, C, 3>([rows, decoder, bias], |[rows, decoder, bias]| {
            let dtype = rows.dtype();
            let Entropy { loss, nll, correct, gradients } =
                entropy::decoded(&rows, decoder, &bias, &labels, &weights, true, block_rows);
            figures = Some((nll, correct));
            let pull_back: PullBack<Cube, 3> = Arc::new(move |factor: Float, _| {
                // `[1]`, in f32: rounding it to the rows' type would scale every gradient.
                let factor = cast(factor, DType::F32);
                let [rows, decoder, bias] = match gradients.clone() {
                    Some(gradients) => gradients.map(|gradient| {
                        let ones = vec![1; shape(&gradient).len()];
                        Some(Cube::float_mul(gradient, reshape(factor.clone(), ones)))
                    }),
                    None => [None, None, None],
                };
                [rows.map(|rows| cast(rows, dtype)), decoder, bias]
            });
            (loss, pull_back)
        });
        #[expect(clippy::expect_used, reason = "`record` calls the closure once")]
        let (nll, correct) = figures.expect("the forward pass has run");
        (loss, Self::from_inner(nll), Self::from_inner(correct))
    }
}
