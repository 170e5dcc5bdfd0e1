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
use super::vectors::vector_of;

/// Units a row.
const UNITS: usize = 256;

#[cube(launch)]
fn rows_kernel<O: Float, N: Size>(
    logits: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    labels: &[i32],
    weights: &[f32],
    gradient: &mut [Vector<O, N>],
    nll: &mut [f32],
    correct: &mut [f32],
    rows: usize,
    vectors: usize,
    #[define(O)] _elem: ElemType,
) {
    let mut lanes = Shared::<[f32]>::new_slice(UNITS);
    let mut of_label = Shared::<[f32]>::new_slice(1usize);
    let size = N::value();
    let mut row = CUBE_POS;
    while row < rows {
        let base = row * vectors;
        let label = labels[row] as usize;
        let first = logits[base] + bias[0];
        let mut highest = first.extract(0usize);
        let mut at = UNIT_POS as usize;
        while at < vectors {
            let scores = logits[base + at] + bias[at];
            #[unroll]
            for lane in 0..size {
                highest = max(highest, scores.extract(lane));
            }
            at += UNITS;
        }
        let highest = largest(&mut lanes, highest, UNITS);
        let mut sum = 0.0f32;
        let mut at = UNIT_POS as usize;
        while at < vectors {
            let scores = logits[base + at] + bias[at];
            #[unroll]
            for lane in 0..size {
                sum += (scores.extract(lane) - highest).exp();
            }
            at += UNITS;
        }
        let sum = total(&mut lanes, sum, UNITS);
        let weight = weights[row];
        let mut at = UNIT_POS as usize;
        while at < vectors {
            let scores = logits[base + at] + bias[at];
            let mut gradients = Vector::<O, N>::empty();
            #[unroll]
            for lane in 0..size {
                let score = scores.extract(lane) - highest;
                let is_label = at * size + lane == label;
                if is_label {
                    of_label[0] = score;
                }
                let expected = select(is_label, 1.0f32, 0.0f32);
                gradients.insert(lane, O::cast_from(weight * (score.exp() / sum - expected)));
            }
            gradient[base + at] = gradients;
            at += UNITS;
        }
        sync_cube();
        if UNIT_POS == 0 {
            nll[row] = sum.ln() - of_label[0];
            correct[row] = select(of_label[0] >= 0.0f32, 1.0f32, 0.0f32);
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
    let vector = vector_of(vocab, &[DType::F32]);
    let [nll, correct] = [(); 2].map(|()| empty_f32(&logits, [rows]));
    rows_kernel::launch(
        &logits.client.clone(),
        cubes(rows),
        CubeDim::new_1d(UNITS as u32),
        vector,
        logits.into_buffer_arg(),
        bias.into_buffer_arg(),
        labels.into_buffer_arg(),
        weights.into_buffer_arg(),
        gradient.clone().into_buffer_arg(),
        nll.clone().into_buffer_arg(),
        correct.clone().into_buffer_arg(),
        rows,
        vocab / vector,
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
