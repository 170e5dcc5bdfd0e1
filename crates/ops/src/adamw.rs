//! The AdamW step, composed of burn's operations.

use burn::tensor::Tensor;

/// A parameter and its moments, flattened, `[elements]` each.
#[derive(Debug, Clone)]
pub struct AdamWState {
    /// The f32 master weights.
    pub parameter: Tensor<1>,
    /// The running mean of the gradient.
    pub exp_avg: Tensor<1>,
    /// The running mean of the squared gradient.
    pub exp_avg_sq: Tensor<1>,
}

/// The scalars of one step.
#[derive(Debug, Clone)]
pub struct AdamWParameters {
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// The decay of the two means.
    pub betas: [f64; 2],
    /// Added to the root of the corrected second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; 0 for biases and layer norms.
    pub weight_decay: f64,
    /// Updates so far, this one included: 1 at the first.
    pub update: u64,
    /// What the gradient is multiplied by first (clipping), `[1]`.
    pub gradient_scale: Tensor<1>,
}

impl AdamWParameters {
    /// `1 − β₁ᵗ` and `1 − β₂ᵗ`.
    pub(crate) fn corrections(&self) -> (f64, f64) {
        let [beta_1, beta_2] = self.betas;
        let exponent = i32::try_from(self.update).unwrap_or(i32::MAX);
        (1.0 - beta_1.powi(exponent), 1.0 - beta_2.powi(exponent))
    }
}

/// The scalars of a step, in f32.
#[cfg(any(feature = "flex", feature = "gpu"))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalars {
    /// What the gradient is multiplied by.
    pub(crate) gradient_scale: f32,
    /// The decay of the two means.
    pub(crate) betas: [f32; 2],
    /// `1 − β`, rounded once: `1 − 0.999` in f32 is off by 5e-5.
    pub(crate) complements: [f32; 2],
    /// Added to the corrected root.
    pub(crate) epsilon: f32,
    /// `1 / √(1 − β₂ᵗ)`.
    pub(crate) root_correction: f32,
    /// `rate / (1 − β₁ᵗ)`.
    pub(crate) step_size: f32,
    /// `1 − rate · decay`.
    pub(crate) kept: f32,
}

#[cfg(any(feature = "flex", feature = "gpu"))]
impl AdamWParameters {
    /// The same in f32, as kernels take them.
    pub(crate) fn scalars(&self, gradient_scale: f32) -> Scalars {
        let [beta_1, beta_2] = self.betas;
        let (correction_1, correction_2) = self.corrections();
        Scalars {
            gradient_scale,
            betas: [beta_1 as f32, beta_2 as f32],
            complements: [(1.0 - beta_1) as f32, (1.0 - beta_2) as f32],
            epsilon: self.epsilon as f32,
            root_correction: (1.0 / correction_2.sqrt()) as f32,
            step_size: (self.learning_rate / correction_1) as f32,
            kept: (1.0 - self.learning_rate * self.weight_decay) as f32,
        }
    }
}

pub(crate) fn adamw_step(
    state: AdamWState,
    gradient: Tensor<1>,
    step: &AdamWParameters,
) -> AdamWState {
    let [beta_1, beta_2] = step.betas;
    let (correction_1, correction_2) = step.corrections();
    let gradient = gradient * step.gradient_scale.clone();
    let exp_avg = state.exp_avg * beta_1 + gradient.clone() * (1.0 - beta_1);
    let exp_avg_sq = state.exp_avg_sq * beta_2 + gradient.square() * (1.0 - beta_2);
    let denominator = exp_avg_sq.clone().sqrt() / correction_2.sqrt() + step.epsilon;
    let update = exp_avg.clone() / denominator * (step.learning_rate / correction_1);
    let kept = 1.0 - step.learning_rate * step.weight_decay;
    AdamWState { parameter: state.parameter * kept - update, exp_avg, exp_avg_sq }
}
