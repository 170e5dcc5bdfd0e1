//! The attended values of a block of queries, in one pass over the tiles of their keys.
//!
//! Source: Dao 2023, "FlashAttention-2", Algorithm 1; the running maximum and sum are those of Milakov
//! and Gimelshein 2018, "Online normalizer calculation for softmax". Differs from it: a block visits
//! the tiles of its own samples alone.

use cubecl::prelude::*;

use super::product::{add_weighted_rows, no_sums, rows_by_rows, store_sums};
use super::tiles::{
    Batch, Row, Rows, block_of_cube, load_tile, row_largest, row_of_unit, row_total, rows_of,
    store_tile, window_of,
};
use super::{Form, LOWEST};
use crate::cube::random::{Draws, fill_mask};

/// A row's maximum and its sum of exponentials so far.
#[derive(CubeType)]
struct Running {
    highest: f32,
    sum: f32,
}

/// Turns the unit's scores of the tile of keys at `place` into weights, relative to the row's new
/// maximum, and gives what the sums of the tiles before it shrink by. All units have to call this.
#[cube]
fn weigh<E: Float>(
    running: &mut Running,
    weights: &mut [E],
    products: &[f32],
    lanes: &mut Shared<[f32]>,
    row: &Row,
    place: usize,
    draws: &Draws,
    scale: f32,
    #[comptime] form: Form,
) -> f32 {
    let parts = comptime!(form.parts());
    let mut scores = Array::<f32>::new(form.quads_each() * 4);
    let mut mask = Array::<f32>::new(4usize);
    let mut largest = running.highest;
    #[unroll]
    for at in 0..comptime!(4 * form.quads_each()) {
        let column = (at / 4 * parts + row.part) * 4 + at % 4;
        let key = place + column;
        let mut score = f32::new(LOWEST);
        if key >= row.start && key < row.end {
            score = products[row.at * comptime!(form.sum_stride()) + column] * scale;
        }
        scores[at] = score;
        largest = max(largest, score);
    }
    let largest = row_largest(lanes, largest, form);
    let shrink = (running.highest - largest).exp();
    running.highest = largest;
    running.sum *= shrink;
    #[unroll]
    for turn in 0..comptime!(form.quads_each()) {
        let quad = turn * parts + row.part;
        let first = place + quad * 4;
        if first < row.end && first + 4 > row.start {
            fill_mask(&mut mask, draws, row.mask_row, (first / 4) as u32, form.drops);
        }
        #[unroll]
        for lane in 0..4usize {
            let mut weight = 0.0f32;
            if first + lane >= row.start && first + lane < row.end {
                let exponential = (scores[turn * 4 + lane] - largest).exp();
                running.sum += exponential;
                weight = exponential * mask[lane];
            }
            weights[row.at * comptime!(form.weight_stride()) + quad * 4 + lane] =
                E::cast_from(weight);
        }
    }
    shrink
}

#[cube(launch)]
pub(super) fn forward_kernel<E: Float, N: Size>(
    qkv: &[Vector<E, N>],
    starts: &[i32],
    ends: &[i32],
    output: &mut [Vector<E, N>],
    log_sums: &mut [f32],
    draws: Draws,
    batch: Batch,
    #[comptime] form: Form,
    #[define(E)] _elem: ElemType,
) {
    let mut query = Shared::<[Vector<E, N>]>::new_aligned_slice(form.tile_vectors(), 32usize);
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
        let window = window_of(&mut bounds, starts, ends, &rows, &batch, form);
        let row = row_of_unit(starts, ends, &rows, &batch, form);
        let across = comptime!(form.head_size / form.parts());
        let first_sum = row.at * comptime!(form.sum_stride()) + row.part;
        let mut attended = Array::<f32>::new(across);
        #[unroll]
        for c in 0..across {
            attended[c] = 0.0f32;
        }
        let mut running = Running { highest: f32::new(LOWEST), sum: 0.0f32 };
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
            let shrink = weigh::<E>(
                &mut running,
                &mut weights,
                &scratch,
                &mut lanes,
                &row,
                place,
                &draws,
                batch.scale,
                form,
            );
            sync_cube();
            let mut products = no_sums(form.head_size, form);
            add_weighted_rows::<E, N>(&mut products, &weights, &value, form);
            store_sums(&products, &mut scratch, form.head_size, form.vector, form);
            sync_cube();
            #[unroll]
            for c in 0..across {
                let sum = scratch[first_sum + comptime!(c * form.parts())];
                attended[c] = attended[c] * shrink + sum;
            }
            tile += 1;
        }
        let sum = row_total(&mut lanes, running.sum, form);
        // A row of padding sees no key: it attends to nothing.
        let share = select(sum > 0.0f32, 1.0f32 / sum, 0.0f32);
        #[unroll]
        for c in 0..across {
            scratch[first_sum + comptime!(c * form.parts())] = attended[c] * share;
        }
        sync_cube();
        store_tile::<E, N>(&scratch, output, &rows, hidden, column, &batch, form);
        if row.part == 0 && row.is_token {
            let log_sum = select(sum > 0.0f32, running.highest + sum.ln(), 0.0f32);
            log_sums[rows.head * batch.tokens + row.token] = log_sum;
        }
    }
}
