//! Tiles of rows between global and shared memory, and which tiles a block has to do with.

use cubecl::prelude::*;

use super::Form;

/// What all blocks have in common.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Batch {
    /// Blocks of rows in all bins together.
    pub(super) blocks: usize,
    /// Tokens in all bins together.
    pub(super) tokens: usize,
    pub(super) bin_length: usize,
    pub(super) heads: usize,
    /// What scores are multiplied by.
    pub(super) scale: f32,
}

/// Rows of one head, from a place in a bin on.
#[derive(CubeType)]
pub(super) struct Rows {
    /// The bin's first token.
    pub(super) bin: usize,
    /// The first row's place in the bin.
    pub(super) place: usize,
    pub(super) head: usize,
}

/// Tiles of a bin: `first .. end`.
#[derive(CubeType)]
pub(super) struct Window {
    pub(super) first: usize,
    pub(super) end: usize,
}

/// The block of this cube: heads lie along the first axis of cubes, blocks along the others.
#[cube]
pub(super) fn block_of_cube() -> usize {
    CUBE_POS_Y as usize + CUBE_POS_Z as usize * CUBE_COUNT_Y as usize
}

/// The rows of `block`.
#[cube]
pub(super) fn rows_of(block: usize, batch: &Batch, #[comptime] form: Form) -> Rows {
    let blocks_each = batch.bin_length.div_ceil(form.tile);
    Rows {
        bin: block / blocks_each * batch.bin_length,
        place: block % blocks_each * form.tile,
        head: CUBE_POS_X as usize,
    }
}

/// Where the sample of the row at `place` begins and ends in its bin: nowhere for padding, and beyond
/// the bin.
#[cube]
pub(super) fn sample_at(
    starts: &[i32],
    ends: &[i32],
    bin: usize,
    place: usize,
    batch: &Batch,
) -> (usize, usize) {
    let mut start = 0usize;
    let mut end = 0usize;
    if place < batch.bin_length {
        start = starts[bin + place] as usize;
        end = ends[bin + place] as usize;
    }
    (start, end)
}

/// A row of scores, and which of its columns this unit has: every so many groups of four.
#[derive(CubeType)]
pub(super) struct Row {
    /// The row within the tile.
    pub(super) at: usize,
    /// Which of the row's units this is.
    pub(super) part: usize,
    pub(super) token: usize,
    /// The place of the sample's first token in the bin, and the one after its last.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether the row is in the bin.
    pub(super) is_token: bool,
    /// The row of the dropout mask, which is (token, head).
    pub(super) mask_row: u32,
}

/// The row of this unit.
#[cube]
pub(super) fn row_of_unit(
    starts: &[i32],
    ends: &[i32],
    rows: &Rows,
    batch: &Batch,
    #[comptime] form: Form,
) -> Row {
    let parts = comptime!(form.parts());
    let at = UNIT_POS as usize / parts;
    let (start, end) = sample_at(starts, ends, rows.bin, rows.place + at, batch);
    let token = rows.bin + rows.place + at;
    Row {
        at,
        part: UNIT_POS as usize % parts,
        token,
        start,
        end,
        is_token: rows.place + at < batch.bin_length,
        mask_row: (token * batch.heads + rows.head) as u32,
    }
}

/// The sum of the values of a row's units.
#[cube]
pub(super) fn row_total(lanes: &mut Shared<[f32]>, value: f32, #[comptime] form: Form) -> f32 {
    let parts = comptime!(form.parts());
    let unit = UNIT_POS as usize;
    lanes[unit] = value;
    sync_cube();
    let first = unit / parts * parts;
    let mut total = lanes[first];
    #[unroll]
    for part in 1..parts {
        total += lanes[first + part];
    }
    total
}

/// The largest of the values of a row's units.
#[cube]
pub(super) fn row_largest(lanes: &mut Shared<[f32]>, value: f32, #[comptime] form: Form) -> f32 {
    let parts = comptime!(form.parts());
    let unit = UNIT_POS as usize;
    lanes[unit] = value;
    sync_cube();
    let first = unit / parts * parts;
    let mut largest = lanes[first];
    #[unroll]
    for part in 1..parts {
        largest = max(largest, lanes[first + part]);
    }
    largest
}

/// The tiles in which the samples of `rows` lie. `bounds`, `[2 · tile]`, is written; all units have to
/// call this.
#[cube]
pub(super) fn window_of(
    bounds: &mut Shared<[u32]>,
    starts: &[i32],
    ends: &[i32],
    rows: &Rows,
    batch: &Batch,
    #[comptime] form: Form,
) -> Window {
    let row = UNIT_POS as usize;
    if row < form.tile {
        let (start, end) = sample_at(starts, ends, rows.bin, rows.place + row, batch);
        bounds[row] = start as u32;
        bounds[form.tile + row] = end as u32;
    }
    sync_cube();
    let mut lowest = batch.bin_length as u32;
    let mut highest = 0u32;
    for row in 0..form.tile {
        let end = bounds[form.tile + row];
        if end > 0 {
            lowest = min(lowest, bounds[row]);
            highest = max(highest, end);
        }
    }
    Window { first: lowest as usize / form.tile, end: (highest as usize).div_ceil(form.tile) }
}

/// Copies the rows' columns of one head into shared memory, zeros for rows beyond the bin. `from` has
/// rows of `width` columns, the head's first is `column`.
#[cube]
pub(super) fn load_tile<E: Float, N: Size>(
    tile: &mut [Vector<E, N>],
    from: &[Vector<E, N>],
    rows: &Rows,
    width: usize,
    column: usize,
    batch: &Batch,
    #[comptime] form: Form,
) {
    let vectors = comptime!(form.head_size / form.vector);
    let first = (rows.bin + rows.place) * width + column;
    let mut at = UNIT_POS as usize;
    while at < comptime!(form.tile * vectors) {
        let (row, vector) = (at / vectors, at % vectors);
        let mut value = Vector::<E, N>::new(E::from_int(0));
        if rows.place + row < batch.bin_length {
            value = from[(first + row * width) / form.vector + vector];
        }
        tile[row * comptime!(form.row_stride()) + vector] = value;
        at += comptime!(form.units());
    }
}

/// Copies `[tile, head_size]` sums to where [`load_tile`] would read them.
#[cube]
pub(super) fn store_tile<E: Float, N: Size>(
    sums: &[f32],
    to: &mut [Vector<E, N>],
    rows: &Rows,
    width: usize,
    column: usize,
    batch: &Batch,
    #[comptime] form: Form,
) {
    let vectors = comptime!(form.head_size / form.vector);
    let first = (rows.bin + rows.place) * width + column;
    let mut at = UNIT_POS as usize;
    while at < comptime!(form.tile * vectors) {
        let (row, vector) = (at / vectors, at % vectors);
        if rows.place + row < batch.bin_length {
            let mut value = Vector::<E, N>::empty();
            #[unroll]
            for lane in 0..comptime!(form.vector) {
                let sum = sums[row * comptime!(form.sum_stride()) + vector * form.vector + lane];
                value.insert(lane, E::cast_from(sum));
            }
            to[(first + row * width) / form.vector + vector] = value;
        }
        at += comptime!(form.units());
    }
}
