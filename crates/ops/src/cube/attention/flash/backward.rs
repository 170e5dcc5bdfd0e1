//! The gradients: those of a block of queries in one pass over the tiles of their keys, those of a
//! block of keys and values in one over the tiles of their queries. Probabilities are made again.
//!
//! With P the probabilities, M the dropout mask, O the output and Δ each row's `Σ dO ∘ O`, which is
//! `Σ P ∘ M ∘ (dO Vᵀ)`: `dS = scale · P ∘ (M ∘ (dO Vᵀ) − Δ)`, `dQ = dS K`, `dK = dSᵀ Q`,
//! `dV = (P ∘ M)ᵀ dO`.
//!
//! Source: Dao 2023, "FlashAttention-2", Algorithm 2. Differs from it: the queries' gradients have a
//! pass of their own, so that no two cubes add to one sum and its order is fixed.

use cubecl::prelude::*;

use super::Form;
use super::product::{add_weighted_rows, no_sums, rows_by_rows, store_sums};
use super::tiles::{
    Batch, Row, Rows, block_of_cube, load_tile, row_of_unit, row_total, rows_of, sample_at,
    store_tile, window_of,
};
use crate::cube::random::{Draws, fill_mask, kept_scale};

/// The unit's part of Δ of its row.
#[cube]
fn part_of_delta<E: Float, N: Size>(
    of_output: &[Vector<E, N>],
    output: &[Vector<E, N>],
    row: &Row,
    #[comptime] form: Form,
) -> f32 {
    let parts = comptime!(form.parts());
    let mut delta = 0.0f32;
    #[unroll]
    for vector in 0..comptime!(form.head_size / form.vector / parts) {
        let at = row.at * comptime!(form.row_stride()) + vector * parts + row.part;
        let left = Vector::<f32, N>::cast_from(of_output[at]);
        let right = Vector::<f32, N>::cast_from(output[at]);
        #[unroll]
        for lane in 0..comptime!(form.vector) {
            delta += left.extract(lane) * right.extract(lane);
        }
    }
    delta
}

/// The unit's probabilities of the tile of keys at `place`.
#[cube]
fn recall(
    probabilities: &mut Array<f32>,
    products: &[f32],
    log_sum: f32,
    row: &Row,
    place: usize,
    scale: f32,
    #[comptime] form: Form,
) {
    let parts = comptime!(form.parts());
    #[unroll]
    for at in 0..comptime!(4 * form.quads_each()) {
        let column = (at / 4 * parts + row.part) * 4 + at % 4;
        let key = place + column;
        let mut probability = 0.0f32;
        if key >= row.start && key < row.end {
            let product = products[row.at * comptime!(form.sum_stride()) + column];
            probability = (product * scale - log_sum).exp();
        }
        probabilities[at] = probability;
    }
}

/// The gradients of the unit's scores from `products`, dO Vᵀ.
#[cube]
fn of_scores<E: Float>(
    gradients: &mut [E],
    probabilities: &Array<f32>,
    products: &[f32],
    delta: f32,
    row: &Row,
    place: usize,
    draws: &Draws,
    scale: f32,
    #[comptime] form: Form,
) {
    let parts = comptime!(form.parts());
    let mut mask = Array::<f32>::new(4usize);
    #[unroll]
    for turn in 0..comptime!(form.quads_each()) {
        let quad = turn * parts + row.part;
        let first = place + quad * 4;
        if first < row.end && first + 4 > row.start {
            fill_mask(&mut mask, draws, row.mask_row, (first / 4) as u32, form.drops);
        }
        #[unroll]
        for lane in 0..4usize {
            let column = quad * 4 + lane;
            let mut of_score = 0.0f32;
            if first + lane >= row.start && first + lane < row.end {
                let product = products[row.at * comptime!(form.sum_stride()) + column];
                let of_weight = product * mask[lane] - delta;
                of_score = probabilities[turn * 4 + lane] * of_weight * scale;
            }
            gradients[row.at * comptime!(form.weight_stride()) + column] = E::cast_from(of_score);
        }
    }
}

/// The gradients of a block of queries, and Δ, `[heads, tokens]`.
#[cube(launch)]
pub(super) fn queries_kernel<E: Float, N: Size>(
    qkv: &[Vector<E, N>],
    output: &[Vector<E, N>],
    gradient: &[Vector<E, N>],
    starts: &[i32],
    ends: &[i32],
    log_sums: &[f32],
    of_qkv: &mut [Vector<E, N>],
    deltas: &mut [f32],
    draws: Draws,
    batch: Batch,
    #[comptime] form: Form,
    #[define(E)] _elem: ElemType,
) {
    let mut query = Shared::<[Vector<E, N>]>::new_aligned_slice(form.tile_vectors(), 32usize);
    let mut of_output = Shared::<[Vector<E, N>]>::new_aligned_slice(form.tile_vectors(), 32usize);
    let mut key = Shared::<[Vector<E, N>]>::new_aligned_slice(form.tile_vectors(), 32usize);
    let mut value = Shared::<[Vector<E, N>]>::new_aligned_slice(form.tile_vectors(), 32usize);
    let mut weights = Shared::<[E]>::new_aligned_slice(form.weights(), 32usize);
    let mut scratch = Shared::<[f32]>::new_aligned_slice(form.sums(), 32usize);
    let mut lanes = Shared::<[f32]>::new_slice(form.units());
    let mut bounds = Shared::<[u32]>::new_slice(form.bounds());
    let block = block_of_cube();
    if block < batch.blocks {
        let rows = rows_of(block, &batch, form);
        let column = rows.head * form.head_size;
        let hidden = batch.heads * form.head_size;
        load_tile::<E, N>(&mut query, qkv, &rows, 3 * hidden, column, &batch, form);
        load_tile::<E, N>(&mut of_output, gradient, &rows, hidden, column, &batch, form);
        load_tile::<E, N>(&mut value, output, &rows, hidden, column, &batch, form);
        let window = window_of(&mut bounds, starts, ends, &rows, &batch, form);
        let row = row_of_unit(starts, ends, &rows, &batch, form);
        let delta = part_of_delta::<E, N>(&of_output, &value, &row, form);
        let delta = row_total(&mut lanes, delta, form);
        let mut log_sum = 0.0f32;
        if row.is_token {
            log_sum = log_sums[rows.head * batch.tokens + row.token];
            if row.part == 0 {
                deltas[rows.head * batch.tokens + row.token] = delta;
            }
        }
        let mut probabilities = Array::<f32>::new(form.quads_each() * 4);
        let mut sums = no_sums(form.head_size, form);
        let scale = batch.scale;
        let mut tile = window.first;
        while tile < window.end {
            let place = tile * form.tile;
            let keys = Rows { bin: rows.bin, place, head: rows.head };
            sync_cube(); // The last tile's readers are done.
            load_tile::<E, N>(&mut key, qkv, &keys, 3 * hidden, hidden + column, &batch, form);
            load_tile::<E, N>(
                &mut value,
                qkv,
                &keys,
                3 * hidden,
                2 * hidden + column,
                &batch,
                form,
            );
            sync_cube();
            let products = rows_by_rows::<E, N>(&query, &key, form);
            store_sums(&products, &mut scratch, form.tile, 1usize, form);
            sync_cube();
            recall(&mut probabilities, &scratch, log_sum, &row, place, scale, form);
            sync_cube();
            let products = rows_by_rows::<E, N>(&of_output, &value, form);
            store_sums(&products, &mut scratch, form.tile, 1usize, form);
            sync_cube();
            of_scores::<E>(
                &mut weights,
                &probabilities,
                &scratch,
                delta,
                &row,
                place,
                &draws,
                scale,
                form,
            );
            sync_cube();
            add_weighted_rows::<E, N>(&mut sums, &weights, &key, form);
            tile += 1;
        }
        store_sums(&sums, &mut scratch, form.head_size, form.vector, form);
        sync_cube();
        store_tile::<E, N>(&scratch, of_qkv, &rows, 3 * hidden, column, &batch, form);
    }
}

/// Four keys of a tile, which share a counter of dropout, and every so many of its queries.
#[derive(CubeType)]
struct Quad {
    /// The first key's row in the tile.
    first: usize,
    /// The first query's column.
    lane: usize,
    /// The counter of dropout.
    counter: u32,
    /// The first place of each key's sample, and the one after its last.
    samples: Array<usize>,
}

#[cube]
fn quad_of_unit(
    starts: &[i32],
    ends: &[i32],
    rows: &Rows,
    batch: &Batch,
    #[comptime] form: Form,
) -> Quad {
    let step = comptime!(form.queries_step());
    let first = UNIT_POS as usize / step * 4;
    let mut samples = Array::<usize>::new(8usize);
    #[unroll]
    for at in 0..4usize {
        let (start, end) = sample_at(starts, ends, rows.bin, rows.place + first + at, batch);
        samples[2 * at] = start;
        samples[2 * at + 1] = end;
    }
    let counter = ((rows.place + first) / 4) as u32;
    Quad { first, lane: UNIT_POS as usize % step, counter, samples }
}

/// The unit's probabilities of a tile of queries, negative where dropped, and `(P ∘ M)ᵀ` in `weights`.
#[cube]
fn recall_keys<E: Float>(
    probabilities: &mut Array<f32>,
    weights: &mut [E],
    products: &[f32],
    log_sums: &[f32],
    quad: &Quad,
    queries: &Rows,
    draws: &Draws,
    batch: &Batch,
    #[comptime] form: Form,
) {
    let mut mask = Array::<f32>::new(4usize);
    #[unroll]
    for turn in 0..comptime!(form.queries_each()) {
        let column = turn * comptime!(form.queries_step()) + quad.lane;
        let place = queries.place + column;
        let mut log_sum = 0.0f32;
        if place < batch.bin_length {
            let token = queries.bin + place;
            log_sum = log_sums[queries.head * batch.tokens + token];
            let mask_row = (token * batch.heads + queries.head) as u32;
            fill_mask(&mut mask, draws, mask_row, quad.counter, form.drops);
        }
        #[unroll]
        for at in 0..4usize {
            let mut probability = 0.0f32;
            let mut kept = 0.0f32;
            if place >= quad.samples[2 * at] && place < quad.samples[2 * at + 1] {
                let product = products[(quad.first + at) * comptime!(form.sum_stride()) + column];
                probability = (product * batch.scale - log_sum).exp();
                kept = mask[at];
            }
            probabilities[4 * turn + at] = select(kept > 0.0f32, probability, -probability);
            weights[(quad.first + at) * comptime!(form.weight_stride()) + column] =
                E::cast_from(probability * kept);
        }
    }
}

/// `dSᵀ` of the unit's scores from `products`, V dOᵀ.
#[cube]
fn of_key_scores<E: Float>(
    gradients: &mut [E],
    probabilities: &Array<f32>,
    products: &[f32],
    deltas: &[f32],
    quad: &Quad,
    queries: &Rows,
    kept_scale: f32,
    batch: &Batch,
    #[comptime] form: Form,
) {
    #[unroll]
    for turn in 0..comptime!(form.queries_each()) {
        let column = turn * comptime!(form.queries_step()) + quad.lane;
        let place = queries.place + column;
        let mut delta = 0.0f32;
        if place < batch.bin_length {
            delta = deltas[queries.head * batch.tokens + queries.bin + place];
        }
        #[unroll]
        for at in 0..4usize {
            let product = products[(quad.first + at) * comptime!(form.sum_stride()) + column];
            let probability = probabilities[4 * turn + at];
            let kept = select(probability > 0.0f32, kept_scale, 0.0f32);
            let of_score = probability.abs() * (product * kept - delta) * batch.scale;
            gradients[(quad.first + at) * comptime!(form.weight_stride()) + column] =
                E::cast_from(of_score);
        }
    }
}

/// The gradients of a block of keys and values. The tiles of scores are transposed: a row is a key.
#[cube(launch)]
pub(super) fn keys_kernel<E: Float, N: Size>(
    qkv: &[Vector<E, N>],
    gradient: &[Vector<E, N>],
    starts: &[i32],
    ends: &[i32],
    log_sums: &[f32],
    deltas: &[f32],
    of_qkv: &mut [Vector<E, N>],
    draws: Draws,
    batch: Batch,
    #[comptime] form: Form,
    #[define(E)] _elem: ElemType,
) {
    let mut query = Shared::<[Vector<E, N>]>::new_aligned_slice(form.tile_vectors(), 32usize);
    let mut of_output = Shared::<[Vector<E, N>]>::new_aligned_slice(form.tile_vectors(), 32usize);
    let mut key = Shared::<[Vector<E, N>]>::new_aligned_slice(form.tile_vectors(), 32usize);
    let mut value = Shared::<[Vector<E, N>]>::new_aligned_slice(form.tile_vectors(), 32usize);
    let mut weights = Shared::<[E]>::new_aligned_slice(form.weights(), 32usize);
    let mut scratch = Shared::<[f32]>::new_aligned_slice(form.sums(), 32usize);
    let mut bounds = Shared::<[u32]>::new_slice(form.bounds());
    let block = block_of_cube();
    if block < batch.blocks {
        let rows = rows_of(block, &batch, form);
        let column = rows.head * form.head_size;
        let hidden = batch.heads * form.head_size;
        load_tile::<E, N>(&mut key, qkv, &rows, 3 * hidden, hidden + column, &batch, form);
        load_tile::<E, N>(&mut value, qkv, &rows, 3 * hidden, 2 * hidden + column, &batch, form);
        let window = window_of(&mut bounds, starts, ends, &rows, &batch, form);
        let quad = quad_of_unit(starts, ends, &rows, &batch, form);
        let mut probabilities = Array::<f32>::new(form.queries_each() * 4);
        let mut of_keys = no_sums(form.head_size, form);
        let mut of_values = no_sums(form.head_size, form);
        let mut tile = window.first;
        while tile < window.end {
            let queries = Rows { bin: rows.bin, place: tile * form.tile, head: rows.head };
            sync_cube(); // The last tile's readers are done.
            load_tile::<E, N>(&mut query, qkv, &queries, 3 * hidden, column, &batch, form);
            load_tile::<E, N>(&mut of_output, gradient, &queries, hidden, column, &batch, form);
            sync_cube();
            let products = rows_by_rows::<E, N>(&key, &query, form);
            store_sums(&products, &mut scratch, form.tile, 1usize, form);
            sync_cube();
            recall_keys::<E>(
                &mut probabilities,
                &mut weights,
                &scratch,
                log_sums,
                &quad,
                &queries,
                &draws,
                &batch,
                form,
            );
            sync_cube();
            add_weighted_rows::<E, N>(&mut of_values, &weights, &of_output, form);
            let products = rows_by_rows::<E, N>(&value, &of_output, form);
            store_sums(&products, &mut scratch, form.tile, 1usize, form);
            sync_cube();
            of_key_scores::<E>(
                &mut weights,
                &probabilities,
                &scratch,
                deltas,
                &quad,
                &queries,
                kept_scale(&draws, form.drops),
                &batch,
                form,
            );
            sync_cube();
            add_weighted_rows::<E, N>(&mut of_keys, &weights, &query, form);
            tile += 1;
        }
        store_sums(&of_keys, &mut scratch, form.head_size, form.vector, form);
        sync_cube();
        store_tile::<E, N>(&scratch, of_qkv, &rows, 3 * hidden, hidden + column, &batch, form);
        sync_cube();
        store_sums(&of_values, &mut scratch, form.head_size, form.vector, form);
        sync_cube();
        store_tile::<E, N>(&scratch, of_qkv, &rows, 3 * hidden, 2 * hidden + column, &batch, form);
    }
}
