//! The cross-entropy of a block of logits and its gradient.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, elem, empty, empty_f32};
use super::reduce::{largest, total};

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
pub(crate) fn rows(
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
