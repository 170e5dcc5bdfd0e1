//! The decoder and its cross-entropy, a block of logits at a time, and their gradients.

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::{DType, Slice};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, elem, empty, empty_f32};
use super::product::wide;
use super::reduce::{column_sums, largest, total};
use super::tensors::{cast, joined, narrow, reshape, shape};

/// Units a row.
const UNITS: usize = 256;

#[cube(launch)]
fn rows_kernel<O: Float>(
    logits: &[f32],
    bias: &[f32],
    labels: &[i32],
    weights: &[f32],
    gradient: &mut [O],
    nll: &mut [f32],
    correct: &mut [f32],
    rows: usize,
    vocab: usize,
    #[define(O)] _elem: ElemType,
) {
    let mut lanes = Shared::<[f32]>::new_slice(UNITS);
    let mut row = CUBE_POS;
    while row < rows {
        let base = row * vocab;
        let label = labels[row] as usize;
        let mut highest = logits[base] + bias[0];
        let mut at = UNIT_POS as usize;
        while at < vocab {
            highest = max(highest, logits[base + at] + bias[at]);
            at += UNITS;
        }
        let highest = largest(&mut lanes, highest, UNITS);
        let mut sum = 0.0f32;
        let mut at = UNIT_POS as usize;
        while at < vocab {
            sum += (logits[base + at] + bias[at] - highest).exp();
            at += UNITS;
        }
        let sum = total(&mut lanes, sum, UNITS);
        let weight = weights[row];
        let mut at = UNIT_POS as usize;
        while at < vocab {
            let probability = (logits[base + at] + bias[at] - highest).exp() / sum;
            let of_label = select(at == label, 1.0f32, 0.0f32);
            gradient[base + at] = O::cast_from(weight * (probability - of_label));
            at += UNITS;
        }
        if UNIT_POS == 0 {
            let of_label = logits[base + label] + bias[label] - highest;
            nll[row] = sum.ln() - of_label;
            correct[row] = select(of_label >= 0.0f32, 1.0f32, 0.0f32);
        }
        row += CUBE_COUNT;
    }
}

/// The gradient of `Σ weight · nll` with respect to `logits` (f32, without their bias), in `out`;
/// each row's `−log p(label)`; and 1 where the label leads.
fn rows_of_logits(
    logits: CubeTensor,
    bias: CubeTensor,
    labels: CubeTensor,
    weights: CubeTensor,
    out: DType,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [logits, bias, labels, weights] = [logits, bias, labels, weights].map(contiguous);
    let vocab = bias.meta.num_elements();
    let rows = labels.meta.num_elements();
    let gradient = empty(&logits, [rows, vocab], out);
    let [nll, correct] = [(); 2].map(|()| empty_f32(&logits, [rows]));
    rows_kernel::launch(
        &logits.client.clone(),
        cubes(rows),
        CubeDim::new_1d(UNITS as u32),
        logits.into_buffer_arg(),
        bias.into_buffer_arg(),
        labels.into_buffer_arg(),
        weights.into_buffer_arg(),
        gradient.clone().into_buffer_arg(),
        nll.clone().into_buffer_arg(),
        correct.clone().into_buffer_arg(),
        rows,
        vocab,
        elem(out),
    );
    (gradient, nll, correct)
}

/// What one pass over the logits gives.
pub(crate) struct Entropy {
    /// `Σ weight · nll`, `[1]`.
    pub(crate) loss: CubeTensor,
    pub(crate) nll: CubeTensor,
    pub(crate) correct: CubeTensor,
    /// The gradients of the rows, the decoder and the bias for a loss gradient of 1, in f32, where
    /// they were asked for.
    pub(crate) gradients: Option<[CubeTensor; 3]>,
}

/// The decoder's loss, a block of rows at a time, so that one block of logits is there.
pub(crate) fn decoded(
    rows: &CubeTensor,
    decoder: CubeTensor,
    bias: &CubeTensor,
    labels: &CubeTensor,
    weights: &CubeTensor,
    wants_gradients: bool,
    block_rows: usize,
) -> Entropy {
    let dtype = rows.dtype();
    let count = shape(rows)[0];
    let decoder = cast(decoder, dtype);
    let (mut nll, mut correct, mut of_rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut sums: Option<[CubeTensor; 2]> = None;
    for first in (0..count).step_by(block_rows) {
        let size = block_rows.min(count - first);
        let block = narrow(rows.clone(), first, size);
        let logits = wide(block.clone(), decoder.clone(), [false, true]);
        let labels = Cube::int_slice(labels.clone(), &[Slice::from(first..first + size)]);
        let weights = narrow(weights.clone(), first, size);
        let (gradient, block_nll, block_correct) =
            rows_of_logits(logits, bias.clone(), labels, weights, dtype);
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
