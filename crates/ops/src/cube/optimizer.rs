//! The AdamW step.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, empty_f32};

/// Units a cube; each takes elements by strides.
const UNITS: usize = 256;

/// The scalars of one step; `adamw::Scalars` on the device.
#[derive(CubeLaunch, CubeType)]
struct Step {
    beta_1: f32,
    beta_2: f32,
    complement_1: f32,
    complement_2: f32,
    epsilon: f32,
    root_correction: f32,
    step_size: f32,
    kept: f32,
}

#[cube(launch)]
fn adamw_kernel(
    parameter: &[f32],
    exp_avg: &[f32],
    exp_avg_sq: &[f32],
    gradient: &[f32],
    gradient_scale: &[f32],
    new_parameter: &mut [f32],
    new_avg: &mut [f32],
    new_avg_sq: &mut [f32],
    step: Step,
) {
    let mut at = ABSOLUTE_POS;
    let stride = CUBE_COUNT * CUBE_DIM as usize;
    while at < parameter.len() {
        let gradient = gradient[at] * gradient_scale[0];
        let first = exp_avg[at] * step.beta_1 + gradient * step.complement_1;
        let second = exp_avg_sq[at] * step.beta_2 + gradient * gradient * step.complement_2;
        let denominator = second.sqrt() * step.root_correction + step.epsilon;
        new_parameter[at] = parameter[at] * step.kept - first / denominator * step.step_size;
        new_avg[at] = first;
        new_avg_sq[at] = second;
        at += stride;
    }
}

/// The parameter and its two means after a step.
pub(crate) fn adamw(
    state: [CubeTensor; 3],
    gradient: CubeTensor,
    gradient_scale: CubeTensor,
    scalars: &crate::adamw::Scalars,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [parameter, exp_avg, exp_avg_sq] = state.map(contiguous);
    let [gradient, gradient_scale] = [gradient, gradient_scale].map(contiguous);
    let elements = parameter.meta.num_elements();
    let new = [(); 3].map(|()| empty_f32(&parameter, [elements]));
    let [betas, complements] = [scalars.betas, scalars.complements];
    adamw_kernel::launch(
        &parameter.client.clone(),
        cubes(elements.div_ceil(UNITS)),
        CubeDim::new_1d(UNITS as u32),
        parameter.into_buffer_arg(),
        exp_avg.into_buffer_arg(),
        exp_avg_sq.into_buffer_arg(),
        gradient.into_buffer_arg(),
        gradient_scale.into_buffer_arg(),
        new[0].clone().into_buffer_arg(),
        new[1].clone().into_buffer_arg(),
        new[2].clone().into_buffer_arg(),
        StepLaunch::new(
            betas[0],
            betas[1],
            complements[0],
            complements[1],
            scalars.epsilon,
            scalars.root_correction,
            scalars.step_size,
            scalars.kept,
        ),
    );
    let [parameter, exp_avg, exp_avg_sq] = new;
    (parameter, exp_avg, exp_avg_sq)
}
