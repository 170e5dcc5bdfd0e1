//! The way between burn's parameters and named host arrays.
//!
//! A parameter is found by its path in the module tree (`bert.encoder.layer.0.attention.qkv.weight`)
//! and stored under Hugging Face's names: one, or three where three tensors lie side by side. Linear
//! weights are transposed on the way, embeddings are not. The moments of an optimizer take the same
//! way, so that they too are stored by tensor name.

use std::collections::BTreeMap;

use bimed_checkpoint::{HostTensor, Weights};
use bimed_ops::philox4x32;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

/// A parameter's place in the module tree and its shape there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterName {
    /// Fields from the root, joined by dots.
    pub path: String,
    /// burn's shape: `[in, out]` for a linear layer.
    pub shape: Vec<usize>,
}

/// Weights that do not fit a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Tensors that the model needs are not there.
    #[error("missing tensors: {}", .names.join(", "))]
    Missing {
        /// Their Hugging Face names.
        names: Vec<String>,
    },
    /// A tensor of another shape.
    #[error("tensor `{name}` has the shape {found:?}, expected {expected:?}")]
    Shape {
        /// Its Hugging Face name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The model's shape.
        expected: Vec<usize>,
    },
}

impl ParameterName {
    /// The Hugging Face names of what lies side by side in it, first columns first.
    pub fn hugging_face(&self) -> Vec<String> {
        hugging_face_names(&self.path)
    }

    /// Whether Hugging Face's layout is the transpose of burn's.
    fn is_transposed(&self) -> bool {
        self.shape.len() == 2 && !self.path.contains("_embeddings.")
    }

    /// The shape of each part in Hugging Face's layout.
    pub fn hugging_face_shape(&self) -> Vec<usize> {
        let parts = self.hugging_face().len();
        match *self.shape {
            [inputs, outputs] if self.is_transposed() => vec![outputs / parts, inputs],
            [rows, columns] => vec![rows, columns],
            _ => vec![self.shape[0] / parts],
        }
    }

    /// Whether weight decay leaves it alone: biases and layer norms.
    ///
    /// Source: the optimizer of google-research/bert, `exclude_from_weight_decay`.
    pub fn is_bias_or_norm(&self) -> bool {
        self.path.ends_with(".bias") || self.path.contains("layer_norm.")
    }

    /// Splits burn's elements into Hugging Face's tensors.
    pub fn split(&self, data: &[f32]) -> Vec<(String, HostTensor)> {
        let names = self.hugging_face();
        let shape = self.hugging_face_shape();
        let columns = *self.shape.last().unwrap_or(&1);
        let width = columns / names.len();
        let parts = names.into_iter().enumerate().map(|(part, name)| {
            let offset = part * width;
            let data = if self.is_transposed() {
                transpose(data, columns, offset, width)
            } else if self.shape.len() == 1 {
                data[offset..offset + width].to_vec()
            } else {
                data.to_vec()
            };
            (name, HostTensor::new(shape.clone(), data))
        });
        parts.collect()
    }

    /// Joins Hugging Face's tensors to burn's elements.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn join(&self, weights: &Weights) -> Result<Vec<f32>, LoadError> {
        let expected = self.hugging_face_shape();
        let mut parts = Vec::new();
        for name in self.hugging_face() {
            let Some(tensor) = weights.get(&name) else {
                return Err(LoadError::Missing { names: vec![name] });
            };
            if tensor.shape != expected {
                let found = tensor.shape.clone();
                return Err(LoadError::Shape { name, found, expected });
            }
            parts.push(tensor);
        }
        if !self.is_transposed() {
            return Ok(parts.into_iter().flat_map(|part| part.data.iter().copied()).collect());
        }
        let (inputs, columns) = (self.shape[0], self.shape[1]);
        let width = columns / parts.len();
        let mut data = vec![0.0; inputs * columns];
        for (index, part) in parts.into_iter().enumerate() {
            for (output, row) in part.data.chunks_exact(inputs).enumerate() {
                for (input, &value) in row.iter().enumerate() {
                    data[input * columns + index * width + output] = value;
                }
            }
        }
        Ok(data)
    }
}

/// `width` columns from `offset` of a matrix with `columns`, as rows.
fn transpose(data: &[f32], columns: usize, offset: usize, width: usize) -> Vec<f32> {
    let rows = data.len() / columns;
    let mut out = vec![0.0; rows * width];
    for (row, values) in data.chunks_exact(columns).enumerate() {
        for (column, &value) in values[offset..offset + width].iter().enumerate() {
            out[column * rows + row] = value;
        }
    }
    out
}

/// The name table: module path → Hugging Face names.
fn hugging_face_names(path: &str) -> Vec<String> {
    /// Replacements at the end of a path's stem, longest first.
    const STEMS: [(&str, &[&str]); 9] = [
        ("attention.qkv", &["attention.self.query", "attention.self.key", "attention.self.value"]),
        ("attention.dense", &["attention.output.dense"]),
        ("attention.layer_norm", &["attention.output.LayerNorm"]),
        ("embeddings.layer_norm", &["embeddings.LayerNorm"]),
        ("predictions.dense", &["cls.predictions.transform.dense"]),
        ("predictions.layer_norm", &["cls.predictions.transform.LayerNorm"]),
        ("seq_relationship.dense", &["cls.seq_relationship"]),
        ("classifier.dense", &["classifier"]),
        ("predictions", &["cls.predictions"]),
    ];
    /// Replacements within a layer, where the stem is `bert.encoder.layer.N.<field>`.
    const LAYER: [(&str, &str); 3] = [
        (".intermediate", ".intermediate.dense"),
        (".output", ".output.dense"),
        (".layer_norm", ".output.LayerNorm"),
    ];
    let (stem, leaf) = path.rsplit_once('.').unwrap_or(("", path));
    for (ending, names) in STEMS {
        if let Some(front) = stem.strip_suffix(ending) {
            return names.iter().map(|name| format!("{front}{name}.{leaf}")).collect();
        }
    }
    for (ending, name) in LAYER {
        if let Some(front) = stem.strip_suffix(ending) {
            return vec![format!("{front}{name}.{leaf}")];
        }
    }
    vec![path.to_owned()]
}

/// The path of the module that a walk is in.
#[derive(Default)]
pub(crate) struct Path(Vec<String>);

impl Path {
    pub(crate) fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    pub(crate) fn exit(&mut self) {
        self.0.pop();
    }

    /// Fields from the root, joined by dots.
    pub(crate) fn joined(&self) -> String {
        self.0.join(".")
    }

    pub(crate) fn name<const D: usize>(&self, tensor: &Tensor<D>) -> ParameterName {
        ParameterName { path: self.joined(), shape: tensor.dims().to_vec() }
    }
}

/// A walk that hands over each parameter, flattened and off the graph.
struct Collect<F> {
    path: Path,
    visit: F,
}

impl<F: FnMut(ParameterName, Tensor<1>)> ModuleVisitor for Collect<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let name = self.path.name(&tensor);
        (self.visit)(name, flatten(tensor.inner()));
    }
}

/// A walk that takes each parameter's gradient.
struct TakeGradients<'a> {
    path: Path,
    gradients: &'a mut Gradients,
    taken: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for TakeGradients<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        if let Some(gradient) = tensor.grad_remove(self.gradients) {
            self.taken.insert(self.path.name(&tensor).path, flatten(gradient));
        }
    }
}

/// A walk that replaces parameters.
struct Update<F> {
    path: Path,
    update: F,
}

impl<F: FnMut(&ParameterName, Tensor<1>) -> Tensor<1>> ModuleMapper for Update<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name(&param.val());
        param.map(|tensor| {
            let shape = tensor.dims();
            let (is_autodiff, is_trained) = (tensor.is_autodiff(), tensor.is_require_grad());
            let new = (self.update)(&name, flatten(tensor.inner())).reshape(shape);
            match is_autodiff {
                true => Tensor::from_inner(new).set_require_grad(is_trained),
                false => new,
            }
        })
    }
}

/// A walk that says which parameters are trained.
struct SetTrained<F> {
    path: Path,
    is_trained: F,
}

impl<F: FnMut(&ParameterName) -> bool> ModuleMapper for SetTrained<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_trained = (self.is_trained)(&self.path.name(&param.val()));
        param.set_require_grad(is_trained)
    }
}

pub(crate) fn flatten<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let elements = tensor.dims().iter().product::<usize>();
    tensor.reshape([elements])
}

/// Hands over every parameter, flattened to `[elements]` and off the graph, in the module's order.
pub fn collect_parameters(module: &impl Module, visit: impl FnMut(ParameterName, Tensor<1>)) {
    module.visit(&mut Collect { path: Path::default(), visit });
}

/// The names of all parameters, in the module's order.
pub fn parameter_names(module: &impl Module) -> Vec<ParameterName> {
    let mut names = Vec::new();
    collect_parameters(module, |name, _| names.push(name));
    names
}

/// The device of a module's parameters.
///
/// # Panics
/// When the module has none.
pub fn device_of(module: &impl Module) -> Device {
    #[expect(clippy::expect_used, reason = "every model here has parameters")]
    module.devices().into_iter().next().expect("a module with parameters")
}

/// Takes the gradient of every trained parameter, flattened to `[elements]`, by module path.
pub fn take_gradients(
    module: &impl Module,
    gradients: &mut Gradients,
) -> BTreeMap<String, Tensor<1>> {
    let mut walk = TakeGradients { path: Path::default(), gradients, taken: BTreeMap::new() };
    module.visit(&mut walk);
    walk.taken
}

/// Replaces every parameter, `[elements]`, by what `update` makes of it.
fn update_parameters<M: Module>(
    module: M,
    update: impl FnMut(&ParameterName, Tensor<1>) -> Tensor<1>,
) -> M {
    module.map(&mut Update { path: Path::default(), update })
}

/// Trains the parameters for which `is_trained` holds, and freezes the others.
pub fn set_trained<M: Module>(module: M, is_trained: impl FnMut(&ParameterName) -> bool) -> M {
    module.map(&mut SetTrained { path: Path::default(), is_trained })
}

/// Fills a model with `weights`.
///
/// # Errors
/// All tensors that are missing, or the first of another shape.
pub fn load_weights<M: Module>(module: M, weights: &Weights) -> Result<M, LoadError> {
    let mut missing = Vec::new();
    let mut other = None;
    let module = update_parameters(module, |name, old| match name.join(weights) {
        Ok(data) => {
            let elements = data.len();
            Tensor::from_data(TensorData::new(data, [elements]), &old.device())
        }
        Err(LoadError::Missing { names }) => {
            missing.extend(names);
            old
        }
        Err(error) => {
            other.get_or_insert(error);
            old
        }
    });
    match other {
        Some(error) => Err(error),
        None if missing.is_empty() => Ok(module),
        None => Err(LoadError::Missing { names: missing }),
    }
}

/// A model's parameters as named host arrays.
pub fn to_weights(module: &impl Module) -> Weights {
    let mut weights = Weights::default();
    collect_parameters(module, |name, tensor| {
        for (name, tensor) in name.split(&to_host(tensor)) {
            weights.insert(name, tensor);
        }
    });
    weights
}

/// A flat f32 tensor's elements.
///
/// # Panics
/// When the tensor is not f32: master weights and moments always are.
pub fn to_host(tensor: Tensor<1>) -> Vec<f32> {
    #[expect(clippy::expect_used, reason = "every caller holds f32")]
    tensor.into_data().try_into_vec::<f32>().expect("an f32 tensor")
}

/// Puts a random start where `weights` lacks what `module` needs: N(0, `initializer_range`²) for
/// weights, ones for layer norms, zeros for biases. Each element is a function of (`seed`, name,
/// index). Returns the names filled, sorted.
///
/// Source: `BertPreTrainedModel._init_weights` of Hugging Face transformers.
pub fn fill_missing(
    module: &impl Module,
    weights: &mut Weights,
    initializer_range: f64,
    seed: u64,
) -> Vec<String> {
    let mut filled = Vec::new();
    for parameter in parameter_names(module) {
        let shape = parameter.hugging_face_shape();
        for name in parameter.hugging_face() {
            if weights.get(&name).is_some() {
                continue;
            }
            let elements = shape.iter().product();
            let data = match parameter.is_bias_or_norm() {
                true if name.ends_with(".bias") => vec![0.0; elements],
                true => vec![1.0; elements],
                false => normal(elements, initializer_range, seed, &name),
            };
            weights.insert(name.clone(), HostTensor::new(shape.clone(), data));
            filled.push(name);
        }
    }
    filled.sort();
    filled
}

/// Draws from N(0, `deviation`²) by counter (Box and Muller 1958).
fn normal(elements: usize, deviation: f64, seed: u64, name: &str) -> Vec<f32> {
    // FNV-1a, 64 bits: the name's part of the counter.
    let site = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let key = [seed as u32, (seed >> 32) as u32];
    let draw = |index: usize| {
        let block = index as u64;
        let counter = [block as u32, (block >> 32) as u32, site as u32, (site >> 32) as u32];
        let [a, b, ..] = philox4x32(counter, key);
        let radius = (-2.0 * ((f64::from(a) + 1.0) / 4_294_967_296.0).ln()).sqrt();
        let angle = std::f64::consts::TAU * f64::from(b) / 4_294_967_296.0;
        (deviation * radius * angle.cos()) as f32
    };
    (0..elements).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, shape: &[usize], expected: &[(&str, &[usize])]) {
        let name = ParameterName { path: path.into(), shape: shape.to_vec() };
        let shape = name.hugging_face_shape();
        let found: Vec<_> = name.hugging_face().into_iter().map(|n| (n, shape.clone())).collect();
        let expected: Vec<_> =
            expected.iter().map(|(n, s)| ((*n).to_owned(), s.to_vec())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_have_hugging_face_names_and_layouts() {
        check(
            "bert.embeddings.word_embeddings.weight",
            &[9, 4],
            &[("bert.embeddings.word_embeddings.weight", &[9, 4])],
        );
        check(
            "bert.encoder.layer.3.attention.qkv.weight",
            &[4, 12],
            &[
                ("bert.encoder.layer.3.attention.self.query.weight", &[4, 4]),
                ("bert.encoder.layer.3.attention.self.key.weight", &[4, 4]),
                ("bert.encoder.layer.3.attention.self.value.weight", &[4, 4]),
            ],
        );
        check(
            "bert.encoder.layer.0.intermediate.weight",
            &[4, 8],
            &[("bert.encoder.layer.0.intermediate.dense.weight", &[8, 4])],
        );
        check(
            "bert.encoder.layer.0.layer_norm.bias",
            &[4],
            &[("bert.encoder.layer.0.output.LayerNorm.bias", &[4])],
        );
        check("predictions.bias", &[9], &[("cls.predictions.bias", &[9])]);
        check(
            "predictions.layer_norm.weight",
            &[4],
            &[("cls.predictions.transform.LayerNorm.weight", &[4])],
        );
        check(
            "seq_relationship.dense.weight",
            &[4, 2],
            &[("cls.seq_relationship.weight", &[2, 4])],
        );
        check("classifier.dense.bias", &[3], &[("classifier.bias", &[3])]);
    }

    #[test]
    fn splitting_and_joining_gives_back_every_element() {
        let name = ParameterName { path: "x.attention.qkv.weight".into(), shape: vec![2, 6] };
        let data: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let mut weights = Weights::default();
        for (part, tensor) in name.split(&data) {
            weights.insert(part, tensor);
        }
        let key = weights.get("x.attention.self.key.weight").unwrap();
        assert_eq!(key.data, [2.0, 8.0, 3.0, 9.0]);
        assert_eq!(name.join(&weights).unwrap(), data);
    }

    #[test]
    fn a_random_start_has_the_deviation_asked_for() {
        let draws = normal(100_000, 0.02, 7, "bert.pooler.dense.weight");
        let mean = draws.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        let variance = draws.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 3e-4 && (variance.sqrt() - 0.02).abs() < 3e-4);
        assert_ne!(draws, normal(100_000, 0.02, 7, "bert.pooler.dense.bias"));
    }
}
