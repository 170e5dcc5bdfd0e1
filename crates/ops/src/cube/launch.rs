//! What every launch needs.
//!
//! A kernel is told how many elements its buffers have: what `len` says in a kernel is what was allocated,
//! which on CUDA is more.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Cubes of one launch at most: below every device's limit of one axis. Kernels go on from there by
/// strides.
const MOST_CUBES: usize = 1 << 14;

/// `wanted` cubes, or as many as one launch has.
pub(crate) fn cubes(wanted: usize) -> CubeCount {
    CubeCount::Static(wanted.clamp(1, MOST_CUBES) as u32, 1, 1)
}

/// [`cubes`] along the first axis, `others` along the second.
pub(crate) fn cubes_by(wanted: usize, others: usize) -> CubeCount {
    CubeCount::Static(wanted.clamp(1, MOST_CUBES) as u32, others as u32, 1)
}

/// CubeCL's name of a type.
pub(crate) fn elem(dtype: DType) -> ElemType {
    dtype_to_storage_type(dtype)
}

/// Rows without gaps.
pub(crate) fn contiguous(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(tensor)
}

/// Memory for a tensor on the device of `like`.
pub(crate) fn empty(like: &CubeTensor, shape: impl Into<Vec<usize>>, dtype: DType) -> CubeTensor {
    let shape = Shape::from(shape.into());
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape, dtype)
}

/// [`empty`] in f32.
pub(crate) fn empty_f32(like: &CubeTensor, shape: impl Into<Vec<usize>>) -> CubeTensor {
    empty(like, shape, DType::F32)
}

/// A contiguous tensor under another shape.
pub(crate) fn reshaped(tensor: CubeTensor, shape: impl Into<Vec<usize>>) -> CubeTensor {
    let CubeTensor { client, handle, device, dtype, .. } = tensor;
    CubeTensor::new_contiguous(client, device, Shape::from(shape.into()), handle, dtype)
}
