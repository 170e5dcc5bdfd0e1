//! The sum of three embeddings, and the gradient of a table: the rows of each id, added up in order.

use burn::tensor::DType;
use burn_cubecl::ops::numeric::zeros_client;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, cubes_by, elem, empty_f32};

/// Units a row or a chunk.
const UNITS: usize = 64;
/// Sorted places that one cube adds up.
const CHUNK: usize = 32;

#[cube(launch)]
fn sum_kernel(
    word: &[f32],
    position: &[f32],
    token_type: &[f32],
    ids: &[i32],
    positions: &[i32],
    types: &[i32],
    output: &mut [f32],
    tokens: usize,
    hidden: usize,
) {
    let mut token = CUBE_POS;
    while token < tokens {
        let of_word = ids[token] as usize * hidden;
        let of_position = positions[token] as usize * hidden;
        let of_type = types[token] as usize * hidden;
        let mut column = UNIT_POS as usize;
        while column < hidden {
            output[token * hidden + column] = word[of_word + column]
                + position[of_position + column]
                + token_type[of_type + column];
            column += UNITS;
        }
        token += CUBE_COUNT;
    }
}

/// `word[ids] + position[positions] + token_type[types]`, `[tokens, hidden]`, from f32 and in f32.
pub(crate) fn sum(tables: [CubeTensor; 3], ids: [CubeTensor; 3]) -> CubeTensor {
    let [word, position, token_type] = tables.map(contiguous);
    let [ids, positions, types] = ids.map(contiguous);
    let hidden = word.meta.shape()[1];
    let tokens = ids.meta.num_elements();
    let output = empty_f32(&word, [tokens, hidden]);
    sum_kernel::launch(
        &word.client.clone(),
        cubes(tokens),
        CubeDim::new_1d(UNITS as u32),
        word.into_buffer_arg(),
        position.into_buffer_arg(),
        token_type.into_buffer_arg(),
        ids.into_buffer_arg(),
        positions.into_buffer_arg(),
        types.into_buffer_arg(),
        output.clone().into_buffer_arg(),
        tokens,
        hidden,
    );
    output
}

/// Adds the runs of equal ids within each chunk of sorted places. A run that lies within the chunk is
/// written where it belongs; the part of one that comes from before goes to `heads`, the part of one
/// that begins here and goes on, to `tails`.
#[cube(launch)]
fn chunks_kernel<V: Float, O: Float>(
    values: &[V],
    ids: &[i32],
    order: &[i32],
    output: &mut [O],
    heads: &mut [f32],
    tails: &mut [f32],
    hidden: usize,
    num_chunks: usize,
    #[define(V, O)] _elems: [ElemType; 2],
) {
    let count = order.len();
    let mut chunk = CUBE_POS;
    while chunk < num_chunks {
        let first = chunk * CHUNK;
        let last = min(first + CHUNK, count);
        let mut column = UNIT_POS as usize;
        while column < hidden {
            let mut sum = 0.0f32;
            let mut begins_here = begins(ids, order, first);
            let mut place = first;
            while place < last {
                let token = order[place] as usize;
                sum += f32::cast_from(values[token * hidden + column]);
                let is_over = ends(ids, order, place);
                if is_over && begins_here {
                    output[ids[token] as usize * hidden + column] = O::cast_from(sum);
                }
                if is_over && !begins_here {
                    heads[chunk * hidden + column] = sum;
                }
                if !is_over && place + 1 == last {
                    if begins_here {
                        tails[chunk * hidden + column] = sum;
                    } else {
                        heads[chunk * hidden + column] = sum;
                    }
                }
                if is_over {
                    sum = 0.0f32;
                    begins_here = true;
                }
                place += 1;
            }
            column += UNITS;
        }
        chunk += CUBE_COUNT;
    }
}

/// Whether a run begins at the sorted `place`.
#[cube]
fn begins(ids: &[i32], order: &[i32], place: usize) -> bool {
    let mut is_first = place == 0;
    if place > 0 {
        is_first = ids[order[place] as usize] != ids[order[place - 1] as usize];
    }
    is_first
}

/// Whether a run ends at the sorted `place`.
#[cube]
fn ends(ids: &[i32], order: &[i32], place: usize) -> bool {
    let mut is_last = place + 1 == order.len();
    if place + 1 < order.len() {
        is_last = ids[order[place] as usize] != ids[order[place + 1] as usize];
    }
    is_last
}

/// Joins the runs that cross chunks, in the order of the chunks: one unit a column, as a run may be
/// all tokens.
#[cube(launch)]
fn join_kernel<O: Float>(
    ids: &[i32],
    order: &[i32],
    heads: &[f32],
    tails: &[f32],
    output: &mut [O],
    hidden: usize,
    num_chunks: usize,
    #[define(O)] _elem: ElemType,
) {
    let count = order.len();
    let column = CUBE_POS_Y as usize * UNITS + UNIT_POS as usize;
    let mut chunk = CUBE_POS_X as usize;
    while chunk + 1 < num_chunks {
        let next = (chunk + 1) * CHUNK; // the first place of the next chunk
        let id = ids[order[next - 1] as usize];
        // The run that reaches the end of this chunk begins in it, and goes on.
        let mut joins = column < hidden && ids[order[next] as usize] == id;
        if chunk > 0 {
            joins = joins && ids[order[chunk * CHUNK - 1] as usize] != id;
        }
        if joins {
            let mut sum = tails[chunk * hidden + column];
            let mut other = chunk + 1;
            let mut goes_on = true;
            while goes_on {
                sum += heads[other * hidden + column];
                let last = min((other + 1) * CHUNK, count) - 1;
                goes_on = !ends(ids, order, last) && ids[order[last] as usize] == id;
                other += 1;
            }
            output[id as usize * hidden + column] = O::cast_from(sum);
        }
        chunk += CUBE_COUNT_X as usize;
    }
}

/// `Σ values[token]` over the tokens of each id, `[rows, hidden]`, in the order of `order`: the
/// tokens sorted by (id, token). Rows without a token are zero.
pub(crate) fn segmented_sum(
    values: CubeTensor,
    ids: CubeTensor,
    order: CubeTensor,
    rows: usize,
    out: DType,
) -> CubeTensor {
    let [values, ids, order] = [values, ids, order].map(contiguous);
    let hidden = values.meta.shape()[1];
    let num_chunks = order.meta.num_elements().div_ceil(CHUNK);
    let client = values.client.clone();
    let output = zeros_client(client.clone(), values.device.clone(), [rows, hidden].into(), out);
    let output = contiguous(output);
    let [heads, tails] = [(); 2].map(|()| empty_f32(&values, [num_chunks, hidden]));
    chunks_kernel::launch(
        &client,
        cubes(num_chunks),
        CubeDim::new_1d(UNITS as u32),
        values.clone().into_buffer_arg(),
        ids.clone().into_buffer_arg(),
        order.clone().into_buffer_arg(),
        output.clone().into_buffer_arg(),
        heads.clone().into_buffer_arg(),
        tails.clone().into_buffer_arg(),
        hidden,
        num_chunks,
        [values.dtype, out].map(elem),
    );
    join_kernel::launch(
        &client,
        cubes_by(num_chunks, hidden.div_ceil(UNITS)),
        CubeDim::new_1d(UNITS as u32),
        ids.into_buffer_arg(),
        order.into_buffer_arg(),
        heads.into_buffer_arg(),
        tails.into_buffer_arg(),
        output.clone().into_buffer_arg(),
        hidden,
        num_chunks,
        elem(out),
    );
    output
}
