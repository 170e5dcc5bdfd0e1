//! The softmax of packed attention: each query sees its own sample, and weights are dropped in the
//! kernel.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, elem, empty};
use super::random::{Draws, draws, fill_mask};
use super::reduce::{largest, total};
use crate::Dropout;

/// Scores below this are of no key.
const LOWEST: f32 = -3.0e38;

/// The scalars of packed attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    pub(crate) bins: usize,
    pub(crate) bin_length: usize,
    pub(crate) heads: usize,
    pub(crate) head_size: usize,
    pub(crate) dropout: Option<Dropout>,
}

impl AttentionShape {
    /// What scores are multiplied by.
    fn scale(&self) -> f32 {
        1.0 / (self.head_size as f32).sqrt()
    }

    fn form(&self) -> Form {
        let units = if self.bin_length <= 128 { 32 } else { 64 };
        let drops = self.dropout.is_some_and(|dropout| dropout.probability > 0.0);
        Form { length: self.bin_length, units, drops }
    }

    fn draws(&self) -> DrawsLaunchOf {
        let first_row = self.dropout.map_or(0, |dropout| dropout.first_row);
        draws(self.dropout, first_row.wrapping_mul(self.heads as u64))
    }

    fn rows(&self) -> usize {
        self.bins * self.heads * self.bin_length
    }
}

type DrawsLaunchOf = super::random::DrawsLaunch;

/// What the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Form {
    length: usize,
    units: usize,
    drops: bool,
}

impl Form {
    /// Groups of four keys that one unit has.
    fn quads_each(&self) -> usize {
        self.length.div_ceil(4 * self.units)
    }
}

/// A row of scores: the query's token, and the row of the dropout mask, which is (token, head).
#[derive(CubeType)]
struct Query {
    token: usize,
    mask_row: u32,
}

#[cube]
fn query_of(row: usize, heads: usize, #[comptime] form: Form) -> Query {
    let place = row % form.length;
    let of_head = row / form.length;
    let token = of_head / heads * form.length + place;
    let mask_row = (token * heads + of_head % heads) as u32;
    Query { token, mask_row }
}

#[cube(launch)]
fn forward_kernel<F: Float>(
    scores: &[F],
    starts: &[i32],
    ends: &[i32],
    weights: &mut [F],
    dropped: &mut [F],
    draws: Draws,
    rows: usize,
    heads: usize,
    scale: f32,
    #[comptime] form: Form,
    #[define(F)] _elem: ElemType,
) {
    let each = comptime!(4 * form.quads_each());
    let mut lanes = Shared::<[f32]>::new_slice(form.units);
    let mut values = Array::<f32>::new(each);
    let mut mask = Array::<f32>::new(4usize);
    let mut row = CUBE_POS;
    while row < rows {
        let query = query_of(row, heads, form);
        let start = starts[query.token] as usize;
        let end = ends[query.token] as usize;
        let base = row * form.length;
        let mut highest = f32::new(LOWEST);
        #[unroll]
        for at in 0..each {
            let key = (at / 4 * form.units + UNIT_POS as usize) * 4 + at % 4;
            let mut value = f32::new(LOWEST);
            if key >= start && key < end {
                value = f32::cast_from(scores[base + key]) * scale;
            }
            values[at] = value;
            highest = max(highest, value);
        }
        let highest = largest(&mut lanes, highest, form.units);
        let mut sum = 0.0f32;
        #[unroll]
        for at in 0..each {
            let key = (at / 4 * form.units + UNIT_POS as usize) * 4 + at % 4;
            let mut value = 0.0f32;
            if key >= start && key < end {
                value = (values[at] - highest).exp();
            }
            values[at] = value;
            sum += value;
        }
        let sum = total(&mut lanes, sum, form.units);
        // A row of padding sees no key: its weights are zero.
        let share = select(sum > 0.0f32, 1.0f32 / sum, 0.0f32);
        #[unroll]
        for turn in 0..comptime!(form.quads_each()) {
            let quad = turn * form.units + UNIT_POS as usize;
            let is_seen = quad * 4 < end && quad * 4 + 4 > start;
            if is_seen {
                fill_mask(&mut mask, &draws, query.mask_row, quad as u32, form.drops);
            }
            #[unroll]
            for lane in 0..4usize {
                let key = quad * 4 + lane;
                if key < form.length {
                    let weight = values[turn * 4 + lane] * share;
                    weights[base + key] = F::cast_from(weight);
                    if comptime!(form.drops) {
                        let kept = select(is_seen, weight * mask[lane], 0.0f32);
                        dropped[base + key] = F::cast_from(kept);
                    }
                }
            }
        }
        row += CUBE_COUNT;
    }
}

/// `ds = p · (dp − Σ dp p) · scale` with `dp = mask · gradient`; and the dropped weights again.
#[cube(launch)]
fn backward_kernel<F: Float>(
    weights: &[F],
    gradient: &[F],
    starts: &[i32],
    ends: &[i32],
    of_scores: &mut [F],
    dropped: &mut [F],
    draws: Draws,
    rows: usize,
    heads: usize,
    scale: f32,
    #[comptime] form: Form,
    #[define(F)] _elem: ElemType,
) {
    let each = comptime!(4 * form.quads_each());
    let mut lanes = Shared::<[f32]>::new_slice(form.units);
    let mut probabilities = Array::<f32>::new(each);
    let mut gradients = Array::<f32>::new(each);
    let mut mask = Array::<f32>::new(4usize);
    let mut row = CUBE_POS;
    while row < rows {
        let query = query_of(row, heads, form);
        let start = starts[query.token] as usize;
        let end = ends[query.token] as usize;
        let base = row * form.length;
        let mut product = 0.0f32;
        #[unroll]
        for turn in 0..comptime!(form.quads_each()) {
            let quad = turn * form.units + UNIT_POS as usize;
            let is_seen = quad * 4 < end && quad * 4 + 4 > start;
            if is_seen {
                fill_mask(&mut mask, &draws, query.mask_row, quad as u32, form.drops);
            }
            #[unroll]
            for lane in 0..4usize {
                let key = quad * 4 + lane;
                let at = turn * 4 + lane;
                let mut probability = 0.0f32;
                let mut of_weight = 0.0f32;
                if key >= start && key < end {
                    probability = f32::cast_from(weights[base + key]);
                    of_weight = f32::cast_from(gradient[base + key]) * mask[lane];
                }
                probabilities[at] = probability;
                gradients[at] = of_weight;
                product += probability * of_weight;
                if comptime!(form.drops) {
                    if key < form.length {
                        let kept = select(is_seen, probability * mask[lane], 0.0f32);
                        dropped[base + key] = F::cast_from(kept);
                    }
                }
            }
        }
        let product = total(&mut lanes, product, form.units);
        #[unroll]
        for at in 0..each {
            let key = (at / 4 * form.units + UNIT_POS as usize) * 4 + at % 4;
            if key < form.length {
                let of_score = probabilities[at] * (gradients[at] - product) * scale;
                of_scores[base + key] = F::cast_from(of_score);
            }
        }
        row += CUBE_COUNT;
    }
}

/// Memory for the dropped weights; of no size where nothing is dropped.
fn for_dropped(like: &CubeTensor, form: Form) -> CubeTensor {
    let shape = if form.drops { like.meta.shape().to_vec() } else { vec![1] };
    empty(like, shape, like.dtype)
}

/// The weights and the dropped weights, `[bins · heads, length, length]`.
pub(crate) fn forward(
    scores: CubeTensor,
    starts: CubeTensor,
    ends: CubeTensor,
    shape: &AttentionShape,
) -> (CubeTensor, CubeTensor) {
    let [scores, starts, ends] = [scores, starts, ends].map(contiguous);
    let form = shape.form();
    let weights = empty(&scores, scores.meta.shape().to_vec(), scores.dtype);
    let dropped = for_dropped(&scores, form);
    forward_kernel::launch(
        &scores.client.clone(),
        cubes(shape.rows()),
        CubeDim::new_1d(form.units as u32),
        scores.clone().into_buffer_arg(),
        starts.into_buffer_arg(),
        ends.into_buffer_arg(),
        weights.clone().into_buffer_arg(),
        dropped.clone().into_buffer_arg(),
        shape.draws(),
        shape.rows(),
        shape.heads,
        shape.scale(),
        form,
        elem(scores.dtype),
    );
    if form.drops { (weights, dropped) } else { (weights.clone(), weights) }
}

/// The gradient of the scores, and the dropped weights.
pub(crate) fn backward(
    weights: CubeTensor,
    gradient: CubeTensor,
    starts: CubeTensor,
    ends: CubeTensor,
    shape: &AttentionShape,
) -> (CubeTensor, CubeTensor) {
    let [weights, gradient, starts, ends] = [weights, gradient, starts, ends].map(contiguous);
    let form = shape.form();
    let of_scores = empty(&weights, weights.meta.shape().to_vec(), weights.dtype);
    let dropped = for_dropped(&weights, form);
    backward_kernel::launch(
        &weights.client.clone(),
        cubes(shape.rows()),
        CubeDim::new_1d(form.units as u32),
        weights.clone().into_buffer_arg(),
        gradient.into_buffer_arg(),
        starts.into_buffer_arg(),
        ends.into_buffer_arg(),
        of_scores.clone().into_buffer_arg(),
        dropped.clone().into_buffer_arg(),
        shape.draws(),
        shape.rows(),
        shape.heads,
        shape.scale(),
        form,
        elem(weights.dtype),
    );
    if form.drops { (of_scores, dropped) } else { (of_scores, weights) }
}
