//! burn's own operations on CubeCL's tensors, by the names that are used here.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::{DType, FloatDType, Shape, Slice};
use burn_cubecl::tensor::CubeTensor;

/// `tensor` in `dtype`.
pub(crate) fn cast(tensor: CubeTensor, dtype: DType) -> CubeTensor {
    if tensor.dtype() == dtype { tensor } else { Cube::float_cast(tensor, FloatDType::from(dtype)) }
}

pub(crate) fn shape(tensor: &CubeTensor) -> Vec<usize> {
    tensor.shape().to_vec()
}

pub(crate) fn reshape(tensor: CubeTensor, to: impl Into<Vec<usize>>) -> CubeTensor {
    Cube::float_reshape(tensor, Shape::from(to.into()))
}

/// The rows `first .. first + count` of the first axis.
pub(crate) fn narrow(tensor: CubeTensor, first: usize, count: usize) -> CubeTensor {
    let mut slices: Vec<Slice> =
        shape(&tensor).into_iter().map(|size| Slice::from(0..size)).collect();
    slices[0] = Slice::from(first..first + count);
    Cube::float_slice(tensor, &slices)
}

/// The parts one after the other along the first axis.
pub(crate) fn joined(mut parts: Vec<CubeTensor>) -> CubeTensor {
    if parts.len() == 1 { parts.remove(0) } else { Cube::float_cat(parts, 0) }
}
