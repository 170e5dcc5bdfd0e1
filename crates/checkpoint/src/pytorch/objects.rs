//! What a pickle of named tensors is made of.
//!
//! Owns the list of what a pickle may name, and the arena that its objects lie in.

use crate::elements::Dtype;

/// What a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// `torch.Size` or `torch.device`: nothing that weights depend on.
    Plain,
    /// A storage class, by its element type's name.
    Storage(&'static str),
}

/// Modules, names and what they mean.
pub(super) const GLOBALS: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::OrderedDict),
    ("torch._utils", "_rebuild_tensor", Global::RebuildTensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensor),
    ("torch._utils", "_rebuild_parameter", Global::RebuildParameter),
    ("torch", "Size", Global::Plain),
    ("torch", "device", Global::Plain),
    ("torch", "FloatStorage", Global::Storage("F32")),
    ("torch", "HalfStorage", Global::Storage("F16")),
    ("torch", "BFloat16Storage", Global::Storage("BF16")),
    ("torch", "DoubleStorage", Global::Storage("F64")),
    ("torch", "LongStorage", Global::Storage("I64")),
    ("torch", "IntStorage", Global::Storage("I32")),
    ("torch", "ShortStorage", Global::Storage("I16")),
    ("torch", "CharStorage", Global::Storage("I8")),
    ("torch", "ByteStorage", Global::Storage("U8")),
    ("torch", "BoolStorage", Global::Storage("BOOL")),
];

/// An object, or its number in the [`Heap`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// Where a tuple's or dictionary's items begin on the stack.
    Mark,
    /// `None`, a float, bytes, a device: nothing that weights depend on.
    Other,
    Bool(bool),
    Int(i64),
    Text(usize),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

/// A storage that a pickle refers to.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    /// The number of its key's text.
    pub(super) key: usize,
    pub(super) dtype: Dtype,
    pub(super) num_elements: u64,
}

/// A tensor: a view of a storage that reaches each element at most once.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// The storage's number in the [`Heap`].
    pub(super) storage: usize,
    /// The first element.
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
    /// The elements from the first to the last, those between included.
    pub(super) span: u64,
}

/// All objects of a file's pickles.
#[derive(Debug, Default)]
pub(super) struct Heap {
    pub(super) texts: Vec<String>,
    /// Of tuples and lists.
    pub(super) items: Vec<Vec<Value>>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
    pub(super) storages: Vec<Storage>,
    pub(super) tensors: Vec<View>,
}

impl Heap {
    /// The name of `storage` in the container.
    pub(super) fn key(&self, storage: &Storage) -> &str {
        &self.texts[storage.key]
    }
}

/// The elements from the first to the last of a view, where it reaches each at most once.
pub(super) fn span(shape: &[usize], strides: &[usize]) -> Option<u64> {
    if shape.len() != strides.len() {
        return None;
    }
    let count = shape.iter().try_fold(1_u64, |count, &axis| count.checked_mul(axis as u64))?;
    if count == 0 {
        return Some(0);
    }
    let last = shape.iter().zip(strides).try_fold(0_u64, |last, (&axis, &stride)| {
        last.checked_add((axis as u64 - 1).checked_mul(stride as u64)?)
    })?;
    let span = last.checked_add(1)?;
    (count <= span).then_some(span)
}
