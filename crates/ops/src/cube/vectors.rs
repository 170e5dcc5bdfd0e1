//! Several elements read or written at a time.

use burn::tensor::DType;
use cubecl::prelude::*;

/// Bytes that one unit reads or writes at a time, at most.
const WIDEST_BYTES: usize = 16;

/// Elements of `dtypes` to read at a time from rows of `width`: sixteen bytes of the largest, or as many
/// as divide the width.
pub(crate) fn vector_of(width: usize, dtypes: &[DType]) -> usize {
    let largest = dtypes.iter().map(DType::size).max().unwrap_or(WIDEST_BYTES);
    let widest = WIDEST_BYTES / largest;
    1 << width.trailing_zeros().min(widest.ilog2())
}

/// Reads four columns of a row that begins at `row`, from `column` on; zeros beyond its `width`.
#[cube]
pub(crate) fn read_quad<F: Float, N: Size>(
    values: &mut Array<f32>,
    from: &[Vector<F, N>],
    row: usize,
    column: usize,
    #[comptime] width: usize,
) {
    let size = N::value();
    #[unroll]
    for part in 0..comptime!(4 / size) {
        let at = column + part * size;
        let mut vector = Vector::<f32, N>::new(0.0f32);
        if at < width {
            vector = Vector::cast_from(from[(row + at) / size]);
        }
        #[unroll]
        for lane in 0..size {
            values[part * size + lane] = vector.extract(lane);
        }
    }
}

/// Writes four columns of a row that begins at `row`, from `column` on, but none beyond its `width`.
#[cube]
pub(crate) fn write_quad<F: Float, N: Size>(
    values: &Array<f32>,
    to: &mut [Vector<F, N>],
    row: usize,
    column: usize,
    #[comptime] width: usize,
) {
    let size = N::value();
    #[unroll]
    for part in 0..comptime!(4 / size) {
        let at = column + part * size;
        if at < width {
            let mut vector = Vector::<F, N>::empty();
            #[unroll]
            for lane in 0..size {
                vector.insert(lane, F::cast_from(values[part * size + lane]));
            }
            to[(row + at) / size] = vector;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_sixteen_bytes_or_what_divides_the_width() {
        assert_eq!(vector_of(768, &[DType::F32]), 4);
        assert_eq!(vector_of(768, &[DType::BF16]), 8);
        assert_eq!(vector_of(768, &[DType::BF16, DType::F32]), 4);
        assert_eq!(vector_of(30_522, &[DType::F32]), 2);
        assert_eq!(vector_of(53, &[DType::BF16]), 1);
    }
}
