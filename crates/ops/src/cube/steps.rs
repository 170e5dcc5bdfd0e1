//! The operations of BERT on CubeCL, with their gradients for burn's autodiff.
//!
//! Parameters are f32 and stay so: a product casts its weight to the type of its input and gives the
//! weight's gradient in f32, straight from the accumulator. Activations have the type of their input.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Cube, ExtensionType, TensorMetadata, backend_extension,
};
use burn::tensor::{DType, FloatDType, Shape, Slice};
use burn_cubecl::tensor::CubeTensor;

use super::launch::contiguous;
use super::norm::NormScalars;
use super::product::product;
use super::softmax::AttentionShape;
use super::{embed, entropy, gelu, norm, optimizer, reduce, softmax};
use crate::record::{PullBack, record};

type Float = CubeTensor;

/// Rows of logits that are there at a time.
const ENTROPY_ROWS: usize = 4096;

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
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn step_adamw(
        parameter: FloatTensor<Self>,
        exp_avg: FloatTensor<Self>,
        exp_avg_sq: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        gradient_scale: FloatTensor<Self>,
        scalars: crate::adamw::Scalars,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn step_squares(values: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// `tensor` in `dtype`.
fn cast(tensor: Float, dtype: DType) -> Float {
    if tensor.dtype() == dtype { tensor } else { Cube::float_cast(tensor, FloatDType::from(dtype)) }
}

/// `left · right` in the type of both.
fn plain(left: Float, right: Float, transposed: [bool; 2]) -> Float {
    let dtype = left.dtype();
    product(left, right, transposed, dtype)
}

/// `left · right` in f32.
fn wide(left: Float, right: Float, transposed: [bool; 2]) -> Float {
    product(left, right, transposed, DType::F32)
}

fn squares(values: Float) -> Float {
    reduce::sum_of_squares(&contiguous(values))
}

fn column_sums(values: Float) -> Float {
    let columns = shape(&values)[1];
    reduce::column_sums(contiguous(values), columns)
}

fn shape(tensor: &Float) -> Vec<usize> {
    tensor.shape().to_vec()
}

fn reshape(tensor: Float, to: impl Into<Vec<usize>>) -> Float {
    Cube::float_reshape(tensor, Shape::from(to.into()))
}

/// The rows `first .. first + count` of the first axis.
fn narrow(tensor: Float, first: usize, count: usize) -> Float {
    let mut slices: Vec<Slice> =
        shape(&tensor).into_iter().map(|size| Slice::from(0..size)).collect();
    slices[0] = Slice::from(first..first + count);
    Cube::float_slice(tensor, &slices)
}

fn linear(input: Float, weight: Float, bias: Float) -> (Float, Float) {
    let dtype = input.dtype();
    let weight = cast(weight, dtype);
    let columns = bias.shape().num_elements();
    let bias = reshape(cast(bias, dtype), [1, columns]);
    let output = Cube::float_add(plain(input, weight.clone(), [false, false]), bias);
    (output, weight)
}

/// `[tokens, 3 · hidden]` → queries, keys and values, `[bins · heads, length, head_size]` each.
fn heads(qkv: Float, parts: usize, shape: &AttentionShape) -> Vec<Float> {
    let AttentionShape { bins, bin_length, heads, head_size, .. } = *shape;
    let split = reshape(qkv, [bins, bin_length, parts, heads, head_size]);
    let by_part = Cube::float_permute(split, &[2, 0, 3, 1, 4]);
    let by_part = reshape(by_part, [parts * bins * heads, bin_length, head_size]);
    let each = bins * heads;
    (0..parts).map(|part| narrow(by_part.clone(), part * each, each)).collect()
}

/// The way back: `[parts · bins · heads, length, head_size]` → `[tokens, parts · hidden]`.
fn tokens(by_part: Float, parts: usize, shape: &AttentionShape) -> Float {
    let AttentionShape { bins, bin_length, heads, head_size, .. } = *shape;
    let split = reshape(by_part, [parts, bins, heads, bin_length, head_size]);
    let by_token = Cube::float_permute(split, &[1, 3, 0, 2, 4]);
    reshape(by_token, [bins * bin_length, parts * heads * head_size])
}

/// The attended values, and the weights before dropout.
fn attention(
    qkv: Float,
    starts: IntTensor<Cube>,
    ends: IntTensor<Cube>,
    shape: &AttentionShape,
) -> (Float, Float) {
    let [query, key, value] = three(heads(qkv, 3, shape));
    let scores = plain(query, key, [false, true]);
    let (weights, dropped) = softmax::forward(scores, starts, ends, shape);
    (tokens(plain(dropped, value, [false, false]), 1, shape), weights)
}

#[expect(clippy::expect_used, reason = "every caller asks for three parts")]
fn three(parts: Vec<Float>) -> [Float; 3] {
    parts.try_into().ok().expect("three parts")
}

/// What one pass over the logits gives.
struct Entropy {
    /// `Σ weight · nll`, `[1]`.
    loss: Float,
    nll: Float,
    correct: Float,
    /// The gradients of the rows, the decoder and the bias for a loss gradient of 1, in f32, where
    /// they were asked for.
    gradients: Option<[Float; 3]>,
}

/// The decoder's loss, a block of rows at a time, so that one block of logits is there.
fn decoded(
    rows: &Float,
    decoder: Float,
    bias: &Float,
    labels: &IntTensor<Cube>,
    weights: &Float,
    wants_gradients: bool,
) -> Entropy {
    let dtype = rows.dtype();
    let count = shape(rows)[0];
    let decoder = cast(decoder, dtype);
    let (mut nll, mut correct, mut of_rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut sums: Option<[Float; 2]> = None;
    for first in (0..count).step_by(ENTROPY_ROWS) {
        let size = ENTROPY_ROWS.min(count - first);
        let block = narrow(rows.clone(), first, size);
        let logits = wide(block.clone(), decoder.clone(), [false, true]);
        let labels = Cube::int_slice(labels.clone(), &[Slice::from(first..first + size)]);
        let weights = narrow(weights.clone(), first, size);
        let (gradient, block_nll, block_correct) =
            entropy::rows(logits, bias.clone(), labels, weights, dtype);
        nll.push(block_nll);
        correct.push(block_correct);
        if wants_gradients {
            of_rows.push(wide(gradient.clone(), decoder.clone(), [false, false]));
            let of_decoder = wide(gradient.clone(), block, [true, false]);
            let of_bias = column_sums(gradient);
            sums = Some(match sums.take() {
                None => [of_decoder, of_bias],
                Some([a, b]) => [Cube::float_add(a, of_decoder), Cube::float_add(b, of_bias)],
            });
        }
    }
    let [nll, correct] = [nll, correct].map(joined);
    let loss = Cube::float_sum(Cube::float_mul(nll.clone(), weights.clone()));
    let gradients = sums.map(|[decoder, bias]| [joined(of_rows), decoder, bias]);
    Entropy { loss: reshape(loss, [1]), nll, correct, gradients }
}

fn joined(mut parts: Vec<Float>) -> Float {
    if parts.len() == 1 { parts.remove(0) } else { Cube::float_cat(parts, 0) }
}

fn pull_back_norm(
    gradients: (Float, Float, Float),
    hidden: usize,
) -> (Float, Float, [Option<Float>; 2]) {
    let (input, residual, parameters) = gradients;
    let gain = narrow(parameters.clone(), 0, hidden);
    let bias = narrow(parameters, hidden, hidden);
    (input, residual, [Some(gain), Some(bias)])
}

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
        linear(input, weight, bias).0
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
        attention(qkv, starts, ends, &shape).0
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
    ) -> (Float, Float, Float) {
        let figures = decoded(&rows, decoder, &bias, &labels, &weights, false);
        (figures.loss, figures.nll, figures.correct)
    }

    fn step_adamw(
        parameter: Float,
        exp_avg: Float,
        exp_avg_sq: Float,
        gradient: Float,
        gradient_scale: Float,
        scalars: crate::adamw::Scalars,
    ) -> (Float, Float, Float) {
        optimizer::adamw([parameter, exp_avg, exp_avg_sq], gradient, gradient_scale, &scalars)
    }

    fn step_squares(values: Float) -> Float {
        squares(values)
    }
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
            let (output, weight) = linear(input.clone(), weight, bias);
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
            let (output, weights) = attention(qkv.clone(), starts.clone(), ends.clone(), &shape);
            let pull_back = move |gradient: Float, _: [bool; 1]| {
                let [query, key, value] = three(heads(qkv.clone(), 3, &shape));
                let gradient = heads(gradient, 1, &shape).remove(0);
                let of_dropped = plain(gradient.clone(), value, [false, true]);
                let (weights, starts, ends) = (weights.clone(), starts.clone(), ends.clone());
                let (of_scores, dropped) =
                    softmax::backward(weights, of_dropped, starts, ends, &shape);
                let parts = vec![
                    plain(of_scores.clone(), key, [false, false]),
                    plain(of_scores, query, [true, false]),
                    plain(dropped, gradient, [true, false]),
                ];
                [Some(tokens(Cube::float_cat(parts, 0), 3, &shape))]
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
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let mut figures = None;
        let weights = weights.into_primitive();
        let loss = record::<Cube, C, 3>([rows, decoder, bias], |[rows, decoder, bias]| {
            let dtype = rows.dtype();
            let Entropy { loss, nll, correct, gradients } =
                decoded(&rows, decoder, &bias, &labels, &weights, true);
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

    fn step_adamw(
        parameter: FloatTensor<Self>,
        exp_avg: FloatTensor<Self>,
        exp_avg_sq: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        gradient_scale: FloatTensor<Self>,
        scalars: crate::adamw::Scalars,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (parameter, exp_avg, exp_avg_sq) = optimizer::adamw(
            [parameter, exp_avg, exp_avg_sq].map(|tensor| tensor.into_primitive()),
            gradient.into_primitive(),
            gradient_scale.into_primitive(),
            &scalars,
        );
        [parameter, exp_avg, exp_avg_sq].map(Self::from_inner).into()
    }

    fn step_squares(values: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(squares(values.into_primitive()))
    }
}
