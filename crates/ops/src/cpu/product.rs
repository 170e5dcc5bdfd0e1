//! Products of the small matrices of one head of one sample.

/// Columns of a tile; every right-hand matrix is padded to a multiple of it.
pub(crate) const TILE_COLUMNS: usize = 32;
/// Rows of a tile.
const TILE_ROWS: usize = 4;

/// A left-hand matrix within a slice, with its strides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a> {
    /// The elements.
    pub(crate) data: &'a [f32],
    /// From one row to the next.
    pub(crate) row_stride: usize,
    /// From one column to the next.
    pub(crate) column_stride: usize,
}

/// `output = left · right`.
///
/// # Shapes
/// `left`: `[rows, inner]`, `right`: `[inner, columns]` and `output`: `[rows, columns]`, both
/// row-major, with `columns` a multiple of [`TILE_COLUMNS`].
#[inline(always)]
pub(crate) fn product(
    left: Left<'_>,
    right: &[f32],
    output: &mut [f32],
    rows: usize,
    inner: usize,
    columns: usize,
) {
    for column in (0..columns).step_by(TILE_COLUMNS) {
        let mut row = 0;
        while row + TILE_ROWS <= rows {
            tile::<TILE_ROWS>(left, right, output, row, column, inner, columns);
            row += TILE_ROWS;
        }
        while row < rows {
            tile::<1>(left, right, output, row, column, inner, columns);
            row += 1;
        }
    }
}

#[inline(always)]
fn tile<const R: usize>(
    left: Left<'_>,
    right: &[f32],
    output: &mut [f32],
    row: usize,
    column: usize,
    inner: usize,
    columns: usize,
) {
    let mut sums = [[0.0f32; TILE_COLUMNS]; R];
    for at in 0..inner {
        let start = at * columns + column;
        let right = &right[start..start + TILE_COLUMNS];
        for (r, sums) in sums.iter_mut().enumerate() {
            let factor = left.data[(row + r) * left.row_stride + at * left.column_stride];
            for (sum, &value) in sums.iter_mut().zip(right) {
                *sum = factor.mul_add(value, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let start = (row + r) * columns + column;
        output[start..start + TILE_COLUMNS].copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_the_sum_of_products_for_any_strides() {
        let (rows, inner, columns) = (6, 5, 64);
        let left: Vec<f32> = (0..rows * inner).map(|x| (x % 7) as f32 - 3.0).collect();
        let right: Vec<f32> = (0..inner * columns).map(|x| (x % 11) as f32 - 5.0).collect();
        // Stored by columns.
        let left = Left { data: &left, row_stride: 1, column_stride: rows };
        let mut output = vec![f32::NAN; rows * columns];
        product(left, &right, &mut output, rows, inner, columns);
        for row in 0..rows {
            for column in 0..columns {
                let expected: f32 = (0..inner)
                    .map(|at| left.data[row + at * rows] * right[at * columns + column])
                    .sum();
                assert_eq!(output[row * columns + column], expected);
            }
        }
    }
}
