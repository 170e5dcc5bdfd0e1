//! The cross-entropy of a block of logits and its gradient, in place.

use rayon::prelude::*;

use super::vector::{exp, maximum, sum_of, vectorised};

/// One row's figures.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row {
    /// `−log p(label)`, nats.
    pub(crate) nll: f32,
    /// 1 where the label has the largest logit.
    pub(crate) correct: f32,
}

/// Turns `logits`, `[rows, vocab]` without their bias, into the gradient of
/// `Σ weight · nll` with respect to them, and gives each row's figures.
pub(crate) fn rows_in_place(
    logits: &mut [f32],
    bias: &[f32],
    labels: &[usize],
    weights: &[f32],
) -> Vec<Row> {
    let vocab = bias.len();
    logits
        .par_chunks_mut(vocab)
        .zip(labels.par_iter().zip(weights))
        .map(|(row, (&label, &weight))| row_in_place(row, bias, label, weight))
        .collect()
}

vectorised! {
    fn row_in_place<'a>(row: &'a mut [f32], bias: &'a [f32], label: usize, weight: f32) -> Row {
        for (x, b) in row.iter_mut().zip(bias) {
            *x += b;
        }
        let largest = maximum(row);
        let of_label = row[label] - largest;
        for x in row.iter_mut() {
            *x = exp(*x - largest);
        }
        let sum = sum_of(row, |x| x);
        let factor = weight / sum;
        for x in row.iter_mut() {
            *x *= factor;
        }
        row[label] -= weight;
        Row { nll: sum.ln() - of_label, correct: if of_label >= 0.0 { 1.0 } else { 0.0 } }
    }
}
