//! What PyTorch's `torch.save` writes: a pickle of named tensors, and their storages.
//!
//! Reads the zip container of PyTorch 1.6 and later and the row of pickles of 0.4 to 1.5. Nothing
//! that a pickle asks for is executed. It knows nothing of BERT or of names' meanings.
//!
//! Invariant: a tensor lies inside its storage, a storage inside the file.

mod container;
mod objects;
mod pickle;

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::elements::{Dtype, read_elements};
use crate::error::clipped;
use crate::source::{Source, TensorInfo};
use crate::weights::copy_plane;
use crate::{Error, Result};
use container::{Contents, Place};
use objects::{Heap, Value, View};

/// What is wrong with a file of PyTorch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PytorchFault {
    /// Neither of the two containers.
    #[error("not a file of PyTorch: found neither a zip archive nor the number of older files")]
    NotPytorch,
    /// The file ends within what it announced, or the file system refused.
    #[error("cannot be read: {0}")]
    Read(#[source] std::io::Error),
    /// The file is shorter than its storages.
    #[error("the file ends before its storages do")]
    Truncated,
    /// A zip archive that is damaged.
    #[error("the zip archive is not sound: {reason}")]
    Zip {
        /// What its reader says.
        reason: String,
    },
    /// An entry that reaches past the end of the file.
    #[error("entry `{entry}` reaches past the end of the file")]
    EntryOutside {
        /// The entry.
        entry: String,
    },
    /// An entry that `torch.save` would not have compressed or encrypted.
    #[error("entry `{entry}` is compressed, expected it stored as it is")]
    Compressed {
        /// The entry.
        entry: String,
    },
    /// An archive with no pickle, or several.
    #[error("the zip archive has not one `data.pkl`")]
    NoPickle,
    /// Bytes whose checksum is another.
    #[error("the checksum of `{of}` differs: its bytes are damaged")]
    Checksum {
        /// The entry or tensor.
        of: String,
    },
    /// A pickle longer than any of a model.
    #[error("its pickle is longer than {} bytes, the most that is read", pickle::MAX_PICKLE_BYTES)]
    PickleTooLong,
    /// An operation that the pickle of a model does not need.
    #[error("its pickle has the operation {opcode:#04x} at byte {offset}, which no model needs")]
    Opcode {
        /// The byte in the pickle.
        offset: u64,
        /// The operation.
        opcode: u8,
    },
    /// A pickle that does not follow its own rules.
    #[error("its pickle is not sound before byte {offset}: {reason}")]
    Pickle {
        /// The byte in the pickle.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A function or class that weights do not need.
    #[error("its pickle asks for `{name}`, which no tensor needs: nothing of it was run")]
    Global {
        /// The name with its module.
        name: String,
    },
    /// Objects within objects without end.
    #[error(
        "its objects are nested too deep, shared too often or named too long, expected named tensors"
    )]
    Nesting,
    /// Two tensors of one name.
    #[error("tensor `{name}` is there twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A storage that the container does not have.
    #[error("storage `{key}` is not in the file")]
    NoStorage {
        /// Its name.
        key: String,
    },
    /// A storage of another size than the pickle says.
    #[error("storage `{key}` has {found} elements, expected {expected}")]
    StorageSize {
        /// Its name.
        key: String,
        /// The number in the container.
        found: u64,
        /// The number in the pickle.
        expected: u64,
    },
    /// Numbers of a machine with the other byte order.
    #[error("its numbers are not little-endian")]
    BigEndian,
}

impl PytorchFault {
    fn read(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Read(error),
        }
    }

    /// Advice, where there is something to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Global { .. } => Some(
                "do not load this file elsewhere before you know why; save a model's `state_dict()` alone",
            ),
            Self::Truncated => Some("the file was cut short: copy or download it again"),
            Self::Compressed { .. } => Some("unpack the archive and pack it without compression"),
            _ => None,
        }
    }
}

/// Dictionaries and lists within each other, at most: a training checkpoint has 4.
const MAX_DEPTH: usize = 8;
/// Objects that are looked at to find the tensors, at most.
const MAX_VISITS: usize = 1 << 17;
/// The longest name of a tensor, in bytes.
const MAX_NAME_BYTES: usize = 1024;

/// A file of PyTorch whose pickle was read.
#[derive(Debug)]
pub(crate) struct PytorchFile {
    path: PathBuf,
    file: fs::File,
    file_bytes: u64,
    tensors: Vec<TensorInfo>,
    views: Vec<Placed>,
}

/// A tensor and where its storage lies.
#[derive(Debug)]
struct Placed {
    view: View,
    dtype: Dtype,
    place: Place,
}

impl PytorchFile {
    /// Reads the pickle of the file at `path`.
    ///
    /// # Errors
    /// [`Error::Pytorch`] when the file is not sound, or asks for more than tensors.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let wrap = |fault| Error::Pytorch { path: path.to_path_buf(), fault };
        let file = fs::File::open(path)?;
        let file_bytes = file.metadata()?.len();
        let contents = container::open(&file).map_err(wrap)?;
        let mut views = named(&contents).map_err(wrap)?;
        views.sort_by_key(|(_, one)| one.place.begin + one.view.offset);
        let (mut tensors, mut placed) = (Vec::new(), Vec::new());
        for (name, one) in views {
            let shape = one.view.shape.clone();
            let bytes = shape.iter().product::<usize>() as u64 * one.dtype.bytes();
            tensors.push(TensorInfo { name, dtype: one.dtype.name(), shape, bytes });
            placed.push(one);
        }
        Ok(Self { path: path.to_path_buf(), file, file_bytes, tensors, views: placed })
    }
}

impl Source for PytorchFile {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>> {
        let Placed { view, dtype, place } = &self.views[index];
        let size = dtype.bytes();
        self.file.seek(SeekFrom::Start(place.begin + view.offset * size))?;
        // Only all of a storage has a checksum.
        let expected = place.crc32.filter(|_| view.span * size == place.bytes);
        let mut crc32 = crc32fast::Hasher::new();
        let data = read_elements(&mut self.file, *dtype, view.span * size, |bytes| {
            if expected.is_some() {
                crc32.update(bytes);
            }
        })?;
        if expected.is_some_and(|expected| expected != crc32.finalize()) {
            let fault = PytorchFault::Checksum { of: clipped(&self.tensors[index].name) };
            return Err(Error::Pytorch { path: self.path.clone(), fault });
        }
        Ok(view.gather(data))
    }
}

impl View {
    /// The elements in row-major order, of those from the first to the last.
    fn gather(&self, span: Vec<f32>) -> Vec<f32> {
        let count: usize = self.shape.iter().product();
        if count == 0 || self.is_contiguous() {
            return span;
        }
        let mut data = vec![0.0; count];
        let num_outer = self.shape.len().saturating_sub(2);
        let (outer, plane) = self.shape.split_at(num_outer);
        let strides = &self.strides[num_outer..];
        // A row is a plane of one row.
        let (shape, by) = match (plane, strides) {
            (&[rows, columns], &[down, along]) => ([rows, columns], [down, along]),
            _ => ([1, count], [0, strides.first().copied().unwrap_or(0)]),
        };
        let mut place = vec![0; num_outer];
        for to in data.chunks_mut(shape[0] * shape[1]) {
            let begin: usize = place.iter().zip(&self.strides).map(|(at, by)| at * by).sum();
            copy_plane(&span[begin..], by, shape, to);
            step(&mut place, outer);
        }
        data
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&axis, &stride)| {
            let fits = axis == 1 || stride == expected;
            expected *= axis;
            fits
        })
    }
}

/// The next place in `shape`, the last axis first; after the last place, the first one.
fn step(place: &mut [usize], shape: &[usize]) {
    for (at, &axis) in place.iter_mut().zip(shape).rev() {
        *at += 1;
        if *at < axis {
            return;
        }
        *at = 0;
    }
}

/// Every tensor under the keys that lead to it, joined by dots.
fn named(contents: &Contents) -> std::result::Result<Vec<(String, Placed)>, PytorchFault> {
    let mut found = BTreeMap::new();
    let mut visits = 0;
    walk(&contents.heap, contents.root, "", MAX_DEPTH, &mut visits, &mut found)?;
    let placed = |(name, tensor): (String, usize)| {
        let view = contents.heap.tensors[tensor].clone();
        let storage = &contents.heap.storages[view.storage];
        let key = contents.heap.key(storage);
        let Some(place) = contents.places.get(key).copied() else {
            return Err(PytorchFault::NoStorage { key: clipped(key) });
        };
        let (found, size) = (place.bytes / storage.dtype.bytes(), storage.dtype.bytes());
        if storage.num_elements.checked_mul(size) != Some(place.bytes) {
            let (key, expected) = (clipped(key), storage.num_elements);
            return Err(PytorchFault::StorageSize { key, found, expected });
        }
        Ok((name, Placed { view, dtype: storage.dtype, place }))
    };
    found.into_iter().map(placed).collect()
}

fn walk(
    heap: &Heap,
    value: Value,
    name: &str,
    depth: usize,
    visits: &mut usize,
    found: &mut BTreeMap<String, usize>,
) -> std::result::Result<(), PytorchFault> {
    *visits += 1;
    if depth == 0 || *visits > MAX_VISITS || name.len() > MAX_NAME_BYTES {
        return Err(PytorchFault::Nesting);
    }
    let joined = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Tensor(tensor) => match found.insert(name.to_owned(), tensor) {
            None => Ok(()),
            Some(_) => Err(PytorchFault::DuplicateName { name: clipped(name) }),
        },
        Value::Dict(entries) => heap.dicts[entries].iter().try_for_each(|&(key, value)| {
            let key = match key {
                Value::Text(text) if heap.texts[text].len() > MAX_NAME_BYTES => {
                    return Err(PytorchFault::Nesting);
                }
                Value::Text(text) => heap.texts[text].clone(),
                Value::Int(number) => number.to_string(),
                _ => "?".to_owned(),
            };
            walk(heap, value, &joined(&key), depth - 1, visits, found)
        }),
        Value::List(items) | Value::Tuple(items) => {
            heap.items[items].iter().enumerate().try_for_each(|(index, &value)| {
                walk(heap, value, &joined(&index.to_string()), depth - 1, visits, found)
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn elements_come_in_the_order_of_the_axes_whatever_the_strides(
            axes in prop::collection::vec((0_usize..70, 0_usize..9), 0..4),
        ) {
            let (shape, strides): (Vec<_>, Vec<_>) = axes.into_iter().unzip();
            let count: usize = shape.iter().product();
            prop_assume!(count <= 1 << 14);
            let last = shape.iter().zip(&strides).map(|(&axis, &by)| axis.saturating_sub(1) * by);
            let span: Vec<f32> = (0..=last.sum()).map(|at| at as f32).collect();
            let expected: Vec<f32> = (0..count)
                .map(|number| {
                    let axes = shape.iter().zip(&strides).rev();
                    let at = axes.fold((number, 0), |(left, at), (axis, by)| {
                        (left / axis, at + left % axis * by)
                    });
                    at.1 as f32
                })
                .collect();
            let view = View { storage: 0, offset: 0, span: span.len() as u64, shape, strides };
            let found = if count == 0 { view.gather(Vec::new()) } else { view.gather(span) };
            prop_assert_eq!(found, expected);
        }
    }
}
