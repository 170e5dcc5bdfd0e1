//! The exact GELU and its gradient.

use rayon::prelude::*;

use super::vector::{erf, exp, vectorised};

/// Elements a task.
const CHUNK: usize = 1 << 14;

#[inline(always)]
fn phi(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// `x · Φ(x)`.
pub(crate) fn forward(input: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; input.len()];
    output.par_chunks_mut(CHUNK).zip(input.par_chunks(CHUNK)).for_each(|(output, input)| {
        forward_chunk(output, input);
    });
    output
}

vectorised! {
    fn forward_chunk<'a>(output: &'a mut [f32], input: &'a [f32]) {
        for (y, &x) in output.iter_mut().zip(input) {
            *y = x * phi(x);
        }
    }
}

/// `dy · (Φ(x) + x φ(x))`.
pub(crate) fn backward(input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; input.len()];
    let inputs = input.par_chunks(CHUNK).zip(gradient.par_chunks(CHUNK));
    output.par_chunks_mut(CHUNK).zip(inputs).for_each(|(output, (input, gradient))| {
        backward_chunk(output, input, gradient);
    });
    output
}

vectorised! {
    fn backward_chunk<'a>(output: &'a mut [f32], input: &'a [f32], gradient: &'a [f32]) {
        const NORMAL: f32 = 0.398_942_3; // 1 / √(2π)
        for (out, (&x, &dy)) in output.iter_mut().zip(input.iter().zip(gradient)) {
            *out = dy * (phi(x) + x * NORMAL * exp(-0.5 * x * x));
        }
    }
}
