//! Attention by matrices of scores: products, and between them one pass over a row of scores in which
//! each query sees its own sample and weights are dropped.
#![allow(clippy::collapsible_if, reason = "what a kernel is compiled for is decided apart")]

use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{AttentionShape, LOWEST};
use crate::cube::launch::{contiguous, cubes, elem, empty};
use crate::cube::product::plain;
use crate::cube::random::{Draws, fill_mask};
use crate::cube::reduce::{largest, total};
use crate::cube::tensors::{narrow, reshape};

/// `[tokens, 3 · hidden]` → queries, keys and values, `[bins · heads, length, head_size]` each.
fn heads(qkv: CubeTensor, parts: usize, shape: &AttentionShape) -> Vec<CubeTensor> {
    let AttentionShape { bins, bin_length, heads, head_size, .. } = *shape;
    let split = reshape(qkv, [bins, bin_length, parts, heads, head_size]);
    let by_part = Cube::float_permute(split, &[2, 0, 3, 1, 4]);
    let by_part = reshape(by_part, [parts * bins * heads, bin_length, head_size]);
    let each = bins * heads;
    (0..parts).map(|part| narrow(by_part.clone(), part * each, each)).collect()
}

/// The way back: `[parts · bins · heads, length, head_size]` → `[tokens, parts · hidden]`.
fn tokens(by_part: CubeTensor, parts: usize, shape: &AttentionShape) -> CubeTensor {
    let AttentionShape { bins, bin_length, heads, head_size, .. } = *shape;
    let split = reshape(by_part, [parts, bins, heads, bin_length, head_size]);
    let by_token = Cube::float_permute(split, &[1, 3, 0, 2, 4]);
    reshape(by_token, [bins * bin_length, parts * heads * head_size])
}

#[expect(clippy::expect_used, reason = "every caller asks for three parts")]
fn three(parts: Vec<CubeTensor>) -> [CubeTensor; 3] {
    parts.try_into().expect("three parts")
}

/// The attended values, and the weights before dropout.
pub(super) fn attended(
    qkv: CubeTensor,
    bounds: [CubeTensor; 2],
    shape: &AttentionShape,
) -> (CubeTensor, CubeTensor) {
    let [query, key, value] = three(heads(qkv, 3, shape));
    let scores = plain(query, key, [false, true]);
    let (weights, dropped) = forward(scores, bounds, shape);
    (tokens(plain(dropped, value, [false, false]), 1, shape), weights)
}

/// The gradient of `qkv`.
pub(super) fn pulled_back(
    qkv: CubeTensor,
    weights: CubeTensor,
    gradient: CubeTensor,
    bounds: [CubeTensor; 2],
    shape: &AttentionShape,
) -> CubeTensor {
    let [query, key, value] = three(heads(qkv, 3, shape));
    let gradient = heads(gradient, 1, shape).remove(0);
    let of_dropped = plain(gradient.clone(), value, [false, true]);
    let (of_scores, dropped) = backward(weights, of_dropped, bounds, shape);
    let parts = vec![
        plain(of_scores.clone(), key, [false, false]),
        plain(of_scores, query, [true, false]),
        plain(dropped, gradient, [true, false]),
    ];
    tokens(Cube::float_cat(parts, 0), 3, shape)
}

/// What the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Form {
    length: usize,
    units: usize,
    drops: bool,
}

impl Form {
    fn of(shape: &AttentionShape) -> Self {
        let units = if shape.bin_length <= 128 { 32 } else { 64 };
        Self { length: shape.bin_length, units, drops: shape.drops() }
    }

    /// Groups of four keys that one unit has.
    fn quads_each(&self) -> usize {
        self.length.div_ceil(4 * self.units)
    }
}

/// A row of scores.
#[derive(CubeType)]
struct Query {
    /// Where the row begins in the matrix of scores.
    base: usize,
    /// The place of the sample's first token in the bin, and the one after its last.
    start: usize,
    end: usize,
    /// The row of the dropout mask, which is (token, head).
    mask_row: u32,
}

#[cube]
fn query_of(
    row: usize,
    starts: &[i32],
    ends: &[i32],
    heads: usize,
    #[comptime] form: Form,
) -> Query {
    let of_head = row / form.length;
    let token = of_head / heads * form.length + row % form.length;
    Query {
        base: row * form.length,
        start: starts[token] as usize,
        end: ends[token] as usize,
        mask_row: (token * heads + of_head % heads) as u32,
    }
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
        let query = query_of(row, starts, ends, heads, form);
        let mut highest = f32::new(LOWEST);
        #[unroll]
        for at in 0..each {
            let key = (at / 4 * form.units + UNIT_POS as usize) * 4 + at % 4;
            let mut value = f32::new(LOWEST);
            if key >= query.start && key < query.end {
                value = f32::cast_from(scores[query.base + key]) * scale;
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
            if key >= query.start && key < query.end {
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
            let is_seen = quad * 4 < query.end && quad * 4 + 4 > query.start;
            if is_seen {
                fill_mask(&mut mask, &draws, query.mask_row, quad as u32, form.drops);
            }
            #[unroll]
            for lane in 0..4usize {
                let key = quad * 4 + lane;
                if key < form.length {
                    let weight = values[turn * 4 + lane] * share;
                    weights[query.base + key] = F::cast_from(weight);
                    if comptime!(form.drops) {
                        let kept = select(is_seen, weight * mask[lane], 0.0f32);
                        dropped[query.base + key] = F::cast_from(kept);
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
        let query = query_of(row, starts, ends, heads, form);
        let mut product = 0.0f32;
        #[unroll]
        for turn in 0..comptime!(form.quads_each()) {
            let quad = turn * form.units + UNIT_POS as usize;
            let is_seen = quad * 4 < query.end && quad * 4 + 4 > query.start;
            if is_seen {
                fill_mask(&mut mask, &draws, query.mask_row, quad as u32, form.drops);
            }
            #[unroll]
            for lane in 0..4usize {
                let key = quad * 4 + lane;
                let at = turn * 4 + lane;
                let mut probability = 0.0f32;
                let mut of_weight = 0.0f32;
                if key >= query.start && key < query.end {
                    probability = f32::cast_from(weights[query.base + key]);
                    of_weight = f32::cast_from(gradient[query.base + key]) * mask[lane];
                }
                probabilities[at] = probability;
                gradients[at] = of_weight;
                product += probability * of_weight;
                if comptime!(form.drops) {
                    if key < form.length {
                        let kept = select(is_seen, probability * mask[lane], 0.0f32);
                        dropped[query.base + key] = F::cast_from(kept);
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
                of_scores[query.base + key] = F::cast_from(of_score);
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
fn forward(
    scores: CubeTensor,
    [starts, ends]: [CubeTensor; 2],
    shape: &AttentionShape,
) -> (CubeTensor, CubeTensor) {
    let [scores, starts, ends] = [scores, starts, ends].map(contiguous);
    let form = Form::of(shape);
    let weights = empty(&scores, scores.meta.shape().to_vec(), scores.dtype);
    let dropped = for_dropped(&scores, form);
    forward_kernel::launch(
        &scores.client.clone(),
        cubes(shape.tokens() * shape.heads),
        CubeDim::new_1d(form.units as u32),
        scores.clone().into_buffer_arg(),
        starts.into_buffer_arg(),
        ends.into_buffer_arg(),
        weights.clone().into_buffer_arg(),
        dropped.clone().into_buffer_arg(),
        shape.draws(),
        shape.tokens() * shape.heads,
        shape.heads,
        shape.scale(),
        form,
        elem(scores.dtype),
    );
    if form.drops { (weights, dropped) } else { (weights.clone(), weights) }
}

/// The gradient of the scores, and the dropped weights.
fn backward(
    weights: CubeTensor,
    gradient: CubeTensor,
    [starts, ends]: [CubeTensor; 2],
    shape: &AttentionShape,
) -> (CubeTensor, CubeTensor) {
    let [weights, gradient, starts, ends] = [weights, gradient, starts, ends].map(contiguous);
    let form = Form::of(shape);
    let of_scores = empty(&weights, weights.meta.shape().to_vec(), weights.dtype);
    let dropped = for_dropped(&weights, form);
    backward_kernel::launch(
        &weights.client.clone(),
        cubes(shape.tokens() * shape.heads),
        CubeDim::new_1d(form.units as u32),
        weights.clone().into_buffer_arg(),
        gradient.into_buffer_arg(),
        starts.into_buffer_arg(),
        ends.into_buffer_arg(),
        of_scores.clone().into_buffer_arg(),
        dropped.clone().into_buffer_arg(),
        shape.draws(),
        shape.tokens() * shape.heads,
        shape.heads,
        shape.scale(),
        form,
        elem(weights.dtype),
    );
    if form.drops { (of_scores, dropped) } else { (of_scores, weights) }
}
