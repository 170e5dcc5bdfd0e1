//! The AdamW step and the gradients' norm, each one pass over memory.

use rayon::prelude::*;

use super::vector::{sum_of, vectorised};
use crate::adamw::Scalars;

/// Elements a task.
const CHUNK: usize = 1 << 14;

/// Updates `parameter`, `exp_avg` and `exp_avg_sq` in place.
pub(crate) fn adamw(
    parameter: &mut [f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
    gradient: &[f32],
    scalars: Scalars,
) {
    parameter
        .par_chunks_mut(CHUNK)
        .zip(exp_avg.par_chunks_mut(CHUNK).zip(exp_avg_sq.par_chunks_mut(CHUNK)))
        .zip(gradient.par_chunks(CHUNK))
        .for_each(|((parameter, (first, second)), gradient)| {
            adamw_chunk(parameter, first, second, gradient, scalars);
        });
}

vectorised! {
    fn adamw_chunk<'a>(parameter: &'a mut [f32], first: &'a mut [f32], second: &'a mut [f32], gradient: &'a [f32], scalars: Scalars) {
        let Scalars { gradient_scale, betas: [beta_1, beta_2], complements: [rest_1, rest_2], .. } =
            scalars;
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((p, (m, v)), g) in parameter.iter_mut().zip(moments).zip(gradient) {
            let g = g * gradient_scale;
            *m = *m * beta_1 + g * rest_1;
            *v = *v * beta_2 + g * g * rest_2;
            let denominator = v.sqrt() * scalars.root_correction + scalars.epsilon;
            *p = *p * scalars.kept - *m / denominator * scalars.step_size;
        }
    }
}

vectorised! {
    fn squares<'a>(values: &'a [f32]) -> f32 {
        sum_of(values, |x| x * x)
    }
}

/// `Σ x²` in f64 over chunks of a fixed size, in their order.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    let shares: Vec<f64> =
        values.par_chunks(CHUNK).map(|chunk| f64::from(squares(chunk))).collect();
    shares.iter().sum()
}
