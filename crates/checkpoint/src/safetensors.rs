//! The safetensors format, read and written as a stream.
//!
//! Owns the bytes: header, offsets, element types. It knows nothing of BERT or of names' meanings.
//! The file is read tensor by tensor, each to where it stays, which takes the memory of a map and the
//! time of a copy, and no `unsafe`; the tests hold it against the `safetensors` crate.
//!
//! Invariant: nothing is allocated for a tensor before its extent is known to lie inside the file.
//!
//! Source: <https://github.com/huggingface/safetensors#format>

mod header;

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use bimed_artifact::AtomicFile;
use fs_err as fs;

use crate::elements::{CHUNK_BYTES, is_weight, read_elements};
use crate::source::{Source, TensorInfo};
use crate::{HostTensor, Result, Weights};
use header::{MAX_NAME_BYTES, Opened, Place, open};

/// What is wrong with a safetensors file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsFault {
    /// Fewer bytes than the length of a header takes.
    #[error("not a safetensors file: found {found} bytes, expected at least 8")]
    TooShort {
        /// The file's length.
        found: u64,
    },
    /// A header longer than the file or than any sound header.
    #[error(
        "not a safetensors file: its header is said to be {found} bytes, expected at most {expected}"
    )]
    HeaderTooLong {
        /// The length in the file.
        found: u64,
        /// The longest possible.
        expected: u64,
    },
    /// A header that is not JSON of the format's form.
    #[error("the header does not parse at line {line}, column {column}")]
    Header {
        /// The line in the header, from 1.
        line: usize,
        /// The column in the header, from 1.
        column: usize,
    },
    /// A name that is there twice.
    #[error("tensor `{name}` is there twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A name that no model has.
    #[error("a tensor's name has {found} bytes, expected at most {MAX_NAME_BYTES}")]
    NameTooLong {
        /// Its length.
        found: usize,
    },
    /// An element type that the format does not have.
    #[error("tensor `{name}` has an unknown element type")]
    UnknownType {
        /// The tensor.
        name: String,
    },
    /// An extent that is not the size of the shape.
    #[error("tensor `{name}` takes {found} bytes, expected {expected} by its shape and type")]
    Extent {
        /// The tensor.
        name: String,
        /// The length of its extent.
        found: String,
        /// The size of its shape.
        expected: String,
    },
    /// A tensor that overlaps the one before it, or leaves a gap.
    #[error("tensor `{name}` begins at byte {found} of the data, expected {expected}")]
    Place {
        /// The tensor.
        name: String,
        /// Where it begins.
        found: u64,
        /// Where the one before it ends.
        expected: u64,
    },
    /// Fewer bytes than the header names.
    #[error("found {found} bytes of data, expected {expected}")]
    Truncated {
        /// The bytes after the header.
        found: u64,
        /// The end of the last tensor.
        expected: u64,
    },
    /// More bytes than the header names.
    #[error("found {found} bytes of data, expected {expected}: the rest belongs to no tensor")]
    Trailing {
        /// The bytes after the header.
        found: u64,
        /// The end of the last tensor.
        expected: u64,
    },
}

/// A safetensors file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TensorFile {
    /// The tensors of type `F32`, `F16` and `BF16`, by their names as in the file, as `f32`.
    pub weights: Weights,
    /// The tensors of any other type: listed, never loaded.
    pub others: Vec<TensorInfo>,
    /// The file's `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}

/// A safetensors file whose header was read.
#[derive(Debug)]
pub(crate) struct SafetensorsFile {
    file: fs::File,
    metadata: BTreeMap<String, String>,
    places: Vec<Place>,
    tensors: Vec<TensorInfo>,
    file_bytes: u64,
}

impl SafetensorsFile {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// [`crate::Error::Safetensors`] when the file is not sound.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let Opened { file, metadata, places } = open(path)?;
        let tensors = places
            .iter()
            .map(|place| TensorInfo {
                name: place.name.clone(),
                dtype: place.dtype.name(),
                shape: place.shape.clone(),
                bytes: place.bytes,
            })
            .collect();
        let file_bytes = file.metadata()?.len();
        Ok(Self { file, metadata, places, tensors, file_bytes })
    }
}

impl Source for SafetensorsFile {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>> {
        let Place { dtype, begin, bytes, .. } = self.places[index];
        self.file.seek(SeekFrom::Start(begin))?;
        Ok(read_elements(&mut self.file, dtype, bytes, |_| ())?)
    }
}

/// Reads the safetensors file at `path`; half precision widens to `f32` without loss.
///
/// # Errors
/// [`crate::Error::Safetensors`] when the file is not sound, [`crate::Error::Io`] when it cannot be read.
pub fn read_safetensors(path: &Path) -> Result<TensorFile> {
    let mut file = SafetensorsFile::open(path)?;
    let mut read = TensorFile::default();
    for (index, tensor) in file.tensors.clone().into_iter().enumerate() {
        if is_weight(tensor.dtype) {
            let data = file.read(index)?;
            read.weights.insert(tensor.name, HostTensor::new(tensor.shape, data));
        } else {
            read.others.push(tensor);
        }
    }
    read.metadata = file.metadata;
    Ok(read)
}

/// Writes `weights` to `path` atomically: `F32`, in the order of their names, `format` `pt`.
///
/// The metadata is what `transformers` asks for: a file whose `format` is another is refused by
/// its 4.x versions.
///
/// # Errors
/// When the file system refuses.
pub fn write_safetensors(path: &Path, weights: &Weights) -> Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    let mut end = 0;
    for (name, tensor) in &weights.tensors {
        let begin = end;
        end += tensor.data.len() * 4;
        let entry = serde_json::json!({
            "dtype": "F32", "shape": tensor.shape, "data_offsets": [begin, end],
        });
        header.insert(name.clone(), entry);
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut file = AtomicFile::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    let mut bytes = Vec::with_capacity(CHUNK_BYTES);
    for tensor in weights.tensors.values() {
        for chunk in tensor.data.chunks(CHUNK_BYTES / 4) {
            bytes.clear();
            bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
            file.write_all(&bytes)?;
        }
    }
    file.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
