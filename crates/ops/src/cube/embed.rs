//! The sum of three embeddings, and the gradient of a table: the rows of each id, added up in order.

use burn::tensor::DType;
use burn_cubecl::ops::numeric::zeros_client;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, cubes_by, elem, empty_f32};
use super::vectors::vector_of;

/// Units a row or a chunk.
const UNITS: usize = 64;
/// Sorted places that one cube adds up.
const CHUNK: usize = 32;

#[cube(launch)]
fn sum_kernel<N: Size>(
    word: &[Vector<f32, N>],
    position: &[Vector<f32, N>],
    token_type: &[Vector<f32, N>],
    ids: &[i32],
    positions: &[i32],
    types: &[i32],
    output: &mut [Vector<f32, N>],
    tokens: usize,
    vectors: usize,
) {
    let mut token = CUBE_POS;
    while token < tokens {
        let of_word = ids[token] as usize * vectors;
        let of_position = positions[token] as usize * vectors;
        let of_type = types[token] as usize * vectors;
        let mut column = UNIT_POS as usize;
        while column < vectors {
            output[token * vectors + column] = word[of_word + column]
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
    let vector = vector_of(hidden, &[DType::F32]);
    sum_kernel::launch(
        &word.client.clone(),
        cubes(tokens),
        CubeDim::new_1d(UNITS as u32),
        vector,
        word.into_buffer_arg(),
        position.into_buffer_arg(),
        token_type.into_buffer_arg(),
        ids.into_buffer_arg(),
        positions.into_buffer_arg(),
        types.into_buffer_arg(),
        output.clone().into_buffer_arg(),
        tokens,
        hidden / vector,
    );
    output
}

/// Adds the runs of equal ids within each chunk of sorted places. A run that lies within the chunk is
/// written where it belongs; the part of one that comes from before goes to `heads`, the part of one
/// that begins here and goes on, to `tails`.
#[cube(launch)]
fn chunks_kernel<V: Float, O: Float, N: Size>(
    values: &[Vector<V, N>],
    ids: &[i32],
    order: &[i32],
    output: &mut [Vector<O, N>],
    heads: &mut [Vector<f32, N>],
    tails: &mut [Vector<f32, N>],
    vectors: usize,
    count: usize,
    num_chunks: usize,
    #[define(V, O)] _elems: [ElemType; 2],
) {
    let mut chunk = CUBE_POS;
    while chunk < num_chunks {
        let first = chunk * CHUNK;
        let last = min(first + CHUNK, count);
        let mut column = UNIT_POS as usize;
        while column < vectors {
            let mut sum = Vector::<f32, N>::new(0.0f32);
            let mut begins_here = begins(ids, order, first);
            let mut place = first;
            while place < last {
                let token = order[place] as usize;
                sum += Vector::cast_from(values[token * vectors + column]);
                let is_over = ends(ids, order, place, count);
                if is_over && begins_here {
                    output[ids[token] as usize * vectors + column] = Vector::cast_from(sum);
                }
                if is_over && !begins_here {
                    heads[chunk * vectors + column] = sum;
                }
                if !is_over && place + 1 == last {
                    if begins_here {
                        tails[chunk * vectors + column] = sum;
                    } else {
                        heads[chunk * vectors + column] = sum;
                    }
                }
                if is_over {
                    sum = Vector::new(0.0f32);
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
fn ends(ids: &[i32], order: &[i32], place: usize, count: usize) -> bool {
    let mut is_last = place + 1 == count;
    if place + 1 < count {
        is_last = ids[order[place] as usize] != ids[order[place + 1] as usize];
    }
    is_last
}

/// Joins the runs that cross chunks, in the order of the chunks: one unit a column, as a run may be
/// all tokens.
#[cube(launch)]
fn join_kernel<O: Float, N: Size>(
    ids: &[i32],
    order: &[i32],
    heads: &[Vector<f32, N>],
    tails: &[Vector<f32, N>],
    output: &mut [Vector<O, N>],
    vectors: usize,
    count: usize,
    num_chunks: usize,
    #[define(O)] _elem: ElemType,
) {
    let column = CUBE_POS_Y as usize * UNITS + UNIT_POS as usize;
    let mut chunk = CUBE_POS_X as usize;
    while chunk + 1 < num_chunks {
        let next = (chunk + 1) * CHUNK; // the first place of the next chunk
        let id = ids[order[next - 1] as usize];
        // The run that reaches the end of this chunk begins in it, and goes on.
        let mut joins = column < vectors && ids[order[next] as usize] == id;
        if chunk > 0 {
            joins = joins && ids[order[chunk * CHUNK - 1] as usize] != id;
        }
        if joins {
            let mut sum = tails[chunk * vectors + column];
            let mut other = chunk + 1;
            let mut goes_on = true;
            while goes_on {
                sum += heads[other * vectors + column];
                let last = min((other + 1) * CHUNK, count) - 1;
                goes_on = !ends(ids, order, last, count) && ids[order[last] as usize] == id;
                other += 1;
            }
            output[id as usize * vectors + column] = Vector::cast_from(sum);
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
    let count = order.meta.num_elements();
    let num_chunks = count.div_ceil(CHUNK);
    let client = values.client.clone();
    let output = zeros_client(client.clone(), values.device.clone(), [rows, hidden].into(), out);
    let output = contiguous(output);
    let [heads, tails] = [(); 2].map(|()| empty_f32(&values, [num_chunks, hidden]));
    let vector = vector_of(hidden, &[DType::F32]);
    let vectors = hidden / vector;
    chunks_kernel::launch(
        &client,
        cubes(num_chunks),
        CubeDim::new_1d(UNITS as u32),
        vector,
        values.clone().into_buffer_arg(),
        ids.clone().into_buffer_arg(),
        order.clone().into_buffer_arg(),
        output.clone().into_buffer_arg(),
        heads.clone().into_buffer_arg(),
        tails.clone().into_buffer_arg(),
        vectors,
        count,
        num_chunks,
        [values.dtype, out].map(elem),
    );
    join_kernel::launch(
        &client,
        cubes_by(num_chunks, vectors.div_ceil(UNITS)),
        CubeDim::new_1d(UNITS as u32),
        vector,
        ids.into_buffer_arg(),
        order.into_buffer_arg(),
        heads.into_buffer_arg(),
        tails.into_buffer_arg(),
        output.clone().into_buffer_arg(),
        vectors,
        count,
        num_chunks,
        elem(out),
    );
    output
}
