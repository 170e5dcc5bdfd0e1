//! AdamW over parameters by name.

use std::collections::{BTreeMap, BTreeSet};

use bimed_bert::{ParameterName, parameter_names, to_host, update_together};
use bimed_checkpoint::Weights;
use bimed_ops::{AdamWParameters, AdamWState, BertOps};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::{Error, OptimizerConfig, Result};

/// The moments of every trained parameter and the number of updates.
///
/// Moments are stored by Hugging Face tensor name, never by a key that a new start would change.
#[derive(Debug)]
pub struct AdamW {
    config: OptimizerConfig,
    /// Module path → (first, second) moment, `[elements]` each.
    moments: BTreeMap<String, [Tensor<1>; 2]>,
    updates: u64,
}

/// Names of the moments in a checkpoint, as PyTorch's AdamW names them.
const MOMENTS: [&str; 2] = ["exp_avg", "exp_avg_sq"];

impl AdamW {
    /// An optimizer that has done no update.
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, moments: BTreeMap::new(), updates: 0 }
    }

    /// Updates so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// One update of every parameter that has a gradient. Returns the module and the gradients'
    /// global norm before clipping, `[1]`, left on the device.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: BTreeMap<String, Tensor<1>>,
        learning_rate: f64,
        ops: &dyn BertOps,
    ) -> (M, Tensor<1>) {
        self.updates += 1;
        let list: Vec<Tensor<1>> = gradients.values().cloned().collect();
        let norm = ops.grad_norm(&list);
        drop(list);
        let gradient_scale = self.gradient_scale(norm.clone());
        let trained: BTreeSet<String> = gradients.keys().cloned().collect();
        let is_trained = |name: &ParameterName| trained.contains(&name.path);
        let module = update_together(module, is_trained, |parameters| {
            self.updated(parameters, gradients, learning_rate, gradient_scale, ops)
        });
        (module, norm)
    }

    /// The parameters after a step: those that decay together, and those that do not.
    fn updated(
        &mut self,
        parameters: Vec<(ParameterName, Tensor<1>)>,
        mut gradients: BTreeMap<String, Tensor<1>>,
        learning_rate: f64,
        gradient_scale: Tensor<1>,
        ops: &dyn BertOps,
    ) -> Vec<Tensor<1>> {
        let mut groups = [(self.config.weight_decay, Vec::new()), (0.0, Vec::new())];
        for (at, (name, parameter)) in parameters.into_iter().enumerate() {
            let Some(gradient) = gradients.remove(&name.path) else { continue };
            let [exp_avg, exp_avg_sq] = self.moments.remove(&name.path).unwrap_or_else(|| {
                let zeros = || Tensor::zeros(parameter.dims(), &parameter.device());
                [zeros(), zeros()]
            });
            let state = AdamWState { parameter, exp_avg, exp_avg_sq };
            let group = usize::from(name.is_bias_or_norm());
            groups[group].1.push(((at, name.path), (state, gradient)));
        }
        let mut updated = Vec::new();
        for (weight_decay, group) in groups {
            let (places, states): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let step = self.parameters_of(weight_decay, learning_rate, gradient_scale.clone());
            for ((at, path), state) in places.into_iter().zip(ops.adamw_steps(states, &step)) {
                self.moments.insert(path, [state.exp_avg, state.exp_avg_sq]);
                updated.push((at, state.parameter));
            }
        }
        updated.sort_by_key(|&(at, _)| at);
        updated.into_iter().map(|(_, parameter)| parameter).collect()
    }

    /// `min(1, max_norm / (norm + 1e-6))`, as `torch.nn.utils.clip_grad_norm_` has it.
    fn gradient_scale(&self, norm: Tensor<1>) -> Tensor<1> {
        match self.config.max_grad_norm {
            0.0 => norm.zeros_like() + 1.0,
            max => ((norm + 1e-6).recip() * max).clamp_max(1.0),
        }
    }

    fn parameters_of(
        &self,
        weight_decay: f64,
        learning_rate: f64,
        gradient_scale: Tensor<1>,
    ) -> AdamWParameters {
        AdamWParameters {
            learning_rate,
            betas: self.config.betas,
            epsilon: self.config.epsilon,
            weight_decay,
            update: self.updates,
            gradient_scale,
        }
    }

    /// The moments as named host arrays: `exp_avg.NAME` and `exp_avg_sq.NAME`.
    pub fn to_weights(&self, module: &impl Module) -> Weights {
        let mut weights = Weights::default();
        for parameter in parameter_names(module) {
            let Some(moments) = self.moments.get(&parameter.path) else { continue };
            for (kind, moment) in MOMENTS.iter().zip(moments) {
                for (name, tensor) in parameter.split(&to_host(moment.clone())) {
                    weights.insert(format!("{kind}.{name}"), tensor);
                }
            }
        }
        weights
    }

    /// An optimizer after `updates`, with the moments of [`Self::to_weights`].
    ///
    /// # Errors
    /// When the moments are not those of `module`: a tensor missing, of another shape, or unknown.
    pub fn from_weights(
        config: OptimizerConfig,
        module: &impl Module,
        mut weights: Weights,
        updates: u64,
        device: &Device,
    ) -> Result<Self> {
        let mut moments = BTreeMap::new();
        for parameter in parameter_names(module) {
            let mut halves = Vec::new();
            for kind in MOMENTS {
                let mut part = Weights::default();
                for name in parameter.hugging_face() {
                    if let Some(tensor) = weights.tensors.remove(&format!("{kind}.{name}")) {
                        part.insert(name, tensor);
                    }
                }
                if part.tensors.is_empty() {
                    continue; // A parameter that is not trained has no moments.
                }
                let data = parameter.join(&part)?;
                let elements = data.len();
                halves.push(Tensor::from_data(TensorData::new(data, [elements]), device));
            }
            if let Ok(pair) = <[Tensor<1>; 2]>::try_from(halves) {
                moments.insert(parameter.path, pair);
            }
        }
        match weights.tensors.into_keys().next() {
            Some(name) => Err(Error::UnknownMoment { name }),
            None => Ok(Self { config, moments, updates }),
        }
    }
}
