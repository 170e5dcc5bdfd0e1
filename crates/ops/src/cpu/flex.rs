//! The kernels as operations of burn's Flex backend, with their gradients for its autodiff.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::TensorData;

use super::attention::Shape;
use super::norm::{Layer, Place, Saved};
use super::{attention, embed, entropy, gelu, norm, optimizer};
use crate::Dropout;
use crate::adamw::Scalars;
use crate::ids::HostIds;

/// A layer norm's scalars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormScalars {
    pub(crate) epsilon: f64,
    pub(crate) dropout: Option<Dropout>,
}

/// What [`super::FusedCpu`] calls.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedBackend: Backend {
    fn fused_embed(
        word: FloatTensor<Self>,
        position: FloatTensor<Self>,
        token_type: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        ids: Arc<HostIds>,
        scalars: NormScalars,
    ) -> FloatTensor<Self>;

    fn fused_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn fused_add_norm(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scalars: NormScalars,
    ) -> FloatTensor<Self>;

    fn fused_gelu(input: FloatTensor<Self>) -> FloatTensor<Self>;

    fn fused_attention(qkv: FloatTensor<Self>, shape: Shape) -> FloatTensor<Self>;

    fn fused_cross_entropy(
        rows: FloatTensor<Self>,
        decoder: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        labels: Vec<usize>,
        weights: Vec<f32>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn fused_adamw(
        parameter: FloatTensor<Self>,
        exp_avg: FloatTensor<Self>,
        exp_avg_sq: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        scalars: Scalars,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn fused_square(values: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The elements of a contiguous tensor.
fn elements(tensor: &FlexTensor) -> &[f32] {
    #[expect(clippy::expect_used, reason = "every caller makes it contiguous first")]
    tensor.as_slice::<f32>().expect("a contiguous f32 tensor")
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

fn tensor(data: Vec<f32>, shape: impl Into<Vec<usize>>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(data, shape.into()))
}

fn dims(tensor: &FlexTensor) -> Vec<usize> {
    tensor.shape().to_vec()
}

/// The sum of three embeddings, normalised, and what its gradient needs.
fn embed_forward(
    tables: [&FlexTensor; 3],
    weight: &FlexTensor,
    bias: &FlexTensor,
    ids: &HostIds,
    epsilon: f64,
    place: Place,
) -> (FlexTensor, Saved) {
    let [word, position, token_type] = tables.map(elements);
    let hidden = elements(weight).len();
    let span = |index: i32| index as usize * hidden..(index as usize + 1) * hidden;
    let fill = |token: usize, out: &mut [f32]| {
        let word = &word[span(ids.ids[token])];
        let position = &position[span(ids.positions[token])];
        let kind = &token_type[span(ids.types[token])];
        for (to, (a, (b, c))) in out.iter_mut().zip(word.iter().zip(position.iter().zip(kind))) {
            *to = a + b + c;
        }
    };
    let rows = ids.ids.len();
    let (weight, bias) = (elements(weight), elements(bias));
    let layer = Layer { weight, bias, epsilon: epsilon as f32, place, residual: None };
    let (output, saved) = norm::forward(rows, layer, fill);
    (tensor(output, [rows, hidden]), saved)
}

fn add_norm_forward(
    input: &FlexTensor,
    residual: &FlexTensor,
    weight: &FlexTensor,
    bias: &FlexTensor,
    epsilon: f64,
    place: Place,
) -> (FlexTensor, Saved) {
    let shape = dims(input);
    let hidden = shape[1];
    let data = elements(input);
    let fill = |row: usize, out: &mut [f32]| {
        out.copy_from_slice(&data[row * hidden..(row + 1) * hidden]);
    };
    let (weight, bias) = (elements(weight), elements(bias));
    let residual = Some(elements(residual));
    let layer = Layer { weight, bias, epsilon: epsilon as f32, place, residual };
    let (output, saved) = norm::forward(shape[0], layer, fill);
    (tensor(output, shape), saved)
}

fn linear_forward(input: FlexTensor, weight: FlexTensor, bias: &FlexTensor) -> FlexTensor {
    let mut output = contiguous(Flex::float_matmul(input, weight));
    norm::add_to_rows(output.storage_mut::<f32>(), elements(bias));
    output
}

/// The loss and the rows' figures, and the gradient of the logits.
fn entropy_forward(
    rows: FlexTensor,
    decoder: FlexTensor,
    bias: &FlexTensor,
    labels: &[usize],
    weights: &[f32],
) -> (FlexTensor, [FlexTensor; 3]) {
    let mut logits = contiguous(Flex::float_matmul(rows, Flex::float_transpose(decoder)));
    let figures =
        entropy::rows_in_place(logits.storage_mut::<f32>(), elements(bias), labels, weights);
    let loss: f64 =
        figures.iter().zip(weights).map(|(row, &w)| f64::from(row.nll) * f64::from(w)).sum();
    let count = figures.len();
    let column = |of: &dyn Fn(&entropy::Row) -> f32| {
        tensor(figures.iter().map(of).collect::<Vec<_>>(), [count])
    };
    let outputs =
        [tensor(vec![loss as f32], [1]), column(&|row| row.nll), column(&|row| row.correct)];
    (logits, outputs)
}

impl FusedBackend for Flex {
    fn fused_embed(
        word: FlexTensor,
        position: FlexTensor,
        token_type: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        ids: Arc<HostIds>,
        scalars: NormScalars,
    ) -> FlexTensor {
        let [word, position, token_type] = [word, position, token_type].map(contiguous);
        let place = Place::output(scalars.dropout);
        embed_forward([&word, &position, &token_type], &weight, &bias, &ids, scalars.epsilon, place)
            .0
    }

    fn fused_linear(input: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        linear_forward(input, weight, &bias)
    }

    fn fused_add_norm(
        input: FlexTensor,
        residual: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        scalars: NormScalars,
    ) -> FlexTensor {
        let [input, residual] = [input, residual].map(contiguous);
        add_norm_forward(
            &input,
            &residual,
            &weight,
            &bias,
            scalars.epsilon,
            Place::input(scalars.dropout),
        )
        .0
    }

    fn fused_gelu(input: FlexTensor) -> FlexTensor {
        let input = contiguous(input);
        tensor(gelu::forward(elements(&input)), dims(&input))
    }

    fn fused_attention(qkv: FlexTensor, shape: Shape) -> FlexTensor {
        let qkv = contiguous(qkv);
        tensor(attention::forward(elements(&qkv), &shape), [shape.tokens, shape.hidden])
    }

    fn fused_cross_entropy(
        rows: FlexTensor,
        decoder: FlexTensor,
        bias: FlexTensor,
        labels: Vec<usize>,
        weights: Vec<f32>,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (_, [loss, nll, correct]) = entropy_forward(rows, decoder, &bias, &labels, &weights);
        (loss, nll, correct)
    }

    fn fused_adamw(
        parameter: FlexTensor,
        exp_avg: FlexTensor,
        exp_avg_sq: FlexTensor,
        gradient: FlexTensor,
        scalars: Scalars,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [mut parameter, mut exp_avg, mut exp_avg_sq, gradient] =
            [parameter, exp_avg, exp_avg_sq, gradient].map(contiguous);
        optimizer::adamw(
            parameter.storage_mut(),
            exp_avg.storage_mut(),
            exp_avg_sq.storage_mut(),
            elements(&gradient),
            scalars,
        );
        (parameter, exp_avg, exp_avg_sq)
    }

    fn fused_square(values: FlexTensor) -> FlexTensor {
        let values = contiguous(values);
        tensor(vec![optimizer::sum_of_squares(elements(&values)) as f32], [1])
    }
}

/// [`crate::record::PullBack`] on this backend.
type PullBack<const N: usize> = crate::record::PullBack<Flex, N>;

/// [`crate::record::record`] with contiguous inputs and gradients.
fn record<C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    forward: impl FnOnce([FlexTensor; N]) -> (FlexTensor, PullBack<N>),
) -> FloatTensor<Autodiff<Flex, C>> {
    crate::record::record::<Flex, C, N>(inputs, |inputs| {
        let (output, pull_back) = forward(inputs.map(contiguous));
        let pull_back: PullBack<N> =
            Arc::new(move |gradient, wanted| pull_back(contiguous(gradient), wanted));
        (output, pull_back)
    })
}

impl<C: CheckpointStrategy> FusedBackend for Autodiff<Flex, C> {
    fn fused_embed(
        word: FloatTensor<Self>,
        position: FloatTensor<Self>,
        token_type: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        ids: Arc<HostIds>,
        scalars: NormScalars,
    ) -> FloatTensor<Self> {
        record::<C, 5>([word, position, token_type, weight, bias], |inputs| {
            let [word, position, token_type, weight, bias] = inputs;
            let place = Place::output(scalars.dropout);
            let tables = [&word, &position, &token_type];
            let (output, saved) =
                embed_forward(tables, &weight, &bias, &ids, scalars.epsilon, place);
            let rows = tables.map(|table| dims(table)[0]);
            let pull_back = move |gradient: FlexTensor, wanted: [bool; 5]| {
                let hidden = elements(&weight).len();
                let gradients =
                    norm::backward(&saved, elements(&weight), elements(&gradient), place, false);
                let table = |index: usize, ids: &[i32]| {
                    wanted[index].then(|| {
                        let table = embed::scatter(&gradients.input, ids, rows[index], hidden);
                        tensor(table, [rows[index], hidden])
                    })
                };
                [
                    table(0, &ids.ids),
                    table(1, &ids.positions),
                    table(2, &ids.types),
                    Some(tensor(gradients.weight, [hidden])),
                    Some(tensor(gradients.bias, [hidden])),
                ]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn fused_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        record::<C, 3>([input, weight, bias], |[input, weight, bias]| {
            let output = linear_forward(input.clone(), weight.clone(), &bias);
            let pull_back = move |gradient: FlexTensor, wanted: [bool; 3]| {
                let by = |wanted: bool, a: &FlexTensor, b: &FlexTensor| {
                    wanted.then(|| Flex::float_matmul(a.clone(), b.clone()))
                };
                let columns = elements(&bias).len();
                let of_bias = wanted[2].then(|| norm::column_sums(elements(&gradient), columns));
                [
                    by(wanted[0], &gradient, &Flex::float_transpose(weight.clone())),
                    by(wanted[1], &Flex::float_transpose(input.clone()), &gradient),
                    of_bias.map(|sums| tensor(sums, [columns])),
                ]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn fused_add_norm(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scalars: NormScalars,
    ) -> FloatTensor<Self> {
        record::<C, 4>([input, residual, weight, bias], |[input, residual, weight, bias]| {
            let place = Place::input(scalars.dropout);
            let (output, saved) =
                add_norm_forward(&input, &residual, &weight, &bias, scalars.epsilon, place);
            let shape = dims(&input);
            let pull_back = move |gradient: FlexTensor, _: [bool; 4]| {
                let gradients =
                    norm::backward(&saved, elements(&weight), elements(&gradient), place, true);
                let hidden = shape[1];
                [
                    Some(tensor(gradients.input, shape.clone())),
                    gradients.residual.map(|residual| tensor(residual, shape.clone())),
                    Some(tensor(gradients.weight, [hidden])),
                    Some(tensor(gradients.bias, [hidden])),
                ]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn fused_gelu(input: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, 1>([input], |[input]| {
            let output = tensor(gelu::forward(elements(&input)), dims(&input));
            let pull_back = move |gradient: FlexTensor, _: [bool; 1]| {
                let gradient = gelu::backward(elements(&input), elements(&gradient));
                [Some(tensor(gradient, dims(&input)))]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn fused_attention(qkv: FloatTensor<Self>, shape: Shape) -> FloatTensor<Self> {
        record::<C, 1>([qkv], |[qkv]| {
            let output = attention::forward(elements(&qkv), &shape);
            let output = tensor(output, [shape.tokens, shape.hidden]);
            let pull_back = move |gradient: FlexTensor, _: [bool; 1]| {
                let gradient = attention::backward(elements(&qkv), elements(&gradient), &shape);
                [Some(tensor(gradient, dims(&qkv)))]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn fused_cross_entropy(
        rows: FloatTensor<Self>,
        decoder: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        labels: Vec<usize>,
        weights: Vec<f32>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let mut figures = None;
        let loss = record::<C, 3>([rows, decoder, bias], |[rows, decoder, bias]| {
            let forward = (rows.clone(), decoder.clone());
            let (logits, [loss, nll, correct]) =
                entropy_forward(forward.0, forward.1, &bias, &labels, &weights);
            figures = Some((nll, correct));
            let pull_back = move |gradient: FlexTensor, wanted: [bool; 3]| {
                pull_back_entropy(&logits, &rows, &decoder, elements(&gradient)[0], wanted)
            };
            (loss, Arc::new(pull_back))
        });
        #[expect(clippy::expect_used, reason = "`record` calls the closure once")]
        let (nll, correct) = figures.expect("the forward pass has run");
        let constant = <Self as burn::backend::AutodiffBackend>::from_inner;
        (loss, constant(nll), constant(correct))
    }

    fn fused_adamw(
        parameter: FloatTensor<Self>,
        exp_avg: FloatTensor<Self>,
        exp_avg_sq: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        scalars: Scalars,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let constant = <Self as burn::backend::AutodiffBackend>::from_inner;
        let (parameter, exp_avg, exp_avg_sq) = Flex::fused_adamw(
            parameter.into_primitive(),
            exp_avg.into_primitive(),
            exp_avg_sq.into_primitive(),
            gradient.into_primitive(),
            scalars,
        );
        (constant(parameter), constant(exp_avg), constant(exp_avg_sq))
    }

    fn fused_square(values: FloatTensor<Self>) -> FloatTensor<Self> {
        let constant = <Self as burn::backend::AutodiffBackend>::from_inner;
        constant(Flex::fused_square(values.into_primitive()))
    }
}

/// With G the gradient of the logits and g that of the loss: dRows = g G · decoder,
/// dDecoder = (g G)ᵀ · rows, dBias = Σ g G. The scalar goes to the smallest factor.
fn pull_back_entropy(
    logits: &FlexTensor,
    rows: &FlexTensor,
    decoder: &FlexTensor,
    factor: f32,
    wanted: [bool; 3],
) -> [Option<FlexTensor>; 3] {
    let vocab = dims(logits)[1];
    let scaled = |tensor: FlexTensor| Flex::float_mul_scalar(tensor, factor.into());
    let of_rows = || scaled(Flex::float_matmul(logits.clone(), decoder.clone()));
    let of_decoder =
        || Flex::float_matmul(Flex::float_transpose(logits.clone()), scaled(rows.clone()));
    let of_bias = || scaled(tensor(norm::column_sums(elements(logits), vocab), [vocab]));
    [wanted[0].then(of_rows), wanted[1].then(of_decoder), wanted[2].then(of_bias)]
}
