//! Products of the last two axes, and the linear layer.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::DType;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;

use super::launch::empty;
use super::tensors::{cast, reshape};

fn turned(tensor: CubeTensor, is_transposed: bool) -> CubeTensor {
    if is_transposed { Cube::float_transpose(tensor) } else { tensor }
}

/// `left · right`, each transposed where `transposed` says so, in `out`: the accumulator is f32, and
/// what leaves it is rounded once.
fn product(left: CubeTensor, right: CubeTensor, transposed: [bool; 2], out: DType) -> CubeTensor {
    let [left, right] = [turned(left, transposed[0]), turned(right, transposed[1])];
    let rank = left.meta.num_dims();
    let mut shape = left.meta.shape().to_vec();
    shape[rank - 1] = right.meta.shape()[rank - 1];
    let output = empty(&left, shape, out);
    #[expect(clippy::expect_used, reason = "burn's own product fails alike")]
    matmul(left, right, Some(output), MatmulStrategy::default(), out)
        .expect("a product that this device computes")
}

/// `left · right` in the type of both.
pub(crate) fn plain(left: CubeTensor, right: CubeTensor, transposed: [bool; 2]) -> CubeTensor {
    let dtype = left.dtype();
    product(left, right, transposed, dtype)
}

/// `left · right` in f32.
pub(crate) fn wide(left: CubeTensor, right: CubeTensor, transposed: [bool; 2]) -> CubeTensor {
    product(left, right, transposed, DType::F32)
}

/// `input · weight + bias`, and the weight in the type of the input.
pub(crate) fn linear(
    input: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let dtype = input.dtype();
    let weight = cast(weight, dtype);
    let columns = bias.shape().num_elements();
    let bias = reshape(cast(bias, dtype), [1, columns]);
    let output = Cube::float_add(plain(input, weight.clone(), [false, false]), bias);
    (output, weight)
}
