//! From the names of a file to the names of the table, with nothing left unsaid.
//!
//! Invariant: each tensor of a file is applied, or unused with a reason, or an error names it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::error::{NamedShape, ShapeMismatch};
use crate::names::{BUFFERS, ExpectedTensor, TIED, canonical_name};
use crate::safetensors::OtherTensor;
use crate::{Dimensions, Error, HostTensor, Part, Result, Weights, expected_tensors};

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
}

impl Accounting {
    /// Whether the model has `part`; a part that was loaded is complete.
    pub fn has(&self, part: Part) -> bool {
        self.applied.iter().any(|tensor| tensor.part == part)
    }
}

/// Renames `found` to the names of the table and checks it against `dimensions`.
pub(crate) fn resolve(
    path: &Path,
    dimensions: &Dimensions,
    found: Weights,
    others: Vec<OtherTensor>,
) -> Result<(Weights, Accounting)> {
    let mut unused = Vec::new();
    let mut unexplained = Vec::new();
    for OtherTensor { name, shape, .. } in others {
        if BUFFERS.contains(&canonical_name(&name).as_str()) {
            unused.push(UnusedTensor { name, shape, reason: UnusedReason::Buffer });
        } else {
            unexplained.push(NamedShape { name, shape });
        }
    }
    if !unexplained.is_empty() {
        return Err(Error::Unexplained { path: path.to_path_buf(), tensors: unexplained });
    }
    let mut renamed = rename(path, found)?;
    for &(tied, to) in TIED {
        unused.extend(untie(path, &mut renamed, tied, to)?);
    }
    for buffer in BUFFERS {
        if let Some((name, tensor)) = renamed.remove(*buffer) {
            unused.push(UnusedTensor { name, shape: tensor.shape, reason: UnusedReason::Buffer });
        }
    }
    let mut weights = Weights::default();
    let mut found_as = BTreeMap::new();
    for (name, (found_name, tensor)) in renamed {
        found_as.insert(name.clone(), found_name);
        weights.insert(name, tensor);
    }
    let mut accounting = account(path, dimensions, &weights, &found_as)?;
    unused.sort_by(|a, b| a.name.cmp(&b.name));
    accounting.unused = unused;
    Ok((weights, accounting))
}

/// Checks weights that already have the table's names; `found_as` has what the file called them.
pub(crate) fn account(
    path: &Path,
    dimensions: &Dimensions,
    weights: &Weights,
    found_as: &BTreeMap<String, String>,
) -> Result<Accounting> {
    let other_name = |name: &String| found_as.get(name).filter(|found| *found != name).cloned();
    let mut accounting = Accounting::default();
    let mut mismatches = Vec::new();
    let mut known = BTreeSet::new();
    for ExpectedTensor { name, shape, part } in expected_tensors(dimensions) {
        known.insert(name.clone());
        match weights.get(&name) {
            None => accounting.missing.push(MissingTensor { name, shape, part }),
            Some(host) if host.shape != shape => {
                let found = host.shape.clone();
                mismatches.push(ShapeMismatch { name, found, expected: shape });
            }
            Some(host) => {
                let num_non_finite = host.data.iter().filter(|value| !value.is_finite()).count();
                let found_as = other_name(&name);
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
    let unexplained: Vec<NamedShape> = weights
        .tensors
        .iter()
        .filter(|(name, _)| !known.contains(*name))
        .map(|(name, tensor)| NamedShape {
            name: other_name(name).unwrap_or_else(|| name.clone()),
            shape: tensor.shape.clone(),
        })
        .collect();
    let path = path.to_path_buf();
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
        .map(|tensor| NamedShape { name: tensor.name.clone(), shape: tensor.shape.clone() })
        .collect();
    if !incomplete.is_empty() {
        return Err(Error::TensorsMissing { path, tensors: incomplete });
    }
    accounting.applied.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(accounting)
}

type Renamed = BTreeMap<String, (String, HostTensor)>;

fn rename(path: &Path, found: Weights) -> Result<Renamed> {
    let mut renamed = Renamed::new();
    for (found_as, tensor) in found.tensors {
        let name = canonical_name(&found_as);
        if let Some((first, _)) = renamed.get(&name) {
            let first = first.clone();
            let path = path.to_path_buf();
            return Err(Error::Duplicate { path, name, first, second: found_as });
        }
        renamed.insert(name, (found_as, tensor));
    }
    Ok(renamed)
}

/// Drops the tensor `tied` where it equals the one it is tied to, or lets it stand for an absent one.
fn untie(
    path: &Path,
    renamed: &mut Renamed,
    tied: &'static str,
    to: &'static str,
) -> Result<Option<UnusedTensor>> {
    let Some((name, copy)) = renamed.remove(tied) else { return Ok(None) };
    let Some((_, original)) = renamed.get(to) else {
        renamed.insert(to.to_owned(), (name, copy));
        return Ok(None);
    };
    let equal = original.shape == copy.shape
        && original.data.iter().zip(&copy.data).all(|(a, b)| a.to_bits() == b.to_bits());
    if !equal {
        return Err(Error::Untied { path: path.to_path_buf(), tensor: tied, tied_to: to });
    }
    Ok(Some(UnusedTensor { name, shape: copy.shape, reason: UnusedReason::Tied }))
}
