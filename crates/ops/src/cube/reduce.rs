//! Sums in a fixed order: over the units of a cube, over columns, over squares.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, elem, empty_f32};

/// Rows that one cube adds up.
const ROWS: usize = 256;
/// Columns of a cube, and units of every sum over all elements.
const UNITS: usize = 64;
const SQUARE_UNITS: usize = 256;
/// Shares of a sum over all elements: one a unit of the second stage.
const SHARES: usize = 256;

/// The sum of every unit's `value`, halving the units in a fixed order; all units get it.
#[cube]
pub(crate) fn total(lanes: &mut Shared<[f32]>, value: f32, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS as usize;
    sync_cube(); // The last sum's reader is done.
    lanes[unit] = value;
    sync_cube();
    #[unroll]
    for halving in 0..comptime!(units.ilog2()) {
        let width = comptime!(units >> (halving + 1));
        if unit < width {
            lanes[unit] += lanes[unit + width];
        }
        sync_cube();
    }
    lanes[0]
}

/// The largest of every unit's `value`; all units get it.
#[cube]
pub(crate) fn largest(lanes: &mut Shared<[f32]>, value: f32, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    lanes[unit] = value;
    sync_cube();
    #[unroll]
    for halving in 0..comptime!(units.ilog2()) {
        let width = comptime!(units >> (halving + 1));
        if unit < width {
            lanes[unit] = max(lanes[unit], lanes[unit + width]);
        }
        sync_cube();
    }
    lanes[0]
}

/// Adds `rows_each` rows at a time: one unit a column, one cube a block of columns and rows.
#[cube(launch)]
fn column_shares<F: Float>(
    values: &[F],
    shares: &mut [f32],
    rows: usize,
    columns: usize,
    rows_each: usize,
    #[define(F)] _elem: ElemType,
) {
    let column = CUBE_POS_X as usize * CUBE_DIM as usize + UNIT_POS as usize;
    let share = CUBE_POS_Y as usize;
    if column < columns {
        let mut sum = 0.0f32;
        let mut row = share * rows_each;
        let end = min(row + rows_each, rows);
        while row < end {
            sum += f32::cast_from(values[row * columns + column]);
            row += 1;
        }
        shares[share * columns + column] = sum;
    }
}

/// `Σ rows` in f32: shares of rows first, then the shares in order.
pub(crate) fn column_sums(values: CubeTensor) -> CubeTensor {
    let values = contiguous(values);
    let columns = values.meta.shape()[1];
    let rows = values.meta.shape()[0];
    let num_shares = rows.div_ceil(ROWS).max(1);
    let shares = empty_f32(&values, [num_shares, columns]);
    add_rows(&values, &shares, [rows, columns], ROWS, num_shares);
    if num_shares == 1 {
        return super::launch::reshaped(shares, [columns]);
    }
    let sums = empty_f32(&values, [columns]);
    add_rows(&shares, &sums, [num_shares, columns], num_shares, 1);
    sums
}

fn add_rows(
    values: &CubeTensor,
    sums: &CubeTensor,
    [rows, columns]: [usize; 2],
    rows_each: usize,
    num_shares: usize,
) {
    column_shares::launch(
        &values.client,
        CubeCount::Static(columns.div_ceil(UNITS) as u32, num_shares as u32, 1),
        CubeDim::new_1d(UNITS as u32),
        values.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        rows,
        columns,
        rows_each,
        elem(values.dtype),
    );
}

/// Each cube's share of a sum, of squares where `squares` says so.
#[cube(launch)]
fn all_shares(values: &[f32], shares: &mut [f32], #[comptime] squares: bool) {
    let mut lanes = Shared::<[f32]>::new_slice(SQUARE_UNITS);
    let mut sum = 0.0f32;
    let mut at = ABSOLUTE_POS;
    let stride = CUBE_COUNT * CUBE_DIM as usize;
    while at < values.len() {
        let value = values[at];
        if comptime!(squares) {
            sum += value * value;
        } else {
            sum += value;
        }
        at += stride;
    }
    let sum = total(&mut lanes, sum, SQUARE_UNITS);
    if UNIT_POS == 0 {
        shares[CUBE_POS] = sum;
    }
}

/// `Σ values²`, `[1]`.
pub(crate) fn sum_of_squares(values: CubeTensor) -> CubeTensor {
    let values = contiguous(values);
    let shares = empty_f32(&values, [SHARES]);
    let sum = empty_f32(&values, [1]);
    for (values, sums, count, squares) in
        [(&values, &shares, SHARES, true), (&shares, &sum, 1, false)]
    {
        all_shares::launch(
            &values.client,
            cubes(count),
            CubeDim::new_1d(SQUARE_UNITS as u32),
            values.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            squares,
        );
    }
    sum
}
