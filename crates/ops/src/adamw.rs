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
