//! Dropout, residual and layer norm in one pass, and their gradients in another.

use rayon::prelude::*;

use super::vector::{dot, sum_of, vectorised};
use crate::Dropout;

/// Rows a task: the same for any number of threads, as the gradients of gain and bias are summed
/// task by task.
const ROWS: usize = 32;

/// What the backward pass needs of the forward pass.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    /// `(x − mean) / deviation`, `[rows, hidden]`.
    pub(crate) normal: Vec<f32>,
    /// `1 / deviation`, `[rows]`.
    pub(crate) inverse: Vec<f32>,
}

/// Where dropout acts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// On the input, before the residual is added.
    Input(Dropout),
    /// On the output.
    Output(Dropout),
    /// Nowhere.
    Nowhere,
}

impl Place {
    pub(crate) fn input(dropout: Option<Dropout>) -> Self {
        dropout.filter(|dropout| dropout.probability > 0.0).map_or(Self::Nowhere, Self::Input)
    }

    pub(crate) fn output(dropout: Option<Dropout>) -> Self {
        dropout.filter(|dropout| dropout.probability > 0.0).map_or(Self::Nowhere, Self::Output)
    }
}

/// A row's mean and inverse deviation.
#[inline(always)]
fn statistics(row: &[f32], epsilon: f32) -> (f32, f32) {
    let size = row.len() as f32;
    let mean = sum_of(row, |x| x) / size;
    let variance = sum_of(row, |x| (x - mean) * (x - mean)) / size;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

#[inline(always)]
fn multiply(row: &mut [f32], mask: &[f32]) {
    for (x, m) in row.iter_mut().zip(mask) {
        *x *= m;
    }
}

/// What [`forward`] computes beside its rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) epsilon: f32,
    pub(crate) place: Place,
    /// `[rows, hidden]`
    pub(crate) residual: Option<&'a [f32]>,
}

/// `norm(place(input) + residual)`. `fill` writes row `row` of the input into its buffer.
pub(crate) fn forward(
    rows: usize,
    layer: Layer<'_>,
    fill: impl Fn(usize, &mut [f32]) + Sync,
) -> (Vec<f32>, Saved) {
    let hidden = layer.weight.len();
    let mut output = vec![0.0; rows * hidden];
    let mut saved = Saved { normal: vec![0.0; rows * hidden], inverse: vec![0.0; rows] };
    let tasks = output
        .par_chunks_mut(ROWS * hidden)
        .zip(saved.normal.par_chunks_mut(ROWS * hidden))
        .zip(saved.inverse.par_chunks_mut(ROWS))
        .enumerate();
    tasks.for_each(|(task, ((output, normal), inverse))| {
        let first = task * ROWS;
        for (at, row) in normal.chunks_exact_mut(hidden).enumerate() {
            fill(first + at, row);
        }
        forward_rows(layer, first, output, normal, inverse);
    });
    (output, saved)
}

vectorised! {
    fn forward_rows<'a>(layer: Layer<'a>, first: usize, output: &'a mut [f32], normal: &'a mut [f32], inverse: &'a mut [f32]) {
        let Layer { weight, bias, epsilon, place, residual } = layer;
        let hidden = weight.len();
        let mut mask = vec![0.0; hidden];
        let each = output.chunks_exact_mut(hidden).zip(normal.chunks_exact_mut(hidden));
        for (at, ((output, normal), inverse)) in each.zip(inverse).enumerate() {
            let row = first + at;
            if let Place::Input(dropout) = place {
                dropout.fill_row(row as u64, &mut mask);
                multiply(normal, &mask);
            }
            if let Some(residual) = residual {
                let residual = &residual[row * hidden..(row + 1) * hidden];
                for (x, r) in normal.iter_mut().zip(residual) {
                    *x += r;
                }
            }
            let (mean, scale) = statistics(normal, epsilon);
            *inverse = scale;
            for (x, (y, (w, b))) in
                normal.iter_mut().zip(output.iter_mut().zip(weight.iter().zip(bias)))
            {
                *x = (*x - mean) * scale;
                *y = *x * w + b;
            }
            if let Place::Output(dropout) = place {
                dropout.fill_row(row as u64, &mut mask);
                multiply(output, &mask);
            }
        }
    }
}

/// The gradients of [`forward`].
pub(crate) struct Gradients {
    /// Of the input, after its dropout is undone.
    pub(crate) input: Vec<f32>,
    /// Of the residual; empty where dropout on the input does not make it another.
    pub(crate) residual: Option<Vec<f32>>,
    /// Of the gain.
    pub(crate) weight: Vec<f32>,
    /// Of the bias.
    pub(crate) bias: Vec<f32>,
}

/// The gradients of the input, the residual, the gain and the bias.
pub(crate) fn backward(
    saved: &Saved,
    weight: &[f32],
    gradient: &[f32],
    place: Place,
    has_residual: bool,
) -> Gradients {
    let hidden = weight.len();
    let rows = saved.inverse.len();
    let mut sum = vec![0.0; rows * hidden];
    let tasks = rows.div_ceil(ROWS);
    let mut partial = vec![0.0; tasks * 2 * hidden];
    sum.par_chunks_mut(ROWS * hidden).zip(partial.par_chunks_mut(2 * hidden)).enumerate().for_each(
        |(task, (sum, partial))| {
            let first = task * ROWS;
            backward_rows(saved, weight, gradient, place, first, sum, partial);
        },
    );
    let (weight_gradient, bias_gradient) = add_partials(&partial, hidden);
    let (input, residual) = match place {
        Place::Input(dropout) => {
            let mut input = sum.clone();
            input.par_chunks_mut(ROWS * hidden).enumerate().for_each(|(task, rows)| {
                mask_rows(dropout, task * ROWS, rows, hidden);
            });
            (input, has_residual.then_some(sum))
        }
        _ if has_residual => (sum.clone(), Some(sum)),
        _ => (sum, None),
    };
    Gradients { input, residual, weight: weight_gradient, bias: bias_gradient }
}

vectorised! {
    /// `ds = (dŷ − mean(dŷ) − x̂ · mean(dŷ x̂)) / deviation` with `dŷ = dy · weight`, row by row; and the
    /// task's share of `Σ dy x̂` and `Σ dy`.
    fn backward_rows<'a>(saved: &'a Saved, weight: &'a [f32], gradient: &'a [f32], place: Place, first: usize, sum: &'a mut [f32], partial: &'a mut [f32]) {
        let hidden = weight.len();
        let (of_weight, of_bias) = partial.split_at_mut(hidden);
        let mut dy = vec![0.0; hidden];
        let mut mask = vec![0.0; hidden];
        for (at, ds) in sum.chunks_exact_mut(hidden).enumerate() {
            let row = first + at;
            let span = row * hidden..(row + 1) * hidden;
            dy.copy_from_slice(&gradient[span.clone()]);
            if let Place::Output(dropout) = place {
                dropout.fill_row(row as u64, &mut mask);
                multiply(&mut dy, &mask);
            }
            let normal = &saved.normal[span];
            for ((dw, db), (g, x)) in
                of_weight.iter_mut().zip(of_bias.iter_mut()).zip(dy.iter().zip(normal))
            {
                *dw += g * x;
                *db += g;
            }
            multiply(&mut dy, weight);
            let mean = sum_of(&dy, |x| x) / hidden as f32;
            let product = dot(&dy, normal) / hidden as f32;
            for (out, (g, x)) in ds.iter_mut().zip(dy.iter().zip(normal)) {
                *out = saved.inverse[row] * (g - mean - x * product);
            }
        }
    }
}

/// Adds the tasks' shares in the order of the tasks.
fn add_partials(partial: &[f32], hidden: usize) -> (Vec<f32>, Vec<f32>) {
    let mut total = vec![0.0; 2 * hidden];
    for share in partial.chunks_exact(2 * hidden) {
        for (sum, value) in total.iter_mut().zip(share) {
            *sum += value;
        }
    }
    let bias = total.split_off(hidden);
    (total, bias)
}

/// `Σ rows`, in an order that does not depend on the number of threads.
pub(crate) fn column_sums(rows: &[f32], columns: usize) -> Vec<f32> {
    let shares: Vec<Vec<f32>> = rows
        .par_chunks(ROWS * columns)
        .map(|rows| {
            let mut share = vec![0.0; columns];
            add_rows(&mut share[..], rows);
            share
        })
        .collect();
    let mut total = vec![0.0; columns];
    for share in shares {
        for (sum, value) in total.iter_mut().zip(share) {
            *sum += value;
        }
    }
    total
}

/// Adds `bias` to every row.
pub(crate) fn add_to_rows(rows: &mut [f32], bias: &[f32]) {
    rows.par_chunks_mut(ROWS * bias.len()).for_each(|rows| add_to_each(rows, bias));
}

vectorised! {
    fn add_to_each<'a>(rows: &'a mut [f32], bias: &'a [f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                *x += b;
            }
        }
    }
}

vectorised! {
    fn add_rows<'a>(sum: &'a mut [f32], rows: &'a [f32]) {
        for row in rows.chunks_exact(sum.len()) {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

vectorised! {
    fn mask_rows<'a>(dropout: Dropout, first: usize, rows: &'a mut [f32], hidden: usize) {
        let mut mask = vec![0.0; hidden];
        for (at, row) in rows.chunks_exact_mut(hidden).enumerate() {
            dropout.fill_row((first + at) as u64, &mut mask);
            multiply(row, &mask);
        }
    }
}
