//! Sums in a fixed order: over the units of a cube, over columns, over shares.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, elem, empty_f32};
use super::vectors::vector_of;

/// Rows that one cube adds up.
const ROWS: usize = 256;
/// Units of a cube, each with a vector of columns.
const UNITS: usize = 64;
/// Units of the cube that adds up shares.
const SUM_UNITS: usize = 256;

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

/// Adds `rows_each` rows at a time: one unit a vector of columns, one cube a block of columns and rows.
#[cube(launch)]
fn column_shares<F: Float, N: Size>(
    values: &[Vector<F, N>],
    shares: &mut [Vector<f32, N>],
    rows: usize,
    columns: usize,
    rows_each: usize,
    #[define(F)] _elem: ElemType,
) {
    let column = CUBE_POS_X as usize * CUBE_DIM as usize + UNIT_POS as usize;
    let share = CUBE_POS_Y as usize;
    if column < columns {
        let mut sum = Vector::<f32, N>::new(0.0f32);
        let mut row = share * rows_each;
        let end = min(row + rows_each, rows);
        while row < end {
            sum += Vector::cast_from(values[row * columns + column]);
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
    let vector = vector_of(columns, &[DType::F32]);
    let vectors = columns / vector;
    column_shares::launch(
        &values.client,
        CubeCount::Static(vectors.div_ceil(UNITS) as u32, num_shares as u32, 1),
        CubeDim::new_1d(UNITS as u32),
        vector,
        values.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        rows,
        vectors,
        rows_each,
        elem(values.dtype),
    );
}

/// The sum of all elements, by one cube.
#[cube(launch)]
fn sum_kernel(values: &[f32], output: &mut [f32], count: usize) {
    let mut lanes = Shared::<[f32]>::new_slice(SUM_UNITS);
    let mut sum = 0.0f32;
    let mut at = UNIT_POS as usize;
    while at < count {
        sum += values[at];
        at += SUM_UNITS;
    }
    let sum = total(&mut lanes, sum, SUM_UNITS);
    if UNIT_POS == 0 {
        output[0] = sum;
    }
}

/// `Σ values`, `[1]`: for some thousands at most.
pub(crate) fn sum_of(values: CubeTensor) -> CubeTensor {
    let sum = empty_f32(&values, [1]);
    let count = values.meta.num_elements();
    sum_kernel::launch(
        &values.client.clone(),
        cubes(1),
        CubeDim::new_1d(SUM_UNITS as u32),
        values.into_buffer_arg(),
        sum.clone().into_buffer_arg(),
        count,
    );
    sum
}
