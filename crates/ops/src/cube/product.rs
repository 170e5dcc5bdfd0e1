//! Products of the last two axes.

use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;

use super::launch::empty;

fn turned(tensor: CubeTensor, is_transposed: bool) -> CubeTensor {
    if is_transposed { Cube::float_transpose(tensor) } else { tensor }
}

/// `left · right`, each transposed where `transposed` says so, in `out`: the accumulator is f32, and
/// what leaves it is rounded once.
pub(crate) fn product(
    left: CubeTensor,
    right: CubeTensor,
    transposed: [bool; 2],
    out: DType,
) -> CubeTensor {
    let [left, right] = [turned(left, transposed[0]), turned(right, transposed[1])];
    let rank = left.meta.num_dims();
    let mut shape = left.meta.shape().to_vec();
    shape[rank - 1] = right.meta.shape()[rank - 1];
    let output = empty(&left, shape, out);
    #[expect(clippy::expect_used, reason = "burn's own product fails alike")]
    matmul(left, right, Some(output), MatmulStrategy::default(), out)
        .expect("a product that this device computes")
}
