//! From the tensors of a file to those of the table, with nothing left unsaid.
//!
//! Names, types and shapes are checked before any element is read.
//!
//! Invariant: each tensor of a file is applied, or unused with a reason, or an error names it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::elements::is_weight;
use crate::error::{NamedShape, ShapeMismatch};
use crate::names::{BUFFERS, Names, Naming, TIED, is_optimizers};
use crate::source::{Source, TensorInfo};
use crate::{
    Dimensions, Error, ExpectedTensor, HostTensor, Part, Result, Weights, expected_tensors,
};

/// What became of every tensor of a model's files.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Accounting {
    /// Loaded tensors, in the order of their names.
    pub applied: Vec<AppliedTensor>,
    /// Optional tensors that the files do not have.
    pub missing: Vec<MissingTensor>,
    /// Tensors of the files that are rightly not loaded.
    pub unused: Vec<UnusedTensor>,
}

/// A tensor that was loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AppliedTensor {
    /// The Hugging Face name.
    pub name: String,
    /// The name in the file, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_as: Option<String>,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// Where it belongs.
    pub part: Part,
    /// Elements that are infinite or not a number; a sound model has none.
    pub num_non_finite: usize,
}

/// An optional tensor that a model lacks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MissingTensor {
    /// The Hugging Face name.
    pub name: String,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// Where it belongs.
    pub part: Part,
}

/// A tensor that is not loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnusedTensor {
    /// The name in the file.
    pub name: String,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// Why.
    pub reason: UnusedReason,
}

/// Why a tensor is not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnusedReason {
    /// A constant, such as the positions' own numbers.
    Buffer,
    /// The decoder's copy of the tensor that it is tied to, equal to it bit for bit.
    Tied,
    /// The state of the optimizer that trained the model.
    Optimizer,
}

impl Accounting {
    /// Whether the model has `part`; a part that was loaded is complete.
    pub fn has(&self, part: Part) -> bool {
        self.applied.iter().any(|tensor| tensor.part == part)
    }
}

/// What is to be read of a file whose tensors were found in order.
#[derive(Debug)]
pub(crate) struct Plan {
    loads: Vec<Load>,
    copies: Vec<Copied>,
    accounting: Accounting,
}

/// A tensor of the file that is loaded.
#[derive(Debug)]
struct Load {
    index: usize,
    name: String,
    is_transposed: bool,
}

/// A tensor of the file that should equal the one that it is tied to.
#[derive(Debug)]
struct Copied {
    index: usize,
    tensor: &'static str,
    tied_to: &'static str,
}

/// A tensor under its canonical name.
#[derive(Debug)]
struct Found {
    index: usize,
    found_as: String,
    shape: Vec<usize>,
    dtype: &'static str,
    is_transposed: bool,
}

/// Checks the tensors of a file against a model of `dimensions`; `path` is named in errors.
pub(crate) fn plan(
    path: &Path,
    dimensions: &Dimensions,
    naming: Naming,
    tensors: &[TensorInfo],
) -> Result<Plan> {
    let (mut found, mut unused) = canonical(path, dimensions, naming, tensors)?;
    let mut copies = Vec::new();
    for &(tensor, tied_to) in TIED {
        let Some(copy) = found.remove(tensor) else { continue };
        let Some(original) = found.get(tied_to) else {
            found.insert(tied_to.to_owned(), copy);
            continue;
        };
        if (&copy.shape, copy.dtype) != (&original.shape, original.dtype) {
            return Err(Error::Untied { path: path.to_path_buf(), tensor, tied_to });
        }
        copies.push(Copied { index: copy.index, tensor, tied_to });
        let (name, shape) = (copy.found_as, copy.shape);
        unused.push(UnusedTensor { name, shape, reason: UnusedReason::Tied });
    }
    let shapes = found.iter().map(|(name, one)| (&**name, (&*one.found_as, &*one.shape))).collect();
    let mut accounting = account(path, dimensions, &shapes)?;
    let other_types: Vec<(String, &'static str)> = found
        .values()
        .filter(|one| !is_weight(one.dtype))
        .map(|one| (one.found_as.clone(), one.dtype))
        .collect();
    if !other_types.is_empty() {
        return Err(Error::ElementTypes { path: path.to_path_buf(), tensors: other_types });
    }
    unused.sort_by(|a, b| a.name.cmp(&b.name));
    accounting.unused = unused;
    let mut loads: Vec<Load> = found
        .into_iter()
        .map(|(name, Found { index, is_transposed, .. })| Load { index, name, is_transposed })
        .collect();
    loads.sort_by_key(|load| load.index);
    Ok(Plan { loads, copies, accounting })
}

type FoundTensors = BTreeMap<String, Found>;

/// The tensors by canonical name, and those that are rightly left out.
fn canonical(
    path: &Path,
    dimensions: &Dimensions,
    naming: Naming,
    tensors: &[TensorInfo],
) -> Result<(FoundTensors, Vec<UnusedTensor>)> {
    let names = Names::new(naming, dimensions);
    let mut found = FoundTensors::new();
    let mut unused = Vec::new();
    for (index, TensorInfo { name: found_as, dtype, shape, .. }) in tensors.iter().enumerate() {
        let (name, is_transposed) = names.canonical(found_as);
        let mut shape = shape.clone();
        if is_transposed {
            shape.reverse();
        }
        let reason = match name.as_str() {
            name if BUFFERS.contains(&name) => Some(UnusedReason::Buffer),
            _ if is_optimizers(found_as) => Some(UnusedReason::Optimizer),
            _ => None,
        };
        if let Some(reason) = reason {
            unused.push(UnusedTensor { name: found_as.clone(), shape, reason });
            continue;
        }
        let one = Found { index, found_as: found_as.clone(), shape, dtype, is_transposed };
        if let Some(first) = found.get(&name) {
            let (first, second) = (first.found_as.clone(), found_as.clone());
            return Err(Error::Duplicate { path: path.to_path_buf(), name, first, second });
        }
        found.insert(name, one);
    }
    Ok((found, unused))
}

/// A tensor's name in the file and its shape, by its canonical name.
type Shapes<'a> = BTreeMap<&'a str, (&'a str, &'a [usize])>;

/// Checks canonical names and shapes against the table.
fn account(path: &Path, dimensions: &Dimensions, found: &Shapes<'_>) -> Result<Accounting> {
    let path = path.to_path_buf();
    let mut accounting = Accounting::default();
    let mut mismatches = Vec::new();
    let mut known = BTreeSet::new();
    for ExpectedTensor { name, shape, part, .. } in expected_tensors(dimensions) {
        known.insert(name.clone());
        match found.get(&*name) {
            None => accounting.missing.push(MissingTensor { name, shape, part }),
            Some((_, other)) if *other != shape => {
                mismatches.push(ShapeMismatch { name, found: other.to_vec(), expected: shape });
            }
            Some((found_as, _)) => {
                let found_as = (*found_as != name).then(|| (*found_as).to_owned());
                let num_non_finite = 0;
                accounting.applied.push(AppliedTensor {
                    name,
                    found_as,
                    shape,
                    part,
                    num_non_finite,
                });
            }
        }
    }
    let named = |name: &str, shape: &[usize]| NamedShape { name: name.into(), shape: shape.into() };
    let unexplained: Vec<NamedShape> = found
        .iter()
        .filter(|(name, _)| !known.contains(**name))
        .map(|(_, (found_as, shape))| named(found_as, shape))
        .collect();
    if !unexplained.is_empty() {
        return Err(Error::Unexplained { path, tensors: unexplained });
    }
    if !mismatches.is_empty() {
        return Err(Error::Shapes { path, mismatches });
    }
    let incomplete: Vec<NamedShape> = accounting
        .missing
        .iter()
        .filter(|tensor| tensor.part == Part::Encoder || accounting.has(tensor.part))
        .map(|tensor| named(&tensor.name, &tensor.shape))
        .collect();
    if !incomplete.is_empty() {
        return Err(Error::TensorsMissing { path, tensors: incomplete });
    }
    accounting.applied.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(accounting)
}

/// Checks weights that already have the table's names.
pub(crate) fn account_weights(
    path: &Path,
    dimensions: &Dimensions,
    weights: &Weights,
) -> Result<Accounting> {
    let shapes = weights.tensors.iter().map(|(name, one)| (&**name, (&**name, &*one.shape)));
    let mut accounting = account(path, dimensions, &shapes.collect())?;
    for applied in &mut accounting.applied {
        applied.num_non_finite = num_non_finite(&weights.tensors[&applied.name].data);
    }
    Ok(accounting)
}

impl Plan {
    /// Reads what was planned.
    ///
    /// # Errors
    /// [`Error::Untied`] for a decoder of its own; [`Error::Claims`] where the tensors together are
    /// larger than their files; what `source` fails with.
    pub(crate) fn read(
        mut self,
        path: &Path,
        source: &mut dyn Source,
    ) -> Result<(Weights, Accounting)> {
        let claimed: u64 = self.loads.iter().map(|load| source.tensors()[load.index].bytes).sum();
        let held = source.file_bytes();
        if claimed > held {
            return Err(Error::Claims { path: path.to_path_buf(), claimed, held });
        }
        let mut weights = Weights::default();
        for Load { index, name, is_transposed } in self.loads {
            let shape = source.tensors()[index].shape.clone();
            let tensor = HostTensor::new(shape, source.read(index)?);
            weights.insert(name, if is_transposed { tensor.transposed() } else { tensor });
        }
        for Copied { index, tensor, tied_to } in self.copies {
            let copy = source.read(index)?;
            let pairs = weights.tensors[tied_to].data.iter().zip(&copy);
            if !pairs.into_iter().all(|(a, b)| a.to_bits() == b.to_bits()) {
                return Err(Error::Untied { path: path.to_path_buf(), tensor, tied_to });
            }
        }
        for applied in &mut self.accounting.applied {
            applied.num_non_finite = num_non_finite(&weights.tensors[&applied.name].data);
        }
        Ok((weights, self.accounting))
    }
}

fn num_non_finite(data: &[f32]) -> usize {
    data.iter().filter(|value| !value.is_finite()).count()
}
