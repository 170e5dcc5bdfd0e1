//! All parameters of a module at once, out of it and back: for what updates several together.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};

use crate::ParameterName;
use crate::parameters::{Path, flatten};

/// A walk that takes parameters out.
struct Take<F> {
    path: Path,
    is_taken: F,
    taken: Vec<(ParameterName, Tensor<1>)>,
}

impl<F: FnMut(&ParameterName) -> bool> ModuleMapper for Take<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name(&param.val());
        if !(self.is_taken)(&name) {
            return param;
        }
        let (id, tensor, _) = param.consume();
        let (shape, device) = (tensor.shape(), tensor.device());
        self.taken.push((name, flatten(tensor.inner())));
        // In its place something that takes no memory until it is read, which it is not.
        let zeros = {
            let shape = shape.clone();
            move |device: &Device, is_trained: bool| {
                Tensor::zeros(shape.clone(), device).set_require_grad(is_trained)
            }
        };
        Param::uninitialized(id, zeros, device, true, shape)
    }
}

/// A walk that puts parameters in the places of those that were taken.
struct Put {
    path: Path,
    parameters: BTreeMap<String, Tensor<1>>,
}

impl ModuleMapper for Put {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(new) = self.parameters.remove(&self.path.joined()) else { return param };
        let new = Tensor::<D>::from_inner(new.reshape(param.lazy_shape()));
        Param::initialized(param.id, new.require_grad())
    }
}

/// Replaces the parameters for which `is_taken` holds, which are trained ones, by what `update` makes of
/// them all, `[elements]` each, in their order. They are `update`'s alone, so that it may write to them.
///
/// # Panics
/// When `update` gives more or fewer parameters than it got.
pub fn update_together<M: Module>(
    module: M,
    is_taken: impl FnMut(&ParameterName) -> bool,
    update: impl FnOnce(Vec<(ParameterName, Tensor<1>)>) -> Vec<Tensor<1>>,
) -> M {
    let mut take = Take { path: Path::default(), is_taken, taken: Vec::new() };
    let module = module.map(&mut take);
    let paths: Vec<String> = take.taken.iter().map(|(name, _)| name.path.clone()).collect();
    let new = update(take.taken);
    assert_eq!(new.len(), paths.len(), "parameters in the places of those taken");
    let parameters = paths.into_iter().zip(new).collect();
    module.map(&mut Put { path: Path::default(), parameters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Linear, collect_parameters, to_host};

    #[test]
    fn what_is_taken_comes_back_in_its_place_and_the_rest_stays() {
        let linear = Linear::zeros(2, 3, &Device::flex().autodiff());
        let linear = update_together(
            linear,
            |name| name.path == "weight",
            |taken| {
                assert_eq!(taken.len(), 1);
                assert_eq!((taken[0].0.path.as_str(), taken[0].1.dims()), ("weight", [6]));
                vec![Tensor::from_floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &Device::flex())]
            },
        );
        let mut found = BTreeMap::new();
        collect_parameters(&linear, |name, tensor| {
            found.insert(name.path, to_host(tensor));
        });
        assert_eq!(found["weight"], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(found["bias"], [0.0; 3]);
        assert_eq!(linear.weight.val().dims(), [2, 3]);
        assert!(linear.weight.val().is_require_grad());
    }
}
