//! The exact GELU and its gradient.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, elem, empty};
use super::vectors::vector_of;

/// Units a cube; each takes vectors by strides.
const UNITS: usize = 256;

/// The error function within 4e-7, as on the processor.
///
/// Source: the rational approximation of Eigen's `generic_fast_erf_float`.
#[cube]
fn erf(x: f32) -> f32 {
    let x = clamp(x, -4.0f32, 4.0f32);
    let s = x * x;
    let p = -2.726_142_3e-10f32 * s + 2.770_681_4e-8f32;
    let p = p * s - 2.101_024e-6f32;
    let p = p * s - 5.692_506_5e-5f32;
    let p = p * s - 7.349_906_4e-4f32;
    let p = p * s - 2.954_6e-3f32;
    let p = p * s - 1.609_603_3e-2f32;
    let q = -1.456_607_2e-5f32 * s - 2.133_740_5e-4f32;
    let q = q * s - 1.682_827e-3f32;
    let q = q * s - 7.373_329e-3f32;
    let q = q * s - 1.426_473_9e-2f32;
    x * p / q
}

#[cube]
fn phi(x: f32) -> f32 {
    0.5f32 * (1.0f32 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[cube(launch)]
fn forward_kernel<F: Float, N: Size>(
    input: &[Vector<F, N>],
    output: &mut [Vector<F, N>],
    vectors: usize,
    #[define(F)] _elem: ElemType,
) {
    let mut at = ABSOLUTE_POS;
    let stride = CUBE_COUNT * CUBE_DIM as usize;
    while at < vectors {
        let vector = Vector::<f32, N>::cast_from(input[at]);
        let mut result = Vector::<F, N>::empty();
        #[unroll]
        for lane in 0..N::value() {
            let x = vector.extract(lane);
            result.insert(lane, F::cast_from(x * phi(x)));
        }
        output[at] = result;
        at += stride;
    }
}

#[cube(launch)]
fn backward_kernel<F: Float, N: Size>(
    input: &[Vector<F, N>],
    gradient: &[Vector<F, N>],
    output: &mut [Vector<F, N>],
    vectors: usize,
    #[define(F)] _elem: ElemType,
) {
    let mut at = ABSOLUTE_POS;
    let stride = CUBE_COUNT * CUBE_DIM as usize;
    while at < vectors {
        let vector = Vector::<f32, N>::cast_from(input[at]);
        let gradients = Vector::<f32, N>::cast_from(gradient[at]);
        let mut result = Vector::<F, N>::empty();
        #[unroll]
        for lane in 0..N::value() {
            let x = vector.extract(lane);
            // φ(x) = exp(−x² / 2) / √(2π)
            let density = 0.398_942_3f32 * (-0.5f32 * x * x).exp();
            let dy = gradients.extract(lane);
            result.insert(lane, F::cast_from(dy * (phi(x) + x * density)));
        }
        output[at] = result;
        at += stride;
    }
}

/// `x · Φ(x)`.
pub(crate) fn forward(input: CubeTensor) -> CubeTensor {
    let input = contiguous(input);
    let output = empty(&input, input.meta.shape().to_vec(), input.dtype);
    let elements = input.meta.num_elements();
    let vector = vector_of(elements, &[input.dtype]);
    forward_kernel::launch(
        &input.client.clone(),
        cubes(elements.div_ceil(UNITS * vector)),
        CubeDim::new_1d(UNITS as u32),
        vector,
        input.clone().into_buffer_arg(),
        output.clone().into_buffer_arg(),
        elements / vector,
        elem(input.dtype),
    );
    output
}

/// `dy · (Φ(x) + x φ(x))`.
pub(crate) fn backward(input: CubeTensor, gradient: CubeTensor) -> CubeTensor {
    let [input, gradient] = [input, gradient].map(contiguous);
    let output = empty(&input, input.meta.shape().to_vec(), input.dtype);
    let elements = input.meta.num_elements();
    let vector = vector_of(elements, &[input.dtype]);
    backward_kernel::launch(
        &input.client.clone(),
        cubes(elements.div_ceil(UNITS * vector)),
        CubeDim::new_1d(UNITS as u32),
        vector,
        input.clone().into_buffer_arg(),
        gradient.into_buffer_arg(),
        output.clone().into_buffer_arg(),
        elements / vector,
        elem(input.dtype),
    );
    output
}
